//! What crosses a ring: a fixed header and, behind it, the start of the frame.

use crate::flow::FlowState;
use crate::key::FlowKey;
use crate::packet::Packet;

/// A packet of a tracked flow.
pub const KIND_PACKET: u8 = 1;
/// A frame that the datapath does not track; `untracked` tells why. Only `ts`, `wire_len`,
/// `cap_len`, `ifindex` and `l3` are set besides.
pub const KIND_FRAME: u8 = 2;

/// Totals of one direction as they stood when the record was made, its own packet included.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub pkts: u64,
    /// IP bytes.
    pub bytes: u64,
    /// Transport payload bytes.
    pub payload: u64,
    /// See [`crate::flow::DirState::next`].
    pub next: u64,
    /// See [`crate::flow::DirState::ack`].
    pub ack: u64,
}

/// The fixed part of a record. Native byte order; 8-byte aligned; `cap_len` bytes of the frame follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    pub pkt: Packet,
    /// Both directions, `key.a`'s first.
    pub totals: [Totals; 2],
    /// The sender's [`crate::flow::DirState::next`] and `ack` before this packet.
    pub prev_next: u64,
    pub prev_ack: u64,
    /// Latest packet of the flow before this one, ns; 0 = this is its first.
    pub prev_last: u64,
    /// When the flow entry was made, ns: a new entry of the same key has another.
    pub flow_start: u64,
    /// Why it was forwarded: bits of [`crate::flow::why`].
    pub why: u32,
    /// Frame bytes that follow.
    pub cap_len: u32,
    /// Frame bytes on the wire.
    pub wire_len: u32,
    pub ifindex: u32,
    /// [`KIND_PACKET`] or [`KIND_FRAME`].
    pub kind: u8,
    /// For [`KIND_FRAME`]: a [`crate::counters::Counter`], the reason it is not tracked.
    pub untracked: u8,
    pub pad: [u8; 6],
}

/// Size of the fixed part, bytes; a multiple of 8.
pub const HEADER_LEN: usize = core::mem::size_of::<RecordHeader>();

impl Totals {
    #[inline(always)]
    pub fn of(d: &crate::flow::DirState) -> Self {
        Totals {
            pkts: d.pkts,
            bytes: d.bytes,
            payload: d.payload,
            next: d.next,
            ack: d.ack,
        }
    }
}

impl RecordHeader {
    /// The record of a tracked packet, made after the update; `before` is what
    /// [`crate::flow::update`] returned.
    #[inline(always)]
    pub fn fill(&mut self, pkt: &Packet, flow: &FlowState, before: &crate::flow::Outcome) {
        self.pkt = *pkt;
        self.totals[0] = Totals::of(&flow.dir[0]);
        self.totals[1] = Totals::of(&flow.dir[1]);
        self.prev_next = before.prev_next;
        self.prev_ack = before.prev_ack;
        self.prev_last = before.prev_last;
        self.flow_start = flow.start;
        self.why = before.why;
        self.kind = KIND_PACKET;
        self.untracked = 0;
        self.pad = [0; 6];
    }

    /// Bytes of the IP packet that are not in `frame`, which came with this.
    pub fn missing(&self, frame: &[u8]) -> u32 {
        (self.pkt.l3 as u32 + self.pkt.ip_len).saturating_sub(frame.len() as u32)
    }

    pub fn key(&self) -> &FlowKey {
        &self.pkt.key
    }
}
