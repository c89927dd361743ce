//! What is remembered of addresses, in bounds: who sends can make up as many as he likes.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// A map of two generations: what is used moves to the younger one, and when that is full the older one is forgotten.
pub struct Cache<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    generation: usize,
}

impl<K: Copy + Eq + Hash, V: Copy> Cache<K, V> {
    /// One that remembers the last `generation` at least, and twice as many at most.
    pub fn new(generation: usize) -> Cache<K, V> {
        Cache {
            young: HashMap::default(),
            old: HashMap::default(),
            generation,
        }
    }

    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some(v) = self.young.get(key) {
            return Some(*v);
        }
        let v = self.old.remove(key)?;
        self.put(*key, v);
        Some(v)
    }

    pub fn put(&mut self, key: K, v: V) {
        if self.young.len() >= self.generation {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_no_more_than_twice_as_many() {
        let mut cache = Cache::new(100);
        for n in 0..10_000_u64 {
            cache.put(n, n + 1);
            assert!(cache.get(&0).is_some(), "used all the time: {n}");
            assert!(cache.young.len() + cache.old.len() <= 200);
        }
        assert!((9_950..10_000).all(|n| cache.get(&n) == Some(n + 1)));
        assert_eq!(cache.get(&5_000), None);
    }
}
