//! How HTTP is known by its first bytes.

use super::h2::PREFACE;
use crate::analyzer::pattern::{Match, Rule, after_spaces, starts, then};

/// Each of them puts the analyzer on the connection anew if it was taken off meanwhile.
pub const RULES: &[Rule] = &[Rule::Orig(client), Rule::Resp(server), Rule::Orig(preface)];

/// Request methods (RFC 2616, RFC 3253, WebDAV's, Exchange's, RPC over HTTP).
#[rustfmt::skip]
const METHODS: &[&[u8]] = &[
    b"OPTIONS", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"PROPFIND", b"PROPPATCH",
    b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"VERSION-CONTROL", b"REPORT", b"CHECKOUT", b"CHECKIN",
    b"UNCHECKOUT", b"MKWORKSPACE", b"UPDATE", b"LABEL", b"MERGE", b"BASELINE-CONTROL", b"MKACTIVITY",
    b"ORDERPATCH", b"ACL", b"PATCH", b"SEARCH", b"BCOPY", b"BDELETE", b"BMOVE", b"BPROPFIND", b"BPROPPATCH",
    b"NOTIFY", b"POLL", b"SUBSCRIBE", b"UNSUBSCRIBE", b"X-MS-ENUMATTS", b"RPC_OUT_DATA", b"RPC_IN_DATA",
];

/// A request line's method, blanks before it allowed.
fn client(b: &[u8]) -> Match {
    let b = after_spaces(b);
    if METHODS.iter().any(|m| b.starts_with(m)) {
        Match::Yes
    } else if METHODS.iter().any(|m| m.starts_with(b)) {
        Match::More
    } else {
        Match::No
    }
}

/// HTTP/2's preface.
fn preface(b: &[u8]) -> Match {
    if b.starts_with(PREFACE) {
        Match::Yes
    } else if PREFACE.starts_with(b) {
        Match::More
    } else {
        Match::No
    }
}

/// `HTTP/` and a digit.
fn server(b: &[u8]) -> Match {
    then(starts(b, b"http/"), b, 5, |c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Match::{More, No, Yes};

    #[test]
    fn first_bytes_decide() {
        assert_eq!(client(b" \r\nGET / "), Yes);
        assert_eq!(client(b"PROP"), More);
        assert_eq!(client(b"\x16\x03\x01"), No);
        assert_eq!(preface(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0"), Yes);
        assert_eq!(preface(b"PRI * HTTP/2.0\r\n"), More);
        assert_eq!(preface(b"PRI * HTTP/2.0\r\n\r\nX"), No);
        assert_eq!(server(b"HtTp/1.1"), Yes);
        assert_eq!(server(b"HTTP"), More);
        assert_eq!(server(b"HTTP/x"), No);
    }
}
