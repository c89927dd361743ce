//! All that is known of names and addresses, within bounds, and until when it is taken without asking.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::ask::Got;
use super::mapping::{Change, Mapping, Outcome, compare};
use super::query::Query;
use crate::event::Ts;

/// Of what is known too much, one of so many goes, the oldest.
const GIVES_WAY: usize = 16;

/// How long an answer is taken without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// At least so long, also that there was no answer.
    pub least: Duration,
    /// At most so long.
    pub most: Duration,
}

impl Keep {
    /// How long an answer is that may be kept for so long itself; None: it does not say.
    fn of(&self, ttl: Option<Duration>) -> Duration {
        let ttl = ttl.unwrap_or(self.least);
        ttl.min(self.most).max(self.least)
    }
}

/// What is known of one query.
struct Entry {
    mapping: Mapping,
    /// Until when it is taken without asking; None: it is of an earlier run.
    until: Option<Instant>,
    /// The last question had no answer.
    is_unanswered: bool,
}

impl Entry {
    fn got(&self) -> Got {
        match (self.is_unanswered, self.mapping.found.clone()) {
            (true, before) => Got::Unanswered(before),
            (false, Some(found)) => Got::Found(found),
            (false, None) => Got::Empty,
        }
    }
}

/// All that is known.
pub struct Known {
    entries: HashMap<Query, Entry>,
    max: usize,
    keep: Keep,
    /// Something has changed since it was written.
    is_changed: bool,
}

impl Known {
    /// What an earlier run knew. `max`: how much there may be.
    pub fn new(max: usize, keep: Keep, earlier: Vec<Mapping>) -> Known {
        let mut known = Known {
            entries: HashMap::new(),
            max: max.max(1),
            keep,
            is_changed: false,
        };
        for mapping in earlier {
            let entry = Entry {
                mapping: mapping.clone(),
                until: None,
                is_unanswered: false,
            };
            known.entries.insert(mapping.query, entry);
        }
        known.bound();
        known
    }

    /// What is to be said without asking.
    pub fn fresh(&self, query: &Query, now: Instant) -> Option<Got> {
        let entry = self.entries.get(query)?;
        entry.until.is_some_and(|u| now < u).then(|| entry.got())
    }

    /// What was last known.
    pub fn mapping(&self, query: &Query) -> Option<&Mapping> {
        self.entries.get(query).map(|e| &e.mapping)
    }

    /// Takes what came of a question that was asked at `at`, by the wall clock, and may be kept for `ttl`.
    pub fn note(
        &mut self,
        query: &Query,
        at: Ts,
        outcome: Outcome,
        ttl: Option<Duration>,
        now: Instant,
    ) -> (Got, Option<Change>) {
        let is_unanswered = outcome == Outcome::Unanswered;
        let ttl = if is_unanswered { None } else { ttl };
        let before = self.entries.remove(query).map(|e| e.mapping);
        let (mapping, change) = compare(before, query, at, outcome);
        let entry = Entry {
            mapping,
            until: Some(now + self.keep.of(ttl)),
            is_unanswered,
        };
        let got = entry.got();
        self.entries.insert(query.clone(), entry);
        self.is_changed = true;
        self.bound();
        (got, change)
    }

    /// The oldest go if there are too many.
    fn bound(&mut self) {
        if self.entries.len() <= self.max {
            return;
        }
        // Some at once, so that this is done seldom.
        let keep = self.max - self.max / GIVES_WAY;
        let mut ages: Vec<Ts> = self.entries.values().map(|e| e.mapping.at).collect();
        let (_, oldest_kept, _) = ages.select_nth_unstable_by(keep - 1, |a, b| b.cmp(a));
        let oldest_kept = *oldest_kept;
        let mut left = keep;
        let is_newer = |e: &Entry| e.mapping.at > oldest_kept;
        left -= self.entries.values().filter(|e| is_newer(e)).count();
        // Of those of the same age as many as there is room for.
        self.entries.retain(|_, e| {
            if is_newer(e) {
                return true;
            }
            let stays = e.mapping.at == oldest_kept && left > 0;
            left -= usize::from(stays);
            stays
        });
    }

