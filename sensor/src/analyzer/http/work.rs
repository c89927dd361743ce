//! What a message works with: what both directions know of the connection, how its own one is cut, the rows.

use super::content::Content;
use super::events::{self, MimeHeader, MimeHeaderList, tell};
use super::exchange::Exchanges;
use super::mime;
use super::unpack::{Scheme, Unpacker, Unpacking};
use super::wire::{Odd, Version};
use crate::analyzer::api::Ctx;
use crate::analyzer::text::of_bytes;
use crate::signature::Context;

/// Longest name of a protocol to which a reply switches that is kept, bytes.
const MAX_PROTOCOL: usize = 256;

/// What the messages of both directions know of the connection.
#[derive(Debug, Default)]
pub struct Both {
    /// Of the latest request and reply.
    pub versions: [Version; 2],
    /// A request is being read.
    pub request_is_open: bool,
    /// Status code of the reply that is being read, else 0.
    pub code: u16,
    /// Another request may follow.
    pub keep_alive: bool,
    /// The responder said that it would close.
    pub close: bool,
    /// The last request was CONNECT, and nobody said no.
    pub connect: bool,
    /// `Connection: upgrade`, and what `Upgrade` names, in the reply.
    pub upgrade: bool,
    pub protocol: Vec<u8>,
    /// What compressed bodies are read with.
    pub unpacking: Unpacking,
}

impl Both {
    /// While a request is under way, its version tells how headers are read.
    pub fn version_at_work(&self) -> Version {
        self.versions[usize::from(!self.request_is_open)]
    }

    /// What a header says of the connection. Every header of every message passes by here.
    pub fn header(&mut self, is_orig: bool, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"connection") {
            let says = |word: &[u8]| mime::says(value, word);
            match is_orig {
                true => self.keep_alive |= says(b"keep-alive"),
                false if says(b"close") => self.close = true,
                false => self.upgrade |= says(b"upgrade"),
            }
        } else if !is_orig && name.eq_ignore_ascii_case(b"upgrade") {
            let token = mime::token(value).map_or(&b""[..], |(token, _)| token);
            self.protocol = token.get(..MAX_PROTOCOL).unwrap_or(token).to_vec();
        }
    }
}

/// Says what an event says.
pub fn event(ctx: &mut Ctx<'_>, category: &str, detail: &[u8]) {
    tell!(ctx, HttpEvent, event_type: category, detail: &of_bytes(detail));
}

/// Says all headers of an entity together, to who wants that.
pub fn all_headers<'h>(is_orig: bool, all: impl Iterator<Item = (&'h [u8], &'h [u8])>, ctx: &mut Ctx<'_>) {
    let text = |(name, value): (&'h [u8], &'h [u8])| {
        let upper = of_bytes(&name.to_ascii_uppercase()).into_owned();
        (of_bytes(name), upper, of_bytes(value))
    };
    let texts: Vec<_> = all.map(text).collect();
    let list: Vec<_> = texts
        .iter()
        .map(|(original_name, name, value)| MimeHeader {
            original_name,
            name,
            value,
        })
        .collect();
    tell!(ctx, HttpAllHeaders, is_orig: is_orig, hlist: MimeHeaderList::Made(&list));
}

/// Says an entity's type and subtype as they were sent, or what it is when nothing was said (RFC 2045, section 5.2).
pub fn content_type(is_orig: bool, said: Option<(&[u8], &[u8])>, ctx: &mut Ctx<'_>) {
    let (ty, subty) = said.unwrap_or((b"TEXT", b"PLAIN"));
    let (ty, subty) = (ty.to_ascii_uppercase(), subty.to_ascii_uppercase());
    tell!(ctx, HttpContentType, is_orig: is_orig, ty: &of_bytes(&ty), subty: &of_bytes(&subty));
}

/// Says what is odd about a first line.
pub fn odd(ctx: &mut Ctx<'_>, odd: Odd<'_>) {
    match odd {
        Odd::Weird(name) => ctx.out.weird(name, ""),
        Odd::Event(category, detail) => event(ctx, category, detail),
    }
}

/// What a body is matched as with signatures.
pub fn body_context(is_orig: bool) -> Context {
    match is_orig {
        true => Context::HttpRequestBody,
        false => Context::HttpReplyBody,
    }
}

/// Whether signatures are looked for in a body, which begins or goes on.
pub fn matches_body(is_orig: bool, begins: bool, ctx: &Ctx<'_>) -> bool {
    ctx.out.wants_match(body_context(is_orig), is_orig, begins)
}

/// Matches a header with signatures.
pub fn match_header(is_orig: bool, name: &[u8], value: &[u8], ctx: &mut Ctx<'_>) {
    let context = match is_orig {
        true => Context::HttpRequestHeader,
        false => Context::HttpReplyHeader,
    };
    if ctx.out.wants_match(context, is_orig, true) {
        ctx.to_match(context, is_orig, &[name, b": ", value].concat());
    }
}

/// What a message works with.
pub struct Work<'w, 'c> {
    /// It is a request.
    pub is_orig: bool,
    /// How its direction is cut.
    pub content: &'w mut Content,
    /// What both directions know.
    pub both: &'w mut Both,
    /// The rows.
    pub exchanges: &'w mut Exchanges,
    pub ctx: &'w mut Ctx<'c>,
}

impl Work<'_, '_> {
    /// Reports a weird.
    pub fn weird(&mut self, name: &'static str, shown: &[u8]) {
        self.ctx.out.weird(name, &of_bytes(shown));
    }

    /// Says what an event says.
    pub fn event(&mut self, category: &str, detail: &[u8]) {
        event(self.ctx, category, detail);
    }

    /// Says what is illegal.
    pub fn illegal(&mut self, what: &[u8]) {
        self.event("illegal format", what);
    }

    /// What decompresses a body that begins. None: it is to be taken as it is.
    pub fn unpack(&mut self, scheme: Scheme) -> Option<Box<Unpacker>> {
        self.both.unpacking.begin(scheme, self.ctx)
    }

    /// Some of a body for signatures. `begins`: it is the first; `ends`: a line, whose end belongs to it; None: the body is
    /// over.
    pub fn match_body(&mut self, data: Option<&[u8]>, begins: bool, ends: bool) {
        if !matches_body(self.is_orig, begins, self.ctx) {
            return;
        }
        let (is_orig, context) = (self.is_orig, body_context(self.is_orig));
        let out = &mut self.ctx.out;
        out.to_match(
            is_orig,
            (context, data.unwrap_or_default()),
            begins,
            data.is_none(),
        );
        if ends {
            out.to_match(is_orig, (context, b"\r\n"), false, false);
        }
    }

    /// Whether somebody wants to know types of entities.
    pub fn wants_types(&self) -> bool {
        self.ctx.subs.wants(events::HttpContentType::KIND)
    }

    /// Whether somebody wants all headers of an entity.
    pub fn wants_headers(&self) -> bool {
        self.ctx.subs.wants(events::HttpAllHeaders::KIND)
    }
}
