//! Frames that the kernel forwards whole because it does not parse them: fragments, tunnels, and link
//! layers and headers of the rarer kind; and the packets in connections that are tunnels. They are taken
//! apart here as the soft datapath does. Each packet found goes to the kernel with its header fields as they
//! were found, so that its flow table stays the only one, and comes back as a record like all others.

use sensor_common::{Packet, Policy, RecordHeader, policy};

use super::turn::Turn;
use crate::conn::{Sink, untracked};
use crate::datapath::FlowTable;
use crate::datapath::soft::{self, Flows, InnerPacket, Soft, Untracked};
use crate::datapath::tunnels::Tunnels;
use crate::datapath::xdp;
use crate::packet::capture::Frame;
use crate::packet::weird::Weird;

/// Parser and reassembler for such frames.
pub struct SlowPath(Soft);

impl SlowPath {
    /// `tunnels`: the engine's. `checksums`: verify them. `policy`: the kernel's, of which counts here what keys know, and
    /// whether packets are looked at for having come twice: in frames in which the kernel finds no IP, and for fragments in
    /// tunnels, nobody else does it.
    pub fn new(tunnels: Tunnels, checksums: bool, policy: &Policy) -> Self {
        let policy = Policy {
            bits: policy::ALL_PACKETS | policy.bits & policy::REALMS,
            dedup: policy.dedup,
            ..Policy::default()
        };
        let config = soft::SoftConfig {
            policy,
            checksums,
            ..soft::SoftConfig::default()
        };
        SlowPath(Soft::with_tunnels(config, tunnels))
    }

    /// See [`Soft::take_reassembled`].
    pub fn take_reassembled(&mut self) -> Option<&[u8]> {
        self.0.take_reassembled()
    }

    /// See [`Soft::take_duplicate`].
    pub fn take_duplicate(&mut self) -> bool {
        self.0.take_duplicate()
    }

    /// Takes a frame apart. Offline, a packet that the kernel refuses is an error.
    pub fn frame<T: FlowTable, S: Sink>(
        &mut self,
        f: &Frame<'_>,
        turn: &mut Turn<'_, T, S>,
    ) -> Result<(), xdp::KernelError> {
        let mut sink = Found { turn, failed: None };
        let _ = self.0.frame(f, &mut sink);
        sink.failed.map_or(Ok(()), Err)
    }

    /// Takes the packet `inner` out of `bytes`, the frame of record `h`, whose connection is a tunnel.
    pub fn inner<T: FlowTable, S: Sink>(
        &mut self,
        h: &RecordHeader,
        mut inner: InnerPacket,
        bytes: &[u8],
        turn: &mut Turn<'_, T, S>,
    ) -> Result<(), xdp::KernelError> {
        inner.cut = h.missing(bytes);
        let mut sink = Found { turn, failed: None };
        self.0.inner(h.pkt.ts, &inner, bytes, &mut sink);
        sink.failed.map_or(Ok(()), Err)
    }
}

/// The soft datapath's sink: packets go to the kernel, the rest to the engine.
struct Found<'f, 'w, T, S> {
    turn: &'f mut Turn<'w, T, S>,
    failed: Option<xdp::KernelError>,
}

impl<T: FlowTable, S: Sink> soft::PacketSink for Found<'_, '_, T, S> {
    fn advance(&mut self, _ts: u64, _flows: &mut Flows) {}

    fn record(&mut self, h: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<InnerPacket> {
        // The kernel counts it; here it leaves nothing behind.
        flows.remove(&h.pkt.key);
        let mut p = h.pkt;
        p.ts = p.ts.wrapping_sub(self.turn.shift as u64);
        if let Err(e) = self.turn.injector.found(&p, frame, h.wire_len) {
            if self.turn.shift == 0 {
                self.failed.get_or_insert(e);
            } else {
                // Live, no packet and no shortage of memory for one may end a worker.
                tracing::warn!("a packet out of another is not tracked: {e}");
            }
            return None;
        }
        // Else what is in it is found when its record comes.
        if self.turn.alone {
            self.turn.answer(frame)
        } else {
            None
        }
    }

    fn packet_weird(&mut self, packet: &Packet, weird: Weird, frame: &[u8], _flows: &mut Flows) {
        self.turn.engine.packet_weird(packet, weird.name(), frame);
    }

    fn untracked(&mut self, u: &Untracked<'_>, _flows: &mut Flows) {
        untracked(self.turn.engine, u);
    }

    fn weird(
        &mut self,
        ts: u64,
        name: &'static str,
        addl: &str,
        addrs: Option<&soft::Addrs>,
        _flows: &mut Flows,
    ) {
        self.turn
            .engine
            .net_weird(ts, name, addl, addrs.map(|(s, d)| (s, d)));
    }
}
