//! Packets in packets: in IP and GRE, which are taken apart here, and in what a record's connection carries.

use sensor_common::{Counter, proto};

use super::{InnerPacket, PacketSink, Soft, Via};
use crate::datapath::tunnels::{MAX_DEPTH, TunnelKind};
use crate::packet::capture::Frame;
use crate::packet::ip::Input;
use crate::packet::link::{self, LinkType};
use crate::packet::tunnel;
use crate::packet::weird::Weird;

impl Soft {
    /// Takes an inner packet that [`PacketSink::record`] returned; `frame` is that record's frame.
    pub fn inner<S: PacketSink + ?Sized>(
        &mut self,
        ts: u64,
        inner: &InnerPacket,
        frame: &[u8],
        sink: &mut S,
    ) {
        let Some(data) = frame.get(inner.at..inner.end) else {
            return;
        };
        // Where the kernel does the rest, no frame did this.
        self.defrag.advance(ts);
        let via = Via {
            link: inner.link,
            own: false,
            tunnel: Some(&inner.tunnel),
            realm: inner.realm,
        };
        self.decapsulated(ts, data, inner.cut, via, sink);
    }

    /// A packet that came out of a tunnel. [`MAX_DEPTH`] bounds the recursion.
    fn decapsulated<S: PacketSink + ?Sized>(
        &mut self,
        ts: u64,
        data: &[u8],
        cut: u32,
        via: Via<'_>,
        sink: &mut S,
    ) {
        let f = Frame {
            ts,
            link: via.link,
            data,
            wire_len: (data.len() as u32).saturating_add(cut),
            iface: 0,
        };
        let parsed = link::parse(via.link, data);
        // What is mirrored twice has another header around it each time.
        if parsed.as_ref().is_ok_and(|l| self.is_again(&f, l)) {
            return self.counts.add(Counter::InnerDuplicate, 1);
        }
        self.parsed(&f, &parsed, via, sink);
    }

    /// A packet in IP or GRE.
    #[cold]
    pub(super) fn tunnel<S: PacketSink + ?Sized>(&mut self, i: &Input<'_>, via: Via<'_>, sink: &mut S) {
        let addrs = (self.ip.src, self.ip.dst);
        let p = self.ip.tunnel;
        let payload = i.frame.get(p.at..p.end).unwrap_or(&[]);
        let inner = match p.proto {
            proto::GRE => {
                tunnel::gre(payload).map(|g| (TunnelKind::Gre, g.inner, payload.get(g.at..).unwrap_or(&[])))
            }
            proto => Ok((TunnelKind::Ip, tunnel::InnerType::Ip(proto), payload)),
        };
        let found = inner.and_then(|(kind, inner, data)| {
            if via.tunnel.is_some_and(|t| t.layers.len() >= MAX_DEPTH) {
                return Err(Weird::ExceededTunnelMaxDepth);
            }
            match inner {
                tunnel::InnerType::Link(link) => Ok((kind, link, data)),
                tunnel::InnerType::Ip(proto) => match tunnel::check_ip(proto, data).weird() {
                    None => Ok((kind, LinkType::RAW, data)),
                    Some(w) => Err(w),
                },
            }
        });
        match found {
            Ok((kind, link, data)) => {
                let ends = (&addrs.0, &addrs.1, via.realm);
                let stack = self.tunnels.ip(via.tunnel, kind, ends, p.proto, i.ts);
                let via = Via {
                    link,
                    own: false,
                    tunnel: Some(&stack),
                    realm: via.realm,
                };
                self.decapsulated(i.ts, data, 0, via, sink);
            }
            Err(w) => sink.weird(i.ts, via.name(w), "", Some(&addrs), &mut self.flows),
        }
    }
}
