//! Packets that userspace hands in while the hooks are at work on the same CPU. Before Linux 6.3 the kernel lets
//! the one interrupt the other in the middle of a packet.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sensor::datapath::xdp::{Inject, Kernel, KernelConfig};
use sensor_common::key::{IPPROTO_UDP, v4_mapped};
use sensor_common::{Counter, FlowKey, Packet, Policy};
use sensor_tests::link;

use super::attach::{Pair, enter};
use super::{pin, udp_frame, udp_packet};

const DATAGRAM: usize = 200;
const PORT: u16 = 6000;
const REPEAT: u32 = 300;

/// Delays what `c0` sends, so that it is sent, and seen by the program, in a timer's interrupt and not in the
/// sender's system call. Not every kernel has netem.
fn send_in_interrupts(pair: &Pair) {
    let args = "qdisc add dev c0 root netem delay 300us limit 100000";
    let out = Command::new("tc")
        .args(["-n", &pair.client])
        .args(args.split(' '))
        .output()
        .unwrap();
    if !out.status.success() {
        eprintln!("no netem here: datagrams come in their sender's time");
    }
}

#[test]
fn what_is_found_and_what_is_seen_do_not_mix() {
    let pair = Pair::new();
    send_in_interrupts(&pair);
    let mut kernel = Kernel::load(&KernelConfig {
        policy: Policy {
            bits: 0,
            ..Default::default()
        },
        ..Default::default()
    })
    .unwrap();
    let rx_packets = || {
        std::thread::scope(|s| {
            s.spawn(|| {
                enter(&pair.server);
                link::stats("s0").unwrap().rx_packets
            })
            .join()
            .unwrap()
        })
    };
    std::thread::scope(|s| {
        s.spawn(|| {
            enter(&pair.server);
            kernel.attach("s0", true).unwrap();
        });
    });
    let before = rx_packets();
    let stop = AtomicBool::new(false);
    let (found, sent) = std::thread::scope(|s| {
        // Two threads on one CPU: they interrupt each other where the kernel lets them. Runs are repeated, so that
        // most of the time is spent in the program.
        let threads: Vec<_> = [0, 0, 1]
            .into_iter()
            .zip(1u8..)
            .map(|(cpu, port)| {
                let (mut run, stop) = (kernel.injector().unwrap(), &stop);
                s.spawn(move || {
                    pin(cpu);
                    let (mut frame, _) = udp_frame(64);
                    frame[34..36].copy_from_slice(&[1, port]);
                    let mut p = udp_packet(64, 1);
                    p.key.a_port = u16::from_be_bytes([1, port]);
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        run.found(&p, &frame, 106).unwrap();
                        run.repeat(&frame, &Inject::default(), REPEAT).unwrap();
                        n += 1;
                    }
                    (p, n)
                })
            })
            .collect();
        let sender = s.spawn(|| {
            let listener = s.spawn(|| {
                enter(&pair.server);
                UdpSocket::bind(("10.9.0.1", PORT)).unwrap()
            });
            let listener = listener.join().unwrap();
            enter(&pair.client);
            let socket = UdpSocket::bind("10.9.0.2:0").unwrap();
            socket.connect(("10.9.0.1", PORT)).unwrap();
            let deadline = Instant::now() + Duration::from_secs(4);
            let mut n: u64 = 0;
            while Instant::now() < deadline {
                n += socket.send(&[7; DATAGRAM]).is_ok() as u64;
                if n.is_multiple_of(64) {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
            // What netem still has.
            std::thread::sleep(Duration::from_millis(200));
            drop(listener);
            (n, socket.local_addr().unwrap().port())
        });
        let sent = sender.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        let found: Vec<(Packet, u64)> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        (found, sent)
    });
    let frames = rx_packets() - before;
    let table = kernel.table().unwrap();
    let c = kernel.counters().unwrap();
    assert!(c.balanced(), "{c:?}");
    let rounds: u64 = found.iter().map(|(_, n)| n).sum();
    assert_eq!(c.get(Counter::Injected), rounds);
    assert_eq!(c.get(Counter::Frames), frames + rounds * REPEAT as u64);
    for (p, n) in &found {
        let n = n * (1 + REPEAT as u64);
        let flow = table.lookup(&p.key).unwrap().expect("the flow of what was found");
        let d = flow.dir[p.dir as usize];
        assert_eq!(
            (d.pkts, d.data_pkts, d.payload, d.bytes),
            (n, n, n * 64, n * 92),
            "port {}",
            p.key.a_port
        );
    }
    let (n, port) = sent;
    let ends = [[10, 9, 0, 2], [10, 9, 0, 1]].map(v4_mapped);
    let (key, dir) = FlowKey::new(&ends[0], &ends[1], port, PORT, IPPROTO_UDP, false);
    let d = table
        .lookup(&key)
        .unwrap()
        .expect("the flow of what was sent")
        .dir[dir as usize];
    assert_eq!((d.pkts, d.payload), (n, n * DATAGRAM as u64));
    let (mut in_flows, mut cursor) = (0, None);
    table
        .walk(&mut cursor, 100, |_, f| {
            in_flows += f.dir[0].data_pkts + f.dir[1].data_pkts
        })
        .unwrap();
    assert_eq!(c.get(Counter::Payload), in_flows);
    println!("{n} datagrams seen in {rounds} rounds of {REPEAT} packets handed in");
}
