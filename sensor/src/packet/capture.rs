//! Capture files as a stream of frames: pcap, pcapng, either also gzip'ed, from a file or stdin.
//!
//! Memory does not grow with the input: one buffer of fixed size, in which a packet or a block that
//! matters must fit. The containers' structures are taken apart by `pcap-parser`.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use pcap_parser::nom;
use pcap_parser::pcapng::{
    InterfaceDescriptionBlock, parse_enhancedpacketblock_be, parse_enhancedpacketblock_le,
    parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le, parse_sectionheaderblock,
};
use pcap_parser::{
    OptionCode, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use super::link::LinkType;

/// Longest packet that is believed, bytes (libpcap: MAXIMUM_SNAPLEN).
pub const MAX_PACKET: usize = 262_144;
/// Longest block that must be looked at as a whole: a packet with its header and options.
const MAX_BLOCK: usize = MAX_PACKET + 65_536;
/// Size of the buffer; at least [`MAX_BLOCK`].
const BUFFER: usize = 512 * 1024;
/// Most interfaces in a section.
const MAX_INTERFACES: usize = 65_536;
const NS: u64 = 1_000_000_000;

/// Why a capture cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Nothing could be read at all (exit status 2).
    #[error("{path}: cannot open: {source}")]
    Open { path: String, source: io::Error },
    /// Not pcap, pcapng or either of them gzip'ed (exit status 2).
    #[error("{path}: not a capture file")]
    NotACapture { path: String },
    /// Contradicts itself or ends in the midst of something (exit status 1). `at` counts bytes from the
    /// start, uncompressed.
    #[error("{path}: damaged at byte {at}: {what}")]
    Damaged {
        path: String,
        at: u64,
        what: &'static str,
    },
    /// Reading failed on the way (exit status 1).
    #[error("{path}: cannot read on at byte {at}: {source}")]
    Read {
        path: String,
        at: u64,
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
    pub link: LinkType,
    /// The captured bytes, link header first.
    pub data: &'a [u8],
    /// Length on the wire, bytes.
    pub wire_len: u32,
    /// Number of the interface within its pcapng section; 0 for pcap.
    pub iface: u32,
}

/// Where the next frame lies in the buffer.
struct Located {
    ts: u64,
    link: LinkType,
    wire_len: u32,
    iface: u32,
    at: usize,
    len: usize,
}

/// The input and the part of it that is in memory.
struct Source {
    input: Box<dyn Read + Send>,
    buf: Box<[u8]>,
    /// The bytes not yet consumed are `buf[start..end]`.
    start: usize,
    end: usize,
    /// Offset of `buf[start]` in the (uncompressed) input.
    offset: u64,
}

impl Source {
    /// Makes at least `n` (at most [`BUFFER`]) bytes available; false when the input ends before.
    #[inline]
    fn fill(&mut self, n: usize) -> io::Result<bool> {
        if self.end - self.start >= n {
            return Ok(true);
        }
        self.fill_slow(n)
    }

    #[cold]
    fn fill_slow(&mut self, n: usize) -> io::Result<bool> {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < n {
            let Some(room) = self.buf.get_mut(self.end..).filter(|r| !r.is_empty()) else {
                return Ok(false);
            };
            match self.input.read(room) {
                Ok(0) => return Ok(false),
                Ok(got) => self.end += got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Drops `n` available bytes.
    #[inline]
    fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Drops `n` bytes of the input that need not fit in the buffer; false when it ends before.
    fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        loop {
            let have = (self.end - self.start) as u64;
            let now = have.min(n);
            self.consume(now as usize);
            n -= now;
            if n == 0 {
                return Ok(true);
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
    }
}

/// A pcapng interface: what it takes to read its packets.
#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    /// Time stamp units per second.
    units: u64,
    /// Added to time stamps, seconds.
    offset: i64,
}

enum Format {
    Pcap {
        big_endian: bool,
        modified: bool,
        /// Nanoseconds per unit of the fraction.
        unit: u64,
        link: LinkType,
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
    done: bool,
}

/// What went wrong, before it is known where.
enum Fault {
    Damaged(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Fault::Io(e)
    }
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
            Ok(f) => Self::from_reader(&name, Box::new(f)),
            Err(source) => Err(CaptureError::Open { path: name, source }),
        }
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
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
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
        let mut source = Source {
            input,
            buf: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
        };
        let not_a_capture = || CaptureError::NotACapture {
            path: name.to_owned(),
        };
        // A file shorter than any header is no capture; neither is gzip'ed rubbish.
        match source.fill(24) {
            Ok(true) => {}
            Ok(false) => return Err(not_a_capture()),
            Err(e) if damage(&e) => return Err(not_a_capture()),
            Err(e) => return Err(open_failed(e)),
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
            };
            source.consume(24);
            format
        };
        Ok(Capture {
            path: name.to_owned(),
            source,
            format,
            done: false,
        })
    }

    /// The next frame; None at the end. After an error there is nothing more.
    #[allow(clippy::should_implement_trait)] // lends from the buffer, which Iterator cannot
    #[inline]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, CaptureError>> {
        if self.done {
            return None;
        }
        let found = match &mut self.format {
            Format::Pcap {
                big_endian,
                modified,
                unit,
                link,
            } => next_pcap(&mut self.source, *big_endian, *modified, *unit, *link),
            Format::PcapNg {
                big_endian,
                interfaces,
            } => next_ng(&mut self.source, big_endian, interfaces),
        };
        match found {
            Ok(Some(l)) => Some(Ok(Frame {
                ts: l.ts,
                link: l.link,
                data: &self.source.buf[l.at..l.at + l.len],
                wire_len: l.wire_len,
                iface: l.iface,
            })),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(fault) => {
                self.done = true;
                Some(Err(self.error(fault)))
            }
        }
    }

    #[cold]
    fn error(&self, fault: Fault) -> CaptureError {
        let (path, at) = (self.path.clone(), self.source.offset);
        match fault {
            Fault::Damaged(what) => CaptureError::Damaged { path, at, what },
            Fault::Io(e) if damage(&e) => CaptureError::Damaged {
                path,
                at,
                what: "the compressed data is broken",
            },
            Fault::Io(source) => CaptureError::Read { path, at, source },
        }
    }
}

/// Whether this error of the decompressor speaks of the data and not of the reading.
fn damage(e: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(e.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

const CUT_HEADER: &str = "ends in the midst of a packet's header";
const CUT_PACKET: &str = "ends in the midst of a packet";
const CUT_BLOCK: &str = "ends in the midst of a block";
const TOO_LONG: &str = "a packet longer than 262144 bytes";

fn next_pcap(
    source: &mut Source,
    big_endian: bool,
    modified: bool,
    unit: u64,
    link: LinkType,
) -> Result<Option<Located>, Fault> {
    let header = if modified { 24 } else { 16 };
    if !source.fill(header)? {
        return if source.bytes().is_empty() {
            Ok(None)
        } else {
            Err(Fault::Damaged(CUT_HEADER))
        };
    }
    let b = source.bytes();
    let cap = [b[8], b[9], b[10], b[11]];
    let cap = if big_endian {
        u32::from_be_bytes(cap)
    } else {
        u32::from_le_bytes(cap)
    } as usize;
    if cap > MAX_PACKET {
        return Err(Fault::Damaged(TOO_LONG));
    }
    if !source.fill(header + cap)? {
        return Err(Fault::Damaged(CUT_PACKET));
    }
    let b = source.bytes();
    let parsed = if modified {
        parse_pcap_frame_modified(b)
    } else if big_endian {
        parse_pcap_frame_be(b)
    } else {
        parse_pcap_frame(b)
    };
    let Ok((_, p)) = parsed else {
        return Err(Fault::Damaged(CUT_PACKET));
    };
    let found = Located {
        ts: p.ts_sec as u64 * NS + p.ts_usec as u64 * unit,
        link,
        wire_len: p.origlen,
        iface: 0,
        at: source.start + header,
        len: p.data.len(),
    };
    source.consume(header + cap);
    Ok(Some(found))
}

// pcapng block types (draft-ietf-opsawg-pcapng, 4).
const SHB_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const SHB: u32 = 0x0a0d_0d0a;
const IDB: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const EPB: u32 = 6;

fn next_ng(
    source: &mut Source,
    big_endian: &mut bool,
    interfaces: &mut Vec<Interface>,
) -> Result<Option<Located>, Fault> {
    loop {
        if !source.fill(12)? {
            return if source.bytes().is_empty() {
                Ok(None)
            } else {
                Err(Fault::Damaged(CUT_BLOCK))
            };
        }
        let b = source.bytes();
        if b[..4] == SHB_MAGIC {
            // Byte-order magic; a section has its own order and its own interfaces.
            *big_endian = match b[8..12] {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return Err(Fault::Damaged("a section of unknown byte order")),
            };
            interfaces.clear();
        }
        let u32_at = |b: &[u8], at: usize| number(b, at, *big_endian);
        let (typ, len) = (u32_at(b, 0), u32_at(b, 4) as usize);
        if len < 12 || len % 4 != 0 {
            return Err(Fault::Damaged("a block of impossible length"));
        }
        if !matches!(typ, SHB | IDB | PACKET | SIMPLE | EPB) {
            // Names, statistics, secrets, comments: may be long and are of no interest.
            if !source.skip(len as u64)? {
                return Err(Fault::Damaged(CUT_BLOCK));
            }
            continue;
        }
        if len > MAX_BLOCK {
            return Err(Fault::Damaged(TOO_LONG));
        }
        if !source.fill(len)? {
            return Err(Fault::Damaged(CUT_BLOCK));
        }
        let block = &source.bytes()[..len];
        if u32_at(block, len - 4) as usize != len {
            return Err(Fault::Damaged("a block whose two lengths differ"));
        }
        let found = match typ {
            SHB => {
                parsed(parse_sectionheaderblock(block), "a broken section header")?;
                None
            }
            IDB => {
                let parse = if *big_endian {
                    parse_interfacedescriptionblock_be
                } else {
                    parse_interfacedescriptionblock_le
                };
                let idb = parsed(parse(block), "a broken interface description")?;
                if interfaces.len() >= MAX_INTERFACES {
                    return Err(Fault::Damaged("too many interfaces"));
                }
                interfaces.push(interface(&idb, *big_endian));
                None
            }
            EPB => {
                let parse = if *big_endian {
                    parse_enhancedpacketblock_be
                } else {
                    parse_enhancedpacketblock_le
                };
                let p = parsed(parse(block), "a broken packet block")?;
                let stamp = (p.ts_high as u64) << 32 | p.ts_low as u64;
                Some((p.if_id, Some(stamp), p.caplen, p.origlen, 28))
            }
            PACKET if len >= 32 => {
                // Obsolete, but in old captures: interface (16 bits), drops, time, lengths.
                let id = if *big_endian {
                    u16::from_be_bytes([block[8], block[9]])
                } else {
                    u16::from_le_bytes([block[8], block[9]])
                };
                let stamp = (u32_at(block, 12) as u64) << 32 | u32_at(block, 16) as u64;
                Some((id as u32, Some(stamp), u32_at(block, 20), u32_at(block, 24), 28))
            }
            SIMPLE if len >= 16 => {
                // No captured length: the original one, cut by the interface's and the block's.
                let wire = u32_at(block, 8);
                let snap = interfaces.first().map_or(0, |i| i.snaplen);
                let cap = if snap > 0 { wire.min(snap) } else { wire };
                Some((0, None, cap.min(len as u32 - 16), wire, 12))
            }
            _ => return Err(Fault::Damaged("a packet block too short for its header")),
        };
        let start = source.start;
        if let Some((id, stamp, cap, wire_len, header)) = found {
            let Some(i) = interfaces.get(id as usize) else {
                return Err(Fault::Damaged("a packet of an interface that was not described"));
            };
            let cap = cap as usize;
            if cap > MAX_PACKET {
                return Err(Fault::Damaged(TOO_LONG));
            }
            if header + cap + 4 > len {
                return Err(Fault::Damaged("a packet longer than its block"));
            }
            let found = Located {
                ts: stamp.map_or(0, |s| nanoseconds(s, i)),
                link: i.link,
                wire_len,
                iface: id,
                at: start + header,
                len: cap,
            };
            source.consume(len);
            return Ok(Some(found));
        }
        source.consume(len);
    }
}

fn parsed<T, E>(r: Result<(&[u8], T), nom::Err<E>>, what: &'static str) -> Result<T, Fault> {
    r.map(|(_, t)| t).map_err(|_| Fault::Damaged(what))
}

/// The 32-bit number at `at`, which the caller knows to be there; 0 otherwise.
#[inline]
fn number(b: &[u8], at: usize, big_endian: bool) -> u32 {
    match b.get(at..at + 4) {
        Some(s) if big_endian => u32::from_be_bytes([s[0], s[1], s[2], s[3]]),
        Some(s) => u32::from_le_bytes([s[0], s[1], s[2], s[3]]),
        None => 0,
    }
}

fn interface(idb: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Interface {
    let mut i = Interface {
        link: LinkType(idb.linktype.0 as u32 & 0xffff),
        snaplen: idb.snaplen,
        units: 1_000_000,
        offset: 0,
    };
    for o in &idb.options {
        match (o.code, o.value()) {
            // Power of ten, or of two if the high bit is set. What does not fit in 64 bits is no
            // resolution of any clock.
            (OptionCode::IfTsresol, [r, ..]) => {
                let power = (r & 0x7f) as u32;
                let units = if r & 0x80 != 0 {
                    1u64.checked_shl(power)
                } else {
                    10u64.checked_pow(power)
                };
                i.units = units.unwrap_or(1_000_000);
            }
            (OptionCode::IfTsoffset, &[a, b, c, d, e, f, g, h, ..]) => {
                let raw = [a, b, c, d, e, f, g, h];
                i.offset = if big_endian {
                    i64::from_be_bytes(raw)
                } else {
                    i64::from_le_bytes(raw)
                };
            }
            _ => {}
        }
    }
    i
}

/// A pcapng time stamp in nanoseconds since the epoch; what lies outside 64 bits is cut to them.
fn nanoseconds(stamp: u64, i: &Interface) -> u64 {
    let ns = match i.units {
        1_000_000 => stamp as u128 * 1000,
        NS => stamp as u128,
        units => stamp as u128 * NS as u128 / units as u128,
    };
    let ns = ns as i128 + i.offset as i128 * NS as i128;
    ns.clamp(0, u64::MAX as i128) as u64
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
