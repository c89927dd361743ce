//! The kernel program's double in userspace: frames in, the same records out.
//!
//! It parses, keeps the flow table and its counters, and reassembles fragments; it knows nothing of
//! connections. The order for each frame: time moves on ([`Sink::advance`]), the flow is updated, the
//! record goes to the [`Sink`], which may use the flow table at each step.

mod counts;
mod flows;

use sensor_common::record::KIND_PACKET;
use sensor_common::{Counter, Packet, Policy, RecordHeader, flow};

use crate::packet::capture::Frame;
use crate::packet::checksum;
use crate::packet::defrag::{Defrag, Limits};
use crate::packet::ip::{self, Input, Ip, Verdict};
use crate::packet::link::{self, Link, LinkType, NotIp};
use crate::packet::weird::{Weird, Weirds};

pub use counts::Counts;
pub use flows::Flows;

/// What the soft datapath gives, in the order in which it finds it.
pub trait Sink {
    /// Network time moves to `ts` (ns). Comes before everything else of each frame.
    fn advance(&mut self, ts: u64, flows: &mut Flows);

    /// A packet of a flow that is to be forwarded. `frame` has `header.cap_len` bytes; the offsets in
    /// `header.pkt` point into it. A reassembled datagram starts at its IP header.
    fn record(&mut self, header: &RecordHeader, frame: &[u8], flows: &mut Flows);

    /// A packet that belongs to a flow by its addresses and ports but is not counted in it: its TCP
    /// header cannot be used or (with checksums on) its transport checksum is wrong. Zeek makes
    /// the connection and raises `weird` for it.
    fn fault(&mut self, packet: &Packet, weird: Weird, frame: &[u8], flows: &mut Flows);

    /// A frame that is not tracked.
    fn untracked(&mut self, u: &Untracked<'_>, flows: &mut Flows);

    /// An oddity of no connection. With addresses (sender, receiver; IPv4 mapped) it is of a flow in
    /// Zeek's sense (flow_weird), without of the net (net_weird).
    fn weird(&mut self, ts: u64, weird: Weird, addrs: Option<&Addrs>, flows: &mut Flows);
}

/// Sender and receiver, network byte order, IPv4 as `::ffff:a.b.c.d`.
pub type Addrs = ([u8; 16], [u8; 16]);

/// A frame (or a packet out of one) that is not tracked.
#[derive(Clone, Copy, Debug)]
pub struct Untracked<'a> {
    /// Nanoseconds.
    pub ts: u64,
    /// One of [`sensor_common::counters::UNTRACKED`].
    pub reason: Counter,
    /// Raised before through [`Sink::weird`].
    pub weird: Option<Weird>,
    pub addrs: Option<Addrs>,
    pub link: LinkType,
    /// Offset of the IP header; None if it was not found.
    pub l3: Option<u32>,
    pub wire_len: u32,
    pub frame: &'a [u8],
}

/// Settings.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub policy: Policy,
    /// Verify checksums.
    pub checksums: bool,
    /// Most flows at a time.
    pub max_flows: usize,
    /// Of fragments.
    pub fragments: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            policy: Policy::default(),
            checksums: false,
            max_flows: 1 << 23,
            fragments: Limits::default(),
        }
    }
}

/// The datapath and its state.
pub struct Soft {
    config: Config,
    flows: Flows,
    counts: Counts,
    defrag: Defrag,
    /// The datagram put together last; kept for its memory.
    whole: Vec<u8>,
    /// Written for each packet; here so that it is not built anew.
    ip: Ip,
    header: RecordHeader,
}

impl Soft {
    pub fn new(config: Config) -> Self {
        Soft {
            config,
            flows: Flows::new(config.max_flows),
            counts: Counts::default(),
            defrag: Defrag::new(config.fragments),
            whole: Vec::new(),
            ip: Ip::default(),
            header: RecordHeader {
                kind: KIND_PACKET,
                ..RecordHeader::default()
            },
        }
    }

    /// The flow table.
    pub fn flows(&mut self) -> &mut Flows {
        &mut self.flows
    }

    /// The counters as they stand.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes one frame. What its link layers said is returned, for who wants to report the frame as
    /// such.
    pub fn frame<S: Sink + ?Sized>(&mut self, f: &Frame<'_>, sink: &mut S) -> Result<Link, NotIp> {
        sink.advance(f.ts, &mut self.flows);
        self.defrag.advance(f.ts);
        self.counts.add(Counter::Frames, 1);
        self.counts.add(Counter::FrameBytes, f.wire_len as u64);
        if f.data.is_empty() || f.wire_len == 0 {
            return self.empty(f, sink);
        }
        let parsed = link::parse(f.link, f.data);
        match &parsed {
            Ok(l) => {
                self.packet(f, l, true, sink);
                if l.more != 0 {
                    self.aggregate(f, l.more, sink);
                }
            }
            Err(e) => self.not_ip(f, e, true, sink),
        }
        parsed
    }

