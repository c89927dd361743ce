//! How IRC is known by its first bytes: by what begins on the first or second line.

use crate::analyzer::pattern::{Match, Rule, starts};
use Match::{More, No, Yes};

pub const RULES: &[Rule] = &[
    Rule::BothAnywhere(user_then_nick, reply),
    Rule::BothAnywhere(nick_then_user, reply),
    Rule::Both(server, server),
];

/// Looks at what stands at the beginning, behind each CR of the first line, and on the second line. Bytes that no text begins
/// with are not looked at.
fn near_start(b: &[u8], look: impl Fn(&[u8]) -> Match) -> Match {
    if b.first()
        .is_some_and(|b| !matches!(b, b'\t' | b'\r' | b'\n' | b' '..=b'~'))
    {
        return No;
    }
    let has_second = b.contains(&b'\n');
    let mut found = if has_second { No } else { More };
    for rest in beginnings(b) {
        match look(rest) {
            Yes => return Yes,
            More => found = More,
            No => {}
        }
    }
    found
}

/// What stands at the beginning, behind each CR of the first line, and behind its LF.
fn beginnings(b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = b.iter().position(|b| *b == b'\n').map_or(b.len(), |at| at + 1);
    let ends = (0..first).filter(|at| matches!(b.get(*at), Some(b'\r' | b'\n')));
    std::iter::once(0)
        .chain(ends.map(|at| at + 1))
        .filter_map(|at| b.get(at..))
}

fn blanks(b: &[u8]) -> &[u8] {
    b.get(b.iter().take_while(|b| **b == b' ').count()..)
        .unwrap_or(&[])
}

fn is_end(b: &u8) -> bool {
    matches!(b, b'\r' | b'\n')
}

fn user_then_nick(b: &[u8]) -> Match {
    pair(b, b"user ", b"nick ")
}

fn nick_then_user(b: &[u8]) -> Match {
    pair(b, b"nick ", b"user ")
}

/// A line that begins with `first`, and behind it one with `second` that has ended.
fn pair(b: &[u8], first: &[u8], second: &[u8]) -> Match {
    match near_start(b, |line| starts(blanks(line), first)) {
        Yes => {}
        other => return other,
    }
    let mut all = beginnings(b)
        .map(blanks)
        .filter(|line| starts(line, first) == Yes);
    // Behind a CR of the first line nothing can follow that does not behind an earlier one.
    let lines = [all.next(), all.last()];
    let is_whole = |line: &[u8]| follows(line.get(first.len()..).unwrap_or(&[]), second);
    match lines.into_iter().flatten().any(is_whole) {
        true => Yes,
        false => More,
    }
}

/// Whether a line with `second` follows one with this argument.
fn follows(argument: &[u8], second: &[u8]) -> bool {
    let Some((_, rest)) = argument.split_first().filter(|(first, _)| **first != b'\n') else {
        return false;
    };
    let is_it = |line: &[u8]| {
        let line = blanks(line);
        starts(line, second) == Yes && line.get(second.len()..).is_some_and(|l| l.iter().any(is_end))
    };
    let at_lf = rest.iter().position(|b| *b == b'\n');
    let behind_lf = at_lf.and_then(|at| rest.get(at..)).unwrap_or(&[]);
    let ends = behind_lf.iter().take_while(|b| is_end(b)).count();
    // Of a run of CRs the last one tells.
    let behind_crs = beginnings(rest)
        .skip(1)
        .filter(|line| !line.first().is_some_and(is_end));
    behind_lf.get(ends..).is_some_and(is_it) || behind_crs.into_iter().any(is_it)
}

/// A server's reply: its name perhaps, three digits and a blank.
fn reply(b: &[u8]) -> Match {
    near_start(b, |line| {
        let mut rest = line;
        if let Some(named) = line.strip_prefix(b":") {
            let n = named.iter().take_while(|b| !is_end(b) && **b != b' ').count();
            rest = match named.get(n) {
                None => return More,
                Some(b' ') if n > 0 => named.get(n + 1..).unwrap_or(&[]),
                Some(_) => return No,
            };
        }
        let digits = rest.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        match rest.get(digits) {
            None => More,
            Some(b' ') if digits == 3 => Yes,
            Some(_) => No,
        }
    })
}

