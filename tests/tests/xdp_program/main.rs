//! The program in the kernel, run over crafted frames (BPF_PROG_TEST_RUN), and on interfaces in
//! namespaces of its own. Needs root.
#![allow(unsafe_code, reason = "records and states are read from bytes")]

mod attach;
mod decap;
mod dedup;
mod followed;
mod frames;
mod half_open;
mod interrupted;
mod rings;
mod skipped;
mod table;

use std::sync::Barrier;

use frames::{Case, PSH, tcp_frame};
use sensor::datapath::xdp::{Counters, Inject, Kernel, KernelConfig, KernelTable, PACKET_LEN, Ring};
use sensor_common::flow::{update, why};
use sensor_common::policy::{
    ALL_FRAMES, ALL_PACKETS, DECAP, DECAP_GENEVE, DECAP_GRE, DECAP_IP, DECAP_VXLAN, FILTER, KEEP_ENDED,
    PAYLOAD, RECORDS,
};
use sensor_common::record::{KIND_FRAME, KIND_PACKET};
use sensor_common::{Counter, FlowKey, FlowState, Packet, Policy, RecordHeader};

const XDP_PASS: u32 = 2;

fn load(bits: u32) -> Kernel {
    load_with_ring(bits, 1 << 20)
}

/// With a ring that a hundred packets fill.
fn load_small(bits: u32) -> Kernel {
    load_with_ring(bits, 1 << 16)
}

fn load_with_ring(bits: u32, ring_bytes: u32) -> Kernel {
    load_with(&KernelConfig {
        flows: 1024,
        ring_bytes,
        policy: Policy {
            bits,
            ..Default::default()
        },
        ..Default::default()
    })
}

fn load_with(config: &KernelConfig) -> Kernel {
    Kernel::load(config).expect("the program loads; these tests need root")
}

/// What the host's build of the same function makes of a packet.
fn on_host(flow: &mut FlowState, p: &Packet, bits: u32) -> sensor_common::flow::Outcome {
    // SAFETY: a local entry.
    unsafe { update(flow, p, bits) }
}

/// An entry without what the kernel notes there for itself.
fn plain(f: FlowState) -> FlowState {
    FlowState {
        half: 0,
        ring: 0,
        ..f
    }
}

fn records(ring: &mut Ring) -> Vec<(RecordHeader, Vec<u8>)> {
    let mut out = Vec::new();
    while let Some((h, data)) = ring.next() {
        out.push((*h, data.to_vec()));
    }
    out
}

fn flows(table: &KernelTable) -> usize {
    let (mut n, mut cursor) = (0, None);
    table.walk(&mut cursor, 100_000, |_, _| n += 1).unwrap();
    n
}

fn grew(before: &Counters, after: &Counters, c: Counter) -> u64 {
    after.get(c) - before.get(c)
}

/// What the policy switches off the verifier does not walk, so each policy is a program of its own to it.
#[test]
fn every_policy_is_accepted() {
    // A live run has FILTER always.
    let plain =
        (0..=PAYLOAD | ALL_PACKETS | ALL_FRAMES | RECORDS).flat_map(|b| [(b, 1, 0), (b | FILTER, 8, 96)]);
    let one = [DECAP_VXLAN, DECAP_GENEVE, DECAP_GRE, DECAP_IP].map(|b| (b | PAYLOAD, 8, 0));
    let most = [
        0,
        PAYLOAD,
        RECORDS,
        PAYLOAD | RECORDS,
        PAYLOAD | ALL_PACKETS | ALL_FRAMES | RECORDS,
    ];
    let most = most.map(|b| (b | DECAP | FILTER | KEEP_ENDED, 8, 96));
    // Copies of packets are looked for beside the rest, whose policies need not all be tried with them.
    let all = (PAYLOAD | ALL_PACKETS | ALL_FRAMES | RECORDS | FILTER, 8, 96);
    let copies = [(PAYLOAD, 1, 0), (PAYLOAD | FILTER, 8, 0), all];
    let copies = copies.into_iter().chain(one).chain(most);
    let each = plain.chain(one).chain(most).map(|p| (p, 0));
    for ((bits, rings, snaplen), dedup) in each.chain(copies.map(|p| (p, 10_000_000))) {
        let policy = Policy {
            bits,
            snaplen,
            dedup,
            ..Policy::default()
        };
        let config = KernelConfig {
            rings,
            policy,
            ..KernelConfig::default()
        };
        if let Err(e) = Kernel::load(&config) {
            panic!("{policy:?}, {rings} rings: {e}");
        }
    }
}

