//! Connections in tunnels, and UDP connections that are tunnels.

use super::*;
use proptest::prelude::*;

/// 192.0.2.`a` to 192.0.2.`b`, an IP packet.
fn ipv4(a: u8, b: u8, proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0];
    p[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
    p.extend([192, 0, 2, a, 192, 0, 2, b]);
    p.extend_from_slice(payload);
    p
}

fn udp(a: u8, b: u8, ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut u: Vec<u8> = ports.iter().flat_map(|p| p.to_be_bytes()).collect();
    u.extend((8 + payload.len() as u16).to_be_bytes());
    u.extend([0, 0]);
    u.extend_from_slice(payload);
    ipv4(a, b, 17, &u)
}

fn ether(ip: &[u8]) -> Vec<u8> {
    let mut f = vec![0; 12];
    f.extend([8, 0]);
    f.extend_from_slice(ip);
    f
}

/// In VXLAN from host `a` to host `b`, whose ends pick a port per direction.
fn vxlan(a: u8, b: u8, ip: &[u8]) -> Vec<u8> {
    let port = 50_000 + a as u16;
    udp(
        a,
        b,
        [port, 4789],
        &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &ether(ip)].concat(),
    )
}

/// The connection in the tunnels: 10.0.0.1:4096 to 10.0.0.2:80, as an IP packet.
fn inner(side: usize, flags: u8, nums: [u32; 2]) -> Vec<u8> {
    tcp_frame(side, 1, flags, nums, b"")[14..].to_vec()
}

const SYN: [u32; 2] = [0, 0];

fn ip_frame(lab: &mut Lab, ip: &[u8]) {
    lab.frame(&ether(ip));
}

impl Seen {
    fn values(&self, path: &str, column: &str) -> Vec<&str> {
        let of_path = self.rows.iter().filter(|r| r.0 == path);
        of_path
            .flat_map(|r| r.1.iter().filter(|v| v.0 == column))
            .map(|v| v.1.as_str())
            .collect()
    }

    fn named(&self, event: &str) -> Vec<&serde_json::Value> {
        self.events.iter().filter(|e| e["event"] == event).collect()
    }
}

#[test]
fn a_connection_in_vxlan() {
    let mut lab = Lab::new("new_connection,tunnel_changed,protocol_confirmation");
    ip_frame(&mut lab, &vxlan(1, 2, &inner(0, tf::SYN, SYN)));
    ip_frame(&mut lab, &vxlan(2, 1, &inner(1, tf::SYN | tf::ACK, [0, 1])));
    let seen = lab.finish();
    // Two outer connections and one inner.
    assert_eq!(seen.values("conn", "service"), ["vxlan", "Unset", "vxlan"]);
    assert_eq!(seen.values("conn", "history"), ["D", "Sh", "D"]);
    assert_eq!(
        seen.values("tunnel", "action"),
        [
            "Tunnel::DISCOVER",
            "Tunnel::DISCOVER",
            "Tunnel::CLOSE",
            "Tunnel::CLOSE"
        ]
    );
    assert_eq!(seen.values("tunnel", "tunnel_type"), ["Tunnel::VXLAN"; 4]);
    assert_eq!(seen.named("new_connection").len(), 3);
    assert_eq!(seen.named("protocol_confirmation").len(), 2);
    let changed = seen.named("tunnel_changed");
    assert_eq!(changed.len(), 1);
    let e = &changed[0]["args"]["e"];
    assert_eq!(e[0]["tunnel_type"], "Tunnel::VXLAN");
    assert_eq!(
        (&e[0]["cid"]["orig_h"], &e[0]["cid"]["resp_p"]),
        (&"192.0.2.2".into(), &4789.into())
    );
    // Both tunnels are parents.
    let parents = seen.values("conn", "tunnel_parents");
    assert_eq!((parents[0], parents[2]), ("Unset", "Unset"));
    for outer in [0, 2] {
        assert!(
            parents[1].contains(seen.values("conn", "uid")[outer]),
            "{parents:?}"
        );
    }
}

