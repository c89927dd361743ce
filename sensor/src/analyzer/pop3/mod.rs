//! POP3 (RFC 1939, 2449, 2595, 5034): sure once a server has answered USER, CAPA or STLS. Meaning is Zeek's.
//!
//! `dialogue` is commands and replies. The mails are read as SMTP's are, for their events and weirds; they are no files.

mod dialogue;
pub mod events;
mod rules;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::api::{Closing, Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::http::content::{Content, Piece};
use super::smtp::mail::{Line, Mail};
use super::smtp::work::Work;
use crate::event::AnalyzerTag;
use dialogue::{Dialogue, Part};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Pop3;

/// One connection's state.
#[derive(Debug)]
pub struct Pop3 {
    /// By direction, orig first.
    content: [Content; 2],
    dialogue: Dialogue,
    mail: Option<Box<Mail>>,
    is_tls: bool,
}

impl Protocol for Pop3 {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        rules: rules::RULES,
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_POP3", "pop3"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Pop3 {
        Pop3 {
            content: Default::default(),
            dialogue: Dialogue::new(),
            mail: None,
            is_tls: false,
        }
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.feed(is_orig, bytes, ctx).map_or(Next::More, Next::HandOver)
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::More
    }

    fn has_open_line(&self, is_orig: bool) -> bool {
        self.content[usize::from(!is_orig)].is_partial()
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        self.end_mail(ctx);
    }

    fn flip(&mut self) {
        self.content.swap(0, 1);
    }

    /// Once it is POP3, mails may come at any time.
    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.confirmed || !seen.is_late() {
            true => Interest::Everything,
            false => Interest::Nothing,
        }
    }

    fn is_settled(&self) -> bool {
        self.mail.is_none()
    }
}

impl Pop3 {
    fn feed(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<HandOver> {
        let dir = usize::from(!is_orig);
        while !self.is_tls {
            let in_body = !is_orig && self.dialogue.in_mail();
            let content = &mut self.content[dir];
            let starts = !content.in_line;
            match content.next(&mut bytes, in_body)? {
                // Nobody asks for such.
                Piece::Plain(_) => {}
                Piece::OfLine(piece) => self.reply(&piece, starts, false, ctx),
                Piece::Line(line) => {
                    content.in_line = false;
                    match is_orig {
                        true => self.dialogue.request(&line, ctx),
                        false => self.reply(&line, starts, true, ctx),
                    }
                    if let Cow::Owned(line) = line {
                        self.content[dir].give_back(line);
                    }
                }
            }
        }
        Some(HandOver::new(Inside::Tls, bytes))
    }

    fn reply(&mut self, bytes: &[u8], starts: bool, ends: bool, ctx: &mut Ctx<'_>) {
        match self.dialogue.reply(bytes, (starts, ends), ctx) {
            Part::Nothing => {}
            Part::Tls => self.is_tls = true,
            Part::End => self.end_mail(ctx),
            Part::Line => {
                let mut w = work(ctx);
                let mail = self.mail.get_or_insert_with(|| Box::new(Mail::new(0, &mut w)));
                let line = Line {
                    bytes,
                    starts,
                    ends,
                    crlf: ends,
                };
                mail.line(line, &mut w);
            }
        }
    }

    fn end_mail(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(mut mail) = self.mail.take() {
            mail.end(&mut work(ctx));
        }
    }
}

/// For mails that the responder sends.
fn work<'w, 'c>(ctx: &'w mut Ctx<'c>) -> Work<'w, 'c> {
    Work {
        ctx,
        session: None,
        is_orig: false,
    }
}
