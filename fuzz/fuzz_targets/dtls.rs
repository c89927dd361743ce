//! DTLS datagrams of both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::tls::{Dtls, looks_like_dtls};
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, conn, pieces, with_ctx};

fuzz_target!(|data: &[u8]| {
    let subs = Subscriptions::ALL;
    let c = conn(Proto::Udp, 4433);
    let mut out = Said::default();
    let mut dtls = Dtls::new();
    with_ctx(&c, &subs, &mut out, |ctx| {
        for (what, piece) in pieces(data) {
            let _ = looks_like_dtls(piece);
            if what == 0xfe {
                dtls.flip();
            }
            dtls.datagram(what & 1 == 0, piece, ctx);
            let _ = dtls.interest(what & 1 == 0);
        }
        dtls.end(ctx);
    });
});
