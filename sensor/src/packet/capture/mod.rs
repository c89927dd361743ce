//! Capture files as a stream of frames: pcap, pcapng, either also gzip'ed, from a file or stdin.
//!
//! Memory does not grow with the input: one buffer of bounded size, in which a packet or a block that
//! matters must fit. An input that has nothing at hand and says so ([`io::ErrorKind::WouldBlock`]) is asked again where it
//! was left. The containers' structures are taken apart by `pcap-parser`, but for pcap's packets.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use pcap_parser::parse_pcap_header;

use super::link::LinkType;
use crate::base::time::SECOND;

mod located;
pub mod merge;
mod ng;
mod source;
pub mod write;

pub use located::MAX_PACKET;
use located::{LocateError, Located, TOO_LONG};
use ng::{Interface, SHB_MAGIC, next_ng};
use source::{Counted, Source};

/// Why a capture cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Nothing could be read at all (exit status 2).
    #[error("{path}: cannot open: {source}")]
    Open {
        /// Its name, as given.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Not pcap, pcapng or either of them gzip'ed (exit status 2).
    #[error("{path}: not a capture file")]
    NotACapture {
        /// Its name, as given.
        path: String,
    },
    /// Contradicts itself or ends in the midst of something (exit status 1).
    #[error("{path}: damaged at byte {at}: {what}")]
    Damaged {
        /// Its name, as given.
        path: String,
        /// Where, bytes from the start, uncompressed.
        at: u64,
        /// What was found there.
        what: &'static str,
    },
    /// Reading failed on the way (exit status 1).
    #[error("{path}: cannot read on at byte {at}: {source}")]
    Read {
        /// Its name, as given.
        path: String,
        /// Where, bytes from the start, uncompressed.
        at: u64,
        /// Why.
        source: io::Error,
    },
}

impl CaptureError {
    /// Exit status: 2 where nothing could be read, 1 where a part of the input is missing.
    pub fn exit_code(&self) -> u8 {
        match self {
            CaptureError::Open { .. } | CaptureError::NotACapture { .. } => 2,
            CaptureError::Damaged { .. } | CaptureError::Read { .. } => 1,
        }
    }
}

/// A frame as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Nanoseconds since the epoch.
    pub ts: u64,
    /// The link type of its interface.
    pub link: LinkType,
    /// The captured bytes, link header first.
    pub data: &'a [u8],
    /// Length on the wire, bytes.
    pub wire_len: u32,
    /// Number of the interface within its pcapng section; 0 for pcap.
    pub iface: u32,
}

/// What comes next in a capture.
#[derive(Debug)]
pub enum NextFrame<'a> {
    /// The next frame.
    Frame(Frame<'a>),
    /// The input has nothing at hand. More may come.
    NotYet,
    /// The input ended where it may end.
    End,
    /// The capture is damaged or cannot be read on; nothing more comes out of it.
    Damage(CaptureError),
}

/// What [`Capture::step`] would give next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// A frame.
    Frame {
        /// Its time, nanoseconds since the epoch.
        ts: u64,
        /// The link type of its interface.
        link: LinkType,
    },
    /// As [`NextFrame::NotYet`].
    NotYet,
    /// As [`NextFrame::End`].
    End,
    /// As [`NextFrame::Damage`].
    Damage,
}

enum Format {
    Pcap {
        big_endian: bool,
        modified: bool,
        /// Nanoseconds per unit of the fraction.
        unit: u64,
        link: LinkType,
        snaplen: usize,
    },
    PcapNg {
        big_endian: bool,
        interfaces: Vec<Interface>,
    },
}

/// A capture being read.
pub struct Capture {
    path: String,
    source: Source,
    format: Format,
    /// The frame that [`Capture::peek`] found, until [`Capture::step`] takes it.
    peeked: Option<Result<Located, LocateError>>,
    done: bool,
    /// Bytes of its file that were read, compressed or not.
    read: Arc<AtomicU64>,
}

