//! What odd peers, odd captures and forgers do to sequence numbers.

use super::*;

/// With every packet forwarded, and with those that say something new.
fn both(play: impl Fn(&mut Lab)) -> Seen {
    let run = |events: &str| {
        let mut lab = Lab::new(events);
        play(&mut lab);
        lab.finish()
    };
    let (some, every) = (run("content_gap"), run("content_gap,tcp_packet"));
    assert_eq!(some.rows, every.rows);
    assert_eq!(some.args("content_gap").len(), every.args("content_gap").len());
    some
}

#[test]
fn a_second_fin_takes_no_byte() {
    let seen = both(|lab| {
        lab.handshake();
        lab.data(1, 1, 1, b"abcd");
        lab.tcp(1, tf::FIN | tf::ACK, 5, 1, b"");
        lab.ack(0, 1, 6);
        lab.tcp(0, tf::FIN | tf::ACK, 1, 6, b"");
        lab.tcp(1, tf::FIN | tf::ACK, 6, 2, b"");
        lab.ack(0, 2, 6);
        lab.ack(0, 2, 7);
    });
    assert_eq!(
        (seen.conn("missed_bytes"), seen.conn("history")),
        ("0", "ShAdfFf")
    );
    assert!(seen.args("content_gap").is_empty());
}

#[test]
fn bytes_behind_a_fin_are_in_order() {
    let seen = both(|lab| {
        lab.handshake();
        lab.data(0, 1, 1, b"ab");
        lab.tcp(0, tf::FIN | tf::ACK, 3, 1, b"");
        lab.tcp(1, tf::RST, 1, 0, b"");
        lab.data(0, 4, 1, b"cdef");
        lab.data(0, 8, 1, b"gh");
    });
    // FIN's number counts once, as ever.
    assert_eq!((seen.conn("orig_bytes"), seen.conn("missed_bytes")), ("8", "0"));
}

#[test]
fn what_is_missing_around_a_fin_is_told_without_it() {
    let seen = both(|lab| {
        lab.handshake();
        lab.tcp(0, tf::FIN | tf::ACK, 11, 1, b"");
        lab.tcp(0, tf::FIN | tf::ACK, 21, 1, b"");
        lab.ack(1, 1, 22);
    });
    let told = seen.args("content_gap").into_iter();
    let gaps: Vec<_> = told
        .map(|g| {
            (
                g["seq"].as_u64().expect("number"),
                g["length"].as_u64().expect("number"),
            )
        })
        .collect();
    assert_eq!(gaps, [(1, 10), (12, 9)]);
}

#[test]
fn an_acknowledgement_just_before_its_bytes_is_no_gap() {
    let cfg = Config {
        contents_files: crate::conn::ContentsOf::All,
        ..Config::default()
    };
    let mut lab = Lab::with("content_gap", cfg);
    lab.handshake();
    lab.data(1, 1, 1, b"hi");
    lab.ack(0, 1, 3);
    lab.data(0, 1, 3, b"ab");
    lab.ack(1, 3, 3);
    // Of two segments, then the first of them; and once more.
    lab.ack(1, 3, 7);
    lab.data(0, 3, 3, b"cd");
    lab.data(0, 5, 3, b"ef");
    lab.ack(1, 3, 9);
    lab.data(0, 7, 3, b"gh");
    let seen = lab.finish();
    assert_eq!((seen.conn("missed_bytes"), seen.conn("history")), ("0", "ShAdDa"));
    assert_eq!(seen.files[0].0, b"abcdefgh");
}

#[test]
fn a_gap_is_told_before_what_comes_after_it() {
    for (name, play) in [
        ("more", (|lab| lab.data(0, 5, 1, b"ef")) as fn(&mut Lab)),
        ("the end", |_| {}),
        ("its sender's FIN", |lab| lab.tcp(0, tf::FIN | tf::ACK, 5, 1, b"")),
        ("the other's FIN", |lab| lab.tcp(1, tf::FIN | tf::ACK, 1, 5, b"")),
        ("the other's first bytes", |lab| lab.data(1, 1, 5, b"hi")),
    ] {
        let seen = both(|lab| {
            lab.handshake();
            lab.data(0, 1, 1, b"ab");
            lab.ack(1, 1, 3);
            lab.ack(1, 1, 5);
            play(lab);
        });
        assert_eq!(seen.conn("missed_bytes"), "2", "{name}");
        assert!(
            seen.conn("history").starts_with("ShADaG"),
            "{name}: {}",
            seen.conn("history")
        );
    }
    // Each acknowledgement beyond is a gap of its own.
    let seen = both(|lab| {
        lab.handshake();
        lab.ack(1, 1, 5);
        lab.ack(1, 1, 9);
        lab.ack(1, 1, 13);
    });
    assert_eq!(seen.args("content_gap").len(), 3);
}

