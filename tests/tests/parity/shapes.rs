//! Small captures of every shape that a packet may have on its way to a flow: one conversation, wrapped in
//! all that the two datapaths parse differently.

/// An IPv6 extension header: its number, and all of it but the first byte.
type Ext = (u8, Vec<u8>);

/// A frame as a capture holds it.
#[derive(Clone)]
pub struct Shot {
    pub data: Vec<u8>,
    /// Bytes on the wire.
    pub wire: u32,
}

/// A capture.
pub struct Shape {
    pub name: &'static str,
    pub shots: Vec<Shot>,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

fn sum(parts: &[&[u8]]) -> u16 {
    let all = parts.concat();
    let mut s: u32 = all
        .chunks(2)
        .map(|w| (w[0] as u32) << 8 | *w.get(1).unwrap_or(&0) as u32)
        .sum();
    while s > 0xffff {
        s = (s & 0xffff) + (s >> 16);
    }
    !(s as u16)
}

fn address(v6: bool, host: u8) -> Vec<u8> {
    if v6 {
        [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[host]].concat()
    } else {
        vec![192, 0, 2, host]
    }
}

/// An IP packet from host `from` to host `to`.
fn ip(v6: bool, from: u8, to: u8, proto: u8, exts: &[Ext], payload: &[u8]) -> Vec<u8> {
    let (src, dst) = (address(v6, from), address(v6, to));
    if v6 {
        let mut chain = Vec::new();
        for (i, e) in exts.iter().enumerate() {
            chain.push(exts.get(i + 1).map_or(proto, |n| n.0));
            chain.extend_from_slice(&e.1);
        }
        let len = (chain.len() + payload.len()) as u16;
        let first = exts.first().map_or(proto, |e| e.0);
        let head = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[first, 64]].concat();
        return [&head[..], &src, &dst, &chain, payload].concat();
    }
    let len = (20 + payload.len()) as u16;
    let mut h = [&[0x45, 0][..], &len.to_be_bytes(), &[0, 9, 0, 0, 64, proto, 0, 0]].concat();
    h.extend_from_slice(&src);
    h.extend_from_slice(&dst);
    let check = sum(&[&h]);
    h[10..12].copy_from_slice(&check.to_be_bytes());
    [&h, payload].concat()
}

/// Writes the transport checksum of what goes from `from` to `to`.
fn checked(v6: bool, from: u8, to: u8, proto: u8, mut t: Vec<u8>) -> Vec<u8> {
    let at = match proto {
        6 => 16,
        17 => 6,
        _ => 2,
    };
    let pseudo = if proto == 1 {
        Vec::new()
    } else {
        let len = (t.len() as u32).to_be_bytes();
        [&address(v6, from)[..], &address(v6, to), &len, &[0, 0, 0, proto]].concat()
    };
    let check = sum(&[&pseudo, &t]);
    t[at..at + 2].copy_from_slice(&check.to_be_bytes());
    t
}

/// A packet of the conversation: who sends, its protocol, and its transport part.
type Said = (bool, u8, Vec<u8>);

