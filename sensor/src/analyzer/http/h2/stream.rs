//! One stream: a request and its reply, their headers and bodies.

use super::super::events::{self, MAX_LISTED, MessageStat, tell};
use super::super::exchange::{self, Exchange, Status};
use super::super::handle;
use super::super::message::{MAX_ENTITY_DATA, NORMAL};
use super::super::unpack::{INFLATER, Scheme, Unpacker, Unpacking};
use super::super::{mime, wire, work};
use super::fields::Fields;
use crate::analyzer::api::Ctx;
use crate::analyzer::text::of_bytes;
use crate::event::Ts;
use crate::file::{Handle, Piece};
use crate::signature::Context;

/// The version as rows and events have it.
pub const VERSION: &str = "2";

/// A request and its reply.
#[derive(Debug)]
pub struct Stream {
    /// Its number.
    id: u32,
    x: Exchange,
    /// Request and reply.
    halves: [Half; 2],
    /// CONNECT: what it carries is no body.
    is_tunnel: bool,
    /// The server made the request.
    is_promised: bool,
}

/// A request, or a reply.
#[derive(Debug, Default)]
struct Half {
    /// When its headers came.
    began: Option<Ts>,
    ended: bool,
    coding: Coding,
    /// By Content-Length.
    length: Option<u64>,
    /// Bytes of its body so far, decompressed.
    body_len: u64,
    gap_len: u64,
    /// Bytes of its headers' names and values.
    header_len: u64,
    /// The name that its headers give its body.
    name: Option<Vec<u8>>,
    /// Its body's file, once it is known.
    file: Option<Handle>,
    /// The row names it.
    is_named: bool,
    size_said: bool,
    /// Its body is a part of the file, from here on.
    offset: Option<u64>,
    /// Size of the whole file, by Content-Range.
    whole: Option<u64>,
}

/// How a body is written.
#[derive(Debug, Default)]
enum Coding {
    #[default]
    Identity,
    Compressed(Scheme, Option<Box<Unpacker>>),
    /// Bytes of what is compressed are missing: the rest cannot be read.
    Lost,
}

impl Stream {
    /// A stream of which nothing is known yet, the connection's `depth`th.
    pub fn new(id: u32, depth: u64, ts: Ts) -> Stream {
        Stream {
            id,
            x: Exchange::new(ts, depth),
            halves: Default::default(),
            is_tunnel: false,
            is_promised: false,
        }
    }

    /// The first stream of a connection whose request came as HTTP/1 and asked for HTTP/2.
    pub fn upgraded(x: Exchange, ts: Ts) -> Stream {
        let request = Half {
            began: Some(ts),
            ended: true,
            body_len: x.body_len[0],
            ..Half::default()
        };
        Stream {
            x,
            halves: [request, Half::default()],
            ..Stream::new(1, 0, ts)
        }
    }

    /// Bytes that it keeps, roughly.
    pub fn kept(&self) -> usize {
        let one = |h: &Half| {
            // Brotli may take more, of which the connection is not what bounds it.
            let unpacks = matches!(h.coding, Coding::Compressed(_, Some(_)));
            h.name.as_ref().map_or(0, Vec::len) + if unpacks { INFLATER } else { 0 }
        };
        self.x.kept() + self.halves.iter().map(one).sum::<usize>()
    }

    /// Whether both sides are done.
    pub fn is_over(&self) -> bool {
        self.halves.iter().all(|h| h.ended)
    }

    /// Writes its row.
    pub fn log(&self, ctx: &mut Ctx<'_>) {
        ctx.out.log(&self.x.row(ctx.c));
    }

    // Headers.

    /// The server promises the reply to a request that it makes itself.
    pub fn promised(&mut self, fields: &Fields, ctx: &mut Ctx<'_>) {
        self.is_promised = true;
        self.request(fields, false, ctx);
        self.end(0, None, ctx);
    }

    /// A header block. Whether a message begins with it.
    pub fn headers(&mut self, dir: usize, fields: &Fields, passwords: bool, ctx: &mut Ctx<'_>) -> bool {
        let half = &self.halves[dir];
        if half.ended {
            return false;
        }
        if half.began.is_some() {
            // Trailers: they say nothing of the connection or the body.
            fields
                .regular()
                .for_each(|(name, value)| exchange::tell_header(dir == 0, name, value, ctx));
            return false;
        }
        match dir {
            0 => self.request(fields, passwords, ctx),
            _ => self.reply(fields, ctx),
        }
        true
    }

