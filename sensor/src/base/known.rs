//! What a log has of hosts already, so that it is not told again the same day.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::daily::{Daily, is_recent};
use super::time::Ts;

/// What is remembered, each of one host; some 50 bytes each.
const MOST_LOGGED: usize = 1 << 18;
/// That of it which an engine finds without the others' memory.
const MOST_AT_HAND: usize = 1 << 12;

/// A host and the hash of what is known of it.
type Fact = (IpAddr, u64);

/// What was logged of hosts within a day (Zeek: the expiry of Software::tracked_software). One memory for all engines: a host's
/// connections are on several.
#[derive(Debug)]
pub struct Known {
    all: Arc<Mutex<Daily<Fact>>>,
    /// The hash has a key of its own in each run, so nobody finds two facts of the same hash.
    hasher: RandomState,
    /// What this engine has met again, and when it was logged: so what comes with every connection takes no lock.
    at_hand: HashMap<Fact, Ts>,
}

/// A hand for another engine.
impl Clone for Known {
    fn clone(&self) -> Known {
        Known {
            all: self.all.clone(),
            hasher: self.hasher.clone(),
            at_hand: HashMap::new(),
        }
    }
}

impl Default for Known {
    fn default() -> Known {
        Known::with_room(MOST_LOGGED)
    }
}

impl Known {
    /// Empty, and with room for so many facts.
    pub fn with_room(room: usize) -> Known {
        Known {
            all: Arc::new(Mutex::new(Daily::with_room(room))),
            hasher: RandomState::new(),
            at_hand: HashMap::new(),
        }
    }

    /// Whether the log does not have this of this host yet, or not for a day. Remembers it.
    pub fn is_new(&mut self, host: IpAddr, what: &[u8], now: Ts) -> bool {
        let key = (host, self.hasher.hash_one(what));
        if self.at_hand.get(&key).is_some_and(|at| is_recent(*at, now)) {
            return false;
        }
        let said = {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.said_at(key, now)
        };
        let Some(at) = said else { return true };
        // Starting over costs some locks; choosing whom to drop would cost every look.
        if self.at_hand.len() >= MOST_AT_HAND {
            self.at_hand.clear();
        }
        self.at_hand.insert(key, at);
        false
    }

    /// Facts that are remembered.
    #[cfg(test)]
    pub fn remembered(&self) -> usize {
        self.all.lock().map_or(0, |all| all.remembered())
    }

    /// Those that are found without the others' memory.
    #[cfg(test)]
    pub fn at_hand(&self) -> usize {
        self.at_hand.len()
    }
}