    #[cold]
    fn empty<S: Sink + ?Sized>(&mut self, f: &Frame<'_>, sink: &mut S) -> Result<Link, NotIp> {
        let mut e = NotIp {
            reason: Counter::Truncated,
            weirds: Weirds::default(),
            ethertype: 0,
            vlan: None,
            inner_vlan: None,
        };
        e.weirds.push(Weird::EmptyPcapHeader);
        self.not_ip(f, &e, true, sink);
        Err(e)
    }

    /// The other packets of an IEEE 802.11 aggregate: their frame has been counted.
    #[cold]
    fn aggregate<S: Sink + ?Sized>(&mut self, f: &Frame<'_>, first: u32, sink: &mut S) {
        let mut more = first;
        // Each starts beyond the one before, so this ends with the frame.
        while more != 0 {
            match link::next_subframe(f.data, more) {
                Ok(l) => {
                    self.packet(f, &l, false, sink);
                    more = l.more;
                }
                Err(e) => {
                    self.not_ip(f, &e, false, sink);
                    more = 0;
                }
            }
        }
    }

    #[cold]
    fn not_ip<S: Sink + ?Sized>(&mut self, f: &Frame<'_>, e: &NotIp, own: bool, sink: &mut S) {
        for w in e.weirds.iter() {
            sink.weird(f.ts, w, None, &mut self.flows);
        }
        if own {
            self.counts.add(e.reason, 1);
        }
        self.counts.add(Counter::FrameRecords, 1);
        let u = Untracked {
            ts: f.ts,
            reason: e.reason,
            weird: e.weirds.iter().last(),
            addrs: None,
            link: f.link,
            l3: None,
            wire_len: f.wire_len,
            frame: f.data,
        };
        sink.untracked(&u, &mut self.flows);
    }

    /// One IP packet of a frame; `own`: the frame is to be counted by what becomes of it.
    #[inline]
    fn packet<S: Sink + ?Sized>(&mut self, f: &Frame<'_>, l: &Link, own: bool, sink: &mut S) {
        if !l.weirds.is_empty() {
            for w in l.weirds.iter() {
                sink.weird(f.ts, w, None, &mut self.flows);
            }
        }
        let input = Input {
            frame: f.data,
            l3: l.l3 as usize,
            end: l.end as usize,
            wire_len: f.wire_len,
            ts: f.ts,
            checksums: self.config.checksums,
            reassembled: false,
        };
        self.ip(&input, f.link, own, sink);
    }

    #[inline]
    fn ip<S: Sink + ?Sized>(&mut self, i: &Input<'_>, link: LinkType, own: bool, sink: &mut S) {
        let verdict = ip::parse(i, &mut self.ip);
        let weird = match verdict {
            Verdict::Drop(_, w) => w,
            _ => None,
        };
        if !self.ip.weirds.is_empty() || weird.is_some() {
            // Found on the way, when the addresses were known (but for one), then the verdict's.
            let addrs = (self.ip.src, self.ip.dst);
            for w in self.ip.weirds.iter() {
                let addrs = (w != Weird::IpHdrLenZero).then_some(&addrs);
                sink.weird(i.ts, w, addrs, &mut self.flows);
            }
            if let Some(w) = weird {
                sink.weird(i.ts, w, self.addrs().as_ref(), &mut self.flows);
            }
        }
        match verdict {
            Verdict::Flow => {
                if self.config.checksums {
                    let cut = (i.frame.len() as u32) < i.wire_len;
                    if let Err(w) = checksum::verify(i.frame, &self.ip.pkt, cut) {
                        return self.fault(i, Counter::Malformed, w, own, sink);
                    }
                }
                self.track(
                    i,
                    link,
                    if own { Counter::Tracked } else { Counter::Injected },
                    sink,
                );
            }
            Verdict::Other => {
                // The kernel leaves these to userspace, and so they are counted here.
                if own {
                    self.counts.add(Counter::OtherProtocol, 1);
                }
                self.track(i, link, Counter::Injected, sink);
            }
            Verdict::Fault(reason, w) => self.fault(i, reason, w, own, sink),
            Verdict::Fragment => self.fragment(i, link, own, sink),
            // Here the inner packet would be taken out and go through `ip` again, not `own`.
            Verdict::Tunnel => self.untracked(i, link, Counter::Tunnel, weird, own, sink),
            Verdict::Drop(reason, _) => self.untracked(i, link, reason, weird, own, sink),
        }
    }

