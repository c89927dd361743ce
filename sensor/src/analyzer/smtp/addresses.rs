//! Addresses in commands and headers: of mailboxes, and of hosts. They are found by the rules of Zeek's scripts
//! (base/utils/email, base/utils/addrs), in time that grows with the text's length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The mailboxes in the argument of a command, in order.
pub fn mailboxes(text: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let (next, found) = mailbox(text, at);
            at = next;
            if found.is_some() {
                return found;
            }
        }
        None
    })
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// A mailbox that begins at `at`, and where the next one may begin.
fn mailbox(text: &[u8], at: usize) -> (usize, Option<Vec<u8>>) {
    let run = |from: usize, ok: &dyn Fn(u8) -> bool| {
        let rest = text.get(from..).unwrap_or(&[]);
        from + rest.iter().take_while(|b| ok(**b)).count()
    };
    let opens = |b: u8| matches!(b, b'<' | b',' | b':') || is_blank(b);
    let start = at + usize::from(text.get(at).is_some_and(|b| opens(*b)));
    let local = run(start, &|b| b != b'@' && !opens(b));
    if local == start || text.get(local) != Some(&b'@') {
        // Nothing that begins in between is one, either.
        return (local.max(at + 1), None);
    }
    let end = run(local + 1, &|b| !matches!(b, b'>' | b',' | b';') && !is_blank(b));
    if end == local + 1 {
        return (end, None);
    }
    let found = text.get(start..end).unwrap_or(&[]);
    let without = found.iter().copied();
    let without = without.filter(|b| !matches!(b, b'<' | b'>' | b',' | b':' | b';') && !is_blank(*b));
    (end + 1, Some(without.collect()))
}

/// What a mail extension puts before an address (RFC 3461) and is none of it.
pub fn without_orcpt(address: Vec<u8>) -> Vec<u8> {
    const ORCPT: &[u8] = b"ORCPT=rfc822";
    if memchr::memmem::find(&address, ORCPT).is_none() {
        return address;
    }
    let mut out = Vec::with_capacity(address.len());
    let mut rest = address.as_slice();
    while let Some(at) = memchr::memmem::find(rest, ORCPT) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        let after = after.get(ORCPT.len()..).unwrap_or(&[]);
        rest = after.strip_prefix(b";").unwrap_or(after);
    }
    out.extend_from_slice(rest);
    out
}

/// The addresses in a header, each with the name before it.
pub fn named_mailboxes(text: &[u8]) -> impl Iterator<Item = &[u8]> + '_ {
    let spans = Spans::new(text);
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let plain = spans.end_from(at);
            let quoted = closing_quote(text, at).and_then(|q| spans.end_from(q + 1));
            if let Some(end) = plain.max(quoted) {
                let found = text.get(at..end).unwrap_or(&[]);
                at = end;
                return Some(found.trim_ascii());
            }
            let is_comma = text.get(at) == Some(&b',');
            at += 1;
            if !is_comma {
                // Only a quoted name makes an address of what was none from further left.
                let rest = text.get(at..).unwrap_or(&[]);
                at += memchr::memchr2(b'"', b',', rest).unwrap_or(rest.len());
            }
        }
        None
    })
}

/// Where the quoted string ends that begins at `at`.
fn closing_quote(text: &[u8], at: usize) -> Option<usize> {
    let inside = text.get(at..)?.strip_prefix(b"\"")?;
    Some(at + 1 + memchr::memchr(b'"', inside)?)
}

/// What stands between commas: where each ends, and its last `@` that something follows.
struct Spans(Vec<(usize, Option<usize>)>);

impl Spans {
    fn new(text: &[u8]) -> Spans {
        let mut start = 0;
        let spans = text.split(|b| *b == b',').map(|span| {
            let but_last = span.get(..span.len().saturating_sub(1)).unwrap_or(&[]);
            let last = memchr::memrchr(b'@', but_last).map(|n| start + n);
            let end = start + span.len();
            start = end + 1;
            (end, last)
        });
        Spans(spans.collect())
    }

    /// The end of the span that `at` is in, if from there on it has an `@` with something before and behind it.
    fn end_from(&self, at: usize) -> Option<usize> {
        let span = self.0.partition_point(|(end, _)| *end < at);
        let (end, last) = self.0.get(span)?;
        last.filter(|last| *last > at).map(|_| *end)
    }
}