#[test]
fn a_frame_of_every_kind_updates_its_flow_as_the_host_build_does() {
    let kernel = load(PAYLOAD);
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    for Case { name, frame, expect } in frames::tracked() {
        let mut p = expect.unwrap();
        let mut host = FlowState::starting(1_000);
        for (i, ts) in [1_000, 2_000, 1_500].into_iter().enumerate() {
            let before = kernel.counters().unwrap();
            assert_eq!(run.test_run(&frame, ts).unwrap(), XDP_PASS, "{name}");
            p.ts = ts;
            let out = on_host(&mut host, &p, PAYLOAD);
            let entry = table.lookup(&p.key).unwrap();
            assert_eq!(entry.map(plain), Some(host), "{name}, packet {i}");
            let after = kernel.counters().unwrap();
            assert_eq!(grew(&before, &after, Counter::Frames), 1, "{name}");
            assert_eq!(
                grew(&before, &after, Counter::FrameBytes),
                frame.len() as u64,
                "{name}"
            );
            assert_eq!(grew(&before, &after, Counter::Tracked), 1, "{name}");
            assert!(after.balanced(), "{name}: {after:?}");
            let got = records(&mut ring);
            assert_eq!(got.len(), out.forward() as usize, "{name}, packet {i}");
            for (h, data) in got {
                let cap = if out.with_payload() {
                    frame.len()
                } else {
                    p.data as usize
                };
                let mut want = RecordHeader::default();
                want.fill(&p, &host, &out);
                (want.cap_len, want.wire_len, want.kind) = (cap as u32, frame.len() as u32, KIND_PACKET);
                assert_eq!(h, want, "{name}, packet {i}");
                assert_eq!(data, &frame[..cap], "{name}");
            }
        }
        assert_eq!(table.take(&p.key).unwrap().map(plain), Some(host), "{name}");
        assert_eq!(table.lookup(&p.key).unwrap(), None, "{name}");
    }
}

#[test]
fn what_is_not_tracked_has_its_reason_and_is_forwarded_whole() {
    for bits in [PAYLOAD, PAYLOAD | ALL_FRAMES] {
        let kernel = load(bits);
        let (mut ring, table, mut run) = (
            kernel.ring(0).unwrap(),
            kernel.table().unwrap(),
            kernel.injector().unwrap(),
        );
        for Case { name, frame, expect } in frames::untracked() {
            let reason = expect.unwrap_err();
            let before = kernel.counters().unwrap();
            assert_eq!(run.test_run(&frame, 77).unwrap(), XDP_PASS, "{name}");
            let after = kernel.counters().unwrap();
            assert_eq!(grew(&before, &after, reason), 1, "{name}: {after:?}");
            assert!(after.balanced(), "{name}");
            assert_eq!(flows(&table), 0, "{name}");
            let got = records(&mut ring);
            let forwarded = reason != Counter::NotIp || bits & ALL_FRAMES != 0;
            assert_eq!(got.len(), forwarded as usize, "{name}");
            for (h, data) in got {
                assert_eq!(
                    (h.kind, h.untracked, h.pkt.ts),
                    (KIND_FRAME, reason as u8, 77),
                    "{name}"
                );
                assert_eq!((data, h.wire_len), (frame.clone(), frame.len() as u32), "{name}");
            }
        }
    }
}

#[test]
fn no_truncation_is_more_than_truncated() {
    let kernel = load(PAYLOAD | ALL_FRAMES);
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let mut cases = frames::tracked();
    cases.extend(frames::untracked());
    for Case { name, frame, expect } in cases {
        for n in 14..=frame.len() {
            let before = kernel.counters().unwrap();
            let how = Inject {
                ts: 9,
                wire_len: frame.len() as u32,
                ..Default::default()
            };
            assert_eq!(run.run(&frame[..n], &how).unwrap(), XDP_PASS, "{name} at {n}");
            let after = kernel.counters().unwrap();
            assert_eq!(grew(&before, &after, Counter::Frames), 1, "{name} at {n}");
            assert!(after.balanced(), "{name} at {n}");
            if let Ok(mut p) = expect {
                let mut host = FlowState::starting(9);
                p.ts = 9;
                on_host(&mut host, &p, PAYLOAD);
                let tracked = n >= p.data as usize;
                assert_eq!(
                    table.take(&p.key).unwrap().map(plain),
                    tracked.then_some(host),
                    "{name} at {n}"
                );
                assert_eq!(
                    grew(&before, &after, Counter::Truncated),
                    !tracked as u64,
                    "{name} at {n}"
                );
            } else {
                assert_eq!(grew(&before, &after, Counter::Tracked), 0, "{name} at {n}");
            }
            records(&mut ring);
        }
    }
    assert_eq!(flows(&table), 0);
}