    fn request(&mut self, fields: &Fields, passwords: bool, ctx: &mut Ctx<'_>) {
        let authority = fields.get(b":authority");
        let method = fields.get(b":method");
        self.is_tunnel = method == Some(b"CONNECT");
        let uri = fields.get(b":path").or(authority.filter(|_| self.is_tunnel));
        if let Some(uri) = uri {
            let decoded = wire::unescape(uri, &mut |odd| work::odd(ctx, odd));
            if let Some(method) = method {
                exchange::tell_request(method, uri, &decoded, VERSION, ctx);
                ctx.to_match(Context::HttpRequest, true, &decoded);
            }
            self.x.uri = Some(decoded.into_owned());
        }
        if let Some(method) = method {
            exchange::check_method(method, ctx);
        }
        self.x.method = method.map(<[u8]>::to_vec);
        self.x.version = Some(VERSION.into());
        // What a proxy that speaks HTTP/1 to the server makes of it (RFC 9113, section 8.3.1).
        let host = authority.filter(|_| fields.get(b"host").is_none());
        self.begin(0, host, fields, passwords, ctx);
        self.halves[0].began = Some(ctx.ts);
    }

    fn reply(&mut self, fields: &Fields, ctx: &mut Ctx<'_>) {
        let number = fields.get(b":status").and_then(|text| wire::number(text, 10));
        let code = number.and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        exchange::tell_reply(VERSION, code, b"<empty>", ctx);
        self.x.reply(VERSION.into(), Status { code, reason: None });
        self.begin(1, None, fields, false, ctx);
        self.halves[1].began = Some(ctx.ts);
        if exchange::is_interim(code) {
            self.tell_end(1, None, ctx);
            self.halves[1] = Half::default();
        }
    }

    /// A message begins. `host`: a header that is not among the fields.
    fn begin(
        &mut self,
        dir: usize,
        host: Option<&[u8]>,
        fields: &Fields,
        passwords: bool,
        ctx: &mut Ctx<'_>,
    ) {
        tell!(ctx, HttpBeginEntity, is_orig: dir == 0);
        let all = || {
            let host = host.map(|host| (&b"host"[..], host));
            host.into_iter().chain(fields.regular())
        };
        for (name, value) in all() {
            self.header(dir, name, value, passwords, ctx);
        }
        if ctx.subs.wants(events::HttpAllHeaders::KIND) {
            work::all_headers(dir == 0, all().take(MAX_LISTED), ctx);
        }
        if ctx.subs.wants(events::HttpContentType::KIND) {
            let said = fields.get(b"content-type").and_then(mime::media_type);
            work::content_type(dir == 0, said.map(|(ty, subty, _)| (ty, subty)), ctx);
        }
    }

    fn header(&mut self, dir: usize, name: &[u8], value: &[u8], passwords: bool, ctx: &mut Ctx<'_>) {
        exchange::tell_header(dir == 0, name, value, ctx);
        work::match_header(dir == 0, name, value, ctx);
        if dir == 0 {
            self.x.request_header(name, value, passwords, ctx);
        }
        let is_part = dir == 1 && self.code() == 206;
        let half = &mut self.halves[dir];
        half.header_len += (name.len() + value.len()) as u64;
        if let Some(name) = mime::file_name(name, value) {
            half.name = Some(name);
        }
        match name {
            b"content-length" => {
                half.length = wire::number(value, 10).and_then(|n| u64::try_from(n).ok());
            }
            b"content-encoding" => {
                if let Some(scheme) = Scheme::of(value) {
                    half.coding = Coding::Compressed(scheme, None);
                }
            }
            b"content-range" if is_part => match mime::range(value, &mut |_| {}) {
                Ok(range) => {
                    half.offset = Some(range.first);
                    half.whole = range.whole;
                }
                Err(bad) => ctx.out.weird(bad.name, &of_bytes(&bad.shown)),
            },
            _ => {}
        }
    }

    fn code(&self) -> u16 {
        self.x.status.as_ref().map_or(0, |s| s.code)
    }

    // Bodies.

    /// Some of a body, as it was sent.
    pub fn data(&mut self, dir: usize, bytes: &[u8], unpacking: &mut Unpacking, ctx: &mut Ctx<'_>) {
        let half = &mut self.halves[dir];
        if half.began.is_none() || half.ended || self.is_tunnel {
            return;
        }
        match &mut half.coding {
            Coding::Identity => self.clear(dir, bytes, ctx),
            Coding::Lost => {}
            Coding::Compressed(scheme, unpacker) => {
                let Some(mut unpacker) = unpacker.take().or_else(|| unpacking.begin(*scheme, ctx)) else {
                    half.coding = Coding::Identity;
                    return self.clear(dir, bytes, ctx);
                };
                let scheme = *scheme;
                let failed = unpacker.push(bytes, &mut |bytes| self.clear(dir, bytes, ctx));
                self.halves[dir].coding = Coding::Compressed(scheme, Some(unpacker));
                if let Some(name) = failed {
                    unpacking.tell(name, ctx);
                }
            }
        }
    }

