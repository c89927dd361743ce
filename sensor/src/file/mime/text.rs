//! Text that is known by how it is written: scripts that name their interpreter, JSON, settings, and at last anything
//! that seems to be text.

use super::guess::Guess;
use super::look::{after_blanks, after_bom, is_blank, is_space};

/// Interpreters, and the types of their scripts. A name may go on behind what is here.
const INTERPRETERS: &[(&[&[u8]], Guess)] = &[
    (
        &[b"sh", b"bash", b"tcsh", b"csh", b"zsh", b"fash", b"aesh", b"ksh"],
        Guess::new("text/x-shellscript", 250),
    ),
    (&[b"node"], Guess::new("application/javascript", 60)),
    (&[b"awk", b"gawk", b"nawk"], Guess::new("text/x-awk", 60)),
    (&[b"perl"], Guess::new("text/x-perl", 60)),
    (&[b"php"], Guess::new("text/x-php", 60)),
    (&[b"python"], Guess::new("text/x-python", 60)),
    (&[b"ruby"], Guess::new("text/x-ruby", 60)),
    (&[b"wish", b"tcl"], Guess::new("text/x-tcl", 60)),
    (&[b"lua"], Guess::new("text/x-lua", 49)),
];

/// The best type of text that fits `head`.
pub(super) fn of(head: &[u8]) -> Option<Guess> {
    let is = |fits: bool, name, strength| fits.then_some(Guess::new(name, strength));
    script(head)
        .or_else(|| is(is_settings(head), "text/ini", 20))
        .or_else(|| is(is_json(head), "text/json", 1))
        .or_else(|| is(is_plain(head), "text/plain", -20))
}

/// The type of a script whose first line names its interpreter in a directory called bin, perhaps by way of env.
fn script(head: &[u8]) -> Option<Guess> {
    let line = head.strip_prefix(b"#!")?;
    // Before the directory is something, but not much, and all of it in one line.
    let before = line.iter().take(15).take_while(|&&b| b != b'\n').count();
    let names = (1..=before).filter_map(|n| line.get(n..)?.strip_prefix(b"bin/"));
    names.filter_map(interpreter).max()
}

/// The type of scripts that `name` runs.
fn interpreter(name: &[u8]) -> Option<Guess> {
    let name = match name.strip_prefix(b"env") {
        Some(behind) => {
            let spaces = behind.iter().take_while(|b| is_space(b)).count();
            behind.get(spaces..).filter(|_| spaces > 0)?
        }
        None => name,
    };
    let (_, guess) = INTERPRETERS
        .iter()
        .find(|(names, _)| names.iter().any(|n| name.starts_with(n)))?;
    Some(*guess)
}

/// Settings in sections: the first line that is not empty is a name in brackets.
fn is_settings(head: &[u8]) -> bool {
    let b = after_bom(head);
    let blanks = b.iter().take_while(|b| **b == 0 || is_blank(b)).count();
    let Some(section) = b.get(blanks..).and_then(|b| b.strip_prefix(b"[")) else {
        return false;
    };
    let Some(end) = section.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
        return false;
    };
    let line = section.get(..end).unwrap_or(&[]);
    let close = line.iter().rposition(|b| !matches!(b, b' ' | b'\t' | 0));
    close.is_some_and(|at| at > 0 && line.get(at) == Some(&b']'))
}

/// JSON: an object with a member, or an array whose first element is followed by another one, or is one of them itself.
fn is_json(head: &[u8]) -> bool {
    let b = after_blanks(after_bom(head));
    match b.split_first() {
        Some((b'{', b)) => is_member(after_blanks(b)),
        Some((b'[', b)) => is_element(after_blanks(b)),
        _ => false,
    }
}

/// A name, with quotes or without, a colon, and where a value begins that is not negative or null.
fn is_member(b: &[u8]) -> bool {
    let behind = string(b).or_else(|| plain_name(b)).map(after_blanks);
    let Some(value) = behind.and_then(|b| b.strip_prefix(b":")).map(after_blanks) else {
        return false;
    };
    matches!(value.first(), Some(b'"' | b'[' | b'{' | b'0'..=b'9')) || truth(value).is_some()
}

/// An array or an object, or another value with a comma behind it.
fn is_element(b: &[u8]) -> bool {
    if matches!(b.first(), Some(b'{' | b'[')) {
        return true;
    }
    let behind = string(b).or_else(|| number(b)).or_else(|| truth(b));
    behind.is_some_and(|b| after_blanks(b).starts_with(b","))
}

/// What follows a string that is not empty. That quotes may be escaped makes no difference to Zeek.
fn string(b: &[u8]) -> Option<&[u8]> {
    let b = b.strip_prefix(b"\"")?;
    let end = b.iter().position(|&b| b == b'"').filter(|&n| n > 0)?;
    b.get(end + 1..)
}

/// What follows a name without quotes.
fn plain_name(b: &[u8]) -> Option<&[u8]> {
    if !b.first()?.is_ascii_alphabetic() {
        return None;
    }
    let is_part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'\\' | b'_');
    b.get(b.iter().take_while(is_part).count()..)
}

/// What follows a number.
fn number(b: &[u8]) -> Option<&[u8]> {
    let whole = digits(b)?;
    let fraction = whole.strip_prefix(b".").and_then(digits);
    Some(fraction.unwrap_or(whole))
}

/// What follows one digit or more.
fn digits(b: &[u8]) -> Option<&[u8]> {
    let n = b.iter().take_while(|b| b.is_ascii_digit()).count();
    if n == 0 { None } else { b.get(n..) }
}

/// What follows `true` or `false`.
fn truth(b: &[u8]) -> Option<&[u8]> {
    b.strip_prefix(b"true").or_else(|| b.strip_prefix(b"false"))
}

/// Ten bytes that are printed, behind a byte order mark if there is one.
fn is_plain(head: &[u8]) -> bool {
    let bom = [
        &b"\xef\xbb\xbf"[..],
        b"\0\0\xfe\xff",
        b"\xfe\xff",
        b"\xff\xfe\0\0",
        b"\xff\xfe",
    ];
    let b = bom.iter().find_map(|bom| head.strip_prefix(*bom)).unwrap_or(head);
    b.get(..10)
        .is_some_and(|b| b.iter().all(|b| is_space(b) || matches!(b, 0x20..=0x7e)))
}
