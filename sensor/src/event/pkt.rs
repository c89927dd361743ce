//! `pkt_hdr` and `raw_pkt_hdr`: a packet's headers, read from its bytes only when somebody writes them out.
//!
//! Field names and which part is absent when are Zeek's. Every read is bounds-checked: what a packet
//! claims and what was captured of it are not the same.

use std::net::IpAddr;

use etherparse::{Ipv6HeaderSlice, UdpHeaderSlice};

use super::ext;
use super::json::{self, Object};
use crate::base::bytes::{be16, be32, ipv4};
use crate::packet::ip::ext::IPV6_HEADER;

/// IP protocol numbers.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Least bytes after the IP header for Zeek to read the transport's: `struct icmp` is 28 bytes there,
/// though an ICMP header has eight.
const TCP_MIN: usize = 20;
const ICMP_MIN: usize = 28;
const ICMPV6_MIN: usize = 8;

/// A packet's headers from IP up (Zeek's `pkt_hdr`).
#[derive(Clone, Copy, Debug)]
pub struct PktHdr<'a> {
    ip: &'a [u8],
}

impl<'a> PktHdr<'a> {
    /// Of the packet whose IP header starts at `ip`'s first byte; cut-off packets are fine.
    pub fn new(ip: &'a [u8]) -> PktHdr<'a> {
        PktHdr { ip }
    }

    /// The bytes, from the IP header's first.
    pub fn bytes(&self) -> &'a [u8] {
        self.ip
    }

    /// Writes the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut o = Object::new(out);
        self.fields(&mut o);
        o.end();
    }

    fn fields(&self, o: &mut Object<'_>) {
        let done = match self.ip.first().map(|b| b >> 4) {
            Some(4) => self.ip4(o),
            Some(6) => self.ip6(o),
            _ => None,
        };
        // Claimed length beyond what there is: no transport header is read, as Zeek does.
        if let Some((proto, header, total)) = done
            && let Some(payload) = self.ip.get(header..total)
        {
            let _ = transport(o, proto, payload);
        }
    }

    /// Writes `ip`; gives the transport's protocol, where it starts and where the packet ends.
    ///
    /// Not by etherparse, which refuses a header whose length is less than 20 bytes or more than was captured: Zeek shows it.
    fn ip4(&self, o: &mut Object<'_>) -> Option<(u8, usize, usize)> {
        let b: &[u8; 20] = self.ip.first_chunk()?;
        let hl = usize::from(b[0] & 15) * 4;
        let len = be16(b, 2)?;
        let frag = be16(b, 6)?;
        let mut ip = Object::new(o.key("ip"));
        ip.count("hl", hl as u64)
            .count("tos", b[1])
            .count("len", len)
            .count("id", be16(b, 4)?);
        ip.bool("DF", frag & 0x4000 != 0).bool("MF", frag & 0x2000 != 0);
        ip.count("offset", u64::from(frag & 0x1fff) * 8)
            .count("ttl", b[8])
            .count("p", b[9]);
        ip.count("sum", be16(b, 10)?)
            .addr("src", IpAddr::V4(ipv4(b, 12)?))
            .addr("dst", IpAddr::V4(ipv4(b, 16)?));
        ip.end();
        Some((b[9], hl, len.into()))
    }

    /// Writes `ip6` with its extension headers.
    fn ip6(&self, o: &mut Object<'_>) -> Option<(u8, usize, usize)> {
        let h = Ipv6HeaderSlice::from_slice(self.ip).ok()?;
        let next = h.next_header().0;
        let mut ip = Object::new(o.key("ip6"));
        ip.count("class", h.traffic_class())
            .count("flow", h.flow_label().value())
            .count("len", h.payload_length());
        ip.count("nxt", next)
            .count("hlim", h.hop_limit())
            .addr("src", IpAddr::V6(h.source_addr()))
            .addr("dst", IpAddr::V6(h.destination_addr()));
        let total = usize::from(h.payload_length()) + IPV6_HEADER;
        // What lies behind the packet's own end is padding of the frame.
        let packet = self.ip.get(..total).unwrap_or(self.ip);
        let (proto, header) = ext::chain(ip.key("exts"), packet, next);
        ip.end();
        Some((proto, header, total))
    }
}

