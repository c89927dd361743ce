//! The table.

use super::object::{Object, Watch};
use crate::bench::{cell, median};

/// What was measured of one kind of packet, ns, in turns: what stands at the same place stood side by side.
pub struct Row {
    pub name: &'static str,
    pub flows: u32,
    pub idle: Vec<f64>,
    pub floor: Option<Vec<f64>>,
    /// One for each object.
    pub subjects: Vec<Vec<f64>>,
}

impl Row {
    /// A measurement without what the walker and an empty program take.
    fn net(&self, ns: &[f64]) -> Vec<f64> {
        ns.iter().zip(&self.idle).map(|(ns, idle)| ns - idle).collect()
    }

    /// The median of a number from each pair.
    fn pairs(&self, a: &[f64], b: &[f64], number: fn(f64, f64) -> f64) -> Option<f64> {
        let (a, b) = (self.net(a), self.net(b));
        median(a.into_iter().zip(b).map(|(a, b)| number(a, b)).collect())
    }
}

/// What loading takes.
pub fn loading(name: &str, watch: &Watch) {
    let ms = |s: f64| format!("{:.0}", s * 1e3);
    let steps: Vec<_> = watch
        .steps
        .iter()
        .map(|(n, s)| format!("{n} {}", ms(*s)))
        .collect();
    println!(
        "{name}: loaded in {} ms, in {} ms of CPU time: {}",
        ms(watch.took.as_secs_f64()),
        ms(watch.steps.iter().map(|s| s.1).sum()),
        steps.join(", ")
    );
}

/// The table's head.
pub fn head(objects: &[Object]) {
    let name = |i: usize| objects.get(i).map_or("", |o| &o.name);
    println!(
        "\n{:<28}{:>9}{:>8}{:>9}{:>8}{:>8}{:>11}{:>8}",
        "packet",
        "flows",
        "floor",
        name(0),
        "/ floor",
        "- floor",
        name(1),
        if objects.len() > 1 { "ratio" } else { "" }
    );
}

/// One line of it.
pub fn row(r: &Row) {
    let subject = |i: usize| r.subjects.get(i).and_then(|s| median(r.net(s)));
    let with_floor = |f: fn(f64, f64) -> f64| r.pairs(&r.subjects[0], r.floor.as_ref()?, f);
    let (other, ratio) = match r.subjects.get(1) {
        Some(other) => (
            cell(subject(1), 0),
            cell(r.pairs(&r.subjects[0], other, |a, b| a / b), 2),
        ),
        None => Default::default(),
    };
    println!(
        "{:<28}{:>9}{:>8}{:>9}{:>8}{:>8}{other:>11}{ratio:>8}",
        r.name,
        r.flows,
        cell(r.floor.as_ref().and_then(|f| median(r.net(f))), 0),
        cell(subject(0), 0),
        cell(with_floor(|a, b| a / b), 2),
        cell(with_floor(|a, b| a - b), 0),
    );
}

/// What stands below it. `idle` are the measurements of the empty program.
pub fn end(idle: Vec<f64>) {
    println!(
        "\nns per packet, medians, without the {} ns that an empty program and going from flow to flow take.\n\
         floor = parse, read the clock, look the flow up, add to two counters.",
        cell(median(idle), 0)
    );
}
