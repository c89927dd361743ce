//! Frames that the kernel forwards whole because it does not parse them: fragments, tunnels, and link
//! layers and headers of the rarer kind; and the packets in connections that are tunnels. They are taken
//! apart here as the soft datapath does. Each packet found goes to the kernel with its header fields as they
//! were found, so that its flow table stays the only one, and comes back as a record like all others.

use sensor_common::flow::why;
use sensor_common::record::{KIND_FRAME, KIND_GONE, KIND_PACKET};
use sensor_common::{FlowState, Packet, Policy, RecordHeader, policy};

use crate::conn::{Engine, Sink, untracked};
use crate::datapath::FlowTable;
use crate::datapath::soft::{self, Flows, Inner, Soft, Untracked};
use crate::datapath::tunnels::Tunnels;
use crate::datapath::xdp::{self, Injector, Ring};
use crate::packet::capture::Frame;
use crate::packet::link::LinkType;
use crate::packet::weird::Weird;

/// Parser and reassembler for such frames.
pub struct SlowPath {
    soft: Soft,
    /// The frame in hand, out of the ring's way.
    frame: Vec<u8>,
    /// How far the engine's timers have come.
    advanced: u64,
}

/// Records after which a worker sees to its outbox and to what was put off.
const MOST: u32 = 4096;
/// Timers may be so late, live, ns: those that fall due together ask the flow table together.
const GRAIN: u64 = 1_000_000;

/// So many of them before records of [`GRAIN`]'s time, with more records waiting: a million that fall due together
/// must not keep the ring waiting, and be gone through all the same.
const MOST_TIMERS: u32 = 128;

/// What a worker has to do with the kernel and with connections.
pub struct Worker<'w, T, S> {
    pub ring: &'w mut Ring,
    pub table: &'w mut T,
    pub injector: &'w mut Injector,
    pub engine: &'w mut Engine<S>,
    /// Added to the kernel's times.
    pub shift: i64,
    /// Nothing but this worker causes records: what it injects comes up next, and is waited for, so that
    /// all happens in the order in which the soft datapath has it.
    pub alone: bool,
}

impl<T: FlowTable, S: Sink> Worker<'_, T, S> {
    /// The records that are in the ring after a packet in `frame` was injected.
    fn answer(&mut self, frame: &[u8]) -> Option<Inner> {
        let mut inner = None;
        while let Some((h, bytes)) = self.ring.next() {
            let mut h = shifted(h, self.shift);
            if h.kind == KIND_PACKET {
                let whole = whole(&mut h, bytes, frame);
                let bytes = whole.as_deref().unwrap_or(bytes);
                inner = self.engine.record(&h, bytes, self.table).or(inner);
            }
        }
        // The soft datapath's frame does not begin with the packet's fields.
        if let Some(i) = &mut inner {
            i.at = i.at.saturating_sub(xdp::PACKET_LEN);
            i.end = i.end.saturating_sub(xdp::PACKET_LEN);
        }
        inner
    }
}

/// What a record of a packet that was found in `frame` would hold, had it room for it: segmentation offload leaves packets
/// longer than any record.
fn whole(h: &mut RecordHeader, bytes: &[u8], frame: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < xdp::MAX_CAP as usize {
        return None;
    }
    let end = h.pkt.l3 as usize + h.pkt.ip_len as usize;
    let end = end.saturating_sub(xdp::PACKET_LEN).min(frame.len());
    let head = bytes.get(..xdp::PACKET_LEN)?;
    let whole = [head, frame.get(..end)?].concat();
    h.cap_len = whole.len() as u32;
    Some(whole)
}

/// The soft datapath's sink: packets go to the kernel, the rest to the engine.
struct Found<'f, 'w, T, S> {
    worker: &'f mut Worker<'w, T, S>,
    failed: Option<xdp::Error>,
}

impl<T: FlowTable, S: Sink> soft::Sink for Found<'_, '_, T, S> {
    fn advance(&mut self, _ts: u64, _flows: &mut Flows) {}

    fn record(&mut self, h: &RecordHeader, frame: &[u8], flows: &mut Flows) -> Option<Inner> {
        // The kernel counts it; here it leaves nothing behind.
        flows.remove(&h.pkt.key);
        let mut p = h.pkt;
        p.ts = p.ts.wrapping_sub(self.worker.shift as u64);
        if let Err(e) = self.worker.injector.found(&p, frame, h.wire_len) {
            if self.worker.shift == 0 {
                self.failed.get_or_insert(e);
            } else {
                // Live, no packet and no shortage of memory for one may end a worker.
                tracing::warn!("a packet out of another is not tracked: {e}");
            }
            return None;
        }
        // Else what is in it is found when its record comes.
        if self.worker.alone {
            self.worker.answer(frame)
        } else {
            None
        }
    }

