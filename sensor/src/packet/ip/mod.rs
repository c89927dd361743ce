//! IP and transport headers to the fields that the flow state needs.
//!
//! The same meaning as the kernel program's parser: the IP length is believed, not the frame's; what
//! contradicts itself is not tracked. Where it is Zeek that decides (which address a connection
//! has, which name a weird has), Zeek's behaviour is followed.
//!
//! The headers are read here and not by etherparse's slices, which refuse a header that contradicts itself: which one it
//! was, and what it said besides, is what Zeek's names for it need.

pub mod ext;

use sensor_common::key::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, icmp_ports, v4_mapped};
use sensor_common::{Counter, FlowKey, Packet, proto};

use ext::{ExtHeader, ExtHeaders};

use super::checksum;
use super::weird::{Weird, Weirds};
use crate::base::bytes::{be16, be32};

/// A packet in memory, from its link header or, reassembled, from its IP header.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// All of it, as far as captured.
    pub frame: &'a [u8],
    /// Offset of the IP header.
    pub l3: usize,
    /// End of the bytes that belong to the packet, as far as captured.
    pub end: usize,
    /// Length of the frame on the wire.
    pub wire_len: u32,
    /// Nanoseconds.
    pub ts: u64,
    /// Check the IPv4 header's checksum.
    pub checksums: bool,
    /// The packet was reassembled from fragments: its header's fragment bits and checksum are not looked at.
    pub reassembled: bool,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A packet of a flow: [`Ip::pkt`].
    Flow,
    /// A packet of a flow whose TCP header cannot be used: only key, direction and lengths are set. Zeek makes the
    /// connection and counts nothing. With the counter of untracked frames, and the weird to raise.
    WeirdFlow(Counter, Weird),
    /// A packet of another transport protocol. [`Ip::pkt`] has its key with ports 0; its payload is the whole IP payload.
    Other,
    /// A packet in a packet: [`Ip::tunnel`].
    Tunnel,
    /// A fragment, captured whole: [`Ip::fragment`].
    Fragment,
    /// A packet that is not used; with the counter of untracked frames, and the weird to raise.
    Drop(Counter, Option<Weird>),
}

/// What a fragment says of itself. Offsets in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Whether it is of an IPv6 datagram.
    pub v6: bool,
    /// The datagram's identification, host byte order; 16 bits in IPv4.
    pub id: u32,
    /// The payload's protocol (IPv6: the fragment header's next header).
    pub proto: u8,
    /// Offset of its payload within the datagram's.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// IPv4: the datagram is not to be fragmented.
    pub dont: bool,
    /// Length of the headers that each fragment has, without the fragment header.
    pub header_len: u16,
    /// IPv6: offset from the IP header of the next-header field that names the fragment header.
    pub next_at: u16,
    /// Offset of the fragment's payload from the IP header.
    pub data_at: u16,
    /// Length of the fragment with all headers.
    pub total_len: u32,
}

/// A packet that an IP packet carries. Offsets are bytes from the frame's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// IP protocol number.
    pub proto: u8,
    /// Where it starts.
    pub at: usize,
    /// Where it ends, as far as captured.
    pub end: usize,
}

/// What [`parse`] found. Only the fields that the [`Verdict`] names are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ip {
    /// The packet's header fields.
    pub pkt: Packet,
    /// Sender, network byte order, IPv4 mapped. With a home address option the home address (as Zeek has it).
    pub src: [u8; 16],
    /// Receiver, in the same form. With a routing header the final destination (as Zeek has it).
    pub dst: [u8; 16],
    /// Whether the IP header was sound enough for the verdict's weird to be raised with addresses.
    pub has_addrs: bool,
    /// With [`Verdict::Fragment`].
    pub fragment: Fragment,
    /// With [`Verdict::Tunnel`].
    pub tunnel: Payload,
    /// Weirds beside the verdict's own.
    pub weirds: Weirds,
}

const fn truncated(w: Weird) -> Verdict {
    Verdict::Drop(Counter::Truncated, Some(w))
}

