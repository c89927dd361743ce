//! Zeek's tab-separated log format: header lines, values and their escaping.

use std::io::Write;

use crate::event::json;
use crate::event::log::{Column, Value};

/// Appends the header of a new file. `open` is its opening time as text.
pub fn header(out: &mut Vec<u8>, path: &str, columns: &[Column], open: &str) {
    let join = |f: fn(&Column) -> &str| columns.iter().map(f).collect::<Vec<_>>().join("\t");
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{path}\n\
         #open\t{open}\n#fields\t{}\n#types\t{}\n",
        join(|c| c.name),
        join(|c| c.typ),
    );
}

/// Appends the last line of a file.
pub fn close(out: &mut Vec<u8>, at: &str) {
    let _ = writeln!(out, "#close\t{at}");
}

/// Appends a row with its line end.
pub fn row(out: &mut Vec<u8>, values: &[Value<'_>]) {
    for (i, v) in values.iter().enumerate() {
        if i > 0 {
            out.push(b'\t');
        }
        let from = out.len();
        value(out, v, false);
        // A line that began with # would read as a header line.
        if i == 0 && out.get(from) == Some(&b'#') {
            out.splice(from..=from, *b"\\x23");
        }
    }
    out.push(b'\n');
}

/// Appends one value. `in_list`: it is an element of a list, so its commas are escaped.
fn value(out: &mut Vec<u8>, v: &Value<'_>, in_list: bool) {
    match v {
        Value::Unset => out.push(b'-'),
        Value::Time(t) => json::time(out, *t),
        Value::Seconds(s) => json::seconds(out, *s),
        Value::Nanoseconds(n) | Value::Interval(n) => json::interval(out, *n),
        Value::Str(s) => text(out, s.as_bytes(), in_list),
        Value::Uid(u) => u.write(out),
        Value::Wire(s) => text(out, s, in_list),
        Value::Count(n) => json::count(out, *n),
        Value::Int(n) => json::int(out, *n),
        Value::Double(d) => json::double(out, *d),
        Value::Bool(b) => out.push(if *b { b'T' } else { b'F' }),
        Value::Addr(a) => json::addr_text(out, *a),
        Value::Port(p) => json::count(out, (*p).into()),
        Value::List(l) if l.is_empty() => out.extend_from_slice(b"(empty)"),
        Value::List(l) => {
            for (i, v) in l.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                value(out, v, true);
            }
        }
    }
}

/// Appends text and escapes as `\xNN` what would be misread: the separators, control characters, backslashes, the first
/// character of a text that would read as unset or empty, and non-ASCII bytes if the text is not UTF-8.
fn text(out: &mut Vec<u8>, s: &[u8], in_list: bool) {
    let hex = |out: &mut Vec<u8>, b: u8| {
        out.extend_from_slice(b"\\x");
        json::hex_digits(out, &[b]);
    };
    match s {
        // Zeek writes an empty string like an empty set.
        b"" => out.extend_from_slice(b"(empty)"),
        b"-" | b"(empty)" => {
            hex(out, s[0]);
            out.extend_from_slice(&s[1..]);
        }
        // Nearly all text is.
        _ if is_plain(s, in_list) => out.extend_from_slice(s),
        _ => escaped(out, s, in_list),
    }
}

/// How each byte is written, and how many bytes that is.
type Written = [([u8; ESCAPED], u8); 256];

/// `\xNN`.
const ESCAPED: usize = 4;
/// Bytes that are written together.
const TOGETHER: usize = 64;

/// What is escaped where text is UTF-8 or is not, and in a list or not.
static WRITTEN: [[Written; 2]; 2] = [
    [written(false, false), written(false, true)],
    [written(true, false), written(true, true)],
];

const fn written(utf8: bool, in_list: bool) -> Written {
    let hex = b"0123456789abcdef";
    let mut all = [([0; ESCAPED], 1); 256];
    let mut n = 0;
    while n < all.len() {
        let b = n as u8;
        let special = matches!(b, 0..=0x1f | 0x7f) || in_list && b == b',' || b >= 0x80 && !utf8;
        all[n] = match b {
            b'\\' => ([b, b, 0, 0], 2),
            _ if special => ([b'\\', b'x', hex[n >> 4], hex[n & 15]], 4),
            _ => ([b, 0, 0, 0], 1),
        };
        n += 1;
    }
    all
}

