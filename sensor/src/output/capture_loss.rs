//! capture_loss.log: how much of the traffic did not come to the sensor, by what its receivers acknowledged (Zeek:
//! policy/misc/capture-loss).

use crate::base::time::SECOND;
use crate::event::{Ts, row};

/// The first row comes so soon, unless the interval is shorter (Zeek: initial_watch_interval), ns.
const FIRST: u64 = 60 * SECOND;
/// Zeek: too_much_loss, percent.
const TOO_MUCH: f64 = 10.0;

row! {
    /// One row of capture_loss.log.
    #[derive(Clone, Debug, PartialEq)]
    pub struct CaptureLossRow in "capture_loss" {
        /// When the interval ended.
        ts: time,
        /// How long it was.
        ts_delta: interval,
        /// Who writes it: always `sensor`.
        peer: text (&'static str),
        /// Acknowledgements of bytes that never came.
        gaps: count,
        /// Acknowledgements of new bytes.
        acks: count,
        /// How many of all those are, percent.
        percent_lost: double,
    }
}

/// The intervals of a run.
#[derive(Debug)]
pub struct CaptureLoss {
    /// From one row to the next, ns.
    every: u64,
    /// When the interval began; None: nothing was seen yet.
    since: Option<Ts>,
    /// When it ends.
    until: Ts,
    /// Acknowledgements and gaps at its beginning.
    acks: u64,
    gaps: u64,
}

impl CaptureLoss {
    /// Intervals of so many nanoseconds.
    pub fn new(every: u64) -> CaptureLoss {
        CaptureLoss {
            every,
            since: None,
            until: 0,
            acks: 0,
            gaps: 0,
        }
    }

    /// Whether an interval ends at `now`. The first one begins with the first time that is told.
    #[inline]
    pub fn is_due(&mut self, now: Ts) -> bool {
        if self.since.is_none() {
            self.since = Some(now);
            self.until = now.saturating_add(self.every.min(FIRST));
        }
        now >= self.until
    }

    /// Ends the interval: its row, when there were so many acknowledgements and gaps so far. None: no time has passed.
    pub fn row(&mut self, now: Ts, acks: u64, gaps: u64) -> Option<CaptureLossRow> {
        let since = self.since.filter(|since| now > *since)?;
        let [all, lost] = [acks.saturating_sub(self.acks), gaps.saturating_sub(self.gaps)];
        (self.acks, self.gaps) = (acks, gaps);
        (self.since, self.until) = (Some(now), now.saturating_add(self.every));
        let percent_lost = match all {
            0 => 0.0,
            _ => 100.0 * lost as f64 / all as f64,
        };
        if percent_lost >= TOO_MUCH {
            tracing::warn!(
                "too much capture loss: of {all} acknowledgements {lost} were of bytes that never came here \
                 ({percent_lost:.1}%); the sensor's own losses are in stats.log, others are before it: at the interface, a \
                 mirror port or a tap"
            );
        }
        Some(CaptureLossRow {
            ts: now,
            ts_delta: (now - since) as i64,
            peer: "sensor",
            gaps: lost,
            acks: all,
            percent_lost,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_of_its_own_interval() {
        let mut loss = CaptureLoss::new(900 * SECOND);
        let at = |s: u64| 1_000_000 * SECOND + s * SECOND;
        assert!(!loss.is_due(at(0)) && !loss.is_due(at(59)) && loss.is_due(at(60)));
        let row = loss.row(at(60), 200, 1).expect("a row");
        crate::catalog::held::hold(&row);
        let interval = (60 * SECOND) as i64;
        assert_eq!((row.ts, row.ts_delta), (at(60), interval));
        assert_eq!((row.acks, row.gaps, row.percent_lost), (200, 1, 0.5));
        assert!(!loss.is_due(at(959)) && loss.is_due(at(1000)));
        let row = loss.row(at(1000), 200, 1).expect("a row");
        assert_eq!((row.acks, row.gaps, row.percent_lost), (0, 0, 0.0));
        assert_eq!(loss.row(at(1000), 300, 2), None, "no time has passed");
        let row = loss.row(at(1001), 204, 3).expect("a row");
        assert_eq!((row.acks, row.gaps, row.percent_lost), (4, 2, 50.0));
    }

    #[test]
    fn a_short_interval_has_no_first_one() {
        let mut loss = CaptureLoss::new(5 * SECOND);
        assert!(!loss.is_due(SECOND) && loss.is_due(6 * SECOND));
        assert!(
            CaptureLoss::new(SECOND).row(SECOND, 1, 1).is_none(),
            "nothing was seen"
        );
    }
}
