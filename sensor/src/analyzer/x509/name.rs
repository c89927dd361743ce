//! Distinguished names as text, as OpenSSL writes them for `XN_FLAG_RFC2253`.

use std::fmt::Write;

use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::oid;

/// Longest text, bytes (Zeek reads names through a buffer of this size, its NUL included).
const MAX_TEXT: usize = 2047;

/// RFC 2253: most specific first, `,` between, `+` within one of several values; all but ASCII escaped.
pub(super) fn rfc2253(name: &X509Name<'_>) -> String {
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
            attribute(&mut out, a);
        }
    }
    out.truncate(MAX_TEXT);
    out
}

fn attribute(out: &mut String, a: &AttributeTypeAndValue<'_>) {
    let id = a.attr_type().to_id_string();
    let short = oid::attribute(&id);
    out.push_str(short.unwrap_or(&id));
    out.push('=');
    let value = a.attr_value();
    let text = match value.tag() {
        _ if short.is_none() => None,
        Tag::Utf8String => Some(String::from_utf8_lossy(value.data).into_owned()),
        // Eight bits a character, Latin-1.
        Tag::PrintableString
        | Tag::T61String
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString
        | Tag::UtcTime
        | Tag::GeneralizedTime => Some(value.data.iter().map(|b| char::from(*b)).collect()),
        Tag::BmpString => {
            let units = value
                .data
                .chunks_exact(2)
                .map(|b| u16::from_be_bytes([b[0], b[1]]));
            Some(
                char::decode_utf16(units)
                    .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            )
        }
        Tag::UniversalString => {
            let units = value
                .data
                .chunks_exact(4)
                .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
            Some(
                units
                    .map(|c| char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            )
        }
        _ => None,
    };
    match text {
        Some(text) => escape(out, &text),
        None => dump(out, value.tag(), value.data),
    }
}

/// Writing to a String cannot fail.
fn push_hex(out: &mut String, byte: u8) {
    let _ = write!(out, "{byte:02X}");
}

/// `#` and the DER in hex, for what has no name or is no text.
fn dump(out: &mut String, tag: Tag, data: &[u8]) {
    out.push('#');
    push_hex(out, tag.0 as u8);
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

    #[test]
    fn what_is_no_text_is_dumped() {
        let mut out = String::new();
        dump(&mut out, Tag::OctetString, &[1, 0xab]);
        assert_eq!(out, "#040201AB");
        let mut out = String::new();
        dump(&mut out, Tag::OctetString, &[0; 200]);
        assert!(out.starts_with("#0481C80000"));
    }
}
