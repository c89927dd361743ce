//! The grammar of headers (RFC 2045, RFC 2822 and RFC 9110), as loosely as they are written.

use std::borrow::Cow;

use super::wire::{BOUNDARY, NAME, TOKEN, is_in, number, split_class, unescape};

/// Longest boundary that is kept, bytes; RFC 2046 allows 70.
pub const MAX_BOUNDARY: usize = 1024;
/// Entities in entities, at most (Zeek: MIME::max_depth).
pub const MAX_DEPTH: usize = 100;
/// A header so long takes no further line, bytes (Zeek: MIME::max_header_bytes).
pub const MAX_HEADER: usize = 64 * 1024;

/// What a body is made of, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Parts.
    Multipart,
    /// Another entity.
    Message,
    /// Data.
    Data,
}

impl Kind {
    /// That of a type, the first half of a media type.
    pub fn of(main: &[u8]) -> Kind {
        match main {
            _ if main.eq_ignore_ascii_case(b"multipart") => Kind::Multipart,
            _ if main.eq_ignore_ascii_case(b"message") => Kind::Message,
            _ => Kind::Data,
        }
    }
}

/// How a body is written (Content-Transfer-Encoding).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    AsIs,
    Base64,
    QuotedPrintable,
}

impl Transfer {
    /// That which the header's first token names.
    pub fn of(token: &[u8]) -> Transfer {
        match token {
            _ if token.eq_ignore_ascii_case(b"base64") => Transfer::Base64,
            _ if token.eq_ignore_ascii_case(b"quoted-printable") => Transfer::QuotedPrintable,
            _ => Transfer::AsIs,
        }
    }
}

/// What a line is between the parts of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    No,
    Part,
    Closing,
}

impl Delimiter {
    /// What a line is in a body with this boundary (RFC 2046, section 5.1.1).
    pub fn of(line: &[u8], boundary: Option<&[u8]>) -> Delimiter {
        let behind = line.strip_prefix(b"--").and_then(|l| l.strip_prefix(boundary?));
        match behind {
            None => Delimiter::No,
            Some(rest) if rest.starts_with(b"--") => Delimiter::Closing,
            Some(_) => Delimiter::Part,
        }
    }
}

/// Name and value of a header. None: it has no name.
pub fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = first_of(line, NAME)?;
    let value = skip(rest).strip_prefix(b":")?;
    Some((name, trim_start(value)))
}

/// Without blanks, tabs and ends of lines at its start.
fn trim_start(value: &[u8]) -> &[u8] {
    let n = value
        .iter()
        .take_while(|b| b.is_ascii_whitespace() || **b == 0x0b);
    value.get(n.count()..).unwrap_or(&[])
}

/// Without leading blanks, tabs and comments.
fn skip(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b' ' | b'\t', rest @ ..] => rest,
            [b'(', ..] => skip_comment(text),
            _ => return text,
        };
    }
}

/// What is behind a comment, which may have comments in it; one without an end takes all.
fn skip_comment(text: &[u8]) -> &[u8] {
    let (mut depth, mut escaped) = (0u32, false);
    for (at, b) in text.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth = depth.saturating_add(1),
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(at + 1..).unwrap_or(&[]);
        }
    }
    &[]
}

/// The first run of bytes of a class, and what is behind it.
fn first_of(text: &[u8], class: u8) -> Option<(&[u8], &[u8])> {
    let mut text = skip(text);
    while let [first, rest @ ..] = text {
        if is_in(class, *first) {
            return Some(split_class(text, class));
        }
        let behind = skip(text);
        text = if behind.len() < text.len() { behind } else { rest };
    }
    None
}

/// The first token of a header's value and what is behind it.
pub fn token(value: &[u8]) -> Option<(&[u8], &[u8])> {
    first_of(value, TOKEN)
}

/// Whether a header's value begins with that token.
pub fn says(value: &[u8], word: &[u8]) -> bool {
    token(value).is_some_and(|(token, _)| token.eq_ignore_ascii_case(word))
}

/// Type, subtype, and the parameters of a Content-Type header.
pub fn media_type(value: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (main, rest) = token(value)?;
    let (sub, rest) = token(skip(rest).strip_prefix(b"/")?)?;
    Some((main, sub, rest))
}

/// The boundary among a Content-Type header's parameters, the last if there are several. `illegal` is told what cannot
/// be read.
pub fn boundary(mut rest: &[u8], illegal: &mut dyn FnMut(&'static str)) -> Option<Vec<u8>> {
    let mut found = None;
    while let Some(after) = skip(rest).strip_prefix(b";") {
        let Some((name, after)) = token(after) else {
            illegal("attribute name not found in parameter specification");
            break;
        };
        let Some(value) = skip(after).strip_prefix(b"=") else {
            illegal("= not found in parameter specification");
            rest = after;
            continue;
        };
        rest = value;
        let is_boundary = name.eq_ignore_ascii_case(b"boundary");
        match parameter(value, is_boundary) {
            Some((value, after)) => {
                rest = after;
                if is_boundary {
                    found = Some(value.into_owned()).filter(|b| b.len() <= MAX_BOUNDARY);
                }
            }
            None if is_boundary => illegal("Could not parse multipart boundary"),
            None => illegal("value not found in parameter specification"),
        }
    }
    found
}

/// A parameter's value, a token or a quoted string, and what is behind it.
fn parameter(text: &[u8], is_boundary: bool) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let text = if is_boundary { text } else { skip(text) };
    if text.first() == Some(&b'"') {
        let (value, rest) = quoted(text)?;
        return Some((value.into(), rest));
    }
    if is_boundary && text.first().is_some_and(|b| is_in(BOUNDARY, *b)) {
        let (value, rest) = split_class(text, BOUNDARY);
        return Some((value.into(), rest));
    }
    let class = if is_boundary { BOUNDARY } else { TOKEN };
    let (value, rest) = first_of(text, class)?;
    Some((value.into(), rest))
}

