//! Frames that the kernel forwards whole because it does not parse them: fragments, tunnels, and link
//! layers and headers of the rarer kind; and the packets in connections that are tunnels. They are taken
//! apart here as the soft datapath does, and the packets found go back through the program, so that its flow
//! table stays the only one.

use sensor_common::record::{KIND_FRAME, KIND_PACKET};
use sensor_common::{Packet, Policy, RecordHeader, policy};

use crate::conn::{Engine, Sink, untracked};
use crate::datapath::FlowTable;
use crate::datapath::soft::{self, Flows, Inner, Soft, Untracked};
use crate::datapath::tunnels::{MAX_DEPTH, Tunnels};
use crate::datapath::xdp::{Inject, Injector, Ring};
use crate::packet::capture::Frame;
use crate::packet::defrag::make_whole;
use crate::packet::link::LinkType;
use crate::packet::weird::Weird;

/// Rounds of injecting what was found in what was injected: one for each tunnel that a packet may be in,
/// one for the packet itself. What the program cannot use of it does not come back.
const ROUNDS: usize = MAX_DEPTH + 2;

/// Parser and reassembler for such frames.
pub struct SlowPath {
    soft: Soft,
    found: Vec<Found>,
}

/// A packet to be injected: an Ethernet frame made for it.
struct Found {
    ts: u64,
    /// See [`Packet::tunnel`].
    tunnel: u32,
    frame: Vec<u8>,
}

impl SlowPath {
    /// `tunnels`: the engine's.
    pub fn new(tunnels: Tunnels) -> Self {
        let policy = Policy {
            bits: policy::ALL_PACKETS,
            ..Policy::default()
        };
        SlowPath {
            soft: Soft::with_tunnels(
                soft::Config {
                    policy,
                    ..soft::Config::default()
                },
                tunnels,
            ),
            found: Vec::new(),
        }
    }
}

struct Collect<'e, S> {
    found: &'e mut Vec<Found>,
    engine: &'e mut Engine<S>,
}

impl<S: Sink> soft::Sink for Collect<'_, S> {
    fn advance(&mut self, _ts: u64, _flows: &mut Flows) {}

    fn record(&mut self, h: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<Inner> {
        // The kernel counts it; here it leaves nothing behind.
        flows.remove(&h.pkt.key);
        let ip = frame.get(h.pkt.l3 as usize..)?;
        let ethertype: u16 = if ip.first().is_some_and(|b| b >> 4 == 6) {
            0x86dd
        } else {
            0x0800
        };
        let mut out = vec![0; 12];
        out.extend(ethertype.to_be_bytes());
        out.extend_from_slice(ip);
        if let Some(ip) = out.get_mut(14..) {
            // A datagram put together has the bits of its first fragment still.
            make_whole(ip);
        }
        self.found.push(Found {
            ts: h.pkt.ts,
            tunnel: h.pkt.tunnel,
            frame: out,
        });
        // What is in it is found when it comes back from the kernel.
        None
    }

    fn fault(&mut self, packet: &Packet, weird: Weird, frame: &[u8], _flows: &mut Flows) {
        self.engine.fault(packet, weird.name(), frame);
    }

    fn untracked(&mut self, u: &Untracked<'_>, _flows: &mut Flows) {
        untracked(self.engine, u);
    }

    fn weird(&mut self, ts: u64, name: &'static str, addrs: Option<&soft::Addrs>, _flows: &mut Flows) {
        self.engine.stray_weird(ts, name, addrs.map(|(s, d)| (s, d)));
    }
}

impl SlowPath {
    /// Takes a frame apart; what is found waits for [`SlowPath::inject`].
    pub fn frame(&mut self, f: &Frame<'_>, engine: &mut Engine<impl Sink>) {
        let _ = self.soft.frame(
            f,
            &mut Collect {
                found: &mut self.found,
                engine,
            },
        );
    }

    /// Takes a packet out of a record's, which a tunnel carried.
    fn inner(&mut self, h: &RecordHeader, mut inner: Inner, frame: &[u8], engine: &mut Engine<impl Sink>) {
        inner.cut = (h.pkt.l3 as u32 + h.pkt.ip_len).saturating_sub(frame.len() as u32);
        let mut sink = Collect {
            found: &mut self.found,
            engine,
        };
        self.soft.inner(h.pkt.ts, &inner, frame, &mut sink);
    }

    /// Takes all records off a ring, to the engine or, if they are whole frames, through here and the
    /// program again. `shift` is added to the kernel's times.
    pub fn drain<T: FlowTable, S: Sink>(
        &mut self,
        ring: &mut Ring,
        table: &mut T,
        injector: &mut Injector,
        engine: &mut Engine<S>,
        shift: i64,
    ) -> anyhow::Result<()> {
        for _ in 0..ROUNDS {
            while let Some((header, frame)) = ring.next() {
                let h = shifted(header, shift);
                match h.kind {
                    KIND_PACKET => {
                        if shift != 0 {
                            engine.advance(h.pkt.ts, table);
                        }
                        if let Some(inner) = engine.record(&h, frame, table) {
                            self.inner(&h, inner, frame, engine);
                        }
                    }
                    KIND_FRAME => {
                        let f = Frame {
                            ts: h.pkt.ts,
                            link: LinkType(1),
                            data: frame,
                            wire_len: h.wire_len,
                            iface: 0,
                        };
                        self.frame(&f, engine);
                    }
                    _ => {}
                }
            }
            if self.found.is_empty() {
                break;
            }
            for p in std::mem::take(&mut self.found) {
                let ts = p.ts.wrapping_sub(shift as u64);
                injector.run(
                    &p.frame,
                    &Inject {
                        ts,
                        injected: true,
                        tunnel: p.tunnel,
                        ..Default::default()
                    },
                )?;
            }
        }
        self.found.clear();
        Ok(())
    }
}

/// A record with its times moved to the epoch.
fn shifted(h: &RecordHeader, shift: i64) -> RecordHeader {
    let mut h = *h;
    let by = shift as u64;
    h.pkt.ts = h.pkt.ts.wrapping_add(by);
    h.flow_start = h.flow_start.wrapping_add(by);
    if h.prev_last != 0 {
        h.prev_last = h.prev_last.wrapping_add(by);
    }
    h
}
