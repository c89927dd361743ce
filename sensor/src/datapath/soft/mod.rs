//! The kernel program's double in userspace: frames in, the same records out.
//!
//! It parses, keeps the flow table and its counters, and reassembles fragments; it knows nothing of
//! connections. The order for each frame: time moves on ([`PacketSink::advance`]), the flow is updated, the
//! record goes to the [`PacketSink`], which may use the flow table at each step.
#![allow(
    unsafe_code,
    reason = "the flow state's update takes a pointer, as in the BPF program"
)]

mod counts;
mod flows;
mod followed;
mod sink;
mod tunnel;

use sensor_common::flow::{Outcome, why};
use sensor_common::key::Realm;
use sensor_common::packet::tcp_flags;
use sensor_common::policy::{VLAN_AWARE, VNI_AWARE};
use sensor_common::record::KIND_PACKET;
use sensor_common::{Counter, FlowState, Packet, Policy, RecordHeader, dedup, filter, flow};

use super::tunnels::{Stack, TunnelKind, Tunnels};
use crate::datapath::FlowTable;
use crate::filter::Filter;
use crate::packet::capture::Frame;
use crate::packet::checksum;
use crate::packet::defrag::{Defrag, Limits};
use crate::packet::duplicate::Recent;
use crate::packet::ip::{self, Input, Ip, Verdict};
use crate::packet::link::{self, Link, LinkType, NotIp};
use crate::packet::weird::{Weird, Weirds};

pub use counts::Counts;
pub use flows::Flows;
use followed::Followed;
pub use sink::{Addrs, InnerPacket, PacketSink, Untracked};

/// Where a packet came from.
#[derive(Clone, Copy)]
struct Via<'a> {
    link: LinkType,
    /// The frame's counter depends on what becomes of this packet.
    own: bool,
    tunnel: Option<&'a Stack>,
    realm: Realm,
}

impl Via<'_> {
    /// Zeek's name for a weird of a packet that came this way.
    fn name(&self, w: Weird) -> &'static str {
        if self.tunnel.is_some() {
            w.name_in_tunnel()
        } else {
            w.name()
        }
    }

    /// The innermost tunnel's kind.
    fn last(&self) -> Option<TunnelKind> {
        self.tunnel.and_then(Stack::last)
    }

    /// See [`sensor_common::Packet::tunnel`].
    fn id(&self) -> u32 {
        self.tunnel.map_or(0, |t| t.id)
    }
}

/// Settings of the soft datapath.
#[derive(Clone, Copy, Debug)]
pub struct SoftConfig {
    /// Decides which packets are forwarded, and how much of them.
    pub policy: Policy,
    /// Verify checksums.
    pub checksums: bool,
    /// Most flows at a time.
    pub max_flows: usize,
    /// Bounds of fragment reassembly.
    pub fragments: Limits,
}

impl Default for SoftConfig {
    fn default() -> Self {
        SoftConfig {
            policy: Policy::default(),
            checksums: false,
            max_flows: 1 << 23,
            fragments: Limits::default(),
        }
    }
}

/// Whether a frame holds a packet of a flow, and all its checksums are right.
pub fn verifies(f: &Frame<'_>) -> bool {
    let Ok(l) = link::parse(f.link, f.data) else {
        return false;
    };
    let input = Input {
        frame: f.data,
        l3: l.l3 as usize,
        end: l.end as usize,
        wire_len: f.wire_len,
        ts: f.ts,
        checksums: true,
        reassembled: false,
    };
    let mut ip = Ip::default();
    let cut = (f.data.len() as u32) < f.wire_len;
    ip::parse(&input, &mut ip) == Verdict::Flow && checksum::verify(f.data, &ip.pkt, cut).is_ok()
}

/// Whether a packet that is not forwarded acknowledges new bytes in an open connection, of which both SYNs were seen.
#[inline(always)]
fn acks_anew(after: &FlowState, pkt: &Packet, before: &Outcome) -> bool {
    let [a, b] = [after.dir[0].flags as u8, after.dir[1].flags as u8];
    let open = a & b & tcp_flags::SYN != 0 && (a | b) & (tcp_flags::FIN | tcp_flags::RST) == 0;
    open && after.dir[pkt.dir as usize & 1].ack != before.prev_ack
}

