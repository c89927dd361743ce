//! The counters of [`sensor_common::counters`], for one thread.

use std::fmt::Write as _;

use sensor_common::Counter;
use sensor_common::counters::{COUNTERS, UNTRACKED};

/// All counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    counts: [u64; COUNTERS as usize],
    /// Frames whose packet had come before, and that count for nothing else. The kernel's program knows none.
    duplicates: u64,
}

impl Counts {
    #[inline(always)]
    pub(super) fn add(&mut self, c: Counter, n: u64) {
        if let Some(v) = self.counts.get_mut(c as usize) {
            *v += n;
        }
    }

    /// The counter as it stands.
    pub fn get(&self, c: Counter) -> u64 {
        self.counts.get(c as usize).copied().unwrap_or(0)
    }

    pub(super) fn duplicate(&mut self) {
        self.duplicates += 1;
    }

    /// Frames that were left out because their packet had come before.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// The first sum, in words.
    pub fn sum(&self) -> String {
        let [frames, tracked] = [Counter::Frames, Counter::Tracked].map(|c| self.get(c));
        let mut sum = format!("frames {frames} = {tracked} tracked");
        for (reason, n) in UNTRACKED.map(|c| (c, self.get(c))) {
            if n > 0 {
                // Writing to a String cannot fail.
                let _ = write!(sum, " + {n} {}", format!("{reason:?}").to_lowercase());
            }
        }
        if self.duplicates > 0 {
            let _ = write!(sum, " + {} duplicates", self.duplicates);
        }
        sum
    }

    /// All, indexed by [`Counter`].
    pub fn all(&self) -> &[u64] {
        &self.counts
    }

    /// Whether both sums of [`Counter`] hold.
    pub fn conserved(&self) -> bool {
        let untracked: u64 = UNTRACKED.iter().map(|&c| self.get(c)).sum();
        let payload = [Counter::Forwarded, Counter::Shed, Counter::Lost];
        self.get(Counter::Frames) == self.get(Counter::Tracked) + untracked + self.duplicates
            && self.get(Counter::Payload) == payload.iter().map(|&c| self.get(c)).sum::<u64>()
    }
}
