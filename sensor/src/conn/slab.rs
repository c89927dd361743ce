//! Things by number, in pieces: growing moves nothing, and takes no memory for what is not there yet.

/// Things in a piece.
const PIECE: usize = 1024;

/// The number of no thing.
pub const NONE: u32 = u32::MAX;

/// Numbered things. The number that was given back last is given out first.
pub struct Slab<T> {
    pieces: Vec<Box<[Option<T>]>>,
    free: Vec<u32>,
    /// Numbers given out at any time so far.
    used: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            pieces: Vec::new(),
            free: Vec::new(),
            used: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Keeps a thing; its number.
    pub fn insert(&mut self, thing: T) -> u32 {
        let n = self.free.pop().unwrap_or_else(|| {
            let n = self.used;
            self.used += 1;
            n
        });
        if n as usize / PIECE == self.pieces.len() {
            self.pieces.push((0..PIECE).map(|_| None).collect());
        }
        self.pieces[n as usize / PIECE][n as usize % PIECE] = Some(thing);
        n
    }

    /// One more than the largest number that a thing has had.
    pub fn places(&self) -> u32 {
        self.used
    }

    #[inline]
    pub fn get(&self, n: u32) -> Option<&T> {
        self.pieces.get(n as usize / PIECE)?[n as usize % PIECE].as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, n: u32) -> Option<&mut T> {
        self.pieces.get_mut(n as usize / PIECE)?[n as usize % PIECE].as_mut()
    }

    /// Gives a thing out of the slab, and its number back.
    pub fn take(&mut self, n: u32) -> Option<T> {
        let thing = self.pieces.get_mut(n as usize / PIECE)?[n as usize % PIECE].take()?;
        self.free.push(n);
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// The slab is a map that makes its keys.
        #[test]
        fn like_a_map(ops in proptest::collection::vec((0u8..3, 0u32..40), 0..300)) {
            let mut slab = Slab::default();
            let mut model: HashMap<u32, u32> = HashMap::new();
            for (op, v) in ops {
                if op == 0 {
                    let n = slab.insert(v);
                    prop_assert!(model.insert(n, v).is_none());
                } else if op == 1 {
                    prop_assert_eq!(slab.take(v), model.remove(&v));
                }
                prop_assert_eq!(slab.get(v), model.get(&v));
                prop_assert_eq!(slab.get_mut(v), model.get_mut(&v));
            }
        }
    }

    #[test]
    fn grows_by_pieces_and_gives_numbers_out_again() {
        let mut slab = Slab::default();
        let n = PIECE as u32 * 2 + 1;
        assert!((0..n).all(|i| slab.insert(i) == i));
        assert_eq!(slab.pieces.len(), 3);
        assert_eq!(
            (slab.take(5), slab.take(PIECE as u32)),
            (Some(5), Some(PIECE as u32))
        );
        assert_eq!(
            (slab.insert(1), slab.insert(2), slab.insert(3)),
            (PIECE as u32, 5, n)
        );
        assert!(slab.get(NONE).is_none() && slab.take(NONE).is_none());
    }
}
