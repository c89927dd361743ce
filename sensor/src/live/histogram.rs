//! How often a worker met which sizes or times: counts that one thread writes and others read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts of values up to each of some bounds. One thread writes it.
pub struct Histogram {
    bounds: &'static [u64],
    /// Values up to the bound of the same place that are above the one before; the last: those above all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Each bound, with the number of values that are no larger.
    pub up_to: Vec<(u64, u64)>,
    /// All values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

impl Histogram {
    /// For values up to these bounds, in order, and beyond.
    pub fn new(bounds: &'static [u64]) -> Self {
        Histogram {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn count(&self, value: u64) {
        let at = self.bounds.partition_point(|b| *b < value);
        if let Some(n) = self.counts.get(at) {
            // Nobody else writes.
            n.store(n.load(Relaxed) + 1, Relaxed);
        }
        self.sum
            .store(self.sum.load(Relaxed).wrapping_add(value), Relaxed);
    }

    /// What it has counted so far.
    pub fn read(&self) -> Counted {
        let mut count = 0;
        let mut all = self.counts.iter().map(|n| {
            count += n.load(Relaxed);
            count
        });
        let up_to = self.bounds.iter().copied().zip(all.by_ref()).collect();
        all.for_each(drop);
        Counted {
            up_to,
            count,
            sum: self.sum.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_has_all_that_is_no_larger() {
        let h = Histogram::new(&[10, 100]);
        for v in [0, 10, 11, 100, 101, 1000] {
            h.count(v);
        }
        let expected = Counted {
            up_to: vec![(10, 2), (100, 4)],
            count: 6,
            sum: 1222,
        };
        assert_eq!(h.read(), expected);
    }
}
