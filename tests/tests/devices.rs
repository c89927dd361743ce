//! The kernel's own devices, with real traffic through them: tunnels, VLANs, a bond, a bridge, netem.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::Result;
use sensor_tests::lab::{CLIENT_MAC, CLIENT_V4, CLIENT_V6, SERVER_MAC, SERVER_V4, SERVER_V6, server_ip};
use sensor_tests::rows::{check, parents, row};
use sensor_tests::sensor::{Finished, TempDir};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, lacks, link, one_at_a_time};
use serde_json::Value;

/// Starts the sensor between client and server, has `traffic` flow and ends it.
fn watched(lab: &Lab, logs: &TempDir, extra: &[&str], traffic: impl FnOnce() -> Result<()>) -> Finished {
    let args = [&["--rx-only"], extra].concat();
    let earliest = lab.tapped().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &args).expect("a sensor");
    let before = lab.tapped().unwrap();
    traffic().expect("traffic");
    lab.settle().unwrap();
    let after = lab.tapped().unwrap();
    let done = sensor.stop().unwrap();
    let since = |then: [u64; 2]| after.iter().sum::<u64>() - then.iter().sum::<u64>();
    // A new device may say something while the sensor starts.
    let frames = done.check_sums().unwrap().frames;
    assert!((since(before)..=since(earliest)).contains(&frames), "{frames}");
    done
}

/// A tunnel device.
struct Tunnel {
    /// Its type and what else makes it, but for the ends.
    device: &'static str,
    /// The ends are IPv6's.
    over_v6: bool,
    /// What is in it is IPv6's.
    inside_v6: bool,
    /// Of the connection that carries it, if there is one.
    service: Option<&'static str>,
}

const fn tunnel(
    device: &'static str,
    over_v6: bool,
    inside_v6: bool,
    service: Option<&'static str>,
) -> Tunnel {
    Tunnel {
        device,
        over_v6,
        inside_v6,
        service,
    }
}

const TUNNELS: [Tunnel; 11] = [
    tunnel("vxlan id 7 dstport 4789", false, false, Some("vxlan")),
    tunnel("vxlan id 8 dstport 4789", true, true, Some("vxlan")),
    tunnel("geneve id 7", false, false, Some("geneve")),
    tunnel("ipip", false, false, None),
    tunnel("sit", false, true, None),
    tunnel("gre", false, false, None),
    tunnel("gre csum key 77 seq", false, true, None),
    tunnel("gretap key 9", false, false, None),
    tunnel("ip6gre", true, false, None),
    tunnel("ip6gretap", true, true, None),
    tunnel("ip6tnl mode any encaplimit none", true, false, None),
];

impl Tunnel {
    /// The commands that make the end of it on one side.
    fn end(&self, i: usize, client: bool) -> String {
        let ends: [IpAddr; 2] = if self.over_v6 {
            [CLIENT_V6.into(), SERVER_V6.into()]
        } else {
            [CLIENT_V4.into(), SERVER_V4.into()]
        };
        let (dev, me) = if client { ("c0", 0) } else { ("s0", 1) };
        let (local, remote) = (ends[me], ends[1 - me]);
        let ends = match self.service {
            Some("geneve") => format!("remote {remote}"),
            Some(_) => format!("local {local} remote {remote} dev {dev}"),
            None => format!("local {local} remote {remote}"),
        };
        let address = self.address(i, me as u8 + 1);
        let prefix = if self.inside_v6 { "64 nodad" } else { "24" };
        format!(
            "link add t{i} type {} {ends}
             link set t{i} up
             addr add {address}/{prefix} dev t{i}",
            self.device
        )
    }

