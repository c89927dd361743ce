//! Unique ids: the same for the same flow, whenever it is read; never the same for two connections.

use super::*;

/// The uids of conn.log's rows, in their order.
fn uids(lab: Lab) -> Vec<String> {
    let seen = lab.finish();
    let rows = seen.rows.iter().filter(|r| r.0 == "conn");
    let columns = rows.flat_map(|r| &r.1).filter(|c| c.0 == "uid");
    columns.map(|c| c.1.clone()).collect()
}

fn with_seed(seed: u64) -> Lab {
    let cfg = Config {
        seed,
        ..Config::default()
    };
    Lab::with("", cfg)
}

/// The only connection's.
fn uid(mut lab: Lab) -> String {
    lab.handshake();
    let mut all = uids(lab);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn seed_time_and_ends_make_a_uid() {
    let first = uid(with_seed(1));
    assert_eq!(first, uid(with_seed(1)));
    assert_ne!(first, uid(with_seed(2)));
    let mut later = with_seed(1);
    later.now += 1000;
    assert_ne!(first, uid(later));
    let mut from_elsewhere = with_seed(1);
    from_elsewhere.client_port += 1;
    assert_ne!(first, uid(from_elsewhere));
    // What was read before does not matter.
    let mut lab = with_seed(1);
    let now = lab.now;
    lab.now -= 10 * SECOND;
    lab.client_port += 1;
    lab.handshake();
    (lab.now, lab.client_port) = (now, CLIENT_PORT);
    lab.handshake();
    assert_eq!(uids(lab)[1], first);
}

#[test]
fn another_setting_of_the_clock_changes_no_uid() {
    let step = 3600 * SECOND;
    let mut lab = with_seed(1);
    lab.now += step;
    lab.engine.shifted_by(step as i64);
    assert_eq!(uid(lab), uid(with_seed(1)));
}

#[test]
fn connections_in_one_entry_have_different_uids() {
    let converse = || {
        let mut lab = with_seed(1);
        for n in 0..3 {
            // Each goes far beyond the one before.
            let far = n * 1_000_000;
            lab.tcp(0, tf::SYN, far, 0, b"");
            lab.tcp(1, tf::SYN | tf::ACK, far, far + 1, b"");
            lab.tcp(0, tf::RST, far + 1, 0, b"");
        }
        uids(lab)
    };
    let mut all = converse();
    assert_eq!(all, converse());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3);
}

#[test]
fn connections_that_begin_at_one_time_have_different_uids() {
    let converse = || {
        let mut lab = with_seed(1);
        let now = lab.now;
        for _ in 0..3 {
            lab.now = now;
            lab.tcp(0, tf::SYN, 0, 0, b"");
            lab.tcp(1, tf::RST | tf::ACK, 0, 1, b"");
            let then = lab.now + 100 * SECOND;
            lab.engine.advance(then, lab.soft.flows());
            assert!(lab.engine.is_empty());
        }
        uids(lab)
    };
    let mut all = converse();
    assert_eq!(all, converse());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3);
}
