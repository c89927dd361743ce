//! JSON by hand into a byte buffer: no intermediate value, no allocation but the buffer's own growth.
//!
//! The stream writes hundreds of thousands of lines a second; a generic serializer would need a wrapper
//! type per format (times, hex) anyway.

use std::io::Write;
use std::net::IpAddr;

use super::{ConnId, Ts, Uid};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Two decimal digits for every number below 100.
const DIGITS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// An unsigned number.
pub fn count(out: &mut Vec<u8>, mut v: u64) {
    if v < 10 {
        return out.push(b'0' + v as u8);
    }
    let mut buf = [0u8; 20];
    let mut at = buf.len();
    while v >= 100 {
        let d = (v % 100) as usize * 2;
        v /= 100;
        at -= 2;
        buf[at..at + 2].copy_from_slice(&DIGITS[d..d + 2]);
    }
    if v >= 10 {
        at -= 2;
        let d = v as usize * 2;
        buf[at..at + 2].copy_from_slice(&DIGITS[d..d + 2]);
    } else {
        at -= 1;
        buf[at] = b'0' + v as u8;
    }
    out.extend_from_slice(&buf[at..]);
}

/// A signed number.
pub fn int(out: &mut Vec<u8>, v: i64) {
    if v < 0 {
        out.push(b'-');
    }
    count(out, v.unsigned_abs());
}

/// `true` or `false`.
pub fn bool(out: &mut Vec<u8>, v: bool) {
    out.extend_from_slice(if v { b"true" } else { b"false" });
}

/// Nanoseconds as seconds with six decimals, rounded to the nearest microsecond.
pub fn time(out: &mut Vec<u8>, ns: Ts) {
    let us = ns / 1000 + u64::from(ns % 1000 >= 500);
    count(out, us / 1_000_000);
    out.push(b'.');
    let frac = (us % 1_000_000) as usize;
    for d in [frac / 10_000, frac / 100 % 100, frac % 100] {
        out.extend_from_slice(&DIGITS[d * 2..d * 2 + 2]);
    }
}

/// Signed whole seconds, with six decimals as the other times have.
pub fn seconds(out: &mut Vec<u8>, s: i64) {
    if s < 0 {
        out.push(b'-');
    }
    count(out, s.unsigned_abs());
    out.extend_from_slice(b".000000");
}

/// Signed nanoseconds as seconds with six decimals.
pub fn interval(out: &mut Vec<u8>, ns: i64) {
    if ns <= -500 {
        out.push(b'-');
    }
    time(out, ns.unsigned_abs());
}

/// A number with six decimals at most; what JSON cannot say (infinite, not a number) is null.
pub fn double(out: &mut Vec<u8>, v: f64) {
    // Writing to a Vec cannot fail.
    let _ = if v.is_finite() {
        write!(out, "{v:.6}")
    } else {
        write!(out, "null")
    };
}

/// An address as text, quoted.
pub fn addr(out: &mut Vec<u8>, v: IpAddr) {
    out.push(b'"');
    addr_text(out, v);
    out.push(b'"');
}

/// An address as text, IPv4 by hand as it is in nearly every line.
pub fn addr_text(out: &mut Vec<u8>, v: IpAddr) {
    match v {
        IpAddr::V4(v4) => {
            for (i, o) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                count(out, o.into());
            }
        }
        IpAddr::V6(v6) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{v6}");
        }
    }
}

/// Text, quoted and escaped.
pub fn text(out: &mut Vec<u8>, v: &str) {
    quoted(out, v.as_bytes(), true);
}

/// Text off the wire, quoted and escaped: UTF-8 as it is. In what is none, or has characters that Zeek does not show, every
/// byte that is neither printable ASCII nor a common line control is the text `\xNN`, as Zeek has it.
pub fn wire_text(out: &mut Vec<u8>, v: &[u8]) {
    quoted(out, v, is_shown(v));
}

/// Whether Zeek's JSON has this text as it is: UTF-8 without control characters, but for those of C's `\b\t\n\f\r`, without
/// private characters (U+E000 to U+F8FF) and without specials (U+FFF0 to U+FFFF).
fn is_shown(v: &[u8]) -> bool {
    let is_control = |b: u8| matches!(b, 0..=7 | 11 | 14..=0x1f | 0x7f);
    // Most text is ASCII: one pass without branches.
    let (high, control) = v.iter().fold((false, false), |(high, control), &b| {
        (high | !b.is_ascii(), control | is_control(b))
    });
    let is_odd =
        |c: char| matches!(c, '\u{80}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}');
    !control && (!high || std::str::from_utf8(v).is_ok_and(|s| !s.contains(is_odd)))
}

