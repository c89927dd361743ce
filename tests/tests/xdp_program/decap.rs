//! Tunnels that the program takes apart itself: every frame of [`super::frames`], in each of them.

use sensor::datapath::xdp::{Inject, Injector, KernelConfig, Ring};
use sensor_common::decap::{Number, PREFIX_LEN, outer_key};
use sensor_common::flow::why;
use sensor_common::key::{IPPROTO_UDP, v4_mapped};
use sensor_common::policy::{DECAP, DECAP_GENEVE, DECAP_GRE, DECAP_IP, DECAP_VXLAN, PAYLOAD};
use sensor_common::record::RecordHeader;
use sensor_common::{Counter, FlowKey, FlowState, Packet, proto};

use super::frames::{self, Case};
use super::{XDP_PASS, flows, grew, load, load_with, on_host, plain, records};

const A: [u8; 4] = [172, 16, 0, 1];
const B: [u8; 4] = [172, 16, 0, 2];
const PORT: u16 = 50_000;
const GRE: u8 = proto::GRE;

/// A tunnel between [`A`] and [`B`].
#[derive(Clone, Copy)]
pub struct Tunnel {
    pub name: &'static str,
    bit: u32,
    proto: u8,
    /// Of UDP.
    port: u16,
    header: &'static [u8],
    /// What is inside has no Ethernet header; the EtherType, if the header has one, stands so far from its start.
    ip: bool,
    ethertype_at: Option<usize>,
}

const fn over_udp(name: &'static str, bit: u32, port: u16, header: &'static [u8], ip: bool) -> Tunnel {
    Tunnel {
        name,
        bit,
        proto: IPPROTO_UDP,
        port,
        header,
        ip,
        ethertype_at: if ip { Some(2) } else { None },
    }
}

const fn gre(name: &'static str, header: &'static [u8], ip: bool) -> Tunnel {
    Tunnel {
        name,
        bit: DECAP_GRE,
        proto: GRE,
        port: 0,
        header,
        ip,
        ethertype_at: if ip { Some(2) } else { None },
    }
}

pub const TUNNELS: [Tunnel; 9] = [
    over_udp("vxlan", DECAP_VXLAN, 4789, &[8, 0, 0, 0, 0, 0, 7, 0], false),
    over_udp(
        "geneve",
        DECAP_GENEVE,
        6081,
        &[0, 0, 0x65, 0x58, 0, 0, 7, 0],
        false,
    ),
    over_udp(
        "geneve with options",
        DECAP_GENEVE,
        6081,
        &[3, 0, 0, 0, 0, 0, 7, 0, 1, 1, 1, 2, 9, 9, 9, 9, 9, 9, 9, 9],
        true,
    ),
    gre("gre", &[0, 0, 0, 0], true),
    gre(
        "gre with all fields",
        &[0xb0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1],
        true,
    ),
    gre("gre of frames", &[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], false),
    gre(
        "erspan 2",
        &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0],
        false,
    ),
    gre(
        "erspan 3",
        &[
            0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8,
        ],
        false,
    ),
    Tunnel {
        name: "ip in ip",
        bit: DECAP_IP,
        proto: 0,
        port: 0,
        header: &[],
        ip: true,
        ethertype_at: None,
    },
];

