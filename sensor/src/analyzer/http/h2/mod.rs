//! HTTP/2 in the clear (RFC 9113): requests and replies as rows of http.log and the events of HTTP/1, each body a file.
//!
//! [`frames`] cuts a direction, [`hpack`] reads header blocks, [`stream`] is a request and its reply. What one block brings
//! changes how those after it are read: a connection of which some is missing outside of bodies is read no further.

mod fields;
mod frames;
mod hpack;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::exchange::Exchange;
use super::unpack::Unpacking;
use crate::analyzer::api::{Ctx, Interest};
use fields::Fields;
use frames::{Bad, Block, Piece, Reader};
use hpack::Table;
use stream::Stream;

pub use frames::PREFACE;

/// Most streams that are open at a time; of more, the first one gets its row.
const MAX_STREAMS: usize = 1000;
/// Most bytes kept for them, roughly; with more, the same.
const MAX_KEPT: usize = 8 << 20;

/// Bytes from the server ahead of the client's preface that may wait for it, at most.
pub const MAX_EARLY: usize = 1024;

/// One connection's state.
#[derive(Debug)]
pub struct H2 {
    readers: [Reader; 2],
    tables: [Table; 2],
    /// Those open, by number.
    streams: BTreeMap<u32, Stream>,
    /// Number of the latest stream that the client opened, and of the latest one that the server promised.
    last: [u32; 2],
    /// How many streams there were, and pairs of HTTP/1 before them.
    depth: u64,
    /// Bytes kept for the streams, roughly.
    kept: usize,
    /// Headers that are at work.
    fields: Fields,
    /// Nothing more is read.
    is_over: bool,
    /// A stream got its row because there were too many.
    excess_told: bool,
    /// Passwords go into the log.
    passwords: bool,
    /// What compressed bodies are read with.
    unpacking: Unpacking,
    /// Requests and replies so far.
    pub messages: [u64; 2],
}

impl H2 {
    /// A connection before its preface, on which there were `depth` pairs of HTTP/1. `asked`: the request that asked for
    /// HTTP/2, whose reply is the first stream's.
    pub fn new(depth: u64, asked: Option<Exchange>, passwords: bool, unpacking: Unpacking) -> H2 {
        let mut streams = BTreeMap::new();
        let last = [u32::from(asked.is_some()), 0];
        let mut kept = 0;
        if let Some(x) = asked {
            let ts = x.ts;
            let stream = Stream::upgraded(x, ts);
            kept = stream.kept();
            streams.insert(1, stream);
        }
        H2 {
            readers: [Reader::new(true), Reader::new(false)],
            tables: Default::default(),
            streams,
            last,
            depth,
            kept,
            fields: Fields::default(),
            is_over: false,
            excess_told: false,
            passwords,
            unpacking,
            messages: [0; 2],
        }
    }

    /// Bytes of a direction.
    pub fn data(&mut self, dir: usize, mut bytes: &[u8], ctx: &mut Ctx<'_>) {
        while !self.is_over {
            match self.readers[dir].next(&mut bytes) {
                Ok(None) => return,
                Ok(Some(piece)) => self.piece(dir, piece, ctx),
                Err(Bad::Long) => self.too_large(ctx),
                Err(Bad::Frame(why)) if ctx.is_confirmed() => self.broken("HTTP2_bad_frame", why, ctx),
                Err(Bad::Frame(_)) => {
                    self.is_over = true;
                    ctx.violation("not HTTP/2");
                }
            }
        }
    }

    /// Bytes of a direction are missing.
    pub fn lose(&mut self, dir: usize, len: u64, ctx: &mut Ctx<'_>) {
        if self.is_over {
            return;
        }
        match self.readers[dir].lose(len) {
            Some(id) => {
                self.with(id, ctx, |stream, _, ctx| stream.lose(dir, len, ctx));
                self.data(dir, &[], ctx);
            }
            None => self.is_over = true,
        }
    }

    /// Nothing more is read.
    pub fn stop(&mut self) {
        self.is_over = true;
    }

