//! The update of a flow's state: what is counted, and what may stay in the kernel.
#![allow(unsafe_code, reason = "the functions under test take pointers")]

use proptest::prelude::*;
use sensor_common::flow::{Outcome, update, why};
use sensor_common::key::{
    FlowKey, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, Realm, icmp_ports, v4_mapped,
};
use sensor_common::packet::tcp_flags::{ACK, FIN, RST, SYN};
use sensor_common::{FlowState, Packet, policy};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];

fn packet(dir: u8, flags: u8, seq: u32, ack: u32, len: u32) -> Packet {
    let (key, _) = FlowKey::new(&v4_mapped(A), &v4_mapped(B), 1000, 80, IPPROTO_TCP, false);
    Packet {
        key,
        ts: 1,
        ip_len: 40 + len,
        payload_len: len,
        seq,
        ack,
        window: 1000,
        flags,
        dir,
        segs: 1,
        ..Packet::default()
    }
}

fn step(flow: &mut FlowState, p: &Packet, bits: u32) -> Outcome {
    // SAFETY: an exclusive reference is a live, aligned entry that nobody else uses.
    unsafe { update(flow, p, bits) }
}

/// A flow after its handshake: client at 101, server at 501.
fn established() -> FlowState {
    let mut f = FlowState::starting(1);
    for p in [
        packet(0, SYN, 100, 0, 0),
        packet(1, SYN | ACK, 500, 101, 0),
        packet(0, ACK, 101, 501, 0),
        packet(1, ACK, 501, 101, 0),
    ] {
        assert!(step(&mut f, &p, 0).forward(), "each of these is news");
    }
    f
}

#[test]
fn a_boring_packet_stays() {
    let mut f = established();
    assert!(
        step(&mut f, &packet(0, ACK, 101, 501, 100), 0).forward(),
        "first payload"
    );
    for i in 1..100 {
        assert!(!step(&mut f, &packet(0, ACK, 101 + i * 100, 501, 100), 0).forward());
        assert!(!step(&mut f, &packet(1, ACK, 501, 201 + i * 100, 0), 0).forward());
    }
    assert_eq!(f.dir[0].next, 101 + 100 * 100);
    assert_eq!((f.dir[0].payload, f.dir[0].data_pkts), (10_000, 100));
}

#[test]
fn what_teaches_something_is_forwarded() {
    let news = |p: Packet| step(&mut established(), &p, 0).why & why::FORWARD;
    assert_ne!(news(packet(0, ACK | FIN, 101, 501, 0)) & why::CONTROL, 0);
    assert_ne!(news(packet(0, RST, 101, 0, 0)) & why::CONTROL, 0);
    assert_ne!(news(packet(0, ACK, 151, 501, 10)) & why::OUT_OF_ORDER, 0);
    assert_ne!(news(packet(1, ACK, 501, 999, 0)) & why::UNEXPECTED_ACK, 0);
    // An acknowledgement that got half the number space ahead in one step more.
    let mut f = established();
    step(&mut f, &packet(1, ACK, 501, 1000, 0), 0);
    let far = packet(1, ACK, 501, 101 + (1 << 31), 0);
    assert_ne!(step(&mut f, &far, 0).why & why::UNEXPECTED_ACK, 0);
    let mut zero = packet(0, ACK, 101, 501, 0);
    zero.window = 0;
    assert_ne!(news(zero) & why::ZERO_WINDOW, 0);
}

#[test]
fn acks_are_forwarded_while_a_hole_is_open() {
    let mut f = established();
    step(&mut f, &packet(0, ACK, 101, 501, 10), 0);
    // 111 to 121 is missing.
    assert!(step(&mut f, &packet(0, ACK, 121, 501, 10), 0).forward());
    assert_ne!(step(&mut f, &packet(1, ACK, 501, 111, 0), 0).why & why::HOLE, 0);
    assert!(
        step(&mut f, &packet(0, ACK, 111, 501, 10), 0).forward(),
        "fills it"
    );
    assert_ne!(
        step(&mut f, &packet(1, ACK, 501, 131, 0), 0).why & why::HOLE,
        0,
        "decides it"
    );
    assert!(
        !step(&mut f, &packet(0, ACK, 131, 501, 10), 0).forward(),
        "closed"
    );
}

