//! The engine behind the soft datapath.

use sensor_common::{Counter, Packet, RecordHeader};

use super::engine::Engine;
use super::sink::Sink;
use crate::datapath::soft::{self, Flows, InnerPacket, Untracked};
use crate::event::Ts;
use crate::packet::Weird;

/// A packet that is not tracked, for the engine.
pub fn untracked<S: Sink>(engine: &mut Engine<S>, u: &Untracked<'_>) {
    if u.reason == Counter::OtherProtocol
        && let Some(ip) = u.l3.and_then(|at| u.frame.get(at as usize..))
    {
        engine.untracked(u.ts, ip);
    }
}

/// Gives an engine what the soft datapath finds.
pub struct EngineSink<'e, S>(pub &'e mut Engine<S>);

impl<S: Sink> soft::PacketSink for EngineSink<'_, S> {
    fn advance(&mut self, ts: Ts, flows: &mut Flows) {
        self.0.advance(ts, flows);
    }

    fn record(&mut self, header: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<InnerPacket> {
        self.0.record(header, frame, flows)
    }

    fn packet_weird(&mut self, packet: &Packet, weird: Weird, frame: &[u8], _flows: &mut Flows) {
        self.0.packet_weird(packet, weird.name(), frame);
    }

    fn untracked(&mut self, u: &Untracked<'_>, _flows: &mut Flows) {
        untracked(self.0, u);
    }

    fn weird(
        &mut self,
        ts: Ts,
        name: &'static str,
        addl: &str,
        addrs: Option<&soft::Addrs>,
        _flows: &mut Flows,
    ) {
        self.0.net_weird(ts, name, addl, addrs.map(|(s, d)| (s, d)));
    }
}
