//! What the parts of a mail are read with: who hears of them.

use super::events::*;
use super::session::Session;
use crate::analyzer::api::Ctx;
use crate::analyzer::http::events::{MimeHeader, MimeHeaderList};
use crate::analyzer::text::of_bytes;
use crate::file::{Carrier, Handle, Piece};

/// See the module.
pub struct Work<'w, 'c> {
    /// The analyzer's.
    pub ctx: &'w mut Ctx<'c>,
    /// What becomes a row. Without one, what is in the mail is no file, either.
    pub session: Option<&'w mut Session>,
    /// The originator sends the mail.
    pub is_orig: bool,
}

impl Work<'_, '_> {
    /// A mail or a part of one begins.
    pub fn begins(&mut self) {
        raise!(self.ctx, MimeBeginEntity {});
        if let Some(session) = &mut self.session {
            session.entity();
        }
    }

    /// It is over.
    pub fn ends(&mut self) {
        raise!(self.ctx, MimeEndEntity {});
    }

    /// It has a header.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        let is_wanted = self.ctx.subs.wants(MimeOneHeader::KIND);
        if self.session.is_none() && !is_wanted {
            return;
        }
        let upper = name.to_ascii_uppercase();
        if is_wanted {
            let text = [name, &upper, value].map(of_bytes);
            let h = MimeHeader {
                original_name: &text[0],
                name: &text[1],
                value: &text[2],
            };
            raise!(self.ctx, MimeOneHeader { h });
        }
        if let Some(session) = &mut self.session {
            session.header(&upper, value, self.ctx);
        }
    }

    /// It has these headers.
    pub fn headers(&mut self, headers: &[MimeHeader<'_>]) {
        let hlist = MimeHeaderList::Made(headers);
        raise!(self.ctx, MimeAllHeaders { hlist });
    }

    /// More of its body, decoded.
    pub fn segment(&mut self, bytes: &[u8]) {
        /// Most of it at a time, bytes (Zeek: mime_segment_length).
        const MOST: usize = 1024;
        if self.ctx.subs.wants(MimeSegmentData::KIND) {
            for data in bytes.chunks(MOST) {
                let length = data.len() as u64;
                raise!(self.ctx, MimeSegmentData { length, data });
            }
        }
    }

    /// It is not written as it should be.
    pub fn bad_format(&mut self, detail: &str) {
        raise!(
            self.ctx,
            MimeEvent {
                event_type: "illegal format",
                detail
            }
        );
    }

    /// Its body is not.
    pub fn bad_encoding(&mut self, detail: &str) {
        raise!(
            self.ctx,
            MimeEvent {
                event_type: "illegal encoding",
                detail
            }
        );
    }

    /// A limit was reached, and `at` it what is behind it is not looked at.
    pub fn limit(&mut self, limit: &'static str, at: usize) {
        let source = match self.session {
            Some(_) => "SMTP",
            None => "POP3",
        };
        self.ctx.out.weird_from(limit, &at.to_string(), source);
    }

    /// A piece of the file that the connection's entity number `count` is.
    pub fn file(&mut self, known: &mut Option<Handle>, count: u64, name: Option<&[u8]>, piece: Piece<'_>) {
        let Some(session) = &mut self.session else { return };
        let handle = *known.get_or_insert_with(|| {
            let uid = self.ctx.c.uid.to_string();
            Handle::of(&[b"SMTP", uid.as_bytes(), &count.to_be_bytes()])
        });
        let carrier = Carrier {
            handle,
            tag: self.ctx.tag(),
            source: "SMTP",
            c: self.ctx.c,
            is_orig: self.is_orig,
            depth: count,
            name,
            mime: None,
        };
        let news = self.ctx.out.file(&carrier, piece);
        if news.joined
            && let Some(fuid) = &news.fuid
        {
            session.file(fuid.to_string());
        }
    }
}
