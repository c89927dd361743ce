//! What somebody might send to fill memory, and what must not depend on how much the datapath forwards.

use super::*;

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
    // The connections' own three, and the first of the others: those are all of one pair of hosts.
    assert_eq!(rows.iter().filter(|r| r.0 == "weird").count(), 3 + 25);
}
