//! First lines, versions, numbers and URIs, as they are on the wire.

use std::borrow::Cow;

use crate::analyzer::lines::{reply_code, skip_blank};

/// Major and minor.
pub type Version = (u8, u8);
/// A request without a version, and the raw bytes that answer it.
pub const V09: Version = (0, 9);
/// The only one with chunks.
pub const V11: Version = (1, 1);
/// HTTP/2.
pub const V2: Version = (2, 0);
/// None was read yet, or it was none.
pub const UNKNOWN: Version = (0, 0);

/// Is told what is odd about a first line: a weird's name, or (`Odd::Event`) the category and detail of an http_event.
pub type Tell<'t> = &'t mut dyn FnMut(Odd<'_>);

/// What is odd about a first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd<'l> {
    /// Zeek's name of it.
    Weird(&'static str),
    /// It is said of an event only.
    Event(&'static str, &'l [u8]),
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
        if b.is_ascii_graphic() && b != b'"' {
            classes[b as usize] |= BOUNDARY;
        }
        if b.is_ascii_graphic() && b != b':' {
            classes[b as usize] |= NAME;
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
pub const TOKEN: u8 = 2;
/// A URI, `%` included.
const URI: u8 = 4;
/// A boundary, which is read more kindly than RFC 2046 writes it.
pub const BOUNDARY: u8 = 8;
/// The name of a header.
pub const NAME: u8 = 16;

const fn contains(set: &[u8], b: u8) -> bool {
    let mut i = 0;
    while i < set.len() && set[i] != b {
        i += 1;
    }
    i < set.len()
}

/// Whether a byte is in a class.
pub fn is_in(class: u8, b: u8) -> bool {
    CLASSES[usize::from(b)] & class != 0
}

/// Splits off the bytes of a class that `text` begins with.
pub fn split_class(text: &[u8], class: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !is_in(class, *b));
    text.split_at(end.unwrap_or(text.len()))
}

/// A request line.
#[derive(Debug, PartialEq, Eq)]
pub struct RequestLine<'l> {
    /// None: it is too short to say.
    pub version: Option<Version>,
    /// Method and URI, if it is one.
    pub request: Option<(&'l [u8], &'l [u8])>,
}

/// Reads a request line. Without a version it may be HTTP/0.9, which takes a method of three letters and a URI.
pub fn request_line<'l>(line: &'l [u8], tell: Tell<'_>) -> RequestLine<'l> {
    const NONE: RequestLine<'static> = RequestLine {
        version: None,
        request: None,
    };
    let (method, after) = split_class(line, METHOD);
    if method.is_empty() {
        let end = line.len().checked_sub(9).and_then(|at| line.get(at..at + 6));
        tell(Odd::Weird(match end {
            Some(end) if end.eq_ignore_ascii_case(b" HTTP/") => "bad_HTTP_request_with_version",
            _ => "bad_HTTP_request",
        }));
        return NONE;
    }
    let rest = skip_blank(after);
    if rest.len() == after.len() {
        tell(Odd::Weird("bad_HTTP_request"));
        return NONE;
    }
    let (uri, version) = uri_and_version(rest, tell);
    let mut request = Some((method, uri));
    if version == Some(V09) && (method.len() < 3 || uri.is_empty()) {
        tell(Odd::Weird("bad_HTTP_request"));
        request = None;
    }
    RequestLine { version, request }
}

/// Whether `text` begins with the keyword, in upper case or not.
fn is_keyword(text: &[u8], tell: Tell<'_>) -> bool {
    let is = text.get(..5).is_some_and(|w| w.eq_ignore_ascii_case(b"HTTP/"));
    if is && !text.starts_with(b"HTTP/") {
        tell(Odd::Weird("lowercase_HTTP_keyword"));
    }
    is
}

/// What is behind the method. The keyword may stand in a URI too; there it counts only if the URI is nothing else.
fn uri_and_version<'l>(rest: &'l [u8], tell: Tell<'_>) -> (&'l [u8], Option<Version>) {
    let mut end_of_uri = split_class(rest, URI).0.len();
    let mut at = end_of_uri;
    if is_keyword(rest, tell) && end_of_uri == rest.len() {
        tell(Odd::Weird("missing_HTTP_uri"));
        (end_of_uri, at) = (0, 0);
    }
    let from = |at: usize| rest.get(at..).unwrap_or(&[]);
    while at < rest.len() {
        end_of_uri = at;
        at = rest.len() - skip_blank(from(at)).len();
        if is_keyword(from(at), tell) {
            break;
        }
        at += 1;
    }
    let uri = rest.get(..end_of_uri).unwrap_or(rest);
    if at >= rest.len() {
        return (uri, Some(V09));
    }
    if from(at).len() < 8 {
        tell(Odd::Event("bad_HTTP_version", rest));
        return (uri, None);
    }
    let version = version(from(at + 5), tell);
    if !skip_blank(from(at + 8)).is_empty() {
        tell(Odd::Event("crud after HTTP version is ignored", rest));
    }
    (uri, Some(version))
}

