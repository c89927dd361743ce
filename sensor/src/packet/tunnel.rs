//! Encapsulation headers between an outer IP header and an inner packet: IP in IP and GRE.
//!
//! Which packets are taken apart, and which weird the others are, follows Zeek
//! (its GRE and IPTunnel analyzers).

use etherparse::Ipv6HeaderSlice;
use sensor_common::proto::{self, ERSPAN, ERSPAN_III, TEB};

use super::ip::ext::IPV6_HEADER;
use super::link::{LinkType, ethertype, ppp_header};
use super::weird::Weird;
use crate::base::bytes::{be16, be32};

/// A GRE header that was read: what it carries, and where that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gre {
    /// Where the inner packet starts, bytes from the GRE header.
    pub at: usize,
    /// Type of the inner packet.
    pub inner: InnerType,
}

/// Type of the packet behind an encapsulation header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InnerType {
    /// An IP packet, of the version that this IP protocol number stands for. It must fill the bytes there are: [`check_ip`].
    Ip(u8),
    /// A frame of a link layer ([`LinkType::RAW`]: IP of any version and length).
    Link(LinkType),
}

/// GRE's flag bits (RFC 2784, 2890, 1701, 2637).
mod flag {
    pub const CHECKSUM: u16 = 0x8000;
    pub const ROUTING: u16 = 0x4000;
    pub const KEY: u16 = 0x2000;
    pub const SEQUENCE: u16 = 0x1000;
    pub const ACK: u16 = 0x0080;
    pub const RESERVED: u16 = 0x0078;
    pub const VERSION: u16 = 0x0007;
}

/// Length of an Ethernet header, which mirrored frames must have.
const ETHERNET: usize = 14;
/// An EtherType in GRE.
const PPP: u16 = 0x880b;

/// Whether it is one of the numbers under which Aruba's access points send IEEE 802.11 frames.
fn is_aruba(t: u16) -> bool {
    t & 0x0f == 0 && (t & 0x8200 == 0x8200 || (t & 0x8300 == 0x8300 && t <= 0x8370)) || t == 0x9000
}

/// Reads a GRE header; `b` is the payload of IP, as far as captured.
pub fn gre(b: &[u8]) -> Result<Gre, Weird> {
    let (Some(flags), Some(typ)) = (be16(b, 0), be16(b, 2)) else {
        return Err(Weird::TruncatedGre);
    };
    let field = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    let header = 4 + field(flag::CHECKSUM) + field(flag::KEY) + field(flag::SEQUENCE) + field(flag::ACK);
    // Bytes of headers behind GRE's that are passed over, and of those that must be there.
    let (mut skip, mut need) = (0, 0);
    let mut inner = InnerType::Link(LinkType::RAW);
    match flags & flag::VERSION {
        0 if matches!(typ, TEB | ERSPAN | ERSPAN_III) => {
            (inner, need) = (InnerType::Link(LinkType::ETHERNET), ETHERNET);
            let long_enough = |skip: usize| b.len() > header + skip + ETHERNET;
            match typ {
                // ERSPAN with a sequence number is type II and has a header.
                ERSPAN if flags & flag::SEQUENCE != 0 => skip = 8,
                ERSPAN_III => skip = 12,
                _ => {}
            }
            // A type II header is looked for after the frame's least length, and may just fill it.
            if !long_enough(if typ == ERSPAN { 0 } else { skip }) {
                return Err(Weird::TruncatedGre);
            }
            // Type III: the last bit of its header tells of eight bytes more.
            if typ == ERSPAN_III && b.get(header + 11).is_some_and(|f| f & 1 != 0) {
                skip += 8;
                if !long_enough(skip) {
                    return Err(Weird::TruncatedGre);
                }
            }
        }
        0 if is_aruba(typ) => {
            if b.len() <= header {
                return Err(Weird::TruncatedGre);
            }
            inner = InnerType::Link(LinkType::IEEE802_11);
        }
        0 if matches!(typ, ethertype::MPLS | ethertype::MPLS_UPSTREAM) => {
            inner = InnerType::Link(LinkType::MPLS)
        }
        0 => {}
        1 if typ != PPP => return Err(Weird::EgreProtocolType),
        1 => {}
        _ => return Err(Weird::UnknownGreVersion),
    }
    if flags & flag::ROUTING != 0 {
        return Err(Weird::GreRouting);
    }
    if flags & flag::RESERVED != 0 {
        return Err(Weird::UnknownGreFlags);
    }
    if b.len() < header + skip + need {
        return Err(Weird::TruncatedGre);
    }
    if flags & flag::VERSION == 1 {
        // RFC 2637, 4.1: a PPP frame without what marks its ends.
        let ppp = b.get(header..).and_then(ppp_header);
        let Some((len, protocol)) = ppp else {
            return Err(Weird::TruncatedGre);
        };
        skip = len;
        inner = match protocol {
            0x0021 => InnerType::Ip(proto::IPV4),
            0x0057 => InnerType::Ip(proto::IPV6),
            _ => return Err(Weird::NonIpInEncap),
        };
    }
    Ok(Gre {
        at: header + skip,
        inner,
    })
}

