//! Client — middle — server: three namespaces joined by two veth pairs.
//!
//! ```text
//!  client  c0 ───── m0  middle, a bridge  m1 ───── s0  server
//!  10.77.0.1                                       10.77.0.2
//!  fd77::1                                         fd77::2
//!  10.77.7.1, fd77:7::1   VLAN 7   10.77.7.2, fd77:7::2   (see vlan.rs)
//! ```
//! The middle is a bump in the wire: m0 receives what the client sends, m1 what the server sends,
//! unchanged. Neighbours are static and everything that would make the kernel talk by itself is
//! off, so that counters count the traffic under test and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::link;
use crate::netns::Namespace;

pub const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
pub const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// Has an entry in the client's neighbour table, but nobody owns it: its packets die on the far side.
pub const DARK_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub const DARK_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 99);
pub const VLAN_SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 7, 2);
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
pub const DARK_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x99);
pub const VLAN_SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 7, 0, 0, 0, 0, 0, 2);

/// How long nothing comes through when all has come, and how long that is waited for.
const QUIET: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(20);

/// The client's address of the wanted family.
pub fn client_ip(v6: bool) -> IpAddr {
    if v6 { CLIENT_V6.into() } else { CLIENT_V4.into() }
}
/// The server's.
pub fn server_ip(v6: bool) -> IpAddr {
    if v6 { SERVER_V6.into() } else { SERVER_V4.into() }
}
/// The address nobody answers at.
pub fn dark_ip(v6: bool) -> IpAddr {
    if v6 { DARK_V6.into() } else { DARK_V4.into() }
}
/// The server's address in VLAN 7.
pub fn vlan_server_ip(v6: bool) -> IpAddr {
    if v6 {
        VLAN_SERVER_V6.into()
    } else {
        VLAN_SERVER_V4.into()
    }
}

/// What may vary.
#[derive(Clone, Copy, Debug)]
pub struct LabOptions {
    /// Of all interfaces, bytes.
    pub mtu: u32,
    /// Segmentation offload at the two ends. Off: one frame on a veth is one packet on a wire.
    pub offload: bool,
    /// The middle's two interfaces are of a kind (macvlan) whose driver knows no XDP, so that the
    /// kernel runs it in generic mode.
    pub generic: bool,
}

impl Default for LabOptions {
    fn default() -> Self {
        LabOptions {
            mtu: 1500,
            offload: false,
            generic: false,
        }
    }
}

/// The three namespaces. Dropping it removes them.
#[derive(Debug)]
pub struct Lab {
    pub client: Namespace,
    pub middle: Namespace,
    pub server: Namespace,
    generic: bool,
}

