//! What may happen thousands of times is said now and then.

use std::time::{Duration, Instant};

/// Least time between two complaints.
const EVERY: Duration = Duration::from_secs(60);

/// When something was said last.
#[derive(Debug, Default)]
pub struct NowAndThen(Option<Instant>);

/// Losses that are said now and then, all so far, when there are more.
#[derive(Debug, Default)]
pub struct Growing {
    said: u64,
    when: NowAndThen,
}

impl Growing {
    /// Whether it is to be said that there are so many; then it counts as said.
    pub fn is_due(&mut self, now: u64) -> bool {
        let is_due = now > self.said && self.when.is_due();
        if is_due {
            self.said = now;
        }
        is_due
    }

    /// How many were said.
    pub fn said(&self) -> u64 {
        self.said
    }
}

impl NowAndThen {
    /// Whether it is to be said again; then it counts as said.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|t| t.elapsed() >= EVERY);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}