const fn malformed(w: Weird) -> Verdict {
    Verdict::Drop(Counter::Malformed, Some(w))
}

/// Parses from the IP header on.
#[inline]
pub fn parse(i: &Input<'_>, out: &mut Ip) -> Verdict {
    out.has_addrs = false;
    out.weirds = Weirds::default();
    let end = i.end.min(i.frame.len());
    let b = i.frame.get(i.l3..end).unwrap_or(&[]);
    let Some(first) = b.first().filter(|_| b.len() >= 20) else {
        return truncated(Weird::TruncatedIp);
    };
    out.pkt.ts = i.ts;
    out.pkt.segs = 1;
    (out.pkt.cut, out.pkt.carries) = (0, 0);
    out.pkt.l3 = i.l3 as u16;
    match first >> 4 {
        4 => v4(i, b, out),
        6 if b.len() >= 40 => v6(i, b, out),
        6 => truncated(Weird::TruncatedIp),
        _ => malformed(Weird::UnknownIpVersion),
    }
}

#[inline(always)]
fn v4(i: &Input<'_>, b: &[u8], out: &mut Ip) -> Verdict {
    let Some(&h) = b.first_chunk::<20>() else {
        return truncated(Weird::TruncatedIp);
    };
    let header = (h[0] & 15) as usize * 4;
    let mut total = u16::from_be_bytes([h[2], h[3]]) as usize;
    if total == 0 {
        // Segmentation offload leaves the length out; what was captured stands for it.
        out.weirds.push(Weird::IpHdrLenZero);
        if i.checksums {
            return Verdict::Drop(Counter::Malformed, None);
        }
        total = b.len();
    }
    if (i.wire_len as usize) < total + i.l3 {
        return truncated(Weird::TruncatedIpLen);
    }
    if header > total {
        return malformed(Weird::InvalidIpHeaderSize);
    }
    if header > b.len() {
        return truncated(Weird::InternallyTruncatedHeader);
    }
    if header < 20 {
        return malformed(Weird::Ipv4MinHeaderSize);
    }
    out.src = v4_mapped([h[12], h[13], h[14], h[15]]);
    out.dst = v4_mapped([h[16], h[17], h[18], h[19]]);
    out.has_addrs = true;
    if i.checksums && !i.reassembled && !checksum::ipv4_header_ok(&b[..header]) {
        return malformed(Weird::BadIpChecksum);
    }
    out.pkt.ip_len = total as u32;

    // RFC 791: three flag bits, 13 bits of offset in units of eight bytes.
    let frag = u16::from_be_bytes([h[6], h[7]]);
    if frag & 0x3fff != 0 && !i.reassembled {
        out.fragment = Fragment {
            v6: false,
            id: u16::from_be_bytes([h[4], h[5]]) as u32,
            proto: h[9],
            offset: (frag & 0x1fff) << 3,
            more: frag & 0x2000 != 0,
            dont: frag & 0x4000 != 0,
            header_len: header as u16,
            next_at: 0,
            data_at: header as u16,
            total_len: total as u32,
        };
        if let Some(v) = fragment(b, out) {
            return v;
        }
    }
    if h[9] == proto::AH {
        return authenticated(header, total, b, i.l3, out);
    }
    transport(h[9], header, total, b, i.l3, out)
}

/// Steps over Authentication Headers (RFC 4302, 2), which encrypt nothing. Each is at least eight bytes, so there
/// are no more than the packet has room for.
#[cold]
fn authenticated(mut at: usize, total: usize, b: &[u8], l3: usize, out: &mut Ip) -> Verdict {
    let mut next = proto::AH;
    while next == proto::AH {
        let end = total.min(b.len());
        let Some(&[after, n]) = b.get(at..end).and_then(|h| h.first_chunk::<2>()) else {
            break;
        };
        // In units of four bytes, less two.
        let len = 8 + 4 * n as usize;
        if at + len > end {
            break;
        }
        next = after;
        at += len;
    }
    transport(next, at, total, b, l3, out)
}

