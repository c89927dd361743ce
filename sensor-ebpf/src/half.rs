//! Half-open TCP flows. They may take a share of the flow table; beyond it the oldest give way, so that a SYN flood
//! leaves room for those who mean it. While a ring is crowded, userspace is told of a flow when it is answered in
//! earnest, not before.
//!
//! [`QUEUE`] has the keys of the newest that began, in their order, those included that are half-open no longer. A flow
//! that is overwritten there while there is room is not lost: it leaves the table as all others do.

use sensor_common::atomic::{add64, and32, fetch_add64, or32, swap32};
use sensor_common::flow::{half, why};
use sensor_common::packet::tcp_flags as tf;
use sensor_common::policy::ALL_PACKETS;
use sensor_common::{Counter, FlowKey, FlowState, Packet, RecordHeader};

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;

use crate::abi::HalfOpen;
use crate::emit;
use crate::maps::{FLOWS, Scratch, Stats, keep, policy};

/// How many there are.
#[map]
static HALF: Array<HalfOpen> = Array::with_max_entries(1, 0);

/// Their keys. Userspace sets its size, [`Policy::half_open`].
#[map]
static QUEUE: Array<FlowKey> = Array::with_max_entries(1, 0);

/// How many of the oldest are looked at for one to give way: between them are those that were answered meanwhile.
const LOOKS: u64 = 8;

/// Whether the flow that `pkt` begins is half-open: bits of [`half`].
#[inline(always)]
pub fn starting(pkt: &Packet) -> u32 {
    // With no other protocol there are flags.
    if pkt.flags & (tf::SYN | tf::RST) == 0 {
        0
    } else if pkt.flags & (tf::SYN | tf::ACK | tf::FIN | tf::RST) == tf::SYN
        && pkt.payload_len == 0
        && policy!(bits) & ALL_PACKETS == 0
    {
        half::OPEN | half::UNTOLD
    } else {
        half::OPEN
    }
}

/// The last thing that is done for a packet: if it made a half-open flow, that takes its place among them.
#[inline(always)]
pub fn begun(w: *mut Scratch, slot: u32) {
    let w = Scratch::forget(w);
    // SAFETY: this CPU's scratch.
    unsafe {
        if policy!(half_open) != 0 && (*w).begun != 0 {
            (*w).begun = 0;
            sensor_half_begun(slot);
        }
    }
}

/// Takes the flow `key` out of the table and tells userspace.
#[inline(always)]
pub fn end_and_tell(w: *mut Scratch, key: &FlowKey, slot: u32) {
    // SAFETY: this CPU's scratch.
    unsafe { (*w).gone.flow = *key };
    sensor_half_gone(slot, 0);
}

// Global functions to the kernel, which verifies them by themselves and not once for each way that leads to them: there
// are thousands. They get nothing but numbers, and find the rest in the scratch memory of `slot`.

/// A flow that is half-open or of which userspace does not know had a packet, the one in the scratch memory, counted
/// already: whether it is forwarded after all, and with what.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sensor_half_packet(slot: u32) -> u32 {
    let (Some(stats), Some(w)) = (Stats::get(slot), Scratch::get(slot)) else {
        return 0;
    };
    // SAFETY: this CPU's scratch, live map values.
    unsafe {
        let (pkt, why) = (&(*w).pkt, &mut (*w).out.why);
        let Some(flow) = FLOWS.get_ptr_mut(&pkt.key) else {
            return 0;
        };
        let opens = pkt.flags & (tf::SYN | tf::RST) != 0;
        let mut bits = (&raw const (*flow).half).read_volatile();
        if !opens && let Some(was) = closed(flow) {
            bits = was & !half::OPEN;
            if bits != 0 {
                (&raw mut (*flow).half).write_volatile(bits);
            }
        }
        if bits & half::UNTOLD == 0 {
            return 0;
        }
        if opens && pkt.payload_len == 0 && emit::is_beyond(emit::ring_in(flow), policy!(syn_room)) {
            stats.add(Counter::SynsHeld, 1);
            *why &= !why::FORWARD;
            if pkt.flags & tf::RST != 0 {
                or32(&raw mut (*flow).half, half::REFUSED);
            }
        } else if bits & half::REFUSED == 0 && *why & why::NEW_FLOW == 0 {
            *why |= why::UNTOLD;
        }
    }
    0
}

