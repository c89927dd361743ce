//! The table and the ratios.

use anyhow::{Result, bail};

use super::Run;
use super::calls::Calls;
use super::listener::{Kind, Totals};
use super::usage::QUIET;
use crate::bench::{cell, median};

/// One listener and its runs.
pub struct Case {
    pub name: String,
    pub kind: Kind,
    pub runs: Vec<Run>,
}

impl Case {
    pub fn new(name: &str, kind: Kind) -> Self {
        Case {
            name: name.to_owned(),
            kind,
            runs: Vec::new(),
        }
    }

    /// The median over the runs that have the number.
    fn median(&self, number: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        median(self.runs.iter().filter_map(number).collect())
    }

    /// The median over runs that stood side by side.
    fn beside(&self, other: &Case, number: impl Fn(&Run, &Run) -> f64) -> Option<f64> {
        median(
            self.runs
                .iter()
                .zip(&other.runs)
                .map(|(a, b)| number(a, b))
                .collect(),
        )
    }

    /// CPU seconds of the machine more than with nobody.
    fn added(&self, nobody: &Case) -> Option<f64> {
        self.beside(nobody, |run, nobody| run.busy - nobody.busy)
    }

    /// The same of the sender's and the listener's threads, which other work disturbs less.
    fn added_by_threads(&self, nobody: &Case) -> Option<f64> {
        let own = |r: &Run| r.own.map_or(0.0, |o| o.cpu);
        self.beside(nobody, |run, nobody| run.sender + own(run) - nobody.sender)
    }

    fn totals(&self) -> impl Iterator<Item = &Totals> {
        self.runs.iter().filter_map(|r| r.said.sensor.as_ref())
    }
}

/// Prints everything. Sums that do not agree are an error, after the table. `frames` were sent each time;
/// `noise` is how many CPUs were busy while nothing was sent.
pub fn print(cases: &[Case], frames: u64, rate: Option<u32>, noise: f64) -> Result<()> {
    let Some(nobody) = cases.first() else {
        return Ok(());
    };
    println!(
        "\n{:<16}{:>10}{:>9}{:>9}{:>9}{:>10}{:>8}{:>11}{:>8}{:>8}  sums",
        "listener",
        "packets/s",
        "added s",
        "sender s",
        "own s",
        "switches",
        "rows",
        "copied MB",
        "of MB",
        "lost"
    );
    for c in cases {
        let own = |f: fn(&super::Own) -> f64| c.median(|r| r.own.as_ref().map(f));
        let said = |f: fn(&Totals) -> u64| c.median(|r| r.said.sensor.as_ref().map(|t| f(t) as f64));
        let sums = match c.totals().next() {
            None => "-",
            Some(_) if c.totals().all(|t| t.sums.is_ok()) => "agree",
            Some(_) => "WRONG",
        };
        let added = match c.kind {
            Kind::Nobody => None,
            _ => c.added(nobody),
        };
        println!(
            "{:<16}{:>10}{:>9}{:>9}{:>9}{:>10}{:>8}{:>11}{:>8}{:>8}  {sums}",
            c.name,
            cell(c.median(|r| Some(r.rate)), 0),
            cell(added, 2),
            cell(c.median(|r| Some(r.sender)), 2),
            cell(own(|o| o.cpu), 2),
            cell(own(|o| o.switches as f64), 0),
            cell(said(|t| t.rows), 0),
            cell(said(|t| t.copied).map(|b| b / 1e6), 1),
            cell(said(|t| t.bytes).map(|b| b / 1e6), 0),
            cell(said(|t| t.lost), 0),
        );
    }
    println!(
        "\nCPU seconds: added = of the machine, above nobody's; sender = of the sending threads, in which XDP \
         programs run;\nown = of the listener's threads. Medians of the runs.\n"
    );
    remarks(cases, frames, noise);
    calls(cases);
    ratios(cases, nobody, rate.is_none());
    match cases
        .iter()
        .flat_map(Case::totals)
        .find_map(|t| t.sums.as_ref().err())
    {
        Some(wrong) => bail!("the sums do not agree: {wrong}"),
        None => Ok(()),
    }
}

/// What the table does not say.
fn remarks(cases: &[Case], frames: u64, noise: f64) {
    let mut all_arrived = true;
    for c in cases {
        for (i, r) in c.runs.iter().enumerate() {
            let at = format!("{}, run {}", c.name, i + 1);
            if r.missing > 0 {
                all_arrived = false;
                println!(
                    "{at}: {} of {frames} frames did not arrive at the interface",
                    r.missing
                );
            }
            if let Some(Ok(seen)) = r.said.sensor.as_ref().map(|t| &t.sums)
                && *seen != frames
            {
                println!("{at}: it counted {seen} frames, not {frames}");
            }
            for line in &r.said.drops {
                println!("{at}: {}", line.trim());
            }
        }
    }
    if all_arrived {
        println!("every frame arrived at the interface, each time");
    }
    if noise > QUIET {
        println!(
            "other work kept {noise:.1} CPUs busy before the first run: it is in `added`, less in the other two"
        );
    }
}

/// System calls for each row, where perf counted them.
fn calls(cases: &[Case]) {
    for c in cases {
        let per_row = |n: fn(&Calls) -> u64| {
            c.median(|r| {
                let rows = r.said.sensor.as_ref()?.rows;
                Some(n(r.calls.as_ref()?) as f64 / rows.max(1) as f64)
            })
        };
        if matches!(c.kind, Kind::Sensor(..)) {
            println!(
                "{}: {} system calls for each row, {} of them bpf(2)",
                c.name,
                cell(per_row(|c| c.all), 2),
                cell(per_row(|c| c.bpf), 2)
            );
        }
    }
}

/// The sensor's numbers in those of the others. With a rate, packets/s say nothing.
fn ratios(cases: &[Case], nobody: &Case, top_speed: bool) {
    let Some(sensor) = cases.iter().find(|c| c.name == "sensor") else {
        return;
    };
    for other in cases {
        let rate = sensor.beside(other, |a, b| a.rate / b.rate);
        if top_speed && matches!(other.kind, Kind::Pass) {
            println!("sensor / {}, packets/s: {}", other.name, cell(rate, 2));
        }
        if matches!(other.kind, Kind::Nobody) || other.name == "sensor" {
            continue;
        }
        let ratio = |of: fn(&Case, &Case) -> Option<f64>| {
            let both = of(sensor, nobody).zip(of(other, nobody));
            // Below some hundredths it is what the clock ticks in.
            cell(both.filter(|(_, other)| *other > 0.05).map(|(a, b)| a / b), 2)
        };
        println!(
            "sensor / {}, added CPU time: {}, of the sender's and its own threads alone: {}",
            other.name,
            ratio(Case::added),
            ratio(Case::added_by_threads)
        );
        if top_speed && matches!(other.kind, Kind::Sensor(..)) {
            println!("sensor / {}, packets/s: {}", other.name, cell(rate, 2));
        }
    }
}
