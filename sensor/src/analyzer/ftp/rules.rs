//! How FTP is known by its first bytes.

use crate::analyzer::pattern::{Match, Rule, at_line_start, starts, then};

pub const RULES: &[Rule] = &[Rule::BothAnywhere(client, server)];

/// USER and a blank at the start of any line.
fn client(b: &[u8]) -> Match {
    at_line_start(b, |l| {
        let n = l.iter().take_while(|b| **b == b' ').count();
        starts(l.get(n..).unwrap_or(&[]), b"user ") == Match::Yes
    })
}

/// A greeting (120, 220) and, at the start of a later line, a request to log in or a welcome (331, 230).
fn server(b: &[u8]) -> Match {
    let b = b
        .get(b.iter().take_while(|b| matches!(b, b'\r' | b'\n' | b' ')).count()..)
        .unwrap_or(&[]);
    let greeting = match (starts(b, b"120"), starts(b, b"220")) {
        (Match::Yes, _) | (_, Match::Yes) => Match::Yes,
        (Match::No, Match::No) => return Match::No,
        _ => return Match::More,
    };
    match then(greeting, b, 3, |c| !c.is_ascii_digit()) {
        Match::Yes => {}
        v => return v,
    }
    let rest = b.get(4..).unwrap_or(&[]);
    let eol = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let Some(rest) = eol.and_then(|at| rest.get(at..)) else {
        return Match::More;
    };
    at_line_start(rest, |l| {
        let n = l.iter().take_while(|b| **b == b' ').count();
        let l = l.get(n..).unwrap_or(&[]);
        (starts(l, b"230") == Match::Yes || starts(l, b"331") == Match::Yes)
            && l.get(3).is_some_and(|c| !c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Match::{More, No, Yes};

    #[test]
    fn commands_may_stand_on_any_line() {
        assert_eq!(client(b"AUTH TLS\r\nUSER a"), Yes);
        assert_eq!(server(b"220 hi\r\n331 pw\r\n"), Yes);
        assert_eq!(server(b"220 hi\r\n33"), More);
        assert_eq!(server(b"\x16"), No);
    }
}
