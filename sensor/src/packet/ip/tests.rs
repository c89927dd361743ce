use super::*;
use proptest::prelude::*;

fn run(frame: &[u8]) -> (Verdict, Ip) {
    run_at(frame, 0, frame.len() as u32)
}

fn run_at(frame: &[u8], l3: usize, wire_len: u32) -> (Verdict, Ip) {
    let mut ip = Ip::default();
    let i = Input {
        frame,
        l3,
        end: frame.len(),
        wire_len,
        ts: 5,
        checksums: false,
        reassembled: false,
    };
    let v = parse(&i, &mut ip);
    (v, ip)
}

/// IPv4 from 10.0.0.2 to 10.0.0.1.
fn v4(proto: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let mut p = vec![
        0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1,
    ];
    p[2..4].copy_from_slice(&total.to_be_bytes());
    p.extend_from_slice(payload);
    p
}

/// IPv6 from `aa..` to `bb..`.
fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    p[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    p.extend([0xaa; 16]);
    p.extend([0xbb; 16]);
    p.extend_from_slice(payload);
    p
}

fn tcp(options: usize, payload: &[u8]) -> Vec<u8> {
    let mut t = vec![
        0, 80, 0x30, 0x39, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0x18, 0x10, 0, 0, 0, 0, 0,
    ];
    t[12] = (((20 + options) / 4) << 4) as u8;
    t.extend(vec![1; options]);
    t.extend_from_slice(payload);
    t
}

fn udp(len: u16, payload: &[u8]) -> Vec<u8> {
    let mut u = vec![0, 53, 0x30, 0x39, 0, 0, 0, 0];
    u[4..6].copy_from_slice(&len.to_be_bytes());
    u.extend_from_slice(payload);
    u
}

#[test]
fn tcp_over_ipv4() {
    let mut p = vec![0xee; 14];
    p.extend(v4(6, &tcp(12, b"hello")));
    p.extend([0; 6]); // padding
    let (v, ip) = run_at(&p, 14, p.len() as u32);
    assert_eq!(v, Verdict::Flow);
    let k = ip.pkt;
    assert_eq!((k.ip_len, k.payload_len), (57, 5));
    assert_eq!((k.l3, k.l4, k.data), (14, 34, 66));
    assert_eq!((k.seq, k.ack, k.flags, k.window), (1, 2, 0x18, 0x1000));
    // The lower address is end `a`: the receiver.
    assert_eq!((k.key.a_port, k.key.b_port, k.dir), (12345, 80, 1));
    assert_eq!(k.key.a, v4_mapped([10, 0, 0, 1]));
    assert_eq!((k.ts, k.segs), (5, 1));
    assert!(ip.weirds.is_empty());
}

#[test]
fn udp_lengths() {
    let (_, ip) = run(&v4(17, &udp(12, &[0; 4])));
    assert_eq!(ip.pkt.payload_len, 4);
    // UDP's own length counts, even where it contradicts IP's; unless it is impossible.
    assert_eq!(run(&v4(17, &udp(10, &[0; 4]))).1.pkt.payload_len, 2);
    assert_eq!(run(&v4(17, &udp(0, &[0; 4]))).1.pkt.payload_len, 4);
}

#[test]
fn icmp() {
    let (v, ip) = run(&v4(1, &[8, 0, 0, 0, 0, 0, 0, 0, 1, 2]));
    assert_eq!(v, Verdict::Flow);
    assert_eq!((ip.pkt.payload_len, ip.pkt.key.one_way()), (2, false));
    let (_, ip) = run(&v6(58, &[1, 4, 0, 0, 0, 0, 0, 0]));
    assert_eq!(
        (ip.pkt.key.a_port, ip.pkt.key.b_port, ip.pkt.key.one_way()),
        (1, 4, true)
    );
}