/// The verdict on a fragment; None if it is to be used like a packet.
#[cold]
fn fragment(b: &[u8], out: &mut Ip) -> Option<Verdict> {
    if b.len() >= out.fragment.total_len as usize {
        return Some(Verdict::Fragment);
    }
    // What is missing will not come; but the first fragment's headers tell something.
    out.weirds.push(Weird::IncompletelyCapturedFragment);
    (out.fragment.offset != 0).then_some(Verdict::Drop(Counter::Fragment, None))
}

#[inline(always)]
fn v6(i: &Input<'_>, b: &[u8], out: &mut Ip) -> Verdict {
    let Some(h) = b.first_chunk::<40>() else {
        return truncated(Weird::TruncatedIp);
    };
    let total = match u16::from_be_bytes([h[4], h[5]]) as usize {
        // Jumbograms (RFC 2675), and what segmentation offload has yet to cut: too long for the field.
        0 if i.wire_len as usize > i.l3 + u16::MAX as usize => b.len(),
        n => n + 40,
    };
    out.src.copy_from_slice(&h[8..24]);
    out.dst.copy_from_slice(&h[24..40]);
    out.pkt.ip_len = total as u32;
    let next = h[6];
    if matches!(next, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_ICMPV6) && i.wire_len as usize >= total + i.l3 {
        out.has_addrs = true;
        return transport(next, 40, total, b, i.l3, out);
    }
    extensions(i, b, next, total, out)
}

/// Walks the extension headers (RFC 8200, 4). Each is at least eight bytes, so the walk is bounded by
/// the packet.
fn extensions(i: &Input<'_>, b: &[u8], first: u8, total: usize, out: &mut Ip) -> Verdict {
    let mut headers = ExtHeaders::new(b, first);
    let mut next_at = 6;
    let (mut home, mut routed) = (false, false);
    let mut incomplete = false;
    let verdict = loop {
        let (next, at) = headers.place();
        let Some(ExtHeader {
            next: after,
            bytes: Some(header),
            ..
        }) = headers.next()
        else {
            // Not captured in full, it is no header to Zeek, but a transport protocol that nobody knows.
            break transport_or(next, at, total, b, i, out);
        };
        match next {
            proto::ROUTING => routing(header, &mut routed, out),
            proto::DSTOPTS => home_address(header, &mut home, out),
            _ => {}
        }
        if at + header.len() > total {
            break malformed(Weird::InvalidIpHeaderSize);
        }
        match next {
            proto::FRAGMENT => {
                let (Some(field), Some(id)) = (be16(header, 2), be32(header, 4)) else {
                    break truncated(Weird::InternallyTruncatedHeader);
                };
                if !i.reassembled {
                    out.fragment = Fragment {
                        v6: true,
                        id,
                        proto: after,
                        offset: field & 0xfff8,
                        more: field & 1 != 0,
                        dont: false,
                        header_len: at as u16,
                        next_at: next_at as u16,
                        data_at: (at + 8) as u16,
                        total_len: total as u32,
                    };
                    if (i.wire_len as usize) < total + i.l3 {
                        break truncated(Weird::TruncatedIpLen);
                    }
                    out.has_addrs = true;
                    match fragment(b, out) {
                        Some(v) => return v,
                        None => {
                            // Zeek looks no further into the chain of a fragment.
                            incomplete = true;
                        }
                    }
                }
            }
            proto::ESP => {
                out.has_addrs = true;
                break Verdict::Drop(Counter::OtherProtocol, None);
            }
            proto::MOBILITY => {
                out.has_addrs = true;
                if i.checksums && !checksum::mobility_ok(&out.src, &out.dst, header) {
                    break malformed(Weird::BadMhChecksum);
                }
                let piggyback = (after != proto::NO_NEXT).then_some(Weird::MobilityPiggyback);
                break Verdict::Drop(Counter::OtherProtocol, piggyback);
            }
            _ => {}
        }
        next_at = at;
        if incomplete {
            let (next, at) = headers.place();
            break transport_or(next, at, total, b, i, out);
        }
    };
    if (i.wire_len as usize) < total + i.l3 {
        out.has_addrs = false;
        return truncated(Weird::TruncatedIpLen);
    }
    verdict
}

