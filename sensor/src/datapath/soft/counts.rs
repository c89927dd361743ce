//! The counters of [`sensor_common::counters`], for one thread.

use sensor_common::Counter;
use sensor_common::counters::{COUNTERS, UNTRACKED};

/// All counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; COUNTERS as usize]);

impl Counts {
    #[inline(always)]
    pub(super) fn add(&mut self, c: Counter, n: u64) {
        if let Some(v) = self.0.get_mut(c as usize) {
            *v += n;
        }
    }

    /// The counter as it stands.
    pub fn get(&self, c: Counter) -> u64 {
        self.0.get(c as usize).copied().unwrap_or(0)
    }

    /// All, indexed by [`Counter`].
    pub fn all(&self) -> &[u64] {
        &self.0
    }

    /// Whether both sums of [`Counter`] hold.
    pub fn conserved(&self) -> bool {
        let untracked: u64 = UNTRACKED.iter().map(|&c| self.get(c)).sum();
        let payload = [Counter::Forwarded, Counter::Shed, Counter::Lost];
        self.get(Counter::Frames) == self.get(Counter::Tracked) + untracked
            && self.get(Counter::Payload) == payload.iter().map(|&c| self.get(c)).sum::<u64>()
    }
}