#[test]
fn weird_lengths() {
    let good = v4(17, &udp(12, &[0; 4]));
    let with = |at: usize, b: u8| {
        let mut p = good.clone();
        p[at] = b;
        run(&p).0
    };
    let drop = |c, w| Verdict::Drop(c, Some(w));
    assert_eq!(with(3, 200), drop(Counter::Truncated, Weird::TruncatedIpLen));
    assert_eq!(with(3, 16), drop(Counter::Malformed, Weird::InvalidIpHeaderSize));
    assert_eq!(with(0, 0x44), drop(Counter::Malformed, Weird::Ipv4MinHeaderSize));
    assert_eq!(with(0, 0x75), drop(Counter::Malformed, Weird::UnknownIpVersion));
    assert_eq!(with(3, 25), drop(Counter::Malformed, Weird::TruncatedHeader));
    assert_eq!(run(&good[..19]).0, drop(Counter::Truncated, Weird::TruncatedIp));
    // Captured short of the header; captured short of the payload is fine.
    let cut = |n| run_at(&good[..n], 0, 32).0;
    assert_eq!(
        cut(24),
        drop(Counter::Truncated, Weird::InternallyTruncatedHeader)
    );
    assert_eq!(cut(28), Verdict::Flow);
}

#[test]
fn length_left_out() {
    let mut p = v4(6, &tcp(0, &[0; 9]));
    (p[2], p[3]) = (0, 0);
    let (v, ip) = run(&p);
    assert_eq!(v, Verdict::Flow);
    // What was captured counts.
    assert_eq!((ip.pkt.ip_len, ip.pkt.payload_len), (49, 9));
    assert!(ip.weirds.iter().eq([Weird::IpHdrLenZero]));
}

#[test]
fn tcp_headers_that_cannot_be() {
    let mut t = tcp(0, &[]);
    t[12] = 0x40;
    let (v, ip) = run(&v4(6, &t));
    assert_eq!(v, Verdict::WeirdFlow(Counter::Malformed, Weird::BadTcpHeaderLen));
    assert_eq!(ip.pkt.key.b_port, 80);
    t[12] = 0x60;
    assert_eq!(
        run(&v4(6, &t)).0,
        Verdict::WeirdFlow(Counter::Malformed, Weird::TruncatedHeader)
    );
}

#[test]
fn segment_routing() {
    let with = |left: u8, last: u8| {
        let mut e = vec![17, 4, 4, left, last, 0, 0, 0];
        e.extend([[0xcc; 16], [0xbb; 16]].concat());
        e.extend(udp(8, &[]));
        run(&v6(43, &e))
    };
    for (left, last, dst) in [
        (1, 1, 0xcc),
        (2, 1, 0xcc),
        (0, 1, 0xbb),
        (1, 2, 0xbb),
        (3, 1, 0xbb),
        (1, 255, 0xbb),
    ] {
        let (v, ip) = with(left, last);
        assert_eq!((v, ip.dst), (Verdict::Flow, [dst; 16]), "{left} {last}");
        assert!(ip.weirds.is_empty());
    }
}

#[test]
fn a_routing_header_of_an_unknown_type() {
    let mut e = vec![17, 0, 253, 1, 0, 0, 0, 0];
    e.extend(udp(8, &[]));
    let (_, ip) = run(&v6(43, &e));
    assert!(ip.weirds.with_numbers().eq([(Weird::UnknownRoutingType, 253)]));
}

#[test]
fn authentication_headers() {
    let ah = |next: u8, icv: usize| {
        let mut h = vec![next, (icv / 4 + 1) as u8];
        h.resize(12 + icv, 0);
        h
    };
    let p = v4(51, &[ah(6, 12), tcp(0, b"abc")].concat());
    let (v, ip) = run(&p);
    assert_eq!((v, ip.pkt.key.b_port), (Verdict::Flow, 80));
    assert_eq!((ip.pkt.l4, ip.pkt.data, ip.pkt.payload_len), (44, 64, 3));
    // Two of them, a packet in a packet, and one that is not all there.
    let (v, ip) = run(&v4(51, &[ah(51, 0), ah(17, 12), udp(12, &[0; 4])].concat()));
    assert_eq!((v, ip.pkt.l4, ip.pkt.payload_len), (Verdict::Flow, 56, 4));
    let (v, ip) = run(&v4(51, &[ah(4, 12), v4(17, &udp(8, &[]))].concat()));
    assert_eq!((v, ip.tunnel.at), (Verdict::Tunnel, 44));
    for cut in [20, 21, 43] {
        let (v, ip) = run_at(&p[..cut], 0, p.len() as u32);
        assert_eq!((v, ip.pkt.key.proto), (Verdict::Other, 51));
    }
}

