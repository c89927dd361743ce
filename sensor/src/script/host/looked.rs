//! Answers to lookups of scripts.

use std::time::{Duration, Instant};

use super::super::lookups::Done;
use super::super::out::OwnEvent;
use super::super::values::looked;
use super::Host;

/// Most answers that are told before events go on.
const AT_ONCE: usize = 1024;

impl Host {
    /// Tells answers to lookups, and waits for them: so long at most. Whether there are still some to come.
    pub fn await_lookups(&mut self, time: Duration) -> bool {
        if self.lookups.is_waiting() {
            let until = Instant::now() + time;
            for _ in 0..AT_ONCE {
                let left = until.saturating_duration_since(Instant::now());
                let Some(done) = self.lookups.next_within(left) else {
                    break;
                };
                self.looked(done);
            }
        }
        self.lookups.is_waiting()
    }

    /// Tells the answers that are there; whoever still waits gets none.
    pub(super) fn end_lookups(&mut self) {
        self.await_lookups(Duration::ZERO);
        for done in self.lookups.end() {
            self.looked(done);
        }
    }

    /// A lookup has its answer: what it changed is an event, and its function is called.
    fn looked(&mut self, done: Done) {
        if let Some(change) = done.change {
            // What that does not take is too much anyway.
            let _ = self.state.event(OwnEvent::Lookup(Box::new(change)));
        }
        let called = looked(&self.lua, done.looked).and_then(|args| self.call(&done.f, args));
        if let Err(e) = called {
            self.fail(&e, None);
        }
    }
}

#[cfg(test)]
mod tests;