/// IPv4 UDP, `n` bytes of payload, from 10.0.0.1 port 53.
fn udp_frame(n: usize) -> (Vec<u8>, FlowKey) {
    let case = frames::tracked()
        .into_iter()
        .find(|c| c.name == "udp4 0 vlans 0 options")
        .unwrap();
    let mut f = case.frame[..42].to_vec();
    f[16..18].copy_from_slice(&((28 + n) as u16).to_be_bytes());
    f[38..40].copy_from_slice(&((8 + n) as u16).to_be_bytes());
    f.extend((0..n).map(|i| i as u8));
    (f, case.expect.unwrap().key)
}

#[test]
fn large_frames_arrive_whole() {
    let kernel = load(PAYLOAD);
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    for n in [
        1, 30, 31, 54, 55, 100, 150, 151, 342, 343, 599, 726, 727, 1110, 1111, 1472, 1486, 1487, 3000, 3800,
        5000, 8972, 10_199, 20_000, 32_726, 32_727, 65_000, 65_494, 65_507,
    ] {
        let (frame, _) = udp_frame(n);
        run.test_run(&frame, 1).unwrap();
        let got = records(&mut ring);
        assert_eq!(got.len(), 1, "{n}");
        assert_eq!(got[0].0.cap_len as usize, frame.len(), "{n}");
        assert!(got[0].1 == frame, "{n}");
    }
    // As from a capture, which tells its length on the wire; in one piece, and in several.
    for n in [1000, 5000, 20_000, 60_000] {
        let frame = tcp_frame(n, 0, PSH, &vec![b'x'; n as usize]);
        let how = Inject {
            ts: 2,
            wire_len: frame.len() as u32,
            ..Inject::default()
        };
        run.run(&frame, &how).unwrap();
        let got = records(&mut ring);
        assert_eq!((got.len(), got[0].0.pkt.cut), (1, 0), "{n}");
        assert!(got[0].1 == frame, "{n}");
    }
    let kernel = load_with(&KernelConfig {
        policy: Policy {
            snaplen: 96,
            ..Default::default()
        },
        ..Default::default()
    });
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    let (frame, _) = udp_frame(9000);
    run.test_run(&frame, 1).unwrap();
    let got = records(&mut ring);
    assert_eq!((got[0].0.cap_len, got[0].0.wire_len as usize), (96, frame.len()));
    assert_eq!(got[0].1, &frame[..96]);
}

#[test]
fn shedding_stops_one_direction_and_counters_go_on() {
    let kernel = load(PAYLOAD);
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let (frame, key) = udp_frame(100);
    run.test_run(&frame, 1).unwrap();
    let (h, _) = records(&mut ring).remove(0);
    let dir = 1 << h.pkt.dir;
    table.order(true, &[(key, 3 ^ dir)]).unwrap();
    run.test_run(&frame, 2).unwrap();
    assert_eq!(records(&mut ring).len(), 1, "the other direction was shed");
    table.order(true, &[(FlowKey::default(), 3), (key, dir)]).unwrap();
    assert_eq!(table.lookup(&key).unwrap().unwrap().shed, 3);
    run.test_run(&frame, 3).unwrap();
    assert_eq!(records(&mut ring).len(), 0);
    table.order(false, &[(key, dir)]).unwrap();
    run.test_run(&frame, 4).unwrap();
    assert_eq!(records(&mut ring).len(), 1);
    let c = kernel.counters().unwrap();
    assert_eq!(
        (
            c.get(Counter::Forwarded),
            c.get(Counter::Shed),
            c.get(Counter::Payload)
        ),
        (3, 1, 4)
    );
    assert_eq!(
        table.lookup(&key).unwrap().unwrap().dir[h.pkt.dir as usize].pkts,
        4
    );
    assert!(c.balanced());
}

/// The packet in [`udp_frame`], as userspace would find it.
fn udp_packet(n: usize, ts: u64) -> Packet {
    let case = frames::tracked()
        .into_iter()
        .find(|c| c.name == "udp4 0 vlans 0 options");
    Packet {
        ts,
        ip_len: 28 + n as u32,
        payload_len: n as u32,
        ..case.unwrap().expect.unwrap()
    }
}

/// What userspace found counts as it says, whatever the bytes are, and in its flow alone.
#[test]
fn found_packets_count_in_their_flow_alone() {
    let kernel = load(PAYLOAD);
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let mut host = FlowState::starting(8);
    for (i, bytes) in [vec![0xee; 42], vec![0xee; 3042], vec![0xee; 70_000]]
        .into_iter()
        .enumerate()
    {
        let p = Packet {
            ip_len: 0,
            ..udp_packet(3000, 8 + i as u64)
        };
        run.found(&p, &bytes, 9_999).unwrap();
        let out = on_host(&mut host, &p, PAYLOAD);
        let c = kernel.counters().unwrap();
        let n = i as u64 + 1;
        assert_eq!(
            (
                c.get(Counter::Frames),
                c.get(Counter::Injected),
                c.get(Counter::Tracked)
            ),
            (0, n, 0)
        );
        assert_eq!((c.get(Counter::Payload), c.get(Counter::Forwarded)), (n, n));
        assert!(c.balanced());
        assert_eq!(table.lookup(&p.key).unwrap(), Some(host));
        let (h, got) = records(&mut ring).remove(0);
        let behind = |at: u16| at + PACKET_LEN as u16;
        let mut want = RecordHeader::default();
        let moved = Packet {
            l3: behind(p.l3),
            l4: behind(p.l4),
            data: behind(p.data),
            ..p
        };
        want.fill(&moved, &host, &out);
        (want.cap_len, want.wire_len) = (got.len() as u32, 9_999);
        assert_eq!(h, want);
        let carried = bytes.len().min(66_048 - PACKET_LEN);
        assert!(got[PACKET_LEN..] == bytes[..carried], "{i}");
    }
}