/// How an inner IP packet's length field compares with the bytes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// They are the same.
    Exact,
    /// The length field says more.
    TooShort,
    /// The length field says less.
    TooLong,
    /// The bytes are not IP of that version, or too few for its header.
    NotIp,
}

impl Fit {
    /// Zeek's name for a packet in IP or GRE that does not fit.
    pub fn weird(self) -> Option<Weird> {
        match self {
            Fit::Exact => None,
            Fit::TooShort => Some(Weird::TruncatedInnerIp),
            Fit::TooLong => Some(Weird::InnerIpLengthMismatch),
            Fit::NotIp => Some(Weird::InvalidInnerIpVersion),
        }
    }
}

/// Whether `b` is exactly one IP packet of the version that `proto` stands for (Zeek: ParsePacket).
pub fn check_ip(proto: u8, b: &[u8]) -> Fit {
    let total = match (proto, b.first().map(|f| f >> 4)) {
        (proto::IPV6, _) if b.len() < IPV6_HEADER => return Fit::TooShort,
        (proto::IPV6, _) => Ipv6HeaderSlice::from_slice(b)
            .ok()
            .map(|h| h.payload_length() as usize + IPV6_HEADER),
        // Not by etherparse, which refuses a header whose length is less than 20 bytes or more than there is; such a packet is
        // taken out here, and is a weird by itself.
        (proto::IPV4, Some(4)) if b.len() >= 20 => be16(b, 2).map(|n| n as usize),
        _ => None,
    };
    match total {
        None => Fit::NotIp,
        Some(n) if b.len() < n => Fit::TooShort,
        Some(n) if b.len() > n => Fit::TooLong,
        Some(_) => Fit::Exact,
    }
}

/// What the payload of a tunnel protocol over UDP holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its header is sound.
    Packet {
        /// Where the inner packet starts, bytes from the payload's start; at most the payload's length.
        at: usize,
        /// What the inner packet begins with; None if it is of a type that is not read.
        link: Option<LinkType>,
    },
    /// Its header is sound, and it carries no packet.
    Nothing,
    /// Not sound: this weird is raised.
    Weird(Weird),
    /// The payload is not of that protocol; with Zeek's reason for the violation.
    Violation(&'static str),
}

/// VXLAN (RFC 7348, 5): eight bytes, then Ethernet.
pub fn vxlan(b: &[u8]) -> Found {
    match b {
        [flags, _, _, _, _, _, _, _, ..] if flags & 0x08 != 0 => Found::Packet {
            at: 8,
            link: Some(LinkType::ETHERNET),
        },
        [_, _, _, _, _, _, _, _, ..] => Found::Violation("VXLAN 'I' flag not set"),
        _ => Found::Violation("VXLAN header truncation"),
    }
}

/// The number of the virtual network, 24 bits. VXLAN (RFC 7348, 5), VXLAN-GPE and Geneve (RFC 8926, 3.4) have it in the
/// same place. `b` has the whole header.
pub fn vni(b: &[u8]) -> u32 {
    be32(b, 4).unwrap_or(0) >> 8
}

/// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe, 3): VXLAN's eight bytes, with the type of what follows.
pub fn vxlan_gpe(b: &[u8]) -> Found {
    const VERSION: u8 = 0x30;
    const INSTANCE: u8 = 0x08;
    const NEXT_PROTOCOL: u8 = 0x04;
    const OAM: u8 = 0x01;
    let &[flags, _, _, next, _, _, _, _, ..] = b else {
        return Found::Violation("VXLAN header truncation");
    };
    if flags & INSTANCE == 0 {
        return Found::Violation("VXLAN 'I' flag not set");
    }
    if flags & VERSION != 0 {
        return Found::Violation("VXLAN-GPE version");
    }
    if flags & OAM != 0 {
        return Found::Nothing;
    }
    let (mut at, mut next) = (8, if flags & NEXT_PROTOCOL != 0 { next } else { 3 });
    // Service headers (RFC 8300, 2.2): their length is in units of four bytes, and theirs is the same list of types.
    while next == 4 {
        let len = match b.get(at..) {
            Some(&[_, len, _, n, ..]) => {
                next = n;
                (len & 0x3f) as usize * 4
            }
            _ => return Found::Violation("NSH header truncation"),
        };
        at += len;
        if len < 8 || at > b.len() {
            return Found::Violation("NSH header truncation");
        }
    }
    let link = match next {
        1 | 2 => Some(LinkType::RAW),
        3 => Some(LinkType::ETHERNET),
        5 => Some(LinkType::MPLS),
        _ => None,
    };
    Found::Packet { at, link }
}

