//! SMTP: sure at the first command that is one; watched for bad replies and STARTTLS. Its mails are taken apart, and what
//! is in them are files.
//!
//! `Dialogue` is commands and replies; `mails` knows where a mail begins and ends, `chunk` reads one that comes in chunks,
//! `mail` its headers and bodies.

mod chunk;
mod mail;
mod mails;
mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;

use super::api::{Closing, Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::http::content::{Content, Piece};
use super::lines::{reply_code, word};
use crate::event::AnalyzerTag;
use crate::software::{Found, Kind, greeting};
use mail::Line;
use mails::Mails;

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
    Data,
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
    /// It went on; no command came since.
    Recovered,
    /// The client sends the lines of a mail.
    Data,
}

/// One connection's state.
#[derive(Debug)]
pub struct Smtp {
    /// By direction, orig first.
    content: [Content; 2],
    dialogue: Dialogue,
    mails: Mails,
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
            content: Default::default(),
            dialogue: Dialogue {
                state: State::Commands,
                // The greeting answers the connection itself.
                unanswered: VecDeque::from([Command::Other]),
                answered: None,
                pending: 0,
            },
            mails: Mails::default(),
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.feed(is_orig, bytes, ctx).map_or(Next::More, Next::HandOver)
    }

    fn gap(&mut self, _: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        let dialogue = &mut self.dialogue;
        if dialogue.state != State::Tls {
            dialogue.state = State::Gap;
            dialogue.unanswered.clear();
            self.mails.lost(len, ctx);
            self.content[0].set_plain(0);
        }
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.content[usize::from(!is_orig)].is_partial()
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        self.mails.end(ctx);
    }

    fn flip(&mut self) {
        self.content.swap(0, 1);
    }

    /// Once it is SMTP, mails may come at any time.
    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.confirmed || !seen.is_late() {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }

    fn is_settled(&self) -> bool {
        self.mails.is_idle()
    }
}

impl Smtp {
    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        let dir = usize::from(!is_orig);
        while self.dialogue.state != State::Tls {
            let is_mail = is_orig && self.dialogue.state == State::Data;
            let content = &mut self.content[dir];
            let starts = !content.in_line;
            match content.next(&mut bytes, is_mail && self.mails.is_in_body())? {
                Piece::Plain(chunk) => self.mails.chunk(chunk, ctx),
                Piece::OfLine(piece) => self.mail_line(&piece, starts, false, ctx),
                Piece::Line(line) => {
                    content.in_line = false;
                    match is_orig {
                        true if is_mail => self.mail_line(&line, starts, true, ctx),
                        true => self.command(&line, ctx),
                        false => self.dialogue.reply(&line, &mut self.mails, ctx),
                    }
                    if let Cow::Owned(line) = line {
                        self.content[dir].give_back(line);
                    }
                }
            }
        }
        Some(HandOver::new(Inside::Tls, bytes))
    }

    /// A line behind DATA, or a piece of it. A dot before it is not of the mail (RFC 5321, section 4.5.2).
    fn mail_line(&mut self, bytes: &[u8], starts: bool, ends: bool, ctx: &mut Ctx<'_>) {
        if starts && ends && bytes == b"." {
            self.mails.end(ctx);
            self.dialogue.state = State::Commands;
            return self.dialogue.asked(Command::Other);
        }
        let undotted = bytes.strip_prefix(b".").filter(|_| starts);
        let line = Line {
            bytes: undotted.unwrap_or(bytes),
            starts,
            ends,
            crlf: ends,
        };
        self.mails.line(line, ctx);
    }

    /// A line of the client outside of mail. An empty chunk that ends a mail does so with the line behind it.
    fn command(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        if !line.is_empty() {
            self.mails.chunk(&[], ctx);
        }
        let (word, argument) = word(line);
        let Some(command) = self.dialogue.command(word, ctx) else {
            return;
        };
        if word.eq_ignore_ascii_case(b"BDAT") && command == Command::Other {
            let len = self.mails.announce(argument, ctx);
            self.content[0].set_plain(len);
            return;
        }
        self.mails.break_off(ctx);
        if command == Command::Data {
            self.mails.begin(ctx);
            self.dialogue.state = State::Data;
        }
    }
}

impl Dialogue {
    /// The first word of a line of the originator, outside of mail: which command it is, if any.
    fn command(&mut self, word: &[u8], ctx: &mut Ctx<'_>) -> Option<Command> {
        let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
        let command = match self.state {
            State::Auth => Command::Auth,
            State::Tls | State::Gap | State::Data => return None,
            _ if !COMMANDS.iter().any(|c| is(c)) => return None,
            _ if is("STARTTLS") || is("X-ANONYMOUSTLS") => Command::StartTls,
            _ if is("AUTH") => Command::Auth,
            _ if is("DATA") => Command::Data,
            _ => Command::Other,
        };
        if self.state == State::Recovered {
            self.state = State::Commands;
        }
        ctx.confirm();
        self.asked(command);
        Some(command)
    }

    /// A command, or the end of a mail, waits for its reply.
    fn asked(&mut self, command: Command) {
        if self.unanswered.len() >= MAX_UNANSWERED {
            self.unanswered.clear();
        }
        self.unanswered.push_back(command);
    }

    fn reply(&mut self, line: &[u8], mails: &mut Mails, ctx: &mut Ctx<'_>) {
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
                self.state = State::Recovered;
            }
            self.mail_follows(code == 354, mails, ctx);
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

    /// A reply says whether a mail follows: it takes back what DATA began, or tells of a DATA that is missing.
    fn mail_follows(&mut self, follows: bool, mails: &mut Mails, ctx: &mut Ctx<'_>) {
        match (self.state, self.answered) {
            (State::Data, Some(Command::Data)) if !follows => {
                mails.end(ctx);
                self.state = State::Commands;
            }
            (State::Recovered, _) if follows => {
                mails.begin(ctx);
                self.state = State::Data;
            }
            _ => {}
        }
    }
}
