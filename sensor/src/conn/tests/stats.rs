//! conn_stats and tcp_rexmit against retransmissions that are known, because they were made by hand.

use super::*;

const WANTED: &str = "conn_stats,tcp_rexmit,tcp_multiple_retransmissions";

fn check(stats: &serde_json::Value, want: &[(&str, u64)]) {
    for (name, n) in want {
        assert_eq!(stats[name], *n, "{name} in {stats}");
    }
}

#[test]
fn known_retransmissions_are_counted_as_such() {
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.ack(1, 1, 1);
    lab.data(0, 1, 1, &[b'a'; 100]);
    lab.data(0, 101, 1, &[b'b'; 100]);
    // Both again, then one with new bytes behind.
    lab.data(0, 1, 1, &[b'a'; 100]);
    lab.data(0, 101, 1, &[b'b'; 100]);
    lab.data(0, 101, 1, &[b'b'; 150]);
    lab.ack(1, 1, 251);
    // Acknowledged, and sent once more. A keep-alive's byte counts, too.
    lab.data(0, 201, 1, &[b'b'; 50]);
    lab.data(0, 250, 1, b"b");
    lab.data(1, 1, 251, &[b'c'; 70]);
    let seen = lab.finish();
    let stats = seen.args("conn_stats")[0];
    check(
        &stats["os"],
        &[
            ("num_pkts", 9),
            ("num_rxmit", 4),
            ("num_rxmit_bytes", 251),
            ("num_in_order", 3),
            ("num_OO", 0),
            ("num_repl", 0),
        ],
    );
    check(
        &stats["rs"],
        &[
            ("num_pkts", 4),
            ("num_rxmit", 0),
            ("num_in_order", 1),
            ("num_OO", 0),
        ],
    );
    let told: Vec<_> = seen.args("tcp_rexmit").into_iter().cloned().collect();
    let rexmit = |seq: u64, len: u64, in_flight: u64| {
        serde_json::json!({"is_orig": true, "seq": seq, "len": len, "data_in_flight": in_flight,
            "window": 0x4000})
    };
    let want = [
        rexmit(1, 100, 200),
        rexmit(101, 100, 200),
        rexmit(201, 50, 0),
        rexmit(250, 1, 0),
    ];
    assert_eq!(told, want);
}

#[test]
fn disorder_is_counted_as_such() {
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.data(0, 1, 1, b"aaaa");
    // Beyond a hole, again, and what fills it; then in order again.
    lab.data(0, 9, 1, b"cccc");
    lab.data(0, 9, 1, b"cccc");
    lab.data(0, 5, 1, b"bbbb");
    lab.data(0, 13, 1, b"dddd");
    // What lies before the hole and is sent again is no disorder.
    lab.data(0, 21, 1, b"ffff");
    lab.data(0, 1, 1, b"aaaa");
    let seen = lab.finish();
    check(
        &seen.args("conn_stats")[0]["os"],
        &[
            ("num_pkts", 9),
            // The second cccc, bbbb (below the highest number seen), the second aaaa.
            ("num_rxmit", 3),
            ("num_rxmit_bytes", 12),
            // Both cccc, bbbb and ffff.
            ("num_OO", 4),
            ("num_in_order", 2),
        ],
    );
}

#[test]
fn a_packet_captured_twice_is_a_replica() {
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.data(0, 1, 1, b"aaaa");
    lab.id -= 1;
    lab.data(0, 1, 1, b"aaaa");
    lab.data(0, 1, 1, b"aaaa");
    let seen = lab.finish();
    check(
        &seen.args("conn_stats")[0]["os"],
        &[("num_rxmit", 2), ("num_repl", 1), ("num_in_order", 1)],
    );
}

#[test]
fn thresholds_of_retransmissions_are_told() {
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.data(0, 1, 1, b"aaaa");
    for _ in 0..105 {
        lab.data(0, 1, 1, b"aaaa");
    }
    let seen = lab.finish();
    let marks: Vec<_> = seen
        .args("tcp_multiple_retransmissions")
        .into_iter()
        .map(|a| a["threshold"].as_u64())
        .collect();
    assert_eq!(marks, [Some(10), Some(100)]);
    assert_eq!(seen.args("tcp_rexmit").len(), 105);
    assert!(seen.conn("history").matches('T').count() == 3);
}