/// Headers alone go up where nobody wants payload, also when there are fewer bytes than they say.
#[test]
fn found_headers_are_cut_like_others() {
    let kernel = load(0);
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    let mut p = udp_packet(1000, 5);
    for (port, bytes, carried) in [(7, 1042, 42), (8, 42, 42), (9, 20, 20)] {
        p.key.a_port = port;
        run.found(&p, &vec![3; bytes], 0).unwrap();
        let (h, got) = records(&mut ring).remove(0);
        assert_eq!(
            (h.cap_len as usize, got.len()),
            (PACKET_LEN + carried, PACKET_LEN + carried)
        );
    }
}

#[test]
fn a_change_of_tunnels_is_forwarded() {
    let kernel = load(0);
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    let (frame, _) = udp_frame(64);
    for (ts, tunnel) in [(1, 7), (2, 7), (3, 8), (4, 8), (5, 0), (6, 0)] {
        let p = Packet {
            tunnel,
            ..udp_packet(64, ts)
        };
        run.found(&p, &frame, 0).unwrap();
    }
    let got: Vec<_> = records(&mut ring)
        .iter()
        .map(|(h, _)| (h.pkt.ts, h.pkt.tunnel, h.why & why::TUNNEL != 0))
        .collect();
    assert_eq!(got, [(1, 7, true), (3, 8, true), (5, 0, true)]);
}

/// A capture may have cut the payload of what nobody wants: userspace learns of it by a record.
#[test]
fn payload_that_a_capture_cut_is_told_of() {
    let kernel = load(0);
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    let case = frames::tracked()
        .into_iter()
        .find(|c| c.name == "tcp4 0 vlans 0+0 options 1400 bytes")
        .unwrap();
    let mut seq = 1000u32;
    for (cut, told) in [(0, true), (0, false), (400, true), (0, false), (1400, true)] {
        let mut f = case.frame.clone();
        f[38..42].copy_from_slice(&seq.to_be_bytes());
        // No acknowledgement: there is nobody to acknowledge.
        f[47] = 0;
        seq += 1400;
        let how = Inject {
            ts: 1,
            wire_len: f.len() as u32,
            ..Default::default()
        };
        run.run(&f[..f.len() - cut], &how).unwrap();
        let got = records(&mut ring);
        assert_eq!(got.len(), told as usize, "{cut}");
        for (h, _) in got {
            assert_eq!((h.pkt.cut as usize, h.pkt.payload_len), (cut, 1400));
            assert_eq!(h.why & why::CUT != 0, cut != 0);
        }
    }
}

fn pin(cpu: usize) {
    // SAFETY: a zeroed set is an empty one; the calling thread's affinity.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set), 0);
    }
}

#[test]
fn two_cpus_on_one_flow_count_exactly() {
    const ROUNDS: u32 = 40;
    const REPEAT: u32 = 5_000;
    let kernel = load(0);
    let table = kernel.table().unwrap();
    let (frame, key) = udp_frame(64);
    let barrier = Barrier::new(2);
    std::thread::scope(|s| {
        for cpu in 0..2 {
            let (mut run, frame, barrier) = (kernel.injector().unwrap(), frame.clone(), &barrier);
            s.spawn(move || {
                pin(cpu);
                for i in 0..ROUNDS {
                    barrier.wait();
                    let how = Inject {
                        ts: 100 + i as u64,
                        ..Default::default()
                    };
                    run.repeat(&frame, &how, REPEAT).unwrap();
                }
            });
        }
    });
    let n = 2 * (ROUNDS * REPEAT) as u64;
    let flow = table.lookup(&key).unwrap().unwrap();
    let d = if flow.dir[0].pkts > 0 {
        flow.dir[0]
    } else {
        flow.dir[1]
    };
    assert_eq!((d.pkts, d.bytes, d.payload), (n, n * 92, n * 64));
    let c = kernel.counters().unwrap();
    assert_eq!((c.get(Counter::Frames), c.get(Counter::FlowsCreated)), (n, 1));
    assert!(c.balanced());
}
