//! Protocols whose datagrams stand alone.

use sensor::analyzer::api::{Protocol, Solo, Start};
use sensor::event::{Proto, Subscriptions};

use crate::analyzers::{Said, call, conn, pieces};

/// Gives datagrams to an analyzer: of `event` there must be as many as rows of logs.
pub fn check<P: Protocol>(port: u16, event: &str, data: &[u8]) {
    let c = conn(Proto::Udp, port);
    let mut out = Said::default();
    let mut solo = Solo::new(P::new(&Start::default(), &P::Shared::default()));
    for (what, piece) in pieces(data) {
        let is_orig = what & 1 == 0;
        solo.with(call(&c, &Subscriptions::ALL, &mut out), |a, ctx| {
            a.datagram(is_orig, piece, ctx)
        });
    }
    let text = String::from_utf8_lossy(&out.text);
    let count = |start: &str| text.lines().filter(|l| l.starts_with(start)).count();
    let event = format!("{{\"event\":\"{event}\"");
    let rows = count("{\"ts\":");
    // NTP's messages of modes 6 and 7 have no row.
    let is_silent = |l: &str| ["\"mode\":6", "\"mode\":7"].iter().any(|mode| l.contains(mode));
    let silent = text
        .lines()
        .filter(|l| l.starts_with(&event) && is_silent(l))
        .count();
    assert_eq!(count(&event), rows + silent);
}
