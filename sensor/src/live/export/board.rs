//! What the main thread shows to whoever asks: its numbers, once a second, and whether all is well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::page::{Build, Shown, page};

/// The board; copies are the same one.
#[derive(Clone)]
pub struct Board(Arc<Mutex<State>>);

struct State {
    build: Build,
    shown: Option<Shown>,
    /// The page of what is shown, once somebody has asked for it. All who read it share it.
    page: Option<Arc<[u8]>>,
    healthy: Result<(), String>,
    ready: Result<(), String>,
}

impl Board {
    /// With nothing on it.
    pub fn new(object: String) -> Self {
        Board(Arc::new(Mutex::new(State {
            build: Build { object },
            shown: None,
            page: None,
            healthy: Ok(()),
            ready: Err("not yet attached".to_owned()),
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
        (state.shown, state.page) = (Some(shown), None);
    }

    /// The run ends, for this reason if it is none that was asked for.
    pub fn ends(&self, failed: Option<String>) {
        let mut state = self.state();
        state.ready = Err("the sensor ends".to_owned());
        if let Some(why) = failed {
            state.healthy = Err(why);
        }
    }

    /// Whether the workers work; else why not.
    pub fn healthy(&self) -> Result<(), String> {
        self.state().healthy.clone()
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
