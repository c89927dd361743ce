//! From a frame's first bytes to a [`Packet`]: Ethernet, VLAN tags, IP, and the transport header.
//! Knows packet pointers and nothing of maps or policy.
//!
//! Lengths are the IP header's, never the frame's, which may be padded; where the two contradict
//! each other or a header is cut off, the packet is not tracked and the reason says so. Only packets for which userspace would
//! raise no weird are tracked here; all others are left to userspace.

use sensor_common::key::{
    FlowKey, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, Realm, icmp_ports, v4_words,
};
use sensor_common::{Counter, proto};

use crate::maps::Scratch;

const ETH_LEN: usize = 14;
/// IEEE 802.1Q, 802.1ad, and the number that Q-in-Q had before it.
const VLAN_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const VLAN_LEN: usize = 4;
const VLAN_ID: u16 = 0xfff;
const MAX_VLANS: usize = 2;
pub const TYPE_IPV4: u16 = 0x0800;
pub const TYPE_IPV6: u16 = 0x86dd;
/// Below this it is a length (IEEE 802.3) and LLC follows: spanning tree and its like.
const TYPE_MIN: u16 = 0x0600;
/// EtherTypes of protocols that carry no IP: ARP, RARP, MAC control, slow protocols (LACP), EAPOL,
/// LLDP, loopback test.
const NOT_IP: [u16; 7] = [0x0806, 0x8035, 0x8808, 0x8809, 0x888e, 0x88cc, 0x9000];

/// Longest IP packet that an IPv4 header can speak of.
const LONGEST: usize = 65_535;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const TCP_LEN: usize = 20;
const UDP_LEN: usize = 8;
const ICMP_LEN: usize = 8;
/// IPv6 extension headers looked through (RFC 8200, 4).
const MAX_EXTENSIONS: usize = 8;
/// First two bytes of LLC that SNAP and perhaps IP follow (IEEE 802.2).
const LLC_SNAP: u16 = 0xaaaa;
const TUNNELS: [u8; 3] = [proto::IPV4, proto::IPV6, proto::GRE];

/// Why a packet is not tracked: a [`Counter`], or [`NEED_MORE`].
pub type Reason = u32;
/// Stands where a reason would: there is none.
pub const PARSED: Reason = Counter::Tracked as Reason;
/// The headers go on beyond the readable part of the frame.
pub const NEED_MORE: Reason = u32::MAX;

/// The readable part of a frame, and its length with what lies beyond.
#[derive(Clone, Copy)]
pub struct Frame {
    pub data: usize,
    pub end: usize,
    /// Bytes of the whole frame.
    pub len: usize,
    /// Bytes that it had on the wire: more, where a capture cut it.
    pub wire: usize,
}

impl Frame {
    /// A header of `N` bytes at `off`.
    #[inline(always)]
    pub fn at<const N: usize>(&self, off: usize) -> Result<*const u8, Reason> {
        let p = self.data + off;
        if p + N <= self.end {
            Ok(p as *const u8)
        } else if off + N <= self.len {
            Err(NEED_MORE)
        } else {
            Err(Counter::Truncated as Reason)
        }
    }

    /// Whether `n` bytes from the frame's start are there, readable or not.
    #[inline(always)]
    fn holds(&self, n: usize) -> Result<(), Reason> {
        if n <= self.len {
            Ok(())
        } else {
            Err(Counter::Truncated as Reason)
        }
    }

    /// Whether an IP packet of `total` bytes at `l3` was as long on the wire.
    #[inline(always)]
    fn carries(&self, l3: usize, total: usize) -> Result<(), Reason> {
        if l3 + total <= self.wire {
            Ok(())
        } else {
            Err(Counter::Truncated as Reason)
        }
    }

    #[inline(always)]
    fn be16(&self, off: usize) -> Result<u16, Reason> {
        let p = self.at::<2>(off)?;
        // SAFETY: `at` has checked the bounds.
        Ok(u16::from_be(unsafe { p.cast::<u16>().read_unaligned() }))
    }
}

