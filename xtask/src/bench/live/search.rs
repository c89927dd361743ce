//! The highest rate at which a listener loses nothing, by halving.

use anyhow::{Context as _, Result};

use super::frames::Frames;
use super::report::Case;
use super::wire::Wire;
use super::{LONGEST_RUN, Run, measure};

/// Runs after the one at top speed.
const STEPS: u32 = 6;
/// A sender that keeps less than so much of its pace has not sent at that rate.
const KEPT: f64 = 0.98;

/// How a rate went.
enum Verdict {
    Held,
    Lost(u64),
    /// The sender came to this rate only.
    Slow(f64),
}

/// What was found.
struct Found {
    /// Packets a second that were held; 0: none that was tried.
    held: f64,
    /// The lowest rate that was not, and what was wrong.
    above: Option<(f64, Verdict)>,
}

/// Searches for each listener and prints what was found.
pub fn run(cases: &[Case], wire: &Wire, frames: &Frames) -> Result<()> {
    println!("\n{:<20}{:>14}   above it", "listener", "packets/s");
    for case in cases {
        let found = search(
            |rate| {
                eprintln!(
                    "{}: {}",
                    case.name,
                    rate.map_or("top speed".into(), |r| format!("{r}/s"))
                );
                measure(&case.kind, wire, frames, rate).with_context(|| case.name.clone())
            },
            frames.len() as u64,
        )?;
        let above = match found.above {
            None => "that is top speed".to_owned(),
            Some((rate, Verdict::Lost(n))) => format!("{rate:.0}: {n} of {} lost", frames.len()),
            Some((rate, Verdict::Slow(got))) => format!("{rate:.0}: the sender came to {got:.0}"),
            Some((rate, Verdict::Held)) => format!("{rate:.0}: held"),
        };
        println!("{:<20}{:>14.0}   {above}", case.name, found.held);
    }
    println!(
        "\nThe highest rate tried at which nothing was lost, after {STEPS} halvings. Top speed, where it is held: XDP \
         programs\nslow the sender instead of losing."
    );
    Ok(())
}

/// Top speed first; if that is too much, between it and what a run may take at longest.
fn search(mut go: impl FnMut(Option<u32>) -> Result<Run>, frames: u64) -> Result<Found> {
    let top = go(None)?;
    let lost = lost(&top, frames);
    if lost == 0 {
        return Ok(Found {
            held: top.rate,
            above: None,
        });
    }
    let mut found = Found {
        held: 0.0,
        above: Some((top.rate, Verdict::Lost(lost))),
    };
    let least = frames as f64 / LONGEST_RUN.as_secs_f64();
    let (mut low, mut high) = (least, top.rate);
    for _ in 0..STEPS {
        let rate = (low + high) / 2.0;
        match verdict(&go(Some(rate as u32))?, rate, frames) {
            Verdict::Held => {
                low = rate;
                found.held = rate;
            }
            not => {
                high = rate;
                found.above = Some((rate, not));
            }
        }
    }
    Ok(found)
}

fn verdict(run: &Run, rate: f64, frames: u64) -> Verdict {
    match lost(run, frames) {
        0 if run.rate >= rate * KEPT => Verdict::Held,
        0 => Verdict::Slow(run.rate),
        n => Verdict::Lost(n),
    }
}

/// Packets that were lost on the way, or by the listener as it says.
fn lost(run: &Run, frames: u64) -> u64 {
    let by_sensor = run.said.sensor.as_ref().map_or(0, |t| {
        t.lost
            + t.sums
                .as_ref()
                .map_or(frames, |seen| frames.saturating_sub(*seen))
    });
    let by_program: u64 = run.said.drops.iter().filter_map(|l| dropped(l)).sum();
    run.missing.max(by_sensor).max(by_program)
}

/// The number in a line about drops. It stands before `dropped` (tcpdump, Zeek) or behind `drops:` (Suricata).
fn dropped(line: &str) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |w: &&str| w.trim_end_matches(',').parse::<u64>().ok();
    let at = words.iter().position(|w| w.starts_with("drop"))?;
    if words[at].starts_with("drops") {
        return words.get(at + 1).and_then(number);
    }
    words[..at].iter().rev().find_map(number)
}

#[cfg(test)]
mod tests {
    use super::super::listener::Said;
    use super::*;

    #[test]
    fn drops_are_read_from_what_programs_say() {
        for (line, n) in [
            ("17 packets dropped by kernel", Some(17)),
            ("0 packets dropped by interface", Some(0)),
            (
                "v1: packets: 5000, drops: 12 (0.24%), invalid chksum: 0",
                Some(12),
            ),
            (
                "5000 packets received on interface v1, 31 (0.62%) dropped, 0 not processed",
                Some(31),
            ),
            ("packets were dropped", None),
        ] {
            assert_eq!(dropped(line), n, "{line}");
        }
    }

    /// A listener that loses beyond a rate.
    fn listener(bears: f64) -> impl FnMut(Option<u32>) -> Result<Run> {
        move |rate| {
            let rate = rate.map_or(800_000.0, f64::from);
            Ok(Run {
                rate,
                busy: 0.0,
                sender: 0.0,
                own: None,
                calls: None,
                missing: (rate - bears).max(0.0) as u64,
                said: Said::default(),
            })
        }
    }

    #[test]
    fn the_highest_rate_is_found() {
        let all = search(listener(1e6), 1_000_000).unwrap();
        assert!(all.above.is_none() && all.held == 800_000.0);
        let some = search(listener(300_000.0), 1_000_000).unwrap();
        let above = some.above.unwrap().0;
        assert!(
            some.held <= 300_001.0 && above > 300_000.0,
            "{} {above}",
            some.held
        );
        assert!(above - some.held < 800_000.0 / 60.0);
        assert_eq!(search(listener(0.0), 1_000_000).unwrap().held, 0.0);
    }
}
