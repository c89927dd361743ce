//! Whether the first bytes of a connection are TLS or DTLS; Zeek's signatures, written out.

use super::{MAX_MESSAGE, hs};
use crate::analyzer::pattern::Match;

/// Server ports on which TLS is looked for whatever the first bytes say (Zeek's `SSL::ssl_ports`).
pub const SSL_PORTS: &[u16] = &[443, 563, 585, 614, 636, 989, 990, 992, 993, 995, 5223];

/// The same for DTLS over UDP (Zeek's `SSL::dtls_ports`).
pub const DTLS_PORTS: &[u16] = &[443];

/// Whether a byte of a signature fits; signatures are slices of these.
type Fits = fn(u8) -> bool;

const ANY: Fits = |_| true;
const THREE: Fits = |b| b == 3;
/// Second byte of SSL 3.0 to TLS 1.2.
const MINOR: Fits = |b| b <= 3;

const CLIENT: &[Fits] = &[
    |b| b == 0x16,
    THREE,
    MINOR,
    ANY,
    ANY,
    |b| b == 1,
    ANY,
    ANY,
    ANY,
    THREE,
    MINOR,
];

/// Ends before the version in the hello.
const SERVER: &[Fits] = &[|b| b == 0x16, THREE, MINOR, ANY, ANY, |b| b == 2, ANY, ANY, ANY];

/// An alert record, which a server may send before its hello.
const ALERT: &[Fits] = &[|b| b == 0x15, THREE, MINOR, ANY, ANY, ANY, ANY];

fn fits(signature: &[Fits], data: &[u8]) -> Match {
    if !signature.iter().zip(data).all(|(f, b)| f(*b)) {
        Match::No
    } else if data.len() < signature.len() {
        Match::More
    } else {
        Match::Yes
    }
}

/// Whether a TCP direction that begins with `data` speaks TLS. `is_orig`: the direction is the originator's.
pub fn looks_like_tls(data: &[u8], is_orig: bool) -> Match {
    if !is_orig {
        return server(data);
    }
    match fits(CLIENT, data) {
        Match::No => sslv2_client(data),
        other => other,
    }
}

fn server(data: &[u8]) -> Match {
    let hello = match fits(ALERT, data) {
        Match::No => data,
        Match::More => return Match::More,
        Match::Yes => &data[ALERT.len()..],
    };
    match (fits(SERVER, hello), hello.get(SERVER.len()..)) {
        (Match::Yes, Some([3, minor, ..])) if *minor <= 4 => Match::Yes,
        // TLS 1.3 drafts.
        (Match::Yes, Some([0x7f, draft, ..])) if *draft <= 0x50 => Match::Yes,
        (Match::Yes, Some([3 | 0x7f] | [])) => Match::More,
        (Match::Yes, _) => Match::No,
        (other, _) => other,
    }
}

/// An SSLv2 hello has little that is fixed; its lengths must add up (SSL 2.0 draft, section 2.5).
fn sslv2_client(data: &[u8]) -> Match {
    const V2: &[Fits] = &[|b| b & 0x80 != 0, ANY, |b| b == 1, |b| b == 0 || b == 3, MINOR];
    match fits(V2, data) {
        Match::Yes => {}
        other => return other,
    }
    if data[3] == 0 && data[4] != 2 {
        return Match::No;
    }
    let Some(lengths) = data.get(5..11) else {
        return Match::More;
    };
    let n = |i: usize| usize::from(lengths[i]) << 8 | usize::from(lengths[i + 1]);
    let whole = usize::from(data[0] & 0x7f) << 8 | usize::from(data[1]);
    let (ciphers, id, challenge) = (n(0), n(2), n(4));
    let plausible =
        ciphers > 0 && ciphers % 3 == 0 && (id == 0 || id == 16) && (16..=32).contains(&challenge);
    if plausible && whole == 9 + ciphers + id + challenge {
        Match::Yes
    } else {
        Match::No
    }
}

/// How much clear text, bytes of both directions, may come before TLS begins in mid-stream: what STARTTLS
/// dialogues and proxies' handshakes need, and some.
pub const CLEAR_TEXT_BYTES: u64 = 4096;

