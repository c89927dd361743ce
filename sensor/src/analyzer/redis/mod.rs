//! Redis (RESP 2 and 3): sure at the server's first whole reply behind the client's first bytes. Contents are passed over.

mod client;
mod limits;
mod line;
mod server;

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::pattern::{Match, Rule};
use crate::event::AnalyzerTag;
use client::Client;
use server::Server;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Redis;

/// One connection's state.
#[derive(Debug, Default)]
pub struct Redis {
    client: Client,
    server: Server,
    has_begun: bool,
    /// By direction, orig first: nothing more is read.
    over: [bool; 2],
}

impl Protocol for Redis {
    const SPEC: Spec = Spec {
        tcp_ports: &[6379],
        rules: &[Rule::Resp(reply)],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_REDIS", "redis"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Redis {
        Redis::default()
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let over = self.over[usize::from(!is_orig)];
        if ctx.is_late() || self.over == [true; 2] {
            return Next::Stop;
        }
        if over || bytes.is_empty() {
            return Next::More;
        }
        if is_orig {
            self.has_begun = true;
            match self.client.read(bytes) {
                Ok(true) => {}
                // Zeek's analyzer meets an error of its own at a command without words.
                Ok(false) => self.over = [true; 2],
                Err(reason) => self.fail(is_orig, reason, ctx),
            }
        } else if !self.has_begun {
            self.fail(is_orig, "Redis server that speaks first", ctx);
        } else if self.server.read(bytes) {
            ctx.confirm();
        }
        Next::More
    }

    /// What is not whole at the end is wrong; so is what was looked for anew behind an error.
    fn eof(&mut self, is_orig: bool, ctx: &mut Ctx<'_>) -> Next {
        let is_whole = match is_orig {
            true => self.client.is_between(),
            false => self.server.is_between(),
        };
        if !is_whole && !self.over[usize::from(!is_orig)] {
            self.fail(is_orig, "Redis message that is not whole", ctx);
        }
        Next::More
    }

    fn flip(&mut self) {
        self.over.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, seen: Seen) -> Interest {
        match self.over[usize::from(!is_orig)] {
            true => Interest::Nothing,
            false => seen.until_late(),
        }
    }
}

impl Redis {
    fn fail(&mut self, is_orig: bool, reason: &str, ctx: &mut Ctx<'_>) {
        self.over[usize::from(!is_orig)] = true;
        ctx.violation(reason);
    }
}

/// How a server's reply begins: a simple one, or a type and a number.
fn reply(b: &[u8]) -> Match {
    let Some((first, rest)) = b.split_first() else {
        return Match::More;
    };
    match first {
        b'-' | b'+' | b'_' | b',' => match rest.iter().position(|b| *b == b'\n') {
            Some(at) if at > 0 && rest.get(at - 1) == Some(&b'\r') => Match::Yes,
            Some(_) => Match::No,
            None => Match::More,
        },
        b':' | b'$' | b'*' | b'#' | b'(' | b'!' | b'=' | b'%' | b'`' | b'~' | b'>' => number(rest),
        _ => Match::No,
    }
}

