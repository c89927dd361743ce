//! Packets that userspace found: in fragments, in tunnels, behind headers that the parser here leaves to
//! it. They count in their flows like all others and leave the same records, in the ring of their flow. Only those out of tunnels
//! are looked at for having come twice: see [`crate::dedup`].

use sensor_common::Counter;
use sensor_common::policy::DECAP_UDP;

use crate::abi::PACKET_LEN;
use crate::decap;
use crate::dedup;
use crate::half;
use crate::hook::Hook;
use crate::maps::{Scratch, Stats, policy};
use crate::{find, track};

/// Takes the packet at the frame's start; see [`PACKET_LEN`].
#[inline(always)]
pub fn run<H: Hook>(hook: &H) {
    let (Some(stats), Some(w)) = (Stats::get(hook.slot()), Scratch::get(hook.slot())) else {
        return;
    };
    let f = hook.frame();
    if f.data + PACKET_LEN > f.end {
        return;
    }
    // SAFETY: compared above; this CPU's scratch. By words, which the struct is a multiple of.
    unsafe {
        let from = f.data as *const u64;
        let to = (&raw mut (*w).pkt).cast::<u64>();
        for i in 0..PACKET_LEN / 8 {
            to.add(i).write(from.add(i).read_unaligned());
        }
        (*w).found.at = 0;
    }
    let w = Scratch::forget(w);
    stats.add(Counter::Injected, 1);
    // SAFETY: this CPU's scratch.
    if policy!(dedup) != 0 && unsafe { (*w).pkt.tunnel != 0 && dedup::is_again(hook, w) } {
        return stats.add(Counter::InnerDuplicate, 1);
    }
    let w = Scratch::forget(w);
    if let Some(flow) = find(hook, stats, w) {
        if policy!(bits) & DECAP_UDP != 0 {
            // SAFETY: this CPU's scratch, a live map value.
            unsafe { decap::refute(hook, w, flow) };
        }
        track(hook, stats, Scratch::forget(w), flow);
        half::begun(w, hook.slot());
    }
}