/// A server tells another one its name, its distance and what it is.
fn server(b: &[u8]) -> Match {
    near_start(b, |line| {
        const COMMAND: &[u8] = b"server ";
        let line = blanks(line);
        match starts(line, COMMAND) {
            Yes => {}
            other => return other,
        }
        let name = blanks(line.get(COMMAND.len()..).unwrap_or(&[]));
        let hops = name.iter().position(|b| *b == b' ').and_then(|at| name.get(at..));
        let Some(hops) = hops.map(blanks) else { return More };
        let digits = hops.iter().take_while(|b| b.is_ascii_digit()).count();
        let Some(rest) = hops.get(digits..).filter(|r| !r.is_empty()) else {
            return More;
        };
        let info = blanks(rest);
        match info {
            _ if digits == 0 || info.len() == rest.len() => No,
            [] | [b':'] => More,
            [b':', b'\n', ..] => No,
            [b':', _, rest @ ..] if rest.iter().any(is_end) => Yes,
            [b':', ..] => More,
            _ => No,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_name_themselves_on_the_first_lines() {
        for (b, want) in [
            (&b"NICK a\r\nUSER a b c :d\r\n"[..], Yes),
            (b"nick a\nuser a\n", Yes),
            (b"CAP LS\r\nNICK a\r\n\r\n USER a\r", Yes),
            (b"PASS x\rNICK a\rUSER a\r", Yes),
            (b"CAP LS\r\nPASS x\r\nNICK a\r\nUSER a\r\n", No),
            (b"NICK a\r\nUSER a", More),
            (b"NICK a\r\nJOIN b\r\n", More),
            (b"NICK \nUSER a\r\n", More),
            (b"NI", More),
            (b"\x16\x03\x01", No),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", No),
            (b"", More),
        ] {
            assert_eq!(nick_then_user(b), want, "{}", b.escape_ascii());
        }
        assert_eq!(user_then_nick(b"USER a\r\nNICK b\r\n"), Yes);
        assert_eq!(
            user_then_nick(b"NICK b\r\nUSER a\r\n"),
            More,
            "a second line that begins so"
        );
    }

    #[test]
    fn servers_reply_with_three_digits() {
        for (b, want) in [
            (&b":irc.example 001 a :hi\r\n"[..], Yes),
            (b"001 a", Yes),
            (b":a NOTICE * :x\r\n:a 001 b", Yes),
            (b":a NOTICE * :x\r\n:a NOTICE * :y\r\n:a 001 b", No),
            (b":a NOTICE * :x\r\n:a 00", More),
            (b": 001 ", More),
            (b"HTTP/1.1 200 OK\r\nServer: a\r\n", No),
            (b"220 mail\r\n", Yes),
            (b"220-mail\r\nx", No),
        ] {
            assert_eq!(reply(b), want, "{}", b.escape_ascii());
        }
    }

    #[test]
    fn servers_tell_each_other_their_names() {
        for (b, want) in [
            (&b"SERVER a.example 1 :info\r\n"[..], Yes),
            (b"PASS x\r\nSERVER a.example  1 :info\r\n", Yes),
            (b"SERVER a.example 1 :", More),
            (b"SERVER a.example", More),
            (b"SERVER a.example x :info\r\nA", No),
            (b"SERVER a.example 1 info\r\nA", No),
        ] {
            assert_eq!(server(b), want, "{}", b.escape_ascii());
        }
    }

    #[test]
    fn what_is_looked_at_often_takes_no_longer() {
        // A piece of this after the other, as a sender would that wants it to take long.
        let crs = b"\rNICK a\r".repeat(128);
        for pattern in [user_then_nick, nick_then_user, reply, server] {
            for end in 0..crs.len() {
                assert_ne!(pattern(&crs[..end]), Yes);
            }
        }
    }
}
