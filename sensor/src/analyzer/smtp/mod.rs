//! SMTP: sure at the first command that is one; watched for bad replies and STARTTLS.

mod rules;

use std::collections::VecDeque;

use super::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::lines::{Eol, Lines, reply_code, word};
use crate::event::AnalyzerTag;
use crate::software::{Found, Kind, greeting};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Smtp;

/// RFC 821, 1869, 1985, 2487, 2554, 3030 and Exchange's.
const COMMANDS: &[&str] = &[
    "EHLO",
    "HELO",
    "MAIL",
    "RCPT",
    "DATA",
    "QUIT",
    "RSET",
    "VRFY",
    "EXPN",
    "HELP",
    "NOOP",
    "STARTTLS",
    "X-ANONYMOUSTLS",
    "SEND",
    "SOML",
    "SAML",
    "TURN",
    "BDAT",
    "ETRN",
    "AUTH",
];

/// Most commands that wait for a reply. With more, all of them are forgotten, as in Zeek.
const MAX_UNANSWERED: usize = 1000;

/// A command, as far as its reply matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    StartTls,
    /// AUTH, or a line of the exchange that it begins.
    Auth,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Commands,
    /// The next line is an answer to the server's challenge.
    Auth,
    Tls,
    /// Bytes are missing: reading goes on with the next valid reply.
    Gap,
    /// The client sends mail data. Commands behind it are not read.
    Data,
}

/// One connection's state.
#[derive(Debug)]
pub struct Smtp {
    lines: [Lines; 2],
    dialogue: Dialogue,
}

/// What client and server have said so far.
#[derive(Debug)]
struct Dialogue {
    state: State,
    /// Commands that wait for a reply, in the order in which replies come (pipelining).
    unanswered: VecDeque<Command>,
    /// The command that the reply under way answers.
    answered: Option<Command>,
    /// The code of a multi-line reply that has not ended.
    pending: u16,
}

impl Protocol for Smtp {
    const SPEC: Spec = Spec {
        tcp_ports: &[25, 587],
        rules: rules::RULES,
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SMTP", "smtp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Smtp {
        Smtp {
            lines: [Lines::new(Eol::CrOrLf), Lines::new(Eol::CrOrLf)],
            dialogue: Dialogue {
                state: State::Commands,
                // The greeting answers the connection itself.
                unanswered: VecDeque::from([Command::Other]),
                answered: None,
                pending: 0,
            },
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.feed(is_orig, bytes, ctx).map_or(Next::More, Next::HandOver)
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        let dialogue = &mut self.dialogue;
        if dialogue.state != State::Tls {
            dialogue.state = State::Gap;
            dialogue.unanswered.clear();
        }
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.lines[usize::from(!is_orig)].is_partial()
    }

    fn flip(&mut self) {
        self.lines.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, seen: Seen) -> Interest {
        match seen.is_late() || is_orig && self.dialogue.state == State::Data {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

impl Smtp {
    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        let Smtp { lines, dialogue } = self;
        while dialogue.state != State::Tls {
            if is_orig && dialogue.state == State::Data {
                return None;
            }
            let line = lines[usize::from(!is_orig)].next(&mut bytes)?;
            let end = line.iter().rposition(|b| *b != b'\r').map_or(0, |n| n + 1);
            let line = line.get(..end).unwrap_or(line);
            match is_orig {
                true => dialogue.command(line, ctx),
                false => dialogue.reply(line, ctx),
            }
        }
        Some(HandOver::new(Inside::Tls, bytes))
    }
}

impl Dialogue {
    /// A line of the originator, outside of mail.
    fn command(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        let (word, _) = word(line);
        let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
        let command = match self.state {
            State::Auth => Command::Auth,
            State::Commands if !COMMANDS.iter().any(|c| is(c)) => return,
            State::Commands if is("STARTTLS") || is("X-ANONYMOUSTLS") => Command::StartTls,
            State::Commands if is("AUTH") => Command::Auth,
            State::Commands => Command::Other,
            State::Tls | State::Gap | State::Data => return,
        };
        ctx.confirm();
        if self.unanswered.len() >= MAX_UNANSWERED {
            self.unanswered.clear();
        }
        self.unanswered.push_back(command);
        if self.state == State::Commands && (is("DATA") || is("BDAT")) {
            self.state = State::Data;
        }
    }

    fn reply(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        let Some(code) = reply_code(line).filter(|c| (100..600).contains(c)) else {
            ctx.violation("reply code -1 out of range");
            return;
        };
        let first = self.pending != code;
        self.pending = if line.get(3) == Some(&b'-') { code } else { 0 };
        if first && code == 220 && !ctx.is_confirmed() {
            // The greeting.
            let text = line.get(4..).unwrap_or(&[]);
            if let Some(banner) = greeting::software(text) {
                ctx.out
                    .software(&Found::server(ctx.c, Kind::SmtpMailServer, banner));
            }
        }
        if first {
            self.answered = self.unanswered.pop_front();
            if self.state == State::Gap {
                ctx.confirm();
                self.state = State::Commands;
            }
        }
        if self.pending != 0 {
            return;
        }
        match (self.answered.take(), code) {
            (Some(Command::StartTls), 220) => self.state = State::Tls,
            (Some(Command::Auth), 334) => self.state = State::Auth,
            (Some(Command::Auth), _) if self.state == State::Auth => self.state = State::Commands,
            _ => {}
        }
    }
}