/// The datapath and its state.
pub struct Soft {
    config: SoftConfig,
    flows: Flows,
    counts: Counts,
    defrag: Defrag,
    tunnels: Tunnels,
    /// The datagram reassembled last. Its memory is used again.
    whole: Vec<u8>,
    /// `whole` was completed by a frame, not by a packet out of a tunnel, and was not taken yet.
    completed: bool,
    /// Headers of the packet at work. They are here so that they are not built anew for each.
    ip: Ip,
    header: RecordHeader,
    followed: Followed,
    acks: u64,
    recent: Option<Recent>,
    /// The last frame was counted as a duplicate, and nobody has asked yet.
    was_duplicate: bool,
    filter: Filter,
}

/// Why the packets of a flow are not tracked of which the rules say this.
fn refused(verdict: u32) -> Option<Counter> {
    match verdict {
        filter::IGNORE => Some(Counter::Filtered),
        filter::LEAVE_OUT => Some(Counter::Unsampled),
        _ => None,
    }
}

impl Soft {
    /// A datapath with a table of tunnels of its own.
    pub fn new(config: SoftConfig) -> Self {
        Soft::with_tunnels(config, Tunnels::default())
    }

    /// A datapath that shares the table of tunnels with the engine.
    pub fn with_tunnels(config: SoftConfig, tunnels: Tunnels) -> Self {
        Soft {
            config,
            flows: Flows::new(config.max_flows),
            counts: Counts::default(),
            defrag: Defrag::new(config.fragments),
            tunnels,
            whole: Vec::new(),
            completed: false,
            ip: Ip::default(),
            header: RecordHeader {
                kind: KIND_PACKET,
                ..RecordHeader::default()
            },
            followed: Followed::default(),
            acks: 0,
            recent: match config.policy.dedup {
                0 => None,
                window => Some(Recent::new(dedup::SETS, window.into())),
            },
            was_duplicate: false,
            filter: Filter::default(),
        }
    }