    /// Some of a body, as it is meant.
    fn clear(&mut self, dir: usize, bytes: &[u8], ctx: &mut Ctx<'_>) {
        if work::matches_body(dir == 0, true, ctx) {
            let what = (work::body_context(dir == 0), bytes);
            ctx.out.to_match_of(self.id, dir == 0, what, false);
        }
        let half = &mut self.halves[dir];
        half.body_len = half.body_len.saturating_add(bytes.len() as u64);
        if ctx.subs.wants(events::HttpEntityData::KIND) {
            for data in bytes.chunks(MAX_ENTITY_DATA) {
                tell!(ctx, HttpEntityData, is_orig: dir == 0, length: data.len() as u64, data: data);
            }
        }
        let size = match half.coding {
            Coding::Identity if half.offset.is_some() => half.whole,
            Coding::Identity => half.length,
            _ => None,
        };
        let (at, said) = (half.offset, std::mem::replace(&mut half.size_said, true));
        half.offset = at.map(|at| at.saturating_add(bytes.len() as u64));
        if let Some(size) = size.filter(|n| *n > 0 && !said) {
            self.give(dir, Piece::Size(size), ctx);
        }
        self.give(dir, Piece::Bytes { at, bytes }, ctx);
    }

    /// So many bytes of a body are missing.
    pub fn lose(&mut self, dir: usize, len: u64, ctx: &mut Ctx<'_>) {
        let half = &mut self.halves[dir];
        if half.began.is_none() || half.ended || self.is_tunnel {
            return;
        }
        if !matches!(half.coding, Coding::Identity) {
            half.coding = Coding::Lost;
            return;
        }
        let at = half.offset.or(Some(half.body_len));
        half.offset = half.offset.map(|at| at.saturating_add(len));
        half.body_len = half.body_len.saturating_add(len);
        half.gap_len = half.gap_len.saturating_add(len);
        self.give(dir, Piece::Gap { at, len }, ctx);
    }

    /// Gives a piece of a body's file to the files room.
    fn give(&mut self, dir: usize, piece: Piece<'_>, ctx: &mut Ctx<'_>) {
        let (c, is_orig) = (ctx.c, dir == 0);
        let half = &self.halves[dir];
        let handle = half.file.unwrap_or_else(|| match !is_orig && self.x.is_range {
            true => handle::range(is_orig, c, &self.x.url(c)),
            false => handle::message(is_orig, c, self.x.depth, self.id.into()),
        });
        let carrier = handle::carrier(handle, c, is_orig, half.name.as_deref());
        let news = ctx.out.file(&carrier, piece);
        let half = &mut self.halves[dir];
        // Also where there is no room for it: what it is known by may be made of a long URL.
        half.file = Some(handle);
        if let Some(fuid) = news.fuid.filter(|_| news.joined) {
            half.is_named = true;
            self.x.file(is_orig, half.name.clone(), fuid.to_string());
        }
        if let Some(mime) = news.sniffed.filter(|_| half.is_named) {
            self.x.sniffed(is_orig, mime);
        }
    }

    // The end.

    /// A direction is over; `interrupted`: by what.
    pub fn end(&mut self, dir: usize, interrupted: Option<&str>, ctx: &mut Ctx<'_>) {
        if std::mem::replace(&mut self.halves[dir].ended, true) {
            return;
        }
        self.halves[dir].coding = Coding::Identity;
        ctx.out
            .to_match_of(self.id, dir == 0, (work::body_context(dir == 0), b""), true);
        // A part of something may be followed by another one, in another reply: its file goes on.
        if self.halves[dir].file.is_some() && (dir == 0 || self.code() != 206) {
            self.give(dir, Piece::End, ctx);
        }
        self.x.body_len[dir] = self.halves[dir].body_len;
        self.tell_end(dir, interrupted, ctx);
    }

    fn tell_end(&self, dir: usize, interrupted: Option<&str>, ctx: &mut Ctx<'_>) {
        let half = &self.halves[dir];
        let Some(start) = half.began else { return };
        tell!(ctx, HttpEndEntity, is_orig: dir == 0);
        let stat = MessageStat {
            start,
            interrupted: interrupted.is_some(),
            finish_msg: interrupted.unwrap_or(NORMAL),
            body_length: half.body_len,
            content_gap_length: half.gap_len,
            header_length: half.header_len,
        };
        tell!(ctx, HttpMessageDone, is_orig: dir == 0, stat: stat);
    }
}