    /// A fragment is not tracked; the datagram that it completes is, as a packet of its own.
    #[cold]
    fn fragment<S: Sink + ?Sized>(&mut self, i: &Input<'_>, link: LinkType, own: bool, sink: &mut S) {
        self.untracked(i, link, Counter::Fragment, None, own, sink);
        if i.reassembled {
            // Fragments of fragments: nobody sends them.
            return;
        }
        let mut whole = std::mem::take(&mut self.whole);
        let mut weirds = Weirds::default();
        let addrs = (self.ip.src, self.ip.dst);
        let complete = self.defrag.add(
            i.ts,
            (&addrs.0, &addrs.1),
            &self.ip.fragment,
            i.frame.get(i.l3..).unwrap_or(&[]),
            &mut whole,
            &mut weirds,
        );
        for w in weirds.iter() {
            sink.weird(i.ts, w, Some(&addrs), &mut self.flows);
        }
        if complete {
            let input = Input {
                frame: &whole,
                l3: 0,
                end: whole.len(),
                wire_len: whole.len() as u32,
                reassembled: true,
                ..*i
            };
            self.ip(&input, LinkType::RAW, false, sink);
        }
        self.whole = whole;
    }

    fn addrs(&self) -> Option<Addrs> {
        self.ip.has_addrs.then_some((self.ip.src, self.ip.dst))
    }

    #[cold]
    fn fault<S: Sink + ?Sized>(&mut self, i: &Input<'_>, reason: Counter, w: Weird, own: bool, sink: &mut S) {
        if own {
            self.counts.add(reason, 1);
        }
        sink.fault(&self.ip.pkt, w, i.frame, &mut self.flows);
    }

    #[cold]
    fn untracked<S: Sink + ?Sized>(
        &mut self,
        i: &Input<'_>,
        link: LinkType,
        reason: Counter,
        weird: Option<Weird>,
        own: bool,
        sink: &mut S,
    ) {
        if own {
            self.counts.add(reason, 1);
        }
        self.counts.add(Counter::FrameRecords, 1);
        let u = Untracked {
            ts: i.ts,
            reason,
            weird,
            addrs: self.addrs(),
            link,
            l3: Some(i.l3 as u32),
            wire_len: i.wire_len,
            frame: i.frame,
        };
        sink.untracked(&u, &mut self.flows);
    }

    /// Counts the packet in its flow, and forwards it if it says something new. `count` is what the
    /// frame is counted as.
    #[inline]
    fn track<S: Sink + ?Sized>(&mut self, i: &Input<'_>, link: LinkType, count: Counter, sink: &mut S) {
        let pkt = &self.ip.pkt;
        let Some((state, new)) = self.flows.entry(&pkt.key, pkt.ts) else {
            let own = count == Counter::Tracked;
            return self.untracked(i, link, Counter::TableFull, None, own, sink);
        };
        // SAFETY: `state` is an exclusive reference to a live entry.
        let out = unsafe { flow::update(state, pkt, self.config.policy.bits) };
        self.counts.add(count, 1);
        if new {
            self.counts.add(Counter::FlowsCreated, 1);
        }
        let with_payload = out.with_payload();
        if pkt.payload_len > 0 {
            self.counts.add(Counter::Payload, 1);
            self.counts.add(
                if with_payload {
                    Counter::Forwarded
                } else {
                    Counter::Shed
                },
                1,
            );
        }
        if !out.forward() {
            return;
        }
        if pkt.payload_len == 0 {
            self.counts.add(Counter::HeaderRecords, 1);
        }
        let len = if with_payload {
            // Up to the IP length: no padding, no trailer.
            pkt.l3 as usize + pkt.ip_len as usize
        } else {
            pkt.data as usize
        };
        let mut frame = i.frame.get(..len.min(i.end)).unwrap_or(i.frame);
        if self.config.policy.snaplen > 0 {
            frame = frame.get(..self.config.policy.snaplen as usize).unwrap_or(frame);
        }
        self.header.fill(pkt, state, &out);
        self.header.cap_len = frame.len() as u32;
        self.header.wire_len = i.wire_len;
        sink.record(&self.header, frame, &mut self.flows);
    }
}

#[cfg(test)]
mod tests;