#[test]
fn options_that_were_not_captured() {
    let p = v4(6, &tcp(12, b"hello"));
    for captured in [40, 45, 52, 54] {
        let (v, ip) = run_at(&p[..captured], 0, p.len() as u32);
        let k = ip.pkt;
        assert_eq!((v, k.payload_len, k.seq), (Verdict::Flow, 5, 1));
        assert_eq!(
            (k.data as usize, k.cut),
            (captured.min(52), 5.min(57 - captured as u16))
        );
    }
    // Ones that the packet has no room for.
    let mut t = tcp(0, b"hello");
    t[12] = 0x70;
    assert_eq!(
        run(&v4(6, &t)).0,
        Verdict::WeirdFlow(Counter::Malformed, Weird::TruncatedHeader)
    );
}

#[test]
fn payload_is_as_long_as_udp_says() {
    let body = |p: &[u8]| {
        let (v, ip) = run(p);
        assert_eq!(v, Verdict::Flow);
        crate::packet::payload(&ip.pkt, p).to_vec()
    };
    assert_eq!(body(&v4(17, &udp(8, b"abcd"))), b"");
    assert_eq!(body(&v4(17, &udp(10, b"abcd"))), b"ab");
    assert_eq!(body(&v6(17, &udp(12, b"abcd"))), b"abcd");
    assert_eq!(body(&v6(17, &udp(500, b"abcd"))), b"abcd");
    assert_eq!(body(&v4(17, &udp(0, b"abcd"))), b"abcd");
}

#[test]
fn others() {
    let (v, ip) = run(&v4(132, &[0; 12]));
    assert_eq!(v, Verdict::Other);
    assert_eq!((ip.pkt.key.proto, ip.pkt.payload_len, ip.pkt.data), (132, 12, 20));
    assert_eq!(run(&v4(47, &[0; 12])).0, Verdict::Tunnel);
    assert_eq!(
        run(&v6(59, &[])).0,
        Verdict::Drop(Counter::OtherProtocol, Some(Weird::Ipv6NoNext))
    );
}

#[test]
fn fragments() {
    let mut p = v4(17, &udp(40, &[0; 8]));
    p[6] = 0x20;
    let (v, ip) = run(&p);
    assert_eq!(v, Verdict::Fragment);
    assert_eq!(
        (ip.fragment.offset, ip.fragment.more, ip.fragment.id),
        (0, true, 1)
    );
    // Captured in part: the first is used for what it shows, others are not.
    let (v, ip) = run_at(&p[..30], 0, 36);
    assert_eq!(v, Verdict::Flow);
    assert!(ip.weirds.iter().eq([Weird::IncompletelyCapturedFragment]));
    p[7] = 1;
    assert_eq!(run_at(&p[..30], 0, 36).0, Verdict::Drop(Counter::Fragment, None));
    let mut q = vec![17, 0, 0, 9, 0, 0, 0, 3];
    q.extend([0; 8]);
    let (v, ip) = run(&v6(44, &q));
    assert_eq!(v, Verdict::Fragment);
    let f = ip.fragment;
    assert_eq!((f.offset, f.more, f.id, f.proto), (8, true, 3, 17));
    assert_eq!((f.header_len, f.next_at, f.data_at), (40, 6, 48));
}

#[test]
fn extension_headers() {
    // Hop-by-hop, then a routing header of type 0 with one address and a segment left.
    let mut e = vec![43, 0, 1, 4, 0, 0, 0, 0];
    e.extend([17, 2, 0, 1, 0, 0, 0, 0]);
    e.extend([0xcc; 16]);
    e.extend(udp(8, &[]));
    let (v, ip) = run(&v6(0, &e));
    assert_eq!(v, Verdict::Flow);
    assert_eq!(ip.dst, [0xcc; 16]);
    assert_eq!((ip.pkt.l4, ip.pkt.data, ip.pkt.ip_len), (72, 80, 80));
    assert!(ip.weirds.iter().eq([Weird::Routing0Hdr]));
    // A home address, twice.
    let mut h = vec![17, 4, 1, 0, 201, 16];
    h.extend([0xdd; 16]);
    h.extend([201, 16]);
    h.extend([0xee; 16]);
    h.extend(udp(8, &[]));
    let (_, ip) = run(&v6(60, &h));
    assert_eq!(ip.src, [0xdd; 16]);
    assert!(ip.weirds.iter().eq([Weird::MultipleHomeAddrOpts]));
    // Encrypted from here on.
    assert_eq!(
        run(&v6(50, &[0; 16])).0,
        Verdict::Drop(Counter::OtherProtocol, None)
    );
}