/// The addresses of hosts in a text, in order. `wrapped`: only those in blanks, brackets, braces or parentheses.
pub fn hosts(text: &[u8], wrapped: bool) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let (mut at, mut before) = (0, 0);
    // The last one, how it begins, and whether all before it is another one.
    let mut last: Option<(IpAddr, Option<u8>)> = None;
    let mut keep = |last: Option<(IpAddr, Option<u8>)>, after: Option<u8>| {
        if let Some((ip, opens)) = last
            && (!wrapped || is_wrapped(opens, after))
        {
            found.push(ip);
        }
    };
    while at < text.len() {
        let rest = text.get(at..).unwrap_or(&[]);
        let len = longest_host(rest);
        if len == 0 {
            at += 1;
            continue;
        }
        let between = text.get(before..at).unwrap_or(&[]);
        keep(last.take(), between.first().copied());
        let ip = rest.get(..len).and_then(host);
        last = ip.map(|ip| (ip, between.last().copied()));
        at += len;
        before = at;
    }
    keep(last, text.get(before).copied());
    found
}

fn is_wrapped(before: Option<u8>, after: Option<u8>) -> bool {
    matches!(
        (before, after),
        (None, None)
            | (Some(b'['), Some(b']'))
            | (Some(b'('), Some(b')'))
            | (Some(b'{'), Some(b'}'))
            | (Some(b' '), Some(b' '))
    )
}

/// An address by its text. Numbers of IPv4 may begin with zeros, and are decimal.
fn host(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains(':') {
        let ip = text.parse::<Ipv6Addr>().ok()?;
        return Some(IpAddr::V6(ip).to_canonical());
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = parts.next()?.parse().ok()?;
    }
    Some(Ipv4Addr::from(octets).into())
}

/// Length of the longest address that a text begins with; 0 if there is none.
fn longest_host(text: &[u8]) -> usize {
    let could = |b: &u8| b.is_ascii_hexdigit() || *b == b':';
    match text.first().is_some_and(could) {
        true => v4(text).max(v6(text)),
        false => 0,
    }
}

fn v4(text: &[u8]) -> usize {
    let mut len = 0;
    for n in 0..4 {
        if n > 0 {
            if text.get(len) != Some(&b'.') {
                return 0;
            }
            len += 1;
        }
        let rest = text.get(len..).unwrap_or(&[]);
        let octet = match rest {
            [b'0' | b'1', b'0'..=b'9', b'0'..=b'9', ..]
            | [b'2', b'0'..=b'4', b'0'..=b'9', ..]
            | [b'2', b'5', b'0'..=b'5', ..] => 3,
            [b'0'..=b'9', b'0'..=b'9', ..] => 2,
            [b'0'..=b'9', ..] => 1,
            _ => return 0,
        };
        len += octet;
    }
    len
}

/// The groups of up to four hex digits that a text begins with, a colon between them: where each begins and ends.
fn groups(text: &[u8], from: usize, most: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = from;
    while found.len() < most {
        let rest = text.get(at..).unwrap_or(&[]);
        let len = rest.iter().take(4).take_while(|b| b.is_ascii_hexdigit()).count();
        if len == 0 {
            break;
        }
        found.push((at, at + len));
        at += len;
        if text.get(at) != Some(&b':') {
            break;
        }
        at += 1;
    }
    found
}

fn v6(text: &[u8]) -> usize {
    let head = groups(text, 0, 8);
    let mut longest = 0;
    if let [.., (_, end)] = head.as_slice()
        && head.len() == 8
    {
        longest = *end;
    }
    if let Some((_, end)) = head.get(5)
        && text.get(*end) == Some(&b':')
    {
        let at = end + 1;
        longest = longest.max(with(at, v4(text.get(at..).unwrap_or(&[]))));
    }
    // Zeros left out.
    let n = head.len();
    let gap = head.last().map_or(0, |(_, end)| *end);
    if n > 7 || text.get(gap..gap + 2) != Some(b"::") {
        return longest;
    }
    let tail = groups(text, gap + 2, 7 - n);
    longest = longest.max(tail.last().map_or(gap + 2, |(_, end)| *end));
    // Zeek has no colon before an IPv4 address here.
    let v4_at = |at: usize| with(at, v4(text.get(at..).unwrap_or(&[])));
    if n <= 5 {
        longest = longest.max(v4_at(gap + 2));
    }
    for (start, end) in tail.iter().take(5usize.saturating_sub(n)) {
        for at in start + 1..=*end {
            longest = longest.max(v4_at(at));
        }
    }
    longest
}

