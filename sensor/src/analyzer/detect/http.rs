//! HTTP/1 as far as the name of the service needs it: the first lines of requests and replies, how long
//! messages are, and where a CONNECT tunnel begins.

use std::collections::VecDeque;

use super::lines::{Eol, Lines, skip_blank};
use super::{IGNORE_VIOLATIONS_AFTER, Said, Tail};

/// Requests without a reply that are kept in mind; with more, nothing further is judged.
const MAX_UNANSWERED: usize = 64;

/// What the next bytes of a direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    FirstLine,
    Headers,
    /// So many bytes of body.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    /// Not to be judged, to the end.
    Nothing,
}

/// What the headers of a message say of its body.
#[derive(Debug, Default)]
struct Message {
    length: Option<u64>,
    chunked: bool,
    /// Zeek takes these bodies apart in ways that are not followed here.
    odd: bool,
    /// After a request line or a 1xx, 204 or 304, or in answer to HEAD.
    bodiless: bool,
    code: u16,
}

#[derive(Debug)]
struct Side {
    lines: Lines,
    expect: Expect,
    message: Message,
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
    connect: bool,
}

impl Http {
    pub fn new() -> Self {
        let side = || Side {
            lines: Lines::new(Eol::CrOrLf),
            expect: Expect::FirstLine,
            message: Message::default(),
            messages: 0,
        };
        Http {
            sides: [side(), side()],
            unanswered: VecDeque::new(),
            keep_alive: false,
            connect: false,
        }
    }

    pub fn is_partial_line(&self, is_orig: bool) -> bool {
        self.sides[usize::from(!is_orig)].lines.is_partial()
    }

    pub fn flip(&mut self) {
        self.sides.swap(0, 1);
    }

    /// A reply's meaning depends on its request, so a hole in the requests ends both directions.
    pub fn gap(&mut self, is_orig: bool) {
        self.sides[1].expect = Expect::Nothing;
        if is_orig {
            self.sides[0].expect = Expect::Nothing;
        }
        self.connect = false;
    }

    /// `bytes`: of the connection so far. Beyond some, only a direction's very first line counts.
    pub fn wants_more(&self, is_orig: bool, bytes: u64) -> bool {
        let side = &self.sides[usize::from(!is_orig)];
        let judged =
            side.expect != Expect::Nothing && (side.messages == 0 || bytes <= IGNORE_VIOLATIONS_AFTER);
        judged || self.connect
    }

    pub fn feed(&mut self, is_orig: bool, mut bytes: &[u8], said: &mut Said<'_, '_>) -> Tail {
        let dir = usize::from(!is_orig);
        loop {
            let side = &mut self.sides[dir];
            match &mut side.expect {
                Expect::Nothing => return Tail::None,
                Expect::Body(left) | Expect::Chunk(left) => {
                    side.lines.settle(&mut bytes);
                    let n = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    bytes = bytes.get(n..).unwrap_or(&[]);
                    *left -= n as u64;
                    if *left > 0 {
                        return Tail::None;
                    }
                    if side.expect == Expect::Chunk(0) {
                        side.expect = Expect::ChunkEnd;
                    } else {
                        self.message_done(dir);
                    }
                    continue;
                }
                _ => {}
            }
            let Some(line) = side.lines.next(&mut bytes) else {
                return Tail::None;
            };
            match side.expect {
                Expect::FirstLine if line.is_empty() => {}
                Expect::FirstLine if is_orig => {
                    let request = request_line(line);
                    self.request(request, said);
                }
                Expect::FirstLine => {
                    let reply = reply_line(line);
                    self.reply(reply, said);
                }
                Expect::Headers if line.is_empty() => {
                    if !is_orig && self.connect && side.message.code == 200 {
                        side.expect = Expect::Nothing;
                        return Tail::Tunnel(bytes.len());
                    }
                    side.expect = side.message.body(is_orig);
                    if side.expect == Expect::Body(0) {
                        self.message_done(dir);
                    }
                }
                Expect::Headers => {
                    let keep_alive = side.message.header(line);
                    self.keep_alive |= keep_alive && is_orig;
                }
                Expect::ChunkSize => {
                    side.expect = match chunk_size(line) {
                        None => Expect::Nothing,
                        // The trailer reads like headers and has no body.
                        Some(0) => {
                            side.message = Message {
                                bodiless: true,
                                code: side.message.code,
                                ..Message::default()
                            };
                            Expect::Headers
                        }
                        Some(n) => Expect::Chunk(n),
                    };
                }
                Expect::ChunkEnd => side.expect = Expect::ChunkSize,
                Expect::Body(_) | Expect::Chunk(_) | Expect::Nothing => {}
            }
        }
    }

