//! What a flow's key says in the terms of events and logs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sensor_common::key::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};

use crate::event::Proto;

/// An address out of a key.
pub fn addr(a: &[u8; 16]) -> IpAddr {
    let v6 = Ipv6Addr::from(*a);
    match v6.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None => IpAddr::V6(v6),
    }
}

/// An address as a key has it.
pub fn octets(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    }
}

/// Whether it is the limited broadcast address.
pub fn is_broadcast(a: &[u8; 16]) -> bool {
    addr(a) == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// The transport of an IP protocol number.
pub fn proto(p: u8) -> Proto {
    match p {
        IPPROTO_TCP => Proto::Tcp,
        IPPROTO_UDP => Proto::Udp,
        IPPROTO_ICMP | IPPROTO_ICMPV6 => Proto::Icmp,
        _ => Proto::Unknown,
    }
}
