//! HTTP/1 as far as the name of the service needs it: the first lines of requests and replies, how long
//! messages are, and where a CONNECT tunnel or another protocol (Upgrade) begins.

mod rules;

use std::collections::VecDeque;

use super::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::lines::{Eol, Lines, reply_code, skip_blank};
use crate::event::AnalyzerTag;

/// Most requests that wait for a reply. With more, the rest of the connection is not judged.
const MAX_UNANSWERED: usize = 64;

/// Most bytes kept of a header that continues over several lines.
const MAX_HEADER: usize = 4096;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Http;

/// What the next bytes of a direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    FirstLine,
    Headers,
    /// A body with this many bytes left.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    /// Bytes that are not judged, to the connection's end.
    Nothing,
}

/// What the headers of a message say of its body and of what comes after it.
#[derive(Debug, Default)]
struct Message {
    length: Option<u64>,
    /// Length of a part by Content-Range, bytes.
    range: Option<u64>,
    chunked: bool,
    /// The body consists of lines.
    mime: bool,
    /// There is no body: a request line, a reply 1xx, 204 or 304, or a reply to HEAD.
    bodiless: bool,
    code: u16,
    /// `Connection: upgrade`, and what `Upgrade` names.
    upgrade: bool,
    protocol: Option<Switch>,
}

/// What a reply 101 switches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    WebSocket,
    Other,
}

#[derive(Debug)]
struct Side {
    lines: Lines,
    expect: Expect,
    message: Message,
    /// The header line before, which the next one may continue.
    header: Vec<u8>,
    /// Of the latest first line.
    version: Version,
    /// First lines so far.
    messages: u32,
}

/// One connection's state.
#[derive(Debug)]
pub struct Http {
    sides: [Side; 2],
    /// For each request without a reply: whether it was HEAD.
    unanswered: VecDeque<bool>,
    keep_alive: bool,
    /// The responder said that it would close.
    close: bool,
    connect: bool,
}

impl Protocol for Http {
    const SPEC: Spec = Spec {
        tcp_ports: &[80, 81, 631, 1080, 3128, 8000, 8080, 8888],
        rules: rules::RULES,
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_HTTP", "http"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Http {
        let side = || Side {
            lines: Lines::new(Eol::CrOrLf),
            expect: Expect::FirstLine,
            message: Message::default(),
            header: Vec::new(),
            version: UNKNOWN,
            messages: 0,
        };
        Http {
            sides: [side(), side()],
            unanswered: VecDeque::new(),
            keep_alive: false,
            close: false,
            connect: false,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.feed(is_orig, bytes, ctx).map_or(Next::More, Next::HandOver)
    }

    fn gap(&mut self, is_orig: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        self.lose(is_orig);
        Next::More
    }

    fn unseen(&mut self, is_orig: bool, len: u64, _: &mut Ctx<'_>) -> Next {
        self.pass(usize::from(!is_orig), len);
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.sides[usize::from(!is_orig)].lines.is_partial()
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, _: Seen) -> Interest {
        let side = &self.sides[usize::from(!is_orig)];
        match side.expect {
            Expect::Nothing if !self.connect => Interest::Nothing,
            Expect::Body(left) | Expect::Chunk(left) if !side.lines.is_unsettled() => Interest::Skip(left),
            _ => Interest::Everything,
        }
    }
}

impl Http {
    /// A reply's meaning depends on its request, so a hole in the requests ends both directions.
    fn lose(&mut self, is_orig: bool) {
        self.sides[1].expect = Expect::Nothing;
        if is_orig {
            self.sides[0].expect = Expect::Nothing;
        }
        self.connect = false;
    }

    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        let dir = usize::from(!is_orig);
        loop {
            // While a request is under way, its version tells how the reply's headers are read.
            let version = match self.sides[0].expect {
                Expect::FirstLine | Expect::Nothing => self.sides[1].version,
                _ => self.sides[0].version,
            };
            let side = &mut self.sides[dir];
            match &mut side.expect {
                Expect::Nothing => return None,
                Expect::Body(left) | Expect::Chunk(left) => {
                    side.lines.settle(&mut bytes);
                    let n = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    bytes = bytes.get(n..).unwrap_or(&[]);
                    let more = *left > n as u64;
                    self.pass(dir, n as u64);
                    if more {
                        return None;
                    }
                    continue;
                }
                _ => {}
            }
            let line = side.lines.next(&mut bytes)?;
            match side.expect {
                Expect::FirstLine if line.is_empty() => {}
                Expect::FirstLine if is_orig => {
                    let request = request_line(line);
                    self.request(request, ctx);
                }
                Expect::FirstLine => {
                    let reply = reply_line(line);
                    self.reply(reply, ctx);
                }
                Expect::Headers => {
                    let end = line.first().is_none_or(|b| *b == 0);
                    if !end && Side::continues(&mut side.header, line) {
                        continue;
                    }
                    match side.message.header(&side.header, version) {
                        Some(Connection::KeepAlive) if is_orig => self.keep_alive = true,
                        Some(Connection::Close) if !is_orig => self.close = true,
                        Some(Connection::Upgrade) if !is_orig => side.message.upgrade = true,
                        _ => {}
                    }
                    side.header.clear();
                    if !end {
                        side.header.extend_from_slice(kept(skip_blank(line)));
                        continue;
                    }
                    if !is_orig && self.connect && side.message.code == 200 && line.is_empty() {
                        side.expect = Expect::Nothing;
                        return Some(HandOver::new(Inside::Tunnel, bytes));
                    }
                    side.expect = side.message.body(is_orig, self.close);
                    if side.expect == Expect::Body(0)
                        && let Some(protocol) = self.message_done(dir)
                    {
                        return Some(HandOver {
                            framed: protocol == Switch::WebSocket,
                            ..HandOver::new(Inside::Upgrade, bytes)
                        });
                    }
                }
                Expect::ChunkSize => {
                    side.expect = match chunk_size(line) {
                        // The trailer reads like headers and has no body.
                        0 => {
                            side.message = Message {
                                bodiless: true,
                                code: side.message.code,
                                ..Message::default()
                            };
                            Expect::Headers
                        }
                        n => Expect::Chunk(n),
                    };
                }
                Expect::ChunkEnd => side.expect = Expect::ChunkSize,
                Expect::Body(_) | Expect::Chunk(_) | Expect::Nothing => {}
            }
        }
    }

