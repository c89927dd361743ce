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
    // NTP's messages of mode 0 have no row.
    let silent = text
        .lines()
        .filter(|l| l.starts_with(&event) && l.contains("\"mode\":0}"))
        .count();
    assert_eq!(count(&event), rows + silent);
}
