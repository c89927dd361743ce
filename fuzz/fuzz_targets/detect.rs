//! All matchers of protocols: a stream or a flow of datagrams, on a port that the input chooses.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::detect::Detector;
use sensor::analyzer::tls::{client_hello_begins, looks_like_dtls, looks_like_tls, server_hello_begins};
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, conn, pieces, with_ctx};

const PORTS: [u16; 16] = [
    4000, 80, 22, 25, 21, 53, 137, 123, 514, 443, 8080, 587, 5353, 5355, 3128, 65535,
];

fuzz_target!(|data: &[u8]| {
    let [settings, rest @ ..] = data else {
        return;
    };
    let port = PORTS[(settings & 15) as usize];
    let is_tcp = settings & 16 == 0;
    let subs = if settings & 32 != 0 {
        Subscriptions::ALL
    } else {
        Subscriptions::NONE
    };
    let (mut d, c) = if is_tcp {
        (Detector::tcp(40000, port), conn(Proto::Tcp, port))
    } else {
        (Detector::udp(40000, port), conn(Proto::Udp, port))
    };
    d.set_partial(settings & 64 != 0);
    let mut out = Said::default();
    with_ctx(&c, &subs, &mut out, |ctx| {
        for (what, piece) in pieces(rest) {
            let is_orig = what & 1 == 0;
            match what >> 4 {
                0xf => d.flip(),
                0xe => d.gap(is_orig, piece.len() as u64, ctx),
                0xd => d.eof(is_orig, ctx),
                _ if is_tcp => {
                    let _ = looks_like_tls(piece, is_orig);
                    let _ = client_hello_begins(piece);
                    let _ = server_hello_begins(piece);
                    match d.stream(is_orig, piece, ctx) {
                        Cow::Borrowed(inner) => assert!(piece.ends_with(inner)),
                        // Out of WebSocket's frames.
                        Cow::Owned(inner) => assert!(inner.len() <= piece.len()),
                    }
                }
                _ => {
                    let _ = looks_like_dtls(piece);
                    d.datagram(is_orig, piece, ctx);
                    let _ = d.take_backwards();
                }
            }
            let _ = (d.inner(), d.wants_more(is_orig));
            assert!(d.services().count() <= 4);
        }
        d.end(ctx);
    });
});
