//! The program's maps and its read-only data.

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf};
use core::ffi::c_void;
use sensor_common::atomic::{fence, swap32};
use sensor_common::flow::Outcome;
use sensor_common::follow::Marks;
use sensor_common::key::{Dir, Realm};
use sensor_common::policy::KEEP_ENDED;
use sensor_common::{Counter, FlowKey, FlowState, Packet, Policy};

use crate::abi::{ALL_SLOTS, Bell, CpuStats, EndedKey};

/// What to forward. Userspace writes it before loading; the verifier then knows its values and
/// drops what it switches off.
#[unsafe(no_mangle)]
pub static POLICY: Policy = Policy {
    bits: sensor_common::policy::PAYLOAD,
    snaplen: 0,
    rings: 1,
    payload_room: u32::MAX,
    syn_room: u32::MAX,
    half_open: 0,
    ring_by_cpu: 0,
    seed: [0; 2],
    shares: 31,
    sample: 0,
    dedup: 0,
};

/// The flow table. Userspace sets its size.
#[map]
pub static FLOWS: HashMap<FlowKey, FlowState> = HashMap::with_max_entries(262_144, 0);

/// States of ended flows whose rows are not known to be written. Userspace sets the size.
#[map]
static ENDED: HashMap<EndedKey, FlowState> = HashMap::with_max_entries(1, 0);

/// Keeps the state of a flow that is about to leave the table, if somebody asked for that. If there is no room, its
/// row is not safe from a crash.
///
/// # Safety
/// `flow` is a live map value.
#[inline(always)]
pub unsafe fn keep(key: &EndedKey, flow: *const FlowState) {
    if policy!(bits) & KEEP_ENDED != 0 {
        // SAFETY: the caller's word; the kernel copies it, as it does where others add to it meanwhile.
        let _ = ENDED.insert(key, unsafe { &*flow }, 0);
    }
}

/// Every CPU's accounting, by [`crate::abi::SLOTS`].
#[map]
static STATS: PerCpuArray<CpuStats> = PerCpuArray::with_max_entries(ALL_SLOTS, 0);

/// What a CPU notes of the packet in hand, by [`crate::abi::SLOTS`].
#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(ALL_SLOTS, 0);

/// Tunnels between two addresses that are taken apart here; the key has the addresses alone. Userspace sets the size.
#[map]
pub static HOSTS: LruHashMap<FlowKey, HostTunnel> = LruHashMap::with_max_entries(1, 0);

/// A tunnel between two addresses.
#[repr(C)]
pub struct HostTunnel {
    /// See [`sensor_common::decap`].
    pub number: u32,
    pub pad: u32,
    /// When it began, and its last packet, ns.
    pub since: u64,
    pub last: u64,
}

/// Programs that the first ones go on with, by their places in [`crate::decap`]. Userspace fills them in.
#[map]
pub static RX_PROGRAMS: ProgramArray = ProgramArray::with_max_entries(2, 0);
#[map]
pub static TX_PROGRAMS: ProgramArray = ProgramArray::with_max_entries(2, 0);

/// Numbers of tunnels given so far.
#[map]
pub static NUMBERED: Array<u64> = Array::with_max_entries(1, 0);

/// What is noted of the packet in hand, between the steps of its treatment.
///
/// In a map rather than on the stack, because the verifier remembers of a stack slot what was put
/// there on which path, and would then walk through the next step once for every path through the
/// one before it. Of a map value it remembers nothing. See [`Scratch::forget`].
#[repr(C)]
pub struct Scratch {
    pub pkt: Packet,
    pub ip: Ip,
    pub out: Outcome,
    pub marks: Marks,
    /// The value of a new flow entry: all zero but `start`, `carries`, `half`, `ring` and `shed`.
    pub new: FlowState,
    /// Of a flow that gives way.
    pub gone: EndedKey,
    /// Not 0: a half-open flow was made, which counts at the end; see [`crate::half::begun`].
    pub begun: u32,
    /// Of a tunnel's packet: what was found in it.
    pub found: Found,
    /// Of the record that is to be sent: its ring, and the frame's bytes in it. See [`Scratch::sending`].
    pub to: u32,
    pub cap: u32,
    /// Why a frame is not tracked, or [`crate::parse::PARSED`].
    pub reason: u32,
    /// Not 0: its ring has no room for the packet's payload.
    pub tight: u32,
    /// The interface's number, where rules may ask for it.
    pub iface: u32,
    /// Bytes that payload may take of each ring before its fill is asked for again.
    pub room: [u64; sensor_common::policy::MAX_RINGS as usize],
}

