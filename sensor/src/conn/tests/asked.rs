//! Columns of conn.log that are there on request.

use super::*;
use crate::conn::ConnColumns;

fn lab(columns: ConnColumns) -> Lab {
    Lab::with(
        "",
        Config {
            columns,
            ..Config::default()
        },
    )
}

#[test]
fn columns_on_request_say_how_tcp_went() {
    let mut lab = lab(ConnColumns {
        community_id: true,
        l2: true,
        vlan: true,
        tcp_stats: true,
    });
    // The SYN-ACK comes a millisecond after the SYN, the acknowledgement 21 after that.
    lab.tcp(0, tf::SYN, 0, 0, b"");
    lab.tcp(1, tf::SYN | tf::ACK, 0, 1, b"");
    lab.now += 20 * SECOND / 1000;
    lab.ack(0, 1, 1);
    lab.data(0, 1, 1, b"abc");
    lab.data(0, 1, 1, b"abc");
    lab.data(1, 11, 4, b"later");
    lab.data(1, 1, 4, b"0123456789");
    lab.ack(0, 4, 16);
    lab.tcp(0, tf::FIN | tf::ACK, 4, 16, b"");
    lab.tcp(1, tf::FIN | tf::ACK, 16, 5, b"");
    lab.ack(0, 5, 17);
    let seen = lab.finish();
    for (column, expected) in [
        ("community_id", "1:iuMgRU7IQmtKBTyNoHe9pEU4r/U="),
        ("orig_l2_addr", "00:00:00:00:00:00"),
        ("orig_rexmit_pkts", "1"),
        ("orig_rexmit_bytes", "3"),
        ("orig_out_of_order", "0"),
        ("resp_rexmit_pkts", "1"),
        ("resp_out_of_order", "2"),
        ("resp_zero_windows", "0"),
        ("vlan", "Unset"),
    ] {
        assert_eq!(seen.conn(column), expected, "{column}");
    }
    assert!(
        seen.conn("resp_rtt").contains("1000000"),
        "{}",
        seen.conn("resp_rtt")
    );
    assert!(
        seen.conn("orig_rtt").contains("21000000"),
        "{}",
        seen.conn("orig_rtt")
    );
}

#[test]
fn nothing_is_noted_that_nobody_asked_for() {
    let mut lab = lab(ConnColumns::default());
    lab.handshake();
    let seen = lab.finish();
    let (_, row) = seen.rows.iter().find(|(p, _)| p == "conn").expect("a row");
    assert_eq!(row.last().map(|(c, _)| *c), Some("ip_proto"));
}

#[test]
fn a_connection_that_stays_open_has_rows_of_its_own() {
    let mut lab = Lab::with(
        "",
        Config {
            long: [60 * SECOND, 100 * SECOND, 7200 * SECOND].into(),
            ..Config::default()
        },
    );
    lab.handshake();
    let (mut seq, step) = (1, 30 * SECOND);
    for _ in 0..5 {
        lab.now += step;
        let now = lab.now;
        lab.engine.advance(now, lab.soft.flows());
        lab.data(0, seq, 1, &[b'x'; 1000]);
        lab.ack(1, 1, seq + 1000);
        seq += 1000;
    }
    let seen = lab.finish();
    let long: Vec<_> = seen.rows.iter().filter(|(p, _)| p == "conn_long").collect();
    let value = |row: &Vec<(&'static str, String)>, name: &str| {
        let found = row.iter().find(|(c, _)| *c == name);
        found.expect("a column").1.clone()
    };
    assert_eq!(long.len(), 2, "not yet open for two hours");
    // After 60 seconds its last packet was half as old, after 100 ten seconds less.
    for ((_, row), (bytes, packets)) in long.iter().zip([("2000", "4"), ("4000", "6")]) {
        assert_eq!(value(row, "orig_bytes"), bytes);
        assert_eq!(value(row, "orig_pkts"), packets);
        assert_eq!(value(row, "uid"), seen.conn("uid"));
        assert_eq!(value(row, "conn_state"), "S1");
    }
    assert_eq!(seen.conn("orig_bytes"), "5000", "conn.log has it once");
    assert_eq!(seen.rows.iter().filter(|(p, _)| p == "conn").count(), 1);
}

#[test]
fn a_connection_that_is_only_silent_has_none() {
    let mut lab = Lab::with(
        "",
        Config {
            long: [60 * SECOND].into(),
            ..Config::default()
        },
    );
    lab.handshake();
    for _ in 0..20 {
        lab.now += 10 * SECOND;
        let now = lab.now;
        lab.engine.advance(now, lab.soft.flows());
    }
    let seen = lab.finish();
    assert!(seen.rows.iter().all(|(p, _)| p != "conn_long"));
}