/// `len` bytes more than `at`, if there are any.
fn with(at: usize, len: usize) -> usize {
    match len {
        0 => 0,
        _ => at + len,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(found: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
        found
            .map(|f| String::from_utf8_lossy(f.as_ref()).into_owned())
            .collect()
    }

    #[test]
    fn mailboxes_are_found_in_commands() {
        for (text, want) in [
            ("FROM:<a@example.com> SIZE=100", &["a@example.com"][..]),
            ("TO: a@example.com", &["a@example.com"]),
            ("FROM:<>", &[]),
            ("FROM:<@>", &[]),
            ("TO:<@relay:a@example.com>", &["a@example.com"]),
            ("TO:<a@b>,<c@d>; e@f", &["a@b", "c@d", "e@f"]),
            ("TO:<a@b> ORCPT=rfc822;a@b", &["a@b", "ORCPT=rfc822a@b"]),
            ("a@b@c", &["a@b@c"]),
            ("", &[]),
        ] {
            assert_eq!(texts(mailboxes(text.as_bytes())), want, "{text}");
        }
        assert_eq!(without_orcpt(b"ORCPT=rfc822a@b".to_vec()), b"a@b");
        assert_eq!(without_orcpt(b"xORCPT=rfc822;a@b".to_vec()), b"xa@b");
    }

    #[test]
    fn headers_name_mailboxes() {
        for (text, want) in [
            ("a@b", &["a@b"][..]),
            (" A <a@b> ,c@d,", &["A <a@b>", "c@d"]),
            ("\"Doe, J\" <j@d>, x", &["\"Doe, J\" <j@d>"]),
            ("Doe, \"J, K\" <j@d>", &["\"J, K\" <j@d>"]),
            ("Group: a@b, c@d;", &["Group: a@b", "c@d;"]),
            ("nobody, @, a@, @b", &["@b"]),
            ("\"open, a@b", &["a@b"]),
            ("\"a@b\", c", &["\"a@b\""]),
        ] {
            assert_eq!(texts(named_mailboxes(text.as_bytes())), want, "{text}");
        }
    }

    #[test]
    fn hosts_are_found_in_headers() {
        let ips = |text: &str, wrapped| {
            let found = hosts(text.as_bytes(), wrapped);
            found.iter().map(IpAddr::to_string).collect::<Vec<_>>()
        };
        for (text, all, wrapped) in [
            ("from a (b [10.1.2.3]) by c", &["10.1.2.3"][..], &["10.1.2.3"][..]),
            ("10.1.2.3", &["10.1.2.3"], &["10.1.2.3"]),
            ("x10.1.2.3y", &["10.1.2.3"], &[]),
            ("[10.1.2.3)", &["10.1.2.3"], &[]),
            (
                " 010.1.2.03 (1.2.3.4)",
                &["10.1.2.3", "1.2.3.4"],
                &["10.1.2.3", "1.2.3.4"],
            ),
            ("[1.2.3.256]", &["1.2.3.25"], &[]),
            (
                "[2001:db8::1] {::1}",
                &["2001:db8::1", "::1"],
                &["2001:db8::1", "::1"],
            ),
            // The 6 is read as a group.
            ("[IPv6:2001:db8::1]", &["6:2001:db8::1"], &[]),
            ("(1:2:3:4:5:6:7:8)", &["1:2:3:4:5:6:7:8"], &["1:2:3:4:5:6:7:8"]),
            (
                "(1:2:3:4:5:6:7.7.7.7)",
                &["1:2:3:4:5:6:707:707"],
                &["1:2:3:4:5:6:707:707"],
            ),
            ("(1:2:3:4:5:6:7::)", &["1:2:3:4:5:6:7:0"], &["1:2:3:4:5:6:7:0"]),
            ("(::ffff:1.2.3.4)", &["::ffff:1"], &[]),
            ("at 10:00:00, 1.2 and 3.4.5", &[], &[]),
        ] {
            assert_eq!(ips(text, true), wrapped, "{text}");
            assert_eq!(ips(text, false), all, "{text}");
        }
    }

    #[test]
    fn long_texts_take_no_longer() {
        for unit in ["a", "\"", "a,", "\"a", "@", "<a", "1", "1:", "1.", ":", "a@b "] {
            let text = unit.repeat(300_000 / unit.len());
            let n = mailboxes(text.as_bytes()).count() + named_mailboxes(text.as_bytes()).count();
            assert!(n + hosts(text.as_bytes(), true).len() <= text.len());
        }
    }
}