#[test]
fn retransmissions_and_wraps_are_counted() {
    let mut f = FlowState::starting(1);
    step(&mut f, &packet(0, SYN, u32::MAX - 50, 0, 0), 0);
    step(&mut f, &packet(0, ACK, u32::MAX - 49, 1, 100), 0);
    assert_eq!(f.dir[0].next, (1 << 32) + 50);
    step(&mut f, &packet(0, ACK, u32::MAX - 49, 1, 100), 0);
    assert_eq!((f.dir[0].rexmit_pkts, f.dir[0].rexmit_bytes), (1, 100));
}

#[test]
fn shed_payload_is_said_to_be_shed() {
    let mut f = established();
    let out = step(&mut f, &packet(0, ACK, 101, 501, 10), policy::PAYLOAD);
    assert_ne!(out.why & why::PAYLOAD, 0);
    f.shed = 1;
    let out = step(&mut f, &packet(0, ACK, 111, 501, 10), policy::PAYLOAD);
    assert_eq!(out.why & (why::PAYLOAD | why::SHED), why::SHED);
    assert!(!out.forward());
    assert!(step(&mut f, &packet(0, ACK, 121, 501, 10), policy::ALL_PACKETS).with_payload());
}

#[test]
fn the_last_acks_of_a_close_are_forwarded() {
    let mut f = established();
    step(&mut f, &packet(1, ACK, 501, 101, 10), 0);
    step(&mut f, &packet(1, ACK | FIN, 511, 101, 0), 0);
    // Some of the data, all of it, and the FIN.
    for (ack, told) in [(505, false), (511, true), (512, true), (512, false)] {
        let why = step(&mut f, &packet(0, ACK, 101, ack, 0), 0).why;
        assert_eq!(why & why::CLOSING != 0, told, "{ack}");
    }
    step(&mut f, &packet(0, SYN, 9000, 0, 0), 0);
    assert_eq!((f.dir[0].flags, f.dir[1].flags), (SYN as u32, 0));
}

#[test]
fn another_connection_on_the_same_ports_is_new() {
    let mut f = established();
    step(&mut f, &packet(0, ACK, 101, 501, 10), policy::PAYLOAD);
    step(&mut f, &packet(1, ACK, 501, 111, 10), policy::PAYLOAD);
    f.shed = 3;
    step(&mut f, &packet(0, SYN, 9000, 0, 0), policy::PAYLOAD);
    assert_eq!(f.shed, 0);
    step(&mut f, &packet(1, SYN | ACK, 7000, 9001, 0), policy::PAYLOAD);
    for p in [packet(0, ACK, 9001, 7001, 0), packet(1, ACK, 7001, 9001, 0)] {
        assert_ne!(step(&mut f, &p, policy::PAYLOAD).why & why::FIRST, 0);
    }
    let payload = step(&mut f, &packet(0, ACK, 9001, 7001, 10), policy::PAYLOAD);
    assert_eq!(
        payload.why & (why::FIRST | why::PAYLOAD),
        why::FIRST | why::PAYLOAD
    );
}

#[test]
fn both_directions_have_one_key() {
    let (k, d) = FlowKey::new(&v4_mapped(A), &v4_mapped(B), 1, 2, IPPROTO_UDP, false);
    let (r, e) = FlowKey::new(&v4_mapped(B), &v4_mapped(A), 2, 1, IPPROTO_UDP, false);
    assert_eq!((k, d), (r, 1 - e));
    assert_eq!(k.ring_hash([1, 2]), r.ring_hash([1, 2]));
    assert_eq!(icmp_ports(false, 8, 0), (8, 0, false));
    assert_eq!(icmp_ports(false, 0, 0), (0, 8, false));
    assert_eq!(icmp_ports(false, 3, 1), (3, 1, true));
}