/// The inside of a quoted string, and what is behind it.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some((out, rest)),
            [b'\\', b, rest @ ..] | [b, rest @ ..] => {
                out.push(*b);
                rest
            }
            [] => return None,
        };
    }
}

/// What a Content-Range header of a part says (RFC 9110, section 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Place of the first byte.
    pub first: u64,
    /// How many bytes it covers.
    pub len: u64,
    /// How many the whole has, if it says so; none where that is no number.
    pub whole: Option<u64>,
}

/// A Content-Range header that cannot be read, and the part of it that a weird shows.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRange {
    /// The weird's name.
    pub name: &'static str,
    /// What it shows.
    pub shown: Vec<u8>,
}

/// Reads the value of a Content-Range header. `whole` is told if the number of all bytes is none.
pub fn range(value: &[u8], bad_whole: &mut dyn FnMut(&[u8])) -> Result<Range, BadRange> {
    let bad = |name, shown: &[u8]| BadRange {
        name,
        shown: shown.to_vec(),
    };
    let (unit, rest) = token(value).unwrap_or((&[], &[]));
    let text = without_blanks(rest);
    if unit != b"bytes" {
        return Err(bad("HTTP_content_range_unknown_byte_unit", b""));
    }
    let parts = split_at(&text, b'/').and_then(|(part, whole)| Some((split_at(part, b'-')?, whole)));
    let Some(((first, last), whole)) = parts else {
        return Err(bad("HTTP_content_range_cannot_parse", b""));
    };
    let (Some(first), Some(last)) = (number(first, 10), number(last, 10)) else {
        return Err(bad("HTTP_content_range_cannot_parse", &text));
    };
    let (Ok(from), Ok(to)) = (u64::try_from(first), u64::try_from(last)) else {
        return Err(bad("HTTP_content_range_invalid", &text));
    };
    if to < from {
        return Err(bad("HTTP_non_positive_content_range", &text));
    }
    if to - from == i64::MAX as u64 {
        return Err(bad("HTTP_content_range_overflow", &text));
    }
    let whole = if whole == b"*" {
        None
    } else {
        Some(number(whole, 10))
    };
    if whole == Some(None) {
        bad_whole(&text);
    }
    Ok(Range {
        first: from,
        len: to - from + 1,
        whole: whole.flatten().and_then(|n| u64::try_from(n).ok()),
    })
}

/// Without blanks. There is mostly one, before all else.
fn without_blanks(text: &[u8]) -> Cow<'_, [u8]> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    match text.contains(&b' ') {
        true => text.iter().copied().filter(|b| *b != b' ').collect(),
        false => text.into(),
    }
}

/// What is before the first of these bytes, and what is behind it.
fn split_at(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Where in `text` the last `word` and the `=` behind it begin and end, blanks around the `=` and a `*` before it
/// allowed. The word is in any case.
fn last_assignment(text: &[u8], word: &[u8], star: bool) -> Option<usize> {
    let is_blank = |b: &&u8| matches!(b, b' ' | b'\t');
    let behind = |text: &[u8]| text.iter().take_while(is_blank).count();
    (0..text.len()).rev().find_map(|at| {
        let rest = text.get(at..)?;
        if !rest.get(..word.len())?.eq_ignore_ascii_case(word) {
            return None;
        }
        let mut end = at + word.len();
        end += behind(text.get(end..)?);
        end += usize::from(star && text.get(end) == Some(&b'*'));
        text.get(end).filter(|b| **b == b'=')?;
        end += 1;
        Some(end + behind(text.get(end..)?))
    })
}

/// The name of a file in a Content-Disposition or Content-Type header, if the header has one.
pub fn file_name(header: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    if header.eq_ignore_ascii_case(b"content-disposition") {
        last_assignment(value, b"filename", true)?;
    } else if header.eq_ignore_ascii_case(b"content-type") {
        last_assignment(value, b"name", false)?;
    } else {
        return None;
    }
    let at = last_assignment(value, b"name", true)?;
    let mut name = value.get(at..)?;
    if let Some(inside) = name.strip_prefix(b"\"") {
        name = inside.split(|b| *b == b'"').next()?;
    }
    Some(unescape(without_language(name), &mut |_| {}).into_owned())
}

/// Without the character set and language of RFC 8187, `UTF-8'en'`.
fn without_language(name: &[u8]) -> &[u8] {
    let is_tag = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&`{}~_".contains(b) || (b'+'..=b'^').contains(b);
    let mut parts = name.splitn(3, |b| *b == b'\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(set), Some(language), Some(_))
            if !set.is_empty() && set.iter().all(is_tag) && language.iter().all(is_tag) =>
        {
            let last = name.iter().rposition(|b| *b == b'\'');
            last.and_then(|at| name.get(at + 1..)).unwrap_or(name)
        }
        _ => name,
    }
}
