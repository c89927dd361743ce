//! Packets that come twice: the program says so where the soft datapath does, which compares all of a packet, and does nothing
//! else with them.

use sensor::datapath::soft::{Addrs, Flows, InnerPacket, PacketSink, Soft, SoftConfig, Untracked};
use sensor::datapath::xdp::{Inject, Kernel, KernelConfig};
use sensor::packet::{Frame, LinkType, Weird};
use sensor_common::policy::{DECAP, PAYLOAD};
use sensor_common::{Counter, Packet, Policy, RecordHeader};

use super::decap::TUNNELS;
use super::frames::{self, ACK, Case, PSH, tcp_frame};
use super::{XDP_PASS, flows, grew, load_with, pin, plain, records};

/// In ns.
const WINDOW: u64 = 1_000;

fn load(bits: u32) -> Kernel {
    load_with(&KernelConfig {
        flows: 1024,
        policy: policy(bits),
        ..KernelConfig::default()
    })
}

fn policy(bits: u32) -> Policy {
    Policy {
        bits,
        dedup: WINDOW as u32,
        ..Policy::default()
    }
}

/// The soft datapath, of which nobody wants anything.
struct Host(Soft);

impl Host {
    fn new() -> Self {
        Host(Soft::new(SoftConfig {
            policy: policy(PAYLOAD),
            ..SoftConfig::default()
        }))
    }

    /// Whether a frame was a copy.
    fn is_again(&mut self, frame: &[u8], ts: u64) -> bool {
        let f = Frame {
            ts,
            link: LinkType::ETHERNET,
            data: frame,
            wire_len: frame.len() as u32,
            iface: 0,
        };
        let _ = self.0.frame(&f, &mut Nobody);
        self.0.take_duplicate()
    }
}

struct Nobody;

