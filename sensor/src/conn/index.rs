//! Where a key's connection is: a hash table in many parts.
//!
//! A hash table that grows moves all that is in it at once, and looks at each connection for it: at a million that
//! would stop the packets for a tenth of a second. Here one of the parts grows at a time.

use hashbrown::HashTable;

/// Parts; each is some kilobytes even with a million connections.
const PARTS: usize = 128;

/// Numbers of connections by hash. What has the number's hash, and whether it is the one, is for the caller to say.
pub struct Index {
    parts: Vec<HashTable<u32>>,
    len: usize,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            parts: (0..PARTS).map(|_| HashTable::new()).collect(),
            len: 0,
        }
    }
}

/// The part. Within it the table goes by the lowest bits of the hash and its upper seven.
#[inline]
fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

impl Index {
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn find(&self, hash: u64, is: impl FnMut(&u32) -> bool) -> Option<u32> {
        self.parts[part(hash)].find(hash, is).copied()
    }

    /// Adds a number that is not there; `hash_of` gives the hashes of those that are.
    pub fn insert(&mut self, hash: u64, n: u32, hash_of: impl Fn(&u32) -> u64) {
        self.parts[part(hash)].insert_unique(hash, n, hash_of);
        self.len += 1;
    }

    pub fn remove(&mut self, hash: u64, n: u32) {
        if let Ok(e) = self.parts[part(hash)].find_entry(hash, |i| *i == n) {
            e.remove();
            self.len -= 1;
        }
    }

    /// All numbers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.parts.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_part_moves_few() {
        let hash = |n: u32| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::default();
        let most = (0..200_000u32)
            .map(|n| {
                let moved = std::cell::Cell::new(0);
                index.insert(hash(n), n, |i| {
                    moved.set(moved.get() + 1);
                    hash(*i)
                });
                moved.get()
            })
            .max();
        assert!(most < Some(200_000 / 64), "{most:?}");
        assert_eq!((index.len(), index.iter().count()), (200_000, 200_000));
        assert!((0..200_000).all(|n| index.find(hash(n), |i| *i == n) == Some(n)));
        index.remove(hash(7), 7);
        index.remove(hash(7), 7);
        assert_eq!((index.len(), index.find(hash(7), |i| *i == 7)), (199_999, None));
    }
}
