//! Signatures: how the first bytes of a direction look. The same patterns as Zeek's dpd.sig files.

/// What a signature says of a prefix of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No,
    /// Longer input could still match.
    More,
}
use Verdict::{More, No, Yes};

/// Request methods (RFC 2616, RFC 3253, WebDAV's, Exchange's, RPC over HTTP).
#[rustfmt::skip]
const METHODS: &[&[u8]] = &[
    b"OPTIONS", b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"PROPFIND", b"PROPPATCH",
    b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"VERSION-CONTROL", b"REPORT", b"CHECKOUT", b"CHECKIN",
    b"UNCHECKOUT", b"MKWORKSPACE", b"UPDATE", b"LABEL", b"MERGE", b"BASELINE-CONTROL", b"MKACTIVITY",
    b"ORDERPATCH", b"ACL", b"PATCH", b"SEARCH", b"BCOPY", b"BDELETE", b"BMOVE", b"BPROPFIND", b"BPROPPATCH",
    b"NOTIFY", b"POLL", b"SUBSCRIBE", b"UNSUBSCRIBE", b"X-MS-ENUMATTS", b"RPC_OUT_DATA", b"RPC_IN_DATA",
];

fn is_space(b: &u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn after_spaces(b: &[u8]) -> &[u8] {
    b.get(b.iter().take_while(|b| is_space(b)).count()..)
        .unwrap_or(&[])
}

/// Whether `b` starts with `lower`, which is in lower case, in any case.
fn starts(b: &[u8], lower: &[u8]) -> Verdict {
    let n = b.len().min(lower.len());
    match b.iter().zip(lower).all(|(b, l)| b.to_ascii_lowercase() == *l) {
        false => No,
        true if n < lower.len() => More,
        true => Yes,
    }
}

/// The verdict of the first condition; the byte after `at` has to satisfy `ok` too.
fn then(v: Verdict, b: &[u8], at: usize, ok: impl Fn(u8) -> bool) -> Verdict {
    match (v, b.get(at)) {
        (Yes, None) => More,
        (Yes, Some(&c)) if !ok(c) => No,
        _ => v,
    }
}

/// A request line's method, blanks before it allowed.
pub fn http_client(b: &[u8]) -> Verdict {
    let b = after_spaces(b);
    if METHODS.iter().any(|m| b.starts_with(m)) {
        Yes
    } else if METHODS.iter().any(|m| m.starts_with(b)) {
        More
    } else {
        No
    }
}

/// `HTTP/` and a digit.
pub fn http_server(b: &[u8]) -> Verdict {
    then(starts(b, b"http/"), b, 5, |c| c.is_ascii_digit())
}

/// `SSH-1.` or `SSH-2.`, of either side.
pub fn ssh(b: &[u8]) -> Verdict {
    then(
        then(starts(b, b"ssh-"), b, 4, |c| c == b'1' || c == b'2'),
        b,
        5,
        |c| c == b'.',
    )
}

/// HELO or EHLO at the start of any line.
pub fn smtp_client(b: &[u8]) -> Verdict {
    at_line_start(b, |l| {
        let l = after_spaces(l);
        starts(l, b"helo") == Yes || starts(l, b"ehlo") == Yes
    })
}

/// A greeting: 220 and a blank or a hyphen.
pub fn smtp_server(b: &[u8]) -> Verdict {
    let b = after_spaces(b);
    then(starts(b, b"220"), b, 3, |c| c == b'-' || is_space(&c))
}

/// USER and a blank at the start of any line.
pub fn ftp_client(b: &[u8]) -> Verdict {
    at_line_start(b, |l| {
        let n = l.iter().take_while(|b| **b == b' ').count();
        starts(l.get(n..).unwrap_or(&[]), b"user ") == Yes
    })
}

/// A greeting (120, 220) and, at the start of a later line, a request to log in or a welcome (331, 230).
pub fn ftp_server(b: &[u8]) -> Verdict {
    let b = b
        .get(b.iter().take_while(|b| matches!(b, b'\r' | b'\n' | b' ')).count()..)
        .unwrap_or(&[]);
    let greeting = match (starts(b, b"120"), starts(b, b"220")) {
        (Yes, _) | (_, Yes) => Yes,
        (No, No) => return No,
        _ => return More,
    };
    match then(greeting, b, 3, |c| !c.is_ascii_digit()) {
        Yes => {}
        v => return v,
    }
    let rest = b.get(4..).unwrap_or(&[]);
    let eol = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let Some(rest) = eol.and_then(|at| rest.get(at..)) else {
        return More;
    };
    at_line_start(rest, |l| {
        let n = l.iter().take_while(|b| **b == b' ').count();
        let l = l.get(n..).unwrap_or(&[]);
        (starts(l, b"230") == Yes || starts(l, b"331") == Yes)
            && l.get(3).is_some_and(|c| !c.is_ascii_digit())
    })
}

/// `Yes` when what follows the start, a CR or an LF somewhere in `b` satisfies `ok`.
fn at_line_start(b: &[u8], ok: impl Fn(&[u8]) -> bool) -> Verdict {
    let mut at = Some(0);
    while let Some(start) = at {
        let rest = b.get(start..).unwrap_or(&[]);
        if ok(rest) {
            return Yes;
        }
        at = rest
            .iter()
            .position(|b| matches!(b, b'\r' | b'\n'))
            .map(|n| start + n + 1);
    }
    More
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        assert_eq!(http_client(b" \r\nGET / "), Yes);
        assert_eq!(http_client(b"PROP"), More);
        assert_eq!(http_client(b"\x16\x03\x01"), No);
        assert_eq!(http_server(b"HtTp/1.1"), Yes);
        assert_eq!(http_server(b"HTTP"), More);
        assert_eq!(http_server(b"HTTP/x"), No);
        assert_eq!(ssh(b"SSH-2.0-x"), Yes);
        assert_eq!(ssh(b"SSH-3."), No);
        assert_eq!(ssh(b""), More);
    }

    #[test]
    fn commands_may_stand_on_any_line() {
        assert_eq!(smtp_client(b"NOOP\r\nehlo me"), Yes);
        assert_eq!(smtp_client(b"XEHLO me"), More);
        assert_eq!(smtp_server(b"220-hi"), Yes);
        assert_eq!(smtp_server(b"2200"), No);
        assert_eq!(ftp_client(b"AUTH TLS\r\nUSER a"), Yes);
        assert_eq!(ftp_server(b"220 hi\r\n331 pw\r\n"), Yes);
        assert_eq!(ftp_server(b"220 hi\r\n33"), More);
        assert_eq!(ftp_server(b"\x16"), No);
    }
}
