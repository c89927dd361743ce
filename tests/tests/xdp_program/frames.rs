//! Crafted frames, each with what a sensor should make of it, spelled out by hand.

use sensor_common::key::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, icmp_ports, v4_mapped};
use sensor_common::{Counter, FlowKey, Packet};

/// A frame and what is expected.
pub struct Case {
    pub name: String,
    pub frame: Vec<u8>,
    /// The packet (time zero), or the reason why it is not tracked.
    pub expect: Result<Packet, Counter>,
}

pub const ACK: u8 = 0x10;
pub const SYN: u8 = 0x02;
pub const FIN: u8 = 0x01;
pub const PSH: u8 = 0x08;

fn eth(vlans: &[u16], typ: u16) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for v in vlans {
        f.extend(v.to_be_bytes());
        f.extend([0, 42]);
    }
    f.extend(typ.to_be_bytes());
    f
}

const SRC4: [u8; 4] = [10, 0, 0, 1];
const DST4: [u8; 4] = [192, 0, 2, 9];
const SRC6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff];
const DST6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01];

fn v4(proto: u8, options: usize, frag: u16, payload: &[u8]) -> Vec<u8> {
    let total = (20 + options + payload.len()) as u16;
    let mut h = vec![0x45 + (options / 4) as u8, 0];
    h.extend(total.to_be_bytes());
    h.extend([0, 7]);
    h.extend(frag.to_be_bytes());
    h.extend([64, proto, 0, 0]);
    h.extend(SRC4);
    h.extend(DST4);
    h.extend(vec![1; options]);
    h.extend(payload);
    h
}