    /// So many bytes of a body go by, at most what is left of it.
    fn pass(&mut self, dir: usize, len: u64) {
        let side = &mut self.sides[dir];
        let (Expect::Body(left) | Expect::Chunk(left)) = &mut side.expect else {
            return;
        };
        *left = left.saturating_sub(len);
        match side.expect {
            Expect::Chunk(0) => side.expect = Expect::ChunkEnd,
            Expect::Body(0) => {
                self.message_done(dir);
            }
            _ => {}
        }
    }

    fn request(&mut self, request: Option<Request>, ctx: &mut Ctx<'_>) {
        let side = &mut self.sides[0];
        let Some(request) = request else {
            // Where no further request is expected, anything may trail the first one.
            if side.messages == 0 || self.keep_alive {
                ctx.violation("not a http request line");
                side.expect = Expect::Nothing;
            }
            return;
        };
        ctx.confirm();
        side.messages = side.messages.saturating_add(1);
        side.message = Message::default();
        side.version = request.version;
        side.expect = Expect::Headers;
        self.keep_alive |= request.version > (1, 0);
        self.unanswered.push_back(request.head);
        if self.unanswered.len() > MAX_UNANSWERED {
            self.lose(true);
        } else if request.version == V09 {
            // The reply is raw data.
            self.sides[1].expect = Expect::Nothing;
            self.connect = false;
        } else {
            self.connect |= request.connect;
        }
    }

    fn reply(&mut self, reply: Option<(u16, Version)>, ctx: &mut Ctx<'_>) {
        let side = &mut self.sides[1];
        let Some((code, version)) = reply else {
            ctx.violation("not a http reply line");
            side.expect = Expect::Nothing;
            self.connect = false;
            return;
        };
        side.messages = side.messages.saturating_add(1);
        side.version = version;
        self.keep_alive |= version > (1, 0);
        self.connect &= code == 200;
        let head = self.unanswered.front().copied().unwrap_or(false);
        let bodiless = head || (100..200).contains(&code) || code == 204 || code == 304;
        side.message = Message {
            bodiless,
            code,
            ..Message::default()
        };
        side.expect = Expect::Headers;
    }

