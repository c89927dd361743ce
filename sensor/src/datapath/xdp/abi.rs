//! What this module and the BPF program say to each other beyond `sensor-common`. Compiled into
//! both (`sensor-ebpf` includes this very file), so it knows nothing of either. Native byte order.
#![allow(dead_code, reason = "each side uses its part")]

use sensor_common::FlowKey;
use sensor_common::counters::COUNTERS;
use sensor_common::policy::MAX_RINGS;

/// First word of a [`Meta`]: the frame comes from userspace.
pub const META_MAGIC: u32 = 0x7365_6e02;
/// [`Meta::flags`]: the frame was put together by userspace and counts as injected, not as seen.
pub const META_INJECTED: u32 = 1;

/// Stands in the frame's XDP metadata when userspace runs a frame through the program: 32 bytes, the
/// most that the kernel lets it have.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    pub magic: u32,
    /// See [`sensor_common::Packet::tunnel`].
    pub tunnel: u32,
    /// Time to take for the frame's, ns; the clock is the caller's.
    pub ts: u64,
    /// [`META_INJECTED`].
    pub flags: u32,
    /// IP bytes to count instead of the IP header's; 0 = the header's.
    pub ip_len: u32,
    /// Frame bytes on the wire, where the capture cut the frame; 0 = the frame's.
    pub wire_len: u32,
    /// Interface to report; 0 = none.
    pub ifindex: u32,
}

/// Set these directions' bits in the flow's `shed`.
pub const OP_SHED: u32 = 0;
/// Clear them.
pub const OP_UNSHED: u32 = 1;

/// One order to the program `control`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub key: FlowKey,
    /// [`OP_SHED`] or [`OP_UNSHED`].
    pub op: u32,
    /// Bit per direction, as in `FlowState::shed`.
    pub dirs: u32,
}

/// Most orders in one frame of `control`.
pub const MAX_ORDERS: usize = 32;
/// Bytes before the first order: a frame must be as long as an Ethernet header.
pub const ORDERS_HEAD: usize = 16;

/// One CPU's accounting.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CpuStats {
    /// Indexed by [`sensor_common::Counter`].
    pub counters: [u64; COUNTERS as usize],
    /// Records that found the ring full, per ring.
    pub ring_lost: [u64; MAX_RINGS as usize],
    /// When this CPU last logged that the flow table is full, ns since boot.
    pub said_full: u64,
}

/// Most frame bytes that a record carries; the largest of [`CLASSES`].
pub const MAX_CAP: u32 = CLASSES[CLASSES.len() - 1];
/// Frame bytes there is room for in a record. A reservation must have a size that the verifier
/// knows, so it is the smallest of these that fits: bare headers, small packets, an Ethernet frame,
/// a jumbo frame, a segmentation-offload skb. With the record header each is a multiple of 8.
pub const CLASSES: [u32; 5] = [192, 640, 1664, 10_240, 66_048];