fn transport_or(next: u8, at: usize, total: usize, b: &[u8], i: &Input<'_>, out: &mut Ip) -> Verdict {
    if at > total {
        return malformed(Weird::InvalidIpHeaderSize);
    }
    out.has_addrs = true;
    transport(next, at, total, b, i.l3, out)
}

/// A routing header: where the packet is to go in the end.
fn routing(h: &[u8], routed: &mut bool, out: &mut Ip) {
    if *routed {
        out.weirds.push(Weird::MultipleRoutingHeaders);
        return;
    }
    let &[_, len, typ, left, ..] = h else { return };
    // The last 16 bytes of the known types are the last address.
    let last: Option<[u8; 16]> = h.last_chunk::<16>().copied().filter(|_| h.len() >= 24);
    match typ {
        // RFC 2460, 4.4; deprecated by RFC 5095, hence a weird by itself.
        0 => {
            if left > 0 && len >= 2 {
                match last {
                    Some(a) if len % 2 == 0 => {
                        out.dst = a;
                        *routed = true;
                    }
                    _ => out.weirds.push(Weird::OddRouting0Len),
                }
            }
            out.weirds.push(Weird::Routing0Hdr);
        }
        // RFC 6275, 6.4: one address.
        2 => {
            if left > 0 {
                match last {
                    Some(a) if len == 2 => {
                        out.dst = a;
                        *routed = true;
                    }
                    _ => out.weirds.push(Weird::BadRouting2Len),
                }
            }
        }
        // RFC 8754, 2: the segments in reverse, the last one first. A list that is not there says nothing.
        4 => {
            let entries = len as usize / 2;
            if left > 0
                && h.get(4)
                    .is_some_and(|last| (*last as usize) < entries && left <= last + 1)
                && let Some(a) = h.get(8..24).and_then(|a| <[u8; 16]>::try_from(a).ok())
            {
                out.dst = a;
                *routed = true;
            }
        }
        _ => out.weirds.push_with(Weird::UnknownRoutingType, typ),
    }
}

/// Destination options: the home address of a mobile node (RFC 6275, 6.3).
fn home_address(h: &[u8], home: &mut bool, out: &mut Ip) {
    const PAD1: u8 = 0;
    const HOME_ADDRESS: u8 = 201;
    let mut rest = h.get(2..).unwrap_or(&[]);
    loop {
        match *rest {
            [] => return,
            [PAD1, ref r @ ..] => rest = r,
            [typ, len, ref r @ ..] if r.len() >= len as usize => {
                let (value, r) = r.split_at(len as usize);
                if typ == HOME_ADDRESS {
                    match <[u8; 16]>::try_from(value) {
                        Ok(_) if *home => out.weirds.push(Weird::MultipleHomeAddrOpts),
                        Ok(a) => {
                            out.src = a;
                            *home = true;
                        }
                        Err(_) => out.weirds.push(Weird::BadHomeAddrLen),
                    }
                }
                rest = r;
            }
            _ => {
                out.weirds.push(Weird::BadIpv6DestOptLen);
                return;
            }
        }
    }
}

