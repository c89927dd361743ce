//! A connection that became a WebSocket: frames as they come, or each step one frame.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::http::Http;
use sensor::analyzer::websocket::Frames;
use sensor::event::{Proto, Subscriptions};
use sensor_fuzz::analyzers::{Said, call, conn};
use sensor_fuzz::talk::{self, Step};

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A binary message; the originator's is masked, with a key that changes nothing.
fn message(_: usize, is_orig: bool, bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = bytes.get(..0xffff).unwrap_or(bytes);
    let len = (bytes.len() as u16).to_be_bytes();
    let (mask, key) = match is_orig {
        true => (0x80, &[0; 4][..]),
        false => (0, &[][..]),
    };
    [&[0x82, mask | 126][..], &len, key, bytes].concat().into()
}

fuzz_target!(|data: &[u8]| {
    let [settings, size, rest @ ..] = data else { return };
    // Data comes out of frames however they are cut, with their events or without.
    let c = conn(Proto::Tcp, 80);
    let unframed = [usize::MAX, usize::from(*size).max(1)].map(|size| {
        let subs = match size {
            usize::MAX => Subscriptions::NONE,
            _ => Subscriptions::ALL,
        };
        let mut frames = Frames::new(&subs);
        let (mut out, mut said) = (Vec::new(), Said::default());
        for step in talk::steps(rest) {
            match step {
                Step::Sent(is_orig, bytes) => {
                    let parts = bytes.chunks(size);
                    out.extend(
                        parts.flat_map(|part| frames.unframe(is_orig, part, &mut call(&c, &subs, &mut said))),
                    );
                }
                Step::Lost(..) => frames.gap(),
                Step::End(_) | Step::Turned => {}
            }
        }
        out
    });
    assert_eq!(unframed[0], unframed[1]);
    let opening = [Step::Sent(true, REQUEST), Step::Sent(false, REPLY)];
    // Frames as they come have the same opening.
    let wrap = match settings & 64 {
        0 => message as talk::Wrap,
        _ => talk::bare,
    };
    let data = [&[settings | 1, 0][..], rest].concat();
    talk::check::<Http>(80, &data, Some((&opening, wrap)));
});