/// Whether TLS begins here, in mid-stream: after STARTTLS (XMPP, IMAP, POP3, LDAP), a TLS request (PostgreSQL,
/// MySQL, RDP) or a proxy's consent (SOCKS, CONNECT).
///
/// `bytes` is what a client wrote next, as it came in a segment: it waited for the server's consent, so its hello
/// begins the segment, and whatever either side sends from there on is TLS. Stricter than the signature for a
/// connection's first bytes, since clear text precedes: the first record must hold the hello and nothing else.
pub fn client_hello_begins(bytes: &[u8]) -> bool {
    let [_, _, _, r1, r0, _, h2, h1, h0, ..] = bytes else {
        return false;
    };
    let record = u32::from_be_bytes([0, 0, *r1, *r0]);
    let hello = u32::from_be_bytes([0, *h2, *h1, *h0]);
    // Version, random, and the shortest of each list (RFC 5246 section 7.4.1.2).
    const SHORTEST: u32 = 2 + 32 + 1 + 4 + 2;
    fits(CLIENT, bytes) == Match::Yes
        && (SHORTEST..=MAX_MESSAGE as u32).contains(&hello)
        && hello + 4 >= record
        && record > 4
}

/// Whether TLS begins in mid-stream with these bytes of a segment. `start_unseen`: neither side's SYN was seen, so that it
/// may be the server's hello that comes first.
pub fn hello_begins(bytes: &[u8], is_orig: bool, start_unseen: bool) -> bool {
    match is_orig {
        true => client_hello_begins(bytes),
        false => start_unseen && server_hello_begins(bytes),
    }
}

/// Whether a server's hello begins here, where neither side's SYN was seen. As above, but the record may go on with other
/// messages.
pub fn server_hello_begins(bytes: &[u8]) -> bool {
    let [_, _, _, r1, r0, _, h2, h1, h0, rest @ ..] = bytes else {
        return false;
    };
    let record = u32::from_be_bytes([0, 0, *r1, *r0]);
    let hello = u32::from_be_bytes([0, *h2, *h1, *h0]);
    // Version, random, session id, suite and compression (RFC 5246 section 7.4.1.3).
    const SHORTEST: u32 = 2 + 32 + 1 + 2 + 1;
    const LONGEST_ID: u8 = 32;
    fits(SERVER, bytes) == Match::Yes
        && matches!(rest, [3, 0..=3, ..])
        && rest.get(34).is_none_or(|n| *n <= LONGEST_ID)
        && (SHORTEST..=MAX_MESSAGE as u32).contains(&hello)
        && record > 4
}

