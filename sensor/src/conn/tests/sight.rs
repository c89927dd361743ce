//! How many acknowledgements are counted, and how many of them are of bytes that never came, as Zeek counts both; and of which
//! connections one side only was seen; and packets that came twice.

use super::*;

/// What the datapath kept of a download with these segments, and what the engine counted; `every`: it keeps none.
fn download(lost: &[u32], every: bool) -> (u64, Sight) {
    let mut lab = Lab::new(if every { "new_packet" } else { "" });
    lab.handshake();
    lab.data(0, 1, 1, b"GET / HTTP/1.0\r\n\r\n");
    let at = |n: u32| 1 + 100 * n;
    for n in 0..60 {
        if !lost.contains(&n) {
            lab.data(1, at(n), 19, &[b'x'; 100]);
        }
        // Each second segment is acknowledged, one twice.
        if n % 2 == 1 {
            lab.ack(0, 19, at(n + 1));
        }
        if n == 31 {
            lab.ack(0, 19, at(n + 1));
        }
    }
    lab.tcp(1, tf::FIN | tf::ACK, at(60), 19, b"");
    lab.tcp(0, tf::FIN | tf::ACK, 19, at(60) + 1, b"");
    lab.ack(1, at(60) + 1, 20);
    let below = lab.soft.acks();
    lab.engine.finish(lab.now, lab.soft.flows());
    (below, lab.engine.sight())
}

#[test]
fn acknowledgements_are_counted_wherever_they_stay() {
    let (below, sight) = download(&[], true);
    assert_eq!((below, sight.acks, sight.acks_below, sight.gaps), (0, 31, 0, 0));
    let (below, sight) = download(&[], false);
    assert_eq!((below + sight.acks, sight.gaps), (31, 0));
    assert!(below > 20, "{below}: nobody wants them");
    // Without the datapath's own count.
    assert!((25..40).contains(&(sight.acks + sight.acks_below)), "{sight:?}");
}

#[test]
fn acknowledgements_of_what_never_came_are_gaps() {
    for every in [true, false] {
        // Two segments with one acknowledgement, one, and the one that is acknowledged last.
        let (below, sight) = download(&[10, 11, 20, 59], every);
        assert_eq!((below + sight.acks, sight.gaps), (31, 3), "{every}");
    }
}

#[test]
fn what_comes_after_its_acknowledgement_is_no_gap() {
    let mut lab = Lab::new("");
    lab.handshake();
    lab.data(0, 1, 1, b"GET / HTTP/1.0\r\n\r\n");
    lab.ack(1, 1, 19);
    lab.data(1, 1, 19, b"a");
    lab.ack(0, 19, 2);
    lab.ack(0, 19, 3);
    lab.data(1, 2, 19, b"b");
    lab.engine.finish(lab.now, lab.soft.flows());
    let sight = lab.engine.sight();
    assert_eq!((lab.soft.acks() + sight.acks, sight.gaps), (3, 0));
}

#[test]
fn connections_without_a_beginning_do_not_count() {
    let mut lab = Lab::new("");
    for n in 0..20 {
        lab.data(1, 1 + 100 * n, 1, &[0; 50]);
        lab.ack(0, 1, 101 + 100 * n);
    }
    lab.engine.finish(lab.now, lab.soft.flows());
    let sight = lab.engine.sight();
    assert_eq!((lab.soft.acks(), sight.acks, sight.acks_below), (0, 0, 0));
}

#[test]
fn connections_of_one_side_are_counted() {
    let mut lab = Lab::new("");
    // Of both sides, then the responder's packets alone, then the originator's; one without data, and one that is no TCP.
    lab.handshake();
    lab.data(0, 1, 1, b"GET / HTTP/1.0\r\n\r\n");
    for side in [1, 0] {
        lab.client_port += 1;
        lab.tcp(side, tf::SYN, 0, 0, b"");
        for n in 0..30 {
            lab.data(side, 1 + 100 * n, 1, &[0; 100]);
        }
    }
    lab.client_port += 1;
    lab.tcp(0, tf::SYN, 0, 0, b"");
    let mut udp = tcp_frame(0, 9, 0, [0, 0], b"");
    udp[23] = 17;
    udp[38..40].copy_from_slice(&[0, 20]);
    lab.frame(&udp);
    lab.engine.finish(lab.now, lab.soft.flows());
    let sight = lab.engine.sight();
    assert_eq!((sight.data_conns, sight.one_sided), (3, 2));
    let conns = |row: &&(String, Vec<_>)| row.0 == "conn";
    assert_eq!(lab.engine.into_sink().rows.iter().filter(conns).count(), 5);
}

/// A connection, each frame of it `copies` times, a copy `apart` ns after the one before.
fn copied(copies: u64, apart: u64) -> Sight {
    let mut lab = Lab::new("");
    let frames = [
        tcp_frame(0, 1, tf::SYN, [0, 0], b""),
        // Linux gives a SYN-ACK no id.
        tcp_frame(1, 0, tf::SYN | tf::ACK, [0, 1], b""),
        tcp_frame(0, 2, tf::ACK, [1, 1], b""),
        tcp_frame(0, 3, tf::ACK, [1, 1], b"GET / HTTP/1.0\r\n\r\n"),
        tcp_frame(1, 0, tf::ACK, [1, 19], b"without an id"),
        tcp_frame(0, 4, tf::FIN | tf::ACK, [19, 14], b""),
    ];
    for mut frame in frames {
        for _ in 0..copies {
            lab.frame(&frame);
            lab.now = lab.now + apart - SECOND / 1000;
            // As behind a router.
            frame[22] -= 1;
        }
        lab.now += SECOND;
    }
    lab.engine.sight()
}

#[test]
fn packets_that_come_twice_are_counted() {
    let twice = |copies, apart| {
        let sight = copied(copies, apart);
        (sight.looked, sight.twice)
    };
    // SYN, SYN-ACK, data with an id, FIN; the others say nothing.
    assert_eq!(twice(1, 0), (4, 0));
    assert_eq!(twice(2, 10_000), (8, 4));
    assert_eq!(twice(3, 10_000), (12, 8));
    assert_eq!(twice(2, 200_000_000), (8, 0), "sent again");
}

#[test]
fn of_many_packets_a_part_is_compared() {
    let mut lab = Lab::new("new_packet");
    for n in 1..15_000u16 {
        let mut udp = tcp_frame(0, n, 0, [0, 0], b"");
        udp[23] = 17;
        udp[38..40].copy_from_slice(&[0, 20]);
        for _ in 0..2 {
            lab.frame(&udp);
            lab.now = lab.now + 100_000 - SECOND / 1000;
        }
        lab.now += SECOND / 1000;
    }
    let sight = lab.engine.sight();
    assert!((10_500..13_000).contains(&sight.looked), "{sight:?}");
    assert!(sight.twice * 20 > sight.looked * 9, "{sight:?}");
}