/// Writes `tcp`, `udp` or `icmp`, if `payload` is that and long enough.
fn transport(o: &mut Object<'_>, proto: u8, payload: &[u8]) -> Option<()> {
    match proto {
        // Not by etherparse, which refuses a header whose length is less than 20 bytes or more than there is: Zeek shows it.
        TCP if payload.len() >= TCP_MIN => {
            let hl = usize::from(payload[12] >> 4) * 4;
            let mut t = Object::new(o.key("tcp"));
            t.count("sport", be16(payload, 0)?)
                .count("dport", be16(payload, 2)?);
            t.count("seq", be32(payload, 4)?)
                .count("ack", be32(payload, 8)?)
                .count("hl", hl as u64);
            t.count("dl", payload.len().saturating_sub(hl) as u64)
                .count("reserved", payload[12] & 15);
            t.count("flags", payload[13]).count("win", be16(payload, 14)?);
            t.end();
        }
        UDP => {
            let h = UdpHeaderSlice::from_slice(payload).ok()?;
            let mut u = Object::new(o.key("udp"));
            u.count("sport", h.source_port())
                .count("dport", h.destination_port());
            u.count("ulen", h.length());
            u.end();
        }
        // Only the type: etherparse refuses messages whose length is not that of their type.
        ICMP | ICMPV6 if payload.len() >= if proto == ICMP { ICMP_MIN } else { ICMPV6_MIN } => {
            let mut i = Object::new(o.key("icmp"));
            i.count("icmp_type", payload[0]);
            i.end();
        }
        _ => {}
    }
    Some(())
}

/// How long a packet's IP header says it is, bytes; IPv4's 0 (left to the network card) is 0.
fn claimed(ip: &[u8]) -> Option<usize> {
    match ip.first()? >> 4 {
        4 => Some(be16(ip, 2)?.into()),
        6 => Some(usize::from(be16(ip, 4)?) + IPV6_HEADER),
        _ => None,
    }
}

/// What a frame's link layer says (Zeek's `l2_hdr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2Hdr {
    /// Whether the link is Ethernet.
    pub ethernet: bool,
    /// Frame's length on the wire, bytes.
    pub len: u64,
    /// Bytes of it captured.
    pub cap_len: u64,
    /// Source MAC.
    pub src: Option<[u8; 6]>,
    /// Destination MAC.
    pub dst: Option<[u8; 6]>,
    /// Outer VLAN id.
    pub vlan: Option<u16>,
    /// Inner VLAN id.
    pub inner_vlan: Option<u16>,
    /// EtherType (or the length that stands in its place), host byte order.
    pub eth_type: Option<u16>,
    /// What it carries.
    pub proto: L3Proto,
}

impl L2Hdr {
    fn write(&self, out: &mut Vec<u8>) {
        let mut o = Object::new(out);
        o.text(
            "encap",
            if self.ethernet {
                "LINK_ETHERNET"
            } else {
                "LINK_UNKNOWN"
            },
        );
        o.count("len", self.len).count("cap_len", self.cap_len);
        for (name, mac) in [("src", self.src), ("dst", self.dst)] {
            if let Some(mac) = mac {
                o.text(name, &Mac::new(mac));
            }
        }
        for (name, v) in [
            ("vlan", self.vlan),
            ("inner_vlan", self.inner_vlan),
            ("eth_type", self.eth_type),
        ] {
            if let Some(v) = v {
                o.count(name, v);
            }
        }
        o.text("proto", self.proto.as_str());
        o.end();
    }
}

/// A MAC address as text: six pairs of digits and colons.
struct Mac(String);

impl Mac {
    fn new(mac: [u8; 6]) -> Mac {
        Mac(json::hex_colons(&mac))
    }
}

impl std::ops::Deref for Mac {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// What a frame carries (Zeek's `layer3_proto`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L3Proto {
    /// `L3_IPV4`.
    Ipv4,
    /// `L3_IPV6`.
    Ipv6,
    /// `L3_ARP`.
    Arp,
    /// `L3_UNKNOWN`.
    Unknown,
}

impl L3Proto {
    /// Zeek's name.
    pub fn as_str(self) -> &'static str {
        match self {
            L3Proto::Ipv4 => "L3_IPV4",
            L3Proto::Ipv6 => "L3_IPV6",
            L3Proto::Arp => "L3_ARP",
            L3Proto::Unknown => "L3_UNKNOWN",
        }
    }
}

