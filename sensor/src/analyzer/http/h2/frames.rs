//! A direction of HTTP/2 cut into what its frames bring (RFC 9113, sections 4 and 6). Knows no stream.

/// What the client begins with (section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Most bytes of a header block that are kept, all its frames together.
const MAX_BLOCK: usize = 256 << 10;
/// A block's memory that is kept for the next one, bytes.
const MAX_SPARE: usize = 4096;
/// Bytes of a frame's header.
const HEAD: usize = 9;

/// Types of frames.
mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The stream's direction ends with this frame; of SETTINGS: an acknowledgement.
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Why a direction is read no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It makes no sense: why.
    Frame(&'static str),
    /// A header block is longer than what is kept.
    Long,
}

/// What frames bring.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'b> {
    /// The direction began as it must.
    Begun,
    /// Some of a stream's body.
    Data {
        /// Whose.
        stream: u32,
        /// They themselves.
        bytes: &'b [u8],
    },
    /// A stream's direction is over.
    End {
        /// Which one's.
        stream: u32,
    },
    /// A header block.
    Block(Block),
    /// A stream is over.
    Reset {
        /// Which one.
        stream: u32,
    },
}

/// A header block (section 4.3), complete.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Whose stream it came on.
    pub stream: u32,
    /// The stream for which it is the request (PUSH_PROMISE).
    pub promised: Option<u32>,
    /// The stream's direction is over with it.
    pub is_last: bool,
    /// As it was sent.
    pub bytes: Vec<u8>,
}

/// One direction.
#[derive(Debug)]
pub struct Reader {
    is_orig: bool,
    /// What is left of the preface.
    preface: &'static [u8],
    head: [u8; HEAD],
    head_len: usize,
    frame: Option<Frame>,
    begun: bool,
    /// The block whose frames are coming.
    block: Option<Block>,
    /// Memory for the next one.
    spare: Vec<u8>,
}

/// The frame that is being read.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// Bytes of it that are still to come.
    left: usize,
    /// How many of them are padding.
    padding: usize,
    /// What comes before its content: the length of its padding, a priority, a promised stream.
    prefix: [u8; 6],
    prefix_len: usize,
    prefix_due: usize,
}

impl Frame {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether a flag for padding means that.
    fn is_padded(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE) && self.has(PADDED)
    }

    /// Its size and its stream must be possible.
    fn check(&self, is_orig: bool) -> Result<(), Bad> {
        let size_fits = match self.kind {
            kind::PRIORITY => self.left == 5,
            kind::RST_STREAM | kind::WINDOW_UPDATE => self.left == 4,
            kind::SETTINGS if self.has(ACK) => self.left == 0,
            kind::SETTINGS => self.left.is_multiple_of(6),
            kind::PING => self.left == 8,
            kind::GOAWAY => self.left >= 8,
            _ => self.left >= self.prefix_due,
        };
        let stream_fits = match self.kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => self.stream == 0,
            kind::DATA..=kind::RST_STREAM | kind::PUSH_PROMISE | kind::CONTINUATION => self.stream != 0,
            _ => true,
        };
        match (size_fits, stream_fits) {
            (false, _) => Err(Bad::Frame("size")),
            (_, false) => Err(Bad::Frame("stream")),
            _ if is_orig && self.kind == kind::PUSH_PROMISE => Err(Bad::Frame("promise by a client")),
            _ => Ok(()),
        }
    }

    /// What comes before its content is complete: what it says.
    fn prefix_done(&mut self, block: Option<&mut Block>) -> Result<(), Bad> {
        let [padding, rest @ ..] = self.prefix;
        let promised = match self.is_padded() {
            true => {
                self.padding = padding.into();
                [rest[0], rest[1], rest[2], rest[3]]
            }
            false => [padding, rest[0], rest[1], rest[2]],
        };
        if let Some(block) = block.filter(|_| self.kind == kind::PUSH_PROMISE) {
            block.promised = Some(stream_of(promised));
        }
        match self.padding > self.left {
            true => Err(Bad::Frame("padding")),
            false => Ok(()),
        }
    }
}