    fn fault(&mut self, packet: &Packet, weird: Weird, frame: &[u8], _flows: &mut Flows) {
        self.worker.engine.fault(packet, weird.name(), frame);
    }

    fn untracked(&mut self, u: &Untracked<'_>, _flows: &mut Flows) {
        untracked(self.worker.engine, u);
    }

    fn weird(
        &mut self,
        ts: u64,
        name: &'static str,
        addl: &str,
        addrs: Option<&soft::Addrs>,
        _flows: &mut Flows,
    ) {
        self.worker
            .engine
            .stray_weird(ts, name, addl, addrs.map(|(s, d)| (s, d)));
    }
}

impl SlowPath {
    /// `tunnels`, `realms`: the engine's. `checksums`: verify them.
    pub fn new(tunnels: Tunnels, checksums: bool, realms: u32) -> Self {
        let policy = Policy {
            bits: policy::ALL_PACKETS | realms,
            ..Policy::default()
        };
        let config = soft::Config {
            policy,
            checksums,
            ..soft::Config::default()
        };
        SlowPath {
            soft: Soft::with_tunnels(config, tunnels),
            frame: Vec::new(),
            advanced: 0,
        }
    }

    /// See [`Soft::take_reassembled`].
    pub fn take_reassembled(&mut self) -> Option<&[u8]> {
        self.soft.take_reassembled()
    }

    /// Takes a frame apart.
    pub fn frame<T: FlowTable, S: Sink>(
        &mut self,
        f: &Frame<'_>,
        worker: &mut Worker<'_, T, S>,
    ) -> anyhow::Result<()> {
        let mut sink = Found { worker, failed: None };
        let _ = self.soft.frame(f, &mut sink);
        sink.failed.map_or(Ok(()), |e| Err(e.into()))
    }

    /// Takes the records off the ring, [`MOST`] at a time, to the engine or, if they are whole frames, through here.
    /// True: there are more.
    pub fn drain<T: FlowTable, S: Sink>(&mut self, worker: &mut Worker<'_, T, S>) -> anyhow::Result<bool> {
        let mut left = MOST;
        while left > 0
            && let Some((header, bytes)) = worker.ring.next()
        {
            left -= 1;
            let h = shifted(header, worker.shift);
            let inner = match h.kind {
                KIND_PACKET => {
                    if worker.shift != 0 && h.pkt.ts >= self.advanced + GRAIN {
                        self.advanced = h.pkt.ts;
                        worker.engine.advance_some(h.pkt.ts, MOST_TIMERS, worker.table);
                        // What relieves a ring must not wait for the ring to be empty.
                        worker.table.settle();
                    }
                    match worker.engine.record(&h, bytes, worker.table) {
                        Some(inner) => Some(inner),
                        None => continue,
                    }
                }
                KIND_GONE => {
                    let state = shifted_state(header.last_state(), worker.shift);
                    let untold = h.why & why::UNTOLD != 0;
                    worker.engine.gone(&h.pkt.key, &state, untold, worker.table);
                    continue;
                }
                KIND_FRAME => None,
                _ => continue,
            };
            self.frame.clear();
            self.frame.extend_from_slice(bytes);
            let bytes = std::mem::take(&mut self.frame);
            let done = match inner {
                Some(inner) => self.inner(&h, inner, &bytes, worker),
                None => {
                    let f = Frame {
                        ts: h.pkt.ts,
                        link: LinkType::ETHERNET,
                        data: &bytes,
                        wire_len: h.wire_len,
                        iface: 0,
                    };
                    self.frame(&f, worker)
                }
            };
            self.frame = bytes;
            done?;
        }
        Ok(left == 0)
    }

    /// Takes a packet out of a record's, which a tunnel carried.
    fn inner<T: FlowTable, S: Sink>(
        &mut self,
        h: &RecordHeader,
        mut inner: Inner,
        bytes: &[u8],
        worker: &mut Worker<'_, T, S>,
    ) -> anyhow::Result<()> {
        inner.cut = h.missing(bytes);
        let mut sink = Found { worker, failed: None };
        self.soft.inner(h.pkt.ts, &inner, bytes, &mut sink);
        sink.failed.map_or(Ok(()), |e| Err(e.into()))
    }
}

/// A flow's state with its times moved to the epoch.
pub fn shifted_state(mut f: FlowState, shift: i64) -> FlowState {
    let by = shift as u64;
    f.start = f.start.wrapping_add(by);
    for d in &mut f.dir {
        for t in [&mut d.first, &mut d.last] {
            if *t != 0 {
                *t = t.wrapping_add(by);
            }
        }
    }
    f
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
