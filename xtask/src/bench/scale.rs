//! `cargo xtask bench scale`: what a second worker gives.
//!
//! Who sends needs a CPU, and on a small machine takes it from the workers. So the two are kept apart: the sensor is
//! stopped (SIGSTOP) while all frames are sent, and the kernel's program, which goes on, fills rings that have room for
//! all of them. Then the sensor continues, and the time is taken until its workers have nothing left to do.
//!
//! The workers find more payload than on a live link, because no order to keep it was given meanwhile.
#![allow(unsafe_code, reason = "signals, clocks and raw sockets are system calls")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;

use super::live::frames::{self, Frames};
use super::live::wire::{self, Wire};
use super::live::{absolute, listener, mix, noise, usage};
use super::{cell, median};
use crate::shell;

/// How often the workers are looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Workers that were not seen at work for so long have done theirs.
const QUIET: Duration = Duration::from_millis(60);
/// Longest time that a backlog may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Most that a ring may have, MiB.
const MAX_RING: u64 = 1024;

/// What to send, and how often.
#[derive(Args)]
pub struct Options {
    /// Capture to send instead of the mix that is made (pcap, Ethernet)
    #[arg(long, conflicts_with = "mib")]
    pcap: Option<PathBuf>,
    /// Size of the mix, MiB
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=600))]
    mib: u64,
    /// Runs of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// The per-packet events of the second half
    #[arg(long, default_value = "new_packet")]
    events: String,
    /// Further options of the sensor, separated by spaces
    #[arg(long, value_name = "OPTIONS", default_value = "", allow_hyphen_values = true)]
    sensor_args: String,
}

/// So many workers, with events or without.
struct Case<'a> {
    workers: u32,
    events: Option<&'a str>,
    runs: Vec<Run>,
}

/// One backlog and how it went.
struct Run {
    /// Until the last worker had nothing to do.
    took: f64,
    /// CPU seconds: of the worker that took most, and of all threads.
    busiest: f64,
    all: f64,
    /// Events that found no room on the way to the stream.
    dropped: u64,
}

/// Measures one and two workers by turns.
pub fn run(o: &Options) -> Result<()> {
    let binary = shell::sensor()?;
    let capture = match &o.pcap {
        Some(pcap) => pcap.clone(),
        None => mix(o.mib)?,
    };
    if !sensor_tests::is_root() {
        return shell::again_as_root();
    }
    let binary = absolute(&binary)?;
    let mut frames = frames::read(&capture)?;
    frames.keep_sendable(wire::LONGEST);
    let ring_mib = ring_for(&frames);
    ensure!(ring_mib <= MAX_RING, "too much for a ring of {MAX_RING} MiB");
    // A queue for each of two CPUs, so that rings by CPU are filled, too.
    let cpus = std::thread::available_parallelism()?.get();
    let wire = Wire::new(cpus.min(2) as u32)?;
    let noise = noise()?;
    let case = |events, workers| Case {
        workers,
        events,
        runs: Vec::new(),
    };
    let events = Some(&*o.events);
    let mut cases = [case(None, 1), case(None, 2), case(events, 1), case(events, 2)];
    for n in 1..=o.runs {
        for c in &mut cases {
            let what = c.events.unwrap_or("no events");
            eprintln!("run {n} of {}: {what}, {} workers", o.runs, c.workers);
            let options = options(c, ring_mib, &o.sensor_args);
            c.runs.push(measure(&binary, &options, &wire, &frames)?);
        }
    }
    print(&cases, frames.len());
    if noise > usage::QUIET {
        println!(
            "other work kept {noise:.1} CPUs busy before the first run: then CPU time tells more than seconds"
        );
    }
    Ok(())
}

/// A ring that has room for all frames with their records' headers, and an eighth to spare for what it keeps free; MiB.
fn ring_for(frames: &Frames) -> u64 {
    let records = frames.size() as u64 * 5 / 4 + frames.len() as u64 * 320;
    (records * 8 / 7).div_ceil(1 << 20).next_power_of_two()
}

fn options(c: &Case<'_>, ring_mib: u64, more: &str) -> Vec<String> {
    let mut line = format!("--workers {} --ring-mib {ring_mib}", c.workers);
    if let Some(events) = c.events {
        line.push_str(&format!(" --events /dev/null --event {events}"));
    }
    let all = line.split_whitespace().chain(more.split_whitespace());
    all.map(str::to_owned).collect()
}

