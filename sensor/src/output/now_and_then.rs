//! What may happen thousands of times is said now and then.

use std::time::{Duration, Instant};

/// Least time between two complaints.
const EVERY: Duration = Duration::from_secs(60);

/// When something was said last.
#[derive(Debug, Default)]
pub struct NowAndThen(Option<Instant>);

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
