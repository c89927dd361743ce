//! Memory of what decompresses bodies, counted over all connections of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most of it at a time, bytes: as much as files may have waiting. That is 1365 bodies in gzip that are under way, where a
/// connection alone could have as many as it likes in HTTP/2.
pub const MOST: usize = 64 << 20;

/// What a worker's bodies take.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<AtomicUsize>);

impl Memory {
    /// Takes `len` bytes, if all that is taken is no more than `most` then.
    pub fn take(&self, len: usize, most: usize) -> Option<Share> {
        let more = |taken: usize| taken.checked_add(len).filter(|taken| *taken <= most);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Share {
            of: self.clone(),
            len,
        })
    }

    /// How much is taken, bytes.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Some of it, given back when this goes.
#[derive(Debug)]
pub struct Share {
    of: Memory,
    len: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_comes_back() {
        let memory = Memory::default();
        let (a, b) = (memory.take(6, 10), memory.clone().take(4, 10));
        assert!(a.is_some() && b.is_some() && memory.take(1, 10).is_none());
        assert!(memory.take(usize::MAX, usize::MAX).is_none());
        drop(a);
        assert_eq!(memory.taken(), 4);
        drop(b);
        assert_eq!(memory.taken(), 0);
    }
}