fn tcp(client: bool, port: u16, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Said {
    let ports = if client { [port, 80] } else { [80, port] };
    let mut t = [ports[0].to_be_bytes(), ports[1].to_be_bytes()].concat();
    t.extend(seq.to_be_bytes());
    t.extend(ack.to_be_bytes());
    t.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    t.extend_from_slice(payload);
    (client, 6, t)
}

fn udp(client: bool, port: u16, payload: &[u8]) -> Said {
    let ports = if client { [4000, port] } else { [port, 4000] };
    let mut t = [ports[0].to_be_bytes(), ports[1].to_be_bytes()].concat();
    t.extend((8 + payload.len() as u16).to_be_bytes());
    t.extend([0, 0]);
    t.extend_from_slice(payload);
    (client, 17, t)
}

/// TCP connections of several ends, with loss, reordering and repetition; datagrams; echoes.
fn conversation(v6: bool) -> Vec<Said> {
    let data = |n: usize| vec![b'x'; n];
    let (c, s) = (0xffff_fc00u32, 7000u32);
    let at = |n: u32| c.wrapping_add(n);
    let mut said = vec![
        // In order, and over the wrap of the sequence numbers.
        tcp(true, 1000, SYN, c, 0, &[]),
        tcp(false, 1000, SYN | ACK, s, at(1), &[]),
        tcp(true, 1000, ACK, at(1), s + 1, &[]),
    ];
    for i in 0..8u32 {
        said.push(tcp(true, 1000, ACK, at(1 + 400 * i), s + 1 + 500 * i, &data(400)));
        said.push(tcp(
            false,
            1000,
            ACK,
            s + 1 + 500 * i,
            at(1 + 400 * (i + 1)),
            &data(500),
        ));
    }
    said.extend([
        tcp(true, 1000, ACK, at(3201), s + 4001, &[]),
        tcp(true, 1000, FIN | ACK, at(3201), s + 4001, &[]),
        tcp(false, 1000, FIN | ACK, s + 4001, at(3202), &[]),
        tcp(true, 1000, ACK, at(3202), s + 4002, &[]),
        // After both sides closed.
        tcp(true, 1000, RST, at(3202), 0, &[]),
        // Reordered, repeated, a hole that stays, a reset.
        tcp(true, 1001, SYN, 10, 0, &[]),
        tcp(false, 1001, SYN | ACK, 20, 11, &[]),
        tcp(true, 1001, ACK, 11, 21, &[]),
        tcp(true, 1001, ACK, 111, 21, &data(100)),
        tcp(true, 1001, ACK, 11, 21, &data(100)),
        tcp(true, 1001, ACK, 11, 21, &data(100)),
        tcp(false, 1001, ACK, 21, 211, &[]),
        tcp(true, 1001, ACK, 311, 21, &data(100)),
        tcp(false, 1001, ACK, 21, 411, &[]),
        tcp(false, 1001, RST | ACK, 21, 411, &[]),
        // Refused; unanswered; in the middle.
        tcp(true, 1002, SYN, 10, 0, &[]),
        tcp(false, 1002, RST | ACK, 0, 11, &[]),
        tcp(true, 1003, SYN, 10, 0, &[]),
        tcp(false, 1004, ACK, 500, 900, &data(30)),
        tcp(true, 1004, ACK, 900, 530, &data(30)),
        udp(true, 7, &data(200)),
        udp(false, 7, &data(200)),
        udp(true, 7, &[]),
    ]);
    let (proto, ask) = if v6 { (58, 128) } else { (1, 8) };
    let answer = if v6 { 129 } else { 0 };
    for (client, typ) in [(true, ask), (false, answer), (true, 3)] {
        said.push((
            client,
            proto,
            [&[typ, 0, 0, 0, 0, 1, 0, 1][..], &data(40)].concat(),
        ));
    }
    said.extend(tls());
    said.extend(dtls());
    said
}

/// OpenSSL's handshake of TLS 1.3: direction (0 client), length (4 bytes, big endian), bytes.
const TLS: &[u8] = include_bytes!("../../../sensor/src/analyzer/tls/samples/tls13.bin");

/// A sample's pieces, and whether the client sent them.
fn samples(mut sample: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        let [side, a, b, c, d, rest @ ..] = sample else {
            return None;
        };
        let (piece, after) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        sample = after;
        Some((*side == 0, piece))
    })
}