/// Where the packet in a tunnel's packet lies, bytes.
#[repr(C)]
pub struct Found {
    /// From the frame's start; 0: there is none that could be counted here.
    pub at: u32,
    /// As much as there is of it, and as there was on the wire.
    pub len: u32,
    pub wire: u32,
    /// Its EtherType, or 0: it begins with an Ethernet header.
    pub typ: u32,
    /// The tunnel's, see [`sensor_common::decap`].
    pub number: u32,
    /// The number of the realm that the tunnel says it is in, or [`Found::SAYS_NONE`].
    pub realm: u32,
}

impl Found {
    pub const SAYS_NONE: u32 = u32::MAX;
}

/// What the network layer says to the transport layer.
#[repr(C)]
pub struct Ip {
    /// As [`FlowKey::of_words`] takes them.
    pub src: [u64; 2],
    pub dst: [u64; 2],
    /// IP bytes from the next header on.
    pub rest: u32,
    /// Where that header starts, bytes from the frame's start.
    pub next: u32,
    pub proto: u8,
    pub v6: bool,
    /// Not 0: see [`sensor_common::key::icmp_ports`].
    pub one_way: u8,
    pub pad: u8,
    /// Host byte order.
    pub sport: u16,
    pub dport: u16,
    /// Number of the realm that what the header speaks of is in.
    pub realm: u32,
}

impl Ip {
    /// The key of all that goes between the two addresses, and which end sends.
    #[inline(always)]
    pub fn hosts(&self) -> (FlowKey, Dir) {
        FlowKey::of_words(self.src, self.dst, 0, 0, 0, false, Realm::of_number(self.realm))
    }
}

impl Scratch {
    /// This CPU's for the slot.
    #[inline(always)]
    pub fn get(slot: u32) -> Option<*mut Self> {
        SCRATCH.get_ptr_mut(slot)
    }

    /// Notes where the next record goes and how many bytes of the frame go with it, for [`Scratch::to`] and
    /// [`Scratch::cap`]: what is read anew has any value to the verifier, and not one on each way that leads there.
    ///
    /// # Safety
    /// `this` is this CPU's.
    #[inline(always)]
    pub unsafe fn sending(this: *mut Self, to: u32, cap: u32) {
        // SAFETY: the caller's word.
        unsafe {
            (&raw mut (*this).to).write_volatile(to);
            (&raw mut (*this).cap).write_volatile(cap);
        }
    }

    /// # Safety
    /// `this` is this CPU's.
    #[inline(always)]
    pub unsafe fn to(this: *const Self) -> u32 {
        // SAFETY: the caller's word.
        unsafe { (&raw const (*this).to).read_volatile() }
    }

    /// # Safety
    /// `this` is this CPU's.
    #[inline(always)]
    pub unsafe fn cap(this: *const Self) -> u32 {
        // SAFETY: the caller's word.
        unsafe { (&raw const (*this).cap).read_volatile() }
    }

    /// [`Scratch::room`] of a ring.
    ///
    /// # Safety
    /// `this` is this CPU's.
    #[inline(always)]
    pub unsafe fn room(this: *mut Self, ring: u32) -> *mut u64 {
        let i = opaque(ring as u64) & (sensor_common::policy::MAX_RINGS as u64 - 1);
        // SAFETY: the caller's word; the index is in range.
        unsafe { (&raw mut (*this).room).cast::<u64>().add(i as usize) }
    }

    /// Notes why a frame is not tracked, in the same way.
    ///
    /// # Safety
    /// `this` is this CPU's.
    #[inline(always)]
    pub unsafe fn because(this: *mut Self, reason: u32) {
        // SAFETY: the caller's word.
        unsafe { (&raw mut (*this).reason).write_volatile(reason) };
    }

    /// # Safety
    /// `this` is this CPU's.
    #[inline(always)]
    pub unsafe fn reason(this: *const Self) -> u32 {
        // SAFETY: the caller's word.
        unsafe { (&raw const (*this).reason).read_volatile() }
    }

    /// The same memory, read anew from here on by the compiler and thereby by the verifier.
    #[inline(always)]
    pub fn forget(mut this: *mut Self) -> *mut Self {
        // SAFETY: moves the pointer onto itself; declared to touch memory.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) this, options(nostack)) };
        this
    }
}

/// How the workers are woken.
#[map]
static BELLS: Array<Bell> = Array::with_max_entries(sensor_common::policy::MAX_RINGS, BPF_F_MMAPABLE);

