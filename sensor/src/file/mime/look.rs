//! How a file's beginning looks: parts, one behind the other. Knows no types.

use memchr::memmem::Finder;

/// A part of a beginning.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// These bytes.
    Is(&'static [u8]),
    /// These bytes in any case; they are given in lower case.
    Word(&'static [u8]),
    /// One of these. None of them begins another one.
    Either(&'static [&'static [u8]]),
    /// A byte out of these.
    In(&'static [u8]),
    /// A byte out of these, or nothing. What follows begins with none of them.
    Maybe(&'static [u8]),
    /// As many bytes of a class as there are: at least the first number of them, and no more than the second. What
    /// follows does not begin with one.
    Run(usize, usize, fn(&u8) -> bool),
    /// So many bytes, whatever they are.
    Skip(usize),
    /// Bytes, whatever they are: at least the first number of them, and no more than the second. The rest is taken from
    /// the first place where the parts up to the next gap fit, so a gap that has an end must be the last one.
    Gap(usize, usize),
}
use Part::{Either, Gap, In, Is, Maybe, Run, Skip, Word};

/// A number that is never reached.
pub(super) const MANY: usize = usize::MAX;

/// Whether `head` begins with `parts`.
pub(super) fn fits(parts: &[Part], head: &[u8]) -> bool {
    after(parts, head).is_some()
}

/// What follows `parts`, if `head` begins with them. It takes time in proportion to `head` for each gap: what stands
/// between two gaps is looked for at each place once.
pub(super) fn after<'a>(parts: &[Part], head: &'a [u8]) -> Option<&'a [u8]> {
    let mut parts = parts;
    let mut rest = head;
    while let Some((first, behind)) = parts.split_first() {
        let (until, later) = behind.split_at(behind.iter().take_while(|p| !matches!(p, Gap(..))).count());
        rest = match *first {
            Gap(least, most) => search(until, rest, least, most)?,
            _ => one(first, rest).and_then(|b| all(until, b))?,
        };
        parts = later;
    }
    Some(rest)
}

/// What follows the first place, `least` to `most` bytes into `b`, where all parts fit.
fn search<'a>(parts: &[Part], b: &'a [u8], least: usize, most: usize) -> Option<&'a [u8]> {
    // Most places are passed over quickly, as what stands there first is bytes.
    let first = match parts.first() {
        Some(Is(bytes)) => Finder::new(*bytes),
        _ => Finder::new(b""),
    };
    let mut at = least;
    while let Some(n) = first.find(b.get(at..)?) {
        at += n;
        if at > most {
            break;
        }
        if let Some(behind) = all(parts, b.get(at..)?) {
            return Some(behind);
        }
        at += 1;
    }
    None
}

/// What follows all parts. There is no gap among them.
fn all<'a>(parts: &[Part], b: &'a [u8]) -> Option<&'a [u8]> {
    parts.iter().try_fold(b, |b, part| one(part, b))
}

/// What follows one part that is not a gap.
fn one<'a>(part: &Part, b: &'a [u8]) -> Option<&'a [u8]> {
    match *part {
        Is(bytes) => b.strip_prefix(bytes),
        Word(lower) => word(b, lower),
        Either(list) => list.iter().find_map(|bytes| b.strip_prefix(*bytes)),
        In(bytes) => b.split_first().filter(|(c, _)| bytes.contains(c)).map(|(_, b)| b),
        Maybe(bytes) => Some(one(&In(bytes), b).unwrap_or(b)),
        Run(least, most, class) => {
            let n = b.iter().take(most).take_while(|c| class(c)).count();
            b.get(n..).filter(|_| n >= least)
        }
        Skip(n) => b.get(n..),
        Gap(..) => None,
    }
}

/// What follows `lower` in any case.
pub(super) fn word<'a>(b: &'a [u8], lower: &[u8]) -> Option<&'a [u8]> {
    let (word, behind) = b.split_at_checked(lower.len())?;
    word.eq_ignore_ascii_case(lower).then_some(behind)
}

/// Whether what begins with `byte` may fit.
pub(super) fn may_begin(parts: &[Part], byte: u8) -> bool {
    let Some((first, behind)) = parts.split_first() else {
        return true;
    };
    match *first {
        Is(bytes) => bytes.first().is_none_or(|&b| b == byte),
        Word(lower) => lower.first().is_none_or(|b| b.eq_ignore_ascii_case(&byte)),
        Either(list) => list.iter().any(|bytes| bytes.first().is_none_or(|&b| b == byte)),
        In(bytes) => bytes.contains(&byte),
        Maybe(bytes) => bytes.contains(&byte) || may_begin(behind, byte),
        Run(0, _, class) => class(&byte) || may_begin(behind, byte),
        Run(_, _, class) => class(&byte),
        Skip(0) => may_begin(behind, byte),
        Skip(_) | Gap(..) => true,
    }
}

/// Blanks and the ends of lines, as XML has them.
pub(super) fn is_blank(b: &u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// What stands between words: blanks, the ends of lines, and the feeds of printers.
pub(super) fn is_space(b: &u8) -> bool {
    is_blank(b) || matches!(b, 0x0b | 0x0c)
}

/// `b` without the blanks before it.
pub(super) fn after_blanks(b: &[u8]) -> &[u8] {
    b.iter()
        .position(|b| !is_blank(b))
        .and_then(|n| b.get(n..))
        .unwrap_or(&[])
}

/// `b` behind a byte order mark of UTF-8 or UTF-16, if it begins with one.
pub(super) fn after_bom(b: &[u8]) -> &[u8] {
    let bom = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"];
    bom.iter().find_map(|bom| b.strip_prefix(*bom)).unwrap_or(b)
}