/// A field of a header that [`Frame::at`] returned.
///
/// # Safety
/// The header has at least `off + 2` (4, 16) bytes.
#[inline(always)]
pub unsafe fn field16(p: *const u8, off: usize) -> u16 {
    // SAFETY: the caller's word.
    u16::from_be(unsafe { p.add(off).cast::<u16>().read_unaligned() })
}
#[inline(always)]
pub unsafe fn field32(p: *const u8, off: usize) -> u32 {
    // SAFETY: the caller's word.
    u32::from_be(unsafe { p.add(off).cast::<u32>().read_unaligned() })
}
#[inline(always)]
unsafe fn address(p: *const u8, off: usize) -> [u64; 2] {
    // SAFETY: the caller's word.
    unsafe {
        let p = p.add(off).cast::<u64>();
        [p.read_unaligned(), p.add(1).read_unaligned()]
    }
}

/// Offsets of headers are below this: MAX_EXTENSIONS of the longest and what is before them.
const OFFSETS: usize = 0x7fff;

/// Parses `f` into `w.pkt`, all but `ts` and `segs`. An error leaves `l3` set when an IP header was
/// found, `ip_len` if that says how long the packet was, and the addresses in `key` as far as they are known. `vlans`: the key's realm is the frame's VLAN.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
pub unsafe fn parse(f: Frame, w: *mut Scratch, vlans: bool) -> Result<(), Reason> {
    let Link { l3, typ, realm } = link(f)?;
    // SAFETY: the caller's word.
    unsafe {
        (*w).ip.realm = if vlans { realm.number() } else { 0 };
        network(f, l3, typ, w)
    }
}

/// What the link layer says.
pub struct Link {
    /// Where the network layer begins.
    pub l3: usize,
    /// Its EtherType.
    pub typ: u16,
    /// That of its VLAN tags.
    pub realm: Realm,
}

#[inline(always)]
pub fn link(f: Frame) -> Result<Link, Reason> {
    f.at::<ETH_LEN>(0)?;
    let mut typ = f.be16(ETH_LEN - 2)?;
    let mut l3 = ETH_LEN;
    let (mut outer, mut inner) = (0, 0);
    for _ in 0..MAX_VLANS {
        if !VLAN_TYPES.contains(&typ) {
            break;
        }
        typ = f.be16(l3 + 2)?;
        let id = f.be16(l3)? & VLAN_ID;
        // As userspace has it, to which a priority tag is none.
        if outer == 0 {
            outer = id;
        } else {
            inner = id;
        }
        l3 += VLAN_LEN;
    }
    let realm = Realm::of_vlans(outer, inner);
    Ok(Link { l3, typ, realm })
}

/// As [`parse`], from the network layer on: `typ` is the EtherType of what begins at `l3`, and [`crate::maps::Ip::realm`] is
/// set.
///
/// # Safety
/// As for [`parse`].
#[inline(always)]
pub unsafe fn network(f: Frame, l3: usize, typ: u16, w: *mut Scratch) -> Result<(), Reason> {
    // SAFETY: the caller's word.
    unsafe {
        (*w).pkt.l3 = l3 as u16;
        if typ == TYPE_IPV4 {
            ipv4(f, l3, w)?;
        } else if typ == TYPE_IPV6 {
            ipv6(f, l3, w)?;
        } else if typ < TYPE_MIN && f.be16(l3) == Ok(LLC_SNAP) {
            return Err(Counter::OtherEthertype as Reason);
        } else if typ < TYPE_MIN || NOT_IP.contains(&typ) {
            return Err(Counter::NotIp as Reason);
        } else {
            return Err(Counter::OtherEthertype as Reason);
        }
        transport(f, Scratch::forget(w))
    }
}

