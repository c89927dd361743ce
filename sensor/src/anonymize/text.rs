//! Addresses in text: as they are written, in names of the reverse zones, in FTP's commands, in names of hosts with dashes,
//! percent-encoded.
//!
//! What looks like an address is taken for one: a version of four parts becomes another one, too. The other way round an address
//! would be left.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::anonymizer::Anonymizer;
use super::dotted::Numbers;

/// Longest text of an IPv6 address, and an IPv4 one in it, with room for zeros too many.
const MOST_V6: usize = 64;
/// What the reverse zones' names end with.
const V4_ZONE: &[u8] = b".in-addr.arpa";
const V6_ZONES: [&[u8]; 2] = [b"ip6.arpa", b"ip6.int"];

/// The text with other addresses; None: there are none in it.
pub fn rewrite(text: &[u8], by: &Anonymizer) -> Option<Vec<u8>> {
    // What has none of these has no address.
    if !text
        .iter()
        .any(|b| matches!(b, b'.' | b':' | b',' | b'-' | b'%' | b'\\'))
    {
        return None;
    }
    let plain = Plain::of(text);
    let mut scan = Scan {
        text: &plain.text,
        by,
        no_labels_before: 0,
    };
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    while at < scan.text.len() {
        let Some((range, with)) = scan.at(at) else {
            at += 1;
            continue;
        };
        at = range.end;
        let raw = plain.raw(&range);
        if text[raw.clone()] != *with {
            out.extend_from_slice(&text[copied..raw.start]);
            out.extend_from_slice(&with);
            copied = raw.end;
        }
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(&text[copied..]);
    Some(out)
}

/// The text with what is escaped as `%2E` or `\x2e` undone.
struct Plain<'t> {
    text: Cow<'t, [u8]>,
    /// Where each byte of it was; empty: where it is.
    places: Vec<usize>,
}

impl<'t> Plain<'t> {
    fn of(raw: &'t [u8]) -> Plain<'t> {
        let mut undone: Option<(Vec<u8>, Vec<usize>)> = None;
        let mut at = 0;
        while at < raw.len() {
            let sign = match raw[at] {
                b'%' => 1,
                b'\\' if raw.get(at + 1) == Some(&b'x') => 2,
                _ => 0,
            };
            let escaped = match sign {
                0 => None,
                _ => byte(raw, at + sign).filter(|b| !is_plain(raw, at + sign, *b)),
            };
            if escaped.is_some() && undone.is_none() {
                undone = Some((raw[..at].to_owned(), (0..at).collect()));
            }
            if let Some((text, places)) = &mut undone {
                text.push(escaped.unwrap_or(raw[at]));
                places.push(at);
            }
            at += if escaped.is_some() { sign + 2 } else { 1 };
        }
        let Some((text, mut places)) = undone else {
            return Plain {
                text: raw.into(),
                places: Vec::new(),
            };
        };
        places.push(raw.len());
        Plain {
            text: text.into(),
            places,
        }
    }

    fn raw(&self, range: &Range<usize>) -> Range<usize> {
        match self.places.is_empty() {
            true => range.clone(),
            false => self.places[range.start]..self.places[range.end],
        }
    }
}

/// The byte whose two hexadecimal digits are at `at`.
fn byte(raw: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*raw.get(at)?).to_digit(16);
    u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok()
}

/// Whether an address stands at `at`, and not two digits that mean `escaped`, as in the old `user%192.0.2.1`.
fn is_plain(raw: &[u8], at: usize, escaped: u8) -> bool {
    let is_address = |at: usize| Numbers::of(raw, at, b'.').all::<4>().is_some();
    is_address(at) && (escaped < b' ' || !is_address(at + 2))
}

/// A part of the text, and what becomes of it.
type Found = (Range<usize>, Vec<u8>);

struct Scan<'s> {
    text: &'s [u8],
    by: &'s Anonymizer,
    /// No name of IPv6's reverse zone begins before this place: it was looked.
    no_labels_before: usize,
}