#[test]
fn a_second_syn_ack_changes_nothing_once_the_first_was_acknowledged() {
    let other = 1_000_000_000;
    let seen = both(|lab| {
        lab.handshake();
        lab.tcp(1, tf::SYN | tf::ACK, other, 1, b"");
        lab.ack(0, 1, 1);
        lab.data(1, 1, 1, b"abcd");
        lab.ack(0, 1, 5);
    });
    assert_eq!((seen.conn("resp_bytes"), seen.conn("missed_bytes")), ("4", "0"));
    // Before that, the acknowledgement says which of them holds.
    for start in [0, other] {
        let seen = both(|lab| {
            lab.tcp(0, tf::SYN, 0, 0, b"");
            lab.tcp(1, tf::SYN | tf::ACK, 0, 1, b"");
            lab.tcp(1, tf::SYN | tf::ACK, other, 1, b"");
            lab.ack(0, 1, start + 1);
            lab.data(1, start + 1, 1, b"abcd");
            lab.ack(0, 1, start + 5);
        });
        assert_eq!((seen.conn("resp_bytes"), seen.conn("missed_bytes")), ("4", "0"));
    }
}

#[test]
fn a_reset_beyond_any_window_ends_nothing() {
    let play = |by: u32| {
        both(move |lab| {
            lab.handshake();
            lab.data(1, 1, 1, b"abcd");
            lab.ack(0, 1, 5);
            lab.tcp(1, tf::RST, 5 + by, 0, b"");
            lab.data(1, 5, 1, b"efgh");
            lab.ack(0, 1, 9);
        })
    };
    let blind = play(65_536);
    assert_eq!((blind.conn("conn_state"), blind.conn("resp_bytes")), ("S1", "8"));
    assert_eq!(play(65_535).conn("conn_state"), "RSTR");
    // Nobody acknowledges what the one direction that is seen has sent.
    let seen = both(|lab| {
        lab.handshake();
        for n in 0..100 {
            lab.data(1, 1 + 1000 * n, 1, &[0; 1000]);
        }
        lab.tcp(1, tf::RST, 100_001, 0, b"");
    });
    assert_eq!(seen.conn("conn_state"), "RSTR");
}

#[test]
fn two_syns_that_cross_open_one_connection() {
    let seen = both(|lab| {
        lab.tcp(0, tf::SYN, 0, 0, b"");
        lab.tcp(1, tf::SYN, 0, 0, b"");
        lab.tcp(0, tf::SYN | tf::ACK, 0, 1, b"");
        lab.tcp(1, tf::SYN | tf::ACK, 0, 1, b"");
        lab.data(0, 1, 1, b"abcd");
        lab.data(1, 1, 5, b"ef");
        lab.ack(0, 5, 3);
    });
    assert_eq!((seen.conn("orig_bytes"), seen.conn("resp_bytes")), ("4", "2"));
    assert_eq!(seen.conn("id.orig_h"), "Addr(10.0.0.1)");
}

#[test]
fn a_clock_that_steps_back_takes_nothing_from_the_duration() {
    for after_close in [false, true] {
        let seen = both(|lab| {
            lab.handshake();
            lab.now += SECOND;
            lab.data(0, 1, 1, b"abcd");
            if after_close {
                lab.tcp(0, tf::FIN | tf::ACK, 5, 1, b"");
                lab.tcp(1, tf::FIN | tf::ACK, 1, 6, b"");
            }
            let latest = lab.now;
            lab.now -= 10 * SECOND;
            lab.ack(1, 1 + after_close as u32, 5 + after_close as u32);
            lab.now = latest;
        });
        let lasted = if after_close {
            "Interval(1005000000)"
        } else {
            "Interval(1003000000)"
        };
        assert_eq!(seen.conn("duration"), lasted);
        assert_eq!(seen.conn("orig_bytes"), "4");
    }
}
