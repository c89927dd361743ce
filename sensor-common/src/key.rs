//! The key of a flow: one for both directions.
#![allow(unsafe_code, reason = "a key is made out of words at once")]

use crate::decap::{GENEVE_PORT, VXLAN_GPE_PORT, VXLAN_LINUX_PORT, VXLAN_PORT};

// IP protocol numbers (IANA) that the sensor tracks as flows.

/// ICMP for IPv4 (RFC 792).
pub const IPPROTO_ICMP: u8 = 1;
/// TCP (RFC 9293).
pub const IPPROTO_TCP: u8 = 6;
/// UDP (RFC 768).
pub const IPPROTO_UDP: u8 = 17;
/// ICMP for IPv6 (RFC 4443).
pub const IPPROTO_ICMPV6: u8 = 58;

/// Five-tuple with its ends in canonical order: the lower (address, port) is end `a`.
///
/// Addresses are in network byte order, IPv4 as `::ffff:a.b.c.d`; ports are in host byte order.
/// For ICMP the "ports" are the message type and that of its counterpart, as Zeek has it: see
/// [`icmp_ports`].
///
/// Aligned like a word, and made by words: what is written by bytes and read by words a moment later, as a table's hash does,
/// makes the processor wait.
#[repr(C, align(8))]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct FlowKey {
    /// Address of the lower end, network byte order.
    pub a: [u8; 16],
    /// Address of the higher end, network byte order.
    pub b: [u8; 16],
    /// Port of end `a`, host byte order.
    pub a_port: u16,
    /// Port of end `b`, host byte order.
    pub b_port: u16,
    /// IP protocol number.
    pub proto: u8,
    /// The network that both addresses are in.
    pub realm: Realm,
}

/// Which of several networks, that may use the same addresses, a flow is in: 24 bits, 0 where nobody asked or there is
/// but one. Stateless, or whoever sends could fill a table: the number of a virtual network (VNI, RFC 7348), or outer
/// and inner VLAN id. What is inside a tunnel is in the tunnel's realm unless it says more.
///
/// A VNI may be the number of two VLANs, too; then the five-tuple alone tells the flows apart.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Realm([u8; 3]);

impl Realm {
    /// Where nobody asked, or there is but one.
    pub const NONE: Realm = Realm([0; 3]);

    /// VLAN ids, 12 bits each; 0: no tag (IEEE 802.1Q's priority tags name no VLAN).
    #[inline(always)]
    pub fn of_vlans(outer: u16, inner: u16) -> Self {
        Self::of_number((outer as u32 & 0xfff) << 12 | inner as u32 & 0xfff)
    }

    /// The lower 24 bits of a number.
    #[inline(always)]
    pub fn of_number(n: u32) -> Self {
        let [a, b, c, _] = n.to_le_bytes();
        Realm([a, b, c])
    }

    /// What [`Realm::of_number`] was given, such as a VNI.
    #[inline(always)]
    pub fn number(self) -> u32 {
        let Realm([a, b, c]) = self;
        u32::from_le_bytes([a, b, c, 0])
    }

    /// What [`Realm::of_vlans`] was given.
    pub fn vlans(self) -> (u16, u16) {
        ((self.number() >> 12) as u16, self.number() as u16 & 0xfff)
    }
}

/// Which end of a [`FlowKey`] sent a packet: 0 = `a`, 1 = `b`.
pub type Dir = u8;

impl FlowKey {
    /// The key of a packet in realm 0, and which end sent it. `one_way`: see [`icmp_ports`].
    #[inline(always)]
    pub fn new(
        src: &[u8; 16],
        dst: &[u8; 16],
        sport: u16,
        dport: u16,
        proto: u8,
        one_way: bool,
    ) -> (Self, Dir) {
        Self::of_words(words(src), words(dst), sport, dport, proto, one_way, Realm::NONE)
    }

    /// As [`FlowKey::new`], of addresses that were read by words, native byte order, and in a realm.
    #[inline(always)]
    pub fn of_words(
        src: [u64; 2],
        dst: [u64; 2],
        sport: u16,
        dport: u16,
        proto: u8,
        one_way: bool,
        Realm([x, y, z]): Realm,
    ) -> (Self, Dir) {
        let swap = !one_way && greater(src, dst, sport, dport);
        let (a, b, a_port, b_port) = if swap {
            (dst, src, dport, sport)
        } else {
            (src, dst, sport, dport)
        };
        let ([p, q], [r, s]) = (a_port.to_ne_bytes(), b_port.to_ne_bytes());
        let rest = u64::from_ne_bytes([p, q, r, s, proto, x, y, z]);
        // SAFETY: as many bytes, aligned alike, and all its fields are numbers.
        let key = unsafe { core::mem::transmute::<[u64; 5], FlowKey>([a[0], a[1], b[0], b[1], rest]) };
        (key, swap as Dir)
    }

    /// The hash that chooses the ring, the same for both directions. It is keyed, or whoever sends could choose flows
    /// that all share a ring. Tunnels go by their addresses alone, like what has no ports: the
    /// two directions of a connection in a VXLAN tunnel come in outer flows with different ports, and
    /// must be seen in their order.
    #[inline(always)]
    pub fn ring_hash(&self, seed: [u32; 2]) -> u32 {
        let tunnel =
            self.proto == IPPROTO_UDP && (is_tunnel_port(self.a_port) || is_tunnel_port(self.b_port));
        let w = |x: &[u8; 16], i: usize| u32::from_ne_bytes([x[i], x[i + 1], x[i + 2], x[i + 3]]);
        let mut h = HalfSip::new(seed);
        let mut i = 0;
        while i < 16 {
            h.word(w(&self.a, i));
            h.word(w(&self.b, i));
            i += 4;
        }
        if !tunnel {
            h.word((self.a_port as u32) << 16 | self.b_port as u32);
        }
        h.word(self.proto as u32 | self.realm.number() << 8);
        h.finish()
    }

