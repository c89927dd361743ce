//! Where a data connection will go: PORT and EPRT of a client, replies 227 and 229 of a server (RFC 959 and 2428). What
//! passes for an address is Zeek's.

use std::net::{IpAddr, Ipv6Addr};

use crate::analyzer::pattern::is_space;

/// An address and a port. No address: it is the unspecified one of IPv6.
pub type Place = (IpAddr, u16);

/// Shortest `h1,h2,h3,h4,p1,p2`.
const SHORTEST: usize = 11;

/// What PORT says: `h1,h2,h3,h4,p1,p2`.
pub fn port(text: &[u8]) -> Option<Place> {
    if text.len() < SHORTEST {
        return None;
    }
    let mut n = [0u8; 6];
    let mut rest = text;
    for (at, to) in n.iter_mut().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b",")?;
        }
        let (number, behind) = number(rest);
        *to = number?.try_into().ok()?;
        rest = behind;
    }
    let [a, b, c, d, hi, lo] = n;
    Some((IpAddr::from([a, b, c, d]), u16::from_be_bytes([hi, lo])))
}

/// What EPRT says: `|protocol|host|port|`, with any character as the bar.
pub fn extended(text: &[u8]) -> Option<Place> {
    if text.contains(&0) {
        return None;
    }
    let spaces = text.iter().take_while(|b| is_space(b)).count();
    let (bar, rest) = text.get(spaces..)?.split_first()?;
    let (_, rest) = number(rest);
    let mut is_good = rest.first() == Some(bar);
    let rest = rest.get(1..).unwrap_or(&[]);
    let end = rest.iter().position(|b| b == bar);
    let mut host = IpAddr::from(Ipv6Addr::UNSPECIFIED);
    if end != Some(0) && !rest.is_empty() {
        let text = rest.get(..end.unwrap_or(rest.len()))?;
        host = std::str::from_utf8(text).ok()?.parse().ok()?;
        // Whatever was before it.
        is_good = true;
    }
    let mut port = 0;
    if let Some(end) = end {
        let (n, rest) = number(rest.get(end + 1..)?);
        is_good &= rest.first() == Some(bar);
        port = u16::try_from(n.unwrap_or(0)).ok()?;
    }
    is_good.then_some((host, port))
}

/// What a reply to PASV says.
pub fn passive(text: &[u8]) -> Option<Place> {
    if text.contains(&0) {
        return None;
    }
    let position = |b: u8| text.iter().position(|x| *x == b);
    if let Some(open) = position(b'(') {
        return port(text.get(open + 1..)?);
    }
    if let Some(at) = memchr::memmem::find(text, b"PORT") {
        return port(text.get(at + 5..)?);
    }
    let comma = position(b',')?;
    let before = text.get(..comma)?;
    let digits = before.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    port(text.get(comma - digits..)?)
}

/// What a reply to EPSV says. Its host is unspecified: it is the server.
pub fn extended_passive(text: &[u8]) -> Option<Place> {
    let open = text.iter().position(|b| *b == b'(')?;
    match text.contains(&0) {
        true => None,
        false => extended(text.get(open + 1..)?),
    }
}

/// A decimal number at the front of a text, and what is behind it: blanks and a sign may be before it.
fn number(text: &[u8]) -> (Option<i64>, &[u8]) {
    let spaces = text.iter().take_while(|b| is_space(b)).count();
    let rest = text.get(spaces..).unwrap_or(&[]);
    let (is_negative, rest) = match rest {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, rest),
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return (None, text);
    }
    let (digits, rest) = rest.split_at(digits);
    let add = |n: i64, d: &u8| n.saturating_mul(10).saturating_add(i64::from(d - b'0'));
    let n = digits.iter().fold(0, add);
    (Some(if is_negative { -n } else { n }), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(port: u16) -> Option<Place> {
        Some(([10, 0, 0, 7].into(), port))
    }

    #[test]
    fn a_client_names_its_port() {
        for (text, want) in [
            ("10,0,0,7,4,1", v4(1025)),
            ("10, 0, 0, 7, 4, 1 and more", v4(1025)),
            ("10,0,0,7,4", None),
            ("10,0,0,777,4,1", None),
            ("10,0,0,-7,4,1", None),
            ("1,0,0,7,4,", None),
            ("", None),
        ] {
            assert_eq!(port(text.as_bytes()), want, "{text}");
        }
        // Shorter than any that is real.
        assert_eq!(port(b"1,0,0,7,4"), None);
    }

    #[test]
    fn or_its_address_of_either_family() {
        let six = "2001:db8::7".parse().expect("address");
        let nowhere = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        for (text, want) in [
            ("|2|2001:db8::7|1025|", Some((six, 1025))),
            ("!1!10.0.0.7!1025!", v4(1025)),
            ("|||1025|", Some((nowhere, 1025))),
            ("||| 1025|", Some((nowhere, 1025))),
            ("|1|10.0.0.7|99999|", None),
            ("|1|10.0.0.7|1025", None),
            ("|x|10.0.0.7|1025|", Some((nowhere, 0)).and(None)),
            ("|1|10.0.0|1025|", None),
            ("", None),
        ] {
            assert_eq!(extended(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_server_names_its_port_in_many_ways() {
        for (text, want) in [
            ("Entering Passive Mode (10,0,0,7,4,1).", v4(1025)),
            ("Entering Passive Mode 10,0,0,7,4,1", v4(1025)),
            ("=10,0,0,7,4,1", v4(1025)),
            ("10,0,0,7,4,1", v4(1025)),
            ("use PORT 10,0,0,7,4,1", v4(1025)),
            ("PORT", None),
            ("nothing", None),
            ("(10,0,0,7,4", None),
        ] {
            assert_eq!(passive(text.as_bytes()), want, "{text}");
        }
        let nowhere = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        for (text, want) in [
            ("Entering Extended Passive Mode (|||1025|)", Some((nowhere, 1025))),
            ("(|||99999|)", None),
            ("|||1025|", None),
        ] {
            assert_eq!(extended_passive(text.as_bytes()), want, "{text}");
        }
    }
}
