//! IRC (RFC 1459, 2812): sure at a command that clients have. Followed on for what it announces (DCC SEND) and for where TLS
//! begins.

mod rules;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::analyzer::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::carried::Carried;
use crate::analyzer::irc_data;
use crate::analyzer::lines::{Eol, Lines};
use crate::analyzer::text;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Irc;

/// Longest line that is read, bytes (RFC 1459, section 2.3).
const MAX_LINE: usize = 512;
/// Longest command, bytes.
const MAX_COMMAND: usize = 20;
/// Commands that are longer, after which it is not IRC.
const MAX_INVALID: u32 = 20;
/// RPL_STARTTLS of IRCv3: the server's next byte is TLS's.
const TLS_BEGINS: u16 = 670;
/// What encloses messages from client to client.
const ENCLOSES: u8 = 1;

/// What clients send.
#[rustfmt::skip]
const COMMANDS: &[&str] = &[
    "ADMIN", "AWAY", "CNOTICE", "CPRIVMSG", "CONNECT", "DIE", "ENCAP", "ERROR", "INFO", "INVITE", "ISON", "JOIN", "KICK",
    "KILL", "KNOCK", "LINKS", "LIST", "LUSERS", "MODE", "MOTD", "NAMES", "NICK", "NOTICE", "OPER", "PART", "PASS", "PING",
    "PONG", "PRIVMSG", "QUIT", "REHASH", "RULES", "SERVER", "SERVICE", "SERVLIST", "SETNAME", "SILENCE", "SQUERY", "SQUIT",
    "STATS", "SUMMON", "TIME", "TOPIC", "TRACE", "USER", "USERHOST", "USERS", "VERSION", "WALLOPS", "WHO", "WHOIS", "WHOWAS",
    "STARTTLS",
];

/// One connection's state.
#[derive(Debug)]
pub struct Irc {
    /// By direction, orig first.
    lines: [Lines; 2],
    invalid: u32,
}

impl Protocol for Irc {
    const SPEC: Spec = Spec {
        tcp_ports: &[6666, 6667, 6668, 6669],
        rules: rules::RULES,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_IRC", "irc"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Irc {
        Irc {
            lines: [Lines::new(Eol::CrOrLf), Lines::new(Eol::CrOrLf)],
            invalid: 0,
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let Irc { lines, invalid } = self;
        while let Some(line) = lines[usize::from(!is_orig)].next(&mut bytes) {
            if Self::line(invalid, is_orig, line, ctx) == Some(TLS_BEGINS) {
                return Next::HandOver(HandOver::new(Inside::Tls, bytes));
            }
        }
        Next::More
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    fn flip(&mut self) {
        self.lines.swap(0, 1);
    }

    /// Once it is IRC, files may be announced at any time.
    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.confirmed {
            true => Interest::Everything,
            false => seen.until_late(),
        }
    }
}

impl Irc {
    /// A line; a reply's number.
    fn line(invalid: &mut u32, is_orig: bool, line: &[u8], ctx: &mut Ctx<'_>) -> Option<u16> {
        if line.len() > MAX_LINE {
            doubt("irc_line_size_exceeded", ctx);
            return None;
        }
        let mut rest = blanks(line);
        if rest.len() < 3 {
            doubt("irc_line_too_short", ctx);
            return None;
        }
        // Tags of IRCv3.
        if rest.first() == Some(&b'@') {
            rest = word(rest)?.1;
        }
        if rest.first() == Some(&b':') {
            let Some((_, behind)) = word(rest) else {
                doubt("irc_invalid_line", ctx);
                return None;
            };
            rest = blanks(behind);
        }
        if rest.len() < 3 {
            doubt("irc_invalid_line", ctx);
            ctx.violation("IRC line that is too short");
            return None;
        }
        if rest.first().is_some_and(u8::is_ascii_digit) {
            let number = match rest {
                [a, b, c, b' ', ..] => std::str::from_utf8(&[*a, *b, *c])
                    .ok()
                    .and_then(|n| n.parse().ok()),
                _ => None,
            };
            if number.is_none() {
                doubt("irc_invalid_reply_number", ctx);
                ctx.violation("IRC reply without a number");
            }
            return number;
        }
        let (command, params) = word(rest).unwrap_or((rest, b""));
        let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(command);
        if is_orig && !ctx.is_confirmed() && COMMANDS.iter().any(|c| is(c)) {
            ctx.confirm();
        }
        if command.len() > MAX_COMMAND {
            ctx.out.weird("irc_invalid_command", "");
            *invalid += 1;
            if *invalid > MAX_INVALID {
                ctx.out.weird("irc_too_many_invalid", "");
                ctx.violation("too many IRC commands that are too long");
            }
        } else if is("PRIVMSG") {
            message(blanks(params), ctx);
        }
        None
    }
}

/// A weird that is one only if it is IRC.
fn doubt(name: &'static str, ctx: &mut Ctx<'_>) {
    if ctx.is_confirmed() {
        ctx.out.weird(name, "");
    }
}

/// A message and whom it is for. It may announce a file.
fn message(params: &[u8], ctx: &mut Ctx<'_>) {
    let Some((_, text)) = word(params) else {
        ctx.out.weird("irc_invalid_privmsg_message_format", "");
        return;
    };
    let text = blanks(text);
    let text = text.strip_prefix(b":").unwrap_or(text);
    let text = text.strip_prefix(&[ENCLOSES]).unwrap_or(text);
    if text.len() <= 3 || !text.starts_with(b"DCC") {
        return;
    }
    let text = text.strip_suffix(&[ENCLOSES]).unwrap_or(text);
    let words: Vec<_> = text.split(|b| *b == b' ').filter(|w| !w.is_empty()).collect();
    let [_, kind, name, host, port, more @ ..] = &words[..] else {
        ctx.out.weird("irc_invalid_dcc_message_format", "");
        return;
    };
    // Turbo DCC has a T behind the size.
    if !matches!(more, [] | [_] | [_, b"T"]) {
        ctx.out.weird("irc_invalid_dcc_message_format", "");
        return;
    }
    let Some(host) = number(host) else {
        ctx.out.weird("irc_invalid_dcc_host", "");
        return;
    };
    let Some(port) = number(port).and_then(|p| u16::try_from(p).ok()) else {
        ctx.out.weird("irc_invalid_dcc_port", &text::of_bytes(port));
        return;
    };
    if *kind == b"SEND" {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let tag = irc_data::Analyzer::SPEC.tag;
        let files = Arc::new(Carried::named(name));
        ctx.out
            .announce_file(any, (Ipv4Addr::from_bits(host).into(), port), tag, &files);
    }
}

/// A number of 32 bits; more of it is cut off, as in Zeek.
fn number(text: &[u8]) -> Option<u32> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let digits = text.iter().map(|d| u32::from(d - b'0'));
    is_number.then(|| digits.fold(0, |n: u32, d| n.wrapping_mul(10).wrapping_add(d)))
}

fn blanks(b: &[u8]) -> &[u8] {
    b.get(b.iter().take_while(|b| **b == b' ').count()..)
        .unwrap_or(&[])
}

/// What stands before the first blank and behind it.
fn word(b: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = b.iter().position(|b| *b == b' ')?;
    Some((b.get(..at)?, b.get(at + 1..)?))
}

#[cfg(test)]
mod tests;