/// L2TP (RFC 2661, 3.1): data messages are PPP frames.
pub fn l2tp(b: &[u8]) -> Found {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const CUT: Found = Found::Violation("L2TP header truncation");
    let Some(flags) = be16(b, 0) else { return CUT };
    if flags & 0x000f != 2 {
        return Found::Violation("L2TP version");
    }
    let field = |bit: u16, len: usize| if flags & bit != 0 { len } else { 0 };
    // Flags, tunnel and session; the length stands behind the flags.
    let mut at = 6 + field(LENGTH, 2) + field(SEQUENCE, 4);
    if flags & CONTROL == 0 && flags & OFFSET != 0 {
        let Some(padding) = be16(b, at) else { return CUT };
        at += 2 + padding as usize;
    }
    // The length covers all of it. What of it was not captured does not matter here.
    let len = if flags & LENGTH != 0 { be16(b, 2) } else { None };
    if at > b.len() || len.is_some_and(|n| (n as usize) < at) {
        return CUT;
    }
    if flags & CONTROL != 0 || at == b.len() || len.is_some_and(|n| n as usize == at) {
        return Found::Nothing;
    }
    Found::Packet {
        at,
        link: Some(LinkType::PPP),
    }
}

/// Geneve (RFC 8926, 3.4).
pub fn geneve(b: &[u8]) -> Found {
    let (Some(&first), Some(typ), true) = (b.first(), be16(b, 2), b.len() >= 8) else {
        return Found::Violation("Geneve header truncation");
    };
    if first >> 6 != 0 {
        return Found::Weird(Weird::GeneveInvalidVersion);
    }
    let at = 8 + (first & 0x3f) as usize * 4;
    if at > b.len() {
        return Found::Violation("Geneve option header truncation");
    }
    let link = match typ {
        TEB => Some(LinkType::ETHERNET),
        0x0800 | 0x86dd => Some(LinkType::RAW),
        _ => None,
    };
    Found::Packet { at, link }
}

/// AYIYA (draft-massar-v6ops-ayiya-02).
pub fn ayiya(b: &[u8]) -> Found {
    let &[lengths, signature, op, next, ..] = b else {
        return Found::Violation("Truncated AYIYA");
    };
    let at = 8 + (1usize << (lengths >> 4)) + ((signature >> 4) * 4) as usize;
    if at > b.len() {
        return Found::Violation("Truncated AYIYA");
    }
    // 1: forward what follows.
    if op & 0x0f != 1 {
        return Found::Nothing;
    }
    let link = matches!(next, proto::IPV4 | proto::IPV6).then_some(LinkType::RAW);
    Found::Packet { at, link }
}

/// Whether a payload on any port looks like AYIYA.
pub fn looks_like_ayiya(b: &[u8]) -> bool {
    matches!(b, [_, 0x52, 0x11, ..])
}

/// A Teredo payload (RFC 4380, 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teredo {
    /// The IPv6 packet begins at this offset, bytes from the payload's start.
    Ipv6(usize),
    /// The same for a bubble with bytes behind its header.
    BubbleWithBytes(usize),
    /// Not Teredo: Zeek's reason for the violation, and the weird for a connection that was known as Teredo before.
    Bad(&'static str, Option<&'static str>),
}

