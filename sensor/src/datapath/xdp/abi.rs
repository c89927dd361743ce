//! What this module and the BPF program say to each other beyond `sensor-common`. Compiled into
//! both (`sensor-ebpf` includes this very file), so it knows nothing of either. Native byte order.
#![allow(dead_code, reason = "each side uses its part")]

use sensor_common::counters::COUNTERS;
use sensor_common::follow::MAX_MARKS;
use sensor_common::policy::MAX_RINGS;
use sensor_common::{FlowKey, FlowState, Packet};

/// First word of a [`Meta`]: the frame comes from userspace.
pub const META_MAGIC: u64 = 0x7365_6e73_6f72_0003;

/// Stands in the frame's XDP metadata when userspace runs a frame through a program. At most 32 bytes,
/// says the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// [`META_MAGIC`].
    pub magic: u64,
    /// Time to take for the frame's, ns; the clock is the caller's.
    pub ts: u64,
    /// Frame bytes on the wire, where the capture cut the frame; 0 = the frame's.
    pub wire_len: u32,
    /// Interface to report; 0 = none.
    pub ifindex: u32,
    /// Which of the per-CPU entries is this run's: 1 to [`SLOTS`] - 1.
    pub slot: u32,
    /// Always 0.
    pub pad: u32,
}
const _: () = assert!(size_of::<Meta>() <= 32);

/// Entries of the per-CPU maps: one for what the hooks see, one for each thread that runs frames through a
/// program, and [`TELL_SLOT`]. Before Linux 6.3 such a run may be interrupted by a hook, or by another thread's run, on its own CPU
/// and in the middle of a packet.
pub const SLOTS: u32 = 2 + MAX_RINGS;
/// For the one thread that asks for [`END_AND_TELL`].
pub const TELL_SLOT: u32 = SLOTS - 1;
/// There are as many again for packets that the program takes out of others, beyond those for the others.
pub const INNER_SLOTS: u32 = SLOTS;
/// All entries of such a map.
pub const ALL_SLOTS: u32 = SLOTS + INNER_SLOTS;

/// What stands before the bytes in the frame of program `inject`: the packet that userspace found in them.
/// Its offsets are the frame's and so include this.
pub const PACKET_LEN: usize = size_of::<Packet>();
const _: () = assert!(PACKET_LEN.is_multiple_of(8) && PACKET_LEN >= 14);

/// Set these directions' bits in the flow's `shed`; they are not followed.
pub const OP_SHED: u32 = 0;
/// Clear them.
pub const OP_UNSHED: u32 = 1;
/// Follow a direction (one) from `at` on; may be refused. Of UDP, each datagram.
pub const OP_FOLLOW: u32 = 2;
/// Keep the payload of a direction (one) of TCP before `at`; may be refused.
pub const OP_SKIP: u32 = 3;

/// One order to the program `control`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The flow that it is about.
    pub key: FlowKey,
    /// [`OP_SHED`] and the like.
    pub op: u32,
    /// Bit per direction, as in `FlowState::shed`.
    pub dirs: u32,
    /// For [`OP_FOLLOW`] and [`OP_SKIP`]: see [`sensor_common::follow::order`] and [`sensor_common::skip::order`].
    pub at: u32,
    /// Always 0.
    pub pad: u32,
}

/// Most orders in one frame of `control`.
pub const MAX_ORDERS: usize = 32;
/// Bytes before the first order: a frame must be as long as an Ethernet header.
pub const ORDERS_HEAD: usize = 16;

/// The key of an ended flow's state, kept until its row is written.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndedKey {
    /// The flow's key.
    pub flow: FlowKey,
    /// Its [`FlowState::start`].
    pub start: u64,
    /// Of several connections in the flow's one entry: the upper half of this one's uid. 0: what the program ended.
    pub part: u64,
}

/// One question to the program `fetch`, and its answer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// The flow that is asked for. The program fills in when it began.
    pub ended: EndedKey,
    /// 1: the entry is taken out of the table; [`END_AND_TELL`].
    pub end: u32,
    /// Set by the program: whether there was one.
    pub found: u32,
    /// Set by the program if there was one.
    pub state: FlowState,
}

/// [`Fetch::end`]: the worker, too, is told in the flow's ring, as of one that gave way. Of one thread's runs alone.
pub const END_AND_TELL: u32 = 2;

/// The count of half-open flows.
#[repr(C, align(64))]
pub struct HalfOpen {
    /// How many there are now.
    pub count: u64,
    /// Fills the cache line.
    pub pad: [u64; 7],
    /// How many there ever were: the place of the next one in their queue.
    pub next: u64,
    /// Fills the cache line.
    pub pad_next: [u64; 7],
}

/// Most questions in one frame of `fetch`: what fits on a page beside the kernel's own.
pub const MAX_FETCHES: usize = (3500 - ORDERS_HEAD) / size_of::<Fetch>();

/// How a worker is woken: it sets `asleep` before it sleeps, and who forwards a record clears it and wakes it. The
/// map has one for each ring, each in a cache line of its own, and userspace maps it into its memory.
#[repr(C, align(64))]
pub struct Bell {
    /// 1: the worker sleeps, or is about to.
    pub asleep: u32,
    /// Fills the cache line.
    pub pad: [u32; 15],
}

/// One CPU's accounting.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CpuStats {
    /// Indexed by [`sensor_common::Counter`].
    pub counters: [u64; COUNTERS as usize],
    /// Records for which there was no room, per ring.
    pub ring_lost: [u64; MAX_RINGS as usize],
    /// When this CPU last logged that the flow table is full, ns since boot.
    pub said_full: u64,
    /// Always 0: what a barrier is made with.
    pub fence: u64,
}

/// Most frame bytes that a record carries; the largest of [`CLASSES`].
pub const MAX_CAP: u32 = CLASSES[CLASSES.len() - 1];
/// Frame bytes there is room for in a record. A reservation must have a size that the verifier
/// knows, so it is the smallest of these that fits: TCP's headers with a time stamp over IPv4 and over IPv6, small
/// packets, hellos, an Ethernet frame with two tags, a jumbo frame, a segmentation-offload skb. With the record header
/// each is a multiple of 8.
pub const CLASSES: [u32; 9] = [72, 96, 192, 384, 768, 1152, 1528, 10_240, 66_048];
/// As [`CLASSES`], of marks.
pub const MARK_CLASSES: [u32; 3] = [1, 4, MAX_MARKS as u32];
