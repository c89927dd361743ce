//! The rings: what they share, what finds room in them, and who waits at them.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use sensor::datapath::xdp::{Injector, KernelConfig};
use sensor_common::flow::why;
use sensor_common::policy::{ALL_PACKETS, PAYLOAD};
use sensor_common::{Counter, Policy};

use super::frames::{FIN, PSH, tcp_frame};
use super::{XDP_PASS, flows, load, load_small, load_with, records, udp_frame};

#[test]
fn a_full_ring_and_a_full_table_are_counted() {
    let kernel = load_with(&KernelConfig {
        flows: 16,
        ring_bytes: 1 << 16,
        ..Default::default()
    });
    let (mut ring, table, mut run) = (
        kernel.ring(0).unwrap(),
        kernel.table().unwrap(),
        kernel.injector().unwrap(),
    );
    let (frame, key) = udp_frame(1000);
    for _ in 0..100 {
        run.test_run(&frame, 5).unwrap();
    }
    let c = kernel.counters().unwrap();
    let got = records(&mut ring).len() as u64;
    assert!(got > 10 && got < 100, "{got}");
    assert_eq!(
        (c.get(Counter::Forwarded), c.get(Counter::Lost), c.ring_lost[0]),
        (got, 100 - got, 100 - got)
    );
    assert_eq!(
        table
            .lookup(&key)
            .unwrap()
            .unwrap()
            .dir
            .iter()
            .map(|d| d.pkts)
            .sum::<u64>(),
        100
    );
    for port in 0..200u16 {
        let mut f = frame.clone();
        f[36..38].copy_from_slice(&(1000 + port).to_be_bytes());
        assert_eq!(run.test_run(&f, 6).unwrap(), XDP_PASS);
        records(&mut ring);
    }
    let c = kernel.counters().unwrap();
    let made = flows(&table) as u64;
    assert!(made >= 16, "{made}");
    assert_eq!(c.get(Counter::FlowsCreated), made);
    assert_eq!(c.get(Counter::TableFull), 201 - made);
    assert!(c.balanced(), "{c:?}");
    run.test_run(&frame, 7).unwrap();
    assert_eq!(
        table.lookup(&key).unwrap().unwrap().last(),
        7,
        "known flows go on"
    );
}

#[test]
fn a_ring_that_fills_up_keeps_room_for_headers() {
    let kernel = load_small(PAYLOAD);
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    let payload = [b'x'; 1000];
    // Nothing is acknowledged: nobody answers.
    let mut seq = 1;
    run.test_run(&tcp_frame(0, 0, FIN, &[]), 1).unwrap();
    for _ in 0..100 {
        run.test_run(&tcp_frame(seq, 0, PSH, &payload), 2).unwrap();
        seq += 1000;
    }
    run.test_run(&tcp_frame(seq, 0, FIN, &payload), 3).unwrap();
    // Another connection.
    run.test_run(&udp_frame(1000).0, 4).unwrap();
    let c = kernel.counters().unwrap();
    let got = records(&mut ring);
    let [.., fin, udp] = &got[..] else {
        panic!("{} records", got.len())
    };
    assert_eq!((fin.0.pkt.flags, fin.0.pkt.payload_len), (FIN, 1000));
    assert_ne!(udp.0.why & why::NEW_FLOW, 0);
    for (header, bytes) in [fin, udp] {
        assert_eq!(header.why & (why::SHED | why::PAYLOAD), why::SHED);
        assert_eq!(bytes.len(), header.pkt.data as usize, "headers alone");
    }
    let whole = got.len() as u64 - 3;
    assert!(whole > 10, "{whole}");
    assert_eq!(c.get(Counter::Forwarded), whole);
    assert_eq!((c.get(Counter::Lost), c.ring_lost[0]), (102 - whole, 100 - whole));
    assert_eq!(
        (c.get(Counter::HeaderRecords), c.get(Counter::HeaderLost)),
        (3, 0)
    );
    assert!(c.balanced(), "{c:?}");
}

#[test]
fn frames_that_are_not_tracked_leave_room_for_headers() {
    for bits in [PAYLOAD, PAYLOAD | ALL_PACKETS] {
        let kernel = load_small(bits);
        let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
        let mut fragment = udp_frame(1000).0;
        // Fragment offset 8.
        fragment[21] = 1;
        for _ in 0..100 {
            run.test_run(&fragment, 1).unwrap();
        }
        for n in 0..10 {
            let mut fin = tcp_frame(0, 0, FIN, &[]);
            fin[35] = n;
            run.test_run(&fin, 2).unwrap();
        }
        let c = kernel.counters().unwrap();
        let got = records(&mut ring);
        let fins = got.iter().filter(|(h, _)| h.why & why::CONTROL != 0).count();
        assert_eq!(fins, 10);
        let frames = got.len() as u64 - 10;
        assert_eq!(
            (c.get(Counter::FrameRecords), c.get(Counter::FrameLost)),
            (frames, 100 - frames)
        );
        assert!(frames > 10 && c.ring_lost[0] == 100 - frames, "{c:?}");
        assert_eq!(
            (c.get(Counter::HeaderRecords), c.get(Counter::HeaderLost)),
            (10, 0)
        );
        assert!(c.balanced(), "{c:?}");
    }
}

