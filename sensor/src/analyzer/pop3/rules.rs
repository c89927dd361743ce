//! How POP3 is known by its first bytes.

use crate::analyzer::pattern::{Match, Rule, after_spaces, at_line_start, is_space, starts, then};

pub const RULES: &[Rule] = &[Rule::BothAnywhere(client, server)];

/// A command with which a client begins, at the start of any line.
fn client(b: &[u8]) -> Match {
    at_line_start(b, |l| {
        let l = after_spaces(l);
        let word = |word: &[u8]| starts(l, word);
        let with_argument = |name: &[u8]| then(word(name), l, name.len(), |c| is_space(&c)) == Match::Yes;
        let alone = |name: &[u8]| word(name) == Match::Yes;
        with_argument(b"user") || with_argument(b"apop") || alone(b"capa") || alone(b"auth") || alone(b"stls")
    })
}

fn server(b: &[u8]) -> Match {
    let n = b.len().min(3);
    match b.get(..n) == b"+OK".get(..n) {
        false => Match::No,
        true if n < 3 => Match::More,
        true => Match::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Match::{More, No, Yes};

    #[test]
    fn it_is_known_by_both_sides() {
        for (orig, want) in [
            ("CAPA", Yes),
            ("user me", Yes),
            ("x\r\n  Auth", Yes),
            ("USER", More),
            ("APOPx", More),
            ("LIST", More),
        ] {
            assert_eq!(client(orig.as_bytes()), want, "{orig}");
        }
        for (resp, want) in [("+OK", Yes), ("+O", More), ("", More), ("+ok", No), ("-ERR", No)] {
            assert_eq!(server(resp.as_bytes()), want, "{resp}");
        }
    }
}