    /// With rules that decide of flows that begin.
    pub fn filtered(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// What becomes of the flow that the packet at work may begin.
    #[inline(always)]
    fn verdict(&mut self) -> u32 {
        let all = self.filter.is_empty() && self.config.policy.sample <= 1;
        if all || self.flows.get(&self.ip.pkt.key).is_some() {
            return filter::WATCH;
        }
        let Policy { seed, sample, .. } = self.config.policy;
        match self.filter.verdict(&self.ip.pkt) {
            filter::WATCH if !filter::in_sample(self.ip.pkt.key.ring_hash(seed), sample) => filter::LEAVE_OUT,
            verdict => verdict,
        }
    }

    /// Acknowledgements of new bytes that were not forwarded, between two sides of which both SYNs and neither FIN nor RST
    /// was seen.
    pub fn acks(&self) -> u64 {
        self.acks
    }

    /// The flow table.
    pub fn flows(&mut self) -> &mut Flows {
        &mut self.flows
    }

    /// The datagram that a frame has completed since the last call, from its IP header on.
    pub fn take_reassembled(&mut self) -> Option<&[u8]> {
        std::mem::take(&mut self.completed).then_some(&self.whole)
    }

    /// The counters as they stand.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether a frame since the last call was left out because its packet had come before.
    pub fn take_duplicate(&mut self) -> bool {
        std::mem::take(&mut self.was_duplicate)
    }

    /// Whether the packet in a frame, or in a tunnel, came a moment ago.
    #[inline(always)]
    fn is_again(&mut self, f: &Frame<'_>, l: &Link) -> bool {
        let Some(recent) = &mut self.recent else {
            return false;
        };
        let ip = f.data.get(l.l3 as usize..l.end as usize).unwrap_or_default();
        // Of frames with several packets each may be new.
        l.more == 0 && recent.is_again(ip, f.ts)
    }

    /// As [`Soft::is_again`], of a datagram put together out of fragments in a tunnel. The kernel's program knows it as
    /// a packet out of a tunnel.
    fn is_whole_again(&mut self, whole: &[u8], ts: u64, via: Via<'_>) -> bool {
        let recent = self.recent.as_mut().filter(|_| via.tunnel.is_some());
        recent.is_some_and(|r| r.is_again(whole, ts))
    }

    /// Takes one frame. Returns what its link layers said, for a caller that reports the frame itself.
    pub fn frame<S: PacketSink + ?Sized>(&mut self, f: &Frame<'_>, sink: &mut S) -> Result<Link, NotIp> {
        sink.advance(f.ts, &mut self.flows);
        self.defrag.advance(f.ts);
        self.counts.add(Counter::Frames, 1);
        self.counts.add(Counter::FrameBytes, f.wire_len as u64);
        if f.data.is_empty() || f.wire_len == 0 {
            return self.empty(f, sink);
        }
        let parsed = link::parse(f.link, f.data);
        if parsed.as_ref().is_ok_and(|l| self.is_again(f, l)) {
            self.was_duplicate = true;
            self.counts.add(Counter::Duplicate, 1);
            return parsed;
        }
        let via = Via {
            link: f.link,
            own: true,
            tunnel: None,
            realm: Realm::NONE,
        };
        self.parsed(f, &parsed, via, sink);
        parsed
    }

    #[inline]
    fn parsed<S: PacketSink + ?Sized>(
        &mut self,
        f: &Frame<'_>,
        parsed: &Result<Link, NotIp>,
        via: Via<'_>,
        sink: &mut S,
    ) {
        match parsed {
            Ok(l) => {
                self.packet(f, l, via, sink);
                if l.more != 0 {
                    self.aggregate(f, l.more, via, sink);
                }
            }
            Err(e) => self.not_ip(f, e, via, sink),
        }
    }

    #[cold]
    fn empty<S: PacketSink + ?Sized>(&mut self, f: &Frame<'_>, sink: &mut S) -> Result<Link, NotIp> {
        let mut e = NotIp {
            reason: Counter::Truncated,
            weirds: Weirds::default(),
            ethertype: 0,
            vlan: None,
            inner_vlan: None,
            arp: false,
        };
        e.weirds.push(Weird::EmptyPcapHeader);
        let via = Via {
            link: f.link,
            own: true,
            tunnel: None,
            realm: Realm::NONE,
        };
        self.not_ip(f, &e, via, sink);
        Err(e)
    }

    /// The second and later packets of an IEEE 802.11 aggregate. Their frame has been counted.
    #[cold]
    fn aggregate<S: PacketSink + ?Sized>(&mut self, f: &Frame<'_>, first: u32, via: Via<'_>, sink: &mut S) {
        let via = Via { own: false, ..via };
        let mut more = first;
        // Each starts beyond the one before, so this ends with the frame.
        while more != 0 {
            match link::next_subframe(f.data, more) {
                Ok(l) => {
                    self.packet(f, &l, via, sink);
                    more = l.more;
                }
                Err(e) => {
                    self.not_ip(f, &e, via, sink);
                    more = 0;
                }
            }
        }
    }

    #[cold]
    fn not_ip<S: PacketSink + ?Sized>(&mut self, f: &Frame<'_>, e: &NotIp, via: Via<'_>, sink: &mut S) {
        for w in e.weirds.iter() {
            sink.weird(f.ts, via.name(w), "", None, &mut self.flows);
        }
        if via.own {
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

    /// One IP packet of a frame.
    #[inline]
    fn packet<S: PacketSink + ?Sized>(&mut self, f: &Frame<'_>, l: &Link, via: Via<'_>, sink: &mut S) {
        if !l.weirds.is_empty() {
            for w in l.weirds.iter() {
                sink.weird(f.ts, via.name(w), "", None, &mut self.flows);
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
        let realm = self.realm(l, via);
        self.ip(&input, Via { realm, ..via }, sink);
    }

    /// The realm of a frame's packet.
    #[inline(always)]
    fn realm(&self, l: &Link, via: Via<'_>) -> Realm {
        let bits = self.config.policy.bits;
        match l.vlan {
            Some(outer) if bits & VLAN_AWARE != 0 => {
                // Numbers of virtual networks stand above the tags in them.
                if bits & VNI_AWARE != 0 && via.tunnel.is_some_and(Stack::has_vni) {
                    via.realm
                } else {
                    Realm::of_vlans(outer, l.inner_vlan.unwrap_or(0))
                }
            }
            _ => via.realm,
        }
    }

    #[inline]
    fn ip<S: PacketSink + ?Sized>(&mut self, i: &Input<'_>, via: Via<'_>, sink: &mut S) {
        let verdict = ip::parse(i, &mut self.ip);
        self.ip.pkt.tunnel = via.id();
        self.ip.pkt.key.realm = via.realm;
        let weird = match verdict {
            // A Teredo bubble has no next header by design.
            Verdict::Drop(_, Some(Weird::Ipv6NoNext)) if via.last() == Some(TunnelKind::Teredo) => None,
            Verdict::Drop(_, w) => w,
            _ => None,
        };
        if !self.ip.weirds.is_empty() || weird.is_some() {
            // Found on the way, when the addresses were known (but for one), then the verdict's.
            let addrs = (self.ip.src, self.ip.dst);
            for (w, number) in self.ip.weirds.with_numbers() {
                let (name, addrs) = match w {
                    Weird::IpHdrLenZero => (via.name(w), None),
                    Weird::IncompletelyCapturedFragment => (via.name(w), Some(&addrs)),
                    // Zeek tells of extension headers without knowing of the packet around them.
                    _ => (w.name(), Some(&addrs)),
                };
                let number = w.tells_number().then(|| number.to_string());
                let addl = number.as_deref().unwrap_or_default();
                sink.weird(i.ts, name, addl, addrs, &mut self.flows);
            }
            if let Some(w) = weird {
                sink.weird(i.ts, via.name(w), "", self.addrs().as_ref(), &mut self.flows);
            }
        }
        match verdict {
            Verdict::Flow => {
                if self.config.checksums {
                    let cut = (i.frame.len() as u32) < i.wire_len;
                    if let Err(w) = checksum::verify(i.frame, &self.ip.pkt, cut) {
                        return self.packet_weird(i, Counter::Malformed, w, via, sink);
                    }
                }
                let count = if via.own {
                    Counter::Tracked
                } else {
                    Counter::Injected
                };
                self.track(i, via, count, sink);
            }
            Verdict::Other => {
                // The kernel leaves these to userspace, and so they are counted here.
                if via.own {
                    self.counts.add(Counter::OtherProtocol, 1);
                }
                self.track(i, via, Counter::Injected, sink);
            }
            Verdict::WeirdFlow(reason, w) => self.packet_weird(i, reason, w, via, sink),
            Verdict::Fragment => self.fragment(i, via, sink),
            Verdict::Tunnel => {
                self.untracked(i, Counter::Tunnel, weird, via, sink);
                self.tunnel(i, via, sink);
            }
            Verdict::Drop(reason, _) => self.untracked(i, reason, weird, via, sink),
        }
    }

    /// A fragment is not tracked; the datagram that it completes is, as a packet of its own.
    #[cold]
    fn fragment<S: PacketSink + ?Sized>(&mut self, i: &Input<'_>, via: Via<'_>, sink: &mut S) {
        self.untracked(i, Counter::Fragment, None, via, sink);
        if i.reassembled {
            // Fragments of fragments: nobody sends them.
            return;
        }
        let mut whole = std::mem::take(&mut self.whole);
        let mut weirds = Weirds::default();
        let addrs = (self.ip.src, self.ip.dst);
        let complete = self.defrag.add(
            i.ts,
            (&addrs.0, &addrs.1, via.realm),
            &self.ip.fragment,
            i.frame.get(i.l3..).unwrap_or(&[]),
            &mut whole,
            &mut weirds,
        );
        for w in weirds.iter() {
            sink.weird(i.ts, w.name(), "", Some(&addrs), &mut self.flows);
        }
        if complete && self.is_whole_again(&whole, i.ts, via) {
            self.counts.add(Counter::InnerDuplicate, 1);
        } else if complete {
            let input = Input {
                frame: &whole,
                l3: 0,
                end: whole.len(),
                wire_len: whole.len() as u32,
                reassembled: true,
                ..*i
            };
            let via = Via {
                link: LinkType::RAW,
                own: false,
                ..via
            };
            self.ip(&input, via, sink);
        }
        self.whole = whole;
        self.completed |= complete && via.tunnel.is_none();
    }

    fn addrs(&self) -> Option<Addrs> {
        self.ip.has_addrs.then_some((self.ip.src, self.ip.dst))
    }

    #[cold]
    fn packet_weird<S: PacketSink + ?Sized>(
        &mut self,
        i: &Input<'_>,
        reason: Counter,
        w: Weird,
        via: Via<'_>,
        sink: &mut S,
    ) {
        let refused = refused(self.verdict());
        if via.own {
            self.counts.add(refused.unwrap_or(reason), 1);
        }
        if refused.is_some() {
            return;
        }
        sink.packet_weird(&self.ip.pkt, w, i.frame, &mut self.flows);
    }

    #[cold]
    fn untracked<S: PacketSink + ?Sized>(
        &mut self,
        i: &Input<'_>,
        reason: Counter,
        weird: Option<Weird>,
        via: Via<'_>,
        sink: &mut S,
    ) {
        if via.own {
            self.counts.add(reason, 1);
        }
        self.counts.add(Counter::FrameRecords, 1);
        let u = Untracked {
            ts: i.ts,
            reason,
            weird,
            addrs: self.addrs(),
            link: via.link,
            l3: Some(i.l3 as u32),
            wire_len: i.wire_len,
            frame: i.frame,
        };
        sink.untracked(&u, &mut self.flows);
    }

    /// Counts the packet in its flow, and forwards it unless it is boring. `count`: the frame's counter.
    #[inline]
    fn track<S: PacketSink + ?Sized>(&mut self, i: &Input<'_>, via: Via<'_>, count: Counter, sink: &mut S) {
        let verdict = self.verdict();
        if let Some(reason) = refused(verdict) {
            if count == Counter::Tracked {
                self.counts.add(reason, 1);
            }
            return;
        }
        let pkt = &self.ip.pkt;
        let Some((state, new)) = self.flows.entry(&pkt.key, pkt.ts) else {
            let own = count == Counter::Tracked;
            return self.untracked(i, Counter::TableFull, None, Via { own, ..via }, sink);
        };
        if new && verdict == filter::COUNT {
            state.shed = flow::COUNT_ONLY | 3;
        }
        // SAFETY: `state` is an exclusive reference to a live entry, so on this host nobody else is at it.
        let mut out = unsafe { flow::update(state, pkt, self.config.policy.bits) };
        let followed = out.why & why::RECORDS != 0;
        if followed {
            self.followed.read(state, pkt, &mut out, i.frame);
        }
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
            self.acks += u64::from(acks_anew(state, pkt, &out));
            return;
        }
        if pkt.payload_len == 0 || !with_payload {
            self.counts.add(Counter::HeaderRecords, 1);
        }
        let len = if with_payload {
            // Up to the IP length: no padding, no trailer. A length of 0 says nothing.
            match pkt.ip_len {
                0 => i.end,
                n => pkt.l3 as usize + n as usize,
            }
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
        if followed {
            self.header.fill_marks(&self.followed.marks);
            if out.why & why::RECORDS != 0 {
                self.header.cap_len = 0;
                sink.record(&self.header, &self.followed.bytes, &mut self.flows);
                return;
            }
        }
        if let Some(mut inner) = sink.record(&self.header, frame, &mut self.flows) {
            inner.cut = self.header.missing(frame);
            self.inner(i.ts, &inner, frame, sink);
        }
    }
}

#[cfg(test)]
mod tests;
