//! What the kernel's program is loaded with.

use sensor_common::policy::MAX_RINGS;
use sensor_common::{Policy, policy};

use super::error::KernelError;

/// Most tunnels without connection (GRE, IP in IP) that the program takes apart. Of more, those in use stay.
const HOST_TUNNELS: u32 = 1 << 14;
/// Settings of the kernel's program. They are fixed when it is loaded.
#[derive(Clone, Copy, Debug)]
pub struct KernelConfig {
    /// Entries of the flow table.
    pub flows: u32,
    /// Rings, one per worker: 1 to [`MAX_RINGS`].
    pub rings: u32,
    /// Decides what is forwarded. Its fields for room in rings, half-open flows and the number of rings are overwritten from
    /// the other fields here.
    pub policy: Policy,
    /// Size of each ring, bytes; rounded up to a power of two.
    pub ring_bytes: u32,
    /// Do not try native XDP.
    pub skb_mode: bool,
    /// Share of the flow table that half-open flows may take, percent. With 100 none of them gives way.
    pub half_open_share: u32,
}

impl KernelConfig {
    /// With what follows from the other fields; an error if they cannot be.
    pub(super) fn completed(&self) -> Result<Self, KernelError> {
        let mut config = *self;
        if config.rings == 0 || config.rings > MAX_RINGS || config.flows == 0 {
            return Err(KernelError::Config("rings must be 1 to 8 and flows at least 1"));
        }
        config.policy.rings = config.rings;
        config.ring_bytes = config.ring_bytes.clamp(1 << 16, 1 << 30).next_power_of_two();
        config.policy.payload_room = config.ring_bytes / 8 * 7;
        // On each CPU the hooks may write, the program of what is in tunnels, and now and then a thread of ours.
        let writers = 4 * aya::util::nr_cpus().unwrap_or(1024) as u32;
        config.policy.shares = writers.next_power_of_two().ilog2();
        // As much again is below `payload_room`: for those who were told of, when they give way all at once.
        config.policy.syn_room = config.ring_bytes / 8 * 3;
        let share = config.half_open_share.min(100) as u64;
        config.policy.half_open = match share {
            100 => 0,
            _ => (config.flows as u64 * share / 100).max(1) as u32,
        };
        Ok(config)
    }

    /// Entries of the table of tunnels between hosts.
    pub(super) fn hosts(&self) -> u32 {
        match self.policy.bits & policy::DECAP_HOSTS {
            0 => 1,
            _ => HOST_TUNNELS,
        }
    }
}

impl Default for KernelConfig {
    fn default() -> Self {
        KernelConfig {
            flows: 262_144,
            rings: 1,
            policy: Policy::default(),
            ring_bytes: 8 << 20,
            skb_mode: false,
            half_open_share: 50,
        }
    }
}