impl Capture {
    /// Opens a file, or standard input for `-`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        if name == "-" {
            return Self::from_reader("standard input", Box::new(io::stdin()));
        }
        match File::open(path) {
            Ok(input) => {
                let read = Arc::<AtomicU64>::default();
                let counted = Counted {
                    input,
                    read: read.clone(),
                };
                let mut capture = Self::from_reader(&name, Box::new(counted))?;
                capture.read = read;
                Ok(capture)
            }
            Err(source) => Err(CaptureError::Open { path: name, source }),
        }
    }

    /// The capture's name in messages.
    pub fn name(&self) -> &str {
        &self.path
    }

    /// Bytes of its file that were read, as they lie on the disk; 0 if it is none.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Reads from `input`; `name` is used in messages.
    pub fn from_reader(name: &str, mut input: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let open_failed = |source| CaptureError::Open {
            path: name.to_owned(),
            source,
        };
        let mut magic = [0u8; 2];
        let mut got = 0;
        while let Some(room) = magic.get_mut(got..).filter(|r| !r.is_empty()) {
            match input.read(room) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if may_go_on(&e) => {}
                Err(e) => return Err(open_failed(e)),
            }
        }
        let start = Cursor::new(magic[..got].to_vec());
        let whole = start.chain(input);
        // RFC 1952: a gzip member starts with 1f 8b.
        let input: Box<dyn Read + Send> = if magic[..got] == [0x1f, 0x8b] {
            Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(
                256 * 1024,
                whole,
            )))
        } else {
            Box::new(whole)
        };
        let mut source = Source::new(input);
        let not_a_capture = || CaptureError::NotACapture {
            path: name.to_owned(),
        };
        // A file shorter than any header is no capture; neither is gzip'ed rubbish.
        loop {
            match source.fill(24) {
                Ok(true) => break,
                Ok(false) => return Err(not_a_capture()),
                Err(e) if may_go_on(&e) => {}
                Err(e) if damage(&e) => return Err(not_a_capture()),
                Err(e) => return Err(open_failed(e)),
            }
        }
        let format = if source.bytes()[..4] == SHB_MAGIC {
            Format::PcapNg {
                big_endian: false,
                interfaces: Vec::new(),
            }
        } else {
            let Ok((_, h)) = parse_pcap_header(source.bytes()) else {
                return Err(not_a_capture());
            };
            let format = Format::Pcap {
                big_endian: h.is_bigendian(),
                modified: h.is_modified_format(),
                unit: if h.is_nanosecond_precision() { 1 } else { 1000 },
                // The upper bits tell of a frame check sequence.
                link: LinkType(h.network.0 as u32 & 0x03ff_ffff),
                snaplen: match h.snaplen as usize {
                    0 => MAX_PACKET,
                    n => n,
                },
            };
            source.consume(24);
            format
        };
        Ok(Capture {
            path: name.to_owned(),
            source,
            format,
            peeked: None,
            done: false,
            read: Arc::default(),
        })
    }

    /// The link type of all its frames; None where each may have another (pcapng).
    pub fn link(&self) -> Option<LinkType> {
        match self.format {
            Format::Pcap { link, .. } => Some(link),
            Format::PcapNg { .. } => None,
        }
    }

    /// Bounds the read-ahead, bytes: how much is read at a time for speed alone.
    pub fn read_at_most(&mut self, bytes: usize) {
        self.source.most = bytes;
    }

    /// The next frame; None at the end. After an error there is nothing more. Waits for an input that has nothing at hand.
    #[allow(clippy::should_implement_trait)] // lends from the buffer, which Iterator cannot
    #[inline]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, CaptureError>> {
        while self.peek() == Peek::NotYet {}
        match self.step() {
            NextFrame::Frame(f) => Some(Ok(f)),
            NextFrame::NotYet | NextFrame::End => None,
            NextFrame::Damage(e) => Some(Err(e)),
        }
    }

    /// Looks at what comes next and leaves it there.
    #[inline]
    pub fn peek(&mut self) -> Peek {
        if self.peeked.is_none() {
            self.peeked = self.locate();
        }
        match &self.peeked {
            Some(Ok(l)) => Peek::Frame {
                ts: l.ts,
                link: l.link,
            },
            Some(Err(error)) if error.is_not_yet() => {
                self.peeked = None;
                Peek::NotYet
            }
            Some(Err(_)) => Peek::Damage,
            None => Peek::End,
        }
    }

    /// Takes what comes next.
    #[inline]
    pub fn step(&mut self) -> NextFrame<'_> {
        let found = match self.peeked.take() {
            None => self.locate(),
            found => found,
        };
        match found {
            Some(Ok(l)) => NextFrame::Frame(Frame {
                ts: l.ts,
                link: l.link,
                data: &self.source.buf[l.at..l.at + l.len],
                wire_len: l.wire_len,
                iface: l.iface,
            }),
            Some(Err(error)) if error.is_not_yet() => NextFrame::NotYet,
            Some(Err(error)) => NextFrame::Damage(self.error(error)),
            None => NextFrame::End,
        }
    }

    #[inline]
    fn locate(&mut self) -> Option<Result<Located, LocateError>> {
        if self.done {
            return None;
        }
        let found = match &mut self.format {
            Format::Pcap {
                big_endian,
                modified,
                unit,
                link,
                snaplen,
            } => next_pcap(&mut self.source, *big_endian, *modified, *unit, *link).map(|l| {
                // Who wrote a longer packet than the file was to hold went against its own header: libpcap cuts it.
                l.map(|l| Located {
                    len: l.len.min(*snaplen),
                    ..l
                })
            }),
            Format::PcapNg {
                big_endian,
                interfaces,
            } => next_ng(&mut self.source, big_endian, interfaces),
        };
        match found {
            Ok(Some(l)) => Some(Ok(l)),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(error) => {
                self.done = !error.is_not_yet();
                Some(Err(error))
            }
        }
    }

    #[cold]
    fn error(&self, error: LocateError) -> CaptureError {
        let (path, at) = (self.path.clone(), self.source.offset);
        match error {
            LocateError::Damaged(what) => CaptureError::Damaged { path, at, what },
            LocateError::Io(e) if damage(&e) => CaptureError::Damaged {
                path,
                at,
                what: "the compressed data is broken",
            },
            LocateError::Io(source) => CaptureError::Read { path, at, source },
        }
    }
}