/// Appends text of which something is escaped. Bytes off the wire are much of some logs, so each costs the same and no
/// branch.
fn escaped(out: &mut Vec<u8>, s: &[u8], in_list: bool) {
    let utf8 = std::str::from_utf8(s).is_ok();
    let written = &WRITTEN[usize::from(utf8)][usize::from(in_list)];
    for some in s.chunks(TOGETHER) {
        // What is written of a byte may leave room for the next one.
        let mut text = [0; TOGETHER * ESCAPED];
        let mut len = 0;
        for b in some {
            let (bytes, n) = &written[usize::from(*b)];
            if let Some(room) = text.get_mut(len..len + ESCAPED) {
                room.copy_from_slice(bytes);
            }
            len += usize::from(*n);
        }
        out.extend_from_slice(text.get(..len).unwrap_or_default());
    }
}

/// Whether text is ASCII of which nothing is escaped. All of it is looked at, without branches: so the compiler takes many
/// bytes at once.
fn is_plain(s: &[u8], in_list: bool) -> bool {
    let plain = |b: u8| (0x20..0x7f).contains(&b) & (b != b'\\') & !(in_list & (b == b','));
    s.iter().fold(true, |all, b| all & plain(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[Value<'_>]) -> String {
        let mut out = Vec::new();
        row(&mut out, values);
        String::from_utf8(out).expect("text")
    }

    fn s(v: &str) -> Value<'_> {
        Value::Str(v.into())
    }

    #[test]
    fn values_and_escapes() {
        assert_eq!(
            line(&[
                Value::Time(1_500_000),
                Value::Unset,
                Value::Bool(true),
                Value::Interval(-1_000_000),
                Value::Seconds(-315_619_200),
                Value::Seconds(253_402_300_799),
                Value::Nanoseconds(-1_500_000_000)
            ]),
            "0.001500\t-\tT\t-0.001000\t-315619200.000000\t253402300799.000000\t-1.500000\n"
        );
        assert_eq!(
            line(&[s("a\tb\nc"), s("-"), s("(empty)"), s(""), s("x,y"), s("\\x")]),
            "a\\x09b\\x0ac\t\\x2d\t\\x28empty)\t(empty)\tx,y\t\\\\x\n"
        );
        assert_eq!(
            line(&[
                Value::List(vec![]),
                Value::List(vec![s("a,b"), s("-"), Value::Unset])
            ]),
            "(empty)\ta\\x2cb,\\x2d,-\n"
        );
        let wire = |v: &'static [u8]| Value::Wire(v.into());
        assert_eq!(
            line(&[
                wire(b"a\0\x1b\tb"),
                wire(b"\xff\xc3,\\"),
                wire("é".as_bytes()),
                wire(b"-")
            ]),
            "a\\x00\\x1b\\x09b\t\\xff\\xc3,\\\\\té\t\\x2d\n"
        );
        assert_eq!(line(&[s("#x"), s("#x")]), "\\x23x\t#x\n");
    }

    #[test]
    fn long_text_of_any_bytes() {
        let all: Vec<u8> = (0..=u8::MAX).cycle().take(700).collect();
        for from in 0..70 {
            let text = &all[from..];
            let of = |b: &u8| match b {
                b'\\' => "\\\\".to_owned(),
                b' '..=b'~' => char::from(*b).to_string(),
                b => format!("\\x{b:02x}"),
            };
            let expected: String = text.iter().map(of).collect();
            let line = line(&[s("x"), Value::Wire(text.into())]);
            assert_eq!(line, format!("x\t{expected}\n"));
        }
    }

    #[test]
    fn header_lines() {
        let mut out = Vec::new();
        let cols = [Column::new("ts", "time"), Column::new("id.orig_h", "addr")];
        header(&mut out, "conn", &cols, "2026-01-02-03-04-05");
        close(&mut out, "2026-01-02-03-04-06");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
             #open\t2026-01-02-03-04-05\n#fields\tts\tid.orig_h\n#types\ttime\taddr\n#close\t2026-01-02-03-04-06\n"
        );
    }
}
