//! Retransmissions: which are told, what they say.

use super::*;

const WANTED: &str = "rexmit_inconsistency";

fn told(seen: &Seen) -> Vec<(String, String, String)> {
    let text = |v: &serde_json::Value| v.as_str().expect("text").to_owned();
    let args = seen.args(WANTED).into_iter();
    args.map(|a| (text(&a["t1"]), text(&a["t2"]), text(&a["tcp_flags"])))
        .collect()
}

fn case(old: &[u8], new: &[u8], flags: &str) -> (String, String, String) {
    (hex(old), hex(new), flags.to_owned())
}

#[test]
fn a_retransmission_that_says_something_else_is_told_with_both_contents() {
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.data(0, 1, 1, b"abcd");
    lab.data(0, 5, 1, b"efgh");
    // The same again is nothing to tell; neither is what only differs where nothing was known.
    lab.data(0, 1, 1, b"abcdefghijkl");
    // Delivered, not acknowledged: each piece that differs.
    lab.data(0, 3, 1, b"cDEfgh");
    lab.tcp(0, tf::ACK, 9, 1, b"IJKL");
    let seen = lab.finish();
    assert_eq!(
        told(&seen),
        [
            case(b"cd", b"cD", "AP"),
            case(b"efgh", b"Efgh", "AP"),
            case(b"ijkl", b"IJKL", "A")
        ]
    );
}

#[test]
fn what_waits_beyond_a_hole_is_compared_too() {
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.data(0, 5, 1, b"efgh");
    lab.data(0, 5, 1, b"eXgh");
    // The first content stands.
    lab.data(0, 1, 1, b"abcdefgh");
    assert_eq!(told(&lab.finish()), [case(b"efgh", b"eXgh", "AP")]);
}

#[test]
fn what_was_acknowledged_is_settled() {
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.data(0, 1, 1, b"abcd");
    lab.data(0, 5, 1, b"efgh");
    lab.ack(1, 1, 5);
    lab.data(0, 1, 1, b"XXXXeYgh");
    lab.ack(1, 1, 9);
    lab.data(0, 1, 1, b"ZZZZZZZZ");
    assert_eq!(told(&lab.finish()), [case(b"efgh", b"eYgh", "AP")]);
}

#[test]
fn a_keep_alives_byte_means_nothing_where_no_answer_was_ever_seen() {
    let mut lab = Lab::new(WANTED);
    lab.data(0, 1, 1, b"a");
    lab.data(0, 1, 1, b"b");
    assert_eq!(told(&lab.finish()), []);
    let mut lab = Lab::new(WANTED);
    lab.handshake();
    lab.data(0, 1, 1, b"a");
    lab.data(0, 1, 1, b"b");
    assert_eq!(told(&lab.finish()), [case(b"a", b"b", "AP")]);
}

#[test]
fn nothing_is_kept_unless_somebody_wants_to_know() {
    let memory = |events: &str| {
        let mut lab = Lab::new(events);
        lab.handshake();
        lab.data(0, 1, 1, b"abcd");
        let conn = lab.engine.slots.get(0).expect("a connection");
        let kept = conn.extra.as_ref().and_then(|e| e.kept.as_ref());
        kept.map(|k| k.iter().map(|k| k.memory()).sum::<u64>())
    };
    assert_eq!(memory(WANTED), Some(4 + 64));
    assert_eq!(memory("connection_EOF"), None);
}

#[test]
fn what_is_kept_is_bounded() {
    let cfg = Config {
        reassembly_limit: 1000,
        ..Config::default()
    };
    let mut lab = Lab::with(WANTED, cfg);
    lab.handshake();
    for i in 0..40 {
        lab.data(0, 1 + 100 * i, 1, &[b'a'; 100]);
    }
    // The first went, the last is there.
    lab.data(0, 1, 1, &[b'b'; 100]);
    lab.data(0, 3901, 1, &[b'c'; 100]);
    assert_eq!(told(&lab.finish()), [case(&[b'a'; 100], &[b'c'; 100], "AP")]);
}