/// The transport header at `l4` (from the IP header); `total` is the IP length, `b` what was captured.
#[inline(always)]
fn transport(proto: u8, l4: usize, total: usize, b: &[u8], l3: usize, out: &mut Ip) -> Verdict {
    // A payload of no length is to Zeek one whose length was left out, be it that the frame's padding is taken for
    // it.
    let nothing = total <= l4;
    let end = if nothing { b.len() } else { total.min(b.len()) };
    let t = b.get(l4..end).unwrap_or(&[]);
    let payload = if nothing { t.len() } else { total - l4 };
    let least = match proto {
        IPPROTO_TCP => 20,
        IPPROTO_UDP | IPPROTO_ICMP | IPPROTO_ICMPV6 => 8,
        _ => 0,
    };
    if payload < least && !nothing {
        return malformed(Weird::TruncatedHeader);
    }
    if t.len() < least {
        return truncated(Weird::InternallyTruncatedHeader);
    }
    // A chain of extension headers that leaves 16-bit offsets behind leads nowhere.
    if l3 + l4 + 60 > u16::MAX as usize {
        return Verdict::Drop(Counter::Malformed, None);
    }
    out.pkt.l4 = (l3 + l4) as u16;
    let (sport, dport, one_way, header, verdict);
    (out.pkt.seq, out.pkt.ack, out.pkt.window, out.pkt.flags) = (0, 0, 0, 0);
    match proto {
        IPPROTO_TCP => {
            let Some(h) = t.first_chunk::<20>() else {
                return truncated(Weird::InternallyTruncatedHeader);
            };
            sport = u16::from_be_bytes([h[0], h[1]]);
            dport = u16::from_be_bytes([h[2], h[3]]);
            one_way = false;
            out.pkt.seq = u32::from_be_bytes([h[4], h[5], h[6], h[7]]);
            out.pkt.ack = u32::from_be_bytes([h[8], h[9], h[10], h[11]]);
            out.pkt.flags = h[13];
            out.pkt.window = u16::from_be_bytes([h[14], h[15]]);
            let offset = (h[12] >> 4) as usize * 4;
            (header, verdict) = if offset < 20 {
                (20, Verdict::WeirdFlow(Counter::Malformed, Weird::BadTcpHeaderLen))
            } else if offset > payload || nothing {
                (20, Verdict::WeirdFlow(Counter::Malformed, Weird::TruncatedHeader))
            } else {
                (offset, Verdict::Flow)
            };
            out.pkt.payload_len = (payload - header) as u32;
            out.pkt.cut = u16::try_from(payload - t.len().max(header)).unwrap_or(u16::MAX);
        }
        IPPROTO_UDP => {
            let Some(h) = t.first_chunk::<8>() else {
                return truncated(Weird::InternallyTruncatedHeader);
            };
            sport = u16::from_be_bytes([h[0], h[1]]);
            dport = u16::from_be_bytes([h[2], h[3]]);
            one_way = false;
            let len = u16::from_be_bytes([h[4], h[5]]) as usize;
            header = 8;
            verdict = Verdict::Flow;
            // UDP's own length counts, as in Zeek, unless it is none.
            out.pkt.payload_len = if len >= 8 { len - 8 } else { payload - 8 } as u32;
        }
        IPPROTO_ICMP | IPPROTO_ICMPV6 => {
            let &[typ, code, ..] = t else {
                return truncated(Weird::InternallyTruncatedHeader);
            };
            (sport, dport, one_way) = icmp_ports(proto == IPPROTO_ICMPV6, typ, code);
            header = 8;
            verdict = Verdict::Flow;
            out.pkt.payload_len = (payload - 8) as u32;
        }
        proto::IPV4 | proto::IPV6 | proto::GRE => {
            let at = l3 + l4;
            out.tunnel = Payload {
                proto,
                at,
                end: at + t.len(),
            };
            return Verdict::Tunnel;
        }
        proto::NO_NEXT => return Verdict::Drop(Counter::OtherProtocol, Some(Weird::Ipv6NoNext)),
        _ => {
            (sport, dport, one_way, header) = (0, 0, false, 0);
            verdict = Verdict::Other;
            out.pkt.payload_len = payload as u32;
        }
    }
    // Options that were not captured are counted; the offset does not point beyond what there is.
    out.pkt.data = (l3 + l4 + header.min(t.len())) as u16;
    (out.pkt.key, out.pkt.dir) = FlowKey::new(&out.src, &out.dst, sport, dport, proto, one_way);
    verdict
}

#[cfg(test)]
mod tests;
