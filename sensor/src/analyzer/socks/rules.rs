//! How SOCKS is known by its first bytes.

use crate::analyzer::pattern::{Match, Rule};

// A proxy may also have begun a connection of version 4.
pub const RULES: &[Rule] = &[
    Rule::Both(client_of_4, server_of_4),
    Rule::Both(server_of_4, client_of_4),
    Rule::Both(client_of_5, server_of_5),
];

/// How many bytes may come between the command of version 4 and the first NUL.
const MAX_BEFORE_NUL: usize = 32;

/// Version 4, CONNECT or BIND, and a NUL that is not far.
fn client_of_4(b: &[u8]) -> Match {
    match b {
        [] | [4] => return Match::More,
        [4, 1 | 2, ..] => {}
        _ => return Match::No,
    }
    let rest = b.get(2..).unwrap_or(&[]);
    for b in rest.iter().take(MAX_BEFORE_NUL + 1) {
        match b {
            0 => return Match::Yes,
            b'\n' => return Match::No,
            _ => {}
        }
    }
    match rest.len() <= MAX_BEFORE_NUL {
        true => Match::More,
        false => Match::No,
    }
}

/// The codes of version 4.
fn server_of_4(b: &[u8]) -> Match {
    match b {
        [] | [0] => Match::More,
        [0, 0x5a..=0x5d, ..] => Match::Yes,
        _ => Match::No,
    }
}

/// Version 5, a number of methods, and one of them.
fn client_of_5(b: &[u8]) -> Match {
    match b {
        [] | [5] => Match::More,
        [5, b'\n', ..] => Match::No,
        [5, _] => Match::More,
        [5, _, method, ..] if is_method(*method) => Match::Yes,
        _ => Match::No,
    }
}

/// Version 5, and the method that was chosen, or none.
fn server_of_5(b: &[u8]) -> Match {
    match b {
        [] | [5] => Match::More,
        [5, method, ..] if is_method(*method) || *method == 0xff => Match::Yes,
        _ => Match::No,
    }
}

/// Those that are assigned (IANA).
fn is_method(b: u8) -> bool {
    matches!(b, 0..=3 | 5..=9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Match::{More, No, Yes};

    #[test]
    fn first_bytes_decide() {
        for (pattern, bytes, want) in [
            (client_of_4 as fn(&[u8]) -> Match, &b""[..], More),
            (client_of_4, b"\x04\x01\x00", Yes),
            (client_of_4, b"\x04\x03\x00", No),
            (client_of_4, b"\x04\x01\x1f\x90\x7f", More),
            (client_of_4, b"\x04\x01\x1f\n\x7f\x00", No),
            (client_of_4, &[4, 1, b'x'].repeat(20), No),
            (server_of_4, b"\x00", More),
            (server_of_4, b"\x00\x5a", Yes),
            (server_of_4, b"\x00\x5e", No),
            (client_of_5, b"\x05\x01", More),
            (client_of_5, b"\x05\x01\x00", Yes),
            (client_of_5, b"\x05\x01\x04", No),
            (client_of_5, b"\x05\n\x00", No),
            (server_of_5, b"\x05\x02", Yes),
            (server_of_5, b"\x05\xff", Yes),
            (server_of_5, b"\x05\x04", No),
        ] {
            assert_eq!(pattern(bytes), want, "{bytes:?}");
        }
        let mut long = vec![4, 1];
        long.extend([b'x'; MAX_BEFORE_NUL]);
        assert_eq!(client_of_4(&long), More);
        assert_eq!(client_of_4(&[&long[..], &[0]].concat()), Yes);
        assert_eq!(client_of_4(&[&long[..], b"x"].concat()), No);
    }
}
