//! What the main thread shows to whoever asks: its numbers, once a second, and whether all is well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::page::{Build, Shown, page};

/// Age of what is shown from which on the main thread is said to hang: it looks once a second.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// The board; copies are the same one.
#[derive(Clone)]
pub struct Board(Arc<Mutex<State>>);

struct State {
    build: Build,
    shown: Option<Shown>,
    /// When something was shown last, or the board was made.
    at: Instant,
    /// The page of what is shown, once somebody has asked for it. All who read it share it.
    page: Option<Arc<[u8]>>,
    healthy: Result<(), String>,
    ready: Result<(), String>,
    /// The run ends: outputs are waited for, and nobody looks any more.
    ends: bool,
}

impl Board {
    /// With nothing on it.
    pub fn new(object: String) -> Self {
        Board(Arc::new(Mutex::new(State {
            build: Build { object },
            shown: None,
            at: Instant::now(),
            page: None,
            healthy: Ok(()),
            ready: Err("not yet attached".to_owned()),
            ends: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows numbers in place of those of before.
    pub fn show(&self, shown: Shown, healthy: Result<(), String>) {
        let gone = shown.snapshot.interfaces.iter().find(|i| !i.watched);
        let ready = match gone {
            Some(i) => Err(format!("{} is not watched: the interface is gone", i.name)),
            None => Ok(()),
        };
        let mut state = self.state();
        (state.healthy, state.ready) = (healthy, ready);
        state.at = Instant::now();
        (state.shown, state.page) = (Some(shown), None);
    }

    /// The run ends, for this reason if it is none that was asked for.
    pub fn ends(&self, failed: Option<String>) {
        let mut state = self.state();
        state.ready = Err("the sensor ends".to_owned());
        state.ends = true;
        if let Some(why) = failed {
            state.healthy = Err(why);
        }
    }

    /// Whether the workers work, and somebody looks after them; else why not.
    pub fn healthy(&self) -> Result<(), String> {
        self.healthy_at(Instant::now())
    }

    fn healthy_at(&self, now: Instant) -> Result<(), String> {
        let state = self.state();
        let age = now.saturating_duration_since(state.at);
        if age >= HANGS_AFTER && !state.ends {
            return Err(format!(
                "nobody has looked at the workers for {} s",
                age.as_secs()
            ));
        }
        state.healthy.clone()
    }

    /// Whether all interfaces are watched; else why not.
    pub fn ready(&self) -> Result<(), String> {
        self.state().ready.clone()
    }

    /// The numbers in Prometheus' text format; None: nothing is shown yet.
    pub fn page(&self) -> Option<Arc<[u8]>> {
        let mut state = self.state();
        if state.page.is_none() {
            let text = page(state.shown.as_ref()?, &state.build);
            state.page = Some(text.into_bytes().into());
        }
        state.page.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_nobody_writes_to_is_not_healthy() {
        let board = Board::new(String::new());
        let later = Instant::now() + Duration::from_secs(12);
        assert_eq!(board.healthy(), Ok(()));
        let why = board.healthy_at(later).expect_err("too old");
        assert!(why.starts_with("nobody has looked at the workers for 1"), "{why}");
        board.ends(None);
        assert_eq!(board.healthy_at(later), Ok(()), "the end may take its time");
        assert!(board.ready().is_err());
    }
}
