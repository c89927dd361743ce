//! How SMTP is known by its first bytes.

use crate::analyzer::pattern::{Match, Rule, after_spaces, at_line_start, is_space, starts, then};

pub const RULES: &[Rule] = &[Rule::BothAnywhere(client, server)];

/// HELO or EHLO at the start of any line.
fn client(b: &[u8]) -> Match {
    at_line_start(b, |l| {
        let l = after_spaces(l);
        starts(l, b"helo") == Match::Yes || starts(l, b"ehlo") == Match::Yes
    })
}

/// A greeting: 220 and a blank or a hyphen.
fn server(b: &[u8]) -> Match {
    let b = after_spaces(b);
    then(starts(b, b"220"), b, 3, |c| c == b'-' || is_space(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Match::{More, No, Yes};

    #[test]
    fn commands_may_stand_on_any_line() {
        assert_eq!(client(b"NOOP\r\nehlo me"), Yes);
        assert_eq!(client(b"XEHLO me"), More);
        assert_eq!(server(b"220-hi"), Yes);
        assert_eq!(server(b"2200"), No);
    }
}
