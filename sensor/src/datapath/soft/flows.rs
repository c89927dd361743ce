//! The soft datapath's flow table.
//!
//! Entries lie in a vector, so that memory is what the flows take and not what a half-empty hash
//! table leaves free; the hash table holds their numbers and 32 bits of their hash.
#![allow(
    unsafe_code,
    reason = "the flow state's functions take pointers, as in the BPF program"
)]

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use sensor_common::key::IPPROTO_UDP;
use sensor_common::{FlowKey, FlowState, follow, skip};

use crate::datapath::{FlowTable, hash_key};

struct Slot {
    key: FlowKey,
    state: FlowState,
}

#[derive(Clone, Copy)]
struct Index {
    slot: u32,
    hash: u32,
}

/// The flow table: [`FlowKey`] to [`FlowState`]. The hash is seeded anew in each process; nothing
/// depends on the order of the table.
pub struct Flows {
    index: HashTable<Index>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    hasher: RandomState,
    max: usize,
}

/// Spreads the 32 bits of hash that are kept over the 64 bits that the hash table wants.
#[inline(always)]
fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Flows {
    /// A table for at most `max` flows (and never more than 2^32).
    pub fn new(max: usize) -> Self {
        Flows {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hasher: RandomState::default(),
            max: max.min(u32::MAX as usize),
        }
    }

    #[inline(always)]
    fn hash(&self, k: &FlowKey) -> u32 {
        hash_key(&self.hasher, k) as u32
    }

    #[inline(always)]
    fn find(&self, key: &FlowKey) -> Option<usize> {
        let hash = self.hash(key);
        self.index
            .find(spread(hash), |i| {
                i.hash == hash && self.slots.get(i.slot as usize).is_some_and(|s| s.key == *key)
            })
            .map(|i| i.slot as usize)
    }

    /// The flow's state, made if there is none; true if it was made. None: the table is full.
    #[inline]
    pub(super) fn entry(&mut self, key: &FlowKey, ts: u64) -> Option<(&mut FlowState, bool)> {
        match self.find(key) {
            Some(slot) => self.slots.get_mut(slot).map(|s| (&mut s.state, false)),
            None => self.insert(key, ts).map(|s| (s, true)),
        }
    }

    fn insert(&mut self, key: &FlowKey, ts: u64) -> Option<&mut FlowState> {
        if self.index.len() >= self.max {
            return None;
        }
        let new = Slot {
            key: *key,
            state: FlowState::starting(ts),
        };
        let slot = match self.free.pop() {
            Some(n) => {
                *self.slots.get_mut(n as usize)? = new;
                n
            }
            None => {
                self.slots.push(new);
                self.slots.len() as u32 - 1
            }
        };
        let hash = self.hash(key);
        self.index
            .insert_unique(spread(hash), Index { slot, hash }, |i| spread(i.hash));
        self.slots.get_mut(slot as usize).map(|s| &mut s.state)
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

impl FlowTable for Flows {
    fn get(&mut self, key: &FlowKey) -> Option<FlowState> {
        self.find(key).and_then(|n| self.slots.get(n)).map(|s| s.state)
    }

    fn remove(&mut self, key: &FlowKey) -> Option<FlowState> {
        let hash = self.hash(key);
        let slots = &self.slots;
        let found = self.index.find_entry(spread(hash), |i| {
            i.hash == hash && slots.get(i.slot as usize).is_some_and(|s| s.key == *key)
        });
        let (Index { slot, .. }, _) = found.ok()?.remove();
        self.free.push(slot);
        self.slots.get(slot as usize).map(|s| s.state)
    }

    fn shed(&mut self, key: &FlowKey, dirs: u32) {
        if let Some(s) = self.find(key).and_then(|n| self.slots.get_mut(n)) {
            // SAFETY: an exclusive reference to a live entry: nobody else has one, and none of ours is used meanwhile.
            unsafe { follow::shed(&mut s.state, dirs) };
        }
    }

    fn follow(&mut self, key: &FlowKey, dir: u8, at: u32) -> bool {
        match self.find(key).and_then(|n| self.slots.get_mut(n)) {
            // SAFETY: as for `shed`.
            Some(s) if key.proto == IPPROTO_UDP => unsafe {
                follow::order_datagrams(&mut s.state, dir);
                true
            },
            // SAFETY: as for `shed`.
            Some(s) => unsafe { follow::order(&mut s.state, dir, at) },
            None => false,
        }
    }

    fn skip(&mut self, key: &FlowKey, dir: u8, end: u32) -> bool {
        match self.find(key).and_then(|n| self.slots.get_mut(n)) {
            // SAFETY: as for `shed`.
            Some(s) => unsafe { skip::order(&mut s.state, dir, end) },
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(n: u16) -> FlowKey {
        FlowKey {
            a_port: n,
            proto: 6,
            ..FlowKey::default()
        }
    }

    proptest! {
        /// The table is a map.
        #[test]
        fn like_a_map(ops in proptest::collection::vec((0u8..4, 0u16..32), 0..400)) {
            let mut t = Flows::new(24);
            let mut model: HashMap<u16, FlowState> = HashMap::new();
            for (n, (op, k)) in ops.into_iter().enumerate() {
                match op {
                    0 | 1 => {
                        let full = !model.contains_key(&k) && model.len() == 24;
                        let got = t.entry(&key(k), n as u64).map(|(s, new)| (*s, new));
                        if full {
                            prop_assert_eq!(got, None);
                        } else {
                            let new = !model.contains_key(&k);
                            let s = *model.entry(k).or_insert(FlowState::starting(n as u64));
                            prop_assert_eq!(got, Some((s, new)));
                        }
                    }
                    2 => prop_assert_eq!(t.remove(&key(k)), model.remove(&k)),
                    _ => {
                        t.shed(&key(k), 1);
                        if let Some(s) = model.get_mut(&k) {
                            s.shed |= 1;
                        }
                        prop_assert_eq!(t.get(&key(k)), model.get(&k).copied());
                    }
                }
                prop_assert_eq!(t.len(), model.len());
            }
        }
    }
}
