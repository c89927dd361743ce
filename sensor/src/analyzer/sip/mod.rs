//! SIP over UDP (RFC 3261): sure at the first status line. What is wrong in a message takes that back.

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::lines::{Eol, Lines};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Sip;

/// One flow's state.
#[derive(Debug)]
pub struct Sip {
    /// Requests and responses, whoever sends them.
    sides: [Side; 2],
}

/// Messages of one kind. They may go on in a later datagram.
#[derive(Debug)]
struct Side {
    lines: Lines,
    state: State,
    /// Of the last Content-Length; one without it has the same.
    body: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    Headers,
    /// So many bytes of the body are still to come.
    Body(usize),
}

impl Protocol for Sip {
    const SPEC: Spec = Spec {
        udp_ports: &[5060],
        udp_rules: &[is_request, is_response],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SIP", "sip"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Sip {
        let side = || Side {
            lines: Lines::new(Eol::CrOrLf),
            state: State::First,
            body: 0,
        };
        Sip {
            sides: [side(), side()],
        }
    }

    fn datagram(&mut self, _: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        // What only keeps a mapping alive.
        if bytes.len() == 2 && bytes[0] == b'\r' {
            return Next::More;
        }
        let is_request = !(bytes.len() > 6 && bytes.starts_with(b"SIP/"));
        let side = &mut self.sides[usize::from(!is_request)];
        if side.read(is_request, bytes, ctx).is_none() {
            (side.lines, side.state) = (Lines::new(Eol::CrOrLf), State::First);
            ctx.violation("SIP message with a line that is none of it");
        }
        Next::More
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

impl Side {
    fn read(&mut self, is_request: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<()> {
        loop {
            if let State::Body(left) = self.state {
                self.lines.settle(&mut bytes);
                let n = left.min(bytes.len());
                bytes = bytes.get(n..)?;
                self.state = match left - n {
                    0 => State::First,
                    left => State::Body(left),
                };
            }
            if bytes.is_empty() {
                return Some(());
            }
            let Some(line) = self.lines.next(&mut bytes) else {
                return Some(());
            };
            self.state = match self.state {
                State::First if is_request => {
                    let junk = request(line)?;
                    if !junk.is_empty() {
                        ctx.out
                            .weird("sip_junk_before_request", &junk.escape_ascii().to_string());
                    }
                    State::Headers
                }
                State::First => {
                    response(line)?;
                    ctx.confirm();
                    State::Headers
                }
                _ if line.is_empty() => State::Body(usize::try_from(self.body).ok()?),
                _ => {
                    let (name, value) = header(line)?;
                    if name == b"Content-Length" || name == b"L" {
                        self.body = number(value);
                    }
                    State::Headers
                }
            };
        }
    }
}

fn is_token(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"_.!%*+`'~-".contains(b)
}

/// Divides at the first byte for which `ok` does not hold.
fn run(b: &[u8], ok: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    b.split_at(b.iter().take_while(|b| ok(b)).count())
}

fn blanks(b: &[u8]) -> &[u8] {
    run(b, |b| matches!(b, b' ' | b'\t')).1
}

/// A request line; what stands before the method and is none.
fn request(line: &[u8]) -> Option<&[u8]> {
    let (junk, rest) = run(line, |b| !is_token(b));
    let (method, rest) = run(rest, is_token);
    let (uri, rest) = run(blanks(rest), u8::is_ascii_graphic);
    let is_whole = !method.is_empty() && !uri.is_empty();
    version(blanks(rest)).filter(|_| is_whole).map(|_| junk)
}

/// A status line: a version and three digits.
fn response(line: &[u8]) -> Option<()> {
    let status = blanks(version(line)?).get(..3)?;
    status.iter().all(u8::is_ascii_digit).then_some(())
}

/// What follows `SIP/` and two numbers.
fn version(b: &[u8]) -> Option<&[u8]> {
    let (major, rest) = run(b.strip_prefix(b"SIP/")?, u8::is_ascii_digit);
    let (minor, rest) = run(rest.strip_prefix(b".")?, u8::is_ascii_digit);
    (!major.is_empty() && !minor.is_empty()).then_some(rest)
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = run(line, |b| !matches!(b, b':' | b' ' | b'\t'));
    let value = blanks(blanks(rest).strip_prefix(b":")?);
    (!name.is_empty()).then_some((name, value))
}

/// The number that a text begins with; 0 without one.
fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, text) = match text.strip_prefix(b"-") {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let (digits, _) = run(text, u8::is_ascii_digit);
    let value = digits.iter().fold(0i64, |n, d| {
        n.saturating_mul(10).saturating_add((d - b'0').into())
    });
    sign * value.min(i32::MAX.into())
}

/// A first line that ends with a version.
fn is_request(b: &[u8]) -> bool {
    let end = b.iter().position(|b| *b == b'\n');
    let line = end
        .and_then(|end| b.get(..end))
        .and_then(|l| l.strip_suffix(b"\r"));
    let at = line.and_then(|line| line.len().checked_sub(8));
    let last = at.and_then(|at| b.get(at..at + 8));
    last.is_some_and(|l| {
        l.starts_with(b" SIP/") && l[5].is_ascii_digit() && l[6] == b'.' && l[7].is_ascii_digit()
    })
}

/// A status line, perhaps behind a blank.
fn is_response(b: &[u8]) -> bool {
    let b = b.strip_prefix(b" ").unwrap_or(b);
    let Some([major, b'.', minor, rest @ ..]) = b.strip_prefix(b"SIP/") else {
        return false;
    };
    let is_version = major.is_ascii_digit() && minor.is_ascii_digit();
    let is_status = match rest {
        [b'\r', b'\n', ..] => true,
        [b' ', a, b, c, b' ', ..] => [a, b, c].iter().all(|d| d.is_ascii_digit()),
        _ => false,
    };
    is_version && is_status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::talk::udp;

    const INVITE: &[u8] =
        b"INVITE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/UDP pc33\r\nContent-Length: 3\r\n\r\nv=0";
    const OK: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP pc33\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn a_status_line_tells() {
        for port in [5060, 4000] {
            assert_eq!(udp(port, &[(true, INVITE)]).services, "", "{port}");
            let talk = udp(port, &[(true, INVITE), (false, OK), (true, b"\r\n")]);
            assert_eq!((talk.services.as_str(), talk.said.len()), ("sip", 1), "{port}");
        }
        assert_eq!(udp(4000, &[(false, OK)]).services, "sip");
        assert_eq!(
            udp(4000, &[(true, b"hello"), (false, OK)]).services,
            "",
            "not the first"
        );
    }

    #[test]
    fn what_is_wrong_takes_it_back() {
        let folded = [&INVITE[..INVITE.len() - 25], b"\r\n folded\r\n\r\n"].concat();
        let behind = [OK, b"x"].concat();
        let line = [OK, b"x\r\n"].concat();
        for (last, holds) in [
            (&b"INVITE sip:bob SIP/2.0\r\n\r\n"[..], true),
            (b"INVITE sip:bob\r\n\r\n", false),
            (b"\r\n\r\n", false),
            (b"INVITE sip:bob SIP/2.0\r\nContent-Length: -1\r\n\r\n", false),
            (&folded, false),
            (&behind, true),
            (&line, false),
        ] {
            let talk = udp(5060, &[(false, OK), (true, last)]);
            assert_eq!(talk.services == "sip", holds, "{}", last.escape_ascii());
        }
    }

    #[test]
    fn a_message_may_go_on_in_the_next_datagram() {
        // A body that is cut, and then a message as long.
        let (head, body) = INVITE.split_at(INVITE.len() - 2);
        let talk = udp(5060, &[(false, OK), (true, head), (true, body), (true, INVITE)]);
        assert_eq!((talk.services.as_str(), talk.said.len()), ("sip", 1));
        // A length stays until there is another one.
        let without = b"BYE sip:bob SIP/2.0\r\nA: b\r\n\r\n123";
        assert_eq!(
            udp(5060, &[(false, OK), (true, INVITE), (true, without)])
                .said
                .len(),
            1
        );
    }

    #[test]
    fn first_lines_tell_on_any_port() {
        assert!(is_request(INVITE) && !is_response(INVITE));
        assert!(is_response(OK) && is_response(b" SIP/2.0\r\n") && !is_request(OK));
        assert!(!is_request(b"A b SIP/2.0\n") && !is_request(b"\r\n") && !is_request(b""));
        assert!(!is_response(b"SIP/2.0 20 OK\r\n") && !is_response(b"SIP/2"));
        assert_eq!((number(b" 12a"), number(b"-3"), number(b"")), (12, -3, 0));
        assert_eq!(request(b"@@INVITE sip:x SIP/2.0"), Some(&b"@@"[..]));
    }
}
