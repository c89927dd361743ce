//! Distinguished names as text, as OpenSSL writes them for `XN_FLAG_RFC2253`.

use std::fmt::Write;

use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::oid;

/// Longest text, bytes (Zeek reads names through a buffer of this size, its NUL included).
const MAX_TEXT: usize = 2047;

/// RFC 2253: most specific first, `,` between, `+` within one of several values; all but ASCII escaped. `None`: a name
/// that OpenSSL refuses, and the certificate with it.
pub(super) fn rfc2253(name: &X509Name<'_>) -> Option<String> {
    let rdns: Vec<_> = name.iter_rdn().collect();
    let mut out = String::new();
    for (i, rdn) in rdns.iter().rev().enumerate() {
        if i > 0 {
            out.push(',');
        }
        // OpenSSL turns the order within a relative name around as well.
        let attributes: Vec<_> = rdn.iter().collect();
        for (j, a) in attributes.iter().rev().enumerate() {
            if j > 0 {
                out.push('+');
            }
            attribute(&mut out, a)?;
        }
    }
    out.truncate(MAX_TEXT);
    Some(out)
}

fn attribute(out: &mut String, a: &AttributeTypeAndValue<'_>) -> Option<()> {
    let id = oid::dotted(a.attr_type().as_bytes());
    let short = oid::attribute(&id);
    out.push_str(short.unwrap_or(&id));
    out.push('=');
    let value = a.attr_value();
    match text(value.tag(), value.data)?.filter(|_| short.is_some()) {
        Some(text) => escape(out, &text),
        None => dump(out, value),
    }
    Some(())
}

/// An attribute's value as text, if it is some. `None`: OpenSSL refuses it; it takes types that it knows for text, if
/// they are sound, and those that it does not know.
#[allow(clippy::option_option, reason = "refused, of another kind, or text")]
fn text(tag: Tag, value: &[u8]) -> Option<Option<String>> {
    let characters = |n: usize| value.len().is_multiple_of(n).then(|| value.chunks_exact(n));
    let text = match tag {
        Tag::Utf8String => std::str::from_utf8(value).ok()?.to_owned(),
        // Eight bits a character, Latin-1.
        Tag::PrintableString | Tag::T61String | Tag::Ia5String | Tag::NumericString => {
            value.iter().map(|b| char::from(*b)).collect()
        }
        // Two bytes a character, and no more.
        Tag::BmpString => characters(2)?
            .map(|b| char::from_u32(u32::from_be_bytes([0, 0, b[0], b[1]])))
            .collect::<Option<_>>()?,
        Tag::UniversalString => characters(4)?
            .map(|b| char::from_u32(u32::from_be_bytes([b[0], b[1], b[2], b[3]])))
            .collect::<Option<_>>()?,
        Tag::BitString => return matches!(value, [0..=7, ..]).then_some(None),
        Tag(7..=11 | 13..=16 | 29 | 31) => return Some(None),
        _ => return None,
    };
    Some(Some(text))
}

/// Writing to a String cannot fail.
fn push_hex(out: &mut String, byte: u8) {
    let _ = write!(out, "{byte:02X}");
}

/// `#` and the DER in hex, for what has no name or is no text.
fn dump(out: &mut String, value: &Any<'_>) {
    let data = value.data;
    out.push('#');
    // All are universal: others have been refused. A structure has a bit for that.
    push_hex(
        out,
        value.tag().0 as u8 | u8::from(value.header.is_constructed()) << 5,
    );
    match data.len() {
        n @ 0..0x80 => push_hex(out, n as u8),
        n => {
            let bytes = n.to_be_bytes();
            let skip = bytes.iter().take_while(|b| **b == 0).count();
            push_hex(out, 0x80 | (bytes.len() - skip) as u8);
            bytes[skip..].iter().for_each(|b| push_hex(out, *b));
        }
    }
    // More than will be shown need not be made.
    data.iter().take(MAX_TEXT).for_each(|b| push_hex(out, *b));
}

fn escape(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        let edge = (i == 0 && matches!(b, b' ' | b'#')) || (i + 1 == bytes.len() && b == b' ');
        match b {
            0..0x20 | 0x7f.. => {
                out.push('\\');
                push_hex(out, b);
            }
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(b.into());
            }
            _ => {
                if edge {
                    out.push('\\');
                }
                out.push(b.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::FromDer;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        escape(&mut out, text);
        out
    }

    #[test]
    fn special_characters_are_escaped() {
        assert_eq!(escaped("Amazon, Inc."), "Amazon\\, Inc.");
        assert_eq!(escaped(" a b "), "\\ a b\\ ");
        assert_eq!(escaped("#1 a#b"), "\\#1 a#b");
        assert_eq!(escaped("M\u{fc}nchen\n"), "M\\C3\\BCnchen\\0A");
    }

    /// A name of one attribute.
    fn name(id: u8, tag: Tag, value: &[u8]) -> Option<String> {
        let n = value.len() as u8;
        let pair = [&[0x30, n + 7, 6, 3, 0x55, 4, id, tag.0 as u8, n][..], value].concat();
        let der = [&[0x30, n + 11, 0x31, n + 9][..], &pair].concat();
        rfc2253(&X509Name::from_der(&der).ok()?.1)
    }

    #[test]
    fn text_is_read_by_its_type_and_what_openssl_refuses_is_refused() {
        assert_eq!(name(3, Tag::PrintableString, b"a@b").as_deref(), Some("CN=a@b"));
        assert_eq!(name(10, Tag::T61String, b"\xfc").as_deref(), Some("O=\\C3\\BC"));
        assert_eq!(
            name(11, Tag::BmpString, b"\0a\x01\x02").as_deref(),
            Some("OU=a\\C4\\82")
        );
        assert_eq!(name(1, Tag::Ia5String, b"x").as_deref(), Some("2.5.4.1=#160178"));
        for (tag, value) in [
            (Tag::Utf8String, &b"\xfc"[..]),
            (Tag::BmpString, b"a"),
            (Tag::BmpString, b"\xd8\0"),
            (Tag::VisibleString, b"a"),
            (Tag::OctetString, b"a"),
        ] {
            assert_eq!(name(3, tag, value), None);
        }
    }

    #[test]
    fn what_is_no_text_is_dumped() {
        let dumped = |der: &[u8]| {
            let mut out = String::new();
            dump(&mut out, &Any::from_der(der).unwrap().1);
            out
        };
        assert_eq!(dumped(&[4, 2, 1, 0xab]), "#040201AB");
        assert_eq!(dumped(&[0x30, 2, 5, 0]), "#30020500");
        let long = [&[4, 0x81, 200][..], &[0; 200]].concat();
        assert!(dumped(&long).starts_with("#0481C80000"));
    }
}
