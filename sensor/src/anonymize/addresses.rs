//! Which address becomes which.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cryptopan::CryptoPan;

/// What an IPv4 address in IPv6's clothes begins with (`::ffff:0:0/96`).
const V4_MAPPED: u128 = 0xffff << 32;

/// Addresses by the scheme, but for the few that are the same everywhere and tell nothing: unspecified, loopback, and the
/// broadcast of the link. An IPv4 address within an IPv6 one (`::ffff:a.b.c.d`) becomes what it would become by itself.
pub struct Scheme(CryptoPan);

impl Scheme {
    pub fn new(key: &[u8; 32]) -> Scheme {
        Scheme(CryptoPan::new(key))
    }

    /// The address that stands for `addr`; no other has the same.
    pub fn forth(&self, addr: IpAddr) -> IpAddr {
        self.walk(addr, |a, bits| self.0.forth(a, bits))
    }

    /// The address for which `mapped` stands.
    pub fn back(&self, mapped: IpAddr) -> IpAddr {
        self.walk(mapped, |a, bits| self.0.back(a, bits))
    }

    /// The first `bits` bits of an IPv4 address, all others 0, as all addresses that begin with them have them afterwards.
    pub fn prefix4(&self, prefix: u32, bits: usize) -> u32 {
        let all = u32::MAX.checked_shl(32 - bits.min(32) as u32).unwrap_or(0);
        (self.0.forth(u128::from(prefix) << 96, bits) >> 96) as u32 & all
    }

    /// The same of an IPv6 address.
    pub fn prefix6(&self, prefix: u128, bits: usize) -> u128 {
        self.0.forth(prefix, bits)
    }

    /// One step of the scheme, and others as long as it leads to an address that stays as it is: so the step stays one to
    /// one. There are too few such addresses for this to take long.
    fn walk(&self, addr: IpAddr, step: impl Fn(u128, usize) -> u128) -> IpAddr {
        match addr {
            IpAddr::V4(v4) => self.walk4(v4, &step).into(),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => {
                    let mapped = self.walk4(v4, &step);
                    Ipv6Addr::from_bits(V4_MAPPED | u128::from(mapped.to_bits())).into()
                }
                None if stays6(v6) => addr,
                None => {
                    let mut bits = v6.to_bits();
                    loop {
                        bits = step(bits, 128);
                        let next = Ipv6Addr::from_bits(bits);
                        if !stays6(next) && next.to_ipv4_mapped().is_none() {
                            return next.into();
                        }
                    }
                }
            },
        }
    }

    fn walk4(&self, addr: Ipv4Addr, step: impl Fn(u128, usize) -> u128) -> Ipv4Addr {
        let mut addr = addr;
        if stays4(addr) {
            return addr;
        }
        loop {
            addr = Ipv4Addr::from_bits((step(u128::from(addr.to_bits()) << 96, 32) >> 96) as u32);
            if !stays4(addr) {
                return addr;
            }
        }
    }
}

/// Whether an address is no host's of its own.
pub fn stays(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => stays4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(stays6(v6), stays4),
    }
}

fn stays4(addr: Ipv4Addr) -> bool {
    [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST].contains(&addr)
}

fn stays6(addr: Ipv6Addr) -> bool {
    [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST].contains(&addr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hosts_stays_and_nothing_else_becomes_it() {
        let scheme = Scheme::new(&[3; 32]);
        for text in [
            "0.0.0.0",
            "127.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            let addr: IpAddr = text.parse().expect("an address");
            assert_eq!(scheme.forth(addr), addr);
            assert_eq!(scheme.back(addr), addr);
            assert!(stays(addr));
        }
        // Those that the scheme alone would make one of them.
        for v4 in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST] {
            let bits = scheme.0.back(u128::from(v4.to_bits()) << 96, 32) >> 96;
            let before = IpAddr::V4(Ipv4Addr::from_bits(bits as u32));
            let mapped = scheme.forth(before);
            assert!(!stays(mapped), "{before} {mapped}");
            assert_eq!(scheme.back(mapped), before);
        }
        let before = IpAddr::V6(Ipv6Addr::from_bits(scheme.0.back(V4_MAPPED | 7, 128)));
        let IpAddr::V6(mapped) = scheme.forth(before) else {
            panic!()
        };
        assert_eq!(mapped.to_ipv4_mapped(), None);
        assert_eq!(scheme.back(mapped.into()), before);
    }

    #[test]
    fn an_ipv4_address_is_the_same_within_an_ipv6_one() {
        let scheme = Scheme::new(&[4; 32]);
        let v4 = Ipv4Addr::new(192, 0, 2, 7);
        let IpAddr::V4(mapped) = scheme.forth(v4.into()) else {
            panic!()
        };
        assert_eq!(
            scheme.forth(v4.to_ipv6_mapped().into()),
            IpAddr::V6(mapped.to_ipv6_mapped())
        );
        assert_ne!(mapped, v4);
    }

    #[test]
    fn a_prefix_is_that_of_its_addresses() {
        let scheme = Scheme::new(&[5; 32]);
        let IpAddr::V4(host) = scheme.forth([192, 168, 7, 9].into()) else {
            panic!()
        };
        for bits in [8, 16, 24] {
            let all = u32::MAX << (32 - bits);
            let prefix = u32::from_be_bytes([192, 168, 7, 9]) & all;
            assert_eq!(scheme.prefix4(prefix, bits), host.to_bits() & all);
        }
        assert_eq!(scheme.prefix4(0, 0), 0);
    }
}
