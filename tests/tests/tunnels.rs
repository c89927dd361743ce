//! Tunnels seen live: crafted frames of every encapsulation. devices.rs has the kernel's own.

use std::net::Ipv4Addr;

use sensor_tests::raw::{ACK, Crafter, Ends, FIN, SYN, Segment, Side, c, s};
use sensor_tests::rows::parents;
use sensor_tests::sensor::{Finished, TempDir};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;

/// A connection from its handshake to its end: 100 bytes there, 200 back.
const TALK: [Segment; 10] = [
    c(SYN, 0, 0, 0),
    s(SYN | ACK, 0, 1, 0),
    c(ACK, 1, 1, 0),
    c(ACK, 1, 1, 100),
    s(ACK, 1, 101, 0),
    s(ACK, 1, 101, 200),
    c(ACK, 101, 201, 0),
    c(FIN | ACK, 101, 201, 0),
    s(FIN | ACK, 201, 102, 0),
    c(ACK, 102, 202, 0),
];

/// A port of no tunnel and no service.
const PLAIN: u16 = 7777;

/// The tunnel's ends: nobody's addresses.
const OUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 203), Ipv4Addr::new(10, 77, 0, 204)];

/// An IPv4 packet between the tunnel's ends.
fn ipv4(from: Side, proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, proto, 0, 0];
    p[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    let [client, server] = OUTER.map(|a| a.octets());
    p.extend(if from == Side::Client {
        [client, server].concat()
    } else {
        [server, client].concat()
    });
    p.extend_from_slice(payload);
    p
}

fn udp(from: Side, server_port: u16, payload: &[u8]) -> Vec<u8> {
    const CLIENT_PORT: u16 = 40_001;
    let (src, dst) = match from {
        Side::Client => (CLIENT_PORT, server_port),
        Side::Server => (server_port, CLIENT_PORT),
    };
    let len = 8 + payload.len() as u16;
    let mut u: Vec<u8> = [src, dst, len, 0]
        .into_iter()
        .flat_map(u16::to_be_bytes)
        .collect();
    u.extend_from_slice(payload);
    ipv4(from, 17, &u)
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2];
    f.extend(ethertype.to_be_bytes());
    f.extend_from_slice(payload);
    f
}

/// Puts an IP packet into a tunnel; what comes out is an IP packet.
type Wrap = fn(Side, &[u8]) -> Vec<u8>;

fn in_vxlan(from: Side, ip: &[u8]) -> Vec<u8> {
    let frame = ethernet(0x0800, ip);
    udp(from, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &frame].concat())
}

fn in_gre(from: Side, ip: &[u8]) -> Vec<u8> {
    ipv4(from, 47, &[&[0, 0, 8, 0], ip].concat())
}

struct Case {
    /// Zeek's name of the tunnel's type.
    tunnel: &'static str,
    /// Of the outer connection, if there is one.
    service: Option<&'static str>,
    v6: bool,
    wrap: Wrap,
}

const CASES: [Case; 9] = [
    Case {
        tunnel: "Tunnel::IP",
        service: None,
        v6: false,
        wrap: |from, ip| ipv4(from, 4, ip),
    },
    Case {
        tunnel: "Tunnel::IP",
        service: None,
        v6: true,
        wrap: |from, ip| ipv4(from, 41, ip),
    },
    Case {
        tunnel: "Tunnel::GRE",
        service: None,
        v6: false,
        wrap: in_gre,
    },
    // ERSPAN type II: mirrored Ethernet frames.
    Case {
        tunnel: "Tunnel::GRE",
        service: None,
        v6: true,
        wrap: |from, ip| {
            let header = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0];
            ipv4(from, 47, &[&header[..], &ethernet(0x86dd, ip)].concat())
        },
    },
    Case {
        tunnel: "Tunnel::VXLAN",
        service: Some("vxlan"),
        v6: false,
        wrap: in_vxlan,
    },
    Case {
        tunnel: "Tunnel::GENEVE",
        service: Some("geneve"),
        v6: true,
        wrap: |from, ip| udp(from, 6081, &[&[0, 0, 0x86, 0xdd, 0, 0, 7, 0], ip].concat()),
    },
    Case {
        tunnel: "Tunnel::TEREDO",
        service: Some("teredo"),
        v6: true,
        wrap: |from, ip| udp(from, 3544, ip),
    },
    Case {
        tunnel: "Tunnel::GTPv1",
        service: Some("gtpv1"),
        v6: false,
        wrap: |from, ip| udp(from, 2152, &[&[0x30, 255, 0, 0, 0, 0, 0, 1], ip].concat()),
    },
    Case {
        tunnel: "Tunnel::AYIYA",
        service: Some("ayiya"),
        v6: true,
        wrap: |from, ip| udp(from, 5072, &[&[0x44, 0x52, 0x11, 41], &[0; 40][..], ip].concat()),
    },
];

/// Sends the segments through a tunnel.
fn play(
    crafter: &Crafter,
    ends: &Ends,
    segments: &[Segment],
    wrap: impl Fn(Side, &[u8]) -> Vec<u8>,
) -> anyhow::Result<()> {
    crafter.play_as(ends, segments, |from, frame| {
        ethernet(0x0800, &wrap(from, frame.get(14..).unwrap_or_default()))
    })
}