    /// How much of a direction's further bytes is needed.
    pub fn interest(&self) -> Interest {
        match self.is_over {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }

    /// Whether every stream has its row.
    pub fn is_settled(&self) -> bool {
        self.streams.is_empty()
    }

    /// The connection is over: what has no row gets one.
    pub fn finish(&mut self, why: &str, ctx: &mut Ctx<'_>) {
        while let Some((_, stream)) = self.streams.pop_first() {
            interrupt(stream, why, ctx);
        }
        self.kept = 0;
    }

    fn broken(&mut self, weird: &'static str, why: &str, ctx: &mut Ctx<'_>) {
        self.is_over = true;
        ctx.out.weird(weird, why);
    }

    fn too_large(&mut self, ctx: &mut Ctx<'_>) {
        ctx.out.gave_up();
        self.broken("HTTP2_excessive_headers", "", ctx);
    }

    fn piece(&mut self, dir: usize, piece: Piece<'_>, ctx: &mut Ctx<'_>) {
        match piece {
            Piece::Begun => ctx.confirm(),
            Piece::Data { stream, bytes } => {
                self.with(stream, ctx, |stream, unpacking, ctx| {
                    stream.data(dir, bytes, unpacking, ctx);
                });
            }
            Piece::End { stream } => self.with(stream, ctx, |stream, _, ctx| stream.end(dir, None, ctx)),
            Piece::Block(block) => self.block(dir, block, ctx),
            Piece::Reset { stream } => {
                if let Some(stream) = self.streams.remove(&stream) {
                    self.kept = self.kept.saturating_sub(stream.kept());
                    interrupt(stream, "stream reset", ctx);
                }
            }
        }
    }

    fn block(&mut self, dir: usize, mut block: Block, ctx: &mut Ctx<'_>) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        let bytes = std::mem::take(&mut block.bytes);
        let read = self.tables[dir].decode(&bytes, &mut |name, value| fields.push(name, value));
        self.readers[dir].give_back(bytes);
        match read {
            Ok(()) => self.headers(dir, &block, &fields, ctx),
            Err(hpack::Error::Malformed) => self.broken("HTTP2_bad_header_block", "", ctx),
            Err(hpack::Error::TooLarge) => self.too_large(ctx),
        }
        self.fields = fields;
    }

    fn headers(&mut self, dir: usize, block: &Block, fields: &Fields, ctx: &mut Ctx<'_>) {
        if let Some(id) = block.promised {
            if id.is_multiple_of(2) && id > self.last[1] {
                self.last[1] = id;
                self.messages[0] += 1;
                self.open(id, ctx);
                self.with(id, ctx, |stream, _, ctx| stream.promised(fields, ctx));
            }
            return;
        }
        let id = block.stream;
        // A reply may be seen before its request. Other streams that are not open are over.
        let is_new = !id.is_multiple_of(2) && id > self.last[0];
        if is_new && dir == 0 {
            self.last[0] = id;
        }
        if is_new && !self.streams.contains_key(&id) {
            self.open(id, ctx);
        }
        let passwords = self.passwords;
        let mut begins = false;
        self.with(id, ctx, |stream, _, ctx| {
            begins = stream.headers(dir, fields, passwords, ctx);
            if block.is_last {
                stream.end(dir, None, ctx);
            }
        });
        self.messages[dir] += u64::from(begins);
    }

    fn open(&mut self, id: u32, ctx: &mut Ctx<'_>) {
        self.depth += 1;
        self.streams.insert(id, Stream::new(id, self.depth, ctx.ts));
    }

    /// Lets a stream work, if it is open. It gets its row when it is over, and the first one when they are too many.
    fn with(
        &mut self,
        id: u32,
        ctx: &mut Ctx<'_>,
        work: impl FnOnce(&mut Stream, &mut Unpacking, &mut Ctx<'_>),
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let before = stream.kept();
        work(stream, &mut self.unpacking, ctx);
        let (is_over, now) = (stream.is_over(), stream.kept());
        self.kept = (self.kept + now).saturating_sub(before);
        if is_over && let Some(stream) = self.streams.remove(&id) {
            self.kept = self.kept.saturating_sub(now);
            stream.log(ctx);
        }
        while self.streams.len() > MAX_STREAMS || self.kept > MAX_KEPT {
            let Some((_, stream)) = self.streams.pop_first() else {
                self.kept = 0;
                return;
            };
            if !std::mem::replace(&mut self.excess_told, true) {
                ctx.out.weird("HTTP2_excessive_streams", "");
            }
            self.kept = self.kept.saturating_sub(stream.kept());
            interrupt(stream, "too many streams", ctx);
        }
    }
}

/// A stream ends before its time.
fn interrupt(mut stream: Stream, why: &str, ctx: &mut Ctx<'_>) {
    for dir in [0, 1] {
        stream.end(dir, Some(why), ctx);
    }
    stream.log(ctx);
}

/// Whether a server's first bytes may be those of HTTP/2: SETTINGS (RFC 9113, section 3.4), which may come before the
/// client's preface. They are those of `known`, and `bytes` behind them.
pub fn may_begin(known: &[u8], bytes: &[u8]) -> bool {
    let mut head = known.iter().chain(bytes).take(9).enumerate();
    head.all(|(at, b)| match at {
        2 => b.is_multiple_of(6),
        3 => *b == 4,
        _ => *b == 0,
    })
}