/// A TLS connection whose server goes on sending records, over the wrap of the sequence numbers.
fn tls() -> Vec<Said> {
    let port = 1005;
    let mut at = [5000u32, 0xffff_8000];
    let mut said = vec![
        tcp(true, port, SYN, at[0] - 1, 0, &[]),
        tcp(false, port, SYN | ACK, at[1] - 1, at[0], &[]),
        tcp(true, port, ACK, at[0], at[1], &[]),
    ];
    for (client, piece) in samples(TLS) {
        let s = !client as usize;
        for part in piece.chunks(1000) {
            said.push(tcp(client, port, ACK, at[s], at[s ^ 1], part));
            at[s] = at[s].wrapping_add(part.len() as u32);
        }
    }
    let mut stream = Vec::new();
    for n in [
        3000u16, 3000, 20, 20, 20, 0, 2791, 5000, 5000, 5000, 1, 9000, 9000, 9000, 9000,
    ] {
        stream.extend([23, 3, 3]);
        stream.extend(n.to_be_bytes());
        stream.extend(vec![0x17; n as usize]);
    }
    let mut pieces: Vec<_> = stream
        .chunks(980)
        .enumerate()
        .map(|(i, part)| (at[1].wrapping_add(i as u32 * 980), part))
        .collect();
    // A record's beginning comes late, and another segment twice.
    pieces.swap(32, 33);
    pieces.insert(50, pieces[49]);
    let mut have = at[1];
    for (seq, part) in pieces {
        said.push(tcp(false, port, ACK, seq, at[0], part));
        have = have.wrapping_add(part.len() as u32);
        if seq.wrapping_add(part.len() as u32) == have {
            said.push(tcp(true, port, ACK, at[0], have, &[]));
        }
    }
    said
}

/// The same of DTLS 1.2.
const DTLS: &[u8] = include_bytes!("../../../sensor/src/analyzer/tls/samples/dtls12.bin");

/// A DTLS session whose server goes on sending records.
fn dtls() -> Vec<Said> {
    let port = 4433;
    let mut said: Vec<_> = samples(DTLS)
        .map(|(client, piece)| udp(client, port, piece))
        .collect();
    for n in [100u16, 100, 100, 100, 100, 900, 0, 30, 900] {
        let mut record = vec![23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9];
        record.extend(n.to_be_bytes());
        record.extend(vec![5; n as usize]);
        said.push(udp(false, port, &record));
        if n == 30 {
            // Several, some in the clear, and too many.
            said.push(udp(false, port, &record.repeat(3)));
            let mut clear = record.clone();
            clear[4] = 0;
            said.push(udp(false, port, &[&record[..], &clear].concat()));
            said.push(udp(false, port, &record.repeat(20)));
        }
    }
    said
}

fn hosts(client: bool) -> (u8, u8) {
    if client { (1, 2) } else { (2, 1) }
}

/// The conversation's IP packets, with IPv6 extension headers.
fn packets(v6: bool, exts: &[Ext]) -> Vec<Vec<u8>> {
    conversation(v6)
        .into_iter()
        .map(|(client, proto, t)| {
            let (from, to) = hosts(client);
            ip(v6, from, to, proto, exts, &checked(v6, from, to, proto, t))
        })
        .collect()
}

pub fn eth(types: &[u8], body: &[u8]) -> Shot {
    let data = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], types, body].concat();
    let wire = data.len() as u32;
    Shot { data, wire }
}

pub fn ethertype(p: &[u8]) -> [u8; 2] {
    if p[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] }
}

pub fn plain(p: &[u8]) -> Shot {
    eth(&ethertype(p), p)
}

/// An IP packet in two fragments, the later one first every other time.
pub fn fragmented(i: usize, p: &[u8]) -> Vec<Shot> {
    let id = i as u16;
    let v6 = p[0] >> 4 == 6;
    let head = if v6 { 40 } else { 20 };
    let cut = head + (p.len() - head) / 16 * 8;
    let piece = |from: usize, to: usize, more: bool| {
        let at = (from - head) as u16;
        let mut f = p[..head].to_vec();
        if v6 {
            let len = (8 + to - from) as u16;
            f[4..6].copy_from_slice(&len.to_be_bytes());
            f[6] = 44;
            f.extend([p[6], 0]);
            f.extend((at | more as u16).to_be_bytes());
            f.extend((id as u32).to_be_bytes());
        } else {
            f[2..4].copy_from_slice(&((20 + to - from) as u16).to_be_bytes());
            f[4..6].copy_from_slice(&id.to_be_bytes());
            f[6..8].copy_from_slice(&((at / 8) | ((more as u16) << 13)).to_be_bytes());
            f[10..12].fill(0);
            let check = sum(&[&f]);
            f[10..12].copy_from_slice(&check.to_be_bytes());
        }
        f.extend_from_slice(&p[from..to]);
        plain(&f)
    };
    if cut == head {
        return vec![plain(p)];
    }
    let (a, b) = (piece(head, cut, true), piece(cut, p.len(), false));
    if i.is_multiple_of(2) {
        vec![a, b]
    } else {
        vec![b, a]
    }
}

