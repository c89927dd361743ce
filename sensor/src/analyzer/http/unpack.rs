//! Bodies decompressed: gzip, deflate and br (Content-Encoding), within bounds of output and of memory.

use flate2::{Decompress, FlushDecompress, Status};

use super::brotli::{Brotli, Step};
use super::memory::{MOST, Memory, Share};
use super::mime::says;
use crate::analyzer::api::Ctx;

/// Bytes that are decompressed at a time.
const BUFFER: usize = 4096;
/// So much may come out of any input, bytes.
const FREE_OUTPUT: u64 = 4 << 20;
/// Beyond that, most bytes that may come out for each that went in. Text comes to 20, deflate cannot do more than 1032.
const MAX_RATIO: u64 = 200;

/// Memory of what decompresses gzip, bytes, roughly: 32 KiB of window, tables of codes.
pub const INFLATER: usize = 48 << 10;

/// The weird of a body for which there is no memory.
const NO_MEMORY: &str = "exceeded_http_decompression_memory";

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// gzip (RFC 1952), zlib (RFC 1950) or deflate (RFC 1951), which tell themselves.
    Deflate,
    /// Brotli (RFC 7932).
    Brotli,
}

impl Scheme {
    /// What a Content-Encoding says, if that is one that is read.
    pub fn of(coding: &[u8]) -> Option<Scheme> {
        let known = [
            (&b"gzip"[..], Scheme::Deflate),
            (b"x-gzip", Scheme::Deflate),
            (b"deflate", Scheme::Deflate),
            (b"br", Scheme::Brotli),
        ];
        let found = known.iter().find(|(name, _)| says(coding, name));
        found.map(|(_, scheme)| *scheme)
    }
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

    /// What decompresses a body that begins. None: there is no memory for one more, which is told.
    pub fn begin(&mut self, scheme: Scheme, ctx: &mut Ctx<'_>) -> Option<Box<Unpacker>> {
        let state = match scheme {
            Scheme::Deflate => self.memory.take(INFLATER, MOST).map(State::New),
            Scheme::Brotli => Brotli::new(&self.memory).map(State::Brotli),
        };
        if state.is_none() {
            self.tell(NO_MEMORY, ctx);
        }
        state.map(|state| Box::new(Unpacker::new(state)))
    }

    /// Tells why a body is read no further. Want of memory is told once.
    pub fn tell(&mut self, weird: &'static str, ctx: &mut Ctx<'_>) {
        if weird != NO_MEMORY || !std::mem::replace(&mut self.full_told, true) {
            ctx.out.weird(weird, "");
        }
    }
}

/// A compressed body. What it takes goes when it is over.
#[derive(Debug)]
pub struct Unpacker {
    state: State,
    /// Bytes that went in.
    input: u64,
    /// Bytes that came out.
    output: u64,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing has come yet.
    New(Share),
    /// Its first byte, which does not say what it is.
    First(u8, Share),
    Inflate {
        z: Decompress,
        _share: Share,
    },
    Brotli(Brotli),
    #[default]
    Over,
}

impl Unpacker {
    fn new(state: State) -> Unpacker {
        Unpacker {
            state,
            input: 0,
            output: 0,
        }
    }

    /// Decompresses what came and hands out what it is in pieces. A weird's name where it cannot go on.
    pub fn push(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) -> Option<&'static str> {
        self.input = self.input.saturating_add(bytes.len() as u64);
        let mut failed = None;
        let mut state = match (std::mem::take(&mut self.state), bytes) {
            (State::New(share), [first]) => {
                self.state = State::First(*first, share);
                return None;
            }
            (State::New(_share), [first, second, ..]) => {
                let z = start([*first, *second]);
                State::Inflate { z, _share }
            }
            (State::First(first, _share), [second, ..]) => {
                let mut z = start([first, *second]);
                failed = self.inflate(&mut z, &[first], out);
                State::Inflate { z, _share }
            }
            (state, _) => state,
        };
        if failed.is_none() {
            failed = match &mut state {
                State::Inflate { z, .. } => self.inflate(z, bytes, out),
                State::Brotli(brotli) => self.brotli(brotli, bytes, out),
                _ => None,
            };
        }
        // What is over is said by a name that is none.
        if failed.is_none() {
            self.state = state;
        }
        failed.filter(|name| *name != END)
    }

    /// Hands out what came out of it. A weird's name where that is too much.
    fn pass_on(&mut self, made: &[u8], out: &mut dyn FnMut(&[u8])) -> Option<&'static str> {
        self.output = self.output.saturating_add(made.len() as u64);
        if self.output > FREE_OUTPUT.max(self.input.saturating_mul(MAX_RATIO)) {
            return Some("exceeded_http_decompression_ratio");
        }
        if !made.is_empty() {
            out(made);
        }
        None
    }

    fn inflate(
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
            if let Some(failed) = self.pass_on(buffer.get(..made).unwrap_or(&[]), out) {
                return Some(failed);
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

    fn brotli(
        &mut self,
        brotli: &mut Brotli,
        mut bytes: &[u8],
        out: &mut dyn FnMut(&[u8]),
    ) -> Option<&'static str> {
        let mut buffer = [0; BUFFER];
        loop {
            let (step, made) = brotli.step(&mut bytes, &mut buffer);
            if let Some(failed) = self.pass_on(buffer.get(..made).unwrap_or(&[]), out) {
                return Some(failed);
            }
            match step {
                Step::Full => {}
                Step::Read => return None,
                Step::End => return Some(END),
                Step::Bad => return Some("brotli_failed"),
                Step::NoMemory => return Some(NO_MEMORY),
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
