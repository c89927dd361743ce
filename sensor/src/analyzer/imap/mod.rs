//! IMAP (RFC 9051), up to where a client logs in or TLS begins: sure at the server's first OK. Meaning is Zeek's.

#[cfg(test)]
mod tests;

use super::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::lines::{Eol, Lines, skip_blank};
use super::pop3::events::*;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Imap;

/// Commands behind which no TLS begins any more, as Zeek knows them: in lower case only, and of either side.
const LATE: [&[u8]; 6] = [
    b"authenticate",
    b"login",
    b"examine",
    b"create",
    b"list",
    b"fetch",
];
/// What a line is that has no two words, in the words of Zeek's parser.
const NO_COMMAND: &str = "Binpac exception: binpac exception: string mismatch";
/// Most capabilities in an event. A line of 4096 bytes has no more.
const MAX_CAPABILITIES: usize = 2048;

/// One connection's state.
#[derive(Debug)]
pub struct Imap {
    /// By direction, orig first.
    lines: [Lines; 2],
    /// What the client's STARTTLS is called.
    tls_tag: Option<Vec<u8>>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// TLS may begin.
    Open,
    Tls,
    /// It may not, or bytes are missing.
    Over,
}

impl Protocol for Imap {
    const SPEC: Spec = Spec {
        tcp_ports: &[143],
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_IMAP", "imap"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Imap {
        Imap {
            lines: [Lines::new(Eol::CrOrLf), Lines::new(Eol::CrOrLf)],
            tls_tag: None,
            stage: Stage::Open,
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        while self.stage == Stage::Open {
            let Some(line) = self.lines[usize::from(!is_orig)].next(&mut bytes) else {
                return Next::More;
            };
            // Ends of lines may come together.
            if !line.is_empty() {
                self.stage = step(is_orig, line, &mut self.tls_tag, ctx);
            }
        }
        match self.stage {
            Stage::Tls => Next::HandOver(HandOver::new(Inside::Tls, bytes)),
            _ => Next::Stop,
        }
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    fn flip(&mut self) {
        self.lines.swap(0, 1);
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match self.stage == Stage::Open && (seen.confirmed || !seen.is_late()) {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }
}

/// A line, and what comes after it.
fn step(is_orig: bool, line: &[u8], tls_tag: &mut Option<Vec<u8>>, ctx: &mut Ctx<'_>) -> Stage {
    let Some((tag, command, rest)) = words(line) else {
        ctx.violation(NO_COMMAND);
        return Stage::Open;
    };
    let is = |name: &[u8]| command.eq_ignore_ascii_case(name);
    let is_greeting = !is_orig && tag == b"*" && is(b"ok");
    let is_late = LATE.contains(&command);
    if is_greeting || is_late || is_orig && (command == b"capability" || is(b"starttls")) {
        ctx.confirm();
    }
    if is_late {
        return Stage::Over;
    }
    if is_orig {
        if is(b"starttls") {
            if tls_tag.is_some() {
                ctx.out.weird("IMAP: client sent duplicate StartTLS", "");
            }
            *tls_tag = Some(tag.to_vec());
        }
        return Stage::Open;
    }
    if tag == b"*" && is(b"capability") && ctx.subs.wants(ImapCapabilities::KIND) {
        let words = rest.split(|b| *b == b' ').filter(|w| !w.is_empty());
        let capabilities: Vec<_> = words.take(MAX_CAPABILITIES).collect();
        raise!(
            ctx,
            ImapCapabilities {
                capabilities: &capabilities
            }
        );
    }
    if tls_tag.as_deref() != Some(tag) {
        return Stage::Open;
    }
    if is(b"ok") {
        raise!(ctx, ImapStarttls {});
        return Stage::Tls;
    }
    ctx.out.weird("IMAP: server refused StartTLS", "");
    Stage::Open
}

/// A line's tag, its command, and what follows.
fn words(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let word = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_graphic()).count();
    let (tag, rest) = line
        .split_at_checked(word(line))
        .filter(|(tag, _)| !tag.is_empty())?;
    let command = skip_blank(rest.strip_prefix(b" ")?);
    let (command, rest) = command.split_at_checked(word(command))?;
    (!command.is_empty()).then(|| (tag, command, skip_blank(rest)))
}
