//! What a signature asks of a packet's headers. Knows no connection.

use std::net::IpAddr;

use sensor_common::key::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};

use super::cmp::Cmp;

/// A header in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// IPv4's.
    Ip,
    /// IPv6's.
    Ip6,
    /// TCP's, and so on.
    Tcp,
    /// UDP's.
    Udp,
    /// ICMP's.
    Icmp,
    /// ICMPv6's.
    Icmp6,
}

impl Layer {
    /// The protocol that comes behind IP, if it is one.
    pub fn number(self) -> Option<u8> {
        match self {
            Layer::Ip | Layer::Ip6 => None,
            Layer::Tcp => Some(IPPROTO_TCP),
            Layer::Udp => Some(IPPROTO_UDP),
            Layer::Icmp => Some(IPPROTO_ICMP),
            Layer::Icmp6 => Some(IPPROTO_ICMPV6),
        }
    }
}

/// A value of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// What is compared is masked first.
    Masked {
        /// The value.
        value: u32,
        /// The mask.
        mask: u32,
    },
    /// From one to the other.
    Range(u32, u32),
}

/// A network: addresses are those of keys, IPv4 mapped into IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// Its address, with zeros behind the prefix.
    prefix: u128,
    mask: u128,
}

impl Net {
    /// The network of an address; None if the address has fewer bits.
    pub fn new(addr: IpAddr, bits: u32) -> Option<Net> {
        let (wide, of) = match addr {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 32),
            IpAddr::V6(v6) => (v6, 128),
        };
        let host = of - Some(bits).filter(|b| *b <= of)?;
        let mask = u128::MAX.checked_shl(host).unwrap_or(0);
        Some(Net {
            prefix: u128::from(wide) & mask,
            mask,
        })
    }
}

/// What is asked of headers. Within a list one value has to hold, except of `!=`, which none may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The source's address, or the destination's.
    Addr {
        /// The source's.
        src: bool,
        /// How.
        cmp: Cmp,
        /// With what.
        nets: Vec<Net>,
    },
    /// The source's port, or the destination's, of TCP or UDP.
    Port {
        /// The source's.
        src: bool,
        /// How.
        cmp: Cmp,
        /// With what.
        values: Vec<Value>,
    },
    /// The protocol behind IP.
    Proto(Cmp, Vec<Value>),
    /// Bytes of a header, in network byte order.
    Bytes {
        /// Which header.
        layer: Layer,
        /// Where in it.
        offset: usize,
        /// 1, 2 or 4 of them.
        size: usize,
        /// How.
        cmp: Cmp,
        /// With what.
        values: Vec<Value>,
    },
    /// One of these options is in the IPv4 header, by their types.
    Options(Vec<u8>),
}

/// A packet's headers. What is not at hand is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'p> {
    /// Sender's address, as in keys.
    pub src: [u8; 16],
    /// Receiver's.
    pub dst: [u8; 16],
    /// Sender's and receiver's port; of ICMP they mean nothing.
    pub ports: [u16; 2],
    /// The protocol behind IP.
    pub proto: u8,
    /// From the IP header on.
    pub ip: &'p [u8],
    /// From the header behind IP on.
    pub transport: &'p [u8],
}

impl Test {
    /// How soon it is to be looked at.
    pub fn cost(&self) -> u8 {
        match self {
            Test::Proto(..) => 0,
            Test::Port { .. } => 1,
            Test::Bytes { .. } => 2,
            Test::Addr { .. } => 3,
            Test::Options(_) => 4,
        }
    }

    /// Whether it holds.
    pub fn holds(&self, h: &Headers<'_>) -> bool {
        match self {
            Test::Addr { src, cmp, nets } => {
                let addr = u128::from_be_bytes(if *src { h.src } else { h.dst });
                let is = |n: &Net| match cmp {
                    Cmp::Ne => addr & n.mask == n.prefix,
                    cmp => cmp.holds(addr & n.mask, n.prefix),
                };
                nets.iter().any(is) != (*cmp == Cmp::Ne)
            }
            Test::Port { src, cmp, values } => {
                let has_ports = matches!(h.proto, IPPROTO_TCP | IPPROTO_UDP);
                has_ports && compare(*cmp, h.ports[usize::from(!src)].into(), values)
            }
            Test::Proto(cmp, values) => compare(*cmp, h.proto.into(), values),
            Test::Bytes {
                layer,
                offset,
                size,
                cmp,
                values,
            } => {
                let version = h.ip.first().map(|b| b >> 4);
                let bytes = match layer {
                    Layer::Ip if version == Some(4) => h.ip,
                    Layer::Ip6 if version == Some(6) => h.ip,
                    layer if layer.number() == Some(h.proto) => h.transport,
                    _ => return false,
                };
                let found = bytes.get(*offset..).and_then(|b| b.get(..*size));
                let number = |b: &[u8]| b.iter().fold(0, |n, b| n << 8 | u32::from(*b));
                found.is_some_and(|b| compare(*cmp, number(b), values))
            }
            Test::Options(types) => has_option(h.ip, types),
        }
    }
}

/// Whether an IPv4 header has an option of these types (RFC 791, section 3.1).
fn has_option(ip: &[u8], types: &[u8]) -> bool {
    let len = match ip.first() {
        Some(b) if b >> 4 == 4 => usize::from(b & 15) * 4,
        _ => return false,
    };
    let mut options = ip.get(20..len).unwrap_or_default();
    loop {
        options = match options {
            [] | [0, ..] => return false,
            [1, rest @ ..] => rest,
            [typ, ..] if types.contains(typ) => return true,
            [_, n, ..] if *n >= 2 => options.get(usize::from(*n)..).unwrap_or_default(),
            _ => return false,
        };
    }
}

fn compare(cmp: Cmp, v: u32, values: &[Value]) -> bool {
    let equal = |value: &Value| match *value {
        Value::Masked { value, mask } => v & mask == value,
        Value::Range(low, high) => (low..=high).contains(&v),
    };
    match cmp {
        Cmp::Eq => values.iter().any(equal),
        Cmp::Ne => !values.iter().any(equal),
        // One of a range is enough.
        cmp => values.iter().any(|value| match *value {
            Value::Masked { value, mask } => cmp.holds(v & mask, value),
            Value::Range(low, high) => cmp.holds(v, low) || cmp.holds(v, high),
        }),
    }
}