/// Whether reading can go on after this error, now or later.
fn may_go_on(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Whether this error says that the compressed data is broken, not that reading failed.
fn damage(e: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(e.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

const CUT_HEADER: &str = "ends in the midst of a packet's header";
const CUT_PACKET: &str = "ends in the midst of a packet";

#[inline]
fn next_pcap(
    source: &mut Source,
    big_endian: bool,
    modified: bool,
    unit: u64,
    link: LinkType,
) -> Result<Option<Located>, LocateError> {
    let header = if modified { 24 } else { 16 };
    if !source.fill(header)? {
        return if source.bytes().is_empty() {
            Ok(None)
        } else {
            Err(LocateError::Damaged(CUT_HEADER))
        };
    }
    // By hand, as it is read for every packet: seconds, fraction, captured and original length.
    let Some((h, _)) = source.bytes().split_first_chunk::<16>() else {
        return Err(LocateError::Damaged(CUT_HEADER));
    };
    let word = |at: usize| {
        let word = [h[at], h[at + 1], h[at + 2], h[at + 3]];
        if big_endian {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        }
    };
    let (ts_sec, fraction, wire_len) = (word(0), word(4), word(12));
    let cap = word(8) as usize;
    if cap > MAX_PACKET {
        return Err(LocateError::Damaged(TOO_LONG));
    }
    if !source.fill(header + cap)? {
        return Err(LocateError::Damaged(CUT_PACKET));
    }
    let found = Located {
        ts: ts_sec as u64 * SECOND + fraction as u64 * unit,
        link,
        wire_len,
        iface: 0,
        at: source.start + header,
        len: cap,
    };
    source.consume(header + cap);
    Ok(Some(found))
}

#[cfg(test)]
mod tests;
