//! Banners, and what is read in them. The results are those of Zeek 8.

use super::escapes::unescaped;
use super::*;

/// Name, numbers and what follows, in a line.
pub fn said(d: &Described) -> String {
    let numbers: Vec<_> = d
        .version
        .numbers
        .iter()
        .map(|n| n.map_or("-".to_owned(), |n| n.to_string()))
        .collect();
    let numbers = numbers.join(".");
    let addl = d.version.addl.as_deref().map(shown).unwrap_or_default();
    let line = format!("{} {} {addl}", shown(&d.name), numbers.trim_end_matches(".-"));
    line.trim_end_matches([' ', '-']).to_owned()
}

fn check(table: &[(&str, &str)]) {
    for (banner, want) in table {
        assert_eq!(said(&parse(banner.as_bytes())), *want, "{banner}");
    }
}

#[test]
fn browsers_are_known_behind_what_they_claim() {
    check(&[
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
            "Firefox 115.0",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.71 \
             Safari/537.36",
            "Chrome 120.0.6099.71",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 \
             Safari/605.1.15",
            "Safari 17.1",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Version/17.1.2 Mobile/15E148 Safari/604.1",
            "Safari 17.1.2 Mobile",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 \
             Edge/18.17763",
            "Edge 18.17763",
        ),
        // Its name is a shorter one today, which nobody asks for.
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 \
             Edg/120.0.2210.61",
            "Chrome 120.0.0.0",
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
            "MSIE 6.0",
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 7.0b; Windows NT 5.1)",
            "MSIE 7.0 b",
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.1; Trident/4.0)",
            "MSIE 8.0",
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
            "MSIE 11.0",
        ),
        ("Mozilla/4.0 (compatible; MSIE ; MSIE 5.5)", "MSIE 5.5"),
        ("Mozilla/4.0 (compatible; MSIE x; )", "MSIE"),
        (
            "Opera/9.80 (X11; Linux x86_64) Presto/2.12.388 Version/12.16",
            "Opera 12.16",
        ),
        (
            "Mozilla/4.0 (compatible; MSIE 8.0; en) Opera 11.50",
            "Opera 11.50",
        ),
        (
            "Opera/9.80 (J2ME/MIDP; Opera Mini/4.5.33867/35.2883; U; en) Presto/2.8",
            "Opera Mini 4.5.33867",
        ),
        (
            "Opera/9.80 (Android; Opera Mobi/49; U) Presto/2.4.18 Version/10.10",
            "Opera Mobi 10.10",
        ),
        (
            "Mozilla/5.0 (X11; rv:102.0) Gecko/20100101 Thunderbird/102.3.1",
            "Thunderbird 102.3.1",
        ),
        (
            "Mozilla/5.0 (Windows; en) AppleWebKit/526.9+ (KHTML) AdobeAIR/1.5",
            "AdobeAIR 1.5",
        ),
        (
            "Mozilla/5.0 (Linux) AppleWebKit/537.36 (KHTML)",
            "Unspecified WebKit 537.36",
        ),
        ("Mozilla/4.0 (Windows 7 6.1) Java/1.6.0_22", "Java 1.6.0.22"),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "<unknown browser>",
        ),
        ("Mozilla/4.0 Flash%20Player/9", "Flash 4.0"),
        ("Mozilla/5", "Mozilla/5"),
        ("Mozilla/.5 Firefox/1.0", "Mozilla -.5 Firefox/1"),
    ]);
}