#[test]
fn a_header_that_was_cut_is_the_protocol() {
    // Hop-by-hop options of 16 bytes, captured but for one; then with nothing of them.
    let mut e = vec![17, 1];
    e.resize(16, 0);
    e.extend(udp(8, &[]));
    let p = v6(0, &e);
    for captured in [40, 41, 55] {
        let (v, ip) = run_at(&p[..captured], 0, 64);
        assert_eq!((v, ip.has_addrs), (Verdict::Other, true));
        assert_eq!((ip.pkt.key.proto, ip.pkt.l4, ip.pkt.ip_len), (0, 40, 64));
    }
    let (v, ip) = run_at(&v6(44, &[17, 0, 0, 1, 0, 0, 0, 3])[..44], 0, 48);
    assert_eq!((v, ip.pkt.key.proto), (Verdict::Other, 44));
}

#[test]
fn a_payload_of_no_length() {
    // What stands behind the IP header is padding to IP and a header to Zeek.
    let mut p = v4(17, &[]);
    p.extend([0, 53, 0, 9, 0, 0, 0, 0, 0, 0]);
    let (v, ip) = run(&p);
    assert_eq!((v, ip.pkt.ip_len, ip.pkt.key.b_port), (Verdict::Flow, 20, 53));
    p.truncate(27);
    assert_eq!(
        run(&p).0,
        Verdict::Drop(Counter::Truncated, Some(Weird::InternallyTruncatedHeader))
    );
    // IPv6 that does not say how long it is.
    let mut p = v6(6, &tcp(0, b"abc"));
    p[4..6].fill(0);
    let (v, ip) = run(&p);
    assert_eq!(v, Verdict::WeirdFlow(Counter::Malformed, Weird::TruncatedHeader));
    assert_eq!((ip.pkt.ip_len, ip.pkt.key.a_port), (40, 80));
    // Too long to say it.
    let (v, ip) = run_at(&p, 0, 70_000);
    assert_eq!((v, ip.pkt.payload_len), (Verdict::Flow, 3));
}

#[test]
fn mobility_checksum() {
    // RFC 6275, 6.1.2: a binding refresh request.
    let mut p = v6(135, &[59, 0, 0, 0, 0, 0, 0, 0]);
    let check = |p: &[u8]| {
        let i = Input {
            frame: p,
            l3: 0,
            end: p.len(),
            wire_len: p.len() as u32,
            ts: 0,
            checksums: true,
            reassembled: false,
        };
        parse(&i, &mut Ip::default())
    };
    assert_eq!(
        check(&p),
        Verdict::Drop(Counter::Malformed, Some(Weird::BadMhChecksum))
    );
    // By hand: 8 * aaaa + 8 * bbbb + 0087 + 0008 + 3b00, folded 6ec2; its complement is 913d.
    p[44..46].copy_from_slice(&[0x91, 0x3d]);
    assert_eq!(check(&p), Verdict::Drop(Counter::OtherProtocol, None));
}

#[test]
fn ipv4_checksum() {
    let p = v4(17, &udp(8, &[]));
    let mut ip = Ip::default();
    let i = Input {
        frame: &p,
        l3: 0,
        end: p.len(),
        wire_len: 28,
        ts: 0,
        checksums: true,
        reassembled: false,
    };
    assert_eq!(
        parse(&i, &mut ip),
        Verdict::Drop(Counter::Malformed, Some(Weird::BadIpChecksum))
    );
}

