//! What somebody might send to fill memory, and what must not depend on how much the datapath forwards.

use super::*;
use crate::packet::Weird;

/// The rows of conn.log for what `play` sends, by the default policy and with every packet forwarded.
fn both_ways(play: impl Fn(&mut Lab)) -> Vec<Vec<(&'static str, String)>> {
    let [default, all] = ["", "tcp_packet"].map(|events| {
        let mut lab = Lab::new(events);
        play(&mut lab);
        let rows = lab.finish().rows.into_iter();
        rows.filter(|r| r.0 == "conn").map(|r| r.1).collect::<Vec<_>>()
    });
    assert_eq!(default, all, "the default policy's rows and those of all packets");
    default
}

fn column<'r>(row: &'r [(&'static str, String)], name: &str) -> &'r str {
    row.iter().find(|v| v.0 == name).map_or("", |v| &v.1)
}

#[test]
fn a_connection_on_the_ports_of_another_has_its_own_letters_and_service() {
    let rows = both_ways(|lab| {
        lab.handshake();
        for i in 0..20 {
            lab.data(0, 1 + i * 5, 1, b"noise");
            lab.ack(1, 1, 6 + i * 5);
        }
        // Nobody knows it, so its payload is shed. It ends, and the ports are used again at once.
        lab.tcp(0, tf::RST, 101, 0, b"");
        lab.tcp(0, tf::SYN, 700_000, 0, b"");
        lab.tcp(1, tf::SYN | tf::ACK, 800_000, 700_001, b"");
        lab.ack(0, 700_001, 800_001);
        lab.ack(1, 800_001, 700_001);
        lab.data(0, 700_001, 800_001, b"GET / HTTP/1.1\r\n\r\n");
        lab.data(1, 800_001, 700_019, b"HTTP/1.1 204 No\r\n\r\n");
    });
    assert_eq!(rows.len(), 2);
    assert_eq!(column(&rows[1], "history"), "ShAaDd");
    assert_eq!(column(&rows[1], "service"), "http");
}

#[test]
fn acks_that_stay_below_count_from_where_the_numbers_are() {
    // The originator's numbers are first taken from an ack, then from its own packet beyond a hole.
    let rows = both_ways(|lab| {
        lab.ack(1, 15, 1000);
        lab.data(0, 1045, 18, &[b'x'; 869]);
        lab.data(0, 1000, 18, &[b'x'; 11]);
        lab.data(0, 1011, 18, &[b'x'; 990]);
        lab.tcp(0, tf::FIN | tf::ACK, 2001, 18, b"");
        lab.ack(1, 18, 2002);
        lab.tcp(1, tf::FIN | tf::ACK, 18, 2002, b"");
    });
    let side = ["orig_bytes", "resp_bytes"].map(|c| column(&rows[0], c));
    assert!(side.contains(&"956"), "{side:?}");
}

#[test]
fn the_ack_that_completes_a_close_is_seen() {
    let rows = both_ways(|lab| {
        lab.handshake();
        lab.ack(1, 1, 1);
        lab.data(1, 1, 1, b"hello");
        lab.tcp(1, tf::FIN | tf::ACK, 6, 1, b"");
        // This FIN crosses the data, so the close waits until that is acknowledged.
        lab.tcp(0, tf::FIN | tf::ACK, 1, 1, b"");
        lab.ack(1, 7, 2);
        lab.ack(0, 2, 7);
        lab.now += 20 * SECOND;
        lab.ack(0, 2, 7);
    });
    assert_eq!(
        rows.len(),
        2,
        "the last packet comes after the connection is forgotten"
    );
    assert_eq!(column(&rows[0], "conn_state"), "SF");
}

/// Loses one record, as a full ring does.
struct Losing<'l> {
    engine: &'l mut Engine<Seen>,
    left: &'l mut usize,
}

impl soft::PacketSink for Losing<'_> {
    fn advance(&mut self, ts: Ts, flows: &mut soft::Flows) {
        self.engine.advance(ts, flows);
    }
    fn record(
        &mut self,
        h: &RecordHeader,
        frame: &[u8],
        flows: &mut soft::Flows,
    ) -> Option<soft::InnerPacket> {
        let lost = *self.left == 0;
        *self.left = self.left.wrapping_sub(1);
        if lost {
            return None;
        }
        self.engine.record(h, frame, flows)
    }
    fn packet_weird(&mut self, _: &Packet, _: Weird, _: &[u8], _: &mut soft::Flows) {}
    fn untracked(&mut self, _: &soft::Untracked<'_>, _: &mut soft::Flows) {}
    fn weird(&mut self, _: Ts, _: &'static str, _: &str, _: Option<&soft::Addrs>, _: &mut soft::Flows) {}
}

#[test]
fn a_lost_record_costs_detail_and_no_totals() {
    let frames = |lab: &mut Vec<Vec<u8>>| {
        let mut add = |side, flags, at, payload: &[u8]| lab.push(tcp_frame(side, 1, flags, at, payload));
        add(0, tf::SYN, [0, 0], b"");
        add(1, tf::SYN | tf::ACK, [0, 1], b"");
        add(0, tf::ACK, [1, 1], b"");
        add(0, tf::ACK, [1, 1], b"GET / HTTP/1.1\r\n\r\n");
        add(1, tf::ACK, [1, 19], b"HTTP/1.1 204 No\r\n\r\n");
        add(0, tf::FIN | tf::ACK, [19, 20], b"");
        add(1, tf::FIN | tf::ACK, [20, 20], b"");
        add(0, tf::ACK, [20, 21], b"");
    };
    let mut all = Vec::new();
    frames(&mut all);
    for lost in 0..7 {
        let (mut lab, mut left) = (Lab::new(""), lost);
        for data in &all {
            lab.now += SECOND / 1000;
            let frame = Frame {
                ts: lab.now,
                link: LinkType::ETHERNET,
                data,
                wire_len: data.len() as u32,
                iface: 0,
            };
            let sink = &mut Losing {
                engine: &mut lab.engine,
                left: &mut left,
            };
            let _ = lab.soft.frame(&frame, sink);
        }
        let seen = lab.finish();
        let values = ["orig_pkts", "resp_pkts", "ts"].map(|c| seen.conn(c));
        assert_eq!(
            values,
            ["5", "3", "Time(1000000001000000)"],
            "without record {lost}"
        );
        // The payload's record was lost, or a FIN's, which takes the place of a byte.
        if lost != 3 {
            assert_eq!(seen.conn("service"), "http", "without record {lost}");
        }
        if lost < 5 {
            let bytes = ["orig_bytes", "resp_bytes"].map(|c| seen.conn(c));
            assert_eq!(bytes, ["18", "19"], "without record {lost}");
        }
    }
}

#[test]
fn a_history_has_an_end() {
    let mut lab = Lab::new("");
    lab.handshake();
    for i in 0..6000 {
        // All at once, or the connection would end first.
        lab.now -= SECOND / 1000;
        lab.tcp(0, tf::RST, 1 + i, 0, b"");
    }
    let letters = lab.finish().conn("history").len();
    assert!((4096..4200).contains(&letters), "{letters}");
}

#[test]
fn damaged_packets_do_not_fill_the_table() {
    let cfg = Config {
        max_connections: 3,
        ..Config::default()
    };
    let mut lab = Lab::with("", cfg);
    for port in 0..100u16 {
        let mut frame = tcp_frame(0, 1, tf::ACK, [0, 0], b"");
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        // A header of 16 bytes.
        frame[46] = 0x40;
        lab.frame(&frame);
    }
    assert_eq!(lab.engine.len(), 3);
    let rows = lab.finish().rows;
    assert_eq!(rows.iter().filter(|r| r.0 == "conn").count(), 3);
    // The connections' own three, and one of the others: those are all of one pair of hosts.
    assert_eq!(rows.iter().filter(|r| r.0 == "weird").count(), 3 + 1);
}