#[test]
fn a_name_is_told_from_its_version() {
    check(&[
        ("curl/7.88.1", "curl 7.88.1"),
        ("Wget/1.21.3", "Wget 1.21.3"),
        ("Wget/1.11.4 (Red Hat modified)", "Wget 1.11.4 Red Hat modified"),
        ("Wget/1.9+cvs-stable (Red Hat modified)", "Wget 1.9 +cvs"),
        ("python-requests/2.31.0", "python-requests 2.31.0"),
        ("Go-http-client/1.1", "Go-http-client 1.1"),
        ("Apache/2.4.57 (Debian)", "Apache 2.4.57 Debian"),
        ("Apache/2.4.57 (Debian) OpenSSL/3.0.9", "Apache 2.4.57 Debian"),
        ("Apache", "Apache"),
        ("nginx/1.22.1", "nginx 1.22.1"),
        ("Microsoft-IIS/10.0", "Microsoft-IIS 10.0"),
        ("lighttpd/1.4.69", "lighttpd 1.4.69"),
        ("OpenSSH_9.2p1 Debian-2+deb12u2", "OpenSSH 9.2 p1"),
        ("dropbear_2022.83", "dropbear 2022.83"),
        ("libssh2_1.10.0", "libssh 2.1.10.0"),
        ("PHP/8.2.7", "PHP 8.2.7"),
        ("PHP/5.3.3-7+squeeze14", "PHP 5.3.3.7 +squeeze14"),
        ("ASP.NET", "ASP.NET"),
        ("SharePoint/16.0.0.4351", "SharePoint 16.0.0.4351"),
        ("Apple Mail (2.1084)", "Apple Mail 2.1084"),
        ("The Bat! (v2.00.9) Personal", "The Bat! 2.0.9 Personal"),
        ("The Bat! (3.0.1 RC3) Professional", "The Bat! 3.0.1 RC3"),
        ("(vsFTPd 3.0.3)", "vsFTPd 3.0.3"),
        ("wu-2.4.2-academ[BETA-18-VR14](1)", "wu 2.4.2 academ"),
        ("Java1.8.0_271", "Java 1.8.0.271"),
        ("Flash/10,2,153,1", "Flash 10.2.153.1"),
        (
            "Flash%20Player/26.0.0.137 CFNetwork/811.5.4",
            "Flash 26.0.0.137 CFNetwork/811",
        ),
        ("CacheFlyServe v26b", "CacheFlyServe 26 b"),
        (
            "Zope/(Zope 2.7.8-final, python 2.3.5, linux2)",
            "Zope/(Zope 2.7.8 final",
        ),
        ("A/9/Google/Pixel#2/walleye/unknown", "Android (Google Pixel) 9"),
        (
            "A/8.1.0/Google/Pixel#2/walleye/unknown",
            "Android (Google Pixel) 8.1.0",
        ),
        ("A/8.1/Google/Nexus", "A 8.1 /Google/Nexus"),
        ("\\xe6\\xbc\\xab 2.6.2 rv:1.2", "\u{6f2b} 2.6.2 rv:1"),
        ("%E6%BC%AB/128 CFNetwork/760.2.6", "\u{6f2b} 128 CFNetwork/760"),
        // A version of one digit is not seen as one.
        ("curl/8", "curl/8"),
        ("1.2.3.4.5", " 1.2.3.4"),
        ("a-b/", "ab/"),
        ("x (", "x"),
        ("a 1.0)", "a 1.0"),
        ("a 1.0()", "a 1.0"),
        ("a 1.0\u{e9}!", "a 1.0 \u{e9}!"),
        ("a 1.0;[", "a 1.0 ;["),
        ("a 1.0[b.c", "a 1.0 b"),
        ("a..1", "a -.1"),
        ("", ""),
    ]);
}

#[test]
fn escapes_stand_for_their_bytes() {
    for (text, want) in [
        ("plain", "plain"),
        ("a%41", "aA"),
        ("a\\x41", "aA"),
        ("%u0041%u4142", "AAB"),
        ("%%41", "A"),
        ("%%%41", "A"),
        ("a%", "a%"),
        ("a%4", "a%4"),
        ("a%%", "a%%"),
        ("a%zz", "a%zz"),
        ("a%u00", "a%u00"),
        ("\\\\x", "\\%"),
    ] {
        assert_eq!(unescaped(text.as_bytes()), want.as_bytes(), "{text}");
    }
}

#[test]
fn a_number_that_is_too_large_is_left_out() {
    let d = parse(b"a/1.99999999999999999999.18446744073709551615");
    assert_eq!(d.version.numbers, [Some(1), None, Some(u64::MAX), None]);
}

#[test]
fn bytes_that_are_no_text_are_shown_as_in_the_logs() {
    let d = parse(b"\xff\xe9x/1.0 \xe9");
    assert_eq!(said(&d), "\\xff\\xe9x 1.0 \\xe9");
    assert_eq!(shown("é\n".as_bytes()), "é\n");
}

#[test]
fn hostile_banners_are_read_to_a_bound_and_in_one_go() {
    let parts: [&[u8]; 14] = [
        b"Mozilla/5.0 ",
        b"Opera/9.",
        b" (v",
        b"-",
        b"/Google/Pixel",
        b"A/",
        b"1.",
        b"%",
        b"\\x",
        b"%u",
        b"MSIE ",
        b"Version/",
        b"\xff",
        b"(",
    ];
    for first in parts {
        for second in parts {
            let mut banner = first.to_vec();
            while banner.len() < 4 * MOST_PARSED {
                banner.extend_from_slice(second);
            }
            let d = parse(&banner);
            assert!(d.name.len() <= MOST_PARSED);
            assert_eq!(d, parse(&banner[..MOST_PARSED]));
            for len in 0..64 {
                parse(&banner[..len]);
            }
        }
    }
}