/// The version that follows `HTTP/`.
fn version(after: &[u8], tell: Tell<'_>) -> Version {
    match after.get(..3) {
        Some([major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9']) => (major - b'0', minor - b'0'),
        _ => {
            tell(Odd::Event("bad_HTTP_version", after));
            UNKNOWN
        }
    }
}

/// A status line.
#[derive(Debug, PartialEq, Eq)]
pub struct ReplyLine<'l> {
    /// None: the line does not begin with the keyword.
    pub version: Option<Version>,
    /// The code (0 when it is no number) and the phrase, if there is one; None when it is no status line.
    pub status: Option<(u16, Option<&'l [u8]>)>,
}

/// Reads a status line.
pub fn reply_line<'l>(line: &'l [u8], tell: Tell<'_>) -> ReplyLine<'l> {
    if !is_keyword(line, tell) {
        tell(Odd::Event("bad_HTTP_reply", line));
        return ReplyLine {
            version: None,
            status: None,
        };
    }
    let version = Some(version(line.get(5..).unwrap_or(&[]), tell));
    let blank = |text: &[u8]| text.iter().position(|b| matches!(b, b' ' | b'\t'));
    let rest = blank(line).and_then(|at| line.get(at..));
    let rest = rest.map(skip_blank).filter(|rest| rest.len() >= 3);
    let Some(rest) = rest else {
        tell(Odd::Event("HTTP_reply_code_missing", line));
        return ReplyLine {
            version,
            status: None,
        };
    };
    let behind = rest.get(3..).unwrap_or(&[]);
    let reason = blank(behind).and_then(|at| behind.get(at..)).map(skip_blank);
    if reason.is_none() {
        tell(Odd::Event("HTTP_reply_reason_phrase_missing", line));
    }
    ReplyLine {
        version,
        status: Some((reply_code(rest).unwrap_or(0), reason)),
    }
}

/// The number that `text` starts with, a sign allowed, unless it does not fit.
pub fn number(text: &[u8], radix: u32) -> Option<i64> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text.get(sign..)?;
    let n = digits
        .iter()
        .take_while(|b| char::from(**b).is_digit(radix))
        .count();
    let number = std::str::from_utf8(text.get(..sign + n)?).ok()?;
    i64::from_str_radix(number, radix).ok().filter(|_| n > 0)
}

/// A URI, or a file's name, with its percent-encodings decoded.
pub fn unescape<'u>(uri: &'u [u8], tell: Tell<'_>) -> Cow<'u, [u8]> {
    if !uri.contains(&b'%') {
        return Cow::Borrowed(uri);
    }
    let hex = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let byte = |high: &u8, low: &u8| Some(hex(high)? << 4 | hex(low)?);
    let mut out = Vec::with_capacity(uri.len());
    let mut rest = uri;
    while let [b, after @ ..] = rest {
        rest = after;
        if *b != b'%' {
            out.push(*b);
            continue;
        }
        match after {
            [] => {
                out.push(b'%');
                tell(Odd::Weird("illegal_%_at_end_of_URI"));
            }
            [last] => {
                out.extend([b'%', *last]);
                rest = &[];
                tell(Odd::Weird("partial_escape_at_end_of_URI"));
            }
            // The first one goes.
            [b'%', ..] => tell(Odd::Weird("double_%_in_URI")),
            [a, b, more @ ..] if byte(a, b).is_some() => {
                out.extend(byte(a, b));
                rest = more;
            }
            // ECMAScript's escape() of UTF-16; a high byte that is zero is left out.
            [b'u', a, b, c, d, more @ ..] if byte(a, b).is_some() && byte(c, d).is_some() => {
                out.extend(byte(a, b).filter(|high| *high != 0));
                out.extend(byte(c, d));
                rest = more;
            }
            [b, more @ ..] => {
                out.extend([b'%', *b]);
                rest = more;
                tell(Odd::Weird("unescaped_%_in_URI"));
            }
        }
    }
    Cow::Owned(out)
}
