//! What the sensor itself has to say, as events: every message of level info and above that goes to standard
//! error (or would, with -v) also becomes reporter_info, reporter_warning or reporter_error.
//!
//! Messages are made anywhere, on any thread; they wait here until whoever owns the event stream comes by.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;

use crate::event::{self, Event, Subscriptions, Ts};

/// Most messages that wait; the oldest go first.
pub const MOST: usize = 256;

/// Messages waiting to become events.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Somebody wants reporter events.
    wanted: AtomicBool,
    /// The queue is not empty.
    waiting: AtomicBool,
    queue: Mutex<VecDeque<Message>>,
}

/// A message and where in the sources it was made.
#[derive(Debug)]
struct Message {
    level: Level,
    text: String,
    location: String,
}

impl Reporter {
    /// Keeps messages from here on, if `subs` has any of the reporter events.
    pub fn listen(&self, subs: Subscriptions) {
        let kinds = [
            event::ReporterInfo::KIND,
            event::ReporterWarning::KIND,
            event::ReporterError::KIND,
        ];
        let wanted = kinds.iter().any(|k| subs.wants(*k));
        self.0.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Hands out what waits, as events at network time `ts`.
    pub fn drain(&self, ts: Ts, mut out: impl FnMut(&dyn Event)) {
        // Asked for every packet: a swap would wait for all writes before it.
        if !self.0.waiting.load(Ordering::Relaxed) || !self.0.waiting.swap(false, Ordering::Relaxed) {
            return;
        }
        // Not handed out under the lock: an output may have something to say, too.
        let messages = std::mem::take(&mut *self.queue());
        for m in messages {
            let (t, msg, location) = (ts, m.text.as_str(), m.location.as_str());
            match m.level {
                Level::ERROR => out(&event::ReporterError { t, msg, location }),
                Level::WARN => out(&event::ReporterWarning { t, msg, location }),
                _ => out(&event::ReporterInfo { t, msg, location }),
            }
        }
    }

    /// Whether a message of that level would become an event.
    pub fn takes(&self, level: Level) -> bool {
        // Greater is more verbose.
        level <= Level::INFO && self.0.wanted.load(Ordering::Relaxed)
    }

    /// Keeps a message that was made at `location` in the sources.
    pub fn push(&self, level: Level, text: String, location: String) {
        let mut queue = self.queue();
        if queue.len() >= MOST {
            queue.pop_front();
        }
        queue.push_back(Message {
            level,
            text,
            location,
        });
        self.0.waiting.store(true, Ordering::Relaxed);
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Message>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