impl Scan<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// The address that begins here.
    fn at(&mut self, at: usize) -> Option<Found> {
        let b = self.text[at];
        if b != b':' && !b.is_ascii_hexdigit() {
            return None;
        }
        let before = at.checked_sub(1).map(|i| self.text[i]);
        let in_run = before.is_some_and(|b| b == b':' || b.is_ascii_hexdigit());
        if !in_run && let Some(found) = self.v6(at, before) {
            return Some(found);
        }
        if !before.is_some_and(|b| b.is_ascii_alphanumeric())
            && let Some(found) = self.v6_name(at)
        {
            return Some(found);
        }
        let begins = b.is_ascii_digit() && !before.is_some_and(|b| b.is_ascii_digit());
        begins.then(|| self.numbers(at, before)).flatten()
    }

    /// An IPv6 address; all signs of one that stand together begin at `at`.
    fn v6(&self, at: usize, before: Option<u8>) -> Option<Found> {
        let len = |from: usize, is: fn(&u8) -> bool| self.text[from..].iter().take_while(|b| is(b)).count();
        let end = at + len(at, |b| *b == b':' || b.is_ascii_hexdigit());
        let colons = self.text[at..end].iter().filter(|b| **b == b':').count();
        if colons < 2 {
            return None;
        }
        let (mut from, mut to) = (at, end);
        // A first group may be the end of a word.
        if before.is_some_and(is_word) {
            from += self.text[from..end].iter().position(|b| *b == b':')?;
            if self.text[from..].starts_with(b"::") {
                return None;
            }
        }
        // One colon is of what is before, or of what comes then.
        let single = |text: &[u8], at: usize, other: Option<usize>| {
            text.get(at) == Some(&b':') && other.and_then(|o| text.get(o)) != Some(&b':')
        };
        if single(self.text, from, Some(from + 1)) {
            from += 1;
        }
        let tail = to + len(to, |b| *b == b'.' || b.is_ascii_digit());
        let dots = self.text[to..tail]
            .iter()
            .rev()
            .take_while(|b| **b == b'.')
            .count();
        let tail = tail - dots;
        if tail > to {
            // With an IPv4 address behind the last colon; or that stands by itself.
            if let Some(found) = self.parsed(from, tail) {
                return Some(found);
            }
            to = from + self.text[from..to].iter().rposition(|b| *b == b':')? + 1;
        } else if self.byte(to).is_some_and(is_word) {
            to = from + self.text[from..to].iter().rposition(|b| *b == b':')? + 1;
        }
        if to > from && single(self.text, to - 1, (to - 1).checked_sub(1)) {
            to -= 1;
        }
        if let Some(found) = self.parsed(from, to) {
            return Some(found);
        }
        // Eight groups, and a port behind them or a number before them.
        let inside = self.text.get(from..to)?;
        let last = inside.iter().rposition(|b| *b == b':')?;
        let first = inside.iter().position(|b| *b == b':')?;
        self.parsed(from, from + last)
            .or_else(|| self.parsed(from + first + 1, to))
    }

    fn parsed(&self, from: usize, to: usize) -> Option<Found> {
        let text = self.text.get(from..to).filter(|t| t.len() <= MOST_V6)?;
        let addr: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
        let mapped = self.by.addr(addr.into());
        Some((from..to, mapped.to_string().into_bytes()))
    }

    /// A name of IPv6's reverse zone, or the name of a network there.
    fn v6_name(&mut self, at: usize) -> Option<Found> {
        if at < self.no_labels_before {
            return None;
        }
        let mut end = at;
        while self.byte(end).is_some_and(|b| b.is_ascii_hexdigit()) && self.byte(end + 1) == Some(b'.') {
            end += 2;
        }
        if end == at {
            return None;
        }
        let rest = &self.text[end..];
        if !V6_ZONES.iter().any(|zone| begins_with(rest, zone)) {
            self.no_labels_before = end;
            return None;
        }
        let from = at.max(end.saturating_sub(64));
        let labels = self.text[from..end].iter().rev().filter(|b| **b != b'.');
        let (mut bits, mut n) = (0_u128, 0);
        for label in labels {
            let nibble = char::from(*label).to_digit(16).unwrap_or(0);
            bits |= u128::from(nibble) << (124 - n);
            n += 4;
        }
        let mapped = match (n, self.by) {
            (128, by) => match by.addr(Ipv6Addr::from_bits(bits).into()) {
                IpAddr::V6(v6) => v6.to_bits(),
                IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            },
            (n, by) => by.prefix6(bits, n),
        };
        let nibbles = (0..n / 4).rev().map(|i| (mapped >> (124 - 4 * i)) as u32 & 15);
        let text: Vec<String> = nibbles.map(|n| format!("{n:x}")).collect();
        Some((from..end - 1, text.join(".").into_bytes()))
    }

    /// What begins with a decimal number.
    fn numbers(&self, at: usize, before: Option<u8>) -> Option<Found> {
        let digits = self.text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let between = self.byte(at + digits)?;
        // The row began before.
        let is_digit = |i: usize| self.text[i].is_ascii_digit();
        if before == Some(between) && at.checked_sub(2).is_some_and(is_digit) {
            return None;
        }
        match between {
            b'.' => self.dotted(at),
            b',' => self.commas(at),
            b'-' => self.dashes(at, before),
            _ => None,
        }
    }

    fn dotted(&self, at: usize) -> Option<Found> {
        let row = Numbers::of(self.text, at, b'.');
        if begins_with(&self.text[row.end..], V4_ZONE) {
            let (from, octets) = row.end_of_at_most(4);
            let prefix = octets.iter().rev().filter_map(|(_, n)| *n);
            let (mut bits, mut n) = (0_u32, 0);
            for octet in prefix {
                bits |= u32::from(octet) << (24 - n);
                n += 8;
            }
            let mapped = match n {
                0 => return None,
                32 => self.v4(Ipv4Addr::from_bits(bits)),
                n => Ipv4Addr::from_bits(self.by.prefix4(bits, n)),
            };
            let octets = &mapped.octets()[..n / 8];
            return Some((from..row.end, joined(octets.iter().rev(), ".")));
        }
        // With a port behind it, as tcpdump writes it; what begins with a small number is an object's identifier.
        let with_port = || match row.first_four() {
            Some(octets) if row.count == 5 && octets[0] > 2 => Some((octets, row.end_of(3))),
            _ => None,
        };
        let (octets, end) = row.all().map(|all| (all, row.end)).or_else(with_port)?;
        Some((at..end, self.v4(octets.into()).to_string().into_bytes()))
    }

    /// FTP's PORT and PASV, `h1,h2,h3,h4,p1,p2` (RFC 959), and LPRT and LPSV (RFC 1639).
    fn commas(&self, at: usize) -> Option<Found> {
        let row = Numbers::of(self.text, at, b',');
        if let Some([a, b, c, d, ..]) = row.all::<6>() {
            let mapped = self.v4([a, b, c, d].into());
            return Some((at..row.end_of(3), joined(mapped.octets().iter(), ",")));
        }
        if let Some([4, 4, a, b, c, d, 2, ..]) = row.all::<9>() {
            let mapped = self.v4([a, b, c, d].into());
            let text = [b"4,4,".to_vec(), joined(mapped.octets().iter(), ",")].concat();
            return Some((at..row.end_of(5), text));
        }
        let long: [u8; 21] = row.all()?;
        let [6, 16, addr @ .., 2, _, _] = long else {
            return None;
        };
        let mapped = match self.by.addr(Ipv6Addr::from(addr).into()) {
            IpAddr::V6(v6) => v6,
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        };
        let text = [b"6,16,".to_vec(), joined(mapped.octets().iter(), ",")].concat();
        Some((at..row.end_of(17), text))
    }

    /// A name such as `ip-192-0-2-1`.
    fn dashes(&self, at: usize, before: Option<u8>) -> Option<Found> {
        let row = Numbers::of(self.text, at, b'-');
        // A first number may be the end of a word.
        let is_word = before.is_some_and(|b| b.is_ascii_alphabetic());
        let (from, octets): (usize, [u8; 4]) = match row.count {
            4 => (at, row.all()?),
            5 if is_word => row.tail()?,
            _ => return None,
        };
        let mapped = self.v4(octets.into());
        Some((from..row.end, joined(mapped.octets().iter(), "-")))
    }

    fn v4(&self, addr: Ipv4Addr) -> Ipv4Addr {
        match self.by.addr(addr.into()) {
            IpAddr::V4(mapped) => mapped,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        }
    }
}