fn be(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

impl Tunnel {
    /// The frame in the tunnel; None: without its Ethernet header it is nothing. Also where it begins there.
    pub fn wrap(&self, frame: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut header = self.header.to_vec();
        let mut inner = frame;
        let mut proto = self.proto;
        if self.ip {
            let typ = frame.get(12..14)?;
            inner = match typ {
                [8, 0] | [0x86, 0xdd] => &frame[14..],
                _ => return None,
            };
            if let Some(at) = self.ethertype_at {
                header[at..at + 2].copy_from_slice(typ);
            } else {
                proto = if typ == [8, 0] { proto::IPV4 } else { proto::IPV6 };
            }
        }
        let body = [&header[..], inner].concat();
        let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        let udp = if self.port == 0 { 0 } else { 8 };
        f.extend([0x45, 0]);
        f.extend(be(&[(20 + udp + body.len()) as u16, 7, 0]));
        f.extend([64, proto, 0, 0]);
        f.extend(A);
        f.extend(B);
        if udp != 0 {
            f.extend(be(&[PORT, self.port, 8 + body.len() as u16, 0]));
        }
        let at = f.len() + header.len();
        f.extend(body);
        Some((f, at))
    }

    pub fn is_over_udp(&self) -> bool {
        self.port != 0
    }

    /// The outer packet of a frame of so many bytes.
    fn outer(&self, ts: u64, frame: usize) -> Packet {
        let (key, dir) = FlowKey::new(&v4_mapped(A), &v4_mapped(B), PORT, self.port, IPPROTO_UDP, false);
        Packet {
            key,
            dir,
            ts,
            ip_len: frame as u32 - 14,
            payload_len: frame as u32 - 42,
            segs: 1,
            l3: 14,
            l4: 34,
            data: 42,
            ..Packet::default()
        }
    }

    /// The key that stands before what was in the tunnel.
    fn key(&self) -> FlowKey {
        if self.port != 0 {
            return self.outer(0, 100).key;
        }
        FlowKey::new(&v4_mapped(A), &v4_mapped(B), 0, 0, 0, false).0
    }

    /// Whether what is in it must have the length that it says, to the byte.
    fn is_exact(&self) -> bool {
        self.ip && self.ethertype_at.is_none()
    }
}

/// What a record of the outer packet is like, but for the number.
fn outer_record(p: &Packet, host: &FlowState, out: &sensor_common::flow::Outcome) -> RecordHeader {
    let mut want = RecordHeader::default();
    want.fill(p, host, out);
    (want.wire_len, want.cap_len) = (p.ip_len + 14, p.data as u32);
    want
}

/// The number that the program gave, out of a record.
fn numbered(got: &[(RecordHeader, Vec<u8>)]) -> u32 {
    got.last().expect("a record").0.pkt.tunnel
}

#[test]
fn what_is_in_a_tunnel_counts_in_its_flow_and_the_tunnel_in_its_own() {
    for t in TUNNELS {
        let kernel = load(PAYLOAD | t.bit);
        let (mut ring, table, mut run) = (
            kernel.ring(0).unwrap(),
            kernel.table().unwrap(),
            kernel.injector().unwrap(),
        );
        let mut taken = 0;
        for Case { name, frame, expect } in frames::tracked() {
            let what = format!("{name} in {}", t.name);
            let Some((wrapped, _)) = t.wrap(&frame) else {
                continue;
            };
            if t.is_exact() && name == "padded" {
                continue;
            }
            taken += 1;
            let inner_len = (wrapped.len() - (wrapped.len() - frame.len())) as u32;
            let inner_len = inner_len - if t.ip { 14 } else { 0 };
            let before = kernel.counters().unwrap();
            let mut p = expect.unwrap();
            let (mut inner_flow, mut outer_flow) = (FlowState::starting(1_000), FlowState::starting(1_000));
            let mut number = 0;
            for (i, ts) in [1_000, 2_000].into_iter().enumerate() {
                assert_eq!(run.test_run(&wrapped, ts).unwrap(), XDP_PASS, "{what}");
                let mut got = records(&mut ring);
                let (h, data) = got.pop().expect("a record of the inner packet");
                number = h.pkt.tunnel;
                assert!(Number::read(number).is_some(), "{what}: {number:x}");
                let skip = if t.ip { 14 } else { 0 };
                (p.ts, p.tunnel) = (ts, number);
                let mut moved = p;
                for offset in [&mut moved.l3, &mut moved.l4, &mut moved.data] {
                    *offset = *offset - skip + PREFIX_LEN as u16;
                }
                let mut out = on_host(&mut inner_flow, &p, PAYLOAD);
                assert!(out.forward(), "{what}, packet {i}: nothing is boring here");
                out.why |= why::INSIDE;
                let mut want = RecordHeader::default();
                want.fill(&moved, &inner_flow, &out);
                let cap = if out.with_payload() {
                    (moved.l3 as u32 + moved.ip_len).min(PREFIX_LEN as u32 + inner_len)
                } else {
                    moved.data as u32
                };
                (want.cap_len, want.wire_len) = (cap, PREFIX_LEN as u32 + inner_len);
                assert_eq!(h, want, "{what}, packet {i}");
                assert_eq!(outer_key(&data), Some(t.key()), "{what}");
                let inner = &frame[skip as usize..];
                assert_eq!(data[PREFIX_LEN..], inner[..cap as usize - PREFIX_LEN], "{what}");
                if t.port == 0 {
                    assert!(got.is_empty(), "{what}, packet {i}");
                    continue;
                }
                let mut o = t.outer(ts, wrapped.len());
                o.carries = number;
                let mut out = on_host(&mut outer_flow, &o, PAYLOAD);
                out.why = out.why & !why::PAYLOAD | why::OPENED | why::SHED;
                if i == 0 {
                    out.why |= why::TAKEN;
                }
                assert_eq!(got.len(), usize::from(i == 0), "{what}");
                for (h, data) in got {
                    assert_eq!(h, outer_record(&o, &outer_flow, &out), "{what}");
                    assert_eq!(data, wrapped[..42], "{what}");
                }
            }
            assert_eq!(table.take(&p.key).unwrap().map(plain), Some(inner_flow), "{what}");
            if t.port != 0 {
                (outer_flow.carries, outer_flow.taken) = (number, 1);
                let outer = t.outer(0, wrapped.len()).key;
                assert_eq!(table.take(&outer).unwrap().map(plain), Some(outer_flow), "{what}");
            }
            let after = kernel.counters().unwrap();
            for (c, n) in [
                (Counter::Frames, 2),
                (Counter::Tracked, 2),
                (Counter::Decapsulated, 2),
                (Counter::Tunnel, 0),
                (Counter::Injected, 0),
            ] {
                assert_eq!(grew(&before, &after, c), n, "{what}: {c:?}");
            }
            assert!(after.balanced(), "{what}: {after:?}");
        }
        assert!(taken > 20, "{}: {taken}", t.name);
        assert_eq!(flows(&table), 0, "{}", t.name);
    }
}

/// All of the frame that userspace needs goes up, whatever is wrong inside, and nothing counts twice.
#[test]
fn what_is_odd_in_a_tunnel_goes_up_whole() {
    let wrong = |t: &Tunnel,
                 kernel: &sensor::datapath::xdp::Kernel,
                 run: &mut Injector,
                 ring: &mut Ring,
                 what: &str,
                 bytes: &[u8],
                 how: Inject| {
        let before = kernel.counters().unwrap();
        run.run(bytes, &how).unwrap();
        let after = kernel.counters().unwrap();
        assert_eq!(grew(&before, &after, Counter::Frames), 1, "{what}");
        assert_eq!(grew(&before, &after, Counter::Decapsulated), 0, "{what}");
        assert!(after.balanced(), "{what}: {after:?}");
        let got = records(ring);
        assert_eq!(got.len(), 1, "{what}");
        assert_eq!(got[0].1, bytes, "{what}");
        assert_eq!(
            got[0].0.why & (why::OPENED | why::INSIDE | why::TAKEN),
            0,
            "{what}"
        );
        let tracked = grew(&before, &after, Counter::Tracked) == 1;
        assert!(tracked == (t.port != 0) || bytes.len() < 60, "{what}");
    };
    for t in TUNNELS {
        let kernel = load(PAYLOAD | t.bit);
        let (mut ring, table, mut run) = (
            kernel.ring(0).unwrap(),
            kernel.table().unwrap(),
            kernel.injector().unwrap(),
        );
        for Case { name, frame, .. } in frames::untracked() {
            let Some((wrapped, _)) = t.wrap(&frame) else {
                continue;
            };
            let how = Inject {
                ts: 5,
                ..Default::default()
            };
            let what = format!("{name} in {}", t.name);
            wrong(&t, &kernel, &mut run, &mut ring, &what, &wrapped, how);
        }
        // Cut anywhere before the end of the inner headers.
        let case = &frames::tracked()[0];
        let (wrapped, at) = t.wrap(&case.frame).unwrap();
        let headers = at + case.expect.unwrap().data as usize - if t.ip { 14 } else { 0 };
        for n in 42..headers {
            let how = Inject {
                ts: 5,
                wire_len: wrapped.len() as u32,
                ..Default::default()
            };
            let what = format!("{} cut at {n}", t.name);
            wrong(&t, &kernel, &mut run, &mut ring, &what, &wrapped[..n], how);
            let key = t.outer(0, wrapped.len()).key;
            let _ = table.take(&key).unwrap();
        }
        assert_eq!(flows(&table), 0, "{}", t.name);
    }
}

/// Nothing is taken apart that was not asked for.
#[test]
fn each_tunnel_is_asked_for_by_itself() {
    let frame = &frames::tracked()[0].frame;
    for bit in [0, DECAP_VXLAN, DECAP_GENEVE, DECAP_GRE, DECAP_IP, DECAP] {
        let kernel = load(PAYLOAD | bit);
        let mut run = kernel.injector().unwrap();
        for t in TUNNELS {
            let (wrapped, _) = t.wrap(frame).unwrap();
            let before = kernel.counters().unwrap();
            run.test_run(&wrapped, 1).unwrap();
            let after = kernel.counters().unwrap();
            let asked = u64::from(bit & t.bit != 0);
            assert_eq!(
                grew(&before, &after, Counter::Decapsulated),
                asked,
                "{} {bit:x}",
                t.name
            );
            assert!(after.balanced());
        }
    }
}

/// A flow that has shown to be no tunnel is none from there on; another one is not concerned.
#[test]
fn a_flow_that_is_refuted_is_left_to_userspace() {
    let kernel = load(PAYLOAD | DECAP_VXLAN);
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let t = TUNNELS[0];
    let (good, _) = t.wrap(&frames::tracked()[0].frame).unwrap();
    let mut bad = good.clone();
    bad[42] = 0;
    let mut other = good.clone();
    other[35] ^= 1;
    for (frame, taken) in [
        (&good, 1),
        (&bad, 0),
        (&good, 0),
        (&other, 1),
        (&good, 0),
        (&other, 1),
    ] {
        let before = kernel.counters().unwrap();
        run.test_run(frame, 1).unwrap();
        let after = kernel.counters().unwrap();
        assert_eq!(grew(&before, &after, Counter::Decapsulated), taken);
        let got = records(&mut ring);
        let whole = got.iter().any(|(h, data)| h.pkt.tunnel == 0 && data == frame);
        assert_eq!(whole, taken == 0);
    }
    // A new entry is a new flow.
    table.take(&t.outer(0, good.len()).key).unwrap();
    run.test_run(&good, 1).unwrap();
    assert_eq!(kernel.counters().unwrap().get(Counter::Decapsulated), 4);
}

#[test]
fn tunnels_have_numbers_of_their_own() {
    let kernel = load(DECAP);
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let case = &frames::tracked()[0];
    let inner = case.expect.unwrap().key;
    let mut number = |frame: &[u8], ts: u64| {
        run.test_run(frame, ts).unwrap();
        table.take(&inner).unwrap();
        numbered(&records(&mut ring))
    };
    let (vxlan, _) = TUNNELS[0].wrap(&case.frame).unwrap();
    let mut other = vxlan.clone();
    other[35] ^= 1;
    let first = number(&vxlan, 1);
    assert_eq!(number(&vxlan, 2), first);
    assert_ne!(number(&other, 3), first);
    // Between two addresses it is one, whatever it is and whichever way it goes.
    let (gre, _) = TUNNELS[3].wrap(&case.frame).unwrap();
    let (ip, _) = TUNNELS[8].wrap(&case.frame).unwrap();
    let mut back = ip.clone();
    back[26..34].rotate_left(4);
    let hosts = number(&gre, 4);
    assert_eq!(Number::read(hosts).map(|n| n.proto), Some(GRE));
    assert_eq!((number(&ip, 5), number(&back, 6)), (hosts, hosts));
    // After a day of silence another one, if it was looked for meanwhile: every 24 hours from the first on.
    const HOUR: u64 = 3600 * 1_000_000_000;
    assert_eq!(number(&gre, 20 * HOUR), hosts);
    assert_eq!(number(&gre, 47 * HOUR), hosts);
    let later = number(&back, 96 * HOUR);
    assert_ne!(later, hosts);
    let from = |n| Number::read(n).unwrap().from;
    assert_ne!(from(later), from(hosts));
}

#[test]
fn a_full_table_is_counted_inside_as_well() {
    for (t, counter) in [
        (TUNNELS[0], Counter::InnerTableFull),
        (TUNNELS[3], Counter::TableFull),
    ] {
        let mut config = KernelConfig {
            flows: 1,
            ..KernelConfig::default()
        };
        config.policy.bits = PAYLOAD | t.bit;
        let kernel = load_with(&config);
        let mut run = kernel.injector().unwrap();
        let cases = frames::tracked();
        let frame = if t.port == 0 {
            // Something else has the place.
            run.test_run(&cases[0].frame, 1).unwrap();
            &cases.last().unwrap().frame
        } else {
            &cases[0].frame
        };
        let (wrapped, _) = t.wrap(frame).unwrap();
        let before = kernel.counters().unwrap();
        run.test_run(&wrapped, 1).unwrap();
        let after = kernel.counters().unwrap();
        assert_eq!(grew(&before, &after, counter), 1, "{}", t.name);
        assert_eq!(grew(&before, &after, Counter::Decapsulated), 0, "{}", t.name);
        assert!(after.balanced(), "{after:?}");
    }
}