fn length_zero(p: &[u8]) -> Shot {
    let mut p = p.to_vec();
    let at = if p[0] >> 4 == 6 { 4 } else { 2 };
    p[at..at + 2].fill(0);
    plain(&p)
}

/// Between two other hosts, IP protocol `proto`.
pub fn tunnel(proto: u8, head: &[u8], inner: &[u8]) -> Shot {
    plain(&ip(false, 8, 9, proto, &[], &[head, inner].concat()))
}

pub fn udp_tunnel(port: u16, head: &[u8], inner: &[u8]) -> Shot {
    let t = udp(true, port, &[head, inner].concat()).2;
    plain(&ip(false, 8, 9, 17, &[], &checked(false, 8, 9, 17, t)))
}

/// In VXLAN between two other hosts, whose ends have ports of their own for each direction.
pub fn vxlan(client: bool, inner: &[u8]) -> Vec<u8> {
    const HEADER: [u8; 8] = [8, 0, 0, 0, 0, 0, 1, 0];
    let (from, to, port) = if client { (8, 9, 50_008) } else { (9, 8, 50_009) };
    let body = [&HEADER[..], inner].concat();
    let len = 8u16.wrapping_add(body.len() as u16);
    let head: Vec<u8> = [port, 4789, len, 0]
        .iter()
        .flat_map(|w: &u16| w.to_be_bytes())
        .collect();
    let t = [head, body].concat();
    ip(false, from, to, 17, &[], &checked(false, from, to, 17, t))
}

/// Whether the client sent a packet of the conversation.
pub fn from_client(p: &[u8]) -> bool {
    let last = if p[0] >> 4 == 6 { 23 } else { 15 };
    p[last] == 1
}