/// Whether a sign is of a word.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

/// Whether a text begins with another one, and no longer name.
fn begins_with(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len())
        .is_some_and(|t| t.eq_ignore_ascii_case(with))
        && !text.get(with.len()).copied().is_some_and(is_word)
}

fn joined<'n>(numbers: impl Iterator<Item = &'n u8>, between: &str) -> Vec<u8> {
    let all: Vec<String> = numbers.map(u8::to_string).collect();
    all.join(between).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::key::Key;
    use super::*;

    fn made() -> Anonymizer {
        Anonymizer::new(&Key::new(*b"32-char-str-for-AES-key-and-pad."))
    }

    /// What stands for an address.
    fn of(addr: &str) -> String {
        made().addr(addr.parse().expect("an address")).to_string()
    }

    fn rewritten(text: &str) -> String {
        let new = rewrite(text.as_bytes(), &made());
        new.map_or_else(|| text.to_owned(), |new| String::from_utf8(new).expect("text"))
    }

    /// In the text, `{}` is the address, before and afterwards.
    #[track_caller]
    fn stands_in(text: &str, addr: &str) {
        assert_eq!(
            rewritten(&text.replace("{}", addr)),
            text.replace("{}", &of(addr)),
            "{text}"
        );
    }

    #[test]
    fn addresses_as_they_are_written() {
        assert_eq!(of("192.0.2.1"), "192.0.125.244");
        for text in [
            "{}",
            "{}:80",
            "http://{}/index.html?a={}&b=1",
            "({})",
            "v{}x",
            "{}.",
            "{},{} {}/24",
            "{}-{}",
            "EPRT |1|{}|6275|",
            "<{}>",
            "x%20{}%2F",
            "user%{}@example.org",
            "a\\x0a{}\\x20{}\\x09",
            "{}.example.org",
            "mail.{}.example.org",
            "{}.54321",
            "::ffff:{}",
            "dead: {}",
        ] {
            stands_in(text, "192.0.2.1");
            stands_in(text, "10.1.100.255");
        }
        stands_in("%20{}", "10.0.0.1");
        assert_eq!(rewritten("192%2e0%2E2.1"), "192.0.125.244");
        assert_eq!(rewritten("192.000.002.001"), "192.0.125.244");
    }

    #[test]
    fn ipv6_addresses() {
        for text in [
            "{}",
            "[{}]:80",
            "http://[{}%25eth0]/",
            "ip:{}",
            "EPRT |2|{}|6275|",
            "{},{}",
            "host {}: unreachable",
            "{}.",
            "a={}",
            "_{}_",
        ] {
            stands_in(text, "2001:db8::1");
            stands_in(text, "fe80::20c:29ff:fe25:18e5");
            stands_in(text, "2001:db8:1:2:3:4:5:6");
        }
        stands_in("{}:443", "2001:db8:1:2:3:4:5:6");
        assert_eq!(rewritten("2001%3Adb8%3a%3A1"), of("2001:db8::1"));
        assert_eq!(rewritten("2001:DB8:0::1"), of("2001:db8::1"));
        let both = rewritten("2001:db8::1:192.0.2.1");
        assert!(
            !both.contains("192.0.2.1") && !both.contains("2001:db8::"),
            "{both}"
        );
    }

    #[test]
    fn names_of_the_reverse_zones() {
        let reversed = |addr: &str| {
            let mut parts: Vec<_> = addr.split('.').collect();
            parts.reverse();
            parts.join(".")
        };
        let mapped = of("192.0.2.1");
        assert_eq!(
            rewritten("1.2.0.192.IN-ADDR.arpa"),
            format!("{}.IN-ADDR.arpa", reversed(&mapped))
        );
        let (net, _) = mapped.rsplit_once('.').expect("a net");
        assert_eq!(
            rewritten("lb._dns-sd._udp.2.0.192.in-addr.arpa"),
            format!("lb._dns-sd._udp.{}.in-addr.arpa", reversed(net))
        );
        let v6: Ipv6Addr = of("2001:db8::567:89ab").parse().expect("an address");
        let nibbles: Vec<String> = format!("{:032x}", v6.to_bits())
            .chars()
            .rev()
            .map(String::from)
            .collect();
        let name = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
        for zone in ["ip6.arpa", "ip6.int", "IP6.ARPA"] {
            assert_eq!(
                rewritten(&format!("{name}.{zone}")),
                format!("{}.{zone}", nibbles.join("."))
            );
        }
        assert_eq!(
            rewritten("8.b.d.0.1.0.0.2.ip6.arpa"),
            format!("{}.ip6.arpa", nibbles[24..].join("."))
        );
    }

    #[test]
    fn commas_and_dashes() {
        let (commas, dashes) = (
            of("192.0.2.1").replace('.', ","),
            of("192.0.2.1").replace('.', "-"),
        );
        assert_eq!(rewritten("PORT 192,0,2,1,4,1"), format!("PORT {commas},4,1"));
        assert_eq!(
            rewritten("227 Entering Passive Mode (192,0,2,1,4,1)."),
            format!("227 Entering Passive Mode ({commas},4,1).")
        );
        assert_eq!(
            rewritten("LPRT 4,4,192,0,2,1,2,4,1"),
            format!("LPRT 4,4,{commas},2,4,1")
        );
        let v6: Ipv6Addr = of("2001:db8::1").parse().expect("an address");
        assert_eq!(
            rewritten("6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,4,1"),
            format!(
                "6,16,{},2,4,1",
                String::from_utf8(joined(v6.octets().iter(), ",")).expect("text")
            )
        );
        for text in [
            "ip-{}.example.org",
            "ec2-{}.compute.example.org",
            "dyn{}.example.org",
            "{}",
        ] {
            assert_eq!(
                rewritten(&text.replace("{}", "192-0-2-1")),
                text.replace("{}", &dashes)
            );
        }
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in [
            "",
            "::",
            "127.0.0.1",
            "[::1]",
            "12:34:56",
            "00:0c:29:25:18:e5",
            "256.1.1.1",
            "1.2.3",
            "1.3.6.1.5.5.7.3.1",
            "2.5.29.37.0",
            "2024-01-02",
            "1,2,3,4,5",
            "1,2,3,4,5,6,7",
            "1-2-3-4-5",
            "1-2-3",
            "Notice::ACTION_LOG",
            "Scan::Address_Scan",
            "Node::Add",
            "Tunnel::VXLAN",
            "a.b.c.d.example",
            "1.2.300.4",
            "S-1-5-32-544",
            "550e8400-e29b-41d4-a716-446655440000",
            "%zz %2",
            "1.2.3.4.5.6.7.8.9.in-addr",
        ] {
            assert_eq!(rewritten(text), text);
        }
    }

    /// Also of long ones in a time that grows with them alone.
    #[test]
    fn any_bytes_are_text() {
        let mut x = 1_u32;
        let by = made();
        let signs = b"0123456789abcdefx.:,-%\\_[] 12.255.ip6.arpa";
        for len in (0..2000).chain([100_000]) {
            let text: Vec<u8> = (0..len)
                .map(|_| {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    signs[(x >> 16) as usize % signs.len()]
                })
                .collect();
            rewrite(&text, &by);
        }
        for part in [
            "1.", "1,", "1-", "a.", "a:", ":", "::", "1:1.", "%3a", "\\x2e", "%1.1.1.1", "1.1-1,",
        ] {
            let begun = std::time::Instant::now();
            rewrite(part.repeat(300_000).as_bytes(), &by);
            assert!(begun.elapsed().as_secs() < 20, "{part}");
        }
    }
}