/// `exts`: (protocol, whole header but for its first byte).
fn v6(proto: u8, exts: &[(u8, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
    let len: usize = exts.iter().map(|e| e.1.len() + 1).sum::<usize>() + payload.len();
    let mut h = vec![0x60, 0, 0, 0];
    h.extend((len as u16).to_be_bytes());
    h.extend([exts.first().map_or(proto, |e| e.0), 64]);
    h.extend(SRC6);
    h.extend(DST6);
    for (i, e) in exts.iter().enumerate() {
        h.push(exts.get(i + 1).map_or(proto, |n| n.0));
        h.extend(&e.1);
    }
    h.extend(payload);
    h
}

/// A TCP segment from port 40000 to 443.
pub fn tcp(seq: u32, ack: u32, flags: u8, options: usize, payload: &[u8]) -> Vec<u8> {
    let mut h = vec![0x9c, 0x40, 1, 0xbb];
    h.extend(seq.to_be_bytes());
    h.extend(ack.to_be_bytes());
    h.extend([((20 + options) / 4 * 16) as u8, flags, 0x20, 0, 0, 0, 0, 0]);
    h.extend(vec![1; options]);
    h.extend(payload);
    h
}

/// A frame with a [`tcp`] segment, without options.
pub fn tcp_frame(seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    join(
        eth(&[], 0x0800),
        v4(IPPROTO_TCP, 0, 0, &tcp(seq, ack, flags, 0, payload)),
    )
}

fn udp(len: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut h = vec![0, 53, 0xc0, 1];
    h.extend(len.unwrap_or(8 + payload.len() as u16).to_be_bytes());
    h.extend([0, 0]);
    h.extend(payload);
    h
}

/// `pkt` of what lies at `l4`, a transport header of `hlen` bytes.
fn expect(
    v6: bool,
    proto: u8,
    ports: (u16, u16),
    l3: usize,
    l4: usize,
    hlen: usize,
    payload: usize,
) -> Packet {
    let one_way;
    let (sport, dport) = if proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 {
        let (a, b, way) = icmp_ports(v6, ports.0 as u8, ports.1 as u8);
        one_way = way;
        (a, b)
    } else {
        one_way = false;
        ports
    };
    let (src, dst) = if v6 {
        (SRC6, DST6)
    } else {
        (v4_mapped(SRC4), v4_mapped(DST4))
    };
    let (key, dir) = FlowKey::new(&src, &dst, sport, dport, proto, one_way);
    Packet {
        key,
        dir,
        ip_len: (l4 - l3 + hlen + payload) as u32,
        payload_len: payload as u32,
        segs: 1,
        l3: l3 as u16,
        l4: l4 as u16,
        data: (l4 + hlen) as u16,
        ..Default::default()
    }
}

fn join(a: Vec<u8>, b: Vec<u8>) -> Vec<u8> {
    [a, b].concat()
}

/// Everything that is tracked, well formed.
pub fn tracked() -> Vec<Case> {
    let mut out = Vec::new();
    let mut push = |name: String, frame, pkt| {
        out.push(Case {
            name,
            frame,
            expect: Ok(pkt),
        });
    };
    let hop = |n: u8| (0u8, [vec![n], vec![0; 6 + 8 * n as usize]].concat());
    let chains: [Vec<(u8, Vec<u8>)>; 4] = [vec![], vec![hop(0)], vec![hop(3)], vec![hop(0), hop(1)]];
    for vlans in [&[][..], &[0x8100], &[0x88a8, 0x8100]] {
        let l3 = 14 + 4 * vlans.len();
        for options in [0, 4, 40] {
            for (topt, n) in [(0, 0), (12, 0), (40, 5), (0, 1400)] {
                let seg = tcp(1000, 2000, ACK, topt, &vec![7; n]);
                let mut p = expect(
                    false,
                    IPPROTO_TCP,
                    (40000, 443),
                    l3,
                    l3 + 20 + options,
                    20 + topt,
                    n,
                );
                (p.seq, p.ack, p.flags, p.window) = (1000, 2000, ACK, 0x2000);
                let frame = join(eth(vlans, 0x800), v4(6, options, 0x4000, &seg));
                push(
                    format!("tcp4 {} vlans {options}+{topt} options {n} bytes", vlans.len()),
                    frame,
                    p,
                );
            }
            let p = expect(false, IPPROTO_UDP, (53, 0xc001), l3, l3 + 20 + options, 8, 30);
            let frame = join(eth(vlans, 0x800), v4(17, options, 0, &udp(None, &[9; 30])));
            push(format!("udp4 {} vlans {options} options", vlans.len()), frame, p);
        }
        for (i, exts) in chains.iter().enumerate() {
            let skip: usize = exts.iter().map(|e| e.1.len() + 1).sum();
            let l4 = l3 + 40 + skip;
            let mut p = expect(true, IPPROTO_TCP, (40000, 443), l3, l4, 20, 9);
            (p.seq, p.ack, p.flags, p.window) = (5, 0, SYN, 0x2000);
            let frame = join(eth(vlans, 0x86dd), v6(6, exts, &tcp(5, 0, SYN, 0, &[1; 9])));
            push(format!("tcp6 {} vlans chain {i}", vlans.len()), frame, p);
            let p = expect(true, IPPROTO_UDP, (53, 0xc001), l3, l4, 8, 3);
            push(
                format!("udp6 {} vlans chain {i}", vlans.len()),
                join(eth(vlans, 0x86dd), v6(17, exts, &udp(None, &[9; 3]))),
                p,
            );
        }
        for (typ, code) in [(8, 0), (0, 0), (3, 1), (13, 0)] {
            let msg = [vec![typ, code, 0, 0, 0, 1, 0, 1], vec![3; 56]].concat();
            let p = expect(false, IPPROTO_ICMP, (typ as u16, code as u16), l3, l3 + 20, 8, 56);
            push(
                format!("icmp {typ}"),
                join(eth(vlans, 0x800), v4(1, 0, 0, &msg)),
                p,
            );
        }
        for (typ, code) in [(128, 0), (129, 0), (135, 0), (1, 4), (2, 0)] {
            let msg = [vec![typ, code, 0, 0, 0, 1, 0, 1], vec![3; 16]].concat();
            let p = expect(
                true,
                IPPROTO_ICMPV6,
                (typ as u16, code as u16),
                l3,
                l3 + 40,
                8,
                16,
            );
            push(
                format!("icmp6 {typ}"),
                join(eth(vlans, 0x86dd), v6(58, &[], &msg)),
                p,
            );
        }
    }
    // Padding is no payload.
    let mut p = expect(false, IPPROTO_TCP, (40000, 443), 14, 34, 20, 0);
    (p.seq, p.ack, p.flags, p.window) = (1, 1, ACK, 0x2000);
    let mut frame = join(eth(&[], 0x800), v4(6, 0, 0, &tcp(1, 1, ACK, 0, &[])));
    frame.resize(60, 0);
    push("padded".into(), frame, p);
    // UDP's own length rules; below 8 it says nothing.
    for (len, payload) in [(20, 12), (3, 30)] {
        let mut p = expect(false, IPPROTO_UDP, (53, 0xc001), 14, 34, 8, 30);
        p.payload_len = payload;
        push(
            format!("udp length {len}"),
            join(eth(&[], 0x800), v4(17, 0, 0, &udp(Some(len), &[9; 30]))),
            p,
        );
    }
    out
}

/// Everything that is not tracked, with its reason.
pub fn untracked() -> Vec<Case> {
    let e4 = || eth(&[], 0x800);
    let e6 = || eth(&[], 0x86dd);
    let seg = tcp(1, 1, ACK, 0, &[5; 20]);
    let patched = |at: usize, v: u8| {
        let mut f = join(e4(), v4(6, 0, 0, &seg));
        f[at] = v;
        f
    };
    let hop = (0u8, vec![0; 7]);
    let chain = |exts: &[(u8, Vec<u8>)]| join(e6(), v6(6, exts, &seg));
    let mut no_length6 = chain(&[]);
    no_length6[18..20].fill(0);
    let mut cases = vec![
        ("arp", join(eth(&[], 0x806), vec![0; 28]), Counter::NotIp),
        ("lldp", join(eth(&[0x8100], 0x88cc), vec![0; 28]), Counter::NotIp),
        (
            "spanning tree",
            join(eth(&[], 38), vec![0x42; 38]),
            Counter::NotIp,
        ),
        (
            "snap",
            join(
                eth(&[], 48),
                [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &[0; 40]].concat(),
            ),
            Counter::OtherEthertype,
        ),
        (
            "atomic fragment",
            chain(&[hop.clone(), (44, vec![0, 0, 0, 0, 0, 0, 9])]),
            Counter::Fragment,
        ),
        (
            "routing header",
            chain(&[hop.clone(), (43, vec![0; 7])]),
            Counter::OtherProtocol,
        ),
        (
            "destination options",
            chain(&[(60, vec![1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]),
            Counter::OtherProtocol,
        ),
        (
            "length zero",
            join(patched(16, 0)[..17].to_vec(), patched(17, 0)[17..].to_vec()),
            Counter::Malformed,
        ),
        ("length zero, 6", no_length6, Counter::Malformed),
        (
            "mpls",
            join(eth(&[], 0x8847), vec![0; 40]),
            Counter::OtherEthertype,
        ),
        (
            "pppoe",
            join(eth(&[], 0x8864), vec![0; 40]),
            Counter::OtherEthertype,
        ),
        (
            "three vlans",
            join(eth(&[0x8100; 3], 0x800), v4(6, 0, 0, &seg)),
            Counter::OtherEthertype,
        ),
        (
            "first fragment",
            join(e4(), v4(6, 0, 0x2000, &seg)),
            Counter::Fragment,
        ),
        (
            "last fragment",
            join(e4(), v4(6, 0, 0x0003, &seg)),
            Counter::Fragment,
        ),
        (
            "fragment6",
            join(
                e6(),
                v6(17, &[(44, vec![0, 0, 1, 0, 0, 0, 9])], &udp(None, &[1; 8])),
            ),
            Counter::Fragment,
        ),
        (
            "fragment6 later",
            join(e6(), v6(6, &[(44, vec![0, 0, 8, 0, 0, 0, 9])], &seg)),
            Counter::Fragment,
        ),
        (
            "ip in ip",
            join(e4(), v4(4, 0, 0, &v4(6, 0, 0, &seg))),
            Counter::Tunnel,
        ),
        (
            "6in4",
            join(e4(), v4(41, 0, 0, &v6(6, &[], &seg))),
            Counter::Tunnel,
        ),
        ("gre", join(e4(), v4(47, 0, 0, &[0; 30])), Counter::Tunnel),
        ("esp", join(e4(), v4(50, 0, 0, &[0; 30])), Counter::OtherProtocol),
        (
            "ah",
            join(e6(), v6(51, std::slice::from_ref(&hop), &[0; 30])),
            Counter::OtherProtocol,
        ),
        (
            "sctp",
            join(e4(), v4(132, 0, 0, &[0; 30])),
            Counter::OtherProtocol,
        ),
        (
            "icmp6 in 4",
            join(e4(), v4(58, 0, 0, &[0; 30])),
            Counter::OtherProtocol,
        ),
        ("version", patched(14, 0x65), Counter::Malformed),
        ("header length", patched(14, 0x44), Counter::Malformed),
        ("total length", patched(17, 19), Counter::Malformed),
        ("total length cuts tcp", patched(17, 39), Counter::Malformed),
        ("tcp offset", patched(46, 0x40), Counter::Malformed),
        ("tcp offset beyond", patched(46, 0xf0), Counter::Malformed),
        ("udp cut", join(e4(), v4(17, 0, 0, &[0; 7])), Counter::Malformed),
        (
            "nine extensions",
            join(e6(), v6(6, &vec![hop; 9], &seg)),
            Counter::OtherProtocol,
        ),
    ];
    let mut cut = join(e4(), v4(6, 0, 0, &seg));
    cut.truncate(50);
    cases.push(("cut in tcp", cut, Counter::Truncated));
    cases
        .into_iter()
        .map(|(name, frame, why)| Case {
            name: name.into(),
            frame,
            expect: Err(why),
        })
        .collect()
}