/// The conversation in tunnels of the kinds that the kernel's program can take apart, and what may go wrong there.
fn mirrored(both: &[&Vec<u8>]) -> Vec<Shape> {
    let mut out = Vec::new();
    let mut add = |name, shots: Vec<Shot>| out.push(Shape { name, shots });
    let each = |f: &dyn Fn(&[u8]) -> Shot| both.iter().map(|p| f(p)).collect::<Vec<_>>();
    let in_vxlan = |p: &[u8], frame: &[u8]| plain(&vxlan(from_client(p), frame));
    add("vxlan-both-ways", each(&|p| in_vxlan(p, &plain(p).data)));
    add(
        "vxlan-tagged",
        each(&|p| {
            let types = [&[0x81, 0, 0, 5][..], &ethertype(p)].concat();
            in_vxlan(p, &eth(&types, p).data)
        }),
    );
    add(
        "vxlan-padded",
        each(&|p| {
            let inner = eth(&ethertype(p), &[p, &[0xee; 9][..]].concat());
            let outer = vxlan(from_client(p), &inner.data);
            eth(&[8, 0], &[&outer[..], &[0xdd; 11]].concat())
        }),
    );
    add(
        "vxlan-over-6",
        each(&|p| {
            let (_, _, t) = udp(
                true,
                4789,
                &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &plain(p).data].concat(),
            );
            plain(&ip(true, 8, 9, 17, &[], &checked(true, 8, 9, 17, t)))
        }),
    );
    // Both ends have the tunnel's port.
    add(
        "vxlan-one-port",
        each(&|p| {
            let mut outer = vxlan(from_client(p), &plain(p).data);
            outer[20..22].copy_from_slice(&4789u16.to_be_bytes());
            plain(&outer)
        }),
    );
    // An answer comes first, from the tunnel's port.
    add(
        "vxlan-backwards",
        each(&|p| {
            let mut outer = vxlan(from_client(p), &plain(p).data);
            let [a, b, c, d] = [outer[20], outer[21], outer[22], outer[23]];
            outer[20..24].copy_from_slice(&[c, d, a, b]);
            plain(&outer)
        }),
    );
    for (name, cap) in [
        ("vxlan-cut-60", 60),
        ("vxlan-cut-90", 90),
        ("vxlan-cut-110", 110),
        ("vxlan-cut-300", 300),
    ] {
        add(
            name,
            each(&|p| {
                let mut s = in_vxlan(p, &plain(p).data);
                s.data.truncate(cap);
                s
            }),
        );
    }
    let mut fragments = Vec::new();
    let mut whole = Vec::new();
    for (i, p) in both.iter().enumerate() {
        fragments.extend(fragmented(i, p).iter().map(|s| in_vxlan(p, &s.data)));
        let outer = vxlan(from_client(p), &plain(p).data);
        // One in three is in fragments.
        if i % 3 == 1 {
            whole.extend(fragmented(i, &outer));
        } else {
            whole.push(plain(&outer));
        }
    }
    add("fragments-in-vxlan", fragments);
    add("vxlan-in-fragments", whole);
    add(
        "odd-in-vxlan",
        odd()
            .iter()
            .flat_map(|s| {
                [
                    in_vxlan(both[0], &s.data),
                    in_vxlan(both[0], &plain(both[3]).data),
                ]
            })
            .collect(),
    );
    // Three tunnels deep.
    add(
        "vxlan-in-vxlan-in-gre",
        each(&|p| {
            let client = from_client(p);
            let inner = plain(&vxlan(client, &plain(p).data));
            tunnel(47, &[0, 0, 8, 0], &vxlan(client, &inner.data))
        }),
    );
    // No header in the middle: the flow is refuted.
    for (name, at, flags) in [("vxlan-refuted", 9, 0), ("vxlan-refuted-at-once", 0, 0)] {
        let mut shots = each(&|p| in_vxlan(p, &plain(p).data));
        shots[at].data[14 + 28] = flags;
        add(name, shots);
    }
    // UDP's length contradicts IP's.
    add(
        "vxlan-lengths",
        each(&|p| {
            let mut s = in_vxlan(p, &plain(p).data);
            s.data[39] = s.data[39].wrapping_sub(4);
            s
        }),
    );
    // The same connection inside and outside, in turns.
    add(
        "inside-and-outside",
        both.iter()
            .enumerate()
            .map(|(i, p)| {
                if i % 5 < 2 {
                    plain(p)
                } else {
                    in_vxlan(p, &plain(p).data)
                }
            })
            .collect(),
    );
    add(
        "geneve",
        each(&|p| {
            let t = ethertype(p);
            udp_tunnel(6081, &[2, 0, t[0], t[1], 0, 0, 1, 0, 1, 2, 3, 1, 9, 9, 9, 9], p)
        }),
    );
    add(
        "geneve-ethernet",
        each(&|p| udp_tunnel(6081, &[0, 0, 0x65, 0x58, 0, 0, 1, 0], &plain(p).data)),
    );
    // Each of these is odd or of no use in its own way.
    let heads: [&[u8]; 6] = [
        &[0, 0, 8, 0, 0, 0, 1, 0],
        &[0x40, 0, 8, 0, 0, 0, 1, 0],
        &[0, 0, 0x12, 0x34, 0, 0, 1, 0],
        &[0, 0, 0x86, 0xdd, 0, 0, 1, 0],
        &[0x3f, 0, 8, 0, 0, 0, 1, 0],
        &[0, 0, 8],
    ];
    add(
        "geneve-odd",
        heads
            .iter()
            .flat_map(|h| [udp_tunnel(6081, h, both[0]), udp_tunnel(6081, h, &[])])
            .collect(),
    );
    let gre: [(&'static str, &[u8], bool); 5] = [
        (
            "gre-all-fields",
            &[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1],
            false,
        ),
        ("gre-ethernet", &[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], true),
        (
            "erspan-2",
            &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0],
            true,
        ),
        (
            "erspan-3",
            &[
                0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7,
                8,
            ],
            true,
        ),
        ("erspan-1", &[0, 0, 0x88, 0xbe], true),
    ];
    for (name, head, framed) in gre {
        add(
            name,
            each(&|p| {
                let mut head = head.to_vec();
                if !framed {
                    head[2..4].copy_from_slice(&ethertype(p));
                }
                let frame = plain(p);
                tunnel(47, &head, if framed { &frame.data } else { p })
            }),
        );
    }
    add(
        "gre-padded-inside",
        each(&|p| {
            let t = ethertype(p);
            tunnel(47, &[0, 0, t[0], t[1]], &[p, &[7; 9][..]].concat())
        }),
    );
    add(
        "ip-in-ip-padded-inside",
        each(&|p| {
            tunnel(
                if p[0] >> 4 == 6 { 41 } else { 4 },
                &[],
                &[p, &[7; 9][..]].concat(),
            )
        }),
    );
    add(
        "hosts-of-every-kind",
        both.iter()
            .enumerate()
            .map(|(i, p)| {
                let t = ethertype(p);
                match i % 4 {
                    0 => tunnel(if p[0] >> 4 == 6 { 41 } else { 4 }, &[], p),
                    1 => tunnel(47, &[0, 0, t[0], t[1]], p),
                    2 => tunnel(47, &[0, 0, 0x65, 0x58], &plain(p).data),
                    _ => plain(&ip(false, 9, 8, 47, &[], &[&[0, 0, t[0], t[1]][..], p].concat())),
                }
            })
            .collect(),
    );
    out
}