#[test]
fn a_connection_by_other_ports() {
    let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &ether(&inner(0, tf::SYN, SYN))].concat();
    let gpe = [&[12, 0, 0, 1, 0, 0, 7, 0][..], &inner(0, tf::SYN, SYN)].concat();
    let l2tp = [&[0, 2, 0, 1, 0, 2, 0xff, 3, 0x21][..], &inner(0, tf::SYN, SYN)].concat();
    for (port, payload, service, name) in [
        (8472, vxlan, "vxlan", "Tunnel::VXLAN"),
        (4790, gpe, "vxlan", "Tunnel::VXLAN"),
        (1701, l2tp, "Unset", "Tunnel::L2TP"),
    ] {
        let mut lab = Lab::new("new_connection");
        ip_frame(&mut lab, &udp(1, 2, [port + 1, port], &payload));
        let seen = lab.finish();
        let mut services = seen.values("conn", "service");
        services.sort_unstable();
        assert_eq!(services, ["Unset", service], "{port}");
        assert_eq!(seen.values("tunnel", "tunnel_type")[0], name);
    }
}

#[test]
fn what_is_not_vxlan_stays_so() {
    let mut lab = Lab::new("protocol_violation,protocol_confirmation");
    ip_frame(&mut lab, &udp(1, 2, [50_001, 4789], &[0; 60]));
    ip_frame(&mut lab, &vxlan(1, 2, &inner(0, tf::SYN, SYN)));
    let seen = lab.finish();
    assert_eq!(seen.values("conn", "service"), ["Unset"]);
    let events: Vec<_> = seen.events.iter().map(|e| &e["event"]).collect();
    assert_eq!(events, ["protocol_violation"]);
    assert_eq!(seen.events[0]["args"]["reason"], "VXLAN 'I' flag not set");
}

#[test]
fn empty_and_odd_packets_have_names() {
    let mut lab = Lab::new("flow_weird");
    ip_frame(&mut lab, &udp(1, 2, [5, 4789], &[8, 0, 0, 0, 0, 0, 7, 0]));
    ip_frame(&mut lab, &udp(1, 2, [5, 6081], &[0, 0, 8, 0, 0, 0, 7, 0]));
    ip_frame(&mut lab, &udp(1, 2, [5, 6081], &[0x40, 0, 8, 0, 0, 0, 7, 0]));
    ip_frame(
        &mut lab,
        &vxlan(1, 2, &udp(3, 4, [5, 4789], &[8, 0, 0, 0, 0, 0, 7, 0])),
    );
    ip_frame(&mut lab, &udp(1, 2, [5, 4754], &[0x40, 0, 8, 0]));
    let seen = lab.finish();
    let names: Vec<_> = seen.events.iter().map(|e| &e["args"]["name"]).collect();
    assert_eq!(
        names,
        [
            "vxlan_empty_packet",
            "geneve_empty_packet",
            "geneve_invalid_version",
            "vxlan_empty_packet_in_tunnel",
            "gre_routing"
        ]
    );
    // The log has the hosts, too, with ports as of no protocol.
    assert_eq!(seen.values("weird", "id.orig_h")[0], "Addr(192.0.2.1)");
    assert_eq!(seen.values("weird", "id.resp_p"), ["Port(0)"; 5]);
}

#[test]
fn teredo_is_sure_when_both_sides_sent_it() {
    let bubble = || {
        let mut p = vec![0x60, 0, 0, 0, 0, 0, 59, 64];
        p.extend([0x20, 1, 0, 0].into_iter().chain([7; 12]).chain([9; 16]));
        p
    };
    for (both, service) in [(false, "Unset"), (true, "teredo")] {
        let mut lab = Lab::new("net_weird,flow_weird");
        // On any port: by its looks.
        ip_frame(&mut lab, &udp(1, 2, [5000, 6000], &bubble()));
        if both {
            ip_frame(&mut lab, &udp(2, 1, [6000, 5000], &bubble()));
        }
        let seen = lab.finish();
        assert_eq!(seen.values("conn", "service"), [service]);
        assert!(seen.events.is_empty(), "a bubble is not odd: {:?}", seen.events);
    }
}