// One ring per worker; those that no worker reads are loaded with the least size.
#[map]
static RING_0: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static RING_1: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static RING_2: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static RING_3: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static RING_4: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static RING_5: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static RING_6: RingBuf = RingBuf::with_byte_size(4096, 0);
#[map]
static RING_7: RingBuf = RingBuf::with_byte_size(4096, 0);

/// A field of the policy as userspace set it. By fields: what is read for nothing is read for each packet.
macro_rules! policy {
    ($field:ident) => {
        $crate::maps::as_loaded(&$crate::maps::POLICY.$field)
    };
}
pub(crate) use policy;

/// Read-only data as userspace set it.
#[inline(always)]
pub fn as_loaded<T: Copy>(field: &'static T) -> T {
    // SAFETY: a reference; volatile, or the compiler would fold in the value that stands there.
    unsafe { core::ptr::read_volatile(field) }
}

/// Ring `i` of [`sensor_common::policy::MAX_RINGS`].
#[inline(always)]
pub fn ring(i: u32) -> *mut c_void {
    // Compared one by one: a table of map addresses is nothing that a loader could relocate, and
    // the opaque step keeps the compiler from making one.
    let r = match opaque(i as u64) {
        0 => &raw const RING_0,
        1 => &raw const RING_1,
        2 => &raw const RING_2,
        3 => &raw const RING_3,
        4 => &raw const RING_4,
        5 => &raw const RING_5,
        6 => &raw const RING_6,
        _ => &raw const RING_7,
    };
    r as *mut c_void
}

/// `v`, of which the compiler knows nothing: what it would otherwise conclude and drop, the
/// verifier cannot conclude.
#[inline(always)]
pub fn opaque(mut v: u64) -> u64 {
    // A move onto itself; without any instruction two line records would have one address, which
    // the kernel refuses.
    // SAFETY: touches that register alone.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) v, options(nomem, nostack, preserves_flags)) };
    v
}

/// This CPU's accounting for a slot.
#[derive(Clone, Copy)]
pub struct Stats(*mut CpuStats);

impl Stats {
    #[inline(always)]
    pub fn get(slot: u32) -> Option<Self> {
        STATS.get_ptr_mut(slot).map(Stats)
    }

    /// Adds `n` to a counter. What shares a slot does not interrupt each other on a CPU (both hooks run with
    /// bottom halves off), so no atomics.
    #[inline(always)]
    pub fn add(self, c: Counter, n: u64) {
        // SAFETY: a live map value; the index is in range by the enum's definition.
        unsafe { *(&raw mut (*self.0).counters).cast::<u64>().add(c as usize) += n }
    }

    /// As [`Stats::add`] for a reason that the parser chose.
    #[inline(always)]
    pub fn add_reason(self, reason: u32, n: u64) {
        let i = opaque(reason as u64) & 31;
        if i < sensor_common::counters::COUNTERS as u64 {
            // SAFETY: a live map value; the index is in range.
            unsafe { *(&raw mut (*self.0).counters).cast::<u64>().add(i as usize) += n }
        }
    }

    /// Whether this CPU may say once more that the table is full: once in ten seconds.
    #[inline(always)]
    pub fn may_say_full(self) -> bool {
        // SAFETY: no arguments; a live map value that is this CPU's alone.
        unsafe {
            let now = bpf_ktime_get_boot_ns();
            let said = (*self.0).said_full;
            if said != 0 && now - said < 10_000_000_000 {
                return false;
            }
            (*self.0).said_full = now;
        }
        true
    }

    /// Flags for submitting a record to a ring, of which its reader has to see that it is reserved: wakes the worker
    /// if it sleeps. A worker that is awake finds the record by itself.
    #[inline(always)]
    pub fn wake(self, ring: u32) -> u64 {
        let Some(bell) = BELLS.get_ptr_mut(ring) else {
            return 0;
        };
        // SAFETY: live map values.
        unsafe {
            // Either the worker, having said that it sleeps, sees the reservation, or we see that it said so.
            fence(&raw mut (*self.0).fence);
            let asleep = &raw mut (*bell).asleep;
            // Most often it is awake, and a swap takes its cache line away.
            if asleep.read_volatile() != 0 && swap32(asleep, 0) != 0 {
                BPF_RB_FORCE_WAKEUP as u64
            } else {
                BPF_RB_NO_WAKEUP as u64
            }
        }
    }

    #[inline(always)]
    pub fn ring_lost(self, ring: u32) {
        let i = opaque(ring as u64) & 7;
        // SAFETY: a live map value; MAX_RINGS is 8.
        unsafe { *(&raw mut (*self.0).ring_lost).cast::<u64>().add(i as usize) += 1 }
    }
}