/// What is no packet of a flow, or hardly one.
fn odd() -> Vec<Shot> {
    let rest = |n: usize| vec![0u8; n];
    let mut out = vec![
        eth(&[8, 6], &rest(28)),
        eth(&[0, 38], &[0x42; 38]),
        eth(&[0, 3], &[0x42; 1]),
        eth(&[0x05, 0xf0], &rest(50)),
        eth(&[0x12, 0x34], &rest(50)),
        eth(&[8, 0], &rest(1)),
        eth(&[8, 0], &[0x60; 60]),
        eth(&[0x86, 0xdd], &[0x45; 60]),
        eth(&[0x81, 0, 0, 1], &rest(2)),
    ];
    for proto in [0, 50, 51, 58, 59, 132, 135, 255] {
        for v6 in [false, true] {
            for body in [&[1u8; 60][..], &[0; 3], &[]] {
                out.push(plain(&ip(v6, 1, 2, proto, &[], body)));
            }
        }
    }
    // Lengths that lie, and offsets.
    let good = plain(&packets(false, &[])[3]);
    let good6 = plain(&packets(true, &[])[3]);
    for (at, with) in [
        (14, 0x44),
        (14, 0x4f),
        (16, 0xff),
        (17, 19),
        (17, 39),
        (46, 0x40),
        (46, 0xf0),
    ] {
        let mut s = good.clone();
        s.data[at] = with;
        if at == 17 {
            s.data[16] = 0;
        }
        out.push(s);
    }
    for (at, with) in [
        (14, 0x40),
        (18, 0xff),
        (20, 0),
        (20, 43),
        (20, 60),
        (20, 44),
        (20, 51),
    ] {
        let mut s = good6.clone();
        s.data[at] = with;
        out.push(s);
    }
    for n in [1, 13, 14, 16, 17, 33, 34, 50, 54] {
        for s in [&good, &good6] {
            let mut s = s.clone();
            s.data.truncate(n);
            out.push(s.clone());
            s.wire = n as u32;
            out.push(s);
        }
    }
    out
}

/// The conversation over IPv4, and over IPv6.
pub fn both() -> Vec<Vec<u8>> {
    [packets(false, &[]), packets(true, &[])].concat()
}