#[test]
fn gtp_in_gtp_is_none_and_a_violation_does_not_end_gtp() {
    let gtp = |ip: &[u8]| [&[0x30, 255, 0, 0, 0, 0, 0, 1], ip].concat();
    let syn = inner(0, tf::SYN, SYN);
    let mut lab = Lab::new("protocol_violation,new_connection");
    ip_frame(&mut lab, &udp(1, 2, [2152, 2152], &[0x50; 12]));
    ip_frame(&mut lab, &udp(1, 2, [2152, 2152], &gtp(&syn)));
    ip_frame(
        &mut lab,
        &udp(1, 2, [2152, 2152], &gtp(&udp(3, 4, [2152, 2152], &gtp(&syn)))),
    );
    let seen = lab.finish();
    let reasons: Vec<_> = seen
        .named("protocol_violation")
        .iter()
        .map(|e| &e["args"]["reason"])
        .collect();
    assert_eq!(reasons, ["GTPv1 bad Version", "GTP-in-GTP"]);
    assert_eq!(seen.named("new_connection").len(), 3);
    assert_eq!(seen.values("conn", "service"), ["Unset"; 3]);
}

#[test]
fn changes_of_tunnels_are_told_five_times() {
    let mut lab = Lab::new("tunnel_changed,conn_weird");
    for i in 0..8 {
        let syn = inner(0, tf::SYN, SYN);
        let ip = if i % 2 == 0 { syn } else { ipv4(1, 2, 4, &syn) };
        ip_frame(&mut lab, &ip);
    }
    let seen = lab.finish();
    let lengths: Vec<_> = seen
        .named("tunnel_changed")
        .iter()
        .map(|e| e["args"]["e"].as_array().map_or(9, Vec::len))
        .collect();
    assert_eq!(lengths, [1, 0, 1, 0, 1]);
    let weird = seen.named("conn_weird");
    assert_eq!(weird.len(), 2);
    assert_eq!(
        weird[0]["args"]["name"],
        "tunnel_max_changes_per_connection_exceeded"
    );
    assert!(seen.values("conn", "history")[0].contains('X'));
    assert_eq!(seen.values("tunnel", "action"), ["Tunnel::DISCOVER"]);
}

#[test]
fn tunnels_nest_to_a_depth() {
    let mut lab = Lab::new("flow_weird");
    let mut ip = inner(0, tf::SYN, SYN);
    for n in 0..5 {
        ip = vxlan(10 + n, 20 + n, &ip);
    }
    ip_frame(&mut lab, &ip);
    let seen = lab.finish();
    // Five outer connections; the last was not taken apart.
    assert_eq!(seen.values("conn", "history"), ["D", "D", "D", "D", "DX"]);
    assert_eq!(seen.values("conn", "service")[4], "Unset");
    assert_eq!(
        seen.events[0]["args"]["name"],
        "exceeded_tunnel_max_depth_in_tunnel"
    );
}

