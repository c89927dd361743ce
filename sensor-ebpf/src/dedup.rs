//! Packets that come twice (`--dedup`), as where several taps or mirror ports give the same traffic: the first copy counts, and
//! of the second nothing but that it came. The first is known by a hash of all that routers leave alone, for some
//! milliseconds; [`sensor_common::dedup`] has the memory, and says what happens where two CPUs meet in it.
//!
//! It is done before the packet is looked for in the flow table, so neither rules nor flows see a copy: for each frame in
//! which IP was found, tracked or not, and for each packet in a tunnel, whoever took it out. Fragments and tunnels that
//! userspace takes apart are frames like others: of a copy it gets none, so that a datagram is put together once. What it finds
//! in them and injects was looked at as a frame, but for packets out of tunnels. Frames in whose link layer no IP is found here
//! are looked at where they are taken apart (`live/slow.rs`), by each worker for itself.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use sensor_common::dedup::{KEY_PAIRS, MOST, Places, SETS, Sum, TWICE, is_again as is_known, set};

use crate::abi::ALL_SLOTS;
use crate::hook::Hook;
use crate::maps::{Scratch, opaque, policy};

/// The key of the hash, which nobody else may know, or they could hide a packet behind another. Userspace writes it before
/// loading.
#[unsafe(no_mangle)]
static DEDUP_KEY: [[u32; 2]; KEY_PAIRS] = [[0; 2]; KEY_PAIRS];

/// The packets of the last moments. Userspace says that there is one set only where nobody looks for copies.
#[map]
static DEDUP: Array<Places> = Array::with_max_entries(SETS, 0);

/// Pairs of words that are hashed at a time.
const STEP: usize = 4;
/// As many as can be hashed, and a step that is cleared behind the last.
const PAIRS: usize = MOST / 8 + STEP;
const IPV4_LEN: u32 = 20;

/// The packet in hand, from its IP header on, by [`crate::abi::SLOTS`]. Here too, userspace says that there is room for one.
#[map]
static BYTES: PerCpuArray<[u64; PAIRS]> = PerCpuArray::with_max_entries(ALL_SLOTS, 0);

/// Whether the packet in the scratch memory came a moment ago.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
pub unsafe fn is_again<H: Hook>(hook: &H, w: *mut Scratch) -> bool {
    let w = Scratch::forget(w);
    let Some(bytes) = BYTES.get_ptr_mut(hook.slot()) else {
        return false;
    };
    // SAFETY: the caller's word, and memory of this CPU as well. `last` is below MOST / 8.
    unsafe {
        let pkt = &(*w).pkt;
        let at = pkt.l3 as u32 + H::PREFIX as u32;
        let len = hook.frame().len as u32;
        if len <= at {
            return false;
        }
        // Without what is behind the packet. The length is 0 where no IP header was found, or none that says it.
        let mut n = len - at;
        if pkt.ip_len < n {
            n = pkt.ip_len;
        }
        if n > MOST as u32 {
            n = MOST as u32;
        }
        if n < IPV4_LEN {
            return false;
        }
        let bytes = bytes.cast::<u64>();
        let last = bytes.add(((n - 1) / 8) as usize & (MOST / 8 - 1));
        for i in 0..STEP {
            last.add(i).write_volatile(0);
        }
        hook.load_few::<{ MOST as u32 }>(at, bytes.cast(), n) && sensor_is_again(hook.slot(), n) != 0
    }
}

/// Whether the packet of which [`BYTES`] has the first `n` bytes came a moment ago. A global function, see [`crate::half`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn sensor_is_again(slot: u32, n: u32) -> u32 {
    let (Some(bytes), Some(w)) = (BYTES.get_ptr_mut(slot), Scratch::get(slot)) else {
        return 0;
    };
    // SAFETY: this CPU's memory, a live map value; all indexes are below the arrays' lengths.
    unsafe {
        forget_what_routers_change(bytes.cast());
        // In 64 bits, or the compiler leaves out a comparison that the verifier needs.
        let n = opaque(n as u64) as usize;
        let (pairs, keys) = (bytes.cast::<u32>(), (&raw const DEDUP_KEY).cast::<u32>());
        let pair =
            |of: *const u32, i: usize| [of.add(2 * i).read_volatile(), of.add(2 * i + 1).read_volatile()];
        let mut sum = Sum::of(n as u32);
        let mut i = 0;
        while i < TWICE / 8 && 8 * i < n {
            for j in i..i + STEP {
                let p = pair(pairs, j);
                sum.add(p, pair(keys, j));
                sum.add_twice(p, pair(keys, j + 1));
            }
            i += STEP;
        }
        let mut i = TWICE / 8;
        while i < MOST / 8 && 8 * i < n {
            for j in i..i + STEP {
                sum.add(pair(pairs, j), pair(keys, j));
            }
            i += STEP;
        }
        let hash = sum.hash();
        let Some(places) = DEDUP.get_ptr_mut(set(hash, SETS)) else {
            return 0;
        };
        is_known(places, hash, (*w).pkt.ts, policy!(dedup) as u64) as u32
    }
}

/// Of an IP header: TTL or hop limit, DSCP and ECN, IPv6's flow label, IPv4's checksum.
///
/// # Safety
/// There are [`IPV4_LEN`] bytes.
#[inline(always)]
unsafe fn forget_what_routers_change(ip: *mut u8) {
    // SAFETY: the caller's word.
    unsafe {
        if *ip >> 4 == 4 {
            for at in [1, 8, 10, 11] {
                ip.add(at).write(0);
            }
        } else {
            // All but the version.
            *ip &= 0xf0;
            for at in [1, 2, 3, 7] {
                ip.add(at).write(0);
            }
        }
    }
}