#[test]
fn keys_tell_networks_apart() {
    let key = FlowKey::new(&v4_mapped(A), &v4_mapped(B), 1, 2, IPPROTO_UDP, false).0;
    let within = |realm| FlowKey { realm, ..key };
    let realms = [
        Realm::NONE,
        Realm::of_vlans(5, 0),
        Realm::of_vlans(5, 6),
        Realm::of_vlans(6, 5),
        Realm::of_number(0xff_ffff),
    ];
    for (i, a) in realms.iter().enumerate() {
        for b in &realms[i + 1..] {
            assert_ne!(within(*a), within(*b));
            assert_ne!(within(*a).ring_hash([1, 2]), within(*b).ring_hash([1, 2]));
        }
    }
    assert_eq!(Realm::of_vlans(4094, 7).vlans(), (4094, 7));
    assert_eq!(Realm::of_number(0xff12_3456).number(), 0x12_3456);
    // The realm is where the key by words has it.
    let words = [[0, u64::from_ne_bytes([0, 0, 0xff, 0xff, 1, 2, 3, 4])], [0, 9]];
    let (k, _) = FlowKey::of_words(
        words[0],
        words[1],
        1,
        2,
        IPPROTO_TCP,
        false,
        Realm::of_vlans(5, 6),
    );
    assert_eq!(
        (k.proto, k.realm.vlans(), k.a_port, k.b_port),
        (IPPROTO_TCP, (5, 6), 1, 2)
    );
}

#[test]
fn a_key_tells_whether_its_message_has_a_counterpart() {
    for (proto, v6) in [(IPPROTO_ICMP, false), (IPPROTO_ICMPV6, true)] {
        for typ in 0..=255 {
            for code in [0, 1, 8, 13, 128, 255] {
                let (a, b, one_way) = icmp_ports(v6, typ, code);
                for (src, dst) in [(A, B), (B, A)] {
                    let key = FlowKey::new(&v4_mapped(src), &v4_mapped(dst), a, b, proto, one_way).0;
                    assert_eq!(key.one_way(), one_way, "{proto} {typ} {code}");
                }
            }
        }
    }
}

#[test]
fn who_does_not_know_the_seed_cannot_fill_one_ring() {
    // Flows that all have ring 0 of 8 by one seed are spread by another, whatever they have in common.
    let flows = |seed| {
        let of = move |n: u32| {
            let [a, b, c, d] = n.to_be_bytes();
            let key = FlowKey::new(&v4_mapped(A), &v4_mapped([a, b, c, d]), 1, 2, IPPROTO_TCP, false).0;
            key.ring_hash(seed).is_multiple_of(8).then_some(key)
        };
        (0..16_000u32).filter_map(move |n| of(n << 16 | n >> 8))
    };
    let chosen: Vec<_> = flows([3, 4]).collect();
    assert!((1_600..2_400).contains(&chosen.len()), "{}", chosen.len());
    let mut rings = [0; 8];
    for key in &chosen {
        rings[key.ring_hash([5, 4]) as usize % 8] += 1;
    }
    let even = chosen.len() / 8;
    assert!(
        rings.iter().all(|n| (even / 2..even * 2).contains(n)),
        "{rings:?}"
    );
}

proptest! {
    #[test]
    fn counts_are_exact_and_what_stays_is_in_order(
        packets in prop::collection::vec(
            (0u8..2, any::<u8>(), 0u32..5000, 0u32..5000, 0u32..3, 0u16..3), 1..200),
        shed in 0u32..4,
    ) {
        let mut f = FlowState::starting(1);
        f.shed = shed;
        let (mut pkts, mut bytes, mut payload) = ([0u64; 2], [0u64; 2], [0u64; 2]);
        for (i, (dir, flags, seq, ack, len, window)) in packets.into_iter().enumerate() {
            let mut p = packet(dir, flags, seq, ack, len * 100);
            p.window = window;
            p.ts = 1 + i as u64;
            let before = f;
            let out = step(&mut f, &p, policy::PAYLOAD);
            let d = dir as usize;
            pkts[d] += 1;
            bytes[d] += p.ip_len as u64;
            payload[d] += p.payload_len as u64;
            prop_assert_eq!(out.prev_next, before.dir[d].next);
            prop_assert_eq!(f.last(), p.ts);
            if !out.forward() {
                prop_assert_eq!(flags & (SYN | FIN | RST), 0);
                prop_assert_eq!(seq, before.dir[d].next as u32, "starts where the direction stood");
                prop_assert_eq!(f.dir[d].next, before.dir[d].next + p.payload_len as u64);
                prop_assert!(p.payload_len == 0 || shed & (1 << dir) != 0);
            }
        }
        for d in 0..2 {
            prop_assert_eq!(
                (f.dir[d].pkts, f.dir[d].bytes, f.dir[d].payload),
                (pkts[d], bytes[d], payload[d])
            );
        }
    }
}
