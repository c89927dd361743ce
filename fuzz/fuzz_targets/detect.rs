//! All analyzers of a connection: a stream or a flow of datagrams, on a port that the input chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::WorkerShared;
use sensor::analyzer::tls::{client_hello_begins, looks_like_dtls, looks_like_tls, server_hello_begins};
use sensor::analyzer::tree::Tree;
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, call, conn, pieces};

const PORTS: [u16; 32] = [
    4000, 80, 22, 25, 21, 53, 137, 123, 514, 443, 8080, 587, 5353, 5355, 3128, 65535, 161, 1812, 5060, 3306,
    6379, 1883, 502, 20000, 6667, 79, 5222, 445, 88, 389, 3389, 5432,
];

fuzz_target!(|data: &[u8]| {
    let [settings, rest @ ..] = data else {
        return;
    };
    let port = PORTS[(settings & 15 | settings >> 3 & 16) as usize];
    let is_tcp = settings & 16 == 0;
    let subs = if settings & 32 != 0 {
        Subscriptions::ALL
    } else {
        Subscriptions::NONE
    };
    let shared = WorkerShared::default();
    let mut tree = Tree::new(is_tcp, 40000, port, &shared);
    let c = conn(if is_tcp { Proto::Tcp } else { Proto::Udp }, port);
    tree.set_partial(settings & 64 != 0);
    let mut out = Said::default();
    let call = &mut call(&c, &subs, &mut out);
    for (what, piece) in pieces(rest) {
        let is_orig = what & 1 == 0;
        match what >> 4 {
            0xf => tree.flip(),
            0xe => tree.gap(is_orig, piece.len() as u64, &shared, call),
            0xd => tree.eof(is_orig, call),
            _ if is_tcp => {
                let _ = looks_like_tls(piece, is_orig);
                let _ = client_hello_begins(piece);
                let _ = server_hello_begins(piece);
                tree.stream(is_orig, piece, &shared, call);
            }
            _ => {
                let _ = looks_like_dtls(piece);
                tree.datagram(is_orig, piece, &shared, call);
                let _ = tree.take_turned();
            }
        }
        let _ = (tree.inside(), tree.interest(is_orig), tree.is_settled());
        assert!(tree.services().count() <= 6);
    }
    tree.close(call);
});
