//! Time in a live run. Records are stamped since boot, by a clock that only goes forward; logs and events tell the time
//! of day, which an administrator, NTP or a resumed machine may set to another one at any moment.
//!
//! The engine knows the first clock alone, moved once so that it agrees with the time of day at the start: timers and
//! durations do not notice a step. On their way out times become those of the day that the wall clock showed *then*: a
//! connection keeps the start that it was given, whatever the clock does afterwards.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::base::time::MILLISECOND;
use crate::conn::events::ConnLogConn;
use crate::datapath::xdp;
use crate::event::log::{Changed, LogRow, Value};
use crate::event::{self, Event, Ts};

/// Two readings of the clocks that differ by no more than this count as equal, ns.
const NOISE_NS: u64 = MILLISECOND;
/// Smallest change of the wall clock that is reported, ns.
const STEP_NS: u64 = 500 * MILLISECOND;
/// Most changes of the wall clock that are remembered. Times before the oldest one are shifted as at that change.
const MAX_CHANGES: usize = 1024;

/// The clock of a run; copies are the same clock.
#[derive(Clone)]
pub struct Clock {
    /// Added to a time since boot it gives the engine's time, ns.
    shift: i64,
    changes: Arc<Changes>,
}

#[derive(Default)]
struct Changes {
    /// Number of changes.
    n: AtomicUsize,
    /// Engine's time of each change, and what to add to the engine's time from then on to get the time of day, ns.
    list: RwLock<Vec<(Ts, i64)>>,
}

impl Clock {
    pub fn new() -> Self {
        Self::at(xdp::boot_to_epoch())
    }

    /// The clock of an earlier run since the same boot, which moved times by `shift`, at the time of day.
    pub fn of_earlier(shift: i64) -> Self {
        let clock = Self::at(shift);
        clock.look();
        clock
    }

    fn at(shift: i64) -> Self {
        Clock {
            shift,
            changes: Arc::default(),
        }
    }

    /// What to add to a time since boot to get the engine's time, ns.
    pub fn shift(&self) -> i64 {
        self.shift
    }

    /// Now, since boot, ns.
    pub fn boot() -> u64 {
        xdp::boot_now()
    }

    /// The engine's time now, ns.
    pub fn now(&self) -> Ts {
        Self::boot().wrapping_add_signed(self.shift)
    }

    /// Looks at the wall clock. Returns how far it was set, ns, if that is more than [`STEP_NS`].
    pub fn look(&self) -> Option<i64> {
        self.seen(self.now(), xdp::boot_to_epoch())
    }

    /// At the engine's time `now`, the wall clock is `offset` ahead of that since boot.
    fn seen(&self, now: Ts, offset: i64) -> Option<i64> {
        let by = offset - self.shift;
        let mut list = self.changes.list.write().unwrap_or_else(PoisonError::into_inner);
        let change = by - list.last().map_or(0, |c| c.1);
        if change.unsigned_abs() <= NOISE_NS {
            return None;
        }
        if list.len() == MAX_CHANGES {
            list.remove(0);
        }
        list.push((now, by));
        self.changes.n.store(list.len(), Ordering::Release);
        (change.unsigned_abs() > STEP_NS).then_some(change)
    }

    /// Whether the wall clock was ever changed.
    fn is_changed(&self) -> bool {
        self.changes.n.load(Ordering::Acquire) != 0
    }

    /// What the wall clock showed at the engine's time `t`.
    pub fn of_day(&self, t: Ts) -> Ts {
        if !self.is_changed() {
            return t;
        }
        let list = self.changes.list.read().unwrap_or_else(PoisonError::into_inner);
        let then = match list.iter().rfind(|c| c.0 <= t) {
            Some(change) => change.1,
            None if list.len() < MAX_CHANGES => 0,
            None => list[0].1,
        };
        t.saturating_add_signed(then)
    }

    /// Hands on a row with times of day.
    pub fn row<R>(&self, row: &dyn LogRow, then: impl FnOnce(&dyn LogRow) -> R) -> R {
        if self.is_changed() {
            then(&Changed::new(row, |v, _| {
                if let Value::Time(t) = v {
                    *t = self.of_day(*t);
                }
            }))
        } else {
            then(row)
        }
    }

    /// Hands on an event with times of day.
    pub fn event<R>(&self, ts: Ts, ev: &dyn Event, then: impl FnOnce(Ts, &dyn Event) -> R) -> R {
        if !self.is_changed() {
            return then(ts, ev);
        }
        let ts = self.of_day(ts);
        if let Some(ConnLogConn { rec }) = ConnLogConn::of(ev) {
            return self.row(rec, |rec| then(ts, &ConnLogConn { rec }));
        }
        let new_event = event::NewEvent::of(ev);
        match new_event.and_then(|e| Some((e.name, ConnLogConn::of(e.params)?))) {
            Some((name, ConnLogConn { rec })) => self.row(rec, |rec| {
                let params = &ConnLogConn { rec };
                then(ts, &event::NewEvent { name, params })
            }),
            None => then(ts, ev),
        }
    }
}

/// How far the clock was set, in words.
pub fn said(step: i64) -> String {
    let way = if step < 0 { "back" } else { "forward" };
    // To the tenth of a second: what the clocks' own readings differ by is no part of it.
    let tenths = (step.unsigned_abs() + 50_000_000) / 100_000_000;
    let by = Duration::from_millis(tenths * 100);
    format!("the wall clock was set {way} by {by:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = crate::base::time::SECOND;
    const HOUR: i64 = 3600 * S as i64;

    #[test]
    fn what_was_before_a_step_stays_where_it_was() {
        let clock = Clock::at(1000 * S as i64);
        assert_eq!(clock.seen(1010 * S, 1000 * S as i64 + 300), None);
        assert!(!clock.is_changed());
        assert_eq!(clock.seen(1020 * S, 1000 * S as i64 + HOUR), Some(HOUR));
        assert_eq!(clock.of_day(1019 * S), 1019 * S);
        assert_eq!(clock.of_day(1020 * S), 1020 * S + HOUR as u64);
        // Followed, and not worth a word.
        assert_eq!(clock.seen(1030 * S, 1000 * S as i64 + HOUR + S as i64 / 10), None);
        assert_eq!(clock.of_day(1031 * S), 1031 * S + HOUR as u64 + S / 10);
        let back = -HOUR - S as i64 / 10 - 5 * S as i64;
        assert_eq!(clock.seen(1040 * S, 995 * S as i64), Some(back));
        assert_eq!(clock.of_day(1041 * S), 1036 * S);
        assert_eq!(clock.of_day(1025 * S), 1025 * S + HOUR as u64);
    }

    #[test]
    fn a_clock_that_is_set_all_day_long_is_not_remembered_for_ever() {
        let clock = Clock::at(0);
        for n in 1..3 * MAX_CHANGES as u64 {
            clock.seen(n * S, (n * S) as i64);
        }
        assert_eq!(clock.changes.list.read().unwrap().len(), MAX_CHANGES);
        let n = 3 * MAX_CHANGES as u64 - 1;
        assert_eq!(clock.of_day(n * S), 2 * n * S);
        let oldest = 2 * MAX_CHANGES as u64;
        assert_eq!(clock.of_day(0), oldest * S);
    }

    #[test]
    fn a_step_reads_well() {
        assert_eq!(said(HOUR), "the wall clock was set forward by 3600s");
        assert_eq!(said(-1_499_999_999), "the wall clock was set back by 1.5s");
    }
}
