//! Records: the fixed header and the start of the frame, into a ring.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_RB_AVAIL_DATA;
use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use sensor_common::follow::{MARK_LEN, Marks};
use sensor_common::record::{HEADER_LEN, KIND_FRAME, RecordHeader};
use sensor_common::{FlowKey, FlowState};

use crate::abi::{CLASSES, INNER_SLOTS, MARK_CLASSES, MAX_CAP};
use crate::hook::Hook;
use crate::maps::{Scratch, Stats, opaque, policy, ring};

/// The ring for a flow that begins with a frame at `hook`, and for a frame of no flow.
#[inline(always)]
pub fn ring_of<H: Hook>(hook: &H, key: &FlowKey) -> u32 {
    let rings = policy!(rings);
    if rings <= 1 {
        0
    } else if policy!(ring_by_cpu) != 0 && matches!(hook.slot(), 0 | INNER_SLOTS) {
        // SAFETY: no arguments.
        unsafe { bpf_get_smp_processor_id() % rings }
    } else {
        // What userspace hands in comes on any CPU.
        key.ring_hash(policy!(seed)) % rings
    }
}

/// The ring of a flow's records.
///
/// # Safety
/// A live map value.
#[inline(always)]
pub unsafe fn ring_in(flow: *const FlowState) -> u32 {
    if policy!(rings) <= 1 {
        0
    } else {
        // SAFETY: the caller's word. Volatile: each look is any ring to the verifier, and not the one of the look before.
        unsafe { (&raw const (*flow).ring).read_volatile() }
    }
}

/// Whether more bytes of the ring are taken than `room`.
#[inline(always)]
pub fn is_beyond(to: u32, room: u32) -> bool {
    // SAFETY: the map is a ring buffer.
    let taken = unsafe { bpf_ringbuf_query(ring(to), BPF_RB_AVAIL_DATA as u64) };
    taken > room as u64
}

/// Whether a ring has no room for payload. To ask for its fill costs a third of sending a small record, so a part of what
/// is free is ours until it is used up.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
pub unsafe fn is_tight(w: *mut Scratch, to: u32) -> bool {
    // SAFETY: the caller's word; the map is a ring buffer.
    unsafe {
        let ours = Scratch::room(w, to);
        if *ours != 0 {
            return false;
        }
        let room = policy!(payload_room) as u64;
        let taken = bpf_ringbuf_query(ring(to), BPF_RB_AVAIL_DATA as u64);
        if taken > room {
            return true;
        }
        *ours = (room - taken) >> (policy!(shares) & 31);
    }
    false
}

/// A record with `n` bytes behind its header was sent: more is taken from what is ours than it can have.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
unsafe fn used(w: *mut Scratch, to: u32, n: u64) {
    // SAFETY: the caller's word.
    unsafe {
        let ours = Scratch::room(w, to);
        // No class is more than twice what is put into it, and none is smaller than the first.
        let n = (HEADER_LEN + 8) as u64 + CLASSES[0] as u64 + 2 * n;
        let left = *ours;
        *ours = if left > n { left - n } else { 0 };
    }
}

/// Copies the frame's first `cap` bytes, which the first two classes have room for, by words if they can be read. A helper
/// would take longer to be called than to copy them.
///
/// # Safety
/// `dst` has room for the class.
#[inline(always)]
unsafe fn load_small<H: Hook>(hook: &H, dst: *mut u8, cap: u64) -> bool {
    const WORDS: usize = 6;
    const LAST: usize = 3;
    let f = hook.frame();
    if H::PREFIX != 0 || cap < 8 * WORDS as u64 || f.data + 8 * WORDS > f.end {
        return false;
    }
    let copy = |at: usize, n: usize| {
        // SAFETY: compared with the end before each call, and the caller's word.
        unsafe {
            let (from, to) = ((f.data + at) as *const u64, dst.add(at).cast::<u64>());
            for i in 0..n {
                to.add(i).write_unaligned(from.add(i).read_unaligned());
            }
        }
    };
    copy(0, WORDS);
    if cap > CLASSES[0] as u64 {
        if f.data + CLASSES[0] as usize > f.end {
            return false;
        }
        copy(8 * WORDS, CLASSES[0] as usize / 8 - WORDS);
    }
    let last = opaque(cap - 8 * LAST as u64) as usize & 127;
    if f.data + last + 8 * LAST > f.end {
        return false;
    }
    copy(last, LAST);
    true
}

/// Reserves room for `$cap` bytes of a frame, by the smallest of the classes that has it.
macro_rules! reserve {
    ($map:expr, $cap:expr, $($class:literal),*) => {
        $(if $cap <= CLASSES[$class] as u64 {
            bpf_ringbuf_reserve($map, (HEADER_LEN as u32 + CLASSES[$class]) as u64, 0)
        } else)* {
            core::ptr::null_mut()
        }
    };
}
const _: () = assert!(CLASSES.len() == 9, "as many as `record` tries");