/// The IPv4 header at `l3` (RFC 791).
#[inline(always)]
unsafe fn ipv4(f: Frame, l3: usize, w: *mut Scratch) -> Result<(), Reason> {
    let p = f.at::<IPV4_LEN>(l3)?;
    // SAFETY: IPV4_LEN bytes are there; the caller's word for `w`.
    unsafe {
        let (vihl, total, frag) = (*p, field16(p, 2) as usize, field16(p, 6));
        let hlen = ((vihl & 15) as usize) * 4;
        if vihl >> 4 != 4 || hlen < IPV4_LEN {
            return Err(Counter::Malformed as Reason);
        }
        // 0 stands on packets that segmentation offload has yet to cut, if they are too long for the field: then as much
        // as is there counts.
        let total = if total == 0 && f.wire > LONGEST + l3 {
            f.len - l3
        } else {
            total
        };
        if total < hlen {
            return Err(Counter::Malformed as Reason);
        }
        (*w).pkt.ip_len = total as u32;
        f.carries(l3, total)?;
        f.holds(l3 + hlen)?;
        (*w).ip.src = v4_words(p.add(12).cast::<u32>().read_unaligned());
        (*w).ip.dst = v4_words(p.add(16).cast::<u32>().read_unaligned());
        (*w).ip.proto = *p.add(9);
        (*w).ip.v6 = false;
        (*w).ip.rest = (total - hlen) as u32;
        (*w).ip.next = (l3 + hlen) as u32;
        if frag & 0x3fff != 0 {
            endpoints(w);
            return Err(Counter::Fragment as Reason);
        }
    }
    Ok(())
}

/// The IPv6 header at `l3` and its extension headers (RFC 8200).
#[inline(always)]
unsafe fn ipv6(f: Frame, l3: usize, w: *mut Scratch) -> Result<(), Reason> {
    let p = f.at::<IPV6_LEN>(l3)?;
    // SAFETY: IPV6_LEN bytes are there; the caller's word for `w`.
    unsafe {
        let len = field16(p, 4) as usize;
        if *p >> 4 != 6 {
            return Err(Counter::Malformed as Reason);
        }
        // As with IPv4.
        let rest = if len != 0 {
            len
        } else if f.wire > LONGEST + l3 && f.len >= l3 + IPV6_LEN {
            f.len - l3 - IPV6_LEN
        } else {
            return Err(Counter::Malformed as Reason);
        };
        (*w).pkt.ip_len = (rest + IPV6_LEN) as u32;
        f.carries(l3, rest + IPV6_LEN)?;
        (*w).ip.src = address(p, 8);
        (*w).ip.dst = address(p, 24);
        (*w).ip.proto = *p.add(6);
        (*w).ip.v6 = true;
        (*w).ip.rest = rest as u32;
        (*w).ip.next = (l3 + IPV6_LEN) as u32;
        for _ in 0..MAX_EXTENSIONS {
            if !extension(f, Scratch::forget(w))? {
                break;
            }
        }
    }
    Ok(())
}

/// Steps over one extension header; false: it is none. Only hop-by-hop options are looked through: those
/// for the destination may hold the sender's real address, a routing header the receiver's, and of a
/// fragment (also of one that is all of its datagram) userspace takes the header out.
#[inline(always)]
unsafe fn extension(f: Frame, w: *mut Scratch) -> Result<bool, Reason> {
    // SAFETY: the caller's word.
    let ip = unsafe { &mut (*w).ip };
    if ip.proto != proto::HOPOPTS {
        let reason = match ip.proto {
            proto::FRAGMENT => Counter::Fragment,
            proto::ROUTING | proto::DSTOPTS => Counter::OtherProtocol,
            _ => return Ok(false),
        };
        // SAFETY: the caller's word.
        unsafe { endpoints(w) };
        return Err(reason as Reason);
    }
    if ip.rest < 8 {
        return Err(Counter::Malformed as Reason);
    }
    let off = ip.next as usize & OFFSETS;
    let p = f.at::<8>(off)?;
    // SAFETY: 8 bytes are there.
    let (next, n) = unsafe { (*p, 8 + *p.add(1) as u32 * 8) };
    if ip.rest < n {
        return Err(Counter::Malformed as Reason);
    }
    ip.proto = next;
    ip.next = off as u32 + n;
    ip.rest -= n;
    f.holds(off + n as usize)?;
    Ok(true)
}