/// Sends all frames to a stopped sensor and lets it go on.
fn measure(binary: &Path, options: &[String], wire: &Wire, frames: &Frames) -> Result<Run> {
    let (sensor, _dir) = listener::sensor(binary, options, wire)?;
    let pid = sensor.pid();
    signal(pid, libc::SIGSTOP)?;
    while usage::threads(pid)?.iter().any(|t| t.state != 'T') {
        std::thread::sleep(LOOK);
    }
    let sent = wire.send(frames, None);
    let before = usage::threads(pid)?;
    let started = Instant::now();
    // Also when it was not sent: a stopped process does not end by SIGTERM.
    signal(pid, libc::SIGCONT)?;
    sent?;
    let mut worked = started;
    let after = loop {
        let threads = usage::threads(pid)?;
        let now = Instant::now();
        let at_work = |t: &usage::Thread| t.name.starts_with("worker-") && t.state != 'S';
        if threads.iter().any(at_work) {
            worked = now;
        } else if now - worked > QUIET {
            break threads;
        }
        if now - started > PATIENCE {
            bail!("it does not come to an end");
        }
        std::thread::sleep(LOOK);
    };
    let taken: Vec<_> = after
        .iter()
        .filter_map(|t| Some((&t.name, t.cpu - before.iter().find(|b| b.id == t.id)?.cpu)))
        .collect();
    let done = sensor.stop()?;
    let seen = done.check_sums()?.frames;
    ensure!(
        seen == frames.len() as u64,
        "it saw {seen} of {} frames",
        frames.len()
    );
    ensure!(done.lost()? == 0, "a ring had no room: take a smaller capture");
    let workers = taken.iter().filter(|t| t.0.starts_with("worker-"));
    Ok(Run {
        took: (worked - started).as_secs_f64(),
        busiest: workers.map(|t| t.1).fold(0.0, f64::max),
        all: taken.iter().map(|t| t.1).sum(),
        dropped: dropped(&done.stderr),
    })
}

fn signal(pid: u32, signal: i32) -> Result<()> {
    // SAFETY: kill has no memory preconditions; the child has not been waited for.
    let r = unsafe { libc::kill(pid as i32, signal) };
    ensure!(r == 0, "signal {signal}: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Events lost, as the sensor says at its end.
fn dropped(stderr: &str) -> u64 {
    let line = stderr.lines().find(|l| l.contains("events were dropped"));
    line.and_then(|l| l.split_whitespace().find_map(|w| w.parse().ok()))
        .unwrap_or(0)
}

impl Case<'_> {
    fn median(&self, number: fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.iter().map(number).collect())
    }
}

fn print(cases: &[Case<'_>], frames: usize) {
    println!(
        "\n{:<14}{:>8}{:>12}{:>10}{:>16}{:>12}{:>12}",
        "events", "workers", "packets/s", "seconds", "busiest CPU s", "all CPU s", "dropped"
    );
    for c in cases {
        println!(
            "{:<14}{:>8}{:>12}{:>10}{:>16}{:>12}{:>12}",
            c.events.unwrap_or("none"),
            c.workers,
            cell(c.median(|r| r.took).map(|t| frames as f64 / t), 0),
            cell(c.median(|r| r.took), 3),
            cell(c.median(|r| r.busiest), 3),
            cell(c.median(|r| r.all), 3),
            cell(c.median(|r| r.dropped as f64), 0),
        );
    }
    println!(
        "\n{frames} packets wait in the rings when it begins. seconds = until no worker has anything to do; busiest = \
         the worker\nthat took most CPU time; all = with the threads that write. Medians.\n"
    );
    for pair in cases.chunks(2) {
        let [one, two] = pair else { continue };
        let gain = |number: fn(&Run) -> f64| {
            let pairs = one.runs.iter().zip(&two.runs);
            cell(median(pairs.map(|(a, b)| number(a) / number(b)).collect()), 2)
        };
        println!(
            "{}: two workers are {} times one, by the busiest one's CPU time {}",
            one.events.unwrap_or("no events"),
            gain(|r| r.took),
            gain(|r| r.busiest)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_events_are_read() {
        let said = "x\n2026-01-01T00:00:00Z  WARN 1203 events were dropped: their reader was too slow\n";
        assert_eq!(dropped(said), 1203);
        assert_eq!(dropped("nothing"), 0);
    }

    #[test]
    fn rings_hold_what_is_sent() {
        let mut frames = Frames::default();
        for _ in 0..1000 {
            frames.push(&[0; 1460], &[]);
        }
        assert_eq!(ring_for(&frames), 4);
    }
}
