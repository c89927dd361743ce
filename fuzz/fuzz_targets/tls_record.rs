//! Both directions of a TLS stream, in arbitrary pieces. What comes out must not depend on the pieces, up to
//! the first message that cannot be read: what came in one piece with it is lost, as in Zeek.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::api::{Protocol, ReadsMarks, Solo};
use sensor::analyzer::tls::Tls;
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, call, conn, pieces};

/// Pieces as they are, or in parts of `size` bytes.
fn run(data: &[u8], subs: Subscriptions, size: usize) -> Vec<u8> {
    let c = conn(Proto::Tcp, 443);
    let mut out = Said::default();
    let mut tls = Solo::new(Tls::new());
    for (what, piece) in pieces(data) {
        tls.with(call(&c, &subs, &mut out), |tls, ctx| match what {
            0xff => {
                tls.gap(true, 1, ctx);
            }
            0xfe => tls.flip(),
            _ => {
                let is_orig = what & 1 == 0;
                for part in piece.chunks(size) {
                    // In parts, what nobody reads of a record is not at hand.
                    let unread = tls.to_header(is_orig).filter(|_| size != usize::MAX);
                    let n = unread.map_or(0, |n| n.min(part.len() as u64));
                    ReadsMarks::unseen(tls, is_orig, n, ctx);
                    tls.data(is_orig, &part[n as usize..], ctx);
                }
            }
        });
        let _ = tls.interest(what & 1 == 0);
    }
    tls.close(call(&c, &subs, &mut out));
    out.text
}

fn up_to_unreadable(text: &[u8]) -> std::borrow::Cow<'_, str> {
    const UNREADABLE: &[u8] = b"violation SSL Binpac exception";
    let at = text.windows(UNREADABLE.len()).position(|w| w == UNREADABLE);
    let line = at.map(|at| at + text[at..].iter().take_while(|b| **b != b'\n').count());
    String::from_utf8_lossy(&text[..line.unwrap_or(text.len())])
}

fuzz_target!(|data: &[u8]| {
    let Some((&settings, rest)) = data.split_first() else {
        return;
    };
    let subs = if settings & 1 != 0 {
        Subscriptions::ALL
    } else {
        Subscriptions::NONE
    };
    let whole = run(rest, subs, usize::MAX);
    if settings & 2 != 0 {
        let parts = run(rest, subs, (settings >> 2) as usize + 1);
        assert_eq!(up_to_unreadable(&whole), up_to_unreadable(&parts));
    }
});