/// Two CPUs write one place of the queue only if all its places were used in between.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sensor_half_begun(slot: u32) -> u32 {
    let (Some(all), Some(w)) = (HALF.get_ptr_mut(0), Scratch::get(slot)) else {
        return 0;
    };
    let n = policy!(half_open) as u64;
    if n == 0 {
        return 0;
    }
    // SAFETY: live map values, this CPU's scratch.
    unsafe {
        add64(&raw mut (*all).count, 1);
        let at = fetch_add64(&raw mut (*all).next, 1);
        // Signed: one that was closed on another CPU in the meantime is subtracted already.
        if (&raw const (*all).count).read_volatile() as i64 > n as i64 {
            for i in 0..LOOKS {
                let Some(key) = QUEUE.get_ptr((at.wrapping_add(i) % n) as u32) else {
                    break;
                };
                (*w).gone.flow = *key;
                if sensor_half_gone(slot, 1) != 0 {
                    break;
                }
            }
        }
        if let Some(place) = QUEUE.get_ptr_mut((at % n) as u32) {
            *place = (*w).pkt.key;
        }
    }
    0
}

/// Takes the flow of [`Scratch::gone`] out of the table, if it is half-open or, with 0 for `half_only`, if userspace was
/// told nothing of it; 1: so it was.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sensor_half_gone(slot: u32, half_only: u32) -> u32 {
    let (Some(stats), Some(w)) = (Stats::get(slot), Scratch::get(slot)) else {
        return 0;
    };
    // SAFETY: this CPU's scratch, live map values.
    unsafe {
        let Some(flow) = FLOWS.get_ptr_mut(&(*w).gone.flow) else {
            return 0;
        };
        if half_only == 0 && (*flow).half & half::UNTOLD == 0 {
            return 0;
        }
        let was = match closed(flow) {
            Some(was) => was,
            None if half_only != 0 => return 0,
            None => (*flow).half,
        };
        let untold = was & half::UNTOLD != 0;
        // What is not known yet may stay unknown; of what was told there is a row in any case, when its time is up.
        let room = if untold {
            policy!(syn_room)
        } else {
            policy!(payload_room)
        };
        if half_only != 0 {
            stats.add(Counter::HalfOpenEvicted, 1);
        }
        let ring = emit::ring_in(flow);
        let told = !emit::is_beyond(ring, room)
            && emit::header(stats, ring, |head: *mut RecordHeader| {
                (*head).fill_gone(&(*w).gone.flow, &*flow, untold);
            });
        if !told {
            if untold {
                stats.add(Counter::HalfOpenUntold, 1);
            } else {
                stats.add(Counter::HeaderLost, 1);
            }
        }
        (*w).gone.start = (*flow).start;
        keep(&(*w).gone, flow);
        let _ = FLOWS.remove(&(*w).gone.flow);
    }
    1
}

/// The flow is half-open no longer: the bits that it had, if it was.
///
/// # Safety
/// A live map value.
#[inline(always)]
pub unsafe fn closed(flow: *mut FlowState) -> Option<u32> {
    // SAFETY: the caller's word.
    unsafe {
        let bits = &raw mut (*flow).half;
        if bits.read_volatile() & half::OPEN == 0 {
            return None;
        }
        // Of two that close it one finds the bit.
        let was = swap32(bits, 0);
        if was & half::OPEN == 0 {
            return None;
        }
        if let Some(all) = HALF.get_ptr_mut(0) {
            add64(&raw mut (*all).count, u64::MAX);
        }
        Some(was)
    }
}

/// Userspace was sent a record of the flow.
///
/// # Safety
/// A live map value.
#[inline(always)]
pub unsafe fn told(flow: *mut FlowState) {
    // SAFETY: the caller's word.
    unsafe {
        let bits = &raw mut (*flow).half;
        if bits.read_volatile() & half::UNTOLD != 0 {
            and32(bits, !half::UNTOLD);
        }
    }
}