/// All of them.
pub fn all() -> Vec<Shape> {
    let mut out = Vec::new();
    let both = both();
    let both: Vec<&Vec<u8>> = both.iter().collect();
    let mut add = |name, shots: Vec<Shot>| out.push(Shape { name, shots });
    let each = |f: &dyn Fn(&[u8]) -> Shot| both.iter().map(|p| f(p)).collect::<Vec<_>>();
    let tagged = |tags: &'static [u8]| {
        move |p: &[u8]| {
            let types = [tags, &ethertype(p)].concat();
            eth(&types, p)
        }
    };
    add("plain", each(&plain));
    add("vlan", each(&tagged(&[0x81, 0, 0, 5])));
    add("qinq", each(&tagged(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6])));
    add(
        "three-tags",
        each(&tagged(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7])),
    );
    add("mpls", each(&|p| eth(&[0x88, 0x47, 0, 1, 0x11, 64], p)));
    add(
        "pppoe",
        each(&|p| {
            let len = (p.len() as u16 + 2).to_be_bytes();
            let ppp: &[u8] = if p[0] >> 4 == 6 { &[0, 0x57] } else { &[0, 0x21] };
            eth(&[0x88, 0x64], &[&[0x11, 0, 0, 1][..], &len, ppp, p].concat())
        }),
    );
    add(
        "snap",
        each(&|p| {
            let llc = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &ethertype(p), p].concat();
            eth(&(llc.len() as u16).to_be_bytes(), &llc)
        }),
    );
    add(
        "padded",
        each(&|p| eth(&ethertype(p), &[p, &[0xee; 22][..]].concat())),
    );
    for (name, cap) in [("cut-60", 60), ("cut-96", 96), ("cut-300", 300)] {
        add(
            name,
            each(&|p| {
                let mut s = plain(p);
                s.data.truncate(cap);
                s
            }),
        );
    }
    add("length-zero", each(&length_zero));
    // As segmentation offload leaves them.
    let long = |p: &[u8]| match p {
        [0x45, ..] if p[9] == 6 && p.len() > 60 => length_zero(&[p, &[0xaa; 80_000]].concat()),
        _ => plain(p),
    };
    add("long", each(&long));
    add(
        "long-in-vxlan",
        each(&|p| {
            let mut outer = vxlan(from_client(p), &long(p).data);
            if outer.len() > 80_000 {
                outer[24..26].fill(0);
            }
            match outer.len() {
                ..80_000 => plain(&outer),
                _ => length_zero(&outer),
            }
        }),
    );
    add(
        "bad-checksums",
        each(&|p| {
            let mut s = plain(p);
            *s.data.last_mut().unwrap() ^= 1;
            s
        }),
    );
    add(
        "fragments",
        both.iter()
            .enumerate()
            .flat_map(|(i, p)| fragmented(i, p))
            .collect(),
    );
    let home = [&[1u8, 1, 2, 0, 0, 201, 16][..], &[0xfd; 8]].concat();
    let route = |typ: u8| (43u8, [&[2, typ, 1, 0, 0, 0, 0][..], &[0xfe; 16]].concat());
    let chains: [(&'static str, Vec<Ext>); 6] = [
        ("hop-by-hop", vec![(0, vec![0, 1, 4, 0, 0, 0, 0])]),
        ("atomic-fragments", vec![(44, vec![0, 0, 0, 0, 0, 0, 9])]),
        ("routing-0", vec![route(0)]),
        ("routing-2", vec![(0, vec![0; 7]), route(2)]),
        (
            "home-address",
            vec![(60, {
                let mut h = vec![2, 1, 2, 0, 0, 201, 16];
                h.extend([0xfd; 16]);
                h
            })],
        ),
        ("odd-options", vec![(60, home), (60, vec![0, 201, 3, 0, 0, 0, 0])]),
    ];
    for (name, exts) in chains {
        add(name, packets(true, &exts).iter().map(|p| plain(p)).collect());
    }
    add(
        "gre",
        each(&|p| {
            let t = ethertype(p);
            tunnel(47, &[0, 0, t[0], t[1]], p)
        }),
    );
    add(
        "ip-in-ip",
        each(&|p| tunnel(if p[0] >> 4 == 6 { 41 } else { 4 }, &[], p)),
    );
    add(
        "vxlan",
        each(&|p| udp_tunnel(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &plain(p).data)),
    );
    add(
        "gtp",
        each(&|p| {
            let n = (p.len() as u16).to_be_bytes();
            udp_tunnel(2152, &[0x30, 0xff, n[0], n[1], 0, 0, 0, 1], p)
        }),
    );
    add("odd", odd());
    out.extend(mirrored(&both));
    out
}