/// A frame's headers from the link layer up (Zeek's `raw_pkt_hdr`).
#[derive(Clone, Copy, Debug)]
pub struct RawPktHdr<'a> {
    /// The link layer.
    pub l2: L2Hdr,
    /// The packet, where there is IP in it and the capture has all that it claims.
    pub l3: Option<PktHdr<'a>>,
}

impl<'a> RawPktHdr<'a> {
    /// Of a frame with `ip` in it, from the IP header's first byte: the packet is left out where it claims
    /// more bytes than were captured of the whole frame, as Zeek does.
    pub fn new(l2: L2Hdr, ip: Option<&'a [u8]>) -> RawPktHdr<'a> {
        let whole = |ip: &&[u8]| claimed(ip).is_some_and(|n| n as u64 <= l2.cap_len);
        RawPktHdr {
            l2,
            l3: ip.filter(whole).map(PktHdr::new),
        }
    }

    /// Of a frame that completed this datagram.
    pub fn reassembled(l2: L2Hdr, whole: &'a [u8]) -> RawPktHdr<'a> {
        RawPktHdr {
            l2,
            l3: Some(PktHdr::new(whole)),
        }
    }

    /// Writes the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut o = Object::new(out);
        self.l2.write(o.key("l2"));
        if let Some(p) = &self.l3 {
            p.fields(&mut o);
        }
        o.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ip: &[u8]) -> String {
        let mut out = Vec::new();
        PktHdr::new(ip).write(&mut out);
        let s = String::from_utf8(out).expect("text");
        serde_json::from_str::<serde_json::Value>(&s).expect("valid JSON");
        s
    }

    /// IPv4 and TCP SYN, 10.0.0.1:4660 to 10.0.0.2:80, no payload.
    const SYN: [u8; 40] = [
        0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 9, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 80, 0, 0, 0, 5,
        0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn ipv4_tcp_as_zeek_shows_it() {
        assert_eq!(
            shown(&SYN),
            "{\"ip\":{\"hl\":20,\"tos\":0,\"len\":40,\"id\":1,\"DF\":true,\"MF\":false,\"offset\":0,\"ttl\":64,\"p\":6,\
             \"sum\":9,\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\"},\"tcp\":{\"sport\":4660,\"dport\":80,\"seq\":5,\
             \"ack\":0,\"hl\":20,\"dl\":0,\"reserved\":0,\"flags\":2,\"win\":256}}"
        );
    }

    #[test]
    fn a_cut_packet_has_no_transport_and_any_bytes_give_json() {
        assert!(!shown(&SYN[..39]).contains("tcp"));
        assert_eq!(shown(&SYN[..19]), "{}");
        assert_eq!(shown(&[]), "{}");
        let mut x = 1u32;
        for _ in 0..20_000 {
            let mut b = [0u8; 96];
            for v in &mut b {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *v = (x >> 24) as u8;
            }
            b[0] = if x & 256 == 0 { 0x60 } else { 0x45 };
            b[4] = 0;
            b[6] = [0, 43, 44, 50, 51, 60, 135, 58][(x >> 9) as usize % 8];
            shown(&b[..(x >> 16) as usize % 97]);
        }
    }

    #[test]
    fn link_layer() {
        let l2 = L2Hdr {
            ethernet: true,
            len: 60,
            cap_len: 42,
            src: Some([0, 0x0c, 0x29, 0x25, 0x18, 0xe5]),
            dst: Some([255; 6]),
            vlan: Some(7),
            inner_vlan: None,
            eth_type: Some(0x806),
            proto: L3Proto::Arp,
        };
        let mut out = Vec::new();
        RawPktHdr { l2, l3: None }.write(&mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "{\"l2\":{\"encap\":\"LINK_ETHERNET\",\"len\":60,\"cap_len\":42,\"src\":\"00:0c:29:25:18:e5\",\
             \"dst\":\"ff:ff:ff:ff:ff:ff\",\"vlan\":7,\"eth_type\":2054,\"proto\":\"L3_ARP\"}}"
        );
        assert!(RawPktHdr::new(l2, Some(&SYN)).l3.is_some());
        let cut = L2Hdr { cap_len: 39, ..l2 };
        assert!(RawPktHdr::new(cut, Some(&SYN[..25])).l3.is_none());
    }
}
