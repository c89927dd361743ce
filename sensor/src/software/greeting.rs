//! Software in a server's greeting: free text, in which the version is looked for that stands behind a name.
//!
//! Zeek does not read greetings. So this is strict: a word that begins with a number with a dot in it, and the word before
//! it; or both in one, with a slash between them.

use std::net::Ipv4Addr;

/// Bytes of a greeting that are looked at.
const MOST_READ: usize = 512;

/// Words that belong to the name before them, and are none by themselves.
const GENERAL: [&[u8]; 3] = [b"server", b"service", b"ftp"];

/// The name and version in a greeting, without its code.
pub fn software(greeting: &[u8]) -> Option<&[u8]> {
    let text = greeting.get(..MOST_READ).unwrap_or(greeting);
    // Where the name began that a version may follow.
    let mut name = None;
    let mut next = 0;
    for word in text.split(|b| matches!(b, b' ' | b'\t')) {
        let from = next;
        next = from + word.len() + 1;
        if word.is_empty() {
            continue;
        }
        if let (Some(name), Some(len)) = (name, version_end(word)) {
            return text.get(name..from + len);
        }
        if let Some(slash) = word.iter().position(|b| *b == b'/') {
            let version = word.get(slash + 1..).and_then(version_end);
            if let Some(len) = version.filter(|_| is_name(word)) {
                return text.get(from..from + slash + 1 + len);
            }
        }
        name = match is_general(word) {
            true => name,
            false => is_name(word).then_some(from + usize::from(word.starts_with(b"("))),
        };
    }
    None
}

/// A name begins with a letter, perhaps behind a parenthesis, and ends no clause. The word "version" is none.
fn is_name(word: &[u8]) -> bool {
    let bare = word.strip_prefix(b"(").unwrap_or(word);
    let ends_clause = matches!(word.last(), Some(b',' | b';' | b')'));
    let is_word = bare.first().is_some_and(u8::is_ascii_alphabetic) && !ends_clause;
    is_word && !is_general(bare) && !bare.eq_ignore_ascii_case(b"version")
}

fn is_general(word: &[u8]) -> bool {
    GENERAL.iter().any(|g| g.eq_ignore_ascii_case(word))
}

/// Up to where a word is a version: one that begins with a digit, perhaps behind `v` or `(`, and then a dot and a digit.
/// An address is none.
fn version_end(word: &[u8]) -> Option<usize> {
    let start = word.iter().take_while(|b| matches!(b, b'(' | b'v')).count();
    let number = word.get(start..)?;
    let len = number
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+')))
        .unwrap_or(number.len());
    let number = without_dot(number.get(..len)?);
    let digits = number.iter().take_while(|b| b.is_ascii_digit()).count();
    let is_version = matches!(number.get(digits..)?, [b'.', b'0'..=b'9', ..]) && digits > 0;
    let address = std::str::from_utf8(number).is_ok_and(|n| n.parse::<Ipv4Addr>().is_ok());
    (is_version && !address).then_some(start + number.len())
}

/// A full stop behind a version is not its own.
fn without_dot(number: &[u8]) -> &[u8] {
    number.strip_suffix(b".").unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::version;

    #[test]
    fn software_is_found_in_greetings_that_name_a_version() {
        for (greeting, want) in [
            ("(vsFTPd 3.0.3)", "vsFTPd 3.0.3"),
            (
                "ProFTPD 1.3.5rc3 Server (Debian) [::ffff:10.0.0.7]",
                "ProFTPD 1.3.5 rc3",
            ),
            ("FileZilla Server 0.9.60 beta", "FileZilla Server 0.9.60"),
            (
                "Serv-U FTP Server v6.4 for WinSock ready...",
                "Serv-U FTP Server 6.4",
            ),
            ("Welcome to Pure-FTPd 1.0.36", "Pure-FTPd 1.0.36"),
            ("mx1.example.com ESMTP Exim 4.92 #2 Sat, 03 Jan 2026", "Exim 4.92"),
            (
                "mx.example.com ESMTP Sendmail 8.14.4/8.14.4; Sat",
                "Sendmail 8.14.4",
            ),
            ("mx ESMTP Postfix/3.7.11 ready", "Postfix 3.7.11"),
            ("mx ready, this is Exim 4.92.", "Exim 4.92"),
        ] {
            let found = software(greeting.as_bytes()).expect(greeting);
            assert_eq!(version::tests::said(&version::parse(found)), want, "{greeting}");
        }
    }

    #[test]
    fn other_greetings_name_none() {
        for greeting in [
            "",
            "mx1.example.com ESMTP Postfix (Debian/GNU)",
            "ip-10.0.0.7.example.com at 10.0.0.7",
            "Microsoft FTP Service",
            "FTP server (Version 6.4/OpenBSD) ready.",
            "FTP 1.2",
            "Exim version 4.92",
            "---------- Welcome to Pure-FTPd [privsep] [TLS] ----------",
            "1.2 3.4",
            "hello, 1.2",
            "at 10:00, 01.",
            "( (1.2",
        ] {
            assert_eq!(software(greeting.as_bytes()), None, "{greeting}");
        }
    }
}
