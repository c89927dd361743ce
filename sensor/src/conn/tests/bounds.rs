//! What reassembly may take, per direction and in all.

use super::*;

fn bounded(limit: u64, total: u64) -> Lab {
    let cfg = Config {
        reassembly_limit: limit,
        reassembly_total: total,
        contents: Contents {
            orig: true,
            resp: true,
            ports: Vec::new(),
        },
        ..Config::default()
    };
    Lab::with("tcp_contents,content_gap,connection_finished", cfg)
}

/// Bytes delivered and bytes said to be missing, of the originator.
fn totals(seen: &Seen) -> (u64, u64) {
    let contents = seen.args("tcp_contents").into_iter();
    let hex = contents.map(|a| a["contents"].as_str().map_or(0, str::len) as u64 / 2);
    let gaps = seen.args("content_gap").into_iter();
    (hex.sum(), gaps.filter_map(|a| a["length"].as_u64()).sum())
}

fn close(lab: &mut Lab, at: u32) {
    lab.tcp(1, tf::FIN | tf::ACK, 1, at, b"");
    lab.tcp(0, tf::FIN | tf::ACK, at, 2, b"");
    lab.ack(1, 2, at + 1);
}

#[test]
fn over_the_limit_a_hole_becomes_a_gap_and_the_connection_goes_on() {
    let mut lab = bounded(16 * 1024, u64::MAX);
    lab.handshake();
    // The first 100 bytes never come.
    for i in 0..20 {
        lab.data(0, 101 + 1000 * i, 1, &[b'x'; 1000]);
        assert!(lab.engine.sh.held <= 16 * 1024);
    }
    assert_eq!(lab.engine.no_room(), 1);
    lab.ack(1, 1, 20_101);
    close(&mut lab, 20_101);
    let seen = lab.finish();
    assert_eq!(totals(&seen), (20_000, 100));
    assert!(seen.names().contains(&"connection_finished"));
    assert_eq!(seen.conn("missed_bytes"), "100");
}

#[test]
fn single_bytes_cost_more_than_a_byte() {
    let mut lab = bounded(16 * 1024, u64::MAX);
    lab.handshake();
    // Every other byte, so that nothing can be put together.
    for i in 0..2000 {
        lab.data(0, 3 + 2 * i, 1, b"x");
    }
    assert!(lab.engine.sh.held <= 16 * 1024);
    assert!(lab.engine.no_room() > 1500, "{}", lab.engine.no_room());
}

#[test]
fn all_connections_together_are_bounded_and_ends_give_back() {
    let mut lab = bounded(1 << 20, 40_000);
    for port in 0..10 {
        lab.client_port = 4096 + port;
        lab.handshake();
        for i in 0..10 {
            lab.data(0, 101 + 1000 * i, 1, &[b'x'; 1000]);
            assert!(lab.engine.sh.held <= 40_000);
        }
    }
    assert!(lab.engine.sh.held > 30_000, "the first ones still wait");
    assert!(lab.engine.no_room() >= 6, "the last ones found no room");
    for port in 0..10 {
        lab.client_port = 4096 + port;
        lab.ack(1, 1, 10_101);
        close(&mut lab, 10_101);
    }
    assert_eq!(lab.engine.sh.held, 0);
    let seen = lab.finish();
    assert_eq!(totals(&seen), (100_000, 1000));
}

#[test]
fn what_a_connection_held_is_given_back_at_its_end() {
    let mut lab = Lab::new("rexmit_inconsistency");
    lab.handshake();
    lab.data(0, 1, 1, b"delivered and not acknowledged");
    lab.data(0, 101, 1, b"beyond a hole");
    lab.data(1, 101, 1, b"beyond a hole");
    assert!(lab.engine.sh.held > 60);
    lab.engine.finish(lab.now, lab.soft.flows());
    assert_eq!(lab.engine.sh.held, 0);
}

/// Nobody wants its payload, so the datapath keeps it, and all that is known of it comes with the last record.
#[test]
fn much_that_was_not_forwarded_was_acknowledged_by_and_by() {
    for lost in [None, Some(180)] {
        let config = Config {
            analyzers: false,
            ..Config::default()
        };
        let mut lab = Lab::with("conn_weird,content_gap", config);
        lab.handshake();
        let at = |i: u32| 1 + 60_000 * i;
        for i in 0..200 {
            if lost != Some(i) {
                lab.data(0, at(i), 1, &[b'x'; 60_000]);
            }
            lab.ack(1, 1, at(i + 1));
        }
        close(&mut lab, at(200));
        let seen = lab.finish();
        let missing = lost.map_or(0, |_| 60_000);
        assert_eq!(seen.conn("missed_bytes"), missing.to_string());
        assert_eq!(seen.conn("orig_bytes"), "12000000");
        assert!(!seen.names().contains(&"conn_weird"), "{:?}", seen.names());
    }
}