/// The packets in two outer flows between the same ends are to be seen in their order.
#[test]
fn tunnels_between_two_ends_share_a_ring() {
    let kernel = load_with(&KernelConfig {
        rings: 8,
        ..Default::default()
    });
    let mut run = kernel.injector().unwrap();
    let mut rings: Vec<_> = (0..8).map(|i| kernel.ring(i).unwrap()).collect();
    let (mut frame, _) = udp_frame(64);
    frame[36..38].copy_from_slice(&4789u16.to_be_bytes());
    for port in 0..64u16 {
        frame[34..36].copy_from_slice(&(40_000 + port).to_be_bytes());
        run.test_run(&frame, 1).unwrap();
    }
    let used: Vec<_> = rings.iter_mut().map(|r| records(r).len()).collect();
    assert_eq!(
        used.iter().filter(|n| **n > 0).collect::<Vec<_>>(),
        [&64],
        "{used:?}"
    );
}

#[test]
fn rings_share_the_flows() {
    let kernel = load_with(&KernelConfig {
        rings: 8,
        policy: Policy {
            seed: [7, 9],
            ..Policy::default()
        },
        ..Default::default()
    });
    let mut run = kernel.injector().unwrap();
    let mut rings: Vec<_> = (0..8).map(|i| kernel.ring(i).unwrap()).collect();
    let (frame, _) = udp_frame(64);
    for port in 0..512u16 {
        let mut f = frame.clone();
        f[36..38].copy_from_slice(&(2000 + port).to_be_bytes());
        run.test_run(&f, 1).unwrap();
    }
    let mut sum = 0;
    for (i, ring) in rings.iter_mut().enumerate() {
        let got = records(ring);
        assert!(got.len() > 20, "ring {i}: {}", got.len());
        assert!(
            got.iter()
                .all(|(h, _)| h.pkt.key.ring_hash([7, 9]) % 8 == i as u32)
        );
        sum += got.len();
    }
    assert_eq!(sum, 512);
    assert!(kernel.ring(8).is_err());
}

/// Sends a datagram after a moment; how long `waiting` took.
fn while_one_comes(run: &mut Injector, waiting: impl FnOnce()) -> Duration {
    std::thread::scope(|s| {
        s.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            run.test_run(&udp_frame(10).0, 1).unwrap();
        });
        let started = Instant::now();
        waiting();
        started.elapsed()
    })
}

/// A wake-up for each record would cost more than all the rest.
#[test]
fn only_who_says_that_it_sleeps_is_woken() {
    const LONG: Duration = Duration::from_millis(400);
    let kernel = load(ALL_PACKETS);
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    for _ in 0..3 {
        let mut unsaid = libc::pollfd {
            fd: ring.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let took = while_one_comes(&mut run, || {
            // SAFETY: one valid pollfd.
            unsafe { libc::poll(&raw mut unsaid, 1, LONG.as_millis() as i32) };
        });
        assert!(took >= LONG, "{took:?}");
        assert_eq!(records(&mut ring).len(), 1);
        while_one_comes(&mut run, || assert!(ring.wait(Duration::from_secs(20)).unwrap()));
        assert_eq!(records(&mut ring).len(), 1);
        // There is one already.
        run.test_run(&udp_frame(10).0, 1).unwrap();
        assert!(ring.wait(Duration::from_secs(20)).unwrap());
        assert_eq!(records(&mut ring).len(), 1);
    }
}

#[test]
fn a_reader_wakes() {
    let kernel = load(ALL_PACKETS);
    let (mut ring, mut run) = (kernel.ring(0).unwrap(), kernel.injector().unwrap());
    assert!(!ring.wait(Duration::from_millis(1)).unwrap());
    std::thread::scope(|s| {
        s.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            run.test_run(&udp_frame(10).0, 1).unwrap();
        });
        assert!(ring.wait(Duration::from_secs(5)).unwrap());
    });
    let got = records(&mut ring);
    assert_eq!(got.len(), 1);
    assert_ne!(got[0].0.why & why::ALL, 0);
}
