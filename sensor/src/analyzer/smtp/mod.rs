//! SMTP: sure at the first command that is one; watched for bad replies and STARTTLS. Its mails are taken apart, and what
//! is in them are files; each mail has a row in smtp.log.
//!
//! `dialogue` is commands and replies; `mails` knows where a mail begins and ends, `chunk` reads one that comes in chunks,
//! `mail` its headers and bodies (POP3's, too); `session` makes rows of what they find.

mod addresses;
mod chunk;
mod dialogue;
pub mod events;
mod log;
pub mod mail;
mod mails;
mod rules;
pub mod session;
#[cfg(test)]
mod tests;
pub mod work;

use std::borrow::Cow;

use super::api::{Closing, Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::http::content::{Content, Piece};
use super::lines::{reply_code, skip_blank, word};
use super::text::of_bytes;
use crate::event::AnalyzerTag;
use crate::software::{Found, Kind, greeting};
use dialogue::{Command, Dialogue, Effect, State};
use events::*;
pub use log::SmtpRow;
use mail::Line;
use mails::Mails;
use session::Session;
use work::Work;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Smtp;

/// One connection's state.
#[derive(Debug)]
pub struct Smtp {
    /// By direction, orig first.
    content: [Content; 2],
    /// Bytes of each direction so far, and one more.
    seq: [u64; 2],
    talk: Talk,
}

/// What both sides say, line by line.
#[derive(Debug)]
struct Talk {
    dialogue: Dialogue,
    mails: Mails,
    session: Session,
}

impl Protocol for Smtp {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[SmtpRow::LOG],
        tcp_ports: &[25, 587],
        rules: rules::RULES,
        needs_start: true,
        stays: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SMTP", "smtp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Smtp {
        Smtp {
            content: Default::default(),
            seq: [1; 2],
            talk: Talk {
                dialogue: Dialogue::new(),
                mails: Mails::default(),
                session: Session::default(),
            },
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if self.talk.session.over().is_some_and(|at| at != ctx.ts) {
            return Next::Stop;
        }
        let seq = &mut self.seq[usize::from(!is_orig)];
        *seq = seq.saturating_add(bytes.len() as u64);
        self.feed(is_orig, bytes, ctx).map_or(Next::More, Next::HandOver)
    }

    fn gap(&mut self, is_orig: bool, len: u64, ctx: &mut Ctx<'_>) -> Next {
        let seq = &mut self.seq[usize::from(!is_orig)];
        let from = *seq;
        *seq = seq.saturating_add(len);
        if self.talk.dialogue.state != State::InTls {
            self.talk.lost(is_orig, from, len, ctx);
            for content in &mut self.content {
                content.set_plain(0);
            }
        }
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.content[usize::from(!is_orig)].is_partial()
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        let is_orig = self.talk.dialogue.orig_is_sender;
        let session = Some(&mut self.talk.session);
        self.talk.mails.end(&mut Work {
            ctx,
            session,
            is_orig,
        });
        self.talk.session.end(ctx);
    }

    fn flip(&mut self) {
        self.content.swap(0, 1);
        self.seq.swap(0, 1);
    }

    /// Once it is SMTP, mails may come at any time.
    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match self.talk.session.over().is_none() && (seen.confirmed || !seen.is_late()) {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }

    fn is_settled(&self) -> bool {
        self.talk.mails.is_idle() && self.talk.session.is_idle()
    }
}

impl Smtp {
    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        let dir = usize::from(!is_orig);
        let talk = &mut self.talk;
        while !talk.dialogue.is_tls() {
            let is_sender = is_orig == talk.dialogue.orig_is_sender;
            let is_mail = is_sender && talk.dialogue.state == State::InData;
            let content = &mut self.content[dir];
            let starts = !content.in_line;
            match content.next(&mut bytes, is_mail && talk.mails.is_in_body())? {
                Piece::Plain(chunk) => {
                    if talk.chunk(chunk, ctx) {
                        content.set_plain(0);
                    }
                }
                Piece::OfLine(piece) => talk.mail_line(&piece, starts, false, ctx),
                Piece::Line(line) => {
                    content.in_line = false;
                    match is_sender {
                        true if is_mail => talk.mail_line(&line, starts, true, ctx),
                        true => {
                            if let Some(len) = talk.command(&line, ctx) {
                                content.set_plain(len);
                            }
                        }
                        false => talk.reply(&line, ctx),
                    }
                    if let Cow::Owned(line) = line {
                        content.give_back(line);
                    }
                }
            }
        }
        Some(HandOver::new(Inside::Tls, bytes))
    }
}

impl Talk {
    /// A command or reply takes effect; `code` is 0 for a command.
    fn update(&mut self, command: Option<Command>, code: u16, ctx: &mut Ctx<'_>) {
        let effect = self.dialogue.update(command, code, ctx);
        let is_orig = self.dialogue.orig_is_sender;
        let session = Some(&mut self.session);
        let mut w = Work {
            ctx,
            session,
            is_orig,
        };
        match effect {
            Effect::Nothing => {}
            Effect::Begin => self.mails.begin(&mut w),
            Effect::End => self.mails.end(&mut w),
        }
    }

    fn request(&mut self, command: &[u8], argument: &[u8], ctx: &mut Ctx<'_>) {
        ctx.confirm();
        let is_orig = self.dialogue.orig_is_sender;
        if ctx.subs.wants(SmtpRequest::KIND) {
            let upper = command.to_ascii_uppercase();
            let (command, arg) = (&of_bytes(&upper), &of_bytes(argument));
            raise!(
                ctx,
                SmtpRequest {
                    is_orig,
                    command,
                    arg
                }
            );
        }
        self.session.request(command, argument, ctx);
    }

    /// Bytes of a chunk. Whether the mail ends with them.
    fn chunk(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) -> bool {
        let is_orig = self.dialogue.orig_is_sender;
        let session = Some(&mut self.session);
        let is_over = self.mails.chunk(
            bytes,
            &mut Work {
                ctx,
                session,
                is_orig,
            },
        );
        if is_over {
            self.update(Some(Command::EndOfData), 0, ctx);
        }
        is_over
    }

    /// A line behind DATA, or a piece of it. A dot before it is not of the mail (RFC 5321, section 4.5.2).
    fn mail_line(&mut self, bytes: &[u8], starts: bool, ends: bool, ctx: &mut Ctx<'_>) {
        if starts && ends && bytes == b"." {
            self.dialogue.asked(Command::EndOfData, ctx);
            self.update(Some(Command::EndOfData), 0, ctx);
            return self.request(b".", b".", ctx);
        }
        let undotted = bytes.strip_prefix(b".").filter(|_| starts);
        let bytes = undotted.unwrap_or(bytes);
        let line = Line {
            bytes,
            starts,
            ends,
            crlf: ends,
        };
        let is_orig = self.dialogue.orig_is_sender;
        let session = Some(&mut self.session);
        self.mails.line(
            line,
            &mut Work {
                ctx,
                session,
                is_orig,
            },
        );
        raise!(ctx, SmtpData { is_orig, data: bytes });
    }

    /// A line of the mail's sender outside of mail. How many bytes of a chunk follow, if it announces one. An empty chunk that
    /// ends a mail does so with the line behind it.
    fn command(&mut self, line: &[u8], ctx: &mut Ctx<'_>) -> Option<u64> {
        if !line.is_empty() {
            self.chunk(&[], ctx);
        }
        if matches!(self.dialogue.state, State::AfterGap | State::InTls) {
            return None;
        }
        let (word, argument) = match self.dialogue.state {
            State::InAuth => (&b"**"[..], line),
            _ => word(line),
        };
        let command = match self.dialogue.state {
            State::InAuth => Some(Command::AuthAnswer),
            _ => Command::named(word),
        };
        let Some(command) = command else {
            self.dialogue.unexpected(true, "unknown command", word, ctx);
            return None;
        };
        self.dialogue.asked(command, ctx);
        self.request(word, argument, ctx);
        let is_orig = self.dialogue.orig_is_sender;
        let session = Some(&mut self.session);
        let mut w = Work {
            ctx,
            session,
            is_orig,
        };
        let mut len = None;
        if command == Command::Bdat {
            let is_first = !self.mails.in_chunks();
            len = Some(self.mails.announce(argument, &mut w)?);
            if is_first {
                self.dialogue.state = State::InBdat;
            }
        } else {
            self.mails.break_off(&mut w);
        }
        self.update(Some(command), 0, ctx);
        len
    }

    /// A line of the mail's receiver.
    fn reply(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        let Some(code) = reply_code(line).filter(|c| (100..600).contains(c)) else {
            self.dialogue
                .unexpected(false, "reply code out of range", line, ctx);
            ctx.violation("reply code -1 out of range");
            return;
        };
        let more = line.get(3) == Some(&b'-');
        let text = skip_blank(line.get(3 + usize::from(more)..).unwrap_or(&[]));
        if self.dialogue.reply_line(code, more, line, ctx) {
            if code == 220
                && !ctx.is_confirmed()
                && let Some(banner) = greeting::software(line.get(4..).unwrap_or(&[]))
            {
                ctx.out
                    .software(&Found::server(ctx.c, Kind::SmtpMailServer, banner));
            }
            if self.dialogue.state == State::AfterGap {
                self.dialogue.state = State::GapRecovery;
                self.request(dialogue::UNKNOWN.as_bytes(), b"", ctx);
            }
            self.update(self.dialogue.answered(), code, ctx);
            if self.dialogue.state == State::InTls {
                raise!(ctx, SmtpStarttls {});
                self.session.tls();
            }
        }
        let cmd = self.dialogue.answered_word();
        let is_orig = !self.dialogue.orig_is_sender;
        raise!(
            ctx,
            SmtpReply {
                is_orig,
                code: code.into(),
                cmd,
                msg: &of_bytes(text),
                cont_resp: more,
            }
        );
        self.session.reply(code, cmd, text, !more, ctx);
    }

    /// Bytes of a direction are missing. The mail is not read on.
    fn lost(&mut self, is_orig: bool, seq: u64, len: u64, ctx: &mut Ctx<'_>) {
        if ctx.subs.wants(SmtpUnexpected::KIND) {
            let detail = format!("seq = {seq}, len = {len}");
            self.dialogue
                .unexpected(is_orig, "content gap", detail.as_bytes(), ctx);
        }
        let sender = self.dialogue.orig_is_sender;
        let session = Some(&mut self.session);
        let mut w = Work {
            ctx,
            session,
            is_orig: sender,
        };
        self.mails.lost(len, &mut w);
        self.dialogue.lost();
    }
}
