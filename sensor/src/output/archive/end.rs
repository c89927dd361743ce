//! The end of a run, for the thread of the archive.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// When the run ended, which the thread looks at.
#[derive(Clone, Debug, Default)]
pub struct End(Arc<OnceLock<Instant>>);

impl End {
    /// The run ends, and what is not done in so much time is left.
    pub fn begin(&self, grace: Duration) {
        self.0.get_or_init(|| Instant::now() + grace);
    }

    /// Whether to leave what is not done to the next start.
    pub fn is_over(&self) -> bool {
        self.0.get().is_some_and(|deadline| Instant::now() >= *deadline)
    }

    /// Whether the run ends.
    pub fn has_begun(&self) -> bool {
        self.0.get().is_some()
    }
}