impl Lab {
    /// Builds one; it carries traffic when this returns.
    pub fn new(options: LabOptions) -> Result<Self> {
        let LabOptions {
            mtu,
            offload,
            generic,
        } = options;
        let lab = Lab {
            client: Namespace::new("client")?,
            middle: Namespace::new("middle")?,
            server: Namespace::new("server")?,
            generic,
        };
        for which in ["all", "default"] {
            lab.middle
                .sysctl(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1")?;
            for end in [&lab.client, &lab.server] {
                end.sysctl(&format!("net/ipv6/conf/{which}/accept_dad"), "0")?;
                end.sysctl(&format!("net/ipv6/conf/{which}/router_solicitations"), "0")?;
                // No link-local addresses: no multicast reports about them.
                end.sysctl(&format!("net/ipv6/conf/{which}/addr_gen_mode"), "1")?;
            }
        }
        for end in [&lab.client, &lab.server] {
            // Unprivileged ping sockets for everybody.
            end.sysctl("net/ipv4/ping_group_range", "0 2147483647")?;
        }
        let (client, server) = (lab.client.name(), lab.server.name());
        lab.middle.ip(&format!(
            "link add m0 mtu {mtu} type veth peer name c0 mtu {mtu} address {} netns {client}
             link add m1 mtu {mtu} type veth peer name s0 mtu {mtu} address {} netns {server}
             link add br0 mtu {mtu} type bridge stp_state 0 mcast_snooping 0 forward_delay 0
             link set m0 up
             link set m1 up
             link set br0 up",
            mac(CLIENT_MAC),
            mac(SERVER_MAC)
        ))?;
        if generic {
            lab.middle
                .ip("link add link m0 name g0 type macvlan mode passthru
                 link add link m1 name g1 type macvlan mode passthru
                 link set g0 up
                 link set g1 up")?;
        }
        let [a, b] = lab.taps();
        lab.middle
            .ip(&format!("link set {a} master br0\nlink set {b} master br0"))?;
        end(&lab.client, "c0", 1, 2, SERVER_MAC)?;
        end(&lab.server, "s0", 2, 1, CLIENT_MAC)?;
        lab.client.ip(&format!(
            "neigh add {DARK_V4} lladdr {0} dev c0 nud permanent
             neigh add {DARK_V6} lladdr {0} dev c0 nud permanent",
            mac(DARK_MAC)
        ))?;
        // A veth without a queue drops what a burst has too much for its ring.
        lab.client.tc(&queue("c0"))?;
        lab.middle.tc(&format!("{}\n{}", queue("m0"), queue("m1")))?;
        lab.server.tc(&queue("s0"))?;
        if !offload {
            lab.client.run(|| link::set_offloads("c0", false))??;
            lab.server.run(|| link::set_offloads("s0", false))??;
            // Else the middle would merge what it passes on.
            lab.middle.run(|| {
                link::set_offloads("m0", false)?;
                link::set_offloads("m1", false)
            })??;
        }
        Ok(lab)
    }

    /// The middle's interfaces: the first receives what the client sends, the second what the server
    /// sends.
    pub fn taps(&self) -> [&'static str; 2] {
        if self.generic { ["g0", "g1"] } else { ["m0", "m1"] }
    }

    /// Waits until nothing comes through the middle any more: last acknowledgements, what was still on its way.
    pub fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut since = Instant::now();
        let mut counted = String::new();
        while since.elapsed() < QUIET && Instant::now() < deadline {
            let now = self
                .middle
                .run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))??;
            if now != counted {
                (counted, since) = (now, Instant::now());
            }
            std::thread::sleep(QUIET / 10);
        }
        Ok(())
    }

    /// Packets that the two taps have received so far.
    pub fn tapped(&self) -> Result<[u64; 2]> {
        let taps = self.taps();
        self.middle
            .run(|| anyhow::Ok([link::stats(taps[0])?.rx_packets, link::stats(taps[1])?.rx_packets]))?
    }
}

/// Addresses and the neighbour of one end. Without ARP the kernel joins no multicast groups of its
/// addresses either, and reports none.
fn end(ns: &Namespace, dev: &str, me: u8, peer: u8, peer_mac: [u8; 6]) -> Result<()> {
    let peer_mac = mac(peer_mac);
    ns.ip(&format!(
        "link set {dev} arp off up
         addr add 10.77.0.{me}/24 dev {dev}
         addr add fd77::{me}/64 dev {dev} nodad
         neigh add 10.77.0.{peer} lladdr {peer_mac} dev {dev} nud permanent
         neigh add fd77::{peer} lladdr {peer_mac} dev {dev} nud permanent"
    ))
}

/// The `tc` command that has `dev` wait for room instead (Linux 6.16 and later).
fn queue(dev: &str) -> String {
    format!("qdisc replace dev {dev} root pfifo limit 10000")
}

/// Text form of an Ethernet address.
pub(crate) fn mac(m: [u8; 6]) -> String {
    m.map(|b| format!("{b:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(not(root), ignore = "needs root")]
    fn a_lab_is_gone_when_dropped() {
        let lab = Lab::new(LabOptions::default()).expect("a lab");
        let names = [&lab.client, &lab.middle, &lab.server].map(|n| n.name().to_owned());
        for n in &names {
            assert!(std::path::Path::new("/run/netns").join(n).exists());
        }
        drop(lab);
        for n in &names {
            assert!(!std::path::Path::new("/run/netns").join(n).exists());
        }
    }
}
