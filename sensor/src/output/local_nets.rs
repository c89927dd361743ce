//! Which addresses are local, for conn.log's `local_orig` and `local_resp`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Net {
    v4: bool,
    /// Left-aligned, masked.
    bits: u128,
    mask: u128,
}

/// A network that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a network: ADDRESS, ADDRESS/PREFIX or a host's name with a dot expected, such as 10.0.0.0/8, fd00::/8 or vpn.example.com"
)]
pub struct BadNet(pub String);

/// Left-aligned bits of an address.
fn aligned(a: IpAddr) -> (bool, u128) {
    match a {
        IpAddr::V4(a) => (true, u128::from(a.to_bits()) << 96),
        IpAddr::V6(a) => (false, a.to_bits()),
    }
}

impl Net {
    fn new(a: IpAddr, prefix: u32) -> Net {
        let (v4, bits) = aligned(a);
        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        Net {
            v4,
            bits: bits & mask,
            mask,
        }
    }

    const fn v4(a: [u8; 4], prefix: u32) -> Net {
        let bits = (Ipv4Addr::new(a[0], a[1], a[2], a[3]).to_bits() as u128) << 96;
        Net {
            v4: true,
            bits,
            mask: u128::MAX << (128 - prefix),
        }
    }

    const fn v6(s: [u16; 3], prefix: u32) -> Net {
        let bits = Ipv6Addr::new(s[0], s[1], s[2], 0, 0, 0, 0, 0).to_bits();
        Net {
            v4: false,
            bits,
            mask: u128::MAX << (128 - prefix),
        }
    }

    fn contains(&self, (v4, bits): (bool, u128)) -> bool {
        self.v4 == v4 && bits & self.mask == self.bits
    }
}

impl FromStr for Net {
    type Err = BadNet;

    fn from_str(s: &str) -> Result<Net, BadNet> {
        let bad = || BadNet(s.to_owned());
        let (addr, prefix) = s.split_once('/').map_or((s, None), |(a, p)| (a, Some(p)));
        let addr: IpAddr = addr.parse().map_err(|_| bad())?;
        let max = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(max), |p| p.parse().map_err(|_| bad()))?;
        if prefix > max {
            return Err(bad());
        }
        Ok(Net::new(addr, prefix))
    }
}

/// IPv4 networks of Zeek's `Site::private_address_space`. Each is local as a 6to4 network (RFC 3056) too.
const PRIVATE4: &[Net] = &[
    Net::v4([0, 0, 0, 0], 8),       // this network, RFC 791
    Net::v4([10, 0, 0, 0], 8),      // private use, RFC 1918
    Net::v4([100, 64, 0, 0], 10),   // shared by carriers, RFC 6598
    Net::v4([127, 0, 0, 0], 8),     // loopback
    Net::v4([169, 254, 0, 0], 16),  // link local, RFC 3927
    Net::v4([172, 16, 0, 0], 12),   // private use
    Net::v4([192, 0, 0, 0], 24),    // protocol assignments, RFC 6890
    Net::v4([192, 0, 2, 0], 24),    // documentation, RFC 5737
    Net::v4([192, 168, 0, 0], 16),  // private use
    Net::v4([198, 18, 0, 0], 15),   // benchmarking, RFC 2544
    Net::v4([198, 51, 100, 0], 24), // documentation
    Net::v4([203, 0, 113, 0], 24),  // documentation
    Net::v4([224, 0, 0, 0], 24),    // multicast on the link, RFC 5771
    Net::v4([239, 0, 0, 0], 8),     // multicast by administrative scope, RFC 2365
    Net::v4([240, 0, 0, 0], 4),     // reserved, and the broadcast address in it
];

/// IPv6 networks of the same.
const PRIVATE6: &[Net] = &[
    // The unspecified address and loopback: ::/127.
    Net::v6([0, 0, 0], 127),
    Net::v6([0x64, 0xff9b, 1], 48),  // translation, RFC 8215
    Net::v6([0x100, 0, 0], 64),      // discard only, RFC 6666
    Net::v6([0x2001, 0, 0], 23),     // protocol assignments, RFC 2928
    Net::v6([0x2001, 2, 0], 48),     // benchmarking, RFC 5180
    Net::v6([0x2001, 0xdb8, 0], 32), // documentation, RFC 3849
    Net::v6([0xfc00, 0, 0], 7),      // unique local, RFC 4193
    Net::v6([0xfe80, 0, 0], 10),     // link local
    Net::v6([0xfec0, 0, 0], 10),     // site local, RFC 3879
];

/// 2002::/16, in which bits 16 to 47 are an IPv4 address (RFC 3056).
const SIX_TO_FOUR: Net = Net::v6([0x2002, 0, 0], 16);

/// The networks that count as local.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LocalNets {
    /// `None`: the private networks.
    own: Option<Vec<Net>>,
}

impl LocalNets {
    /// Zeek's default: the private address space.
    pub fn private() -> LocalNets {
        LocalNets::default()
    }

    /// Whether `a` is in one of the networks.
    pub fn is_local(&self, a: IpAddr) -> bool {
        let bits = aligned(a);
        match &self.own {
            Some(nets) => nets.iter().any(|n| n.contains(bits)),
            None if bits.0 => PRIVATE4.iter().any(|n| n.contains(bits)),
            None if SIX_TO_FOUR.contains(bits) => PRIVATE4.iter().any(|n| n.contains((true, bits.1 << 16))),
            None => PRIVATE6.iter().any(|n| n.contains(bits)),
        }
    }
}

/// Networks separated by commas; they replace the private ones.
impl FromStr for LocalNets {
    type Err = BadNet;

    fn from_str(list: &str) -> Result<LocalNets, BadNet> {
        let names = list.split(',').map(str::trim).filter(|s| !s.is_empty());
        let nets = names.map(str::parse).collect::<Result<_, _>>()?;
        Ok(LocalNets { own: Some(nets) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(nets: &LocalNets, a: &str) -> bool {
        nets.is_local(a.parse().expect("address"))
    }

    #[test]
    fn the_private_address_space_is_local() {
        let nets = LocalNets::private();
        for a in [
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.127.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.251",
            "239.255.255.250",
            "192.0.2.1",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "2001:1ff::",
            "2002:a00:1::",
            "2002:c0a8:101::5",
            "fec0::1",
            "100::1",
        ] {
            assert!(local(&nets, a), "{a}");
        }
        for a in [
            "9.255.255.255",
            "11.0.0.0",
            "172.32.0.0",
            "192.169.0.0",
            "100.128.0.0",
            "224.0.1.0",
            "8.8.8.8",
            "::2",
            "2001:200::",
            "2002:808:808::",
            "2a00::1",
            "fe00::1",
            "100:0:0:1::",
        ] {
            assert!(!local(&nets, a), "{a}");
        }
    }

    #[test]
    fn a_list_replaces_it() {
        let nets: LocalNets = "8.8.0.0/16, 2a00::/12,1.1.1.1,0.0.0.0/32"
            .parse()
            .expect("networks");
        assert!(local(&nets, "8.8.8.8") && local(&nets, "2a0f::1") && local(&nets, "1.1.1.1"));
        assert!(!local(&nets, "10.0.0.1") && !local(&nets, "1.1.1.2") && !local(&nets, "::"));
        let all: LocalNets = "0.0.0.0/0".parse().expect("network");
        assert!(local(&all, "255.1.2.3") && !local(&all, "::1"));
        for bad in [
            "10.0.0.0/33",
            "fd00::/129",
            "ten",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(bad.parse::<LocalNets>(), Err(BadNet(bad.to_owned())));
        }
    }
}