    /// All of it, if it has changed since it was asked for last.
    pub fn changed(&mut self) -> Option<impl Iterator<Item = &Mapping>> {
        let is_changed = std::mem::take(&mut self.is_changed);
        is_changed.then(|| self.entries.values().map(|e| &e.mapping))
    }

    /// It has not been written after all.
    pub fn not_written(&mut self) {
        self.is_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::mapping::{Found, How};
    use super::*;

    const KEEP: Keep = Keep {
        least: Duration::from_secs(10),
        most: Duration::from_secs(100),
    };

    fn addr(n: u8) -> Outcome {
        let addrs = vec![std::net::IpAddr::from([192, 0, 2, n])];
        Found::addrs(addrs).map_or(Outcome::Empty, Outcome::Found)
    }

    fn query(n: usize) -> Query {
        Query::of(&format!("h{n}.example")).expect("a name")
    }

    #[test]
    fn an_answer_is_taken_as_long_as_it_says_within_bounds() {
        let mut known = Known::new(100, KEEP, Vec::new());
        let (q, begin) = (query(1), Instant::now());
        let secs = Duration::from_secs;
        for (ttl, kept) in [(Some(0), 10), (Some(50), 50), (Some(1000), 100), (None, 10)] {
            known.note(&q, 1, addr(1), ttl.map(secs), begin);
            let at = |s: f64| known.fresh(&q, begin + Duration::from_secs_f64(s)).is_some();
            assert!(at(f64::from(kept) - 0.1), "{ttl:?}");
            assert!(!at(f64::from(kept) + 0.1), "{ttl:?}");
        }
        // That nobody answered is no answer to be kept for long.
        let (got, change) = known.note(&q, 2, Outcome::Unanswered, Some(secs(90)), begin);
        let Outcome::Found(before) = addr(1) else {
            panic!("an address")
        };
        assert_eq!(got, Got::Unanswered(Some(before)));
        assert_eq!(change.map(|c| c.how), Some(How::Unverified));
        assert_eq!(known.fresh(&q, begin + secs(9)), Some(got));
        assert_eq!(known.fresh(&q, begin + secs(11)), None);
    }

    #[test]
    fn what_an_earlier_run_knew_is_asked_again_and_compared() {
        let mut first = Known::new(100, KEEP, Vec::new());
        let now = Instant::now();
        first.note(&query(1), 1, addr(1), None, now);
        let earlier: Vec<_> = first.changed().expect("changed").cloned().collect();
        assert!(first.changed().is_none(), "nothing has changed since");
        let mut second = Known::new(100, KEEP, earlier);
        assert_eq!(second.fresh(&query(1), now), None);
        let (_, change) = second.note(&query(1), 2, addr(2), None, now);
        let Some(How::Altered { old, new }) = change.map(|c| c.how) else {
            panic!("another address")
        };
        assert_eq!((old.len(), new.len()), (1, 1));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut known = Known::new(160, KEEP, Vec::new());
        let now = Instant::now();
        for n in 0..1000 {
            // Ten of each age.
            known.note(&query(n), n as Ts / 10, addr(1), None, now);
            assert!(known.entries.len() <= 160, "{n}");
        }
        assert!(known.entries.len() >= 150);
        assert!(known.mapping(&query(999)).is_some() && known.mapping(&query(500)).is_none());
        let earlier = (0..1000).map(|n| Mapping {
            query: query(n),
            at: 7,
            found: None,
        });
        assert_eq!(Known::new(160, KEEP, earlier.collect()).entries.len(), 150);
        let one = Known::new(0, KEEP, vec![]);
        assert_eq!(one.max, 1);
    }
}
