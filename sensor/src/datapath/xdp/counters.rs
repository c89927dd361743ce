//! The program's accounting, summed over the CPUs.

use sensor_common::Counter;
use sensor_common::counters::{COUNTERS, UNTRACKED};
use sensor_common::policy::MAX_RINGS;

use super::abi::CpuStats;

/// A reading of all counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Indexed by [`Counter`].
    pub counts: [u64; COUNTERS as usize],
    /// Records that found the ring full, per ring.
    pub ring_lost: [u64; MAX_RINGS as usize],
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            counts: [0; COUNTERS as usize],
            ring_lost: [0; MAX_RINGS as usize],
        }
    }
}

impl std::iter::Sum for Counters {
    fn sum<I: Iterator<Item = Counters>>(each: I) -> Self {
        let mut sum = Counters::default();
        each.for_each(|c| sum.plus(&c.counts, &c.ring_lost));
        sum
    }
}

impl Counters {
    /// One counter.
    pub fn get(&self, c: Counter) -> u64 {
        self.counts[c as usize]
    }

    /// Frames tracked and untracked by reason: equals [`Counter::Frames`].
    pub fn frames_accounted(&self) -> u64 {
        self.get(Counter::Tracked) + UNTRACKED.iter().map(|&c| self.get(c)).sum::<u64>()
    }

    /// Payload packets forwarded, shed and lost: equals [`Counter::Payload`].
    pub fn payload_accounted(&self) -> u64 {
        self.get(Counter::Forwarded) + self.get(Counter::Shed) + self.get(Counter::Lost)
    }

    /// Whether both sums agree.
    pub fn balanced(&self) -> bool {
        self.frames_accounted() == self.get(Counter::Frames)
            && self.payload_accounted() == self.get(Counter::Payload)
    }

    pub(super) fn add(&mut self, cpu: &CpuStats) {
        self.plus(&cpu.counters, &cpu.ring_lost);
    }

    fn plus(&mut self, counts: &[u64], ring_lost: &[u64]) {
        for (sum, n) in self.counts.iter_mut().zip(counts) {
            *sum += n;
        }
        for (sum, n) in self.ring_lost.iter_mut().zip(ring_lost) {
            *sum += n;
        }
    }
}
