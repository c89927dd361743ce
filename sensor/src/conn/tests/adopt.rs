//! Connections of another engine, by what the flow table knows of them.

use std::collections::HashMap;

use sensor_common::FlowKey;
use sensor_common::key::v4_mapped;

use super::*;
use crate::datapath::{FlowTable, Part};

/// A packet: side, flags, numbers, payload.
type Step = (usize, u8, [u32; 2], &'static [u8]);

const WHOLE: &[Step] = &[
    (0, tf::SYN, [0, 0], b""),
    (1, tf::SYN | tf::ACK, [0, 1], b""),
    (0, tf::ACK, [1, 1], b""),
    (0, tf::ACK, [1, 1], b"\x01question"),
    (1, tf::ACK, [1, 10], b""),
    (1, tf::ACK, [1, 10], b"\x02answer"),
    (0, tf::ACK, [10, 8], b""),
    (1, tf::ACK, [8, 10], b"more"),
    (0, tf::ACK, [10, 12], b""),
    (1, tf::FIN | tf::ACK, [12, 10], b""),
    (0, tf::FIN | tf::ACK, [10, 13], b""),
    (1, tf::ACK, [13, 11], b""),
];
const REFUSED: &[Step] = &[(0, tf::SYN, [0, 0], b""), (1, tf::RST | tf::ACK, [0, 1], b"")];
const RESET: &[Step] = &[
    (0, tf::SYN, [0, 0], b""),
    (1, tf::SYN | tf::ACK, [0, 1], b""),
    (0, tf::ACK, [1, 1], b""),
    (0, tf::ACK, [1, 1], b"\x01question"),
    (1, tf::RST | tf::ACK, [1, 10], b""),
];
const MIDDLE: &[Step] = &[
    (0, tf::ACK, [1, 1], b"\x01question"),
    (1, tf::ACK, [1, 10], b"\x02answer"),
    (0, tf::ACK, [10, 8], b""),
];

fn key() -> FlowKey {
    FlowKey::new(
        &v4_mapped([10, 0, 0, 1]),
        &v4_mapped([10, 0, 0, 2]),
        CLIENT_PORT,
        80,
        IPPROTO_TCP,
        false,
    )
    .0
}

/// Another engine in the place of the one that there is, which is lost with all that it knew.
fn another(lab: &mut Lab, parts: HashMap<FlowKey, Part>) {
    let cfg = Config {
        seed: 7,
        ..Config::default()
    };
    lab.engine = Engine::new(cfg, Subscriptions::default(), Seen::default());
    lab.engine.take_over(lab.now + 1, parts);
}

fn lab() -> Lab {
    let mut lab = Lab::new("");
    another(&mut lab, HashMap::new());
    lab
}

fn send(lab: &mut Lab, steps: &[Step]) {
    for (side, flags, [seq, ack], payload) in steps {
        lab.tcp(*side, *flags, *seq, *ack, payload);
    }
}

fn row(seen: &Seen, columns: &[&str]) -> Vec<String> {
    columns.iter().map(|c| seen.conn(c).to_owned()).collect()
}

const EXACT: &[&str] = &[
    "ts",
    "uid",
    "id.orig_h",
    "duration",
    "conn_state",
    "orig_bytes",
    "resp_bytes",
    "orig_pkts",
    "orig_ip_bytes",
    "resp_pkts",
    "resp_ip_bytes",
    "missed_bytes",
];

#[test]
fn a_connection_goes_on_in_another_engine_as_if_nothing_had_happened() {
    for steps in [WHOLE, REFUSED, RESET, MIDDLE] {
        let mut whole = lab();
        send(&mut whole, steps);
        let whole = whole.finish();
        for cut in 1..=steps.len() {
            for walked in [false, true] {
                let mut lab = lab();
                send(&mut lab, &steps[..cut]);
                another(&mut lab, HashMap::new());
                if walked || cut == steps.len() {
                    let state = lab.soft.flows().get(&key()).expect("a flow");
                    lab.engine.adopt(&key(), &state, lab.soft.flows());
                    assert_eq!((lab.engine.len(), lab.engine.adopted()), (1, 1));
                }
                send(&mut lab, &steps[cut..]);
                let seen = lab.finish();
                let what = format!("{} of {} packets, walked: {walked}", cut, steps.len());
                assert_eq!(row(&seen, EXACT), row(&whole, EXACT), "{what}");
                let letters = |s: &str| {
                    let mut l: Vec<char> = s.chars().filter(|c| c.is_ascii_alphabetic()).collect();
                    l.sort_unstable();
                    l
                };
                assert_eq!(
                    letters(seen.conn("history")),
                    letters(whole.conn("history")),
                    "{what}"
                );
                let weirds: Vec<_> = seen.rows.iter().filter(|r| r.0 == "weird").collect();
                assert_eq!(weirds.len(), 1, "{what}: {weirds:?}");
                assert!(weirds[0].1.contains(&("name", "connection_resumed".to_owned())));
            }
        }
    }
}

#[test]
fn flows_that_began_later_are_not_taken_over() {
    let mut lab = lab();
    lab.now += SECOND;
    send(&mut lab, &WHOLE[..4]);
    let state = lab.soft.flows().get(&key()).expect("a flow");
    lab.engine.adopt(&key(), &state, lab.soft.flows());
    assert_eq!(lab.engine.adopted(), 0);
}

#[test]
fn what_ended_without_a_row_gets_one() {
    let mut lab = lab();
    send(&mut lab, WHOLE);
    let state = lab.soft.flows().remove(&key()).expect("a flow");
    another(&mut lab, HashMap::new());
    lab.engine.bury(&key(), &state, None, lab.soft.flows());
    assert_eq!(lab.engine.len(), 0);
    let seen = lab.finish();
    let columns = ["conn_state", "orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes"];
    assert_eq!(row(&seen, &columns), ["SF", "6", "6", "9", "11"]);
}

#[test]
fn the_second_connection_of_a_flow_keeps_its_uid_and_its_own_counts() {
    let mut lab = lab();
    send(&mut lab, &WHOLE[..9]);
    let before = lab.soft.flows().get(&key()).expect("a flow");
    another(&mut lab, HashMap::new());
    let start = lab.now + SECOND / 1000;
    send(&mut lab, &WHOLE[..6]);
    let state = lab.soft.flows().get(&key()).expect("a flow");
    let part = Part {
        flow_start: state.start,
        uid_hi: 77,
        start,
        orig: 0,
        base: before,
    };
    another(&mut lab, HashMap::from([(key(), part)]));
    lab.engine.adopt(&key(), &state, lab.soft.flows());
    send(&mut lab, &WHOLE[6..]);
    let seen = lab.finish();
    let columns = ["conn_state", "orig_pkts", "resp_pkts"];
    assert_eq!(row(&seen, &columns), ["SF", "6", "6"]);
    let (first, second) = ((&key().a, key().a_port), (&key().b, key().b_port));
    let uid = crate::event::Uid::between(77, first, second, IPPROTO_TCP);
    assert_eq!(seen.conn("uid"), uid.to_string());
    assert_eq!(seen.conn("ts"), format!("{:?}", Value::Time(start)));
}
