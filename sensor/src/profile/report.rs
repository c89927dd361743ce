//! What prof.log is told, round by round.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::clock;
use super::log::ProfRow;
use super::names::name;
use super::place;
use super::sampler::Sampler;
use crate::event::Ts;

/// What something costs, that others count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// prof.log's `kind`: `handler` or `map`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// CPU time since the start, ns, if it is counted.
    pub cpu: Option<u64>,
    /// Calls since the start, or how much is in it.
    pub count: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
}

/// A row of which nothing is known yet.
fn blank<'n>(ts: Ts, kind: &'static str, name: &'n str) -> ProfRow<'n> {
    ProfRow {
        ts,
        kind,
        name,
        cpu: None,
        share: None,
        count: None,
        memory: None,
    }
}

/// The profile of a run.
pub struct Profile {
    sampler: Sampler,
    every: Duration,
    due: Instant,
    /// Every so many rounds there is more in it.
    expensive: u64,
    rounds: u64,
    /// What the last rows had said, by kind and name.
    said: HashMap<(&'static str, String), u64>,
}

impl Profile {
    /// Begins one with rows at this interval, of which every so many are more expensive.
    pub fn begin(every: Duration, expensive: u64) -> std::io::Result<Profile> {
        Ok(Profile {
            sampler: Sampler::start()?,
            every,
            due: Instant::now() + every,
            expensive: expensive.max(1),
            rounds: 0,
            said: HashMap::new(),
        })
    }

    /// Whether rows are due.
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.due
    }

    /// Tells all rows at the time `ts`; `costs` gives what others count, if it is asked for. Whether it was an expensive round.
    /// `is_last`: the run is over, and all is told.
    pub fn tell(
        &mut self,
        ts: Ts,
        is_last: bool,
        costs: impl FnOnce() -> Vec<Cost>,
        mut row: impl FnMut(&ProfRow<'_>),
    ) -> bool {
        self.due = Instant::now() + self.every;
        self.rounds += 1;
        let expensive = is_last || self.rounds.is_multiple_of(self.expensive);
        let all = self.since("process", "cpu", clock::of_process());
        let share = |cpu: u64| (all > 0).then(|| cpu as f64 * 100.0 / all as f64);
        row(&ProfRow {
            cpu: Some(all as i64),
            share: share(all),
            memory: Some(clock::allocated()).filter(|n| *n > 0),
            ..blank(ts, "process", "cpu")
        });
        let used = self.sampler.used();
        let mut by = [0; place::MOST];
        let mut watched = 0;
        for thread in &used {
            let sum: u64 = thread.by.iter().sum();
            by.iter_mut().zip(thread.by).for_each(|(to, from)| *to += from);
            let cpu = self.since("thread", &thread.name, sum);
            watched += cpu;
            row(&ProfRow {
                cpu: Some(cpu as i64),
                share: share(cpu),
                ..blank(ts, "thread", &thread.name)
            });
        }
        let rest = all.saturating_sub(watched);
        row(&ProfRow {
            cpu: Some(rest as i64),
            share: share(rest),
            ..blank(ts, "thread", "others")
        });
        for (place, sum) in by.iter().enumerate().filter(|(_, sum)| **sum > 0) {
            let is_part = place < place::PARTS.len();
            let kind = if is_part { "part" } else { "analyzer" };
            if !is_part && !expensive {
                continue;
            }
            let cpu = self.since(kind, name(place), *sum);
            row(&ProfRow {
                cpu: Some(cpu as i64),
                share: share(cpu),
                ..blank(ts, kind, name(place))
            });
        }
        // Between expensive rounds analyzers are one part.
        let analyzers: u64 = by.iter().skip(place::PARTS.len()).sum();
        let cpu = self.since("part", "analyzers", analyzers);
        row(&ProfRow {
            cpu: Some(cpu as i64),
            share: share(cpu),
            ..blank(ts, "part", "analyzers")
        });
        if expensive {
            for cost in costs() {
                let cpu = cost.cpu.map(|sum| self.since(cost.kind, &cost.name, sum));
                row(&ProfRow {
                    cpu: cpu.map(|ns| ns as i64),
                    share: cpu.and_then(share),
                    count: cost.count,
                    memory: cost.memory,
                    ..blank(ts, cost.kind, &cost.name)
                });
            }
        }
        expensive
    }

    /// How much a sum has grown.
    fn since(&mut self, kind: &'static str, name: &str, sum: u64) -> u64 {
        let before = self.said.insert((kind, name.to_owned()), sum).unwrap_or(0);
        sum.saturating_sub(before)
    }
}