/// Zeek adds a tunnel to the very list that the connection which is the tunnel has of its own, so that
/// its second packet comes another way than its first.
#[test]
fn a_tunnel_in_a_tunnel_changes_once() {
    let syn = inner(0, tf::SYN, SYN);
    for (innermost, outer) in [
        (vxlan(3, 4, &syn), "192.0.2.3"),
        // GRE in UDP is a tunnel between addresses, and changes its connection all the same.
        (wrap(6, &syn), "192.0.2.5"),
    ] {
        let mut lab = Lab::new("tunnel_changed");
        for _ in 0..3 {
            ip_frame(&mut lab, &vxlan(1, 2, &innermost));
        }
        let seen = lab.finish();
        let changed = seen.named("tunnel_changed");
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0]["c"]["orig_h"], outer);
        assert_eq!(changed[0]["args"]["e"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn an_unused_tunnel_expires() {
    let mut lab = Lab::new("");
    ip_frame(&mut lab, &ipv4(1, 2, 4, &inner(0, tf::SYN, SYN)));
    lab.now += 3 * 3600 * SECOND;
    ip_frame(&mut lab, &udp(7, 8, [7, 8], b"x"));
    let seen = lab.finish();
    assert_eq!(
        seen.values("tunnel", "action"),
        ["Tunnel::DISCOVER", "Tunnel::EXPIRE"]
    );
}

/// As in Zeek a proxy is one tunnel, whoever connects through it.
#[test]
fn a_proxy_is_a_tunnel() {
    let mut lab = Lab::new("");
    for port in [5000, 5001] {
        lab.client_port = port;
        lab.handshake();
        lab.data(0, 1, 1, b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n");
        lab.data(1, 1, 46, b"HTTP/1.1 200 OK\r\n\r\n");
    }
    let seen = lab.finish();
    assert_eq!(seen.values("tunnel", "action"), ["Tunnel::DISCOVER"]);
    assert_eq!(seen.values("tunnel", "tunnel_type"), ["Tunnel::HTTP"]);
    assert_eq!(seen.values("tunnel", "uid"), ["Unset"]);
}

/// What a tunnel carries is wanted to its end, other payload is not.
#[test]
fn a_tunnel_is_not_shed() {
    let mut lab = Lab::new("new_connection");
    for i in 0..50u16 {
        let mut syn = inner(0, tf::SYN, SYN);
        syn[20..22].copy_from_slice(&(2000 + i).to_be_bytes());
        ip_frame(&mut lab, &vxlan(1, 2, &syn));
    }
    assert_eq!(lab.finish().named("new_connection").len(), 51);
}

/// One more tunnel around an IP packet.
fn wrap(kind: u8, ip: &[u8]) -> Vec<u8> {
    let with = |head: &[u8]| [head, ip].concat();
    match kind {
        0 => ipv4(1, 2, 4, ip),
        1 => ipv4(1, 2, 47, &with(&[0, 0, 8, 0])),
        2 => vxlan(3, 4, ip),
        3 => udp(5, 6, [9, 6081], &with(&[0, 0, 8, 0, 0, 0, 7, 0])),
        4 => udp(
            5,
            6,
            [2152, 2152],
            &with(&[0x34, 255, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0x85, 1, 0, 0, 0]),
        ),
        5 => udp(
            5,
            6,
            [9, 5072],
            &[&[0x44, 0x52, 0x11, 4], &[0; 40][..], ip].concat(),
        ),
        6 => udp(5, 6, [9, 4754], &with(&[0x20, 0, 8, 0, 0, 0, 0, 1])),
        // Not a tunnel's: two bytes too many.
        _ => udp(5, 6, [9, 3544], &with(&[0; 10])),
    }
}

proptest! {
    /// Tunnels in tunnels, with a byte changed here and there: nothing breaks, and all is told at the end.
    #[test]
    fn any_nesting(
        packets in proptest::collection::vec((
            proptest::collection::vec(0u8..8, 0..7),
            proptest::collection::vec((any::<u16>(), any::<u8>()), 0..3),
            any::<bool>(),
        ), 1..30)
    ) {
        let mut lab = Lab::new("tunnel_changed,flow_weird,net_weird,conn_weird,new_connection");
        for (kinds, changes, back) in packets {
            let mut ip = inner(back as usize, tf::SYN, SYN);
            for k in kinds {
                ip = wrap(k, &ip);
            }
            for (at, value) in changes {
                let at = at as usize % ip.len();
                ip[at] = value;
            }
            ip_frame(&mut lab, &ip);
        }
        let seen = lab.finish();
        prop_assert_eq!(seen.named("new_connection").len(), seen.values("conn", "uid").len());
        let told = |action| seen.values("tunnel", "action").iter().filter(|a| **a == action).count();
        prop_assert!(told("Tunnel::CLOSE") <= told("Tunnel::DISCOVER"));
    }
}
