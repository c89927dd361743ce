//! Bodies decompressed: gzip and deflate (Content-Encoding), within bounds of output and of memory.

use flate2::{Decompress, FlushDecompress, Status};

use super::memory::{MOST, Memory, Share};
use super::mime::says;
use crate::analyzer::api::Ctx;

/// Bytes that are decompressed at a time.
const BUFFER: usize = 4096;
/// So much may come out of any input, bytes.
const FREE_OUTPUT: u64 = 4 << 20;
/// Beyond that, most bytes that may come out for each that went in. Text comes to 20, deflate cannot do more than 1032.
const MAX_RATIO: u64 = 200;

/// Memory of what decompresses a body, bytes, roughly: 32 KiB of window, tables of codes.
pub const INFLATER: usize = 48 << 10;

/// Whether a Content-Encoding is one that is decompressed.
pub fn is_packed(coding: &[u8]) -> bool {
    [&b"gzip"[..], b"x-gzip", b"deflate"]
        .iter()
        .any(|c| says(coding, c))
}

/// What a connection decompresses its bodies with.
#[derive(Clone, Debug, Default)]
pub struct Unpacking {
    memory: Memory,
    /// That there was no memory for a body was told.
    full_told: bool,
}

impl Unpacking {
    /// Memory is taken out of `memory`.
    pub fn new(memory: Memory) -> Unpacking {
        Unpacking {
            memory,
            full_told: false,
        }
    }

    /// What decompresses a body that begins. None: there is no memory for one more, which is told once.
    pub fn begin(&mut self, ctx: &mut Ctx<'_>) -> Option<Box<Inflater>> {
        let share = self.memory.take(INFLATER, MOST);
        if share.is_none() && !std::mem::replace(&mut self.full_told, true) {
            ctx.out.weird("exceeded_http_decompression_memory", "");
        }
        share.map(|share| Box::new(Inflater::new(share)))
    }
}

/// A compressed body (RFC 1952, RFC 1950, RFC 1951).
#[derive(Debug)]
pub struct Inflater {
    state: State,
    /// Its memory, until it is over.
    share: Option<Share>,
    /// Bytes that went in.
    input: u64,
    /// Bytes that came out.
    output: u64,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing has come yet.
    #[default]
    New,
    /// Its first byte, which does not say what it is.
    First(u8),
    Running(Decompress),
    Over,
}

impl Inflater {
    fn new(share: Share) -> Inflater {
        Inflater {
            state: State::New,
            share: Some(share),
            input: 0,
            output: 0,
        }
    }

    /// Decompresses what came and hands out what it is in pieces. A weird's name where it cannot go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) -> Option<&'static str> {
        self.input = self.input.saturating_add(bytes.len() as u64);
        let mut state = std::mem::take(&mut self.state);
        let mut failed = None;
        if let (State::New, [first]) = (&state, bytes) {
            self.state = State::First(*first);
            return None;
        }
        if let (State::First(first), [second, ..]) = (&state, bytes) {
            let first = *first;
            let mut begun = start([first, *second]);
            failed = self.run(&mut begun, &[first], out);
            state = State::Running(begun);
        } else if let (State::New, [first, second, ..]) = (&state, bytes) {
            state = State::Running(start([*first, *second]));
        }
        if let (State::Running(running), None) = (&mut state, failed) {
            failed = self.run(running, bytes, out);
        }
        // What is over is said by a name that is none.
        if failed.is_some() {
            (state, self.share) = (State::Over, None);
        }
        self.state = state;
        failed.filter(|name| *name != END)
    }

    fn run(
        &mut self,
        z: &mut Decompress,
        mut bytes: &[u8],
        out: &mut dyn FnMut(&[u8]),
    ) -> Option<&'static str> {
        let mut buffer = [0; BUFFER];
        loop {
            let (before_in, before_out) = (z.total_in(), z.total_out());
            // What came out before an error is not passed on, as in Zeek.
            let Ok(status) = z.decompress(bytes, &mut buffer, FlushDecompress::None) else {
                return Some("inflate_failed");
            };
            let taken = usize::try_from(z.total_in() - before_in).unwrap_or(0);
            let made = usize::try_from(z.total_out() - before_out).unwrap_or(0);
            bytes = bytes.get(taken..).unwrap_or(&[]);
            if let Some(made) = buffer.get(..made).filter(|made| !made.is_empty()) {
                self.output = self.output.saturating_add(made.len() as u64);
                if self.output > FREE_OUTPUT.max(self.input.saturating_mul(MAX_RATIO)) {
                    return Some("exceeded_http_decompression_ratio");
                }
                out(made);
            }
            match status {
                Status::StreamEnd => return Some(END),
                _ if made == BUFFER => {}
                _ if bytes.is_empty() => return None,
                _ if taken > 0 || made > 0 => {}
                _ => return Some("inflate_failed"),
            }
        }
    }
}

/// The end of the compressed data: what follows is not looked at.
const END: &str = "";

/// What the first two bytes begin: gzip, zlib, or deflate without a header, which some servers send.
fn start(head: [u8; 2]) -> Decompress {
    let is_zlib = head[0] & 15 == 8 && u16::from_be_bytes(head).is_multiple_of(31);
    match head {
        [0x1f, 0x8b] => Decompress::new_gzip(15),
        _ => Decompress::new(is_zlib),
    }
}
