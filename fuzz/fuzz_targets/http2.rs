//! HTTP/2 with prior knowledge: frames as they come, or each step a block of fields in a HEADERS frame.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use sensor::analyzer::http::Http;
use sensor_fuzz::talk::{self, Step};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// A block is whole, and all that its message has.
const END_ALL: u8 = 0x05;

/// A request and its reply follow each other.
fn headers(n: usize, _: bool, block: &[u8]) -> Cow<'_, [u8]> {
    let block = block.get(..0xffff).unwrap_or(block);
    let [_, len @ ..] = (block.len() as u32).to_be_bytes();
    let stream = (n as u32 / 2 * 2 + 1).to_be_bytes();
    [&len[..], &[1, END_ALL], &stream, block].concat().into()
}

fuzz_target!(|data: &[u8]| {
    let opening = [Step::Sent(true, PREFACE), Step::Sent(false, SETTINGS)];
    talk::check::<Http>(80, data, Some((&opening, headers)));
});
