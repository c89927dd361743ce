//! How long the end of a run waits for its outputs: as long as they get on, and not long when they do not.
//!
//! Shared by all who have something to hand over, so that one stuck output is waited for once, and not by each of
//! them in turn.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Whether the run ends, and since when. Before its end nobody waits.
#[derive(Clone, Debug, Default)]
pub struct Patience(Arc<State>);

#[derive(Debug, Default)]
struct State {
    since: OnceLock<Instant>,
    hurried: AtomicBool,
}

/// How long the end waits for an output.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Longest wait while the output takes nothing.
    pub stuck: Duration,
    /// Longest wait while the output makes progress.
    pub slow: Duration,
}

/// When an output's thread last made progress.
#[derive(Clone, Debug)]
pub struct Progress(Arc<(Instant, AtomicU64)>);

impl Default for Progress {
    fn default() -> Self {
        Progress(Arc::new((Instant::now(), AtomicU64::new(0))))
    }
}

impl Progress {
    /// The output's thread calls this after each piece that it has written.
    pub fn made(&self) {
        let ms = self.0.0.elapsed().as_millis() as u64;
        self.0.1.store(ms, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.0.0 + Duration::from_millis(self.0.1.load(Ordering::Relaxed))
    }
}

impl Patience {
    /// The run ends: from here on handing over may wait. Only the first call counts.
    pub fn begin(&self) {
        self.0.since.get_or_init(Instant::now);
    }

    /// Whether the run ends.
    pub fn began(&self) -> bool {
        self.0.since.get().is_some()
    }

    /// From now on nobody waits.
    pub fn end(&self) {
        self.0.hurried.store(true, Ordering::Relaxed);
    }

    /// Whether to go on waiting for an output that last made progress at `progress`.
    pub fn lasts(&self, progress: &Progress, limit: Limit) -> bool {
        let Some(&since) = self.0.since.get() else {
            return false;
        };
        let now = Instant::now();
        !self.0.hurried.load(Ordering::Relaxed)
            && now < since + limit.slow
            && now < since.max(progress.last()) + limit.stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        stuck: Duration::from_millis(200),
        slow: Duration::from_secs(3600),
    };

    #[test]
    fn it_begins_with_the_end_and_lasts_while_something_gets_on() {
        let (patience, progress) = (Patience::default(), Progress::default());
        assert!(!patience.lasts(&progress, LIMIT), "the run goes on");
        patience.begin();
        for _ in 0..3 {
            std::thread::sleep(LIMIT.stuck / 2);
            progress.made();
            assert!(patience.lasts(&progress, LIMIT));
        }
        std::thread::sleep(LIMIT.stuck);
        assert!(!patience.lasts(&progress, LIMIT), "nothing got on");
        progress.made();
        assert!(patience.lasts(&progress, LIMIT));
        let slow = LIMIT.stuck;
        assert!(!patience.lasts(&progress, Limit { slow, ..LIMIT }), "all in all");
        patience.end();
        assert!(!patience.lasts(&progress, LIMIT));
    }
}