    fn request(&mut self, request: Option<Request>, said: &mut Said<'_, '_>) {
        let side = &mut self.sides[0];
        let Some(request) = request else {
            if side.messages == 0 || self.keep_alive {
                said.violation("not a http request line");
            }
            side.expect = Expect::Nothing;
            return;
        };
        said.confirm();
        side.messages = side.messages.saturating_add(1);
        side.message = Message::default();
        self.keep_alive |= request.version == Version::V11;
        self.unanswered.push_back(request.head);
        if self.unanswered.len() > MAX_UNANSWERED {
            self.gap(true);
        } else if request.version == Version::V09 {
            // The reply is raw data.
            self.gap(true);
        } else if request.connect {
            self.connect = true;
            self.sides[0].expect = Expect::Nothing;
        } else {
            side.expect = Expect::Headers;
        }
    }

    fn reply(&mut self, reply: Option<(u16, Version)>, said: &mut Said<'_, '_>) {
        let side = &mut self.sides[1];
        let Some((code, version)) = reply else {
            said.violation("not a http reply line");
            side.expect = Expect::Nothing;
            self.connect = false;
            return;
        };
        side.messages = side.messages.saturating_add(1);
        self.keep_alive |= version == Version::V11;
        self.connect &= code == 200;
        let head = self.unanswered.front().copied().unwrap_or(false);
        let bodiless = head || (100..200).contains(&code) || code == 204 || code == 304;
        side.message = Message {
            bodiless,
            code,
            odd: code == 206,
            ..Message::default()
        };
        side.expect = Expect::Headers;
        if code == 101 {
            // From here on it is something else.
            self.gap(true);
        }
    }

    fn message_done(&mut self, dir: usize) {
        let side = &mut self.sides[dir];
        side.expect = Expect::FirstLine;
        if dir == 1 && !(100..200).contains(&side.message.code) {
            self.unanswered.pop_front();
        }
    }
}

impl Message {
    /// Takes in a header line; whether it asks to keep the connection alive.
    fn header(&mut self, line: &[u8]) -> bool {
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return false;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or(&[]).trim_ascii();
        let starts = |with: &[u8]| {
            value
                .get(..with.len())
                .is_some_and(|v| v.eq_ignore_ascii_case(with))
        };
        if name.eq_ignore_ascii_case(b"content-length") {
            let n = value.iter().take_while(|b| b.is_ascii_digit()).count();
            self.odd |= n == 0 || n > 15 || self.length.is_some();
            self.length = Some(
                value
                    .iter()
                    .take(n.min(15))
                    .fold(0, |v, d| v * 10 + u64::from(d - b'0')),
            );
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
            self.odd |= !self.chunked;
        } else if name.eq_ignore_ascii_case(b"content-type") {
            self.odd |= starts(b"multipart/") || starts(b"message/");
        } else if name.eq_ignore_ascii_case(b"connection") {
            return starts(b"keep-alive");
        }
        false
    }

    /// What follows the headers.
    fn body(&self, is_orig: bool) -> Expect {
        match (self.chunked, self.length) {
            _ if self.bodiless => Expect::Body(0),
            _ if self.odd => Expect::Nothing,
            (true, Some(_)) => Expect::Nothing,
            (true, None) => Expect::ChunkSize,
            (false, Some(n)) => Expect::Body(n),
            (false, None) if is_orig => Expect::Body(0),
            // To the end of the connection.
            (false, None) => Expect::Nothing,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V09,
    V10,
    V11,
}

struct Request {
    version: Version,
    head: bool,
    connect: bool,
}

/// Characters of a token (RFC 2616, section 2.2), in which methods are written.
fn is_token(b: &u8) -> bool {
    matches!(b, 32..127) && !b" \t()<>@,;:\\\"/[]?={}".contains(b)
}

/// Characters of a URI, `%` included.
fn is_uri(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b":/?#[]@!$&'()*+,;=-_.~%".contains(b)
}

/// The version that follows `HTTP/`; what is no number counts as 1.0.
fn version(after: &[u8]) -> Version {
    match after.get(..3) {
        Some([b'1', b'.', b'1'..=b'9'] | [b'2'..=b'9', b'.', b'0'..=b'9']) => Version::V11,
        _ => Version::V10,
    }
}

/// A request line; `None` when it is none. Without a version it may be HTTP/0.9, which takes a method of
/// three letters and a URI.
fn request_line(line: &[u8]) -> Option<Request> {
    let (method, after) = line.split_at(line.iter().take_while(|b| is_token(b)).count());
    let rest = skip_blank(after);
    if method.is_empty() || rest.len() == after.len() {
        return None;
    }
    let keyword = rest.windows(5).position(|w| w.eq_ignore_ascii_case(b"HTTP/"));
    let version = match keyword {
        Some(at) => version(rest.get(at + 5..).unwrap_or(&[])),
        None => Version::V09,
    };
    let odd = usize::from(!rest.iter().all(is_uri));
    if version == Version::V09 && (method.len() < 3 || rest.len() <= odd) {
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
    Some((
        super::lines::reply_code(rest).unwrap_or(0),
        version(line.get(5..)?),
    ))
}

/// The size at the start of a chunk's first line.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let n = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let digits = line.get(..n).filter(|d| (1..=12).contains(&d.len()))?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
