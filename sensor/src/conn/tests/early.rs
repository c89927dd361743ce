//! Records that overtook others on their way, as when two CPUs work on packets of one flow.

use super::skipped::Behind;
use super::*;
use crate::conn::Early;

const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: here\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";

/// The records of a conversation, in the order of its packets: the handshake's are 0 to 2.
fn conversation(lab: &mut Lab) -> Behind {
    let mut behind = Behind::default();
    let (first, second) = REQUEST.split_at(20);
    let (req, rep) = (REQUEST.len() as u32, REPLY.len() as u32);
    let packets: [(usize, u8, [u32; 2], &[u8]); 8] = [
        (0, tf::SYN, [0, 0], b""),
        (1, tf::SYN | tf::ACK, [0, 1], b""),
        (0, tf::ACK, [1, 1], b""),
        (0, tf::ACK, [1, 1], first),
        (0, tf::ACK, [21, 1], second),
        (1, tf::ACK, [1, 1 + req], REPLY),
        (0, tf::FIN | tf::ACK, [1 + req, 1 + rep], b""),
        (1, tf::FIN | tf::ACK, [1 + rep, 2 + req], b""),
    ];
    for (side, flags, numbers, payload) in packets {
        lab.id = lab.id.wrapping_add(1);
        lab.now += SECOND / 1000;
        let data = tcp_frame(side, lab.id, flags, numbers, payload);
        let frame = Frame {
            ts: lab.now,
            link: LinkType::ETHERNET,
            data: &data,
            wire_len: data.len() as u32,
            iface: 0,
        };
        let _ = lab.soft.frame(&frame, &mut behind);
    }
    assert_eq!(behind.records.len(), packets.len(), "each is told");
    behind
}

/// What is seen when the records come in this order.
fn in_order(order: &[usize]) -> Seen {
    seen(order, false)
}

/// `both`: the request's second segment and the reply to the first were counted before either had its record.
fn seen(order: &[usize], both: bool) -> Seen {
    let mut lab = Lab::new("");
    let mut all = conversation(&mut lab).records;
    if both {
        all[4].0.totals[1].next = all[5].0.totals[1].next;
    }
    let mut early = Early::default();
    for n in order {
        let (header, frame) = &all[*n];
        let flows = lab.soft.flows();
        early.take(&mut lab.engine, header, frame, flows);
    }
    early.settle(&mut lab.engine, lab.soft.flows());
    assert!(!early.is_waiting());
    lab.finish()
}

fn row<'s>(seen: &'s Seen, path: &str) -> &'s Vec<(&'static str, String)> {
    &seen.rows.iter().find(|(p, _)| p == path).expect("a row").1
}

#[test]
fn what_was_overtaken_is_read_in_its_place() {
    let expected = in_order(&[0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(
        row(&expected, "http")
            .iter()
            .any(|(c, v)| *c == "uri" && v == "/index.html")
    );
    for order in [
        // Two segments of one direction.
        [0, 1, 2, 4, 3, 5, 6, 7],
        // A segment and the answer to it, which was at work on another CPU.
        [0, 1, 2, 3, 5, 4, 6, 7],
        // One that is behind two others.
        [0, 1, 2, 4, 5, 3, 6, 7],
        [0, 1, 2, 3, 4, 6, 5, 7],
    ] {
        let seen = in_order(&order);
        for path in ["http", "files", "conn"] {
            assert_eq!(row(&seen, path), row(&expected, path), "{order:?}");
        }
    }
}

#[test]
fn of_two_that_overtook_each_other_both_are_read() {
    let expected = in_order(&[0, 1, 2, 3, 4, 5, 6, 7]);
    for order in [
        [0, 1, 2, 3, 5, 4, 6, 7],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 5, 4, 3, 6, 7],
    ] {
        let seen = seen(&order, true);
        for path in ["http", "files", "conn"] {
            assert_eq!(row(&seen, path), row(&expected, path), "{order:?}");
        }
    }
}

#[test]
fn what_does_not_come_is_not_waited_for_in_the_end() {
    let seen = in_order(&[0, 1, 2, 4, 5, 6, 7]);
    assert_eq!(seen.conn("orig_bytes"), REQUEST.len().to_string());
    assert_eq!(seen.conn("history"), "ShADdFf");
}