/// Notes the addresses alone: what packets that go no further are spread over the rings by.
#[inline(always)]
unsafe fn endpoints(w: *mut Scratch) {
    // SAFETY: the caller's word.
    unsafe {
        let w = Scratch::forget(w);
        (*w).pkt.key = (*w).ip.hosts().0;
    }
}

/// The transport header.
#[inline(always)]
unsafe fn transport(f: Frame, w: *mut Scratch) -> Result<(), Reason> {
    // SAFETY: the caller's word.
    let (ip, pkt) = unsafe { (&mut (*w).ip, &mut (*w).pkt) };
    let (rest, l4) = (ip.rest as usize, ip.next as usize & OFFSETS);
    pkt.l4 = l4 as u16;
    let need = match (ip.proto, ip.v6) {
        (IPPROTO_TCP, _) => TCP_LEN,
        (IPPROTO_UDP, _) => UDP_LEN,
        (IPPROTO_ICMP, false) | (IPPROTO_ICMPV6, true) => ICMP_LEN,
        (p, _) => {
            // SAFETY: the caller's word.
            unsafe { endpoints(w) };
            let tunnel = TUNNELS.contains(&p);
            return Err(if tunnel {
                Counter::Tunnel
            } else {
                Counter::OtherProtocol
            } as Reason);
        }
    };
    if rest < need {
        return Err(Counter::Malformed as Reason);
    }
    let p = f.at::<8>(l4)?;
    // SAFETY: 8 bytes are there, here and for UDP and ICMP below.
    let (mut sport, mut dport) = unsafe { (field16(p, 0), field16(p, 2)) };
    let mut one_way = false;
    let (hlen, payload);
    if ip.proto == IPPROTO_TCP {
        let p = f.at::<TCP_LEN>(l4)?;
        // SAFETY: TCP_LEN bytes are there.
        unsafe {
            hlen = ((*p.add(12) >> 4) as usize) * 4;
            if hlen < TCP_LEN || rest < hlen {
                return Err(Counter::Malformed as Reason);
            }
            f.holds(l4 + hlen)?;
            pkt.seq = field32(p, 4);
            pkt.ack = field32(p, 8);
            pkt.flags = *p.add(13);
            pkt.window = field16(p, 14);
        }
        payload = rest - hlen;
        if f.len < l4 + rest {
            let cut = l4 + rest - f.len;
            pkt.cut = if cut > 0xffff { 0xffff } else { cut as u16 };
        }
    } else if ip.proto == IPPROTO_UDP {
        hlen = UDP_LEN;
        // SAFETY: see above.
        let len = unsafe { field16(p, 4) } as usize;
        payload = if len >= UDP_LEN { len } else { rest } - UDP_LEN;
    } else {
        hlen = ICMP_LEN;
        payload = rest - ICMP_LEN;
        (sport, dport, one_way) = icmp_ports(ip.v6, (sport >> 8) as u8, sport as u8);
    }
    pkt.payload_len = payload as u32;
    pkt.data = (l4 + hlen) as u16;
    (ip.sport, ip.dport, ip.one_way) = (sport, dport, one_way as u8);
    // SAFETY: the caller's word.
    unsafe {
        let w = Scratch::forget(w);
        let ip = &(*w).ip;
        let realm = Realm::of_number(ip.realm);
        let one_way = ip.one_way != 0;
        let (key, dir) = FlowKey::of_words(ip.src, ip.dst, ip.sport, ip.dport, ip.proto, one_way, realm);
        ((*w).pkt.key, (*w).pkt.dir) = (key, dir);
    }
    Ok(())
}