/// Sends a record to the ring [`Scratch::to`] with the frame's first [`Scratch::cap`] bytes (as many of them as a record
/// can carry): `fill` writes the header. False: the ring was full, and the ring's own counter says so.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
pub unsafe fn record<H: Hook>(
    hook: &H,
    stats: Stats,
    w: *mut Scratch,
    fill: impl FnOnce(*mut RecordHeader),
) -> bool {
    // SAFETY: the caller's word.
    let (map, cap) = unsafe { (ring(Scratch::to(w)), Scratch::cap(w)) };
    let cap = opaque(if cap > MAX_CAP { MAX_CAP } else { cap } as u64);
    // Not `== 0`: verifiers before 6.8 conclude nothing from an inequality with a constant.
    if cap < opaque(1) {
        return false;
    }
    // SAFETY: the map is a ring buffer; sizes are constant on every path.
    let rec = unsafe { reserve!(map, cap, 0, 1, 2, 3, 4, 5, 6, 7, 8) };
    // SAFETY: the caller's word.
    let to = unsafe { Scratch::to(w) };
    if rec.is_null() {
        stats.ring_lost(to);
        return false;
    }
    let head = rec.cast::<RecordHeader>();
    fill(head);
    // SAFETY: the reservation holds HEADER_LEN + class bytes and cap is at most the class.
    unsafe {
        (*head).wire_len = hook.wire_len();
        (*head).ifindex = hook.ifindex();
        let dst = rec.cast::<u8>().add(HEADER_LEN);
        let loaded = cap <= CLASSES[1] as u64 && load_small(hook, dst, cap) || hook.load(0, dst, cap as u32);
        used(w, to, cap);
        (*head).cap_len = if loaded { cap as u32 } else { 0 };
        bpf_ringbuf_submit(rec, stats.wake(to));
    }
    true
}

/// Sends a record to the ring [`Scratch::to`] with [`Scratch::marks`] and no bytes of the frame.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
pub unsafe fn marks<H: Hook>(
    hook: &H,
    stats: Stats,
    w: *mut Scratch,
    fill: impl FnOnce(*mut RecordHeader),
) -> bool {
    // SAFETY: the caller's word.
    let (map, m) = unsafe { (ring(Scratch::to(w)), &(*w).marks) };
    let n = opaque(m.n as u64) as u32;
    let size = |class: u32| (HEADER_LEN + H::PREFIX + class as usize * MARK_LEN) as u64;
    // SAFETY: the map is a ring buffer; sizes are constant on every path, and so many marks are copied.
    unsafe {
        let rec = if n <= MARK_CLASSES[0] {
            copied::<H>(
                bpf_ringbuf_reserve(map, size(MARK_CLASSES[0]), 0),
                m,
                MARK_CLASSES[0],
            )
        } else if n <= MARK_CLASSES[1] {
            copied::<H>(
                bpf_ringbuf_reserve(map, size(MARK_CLASSES[1]), 0),
                m,
                MARK_CLASSES[1],
            )
        } else {
            copied::<H>(
                bpf_ringbuf_reserve(map, size(MARK_CLASSES[2]), 0),
                m,
                MARK_CLASSES[2],
            )
        };
        let to = Scratch::to(w);
        if rec.is_null() {
            stats.ring_lost(to);
            return false;
        }
        fill(rec);
        (*rec).wire_len = hook.wire_len();
        (*rec).ifindex = hook.ifindex();
        (*rec).cap_len = H::PREFIX as u32;
        used(w, to, (H::PREFIX + MARK_CLASSES[2] as usize * MARK_LEN) as u64);
        hook.prefix(rec.cast::<u8>().add(HEADER_LEN));
        bpf_ringbuf_submit(rec.cast(), stats.wake(to));
    }
    true
}

/// Sends a record without anything behind its header; `fill` writes of that what is not 0.
#[inline(always)]
pub fn header(stats: Stats, to: u32, fill: impl FnOnce(*mut RecordHeader)) -> bool {
    // SAFETY: the map is a ring buffer, the size is constant.
    unsafe {
        let rec = bpf_ringbuf_reserve(ring(to), HEADER_LEN as u64, 0);
        if rec.is_null() {
            stats.ring_lost(to);
            return false;
        }
        let head = rec.cast::<RecordHeader>();
        core::ptr::write_bytes(head.cast::<u64>(), 0, HEADER_LEN / 8);
        fill(head);
        bpf_ringbuf_submit(rec, stats.wake(to));
    }
    true
}

/// `rec` with the first `n` marks behind the header and the prefix.
///
/// # Safety
/// `rec` is null or has room for both.
#[inline(always)]
unsafe fn copied<H: Hook>(rec: *mut c_void, m: &Marks, n: u32) -> *mut RecordHeader {
    if !rec.is_null() {
        // SAFETY: the caller's word; marks are words.
        unsafe {
            let to = rec.cast::<u8>().add(HEADER_LEN + H::PREFIX).cast::<u64>();
            let from = (&raw const m.marks).cast::<u64>();
            for i in 0..n as usize {
                to.add(i).write(from.add(i).read_unaligned());
            }
        }
    }
    rec.cast()
}

/// The header of a frame that is not tracked.
#[inline(always)]
pub fn frame_header(head: *mut RecordHeader, ts: u64, l3: u16, reason: u32) {
    // SAFETY: a reservation of at least this size.
    unsafe {
        // Not `RecordHeader::default()`, which would pass over the stack.
        core::ptr::write_bytes(head.cast::<u64>(), 0, HEADER_LEN / 8);
        (*head).pkt.ts = ts;
        (*head).pkt.l3 = l3;
        (*head).kind = KIND_FRAME;
        (*head).untracked = reason as u8;
    }
}
