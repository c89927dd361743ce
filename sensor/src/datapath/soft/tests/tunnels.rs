//! Packets in IP and in GRE.

use super::*;

/// GRE, version 0, without options.
fn gre(ethertype: u16, inner: &[u8]) -> Vec<u8> {
    let mut g = vec![0, 0];
    g.extend(ethertype.to_be_bytes());
    g.extend_from_slice(inner);
    g
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    p[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    p.extend([[0x20; 16], [0x21; 16]].concat());
    p.extend_from_slice(payload);
    p
}

fn run(ip: &[u8]) -> Log {
    let (mut soft, mut log) = (with_policy(PAYLOAD), Log::default());
    give(&mut soft, &mut log, 1, ip);
    assert!(soft.counts().conserved());
    log
}

/// What came after the outer packet was told of.
fn after_outer(ip: &[u8]) -> Vec<String> {
    let log = run(ip);
    assert_eq!(&log.lines[..2], ["t 1", "untracked Tunnel"]);
    log.lines[2..].to_vec()
}

#[test]
fn ip_in_ip() {
    let flow = ipv4(17, 0, &udp(b"x"));
    let log = run(&ipv4(4, 0, &flow));
    assert_eq!(log.lines, ["t 1", "untracked Tunnel", "record 29"]);
    let (header, frame) = &log.records[0];
    assert_eq!(*frame, flow);
    assert_ne!(header.pkt.tunnel, 0);
    assert_eq!(after_outer(&ipv4(41, 0, &ipv6(17, &udp(b"x")))), ["record 49"]);
    assert_eq!(after_outer(&ipv6(4, &flow)), ["record 29"]);
}

#[test]
fn what_does_not_fit_in_ip() {
    let flow = ipv4(17, 0, &udp(b"x"));
    assert_eq!(after_outer(&ipv4(41, 0, &flow)), ["flow truncated_inner_IP"]);
    assert_eq!(
        after_outer(&ipv4(41, 0, &[flow.as_slice(), &[0; 40]].concat())),
        ["flow invalid_inner_IP_version"]
    );
    assert_eq!(after_outer(&ipv4(4, 0, &flow[..28])), ["flow truncated_inner_IP"]);
    assert_eq!(
        after_outer(&ipv4(4, 0, &[flow.as_slice(), &[0]].concat())),
        ["flow inner_IP_payload_length_mismatch"]
    );
    assert_eq!(after_outer(&ipv4(4, 0, &[])), ["flow invalid_inner_IP_version"]);
}

#[test]
fn gre_carries_ip_ethernet_and_mirrored_frames() {
    let flow = ipv4(17, 0, &udp(b"x"));
    assert_eq!(after_outer(&ipv4(47, 0, &gre(0x0800, &flow))), ["record 29"]);
    assert_eq!(
        after_outer(&ipv4(47, 0, &gre(0x6558, &ether(&flow)))),
        ["record 43"]
    );
    assert_eq!(
        after_outer(&ipv4(47, 0, &gre(0x88be, &ether(&flow)))),
        ["record 43"]
    );
    // With a sequence number ERSPAN has a header of eight bytes.
    let mut two = gre(0x88be, &[&[0; 12][..], &ether(&flow)].concat());
    two[0] = 0x10;
    assert_eq!(after_outer(&ipv4(47, 0, &two)), ["record 43"]);
    // Type III: twelve, and eight more if its last bit says so.
    let mut three = gre(0x22eb, &[&[0; 12][..], &ether(&flow)].concat());
    assert_eq!(after_outer(&ipv4(47, 0, &three)), ["record 43"]);
    three[15] |= 1;
    three.splice(16..16, [0; 8]);
    assert_eq!(after_outer(&ipv4(47, 0, &three)), ["record 43"]);
    // PPTP: version 1, key, PPP of IP.
    let mut pptp = gre(0x880b, &[&[0, 0, 0, 0, 0xff, 3, 0, 0x21][..], &flow].concat());
    pptp[..2].copy_from_slice(&[0x20, 1]);
    assert_eq!(after_outer(&ipv4(47, 0, &pptp)), ["record 29"]);
}

/// Aruba's access points send IEEE 802.11 frames.
#[test]
fn gre_carries_wireless_frames() {
    let flow = ipv4(17, 0, &udp(b"x"));
    // A data frame's header, LLC and SNAP.
    let mut frame = vec![8; 1];
    frame.resize(24, 0);
    frame.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
    frame.extend_from_slice(&flow);
    for typ in [0x8200, 0x82f0, 0x8370, 0x9000] {
        assert_eq!(
            after_outer(&ipv4(47, 0, &gre(typ, &frame))),
            ["record 61"],
            "{typ:x}"
        );
    }
    assert_eq!(
        after_outer(&ipv4(47, 0, &gre(0x8210, &[]))),
        ["flow truncated_GRE"]
    );
    // Others are taken for IP.
    assert_eq!(after_outer(&ipv4(47, 0, &gre(0x883e, &flow))), ["record 29"]);
}

#[test]
fn weird_gre() {
    let flow = ipv4(17, 0, &udp(b"x"));
    let with = |first: u8, second: u8, typ: u16| {
        let mut g = gre(typ, &[&[0; 16][..], &flow].concat());
        (g[0], g[1]) = (first, second);
        after_outer(&ipv4(47, 0, &g))
    };
    assert_eq!(with(0, 2, 0x800), ["flow unknown_gre_version"]);
    assert_eq!(with(0, 1, 0x800), ["flow egre_protocol_type"]);
    assert_eq!(with(0x40, 0, 0x800), ["flow gre_routing"]);
    assert_eq!(with(0, 8, 0x800), ["flow unknown_gre_flags"]);
    assert_eq!(with(0x20, 1, 0x880b), ["flow non_ip_packet_in_encap"]);
    assert_eq!(after_outer(&ipv4(47, 0, &[0, 0, 8])), ["flow truncated_GRE"]);
    assert_eq!(
        after_outer(&ipv4(47, 0, &gre(0x6558, &[0; 14]))),
        ["flow truncated_GRE"]
    );
    assert_eq!(
        after_outer(&ipv4(47, 0, &gre(0x88be, &[0; 14]))),
        ["flow truncated_GRE"]
    );
    assert_eq!(
        after_outer(&ipv4(47, 0, &gre(0x22eb, &[0; 26]))),
        ["flow truncated_GRE"]
    );
    // Inside, a weird is named as one in a tunnel.
    assert_eq!(
        after_outer(&ipv4(47, 0, &gre(0x0800, &flow[..25]))),
        ["net truncated_IP_len_in_tunnel", "untracked Truncated"]
    );
}

#[test]
fn nesting_ends() {
    let mut p = ipv4(17, 0, &udp(b"x"));
    for _ in 0..4 {
        p = ipv4(4, 0, &p);
    }
    assert_eq!(run(&p).lines.last().map(String::as_str), Some("record 29"));
    p = ipv4(4, 0, &p);
    assert_eq!(
        run(&p).lines.last().map(String::as_str),
        Some("flow exceeded_tunnel_max_depth_in_tunnel")
    );
}

/// The same flow through two tunnels is one flow; the packet that changes ways is not boring.
#[test]
fn one_flow_through_two_tunnels() {
    let (mut soft, mut log) = (with_policy(0), Log::default());
    let flow = ipv4(17, 0, &udp(b"x"));
    let mut other = ipv4(4, 0, &flow);
    other[19] = 9;
    for (ts, p) in [
        (1, ipv4(4, 0, &flow)),
        (2, ipv4(4, 0, &flow)),
        (3, other.clone()),
        (4, other),
        (5, flow),
    ] {
        give(&mut soft, &mut log, ts, &p);
    }
    let seen: Vec<(u64, u32)> = log
        .records
        .iter()
        .map(|(h, _)| (h.pkt.ts, h.pkt.tunnel))
        .collect();
    assert_eq!(seen, [(1, 1), (3, 2), (5, 0)]);
    assert_eq!(soft.flows().len(), 1);
}

/// A datagram in fragments within a tunnel, and a tunnel's packet in fragments.
#[test]
fn fragments_on_either_side() {
    let flow = ipv4(17, 0, &udp(&[7; 32]));
    let (mut soft, mut log) = (with_policy(PAYLOAD), Log::default());
    give(&mut soft, &mut log, 1, &ipv4(4, 0x2000, &flow[..32]));
    give(&mut soft, &mut log, 2, &ipv4(4, 4, &flow[32..]));
    assert_eq!(log.records.pop().map(|r| r.1), Some(flow.clone()));
    give(
        &mut soft,
        &mut log,
        3,
        &ipv4(4, 0, &ipv4(17, 0x2000, &flow[20..44])),
    );
    give(&mut soft, &mut log, 4, &ipv4(4, 0, &ipv4(17, 3, &flow[44..])));
    let (header, frame) = log.records.pop().expect("a record");
    assert_eq!(frame[20..], flow[20..]);
    assert_ne!(header.pkt.tunnel, 0);
    assert!(soft.counts().conserved());
}
