//! What crosses a ring: a fixed header and, behind it, the start of the frame or what TLS records begin in it.

use crate::flow::FlowState;
use crate::key::FlowKey;
use crate::packet::Packet;

/// A packet of a tracked flow.
pub const KIND_PACKET: u8 = 1;
/// A frame that the datapath does not track; `untracked` tells why. Only `ts`, `wire_len`,
/// `cap_len`, `ifindex` and `l3` are set besides.
pub const KIND_FRAME: u8 = 2;
/// A half-open flow that is in the table no more; nothing follows. See [`RecordHeader::last_state`].
pub const KIND_GONE: u8 = 3;

/// Totals of one direction as they stood when the record was made, its own packet included.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Wire packets.
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

/// The fixed part of a record. Native byte order; 8-byte aligned; `cap_len` bytes of the frame follow, or `marks`
/// times a [`crate::follow::Mark`]. What [`crate::decap`] has to say stands before either, and counts as `cap_len`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// The packet's header fields.
    pub pkt: Packet,
    /// Both directions, `key.a`'s first.
    pub totals: [Totals; 2],
    /// The sender's [`crate::flow::DirState::next`] before this packet.
    pub prev_next: u64,
    /// The sender's [`crate::flow::DirState::ack`] before this packet.
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
    /// Number of the interface that saw it; 0 = none.
    pub ifindex: u32,
    /// [`KIND_PACKET`] or [`KIND_FRAME`].
    pub kind: u8,
    /// For [`KIND_FRAME`]: a [`crate::counters::Counter`], the reason it is not tracked.
    pub untracked: u8,
    /// [`crate::follow::Mark`]s that follow; then no bytes of the frame do.
    pub marks: u8,
    /// With [`crate::flow::why::UNSHED`]: how many bytes of a TLS record's header came with packets before this one,
    /// 0 to 4.
    pub part_len: u8,
    /// Those bytes.
    pub part: [u8; 4],
}

/// Size of the fixed part, bytes; a multiple of 8.
pub const HEADER_LEN: usize = core::mem::size_of::<RecordHeader>();

impl Totals {
    /// A direction's totals as they stand.
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
        self.marks = 0;
        self.part_len = 0;
        self.part = [0; 4];
    }

    /// The record of a half-open flow that leaves the table; the header is all zero before. `untold`: userspace
    /// knows nothing of it.
    #[inline(always)]
    pub fn fill_gone(&mut self, key: &FlowKey, flow: &FlowState, untold: bool) {
        self.kind = KIND_GONE;
        self.why = if untold { crate::flow::why::UNTOLD } else { 0 };
        self.pkt.key = *key;
        self.pkt.tunnel = flow.tunnel;
        self.pkt.ts = flow.last();
        self.totals[0] = Totals::of(&flow.dir[0]);
        self.totals[1] = Totals::of(&flow.dir[1]);
        self.flow_start = flow.start;
        // What only the flow's state has finds room where a packet has none of its own.
        (self.prev_next, self.prev_ack) = (flow.dir[0].first, flow.dir[1].first);
        (self.pkt.seq, self.pkt.ack) = (flow.dir[0].isn, flow.dir[1].isn);
        self.pkt.window = flow.dir[0].flags as u16 | (flow.dir[1].flags as u16) << 8;
    }

    /// Of a [`KIND_GONE`]: the flow's state, as far as half-open flows have one.
    pub fn last_state(&self) -> FlowState {
        let mut flow = FlowState::starting(self.flow_start);
        flow.tunnel = self.pkt.tunnel;
        let first = [self.prev_next, self.prev_ack];
        let isn = [self.pkt.seq, self.pkt.ack];
        for (i, d) in flow.dir.iter_mut().enumerate() {
            let t = &self.totals[i];
            (d.pkts, d.bytes, d.payload) = (t.pkts, t.bytes, t.payload);
            (d.next, d.ack, d.isn) = (t.next, t.ack, isn[i]);
            d.flags = (self.pkt.window >> (8 * i)) as u32 & 0xff;
            d.first = first[i];
            // That of the later one is the flow's.
            d.last = if t.pkts == 0 { 0 } else { self.pkt.ts };
        }
        flow
    }

    /// Adds what [`crate::follow::follow`] found, after [`RecordHeader::fill`].
    #[inline(always)]
    pub fn fill_marks(&mut self, m: &crate::follow::Marks) {
        self.marks = m.n as u8;
        self.part_len = m.part_len as u8;
        self.part = [m.buf[0], m.buf[1], m.buf[2], m.buf[3]];
    }

    /// Bytes that follow.
    pub fn body_len(&self) -> usize {
        self.cap_len as usize + self.marks as usize * crate::follow::MARK_LEN
    }

    /// Bytes of the IP packet that are not in `frame`, which came with this.
    pub fn missing(&self, frame: &[u8]) -> u32 {
        (self.pkt.l3 as u32 + self.pkt.ip_len).saturating_sub(frame.len() as u32)
    }

    /// The flow of the packet.
    pub fn key(&self) -> &FlowKey {
        &self.pkt.key
    }
}