/// A JSON string: what must be escaped is, all else is copied in runs. `as_is`: it is UTF-8, and stays so.
fn quoted(out: &mut Vec<u8>, bytes: &[u8], as_is: bool) {
    out.push(b'"');
    let mut from = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' && (b < 0x7f || as_is) {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            _ if !as_is => {
                out.extend_from_slice(b"\\\\x");
                hex_digits(out, &[b]);
            }
            _ => {
                out.extend_from_slice(b"\\u00");
                hex_digits(out, &[b]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// A connection's id, quoted.
pub fn uid(out: &mut Vec<u8>, v: Uid) {
    out.push(b'"');
    v.write(out);
    out.push(b'"');
}

/// Bytes as lower-case hex, quoted.
pub fn bytes(out: &mut Vec<u8>, v: &[u8]) {
    out.push(b'"');
    hex_digits(out, v);
    out.push(b'"');
}

/// Two lower-case digits a byte.
pub fn hex_digits(out: &mut Vec<u8>, v: &[u8]) {
    out.reserve(v.len() * 2);
    out.extend(
        v.iter()
            .flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]),
    );
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    hex_digits(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

/// The same with a colon between two bytes, as MAC addresses and fingerprints of keys are written.
pub fn hex_colons(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(3 * bytes.len());
    for (i, b) in bytes.iter().enumerate() {
        if i > 0 {
            out.push(b':');
        }
        hex_digits(&mut out, &[*b]);
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Bytes as Zeek's JSON shows a string: UTF-8 as it is, control characters and all else as `\xNN`.
pub fn zeek_bytes(out: &mut Vec<u8>, v: &[u8]) {
    let hex = |out: &mut Vec<u8>, b: u8| {
        out.extend_from_slice(b"\\\\x");
        hex_digits(out, &[b]);
    };
    out.push(b'"');
    for chunk in v.utf8_chunks() {
        for &b in chunk.valid().as_bytes() {
            match b {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                0..=0x1f | 0x7f => hex(out, b),
                _ => out.push(b),
            }
        }
        chunk.invalid().iter().for_each(|b| hex(out, *b));
    }
    out.push(b'"');
}

/// An array, one `item` call per element.
pub fn array<T>(out: &mut Vec<u8>, v: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (i, x) in v.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        item(out, x);
    }
    out.push(b']');
}

/// An object being written: puts the commas, closes itself with [`Object::end`].
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    /// Opens an object.
    pub fn new(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, first: true }
    }

    /// Writes the key, which must need no escaping, and gives the buffer for its value.
    pub fn key(&mut self, name: &str) -> &mut Vec<u8> {
        self.out
            .extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A field holding an unsigned number.
    pub fn count(&mut self, name: &str, v: impl Into<u64>) -> &mut Self {
        count(self.key(name), v.into());
        self
    }

    /// A field holding a signed number.
    pub fn int(&mut self, name: &str, v: i64) -> &mut Self {
        int(self.key(name), v);
        self
    }

    /// A field holding true or false.
    pub fn bool(&mut self, name: &str, v: bool) -> &mut Self {
        bool(self.key(name), v);
        self
    }

    /// A field holding text.
    pub fn text(&mut self, name: &str, v: &str) -> &mut Self {
        text(self.key(name), v);
        self
    }

    /// A field holding an address.
    pub fn addr(&mut self, name: &str, v: IpAddr) -> &mut Self {
        addr(self.key(name), v);
        self
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

/// A connection, as the top-level `c` of an event.
pub fn conn(out: &mut Vec<u8>, c: &ConnId) {
    out.extend_from_slice(b"{\"uid\":\"");
    c.uid.write(out);
    out.extend_from_slice(b"\",\"orig_h\":");
    addr(out, c.orig_h);
    out.extend_from_slice(b",\"orig_p\":");
    count(out, c.orig_p.into());
    out.extend_from_slice(b",\"resp_h\":");
    addr(out, c.resp_h);
    out.extend_from_slice(b",\"resp_p\":");
    count(out, c.resp_p.into());
    out.extend_from_slice(b",\"proto\":\"");
    out.extend_from_slice(c.proto.as_str().as_bytes());
    out.extend_from_slice(b"\",\"start_time\":");
    time(out, c.start);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers() {
        for v in [0, 7, 10, 99, 100, 101, 12_345, u64::MAX] {
            assert_eq!(made(|o| count(o, v)), v.to_string());
        }
        for v in [0, -1, i64::MIN, i64::MAX] {
            assert_eq!(made(|o| int(o, v)), v.to_string());
        }
    }

    #[test]
    fn times_round_to_the_microsecond() {
        assert_eq!(made(|o| time(o, 1_362_692_526_869_344_000)), "1362692526.869344");
        assert_eq!(made(|o| time(o, 1_999_999_500)), "2.000000");
        assert_eq!(made(|o| time(o, 1_499)), "0.000001");
        assert_eq!(made(|o| interval(o, -1_500_000)), "-0.001500");
        assert_eq!(made(|o| interval(o, -499)), "0.000000");
        assert_eq!(made(|o| time(o, u64::MAX)), "18446744073.709552");
    }

    #[test]
    fn strings_survive_serde() {
        for s in ["", "plain", "a\"b\\c", "\u{0}\u{1f}\n\r\t", "é\u{1F600}\u{7f}"] {
            let back: String = serde_json::from_str(&made(|o| text(o, s))).expect("valid JSON");
            assert_eq!(back, s);
        }
        for (wire, reads) in [
            (&b"a\n\0\x1b\x7f"[..], "a\n\\x00\\x1b\\x7f"),
            ("é\u{a0}\t\u{8}\u{c}".as_bytes(), "é\u{a0}\t\u{8}\u{c}"),
            ("é\0".as_bytes(), "\\xc3\\xa9\\x00"),
            ("a\u{85}".as_bytes(), "a\\xc2\\x85"),
            ("\u{e2e0}".as_bytes(), "\\xee\\x8b\\xa0"),
            ("\u{fffd}".as_bytes(), "\\xef\\xbf\\xbd"),
            ("\u{1f600}\u{f900}".as_bytes(), "\u{1f600}\u{f900}"),
            (b"\\x\xff\t\xc3", "\\x\\xff\t\\xc3"),
        ] {
            let back: String = serde_json::from_str(&made(|o| wire_text(o, wire))).expect("valid JSON");
            assert_eq!(back, reads);
        }
        assert_eq!(made(|o| bytes(o, &[0, 0xff, 0x1a])), "\"00ff1a\"");
        assert_eq!(
            made(|o| zeek_bytes(o, b"\x00 x\\\xff\"")),
            r#""\\x00 x\\\\xff\"""#
        );
    }
}
