//! The data of SVCB and HTTPS records as text: their presentation format (RFC 9460, 2.1), without its escaping.
//!
//! Parameters that do not fit the data end the text, those whose value is not of its key's form stand as bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Service parameter keys (RFC 9460, 14.3.2; RFC 9848 for ech, RFC 9461 and RFC 9540 for the last two).
mod key {
    pub const MANDATORY: u16 = 0;
    pub const ALPN: u16 = 1;
    pub const PORT: u16 = 3;
    pub const IPV4HINT: u16 = 4;
    pub const ECH: u16 = 5;
    pub const IPV6HINT: u16 = 6;
    /// Keys by number.
    pub const NAMES: [&str; 9] = [
        "mandatory",
        "alpn",
        "no-default-alpn",
        "port",
        "ipv4hint",
        "ech",
        "ipv6hint",
        "dohpath",
        "ohttp",
    ];
}

/// A record's text. `target`: without its last dot, so the root is empty; `params`: the data behind it.
///
/// Priority 0 makes the record an alias, which says no more than another name (2.4.2).
pub fn text(priority: u16, target: Vec<u8>, mut params: &[u8]) -> Vec<u8> {
    let target = match target.is_empty() {
        true => b".".to_vec(),
        false => target,
    };
    if priority == 0 {
        return target;
    }
    let mut out = format!("{priority} ").into_bytes();
    out.extend(target);
    while let Some((key, value, rest)) = param(params) {
        out.push(b' ');
        out.extend(name(key).into_bytes());
        if !value.is_empty() {
            out.push(b'=');
            out.extend(shown(key, value).unwrap_or_else(|| value.to_vec()));
        }
        params = rest;
    }
    out
}

/// The parameter at the start of `params`, and what follows it.
fn param(params: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (key, rest) = params.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    Some((u16::from_be_bytes(*key), value, rest))
}

fn name(key: u16) -> String {
    match key::NAMES.get(usize::from(key)) {
        Some(name) => (*name).into(),
        None => format!("key{key}"),
    }
}

/// A value in its key's form. `None`: it has another one.
fn shown(key: u16, value: &[u8]) -> Option<Vec<u8>> {
    Some(match key {
        key::MANDATORY => list::<2>(value, |k| name(u16::from_be_bytes(*k)))?,
        key::ALPN => protocols(value)?,
        key::PORT => u16::from_be_bytes(value.try_into().ok()?)
            .to_string()
            .into_bytes(),
        key::IPV4HINT => list(value, |a| Ipv4Addr::from(*a).to_string())?,
        key::IPV6HINT => list(value, |a| Ipv6Addr::from(*a).to_string())?,
        key::ECH => base64(value).into_bytes(),
        _ => return None,
    })
}

/// Items of `N` bytes, with commas between.
fn list<const N: usize>(value: &[u8], item: impl Fn(&[u8; N]) -> String) -> Option<Vec<u8>> {
    let (items, []) = value.as_chunks::<N>() else {
        return None;
    };
    Some(items.iter().map(item).collect::<Vec<_>>().join(",").into_bytes())
}

/// Protocol names with their lengths before them (7.1.1).
fn protocols(mut value: &[u8]) -> Option<Vec<u8>> {
    let mut names = Vec::new();
    while let Some((len, rest)) = value.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        names.push(name);
        value = rest;
    }
    Some(names.join(&b','))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for digit in 0..4 {
            match digit <= chunk.len() {
                true => out.push(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize].into()),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(params: &[u8]) -> String {
        text(1, b"a".to_vec(), params).escape_ascii().to_string()
    }

    #[test]
    fn every_key_has_its_form() {
        for (params, says) in [
            (&b""[..], "1 a"),
            (b"\0\0\0\x04\0\x01\x02\x9a", "1 a mandatory=alpn,key666"),
            (b"\0\x02\0\0\0\x03\0\x02\0\x35", "1 a no-default-alpn port=53"),
            (
                b"\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02",
                "1 a ipv4hint=192.0.2.1,192.0.2.2",
            ),
            (b"\0\x05\0\x04\x01\x02\x03\xff", "1 a ech=AQID/w=="),
            (
                b"\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
                "1 a ipv6hint=2001:db8::1",
            ),
            (b"\0\x07\0\x04/{?}", "1 a dohpath=/{?}"),
            (b"\x02\x9a\0\x01\xff", r"1 a key666=\xff"),
        ] {
            assert_eq!(shows(params), says);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_made_up() {
        // A port of one byte, a protocol that is longer than its value, a value longer than the data.
        assert_eq!(shows(b"\0\x03\0\x01x"), "1 a port=x");
        assert_eq!(shows(b"\0\x01\0\x02\x05h"), r"1 a alpn=\x05h");
        assert_eq!(shows(b"\0\x02\0\0\0\x04\0\x04\xc0"), "1 a no-default-alpn");
    }

    #[test]
    fn an_alias_is_a_name() {
        assert_eq!(text(0, b"b.c".to_vec(), b""), b"b.c");
        assert_eq!(text(0, vec![], b""), b".");
    }
}