    /// Whether it is of an ICMP message that has no counterpart: the ends are source and destination, unsorted. No flow
    /// of others has such a type in its ports.
    pub fn one_way(&self) -> bool {
        let v6 = self.proto == IPPROTO_ICMPV6;
        (v6 || self.proto == IPPROTO_ICMP) && icmp_ports(v6, self.a_port as u8, 0).2
    }

    /// Whether the addresses are IPv4.
    #[inline(always)]
    pub fn is_v4(&self) -> bool {
        is_v4_mapped(&self.a)
    }
}

/// HalfSipHash-1-3 (J.-P. Aumasson and D. J. Bernstein; the kernel's `hsiphash` on 32-bit machines) of whole words,
/// without the length, which is always the same.
struct HalfSip {
    v: [u32; 4],
}

impl HalfSip {
    #[inline(always)]
    fn new(key: [u32; 2]) -> Self {
        HalfSip {
            v: [key[0], key[1], key[0] ^ 0x6c79_6765, key[1] ^ 0x7465_6462],
        }
    }

    #[inline(always)]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        b = b.rotate_left(5) ^ a;
        a = a.rotate_left(16);
        c = c.wrapping_add(d);
        d = d.rotate_left(8) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(7) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(13) ^ c;
        c = c.rotate_left(16);
        self.v = [a, b, c, d];
    }

    #[inline(always)]
    fn word(&mut self, m: u32) {
        self.v[3] ^= m;
        self.round();
        self.v[0] ^= m;
    }

    #[inline(always)]
    fn finish(mut self) -> u32 {
        self.v[2] ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.v[1] ^ self.v[3]
    }
}

/// Whether a UDP port is one of a tunnel protocol: GTP (two), Teredo, GRE, VXLAN, VXLAN-GPE, AYIYA, Geneve, Linux's
/// VXLAN. Source: Zeek's packet-protocols, but for VXLAN-GPE and Linux's. L2TP's two directions are one flow.
#[inline(always)]
pub fn is_tunnel_port(port: u16) -> bool {
    matches!(
        port,
        2123 | 2152 | 3544 | 4754 | VXLAN_PORT | VXLAN_GPE_PORT | 5072 | GENEVE_PORT | VXLAN_LINUX_PORT
    )
}

/// Whether a 16-byte address is an IPv4 one, mapped.
#[inline(always)]
pub fn is_v4_mapped(a: &[u8; 16]) -> bool {
    let lo = u64::from_le_bytes([a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]]);
    let hi = u32::from_le_bytes([a[8], a[9], a[10], a[11]]);
    lo == 0 && hi == 0xffff_0000
}

/// An IPv4 address in its mapped form.
#[inline(always)]
pub fn v4_mapped(a: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a[0], a[1], a[2], a[3]]
}

/// The same as [`FlowKey::of_words`] takes it.
#[inline(always)]
pub fn v4_words(a: u32) -> [u64; 2] {
    let [a, b, c, d] = a.to_ne_bytes();
    [0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])]
}

#[inline(always)]
fn words(x: &[u8; 16]) -> [u64; 2] {
    let w = |i: usize| {
        u64::from_ne_bytes([
            x[i],
            x[i + 1],
            x[i + 2],
            x[i + 3],
            x[i + 4],
            x[i + 5],
            x[i + 6],
            x[i + 7],
        ])
    };
    [w(0), w(8)]
}

#[inline(always)]
fn greater(src: [u64; 2], dst: [u64; 2], sport: u16, dport: u16) -> bool {
    if src[0] != dst[0] {
        return u64::from_be(src[0]) > u64::from_be(dst[0]);
    }
    if src[1] != dst[1] {
        return u64::from_be(src[1]) > u64::from_be(dst[1]);
    }
    sport > dport
}

/// The port pair that stands for an ICMP message: its type and the counterpart's type, or, where
/// there is no counterpart, its code (then the flow is one-way). `v6` tells ICMPv6 from ICMP.
/// Source: Zeek, `ICMP4_counterpart` and `ICMP6_counterpart`.
#[inline(always)]
pub fn icmp_ports(v6: bool, typ: u8, code: u8) -> (u16, u16, bool) {
    let other: u16 = if v6 {
        match typ {
            128 => 129, // echo
            129 => 128,
            133 => 134, // router solicitation, advertisement
            134 => 133,
            135 => 136, // neighbour solicitation, advertisement
            136 => 135,
            130 => 131, // multicast listener query, report
            131 => 130,
            139 => 140, // node information query, reply
            140 => 139,
            144 => 145, // home agent address discovery request, reply
            145 => 144,
            _ => return (typ as u16, code as u16, true),
        }
    } else {
        match typ {
            8 => 0, // echo
            0 => 8,
            13 => 14, // timestamp
            14 => 13,
            15 => 16, // information
            16 => 15,
            10 => 9, // router solicitation, advertisement
            9 => 10,
            17 => 18, // address mask
            18 => 17,
            _ => return (typ as u16, code as u16, true),
        }
    };
    (typ as u16, other, false)
}
