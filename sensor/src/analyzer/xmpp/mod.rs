//! XMPP (RFC 6120) up to where TLS begins: sure at the client's stream. Each piece of a direction has to be whole tags, as in
//! Zeek.

use crate::analyzer::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::pattern::{Match, Rule};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Xmpp;

/// One connection's state.
#[derive(Debug)]
pub struct Xmpp {
    asked_for_tls: bool,
}

impl Protocol for Xmpp {
    const SPEC: Spec = Spec {
        tcp_ports: &[5222, 5269],
        rules: &[Rule::Orig(begins), Rule::Resp(begins)],
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_XMPP", "xmpp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Xmpp {
        Xmpp { asked_for_tls: false }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let mut next = Next::More;
        while !bytes.is_empty() {
            let Some(name) = tag(&mut bytes) else {
                ctx.violation("XMPP that is not whole tags");
                break;
            };
            if let Some(found) = self.named(is_orig, name, ctx) {
                next = found;
            }
        }
        next
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

impl Xmpp {
    /// What a tag changes.
    fn named(&mut self, is_orig: bool, name: &[u8], ctx: &mut Ctx<'_>) -> Option<Next> {
        // Without the namespace.
        let colon = name.iter().position(|b| *b == b':');
        let short = colon.and_then(|at| name.get(at + 1..)).filter(|s| !s.is_empty());
        match (is_orig, name, short.unwrap_or(name)) {
            (true, b"stream:stream", _) => ctx.confirm(),
            // TLS does not come any more.
            (_, b"success" | b"message" | b"db:result" | b"db:verify" | b"presence", _) => {
                return Some(Next::Stop);
            }
            (true, _, b"starttls") => self.asked_for_tls = true,
            (false, _, b"proceed") if self.asked_for_tls => {
                return Some(Next::HandOver(HandOver::new(Inside::Tls, &[])));
            }
            (false, b"proceed", _) => ctx.out.weird("XMPP: proceed without starttls", ""),
            _ => {}
        }
        None
    }
}

/// Takes a tag off the front, and the text behind it; its name.
fn tag<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let rest = run(bytes, |b| matches!(b, b' ' | b'\r' | b'\n')).1;
    let rest = rest.strip_prefix(b"<")?;
    let slash = usize::from(rest.first() == Some(&b'/'));
    let letters = run(rest.get(slash..)?, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'?' | b':')
    })
    .0;
    let (name, rest) = rest.split_at_checked(slash + letters.len())?;
    let is_plain = |b: u8| !matches!(b, b'<' | b'>');
    let rest = run(rest, is_plain).1.strip_prefix(b">")?;
    *bytes = run(rest, is_plain).1;
    (!letters.is_empty()).then_some(name)
}

/// Divides at the first byte for which `ok` does not hold.
fn run(b: &[u8], ok: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    b.split_at(b.iter().take_while(|b| ok(**b)).count())
}

/// A stream's first tag, perhaps behind a declaration.
fn begins(b: &[u8]) -> Match {
    const DECLARATION: &[u8] = b"<?xml";
    const STREAM: &[u8] = b"<stream:stream ";
    const SPACE: &[u8] = b"xmlns='jabber:";
    let mut b = b;
    if let Some(rest) = b.strip_prefix(DECLARATION) {
        let rest = run(rest, |b| !matches!(b, b'?' | b'>')).1;
        match rest {
            [] | [b'?'] => return Match::More,
            [b'?', b'>', rest @ ..] => b = rest,
            _ => return Match::No,
        }
    }
    let b = run(b, |b| matches!(b, b' ' | b'\r' | b'\n')).1;
    let Some(rest) = b.strip_prefix(STREAM) else {
        return match STREAM.starts_with(b) || DECLARATION.starts_with(b) {
            true => Match::More,
            false => Match::No,
        };
    };
    let (inside, behind) = run(rest, |b| b != b'>');
    match inside.windows(SPACE.len()).any(|w| w == SPACE) {
        true => Match::Yes,
        false if behind.is_empty() => Match::More,
        false => Match::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::talk::{inside, tcp};

    const STREAM: &[u8] =
        b"<?xml version='1.0'?><stream:stream to='a.example' xmlns='jabber:client' version='1.0'>";
    const FEATURES: &[u8] =
        b"<stream:features><starttls xmlns='urn'><required/></starttls></stream:features>";
    const STARTTLS: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    #[test]
    fn the_clients_stream_tells() {
        for port in [5222, 4000] {
            assert_eq!(tcp(port, &[(true, STREAM)]).services, "xmpp", "{port}");
            assert_eq!(tcp(port, &[(false, STREAM)]).services, "", "{port}");
        }
    }

    #[test]
    fn tls_begins_when_the_server_proceeds() {
        let proceed: &[u8] = b"<x:proceed xmlns='urn'/>";
        let talk: [(bool, &[u8]); 5] = [
            (true, STREAM),
            (false, STREAM),
            (false, FEATURES),
            (true, STARTTLS),
            (false, proceed),
        ];
        assert_eq!(inside(5222, &talk), Some(Inside::Tls));
        assert_eq!(inside(5222, &talk[..4]), None);
        assert_eq!(inside(5222, &[(true, STREAM), (false, proceed)]), None);
        assert_eq!(
            inside(5222, &[(true, b"<message>"), (true, STARTTLS), (false, proceed)]),
            None
        );
    }

    #[test]
    fn what_is_wrong_takes_it_back() {
        for (piece, holds) in [
            (&b" <a>text"[..], true),
            (b"<a", false),
            (b" ", false),
            (b"<>", false),
            (b"text", false),
            (b"<a></a>\r\n", true),
        ] {
            let talk = tcp(5222, &[(true, STREAM), (true, piece)]);
            assert_eq!(talk.services == "xmpp", holds, "{}", piece.escape_ascii());
        }
    }

    #[test]
    fn first_bytes_decide() {
        for end in 0..STREAM.len() {
            let want = match end {
                0..65 => Match::More,
                _ => Match::Yes,
            };
            assert_eq!(begins(&STREAM[..end]), want, "{end}");
        }
        assert_eq!(begins(b"\r\n<stream:stream xmlns='jabber:"), Match::Yes);
        assert_eq!(begins(b"<stream:stream a>xmlns='jabber:"), Match::No);
        assert_eq!(begins(b"<html>"), Match::No);
        assert_eq!(begins(b"<?xml >"), Match::No);
    }
}