/// A stream's number: the first bit means nothing.
fn stream_of(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

impl Reader {
    /// Of a direction, before its first byte.
    pub fn new(is_orig: bool) -> Reader {
        Reader {
            is_orig,
            preface: if is_orig { PREFACE } else { &[] },
            head: [0; HEAD],
            head_len: 0,
            frame: None,
            begun: false,
            block: None,
            spare: Vec::new(),
        }
    }

    /// The next piece of what came; None when there is none without more bytes.
    pub fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<Option<Piece<'b>>, Bad> {
        loop {
            if !self.preface.is_empty() {
                let n = self.preface.len().min(bytes.len());
                if take(bytes, n) != self.preface.get(..n).unwrap_or(&[]) {
                    return Err(Bad::Frame("preface"));
                }
                self.preface = self.preface.get(n..).unwrap_or(&[]);
            }
            let Some(frame) = &mut self.frame else {
                let part = take(bytes, HEAD - self.head_len);
                if let Some(place) = self.head.get_mut(self.head_len..self.head_len + part.len()) {
                    place.copy_from_slice(part);
                }
                self.head_len += part.len();
                if self.head_len < HEAD {
                    return Ok(None);
                }
                self.begin()?;
                if !std::mem::replace(&mut self.begun, true) {
                    return Ok(Some(Piece::Begun));
                }
                continue;
            };
            if frame.prefix_len < frame.prefix_due {
                let &[b] = take(bytes, 1) else { return Ok(None) };
                if let Some(place) = frame.prefix.get_mut(frame.prefix_len) {
                    *place = b;
                }
                frame.prefix_len += 1;
                frame.left -= 1;
                if frame.prefix_len == frame.prefix_due {
                    frame.prefix_done(self.block.as_mut())?;
                }
                continue;
            }
            let content = take(bytes, frame.left - frame.padding);
            frame.left -= content.len();
            if frame.kind == kind::DATA && !content.is_empty() {
                let stream = frame.stream;
                return Ok(Some(Piece::Data {
                    stream,
                    bytes: content,
                }));
            }
            if let Some(block) = &mut self.block {
                if block.bytes.len() + content.len() > MAX_BLOCK {
                    return Err(Bad::Long);
                }
                block.bytes.extend_from_slice(content);
            }
            if frame.left == frame.padding {
                let padding = take(bytes, frame.padding).len();
                frame.padding -= padding;
                frame.left -= padding;
            }
            if frame.left > 0 {
                return Ok(None);
            }
            if let Some(piece) = self.end() {
                return Ok(Some(piece));
            }
        }
    }

    /// A frame's header is complete.
    fn begin(&mut self) -> Result<(), Bad> {
        self.head_len = 0;
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        let mut frame = Frame {
            kind,
            flags,
            stream: stream_of(stream),
            left: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            padding: 0,
            prefix: [0; 6],
            prefix_len: 0,
            prefix_due: 0,
        };
        frame.prefix_due = usize::from(frame.is_padded())
            + match kind {
                kind::HEADERS if frame.has(PRIORITY) => 5,
                kind::PUSH_PROMISE => 4,
                _ => 0,
            };
        frame.check(self.is_orig)?;
        if !self.begun && (kind != kind::SETTINGS || frame.has(ACK)) {
            return Err(Bad::Frame("no settings first"));
        }
        match (&self.block, kind) {
            (Some(block), kind::CONTINUATION) if block.stream == frame.stream => {}
            (None, kind::HEADERS | kind::PUSH_PROMISE) => {
                self.block = Some(Block {
                    stream: frame.stream,
                    promised: None,
                    is_last: kind == kind::HEADERS && frame.has(END_STREAM),
                    bytes: std::mem::take(&mut self.spare),
                });
            }
            (Some(_), _) => return Err(Bad::Frame("between headers")),
            (None, kind::CONTINUATION) => return Err(Bad::Frame("continuation of nothing")),
            (None, _) => {}
        }
        self.frame = Some(frame);
        Ok(())
    }

    /// A frame is over.
    fn end<'b>(&mut self) -> Option<Piece<'b>> {
        let frame = self.frame.take()?;
        let stream = frame.stream;
        match frame.kind {
            kind::DATA => frame.has(END_STREAM).then_some(Piece::End { stream }),
            kind::RST_STREAM => Some(Piece::Reset { stream }),
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION if frame.has(END_HEADERS) => {
                self.block.take().map(Piece::Block)
            }
            _ => None,
        }
    }

    /// A block was read: its memory is for the next one.
    pub fn give_back(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        if bytes.capacity() <= MAX_SPARE {
            self.spare = bytes;
        }
    }

    /// So many bytes are missing. The stream whose body they belong to, if they are a frame's; else nothing more of the
    /// direction makes sense.
    pub fn lose(&mut self, len: u64) -> Option<u32> {
        let frame = self.frame.as_mut()?;
        let is_content = frame.kind == kind::DATA && frame.prefix_len == frame.prefix_due;
        let len = usize::try_from(len).ok()?;
        if !is_content || len > frame.left - frame.padding {
            return None;
        }
        frame.left -= len;
        Some(frame.stream)
    }
}

/// Takes the first `n` bytes, or as many as there are.
fn take<'b>(bytes: &mut &'b [u8], n: usize) -> &'b [u8] {
    let (part, rest) = bytes.split_at_checked(n).unwrap_or((bytes, &[]));
    *bytes = rest;
    part
}