    fn address(&self, i: usize, end: u8) -> IpAddr {
        if self.inside_v6 {
            format!("fd88:{i}::{end}").parse().unwrap()
        } else {
            Ipv4Addr::new(10, 88, i as u8, end).into()
        }
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn real_traffic_through_the_kernels_tunnels() {
    through_tunnels(&[]);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn real_traffic_through_the_kernels_tunnels_taken_apart_by_the_kernel() {
    through_tunnels(&["--decap", "vxlan,geneve,gre,ipip"]);
}

fn through_tunnels(extra: &[&str]) {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let made: Vec<_> = TUNNELS
        .iter()
        .enumerate()
        .filter(|(i, t)| !lacks(t.device, lab.client.ip(&t.end(*i, true))))
        .collect();
    for (i, t) in &made {
        lab.server.ip(&t.end(*i, false)).expect("the other end");
    }
    let server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let mut ports: Vec<Vec<u16>> = Vec::new();
    let done = watched(&lab, &logs, &[&["--workers", "2"], extra].concat(), || {
        for (i, t) in &made {
            let inside = t.address(*i, 2);
            ports.push(lab.client.run(|| {
                traffic::ping(inside, 56)?;
                (0..3)
                    .map(|_| traffic::http_get(inside))
                    .collect::<Result<Vec<u16>>>()
            })??);
        }
        Ok(())
    });
    drop(server);
    let taken = done.stderr.contains("packets taken out of tunnels in the kernel");
    assert_eq!(taken, !extra.is_empty(), "{}", done.stderr);
    let rows = done.conns().unwrap();
    let tunnels = done.log("tunnel.log").unwrap();
    for ((i, t), ports) in made.iter().zip(ports) {
        let inside = t.address(*i, 2);
        for p in ports {
            let r = row(&rows, inside, p);
            check(
                r,
                &[
                    ("conn_state", "SF".into()),
                    ("missed_bytes", 0.into()),
                    ("service", "http".into()),
                ],
            );
            assert!(r["resp_bytes"].as_u64() > Some(2000), "{r:#}");
            // The two directions may have outer connections of their own: the kernel picks the source port.
            let parents = parents(r);
            assert!((1..=2).contains(&parents.len()), "{}: {r:#}", t.device);
            for parent in parents {
                assert!(tunnels.iter().any(|t| t["uid"] == parent), "{}: {r:#}", t.device);
                let outer = rows.iter().find(|r| r["uid"] == parent);
                let service = outer.map(|o| o["service"].as_str().unwrap_or_default());
                assert_eq!(service, t.service, "{}", t.device);
            }
        }
        let ping = rows
            .iter()
            .find(|r| r["proto"] == "icmp" && r["id.resp_h"] == inside.to_string());
        assert_eq!(ping.expect("the ping")["resp_bytes"], 56, "{}", t.device);
    }
    // The two directions of VXLAN and Geneve are tunnels of their own, between which the packets inside change.
    const CHANGES: &str = "tunnel_max_changes_per_connection_exceeded";
    let weird = done.log("weird.log").unwrap_or_default();
    assert!(weird.iter().all(|w| w["name"] == CHANGES), "{weird:#?}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn real_traffic_in_the_kernels_vlans() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    for (ns, dev, me) in [(&lab.client, "c0", 1), (&lab.server, "s0", 2)] {
        ns.run(|| link::set_vlan_offload(dev, false)).unwrap().unwrap();
        // The second one has two tags, and a veth has room for one beyond its MTU. Neighbours are asked for, in the
        // VLAN.
        let made = ns.ip(&format!(
            "link add v7 link {dev} type vlan id 7
             link add v8 link v7 type vlan id 8
             link set v7 arp on up
             link set v8 mtu 1496 arp on up
             addr add 10.99.7.{me}/24 dev v7
             addr add 10.99.8.{me}/24 dev v8
             addr add fd99:7::{me}/64 dev v7 nodad"
        ));
        if lacks("VLAN device", made) {
            return;
        }
    }
    let _server = Server::start(&lab.server).expect("a server");
    let servers: [IpAddr; 4] = [
        "10.99.7.2".parse().unwrap(),
        "10.99.8.2".parse().unwrap(),
        "fd99:7::2".parse().unwrap(),
        server_ip(false),
    ];
    const BYTES: u64 = 1_000_000;
    let logs = TempDir::new().unwrap();
    let mut seen = Vec::new();
    let done = watched(&lab, &logs, &[], || {
        for ip in servers {
            let client = || anyhow::Ok((traffic::http_get(ip)?, traffic::upload(ip, BYTES)?));
            seen.push(lab.client.run(client)??);
        }
        Ok(())
    });
    let rows = done.conns().unwrap();
    for (ip, (http, upload)) in servers.into_iter().zip(seen) {
        check(
            row(&rows, ip, http),
            &[("conn_state", "SF".into()), ("service", "http".into())],
        );
        check(
            row(&rows, ip, upload),
            &[
                ("conn_state", "SF".into()),
                ("orig_bytes", BYTES.into()),
                ("missed_bytes", 0.into()),
            ],
        );
    }
    // Nothing of it was left to userspace.
    assert!(!done.stderr.contains(" injected"), "{}", done.stderr);
}

/// That the rows of an upload and a download have all their bytes.
fn whole(rows: &[Value], ip: IpAddr, (up, down): (u16, u16), bytes: u64) {
    for (port, column) in [(up, "orig_bytes"), (down, "resp_bytes")] {
        let want = [("conn_state", "SF".into()), (column, bytes.into())];
        check(row(rows, ip, port), &want);
    }
}

/// What an interface received and sent, in packets on the wire.
fn counted(lab: &Lab, dev: &str) -> (u64, u64) {
    let stats = lab.server.run(|| link::stats(dev)).unwrap().unwrap();
    (stats.rx_packets, stats.tx_packets)
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_bond_is_watched_as_one_interface() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let mac = |m: [u8; 6]| m.map(|b| format!("{b:02x}")).join(":");
    // Two ports; s1 takes over when s0's line is cut.
    let made = lab
        .server
        .ip("link add bond0 type bond mode active-backup miimon 10");
    if lacks("bond", made) {
        return;
    }
    lab.middle
        .ip(&format!(
            "link add m2 type veth peer name s1 netns {}
             link set m2 master br0 up",
            lab.server.name()
        ))
        .unwrap();
    lab.server
        .ip(&format!(
            "addr flush dev s0
             link set s0 down
             link set s1 down
             link set bond0 address {} arp off
             link set s0 master bond0
             link set s1 master bond0
             link set bond0 up
             addr add {SERVER_V4}/24 dev bond0
             neigh add {CLIENT_V4} lladdr {} dev bond0 nud permanent",
            mac(SERVER_MAC),
            mac(CLIENT_MAC)
        ))
        .unwrap();
    lab.server
        .run(|| {
            link::set_offloads("s1", false)?;
            link::set_offloads("bond0", false)
        })
        .unwrap()
        .unwrap();
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.server, &["bond0"], logs.path(), &[]).expect("a sensor");
    let before = counted(&lab, "bond0");
    const BYTES: u64 = 3_000_000;
    let ip = server_ip(false);
    let transfers = || {
        let client = || anyhow::Ok((traffic::upload(ip, BYTES)?, traffic::download(ip, BYTES)?));
        lab.client.run(client).unwrap().unwrap()
    };
    let mut all = vec![transfers()];
    lab.middle.ip("link set m1 down").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    all.push(transfers());
    lab.settle().unwrap();
    let after = counted(&lab, "bond0");
    let done = sensor.stop().unwrap();
    let frames = done.check_sums().unwrap().frames;
    assert_eq!(frames, after.0 - before.0 + after.1 - before.1);
    let rows = done.conns().unwrap();
    for ports in all {
        whole(&rows, ip, ports, BYTES);
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_bridge_is_watched_as_one_interface() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let mac = "02:00:00:00:00:03";
    let client = CLIENT_MAC.map(|b| format!("{b:02x}")).join(":");
    let ip: IpAddr = "10.77.0.3".parse().unwrap();
    lab.middle
        .ip(&format!(
            "link set br0 address {mac} arp off
             addr add {ip}/24 dev br0
             neigh add {CLIENT_V4} lladdr {client} dev br0 nud permanent"
        ))
        .unwrap();
    lab.client
        .ip(&format!("neigh add {ip} lladdr {mac} dev c0 nud permanent"))
        .unwrap();
    lab.middle
        .run(|| link::set_offloads("br0", false))
        .unwrap()
        .unwrap();
    let _server = Server::start(&lab.middle).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["br0"], logs.path(), &[]).expect("a sensor");
    let counted = || lab.middle.run(|| link::stats("br0")).unwrap().unwrap();
    let before = counted();
    const BYTES: u64 = 3_000_000;
    let transfers = || anyhow::Ok((traffic::upload(ip, BYTES)?, traffic::download(ip, BYTES)?));
    let ports = lab.client.run(transfers).unwrap().unwrap();
    lab.settle().unwrap();
    let after = counted();
    let done = sensor.stop().unwrap();
    let frames = done.check_sums().unwrap().frames;
    let wire = after.rx_packets - before.rx_packets + after.tx_packets - before.tx_packets;
    assert_eq!(frames, wire);
    let rows = done.conns().unwrap();
    whole(&rows, ip, ports, BYTES);
}

/// What is lost and overtaken before the sensor sees it, and what is lost behind it, comes out as it was sent.
#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn loss_and_reordering_by_netem() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let netem = |dev, how: &str| format!("qdisc replace dev {dev} root netem limit 10000 {how}");
    let made = lab.client.tc(&netem("c0", "delay 4ms reorder 90% 50% loss 1%"));
    if lacks("netem", made) {
        return;
    }
    lab.middle
        .tc(&netem("m1", "delay 1ms loss 1% duplicate 1%"))
        .unwrap();
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let contents = TempDir::new().unwrap();
    const BYTES: u64 = 2_000_000;
    let args = ["--contents-file", contents.path().to_str().unwrap()];
    let mut port = 0;
    let ip = server_ip(false);
    let done = watched(&lab, &logs, &args, || {
        port = lab.client.run(|| traffic::upload(ip, BYTES))??;
        Ok(())
    });
    let rows = done.conns().unwrap();
    let r = row(&rows, ip, port);
    check(
        r,
        &[
            ("conn_state", "SF".into()),
            ("orig_bytes", BYTES.into()),
            ("resp_bytes", 8.into()),
            ("missed_bytes", 0.into()),
        ],
    );
    // What was lost behind the sensor came again.
    assert!(r["history"].as_str().unwrap().contains('T'), "{r:#}");
    assert!(
        r["orig_ip_bytes"].as_u64().unwrap() > BYTES + BYTES / 1448 * 52,
        "{r:#}"
    );
    let file = std::fs::read_dir(contents.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.to_string_lossy().ends_with("_orig.dat"));
    let bytes = std::fs::read(file.expect("a contents file")).unwrap();
    assert_eq!(bytes.len() as u64, BYTES);
    assert!(bytes.iter().all(|b| *b == 0x5a));
}