    /// A message is over; what the connection becomes, if it was the one that changes the protocol.
    fn message_done(&mut self, dir: usize) -> Option<Switch> {
        let side = &mut self.sides[dir];
        side.expect = Expect::FirstLine;
        if dir == 0 {
            return None;
        }
        let message = &side.message;
        if !(100..200).contains(&message.code) {
            self.unanswered.pop_front();
        }
        let changes = message.code == 101 && message.upgrade && self.unanswered.len() == 1;
        message.protocol.filter(|_| changes)
    }
}

impl Side {
    /// Whether the line is more of the header before (RFC 9112, 5.2); if so, it is taken.
    fn continues(header: &mut Vec<u8>, line: &[u8]) -> bool {
        let more = matches!(line, [b' ' | b'\t', ..]) && !header.is_empty();
        if more {
            let room = MAX_HEADER.saturating_sub(header.len());
            header.extend_from_slice(line.get(..room).unwrap_or(line));
        }
        more
    }
}

/// The headers that [`Message::header`] reads.
const HEADERS: [&[u8]; 6] = [
    b"content-length",
    b"content-range",
    b"transfer-encoding",
    b"content-type",
    b"upgrade",
    b"connection",
];

/// What is kept of a header line: all, or as much as it takes to know that the next one may continue it.
fn kept(line: &[u8]) -> &[u8] {
    let is = |name: &&[u8]| {
        line.get(..name.len())
            .is_some_and(|l| l.eq_ignore_ascii_case(name))
    };
    match HEADERS.iter().any(is) {
        true => line,
        false => line.get(..1).unwrap_or(line),
    }
}

/// What a `Connection` header asks for first.
enum Connection {
    KeepAlive,
    Close,
    Upgrade,
}

impl Message {
    /// Takes in a header line, given the version that it is read by.
    fn header(&mut self, line: &[u8], version: Version) -> Option<Connection> {
        let colon = line.iter().position(|b| *b == b':')?;
        let (name, value) = line.split_at(colon);
        let (word, rest) = first_token(value);
        let is = |with: &[u8]| name.trim_ascii_end().eq_ignore_ascii_case(with);
        let says = |with: &[u8]| word.eq_ignore_ascii_case(with);
        if word.is_empty() {
            return None;
        }
        if is(b"content-length") {
            // What is no number is no body.
            let n = number(word, 10).unwrap_or(0);
            self.length = Some(self.range.map_or(n, |range| range.max(n)));
        } else if is(b"content-range") && self.code == 206 && word == b"bytes" {
            self.range = part_length(rest).or(self.range);
            if let Some(range) = self.range {
                self.length = Some(self.length.unwrap_or(0).max(range));
            }
        } else if is(b"transfer-encoding") {
            self.chunked |= says(b"chunked") && version == (1, 1);
        } else if is(b"content-type") {
            self.mime = says(b"multipart") || says(b"message");
        } else if is(b"upgrade") {
            self.protocol = Some(match says(b"websocket") {
                true => Switch::WebSocket,
                false => Switch::Other,
            });
        } else if is(b"connection") {
            return match word {
                _ if says(b"keep-alive") => Some(Connection::KeepAlive),
                _ if says(b"close") => Some(Connection::Close),
                _ if says(b"upgrade") => Some(Connection::Upgrade),
                _ => None,
            };
        }
        None
    }

    /// What follows the headers. `close`: the connection ends with this message.
    fn body(&self, is_orig: bool, close: bool) -> Expect {
        match (self.chunked, self.length) {
            _ if self.bodiless => Expect::Body(0),
            // Such chunks are read as lines up to a boundary.
            (true, _) if self.mime => Expect::Nothing,
            (true, _) => Expect::ChunkSize,
            (false, Some(n)) => Expect::Body(n),
            (false, None) if is_orig && !close && !self.mime => Expect::Body(0),
            // To the end of the connection.
            (false, None) => Expect::Nothing,
        }
    }
}

/// Major and minor.
type Version = (u8, u8);
const V09: Version = (0, 9);
const UNKNOWN: Version = (0, 0);

struct Request {
    version: Version,
    head: bool,
    connect: bool,
}

/// Which bytes are in a class: one bit for each kind of text below.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut b = 0u8;
    while b < 128 {
        if b.is_ascii_graphic() && !contains(b"()<>@,;:\\\"/[]?={}", b) {
            classes[b as usize] |= METHOD;
        }
        if b.is_ascii_graphic() && !contains(b"()<>@,;:\\\"/[]?=", b) {
            classes[b as usize] |= TOKEN;
        }
        if b.is_ascii_alphanumeric() || contains(b":/?#[]@!$&'()*+,;=-_.~%", b) {
            classes[b as usize] |= URI;
        }
        b += 1;
    }
    classes
};

