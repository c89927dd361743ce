//! Handshake messages: each piece is one, by direction and type, in records of a chosen size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::api::{Protocol, Solo};
use sensor::analyzer::tls::{Extras, Tls, TlsConfig, TlsShared};
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, call, conn, pieces};

const TYPES: [u8; 16] = [0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 21, 22, 8, 99];
/// Content types between messages, when the first bits say so.
const OTHERS: [u8; 4] = [20, 21, 23, 24];

fuzz_target!(|data: &[u8]| {
    let Some((&settings, rest)) = data.split_first() else {
        return;
    };
    let subs = Subscriptions::ALL;
    let c = conn(Proto::Tcp, 443);
    let mut out = Said::default();
    // All that costs more than the default.
    let mut tls = Solo::new(Tls::with(&TlsShared::new(TlsConfig {
        extras: Extras {
            subjects: true,
            fingerprints: true,
            offers: true,
        },
        ..TlsConfig::default()
    })));
    let minor = settings & 3;
    let size = 1 + ((settings >> 2) as usize).pow(2);
    for (what, piece) in pieces(rest) {
        let (is_orig, kind) = (what & 0x80 == 0, what & 0x0f);
        let (content, body) = if what & 0x60 == 0x60 {
            (OTHERS[kind as usize % 4], piece.to_vec())
        } else {
            let mut m = vec![TYPES[kind as usize]];
            m.extend(&(piece.len() as u32).to_be_bytes()[1..]);
            m.extend(piece);
            (22, m)
        };
        for part in body.chunks(size) {
            let mut record = vec![content, 3, minor];
            record.extend((part.len() as u16).to_be_bytes());
            record.extend(part);
            tls.with(call(&c, &subs, &mut out), |a, ctx| a.data(is_orig, &record, ctx));
        }
    }
    tls.close(call(&c, &subs, &mut out));
});