proptest! {
    /// Offsets point into the packet, whatever it is.
    #[test]
    fn never_panics(mut b in proptest::collection::vec(any::<u8>(), 0..200), first in 0u8..3, next in 0usize..12,
                    l3 in 0usize..30, short in any::<bool>(), reassembled in any::<bool>()) {
        if let Some(v) = b.get_mut(l3) {
            *v = [0x45, 0x60, *v][first as usize];
        }
        let nexts = [0u8, 6, 17, 1, 58, 43, 44, 50, 51, 60, 135, 59];
        for at in [6, 9] {
            if let Some(v) = b.get_mut(l3 + at) {
                *v = nexts[next];
            }
        }
        if short && let Some(v) = b.get_mut(l3 + 2..l3 + 6) {
            v.copy_from_slice(&[0, 60, 0, 60]);
        }
        let mut ip = Ip::default();
        let i = Input { frame: &b, l3, end: b.len(), wire_len: 2000, ts: 0, checksums: false, reassembled };
        match parse(&i, &mut ip) {
            Verdict::Flow | Verdict::Other => {
                prop_assert!((ip.pkt.data as usize) <= b.len());
                prop_assert!(ip.pkt.l4 <= ip.pkt.data);
                let _ = checksum::verify(&b, &ip.pkt, false);
            }
            Verdict::Fragment => prop_assert!(l3 + ip.fragment.total_len as usize <= b.len()),
            _ => {}
        }
    }
}

/// A packet as etherparse builds it.
fn built(
    v6: bool,
    vlans: u8,
    udp: bool,
    ports: (u16, u16),
    seq: u32,
    options: usize,
    payload: &[u8],
) -> Vec<u8> {
    use etherparse::{PacketBuilder, VlanId};
    let id = |n| VlanId::try_new(n).unwrap();
    let eth = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let ip = |b: etherparse::PacketBuilderStep<etherparse::VlanHeader>| {
        if v6 {
            b.ipv6([0x20; 16], [0x21; 16], 9)
        } else {
            b.ipv4([9, 8, 7, 6], [9, 8, 7, 5], 9)
        }
    };
    let b = match (vlans, v6) {
        (0, true) => eth.ipv6([0x20; 16], [0x21; 16], 9),
        (0, false) => eth.ipv4([9, 8, 7, 6], [9, 8, 7, 5], 9),
        (1, _) => ip(eth.single_vlan(id(7))),
        _ => ip(eth.double_vlan(id(7), id(8))),
    };
    let mut out = Vec::new();
    if udp {
        b.udp(ports.0, ports.1).write(&mut out, payload).unwrap();
    } else {
        let tcp = b.tcp(ports.0, ports.1, seq, 512).ack(!seq).psh();
        let tcp = tcp.options_raw(&vec![1; options * 4]).unwrap();
        tcp.write(&mut out, payload).unwrap();
    }
    out
}

proptest! {
    /// Another parser finds the same in well-formed packets, and their checksums are right.
    #[test]
    fn agrees_with_etherparse(v6: bool, vlans in 0u8..3, udp: bool, ports: (u16, u16), seq: u32, options in 0usize..11,
                              payload in proptest::collection::vec(any::<u8>(), 0..100), flip in any::<prop::sample::Index>()) {
        let frame = built(v6, vlans, udp, ports, seq, options, &payload);
        let link = crate::packet::link::parse(crate::packet::LinkType::ETHERNET, &frame).unwrap();
        let (v, ip) = run_at(&frame, link.l3 as usize, frame.len() as u32);
        prop_assert_eq!(v, Verdict::Flow);
        let p = ip.pkt;
        let other = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
        let (sport, dport) = if p.dir == 0 { (p.key.a_port, p.key.b_port) } else { (p.key.b_port, p.key.a_port) };
        prop_assert_eq!((sport, dport), ports);
        match other.transport.unwrap() {
            etherparse::TransportSlice::Tcp(t) => {
                prop_assert_eq!((p.seq, p.ack, p.window), (t.sequence_number(), t.acknowledgment_number(), t.window_size()));
                prop_assert_eq!(p.flags, 0x18);
                prop_assert_eq!((p.data - p.l4) as usize, t.header_slice().len());
                prop_assert_eq!(&frame[p.data as usize..], t.payload());
            }
            etherparse::TransportSlice::Udp(u) => prop_assert_eq!(&frame[p.data as usize..], u.payload()),
            _ => prop_assert!(false),
        }
        prop_assert_eq!(p.payload_len as usize, payload.len());
        prop_assert_eq!(p.l3 as usize + p.ip_len as usize, frame.len());
        prop_assert_eq!(checksum::verify(&frame, &p, false), Ok(()));
        // One wrong bit in the payload, and it is not.
        if !payload.is_empty() {
            let at = p.data as usize + flip.index(payload.len());
            let mut bad = frame.clone();
            bad[at] ^= 0x10;
            prop_assert!(checksum::verify(&bad, &p, false).is_err());
        }
    }
}
