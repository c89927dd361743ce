//! What was said within the last day, so that it is not said again.

use std::collections::HashMap;
use std::hash::Hash;

use super::time::{DAY, MINUTE, Ts};

/// Least time between two looks through a full memory for what is older than a day, ns.
const SWEEP_EVERY_NS: Ts = MINUTE;

/// Whether what was said at `at` need not be said again.
pub fn is_recent(at: Ts, now: Ts) -> bool {
    now < at.saturating_add(DAY)
}

/// Things by key, and when each was said. It has room for so many and no more: those beyond are said each time.
#[derive(Debug)]
pub struct Daily<K> {
    room: usize,
    said: HashMap<K, Ts>,
    /// When it was last looked through for old ones.
    swept: Ts,
}

impl<K: Eq + Hash> Daily<K> {
    /// Without any yet, and with room for so many.
    pub fn with_room(room: usize) -> Daily<K> {
        Daily {
            room,
            said: HashMap::new(),
            swept: 0,
        }
    }

    /// Whether this was not said yet, or not for a day. Remembers it.
    pub fn is_new(&mut self, key: K, now: Ts) -> bool {
        self.said_at(key, now).is_none()
    }

    /// When this was said, if that is less than a day ago. Else remembers that it is said now.
    pub fn said_at(&mut self, key: K, now: Ts) -> Option<Ts> {
        let is_recent = |t: &Ts| is_recent(*t, now);
        if let Some(at) = self.said.get(&key).copied().filter(is_recent) {
            return Some(at);
        }
        // Not with every one: many new ones a day would make that slow.
        if self.said.len() >= self.room && now >= self.swept.saturating_add(SWEEP_EVERY_NS) {
            self.swept = now;
            self.said.retain(|_, t| is_recent(t));
        }
        if self.said.len() < self.room || self.said.contains_key(&key) {
            self.said.insert(key, now);
        }
        None
    }

    /// How many are remembered.
    #[cfg(test)]
    pub fn remembered(&self) -> usize {
        self.said.len()
    }
}