impl PacketSink for Nobody {
    fn advance(&mut self, _: u64, _: &mut Flows) {}
    fn record(&mut self, _: &RecordHeader, _: &[u8], _: &mut Flows) -> Option<InnerPacket> {
        None
    }
    fn packet_weird(&mut self, _: &Packet, _: Weird, _: &[u8], _: &mut Flows) {}
    fn untracked(&mut self, _: &Untracked<'_>, _: &mut Flows) {}
    fn weird(&mut self, _: u64, _: &'static str, _: &str, _: Option<&Addrs>, _: &mut Flows) {}
}

#[test]
fn a_copy_counts_as_one_and_for_nothing_else() {
    let kernel = load(PAYLOAD);
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let mut host = Host::new();
    let mut ts = 1_000_000;
    let mut copies = 0;
    for Case { name, frame, expect } in frames::tracked().into_iter().chain(frames::untracked()) {
        ts += 10 * WINDOW;
        assert_eq!(run.test_run(&frame, ts).unwrap(), XDP_PASS, "{name}");
        assert!(!host.is_again(&frame, ts), "{name}");
        records(&mut ring);
        let key = expect.map(|p| p.key).unwrap_or_default();
        let entry = table.lookup(&key).unwrap().map(plain);
        let before = kernel.counters().unwrap();
        assert_eq!(run.test_run(&frame, ts + WINDOW).unwrap(), XDP_PASS, "{name}");
        let after = kernel.counters().unwrap();
        assert!(after.balanced(), "{name}: {after:?}");
        assert_eq!(grew(&before, &after, Counter::Frames), 1, "{name}");
        let again = grew(&before, &after, Counter::Duplicate);
        // Frames in which the program finds no IP header that is right go to userspace, which looks at them.
        let looked_at = match expect {
            Ok(_) => true,
            Err(reason) => !matches!(
                reason,
                Counter::NotIp | Counter::OtherEthertype | Counter::Truncated | Counter::Malformed
            ),
        };
        if looked_at {
            let by_host = host.is_again(&frame, ts + WINDOW);
            assert_eq!(again == 1, by_host, "{name}");
        }
        copies += again;
        if again == 0 {
            continue;
        }
        assert_eq!(
            grew(&before, &after, Counter::FrameBytes),
            frame.len() as u64,
            "{name}"
        );
        assert_eq!(grew(&before, &after, Counter::Payload), 0, "{name}");
        assert_eq!(records(&mut ring).len(), 0, "{name}");
        assert_eq!(table.lookup(&key).unwrap().map(plain), entry, "{name}");
        // The time is that of the first one.
        let before = kernel.counters().unwrap();
        run.test_run(&frame, ts + WINDOW + 1).unwrap();
        assert_eq!(
            grew(&before, &kernel.counters().unwrap(), Counter::Duplicate),
            0,
            "{name}"
        );
        records(&mut ring);
    }
    assert!(copies > 50, "{copies}");
}

/// Of every frame each bit in turn: what routers leave alone makes another packet.
#[test]
fn what_makes_another_packet_is_what_the_soft_datapath_says() {
    let kernel = load(0);
    let mut run = kernel.injector().unwrap();
    let (mut ring, table) = (kernel.ring(0).unwrap(), kernel.table().unwrap());
    let mut host = Host::new();
    let mut ts = 1_000_000;
    let (mut same, mut other) = (0, 0);
    for Case { name, frame, .. } in frames::tracked() {
        for bit in 0..8 * frame.len().min(200) {
            ts += 10 * WINDOW;
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            run.test_run(&frame, ts).unwrap();
            assert!(!host.is_again(&frame, ts), "{name}");
            let before = kernel.counters().unwrap();
            run.test_run(&changed, ts + 1).unwrap();
            let after = kernel.counters().unwrap();
            let again = grew(&before, &after, Counter::Duplicate) == 1;
            assert_eq!(again, host.is_again(&changed, ts + 1), "{name}, bit {bit}");
            assert!(after.balanced(), "{name}, bit {bit}");
            if again {
                same += 1;
            } else {
                other += 1;
            }
            records(&mut ring);
        }
        if flows(&table) > 500 {
            table
                .walk(&mut None, 100_000, |key, _| drop(table.take(key)))
                .unwrap();
        }
    }
    assert!(same > 1000 && other > 10_000, "{same} {other}");
}

/// Of a long packet the first two kilobytes are compared; the checksum is among them.
#[test]
fn long_packets_are_compared_by_their_first_two_kilobytes() {
    let kernel = load(0);
    let mut run = kernel.injector().unwrap();
    for (i, n) in [1460, 2007, 2008, 2009, 4000, 9000, 60_000]
        .into_iter()
        .enumerate()
    {
        let frame = tcp_frame(1, 1, ACK | PSH, &vec![b'x'; n]);
        let ts = 1_000_000 * (1 + i as u64);
        let again = |run: &mut sensor::datapath::xdp::Injector, frame: &[u8], ts| {
            let before = kernel.counters().unwrap();
            run.test_run(frame, ts).unwrap();
            grew(&before, &kernel.counters().unwrap(), Counter::Duplicate) == 1
        };
        assert!(!again(&mut run, &frame, ts), "{n}");
        assert!(again(&mut run, &frame, ts + 1), "{n}");
        let mut places = vec![54, 1000, 1500, 14 + 2047, 14 + 2048, frame.len() - 1];
        places.sort_unstable();
        places.dedup();
        for at in places {
            let mut other = frame.clone();
            let Some(byte) = other.get_mut(at) else { continue };
            *byte ^= 1;
            let beyond = at >= 14 + 2048;
            assert_eq!(again(&mut run, &other, ts + 2), beyond, "{n} bytes, at {at}");
        }
    }
}

/// Two mirrors send the same packet, each in a tunnel's packet of its own.
#[test]
fn what_is_mirrored_twice_is_told_by_what_is_inside() {
    let inner = tcp_frame(7, 9, ACK | PSH, b"once");
    for t in TUNNELS {
        let kernel = load(PAYLOAD | DECAP);
        let (mut ring, table, mut run) = (
            kernel.ring(0).unwrap(),
            kernel.table().unwrap(),
            kernel.injector().unwrap(),
        );
        let (wrapped, _) = t.wrap(&inner).unwrap();
        for (i, id) in [7, 8].into_iter().enumerate() {
            let mut frame = wrapped.clone();
            frame[19] = id;
            run.test_run(&frame, 1_000_000 + i as u64).unwrap();
        }
        let key = frames::tracked()[0].expect.unwrap().key;
        let of = kernel.counters().unwrap();
        let over_udp = u64::from(t.is_over_udp());
        for (c, n) in [
            (Counter::Frames, 2),
            (Counter::Tracked, 1 + over_udp),
            (Counter::Decapsulated, 1),
            (Counter::Duplicate, 1 - over_udp),
            (Counter::InnerDuplicate, over_udp),
        ] {
            assert_eq!(of.get(c), n, "{}: {c:?}", t.name);
        }
        assert!(of.balanced(), "{}", t.name);
        let (mut found, mut cursor) = (0, None);
        table
            .walk(&mut cursor, 100, |k, f| {
                if k.proto == key.proto && k.a_port != 0 && f.dir.iter().any(|d| d.payload == 4) {
                    found += f.dir[0].pkts + f.dir[1].pkts;
                }
            })
            .unwrap();
        assert_eq!(found, 1, "{}", t.name);
        records(&mut ring);
        // The tunnel's own packet, twice.
        run.test_run(&wrapped, 1_000_002).unwrap();
        let now = kernel.counters().unwrap();
        assert_eq!(grew(&of, &now, Counter::Duplicate), 1, "{}", t.name);
        assert_eq!(records(&mut ring).len(), 0, "{}", t.name);
    }
}

/// The two copies on two CPUs, at the same time: each packet counts once at least, and twice at most.
#[test]
fn two_cpus_lose_no_packet() {
    const PACKETS: u32 = 20_000;
    let kernel = load(0);
    let barrier = std::sync::Barrier::new(2);
    std::thread::scope(|s| {
        for cpu in 0..2 {
            let (mut run, barrier) = (kernel.injector().unwrap(), &barrier);
            s.spawn(move || {
                pin(cpu);
                barrier.wait();
                for n in 0..PACKETS {
                    let frame = tcp_frame(n, 0, ACK, &[]);
                    let how = Inject {
                        ts: 1_000_000,
                        ..Inject::default()
                    };
                    run.run(&frame, &how).unwrap();
                }
            });
        }
    });
    let c = kernel.counters().unwrap();
    assert_eq!(c.get(Counter::Frames), 2 * u64::from(PACKETS));
    let tracked = c.get(Counter::Tracked);
    // What both had in hand at once is a small part.
    let once = u64::from(PACKETS)..u64::from(PACKETS) * 11 / 10;
    assert!(once.contains(&tracked), "{tracked}");
    for cpu in kernel.counters_by_cpu().unwrap() {
        assert!(cpu.balanced(), "{cpu:?}");
    }
}