/// A sign perhaps, digits, perhaps a point and more of them, and a line's end.
fn number(b: &[u8]) -> Match {
    let digits = |b: &[u8]| b.iter().take_while(|b| b.is_ascii_digit()).count();
    let b = b.strip_prefix(b"+").or_else(|| b.strip_prefix(b"-")).unwrap_or(b);
    let n = digits(b);
    let mut rest = b.get(n..).unwrap_or(&[]);
    if n == 0 {
        return if rest.is_empty() { Match::More } else { Match::No };
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = fraction.get(digits(fraction)..).unwrap_or(&[]);
    }
    match rest {
        [] | [b'\r'] => Match::More,
        [b'\r', b'\n', ..] => Match::Yes,
        _ => Match::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::talk::{tcp, tcp_ended, tcp_pieces};

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\nbc\r\n";

    #[test]
    fn a_reply_to_the_client_tells() {
        assert_eq!(tcp(6379, &[(true, SET)]).services, "");
        for port in [6379, 4000] {
            for size in [1, 2, 5, 100] {
                let talk = tcp_pieces(port, &[(true, SET), (false, b"+OK\r\n")], size);
                assert_eq!(
                    (talk.services.as_str(), talk.said.len()),
                    ("redis", 1),
                    "{port} {size}"
                );
            }
        }
        // A greeting of POP3.
        let talk = tcp(
            4000,
            &[
                (false, b"+OK hello\r\n"),
                (true, b"USER a\r\n"),
                (false, b"+OK\r\n"),
            ],
        );
        assert_eq!(talk.services, "");
    }

    #[test]
    fn all_kinds_of_replies_are_whole() {
        let talk = |reply: &[u8], size| tcp_pieces(6379, &[(true, SET), (false, reply)], size);
        for reply in [
            &b"-ERR no\r\n"[..],
            b":12\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"$3\r\na\r\n\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*2\r\n$1\r\na\r\n*1\r\n:5\r\n",
            b"_\r\n",
            b"#t\r\n",
            b",1.5\r\n",
            b"(3492890328409238509324850943850943825024385\r\n",
            b"!5\r\nERR a\r\n",
            b"=7\r\ntxt:abc\r\n",
            b"%1\r\n+a\r\n:1\r\n",
            b"|1\r\n+a\r\n:1\r\n:5\r\n",
            b"~2\r\n:1\r\n:2\r\n",
            b">1\r\n+a\r\n",
        ] {
            for size in [1, 100] {
                assert_eq!(talk(reply, size).services, "redis", "{}", reply.escape_ascii());
                let cut = &reply[..reply.len() - 1];
                assert_eq!(talk(cut, size).services, "", "{}", reply.escape_ascii());
            }
        }
        let deep = b"*1\r\n".repeat(19);
        assert_eq!(talk(&[&deep[..], b":1\r\n"].concat(), 100).services, "redis");
        let deep = b"*1\r\n".repeat(20);
        assert_eq!(talk(&[&deep[..], b":1"].concat(), 100).services, "");
    }

    #[test]
    fn a_client_that_is_wrong_takes_it_back() {
        for (command, holds) in [
            (&b"PING\r\n"[..], true),
            (SET, true),
            (b"*1\r\n$-1\r\n\r\n", true),
            (b"*1\r\n+a\r\n", false),
            (b"*x\r\n", false),
            (b"*20001\r\n", false),
            (b"*1\r\n$2000000\r\n", false),
            (&[b'a'; 1025], false),
            // An error of Zeek's own is no violation.
            (b"\r\n", true),
        ] {
            for size in [1, 100, 2000] {
                let talk = tcp_pieces(6379, &[(true, SET), (false, b"+OK\r\n"), (true, command)], size);
                assert_eq!(talk.services == "redis", holds, "{}", command.escape_ascii());
            }
        }
    }

    #[test]
    fn a_server_that_was_wrong_takes_it_back_at_the_end() {
        let talk: [(bool, &[u8]); 3] = [(true, SET), (false, b"+OK\r\n"), (false, b"what?\r\n+OK\r\n")];
        assert_eq!(tcp(6379, &talk).services, "redis");
        assert_eq!(tcp_ended(6379, &talk).services, "");
        assert_eq!(tcp_ended(6379, &talk[..2]).services, "redis");
        assert_eq!(
            tcp_ended(6379, &[talk[0], talk[1], (false, b"$3\r\na")]).services,
            ""
        );
    }

    #[test]
    fn first_bytes_decide() {
        use Match::{More, No, Yes};
        for (b, want) in [
            (&b"+OK\r\n"[..], Yes),
            (b"+OK\r", More),
            (b"+OK\n", No),
            (b"$-1\r\n", Yes),
            (b",1.5\r\n", Yes),
            (b":1.5\r\n", Yes),
            (b"* OK", No),
            (b"*", More),
            (b"*1", More),
            (b"*1\r", More),
            (b"HTTP", No),
            (b"", More),
        ] {
            assert_eq!(reply(b), want, "{}", b.escape_ascii());
        }
    }
}
