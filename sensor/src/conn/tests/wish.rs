//! What somebody who is told of a connection wants of it.

use super::*;

/// The connection of the last event.
fn id(lab: &mut Lab) -> ConnId {
    let i = lab.engine.table.iter().next().expect("a connection");
    lab.engine.slots.get(i).expect("a connection").id()
}

#[test]
fn payload_that_nobody_is_to_read_is_counted_alone() {
    let mut lab = Lab::new("http_request,connection_state_remove");
    lab.handshake();
    lab.data(0, 1, 1, b"GET /one HTTP/1.1\r\n\r\n");
    let c = id(&mut lab);
    let now = lab.now;
    assert!(lab.engine.wish(&c, Wish::Shed, now, lab.soft.flows()));
    lab.data(0, 22, 1, b"GET /two HTTP/1.1\r\n\r\n");
    let seen = lab.finish();
    assert_eq!(seen.names(), ["http_request", "connection_state_remove"]);
    assert_eq!(seen.conn("orig_bytes"), "42");
}

#[test]
fn a_connection_may_be_silent_for_as_long_as_is_wanted() {
    for (wish, ends) in [
        (None, true),
        (Some(0), false),
        (Some(1000 * SECOND), false),
        (Some(SECOND), true),
    ] {
        let mut lab = Lab::new("connection_timeout,connection_state_remove");
        lab.handshake();
        lab.data(0, 1, 1, b"x");
        let c = id(&mut lab);
        let now = lab.now;
        if let Some(ns) = wish {
            assert!(lab.engine.wish(&c, Wish::Inactivity(ns), now, lab.soft.flows()));
        }
        lab.engine.advance(now + 400 * SECOND, lab.soft.flows());
        assert_eq!(lab.engine.is_empty(), ends, "{wish:?}");
    }
}

#[test]
fn another_connection_of_the_same_ends_is_left_alone() {
    let mut lab = Lab::new("");
    lab.handshake();
    let mut c = id(&mut lab);
    let other = ConnId::sample(80);
    c.uid = other.uid;
    let now = lab.now;
    assert!(!lab.engine.wish(&c, Wish::Shed, now, lab.soft.flows()));
    assert!(!lab.engine.wish(&other, Wish::Shed, now, lab.soft.flows()));
}