/// A token of RFC 2616, section 2.2, in which methods are written.
const METHOD: u8 = 1;
/// A token of RFC 2045, section 5.1, in headers.
const TOKEN: u8 = 2;
/// A URI, `%` included.
const URI: u8 = 4;

const fn contains(set: &[u8], b: u8) -> bool {
    let mut i = 0;
    while i < set.len() && set[i] != b {
        i += 1;
    }
    i < set.len()
}

fn is_in(class: u8, b: u8) -> bool {
    CLASSES[usize::from(b)] & class != 0
}

/// Splits off the bytes of a class that `text` begins with.
fn split_class(text: &[u8], class: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !is_in(class, *b));
    text.split_at(end.unwrap_or(text.len()))
}

/// The version that follows `HTTP/`.
fn version(after: &[u8]) -> Version {
    match after.get(..3) {
        Some([major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9']) => (major - b'0', minor - b'0'),
        _ => UNKNOWN,
    }
}

/// A request line; `None` when it is none. Without a version it may be HTTP/0.9, which takes a method of
/// three letters and a URI.
fn request_line(line: &[u8]) -> Option<Request> {
    let (method, after) = split_class(line, METHOD);
    let rest = skip_blank(after);
    if method.is_empty() || rest.len() == after.len() {
        return None;
    }
    // The keyword may stand in a URI too; there it counts only if the URI is nothing else.
    let is_keyword = |w: &[u8]| w.eq_ignore_ascii_case(b"HTTP/");
    let uri = split_class(rest, URI).0.len();
    let more_follows = uri < rest.len();
    let from = match !more_follows && rest.get(..5).is_some_and(is_keyword) {
        true => 0,
        false => uri,
    };
    let behind = rest.get(from..).unwrap_or(&[]);
    let version = match behind.windows(5).position(is_keyword) {
        Some(at) => version(behind.get(at + 5..).unwrap_or(&[])),
        None => V09,
    };
    if version == V09 && (method.len() < 3 || rest.len() <= usize::from(more_follows)) {
        return None;
    }
    // Zeek compares no further than the method is long.
    let is = |name: &[u8]| {
        name.get(..method.len())
            .is_some_and(|n| n.eq_ignore_ascii_case(method))
    };
    Some(Request {
        version,
        head: is(b"HEAD"),
        connect: is(b"CONNECT"),
    })
}

/// The code of a status line (0 when it is no number) and the version; `None` when it is no status line.
fn reply_line(line: &[u8]) -> Option<(u16, Version)> {
    line.get(..5).filter(|p| p.eq_ignore_ascii_case(b"HTTP/"))?;
    let blank = line.iter().position(|b| matches!(b, b' ' | b'\t'))?;
    let rest = skip_blank(line.get(blank..)?);
    rest.get(..3)?;
    Some((reply_code(rest).unwrap_or(0), version(line.get(5..)?)))
}

/// The size at the start of a chunk's first line; what is none ends the body.
fn chunk_size(line: &[u8]) -> u64 {
    number(line, 16).unwrap_or(0)
}

/// The number that `text` starts with, unless it is greater than Zeek's numbers.
fn number(text: &[u8], radix: u32) -> Option<u64> {
    let n = text
        .iter()
        .take_while(|b| char::from(**b).is_digit(radix))
        .count();
    let digits = std::str::from_utf8(text.get(..n)?).ok()?;
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|n| i64::try_from(*n).is_ok())
}

/// The bytes that `first-last/whole` covers.
fn part_length(range: &[u8]) -> Option<u64> {
    let text: Vec<u8> = range.iter().copied().filter(|b| *b != b' ').collect();
    let (part, _) = text.split_at(text.iter().position(|b| *b == b'/')?);
    let (first, last) = part.split_at(part.iter().position(|b| *b == b'-')?);
    let (first, last) = (number(first, 10)?, number(last.get(1..)?, 10)?);
    last.checked_sub(first)?.checked_add(1)
}

/// The first token of a header's value and what is behind it.
fn first_token(value: &[u8]) -> (&[u8], &[u8]) {
    let start = value.iter().position(|b| is_in(TOKEN, *b));
    let (_, value) = value.split_at(start.unwrap_or(value.len()));
    split_class(value, TOKEN)
}
