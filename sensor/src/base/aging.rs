//! What is remembered in bounds: who sends can make up as many keys as he likes.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// A map that keeps the entries used last, `GENERATION` at least and twice as many at most, in two generations: what is used moves to
/// the younger one, and when that is full the older one is forgotten. So an entry is gone once a whole generation of others was
/// inserted or used after it.
#[derive(Debug)]
pub struct Aging<K, V, const GENERATION: usize> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    turns: u64,
}

impl<K, V, const GENERATION: usize> Default for Aging<K, V, GENERATION> {
    fn default() -> Self {
        Aging {
            young: HashMap::default(),
            old: HashMap::default(),
            turns: 0,
        }
    }
}

impl<K, V, const GENERATION: usize> Aging<K, V, GENERATION> {
    /// How often the younger generation became the older one.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Entries that are kept.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Copy + Eq + Hash, V, const GENERATION: usize> Aging<K, V, GENERATION> {
    /// The value of a key, which is used by that.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let v = self.old.remove(key)?;
            self.insert(*key, v);
        }
        self.young.get_mut(key)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.turns += 1;
        }
        self.young.insert(key, value);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Keeps those of which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.young.retain(|_, v| keep(v));
        self.old.retain(|_, v| keep(v));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_no_more_than_twice_as_many() {
        let mut all = Aging::<u64, u64, 100>::default();
        for n in 0..10_000_u64 {
            all.insert(n, n + 1);
            assert!(all.get(&0).is_some(), "used all the time: {n}");
            assert!(all.len() <= 200);
        }
        assert!((9_950..10_000).all(|n| all.get(&n).copied() == Some(n + 1)));
        assert_eq!(all.get(&5_000), None);
    }
}