/// The row of the crafted connection from this port.
fn crafted<'r>(rows: &'r [Value], ends: &Ends) -> &'r Value {
    let hits: Vec<_> = rows
        .iter()
        .filter(|r| r["id.orig_p"] == ends.client_port && r["id.resp_p"] == ends.server_port)
        .collect();
    assert_eq!(hits.len(), 1, "{hits:#?}");
    let r = hits[0];
    let (client, server) = ends.ips();
    let ip_bytes = |side| -> u64 {
        let of_side = TALK.iter().filter(|t| t.from == side);
        of_side.map(|t| ends.ip_len(t)).sum()
    };
    for (column, want) in [
        ("id.orig_h", Value::from(client.to_string())),
        ("id.resp_h", server.to_string().into()),
        ("conn_state", "SF".into()),
        ("history", "ShADadFf".into()),
        ("orig_bytes", 100.into()),
        ("resp_bytes", 200.into()),
        ("orig_pkts", 6.into()),
        ("resp_pkts", 4.into()),
        ("orig_ip_bytes", ip_bytes(Side::Client).into()),
        ("resp_ip_bytes", ip_bytes(Side::Server).into()),
        ("missed_bytes", 0.into()),
    ] {
        assert_eq!(r[column], want, "{column} in {r:#}");
    }
    r
}

/// What two workers make of the traffic.
fn watched(
    lab: &Lab,
    logs: &TempDir,
    extra: &[&str],
    traffic: impl FnOnce() -> anyhow::Result<()>,
) -> Finished {
    let args = [&["--rx-only", "--workers", "2"], extra].concat();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &args).expect("a sensor");
    traffic().expect("traffic");
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    done
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn every_encapsulation_is_taken_apart() {
    take_apart(&[]);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn every_encapsulation_is_taken_apart_by_the_kernel_as_far_as_it_can() {
    let said = take_apart(&["--decap", "vxlan,geneve,gre,ipip"]);
    // Six talks, and one more whose outermost tunnel is GRE, of ten segments each; and a datagram.
    assert!(
        said.contains("\n71 packets taken out of tunnels in the kernel"),
        "{said}"
    );
}

/// What the sensor said.
fn take_apart(extra: &[&str]) -> String {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let crafter = Crafter::new(&lab).expect("a crafter");
    let ends = |i: usize, v6| Ends {
        v6,
        client_port: 41_000 + i as u16,
        server_port: 80,
    };
    let logs = TempDir::new().unwrap();
    let done = watched(&lab, &logs, extra, || {
        for (i, case) in CASES.iter().enumerate() {
            play(&crafter, &ends(i, case.v6), &TALK, case.wrap)?;
        }
        // Through three tunnels.
        play(&crafter, &ends(100, false), &TALK, |from, ip| {
            in_gre(from, &in_vxlan(from, &in_gre(from, ip)))
        })?;
        // The same flow outside of a tunnel and inside. UDP, for which the order does not matter: what comes
        // out of a tunnel takes another worker's turn.
        let datagram = |from| udp(from, PLAIN, b"x");
        crafter.play_as(&ends(101, false), &TALK[..1], |from, _| {
            ethernet(0x0800, &datagram(from))
        })?;
        play(&crafter, &ends(101, false), &TALK[..1], |from, _| {
            in_gre(from, &datagram(from))
        })?;
        crafter.play_as(&ends(101, false), &TALK[..1], |from, _| {
            ethernet(0x0800, &datagram(from))
        })
    });
    let rows = done.conns().unwrap();
    let tunnels = done.log("tunnel.log").unwrap();
    for (i, case) in CASES.iter().enumerate() {
        let r = crafted(&rows, &ends(i, case.v6));
        let parent = match *parents(r) {
            [p] => p,
            _ => panic!("one parent: {r:#}"),
        };
        let found = tunnels
            .iter()
            .find(|t| t["uid"] == parent && t["action"] == "Tunnel::DISCOVER");
        // All of IP and GRE is one tunnel, between these addresses: the first packet named it.
        let named = if case.service.is_some() {
            case.tunnel
        } else {
            "Tunnel::IP"
        };
        assert_eq!(
            found.expect("in tunnel.log")["tunnel_type"],
            named,
            "{}",
            case.tunnel
        );
        let outer = rows.iter().find(|r| r["uid"] == parent);
        assert_eq!(
            outer.map(|o| o["service"].as_str().unwrap_or_default()),
            case.service,
            "{}",
            case.tunnel
        );
        let closed = tunnels
            .iter()
            .any(|t| t["uid"] == parent && t["action"] == "Tunnel::CLOSE");
        assert_eq!(closed, case.service.is_some(), "{}", case.tunnel);
    }
    assert_eq!(parents(crafted(&rows, &ends(100, false))).len(), 1);
    let hits: Vec<_> = rows.iter().filter(|r| r["id.resp_p"] == PLAIN).collect();
    assert_eq!(hits.len(), 1, "{hits:#?}");
    assert_eq!(
        (&hits[0]["orig_pkts"], parents(hits[0]).len()),
        (&3.into(), 1),
        "{:#}",
        hits[0]
    );
    let mut weird = done.log("weird.log").unwrap_or_default();
    // What is sent to port 80 is no HTTP.
    weird.retain(|w| w["source"] != "HTTP");
    assert!(weird.is_empty(), "{weird:#?}");
    done.stderr
}
