//! DTLS datagrams of both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::api::{Protocol, Solo};
use sensor::analyzer::tls::{Dtls, looks_like_dtls};
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, call, conn, pieces};

fuzz_target!(|data: &[u8]| {
    let subs = Subscriptions::ALL;
    let c = conn(Proto::Udp, 4433);
    let mut out = Said::default();
    let mut dtls = Solo::new(Dtls::new());
    for (what, piece) in pieces(data) {
        let is_orig = what & 1 == 0;
        let _ = looks_like_dtls(piece);
        if what == 0xfe {
            dtls.analyzer.flip();
        }
        dtls.with(call(&c, &subs, &mut out), |a, ctx| {
            a.datagram(is_orig, piece, ctx)
        });
        let _ = dtls.interest(is_orig);
    }
    dtls.close(call(&c, &subs, &mut out));
});
