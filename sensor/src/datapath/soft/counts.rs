//! The counters of [`sensor_common::counters`], for one thread.

use std::fmt::Write as _;

use sensor_common::Counter;
use sensor_common::counters::{COUNTERS, UNTRACKED};

/// All counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    counts: [u64; COUNTERS as usize],
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
        self.get(Counter::Frames) == self.get(Counter::Tracked) + untracked
            && self.get(Counter::Payload) == payload.iter().map(|&c| self.get(c)).sum::<u64>()
    }
}