/// Whether a datagram, of either side, begins with a hello of DTLS or a part of one, in the clear (RFC 6347, sections 4.1
/// and 4.2.2). The record's number may be any: a hello may have been sent before. So may the part's place: fragments may
/// come in any order. All lengths must agree.
pub fn looks_like_dtls(data: &[u8]) -> bool {
    let Some((record, body)) = data.split_at_checked(13) else {
        return false;
    };
    let Some((message, part)) = body.split_at_checked(12) else {
        return false;
    };
    let &[22, 0xfe, 0xfd | 0xff, 0, 0, .., r1, r0] = record else {
        return false;
    };
    let &[msg_type, l2, l1, l0, _, _, o2, o1, o0, f2, f1, f0] = message else {
        return false;
    };
    let n = |a, b, c| u32::from_be_bytes([0, a, b, c]) as usize;
    let (record, length, offset, here) = (n(0, r1, r0), n(l2, l1, l0), n(o2, o1, o0), n(f2, f1, f0));
    // The shortest have a version and: random, three lists and one suite; random, session id, suite and compression; a
    // cookie.
    let shortest = match msg_type {
        hs::CLIENT_HELLO => 2 + 32 + 1 + 1 + 4 + 2,
        hs::SERVER_HELLO => 2 + 32 + 1 + 2 + 1,
        hs::HELLO_VERIFY_REQUEST => 2 + 1,
        _ => return false,
    };
    let version = match (offset, part) {
        (0, [0xfe, 0xfd | 0xff, ..] | [0xfe] | []) => true,
        (0, _) => false,
        _ => true,
    };
    version
        && (shortest..=MAX_MESSAGE).contains(&length)
        && here > 0
        && offset + here <= length
        && 12 + here <= record
        && record <= body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 9];
    const SERVER_HELLO: &[u8] = &[0x16, 3, 3, 0, 0x7a, 2, 0, 0, 0x76, 3, 3, 9];

    /// Every prefix needs more until one is enough.
    fn grows(data: &[u8], is_orig: bool) {
        let first = (0..=data.len()).find(|n| looks_like_tls(&data[..*n], is_orig) != Match::More);
        assert_eq!(looks_like_tls(&data[..first.unwrap()], is_orig), Match::Yes);
    }

    #[test]
    fn hellos_are_known_by_their_first_bytes_split_anywhere() {
        grows(CLIENT_HELLO, true);
        grows(SERVER_HELLO, false);
        let mut after_alert = vec![0x15, 3, 3, 0, 2, 1, 112];
        after_alert.extend(SERVER_HELLO);
        grows(&after_alert, false);
        let mut draft = SERVER_HELLO.to_vec();
        (draft[9], draft[10]) = (0x7f, 18);
        grows(&draft, false);
    }

    #[test]
    fn a_hello_in_the_wrong_direction_or_of_another_protocol_is_none() {
        assert_eq!(looks_like_tls(CLIENT_HELLO, false), Match::No);
        assert_eq!(looks_like_tls(SERVER_HELLO, true), Match::No);
        for other in [
            &b"SSH-2.0-OpenSSH"[..],
            b"GET / HTTP/1.1",
            b"\x80\x00\x00\x00",
            b"\x16\x03\x09",
        ] {
            assert_eq!(looks_like_tls(other, true), Match::No);
            assert_eq!(looks_like_tls(other, false), Match::No);
        }
        assert_eq!(looks_like_tls(b"", true), Match::More);
    }

    #[test]
    fn a_hello_in_mid_stream_fills_its_record() {
        let hello = [22, 3, 1, 0, 64, 1, 0, 0, 60, 3, 3, 7];
        assert!(client_hello_begins(&hello));
        // A server's hello, a record with room for more, a hello too short to be one, too few bytes.
        for (at, value) in [(5, 2), (4, 65), (8, 40)] {
            let mut other = hello;
            other[at] = value;
            assert!(!client_hello_begins(&other));
        }
        assert!((0..11).all(|n| !client_hello_begins(&hello[..n])));
        // A hello in several records.
        assert!(client_hello_begins(&[22, 3, 1, 0, 64, 1, 0, 2, 0, 3, 3]));
    }

    #[test]
    fn a_server_hello_in_mid_stream_is_one() {
        let mut hello = [&[22, 3, 3, 0, 90, 2, 0, 0, 70, 3, 3][..], &[7; 32], &[32]].concat();
        assert!(server_hello_begins(&hello));
        assert!(server_hello_begins(&hello[..11]));
        assert!((0..11).all(|n| !server_hello_begins(&hello[..n])));
        // A client's hello, a record too short, a hello too short, another version, an id too long.
        for (at, value) in [(5, 1), (4, 4), (8, 37), (10, 4), (43, 33)] {
            let old = std::mem::replace(&mut hello[at], value);
            assert!(!server_hello_begins(&hello), "{at}");
            hello[at] = old;
        }
    }

    #[test]
    fn sslv2_hellos_must_add_up() {
        let mut v2 = vec![0x80, 9 + 6 + 16, 1, 3, 1, 0, 6, 0, 0, 0, 16];
        v2.extend([7; 22]);
        grows(&v2, true);
        v2[1] += 1;
        assert_eq!(looks_like_tls(&v2, true), Match::No);
    }

    #[test]
    fn dtls_is_a_hello_or_a_part_of_one_in_epoch_0() {
        // A record of 32 bytes: the first 20 of a ClientHello's 60.
        let mut d = [0u8; 45];
        d[..3].copy_from_slice(&[0x16, 0xfe, 0xff]);
        (d[12], d[13], d[16], d[24]) = (32, 1, 60, 20);
        d[25..27].copy_from_slice(&[0xfe, 0xfd]);
        let with = |at: usize, value: u8| {
            let mut other = d;
            other[at] = value;
            looks_like_dtls(&other)
        };
        assert!(looks_like_dtls(&d));
        // Any record number, any message's number, a cookie's request, more messages in the record.
        for (at, value) in [(5, 1), (9, 1), (10, 1), (10, 255), (18, 2), (13, 3), (24, 10)] {
            assert!(with(at, value), "{at}");
        }
        // Another record, another version, encrypted, longer than the datagram, another message; and lengths that do
        // not agree.
        for (at, value) in [
            (0, 23),
            (1, 3),
            (4, 1),
            (12, 33),
            (13, 11),
            (16, 19),
            (24, 21),
            (24, 0),
            (26, 3),
        ] {
            assert!(!with(at, value), "{at}");
        }
        // The last 20 bytes.
        let mut last = d;
        (last[21], last[25], last[26]) = (40, 9, 9);
        assert!(looks_like_dtls(&last));
        last[21] = 41;
        assert!(!looks_like_dtls(&last));
        assert!((0..45).all(|n| !looks_like_dtls(&d[..n])));
    }
}
