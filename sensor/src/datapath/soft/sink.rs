//! What the soft datapath finds, and who takes it.

use std::sync::Arc;

use sensor_common::key::Realm;
use sensor_common::{Counter, Packet, RecordHeader};

use super::Flows;
use crate::datapath::tunnels::Stack;
use crate::packet::link::LinkType;
use crate::packet::weird::Weird;

/// What the soft datapath gives, in the order in which it finds it.
pub trait PacketSink {
    /// Network time moves to `ts` (ns). Comes before everything else of each frame.
    fn advance(&mut self, ts: u64, flows: &mut Flows);

    /// A record of a packet in a flow. `frame` has `header.cap_len` bytes, and the offsets in `header.pkt` point into it. A
    /// reassembled datagram starts at its IP header. Returns the inner packet if the connection is a tunnel.
    fn record(&mut self, header: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<InnerPacket>;

    /// A packet that belongs to a flow by its addresses and ports but is not counted in it: its TCP
    /// header cannot be used or (with checksums on) its transport checksum is wrong. Zeek makes
    /// the connection and raises `weird` for it.
    fn packet_weird(&mut self, packet: &Packet, weird: Weird, frame: &[u8], flows: &mut Flows);

    /// A frame that is not tracked.
    fn untracked(&mut self, u: &Untracked<'_>, flows: &mut Flows);

    /// A weird of no connection, under Zeek's name. With addresses (sender, receiver; IPv4 mapped) it is
    /// of a flow in Zeek's sense (flow_weird), without of the net (net_weird).
    /// `addl`: weird.log's column of that name.
    fn weird(&mut self, ts: u64, name: &'static str, addl: &str, addrs: Option<&Addrs>, flows: &mut Flows);
}

/// Sender and receiver, network byte order, IPv4 as `::ffff:a.b.c.d`.
pub type Addrs = ([u8; 16], [u8; 16]);

/// A packet that a record's packet carries.
#[derive(Clone, Debug)]
pub struct InnerPacket {
    /// Where it starts, bytes from the frame's start; at most the frame's length.
    pub at: usize,
    /// Where it ends, in the same way.
    pub end: usize,
    /// The link type that it begins with.
    pub link: LinkType,
    /// Bytes of it that were not captured.
    pub cut: u32,
    /// The tunnels that it came through.
    pub tunnel: Arc<Stack>,
    /// Its realm, as far as the tunnels say.
    pub realm: Realm,
}

/// A frame (or a packet out of one) that is not tracked.
#[derive(Clone, Copy, Debug)]
pub struct Untracked<'a> {
    /// Nanoseconds.
    pub ts: u64,
    /// One of [`sensor_common::counters::UNTRACKED`].
    pub reason: Counter,
    /// The reason as a weird. [`PacketSink::weird`] was called for it before.
    pub weird: Option<Weird>,
    /// Sender and receiver, where its IP header was sound.
    pub addrs: Option<Addrs>,
    /// The link type that the frame begins with.
    pub link: LinkType,
    /// Offset of the IP header; None if it was not found.
    pub l3: Option<u32>,
    /// Frame bytes on the wire.
    pub wire_len: u32,
    /// The bytes captured.
    pub frame: &'a [u8],
}