/// Reads the headers before the IPv6 packet: one authentication, then one origin indication at most.
pub fn teredo(b: &[u8]) -> Teredo {
    const BAD: &str = "Bad Teredo encapsulation";
    let bad = |name| Teredo::Bad(BAD, Some(name));
    let (mut at, mut origin, mut auth) = (0, false, false);
    loop {
        let rest = b.get(at..).unwrap_or(&[]);
        let Some(tag) = be16(rest, 0) else {
            return bad("truncated_Teredo");
        };
        match tag {
            0 if !origin => {
                if rest.len() < 8 {
                    return bad("truncated_Teredo_origin_indication");
                }
                origin = true;
                at += 8;
            }
            1 if !origin && !auth => {
                let len = match rest {
                    &[_, _, id, value, ..] => 4 + id as usize + value as usize + 9,
                    _ => return bad("truncated_Teredo_authentication"),
                };
                if rest.len() < len {
                    return bad("truncated_Teredo_authentication");
                }
                auth = true;
                at += len;
            }
            _ if tag >> 12 == 6 => {
                if rest.len() < 40 {
                    return bad("truncated_IPv6_in_Teredo");
                }
                let empty = rest.get(4..7) == Some(&[0, 0, 59]);
                return match check_ip(proto::IPV6, rest) {
                    Fit::Exact => Teredo::Ipv6(at),
                    Fit::TooLong if empty => Teredo::BubbleWithBytes(at),
                    Fit::TooLong => Teredo::Bad("Teredo payload length", None),
                    _ => Teredo::Bad("Truncated Teredo or invalid inner IP version", None),
                };
            }
            _ => return Teredo::Bad(BAD, None),
        }
    }
}

/// Whether a payload on any port looks like Teredo (Zeek: DetectProtocol).
pub fn looks_like_teredo(b: &[u8]) -> bool {
    let (Some(&first), Some(&second), true) = (b.first(), b.get(1), b.len() >= 40) else {
        return false;
    };
    if first >> 4 != 6 && (first != 0 || second > 1) {
        return false;
    }
    // Teredo's own prefix in the source or the destination; exactly a header's length for the pattern.
    const PREFIX: u32 = 0x2001_0000;
    if first >> 4 == 6 && (be32(b, 8) == Some(PREFIX) || be32(b, 24) == Some(PREFIX)) {
        return true;
    }
    let mut rest = b;
    let mut tag = second as u16;
    if tag == 1 {
        let skip = match b {
            &[_, _, id, value, ..] => 13 + id as usize + value as usize,
            _ => return false,
        };
        rest = b.get(skip..).unwrap_or(&[]);
        if rest.len() < 40 {
            return false;
        }
        tag = be16(rest, 0).unwrap_or(u16::MAX);
    }
    tag == 0 && rest.len() >= 48 && rest.get(8).is_some_and(|f| f >> 4 == 6)
}

/// Reason for GTP that ends within a header.
pub const GTP_CUT: &str = "Binpac exception: binpac exception: out_of_bound: GTPv1_Header";

/// A GTPv1 payload (3GPP TS 29.060, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gtp {
    /// The IP packet begins at this offset, bytes from the payload's start.
    Packet(usize),
    /// Another GTP message, or GTP': it carries no packet.
    Other,
    /// Not GTP; with Zeek's reason for the violation.
    Bad(&'static str),
}

/// Reads a GTP header and its extensions.
pub fn gtpv1(b: &[u8]) -> Gtp {
    const SHORT: &str = GTP_CUT;
    const G_PDU: u8 = 255;
    let &[flags, message, _, _, _, _, _, _, ..] = b else {
        return Gtp::Bad(SHORT);
    };
    let mut at = 8;
    if flags & 0x07 != 0 {
        at += 4;
    }
    if at > b.len() {
        return Gtp::Bad(SHORT);
    }
    if flags & 0x04 != 0 {
        loop {
            // Length in units of four bytes, contents, type of the next.
            let len = match b.get(at) {
                Some(&n) if n > 0 => n as usize * 4,
                _ => return Gtp::Bad(SHORT),
            };
            let Some(&next) = b.get(at + len - 1) else {
                return Gtp::Bad(SHORT);
            };
            at += len;
            if next == 0 {
                break;
            }
        }
    }
    if flags >> 5 != 1 {
        return Gtp::Bad("GTPv1 bad Version");
    }
    if flags & 0x10 == 0 || message != G_PDU {
        return Gtp::Other;
    }
    let packet = b.get(at..).unwrap_or(&[]);
    if packet.len() < 20 {
        return Gtp::Bad("Truncated GTPv1");
    }
    let proto = match packet.first().map(|f| f >> 4) {
        Some(4) => proto::IPV4,
        Some(6) => proto::IPV6,
        _ => return Gtp::Bad("non-IP packet in GTPv1"),
    };
    match check_ip(proto, packet) {
        Fit::Exact => Gtp::Packet(at),
        Fit::TooShort => Gtp::Bad("Truncated GTPv1"),
        Fit::TooLong => Gtp::Bad("GTPv1 payload length"),
        Fit::NotIp => Gtp::Bad("Invalid IP version in wrapped packet"),
    }
}

#[cfg(test)]
mod tests;
