//! One message: the entities that are open, innermost last, and what each piece of its headers and body is for them.

use super::body;
use super::carry;
use super::content::{Content, MAX_LINE};
use super::entity::{Chunks, Coding, Entity, Expects, Header};
use super::events::{self, MAX_LISTED, MessageStat, tell};
use super::mime::{self, Delimiter, Kind, MAX_DEPTH, MAX_HEADER, Transfer};
use super::unpack::Unpacker;
use super::wire::number;
use super::work::{self, Work};
use crate::event::Ts;
use crate::file::Piece;

/// Bytes of a body that an event has at most (Zeek: http_entity_data_delivery_size).
pub const MAX_ENTITY_DATA: usize = 1500;

/// Why a message that came to its end is over.
pub const NORMAL: &str = "message ends normally";

/// A message that is being read.
#[derive(Debug)]
pub struct Message {
    /// The first is the message's own.
    entities: Vec<Entity>,
    /// The header under construction, and how many lines it has; 0: there is none.
    header: Vec<u8>,
    lines: usize,
    start: Ts,
    finished: bool,
    gap_len: u64,
    /// Bytes of its first line.
    first_line: u64,
}

impl Message {
    /// Of a first line that is so long.
    pub fn new(expects: Expects, first_line: usize, w: &mut Work<'_, '_>) -> Message {
        w.exchanges.begin_entity(w.is_orig, w.ctx);
        Message {
            entities: vec![Entity::new(expects, Transfer::AsIs)],
            header: Vec::new(),
            lines: 0,
            start: w.ctx.ts,
            finished: false,
            gap_len: 0,
            first_line: first_line as u64,
        }
    }

    /// Whether it came to its end.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether some of a body came.
    pub fn has_body(&self) -> bool {
        self.entities.first().is_some_and(|e| e.body_len > 0)
    }

    fn innermost(&self) -> usize {
        self.entities.len().saturating_sub(1)
    }

    /// Whether what comes next is of a body.
    pub fn is_in_body(&self) -> bool {
        self.entities.last().is_some_and(|e| !e.in_header)
    }

    /// A line, or a piece of a body if not `ends`. `starts`: it is not in the middle of a line.
    pub fn deliver(&mut self, data: &[u8], starts: bool, ends: bool, w: &mut Work<'_, '_>) {
        let Some(top) = self.entities.first() else { return };
        let counts = top.kind != Kind::Data && !top.in_header && !top.ended;
        self.walk(0, data, starts, ends, w);
        let Some(top) = self.entities.first_mut().filter(|_| counts) else {
            return;
        };
        // No more than Content-Length says, whatever the parts look like.
        if top.length.is_some_and(|n| n > 0) {
            top.left = top.left.saturating_sub(size(data, ends));
            // Ends of lines count for two, whatever they are, as in Zeek: it may be over before its bytes are.
            let left = u64::try_from(top.left).unwrap_or(0);
            w.content.set_plain(w.content.plain().min(left));
            if left == 0 {
                w.content.set_limit(None);
                self.end(0, w);
            }
        }
    }

    /// Takes a piece to an entity, or to the one in it that it is for.
    fn walk(&mut self, level: usize, data: &[u8], starts: bool, ends: bool, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        if e.ended {
            if e.kind != Kind::Multipart {
                w.illegal(b"data trailing the end of entity");
            }
            return;
        }
        if e.in_header {
            return self.header_line(level, data, ends, w);
        }
        if e.kind == Kind::Data {
            return self.data(level, data, ends, w);
        }
        // Nothing good comes compressed and in parts. Lines are taken for what they are without their ends, as in Zeek.
        let Coding::Compressed(scheme, unpacker) = &mut e.coding else {
            return self.parts(level, data, starts, ends, w);
        };
        let Some(mut unpacker) = unpacker.take().or_else(|| w.unpack(*scheme)) else {
            e.coding = Coding::Identity;
            return self.parts(level, data, starts, ends, w);
        };
        let failed = unpacker.push(data, &mut |data| self.parts(level, data, true, false, w));
        self.keep_unpacker(level, unpacker, failed, w);
    }

    /// A line, or a piece of one, of an entity that has others inside.
    fn parts(&mut self, level: usize, data: &[u8], starts: bool, ends: bool, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        e.body_len = e.body_len.saturating_add_signed(size(data, ends));
        let delimiter = match e.kind {
            Kind::Multipart if starts && !e.ended => Delimiter::of(data, e.boundary.as_deref()),
            _ => Delimiter::No,
        };
        match delimiter {
            Delimiter::No => self.walk(level + 1, data, starts, ends, w),
            Delimiter::Part => {
                self.end_inside(level, w);
                if self.entities.get(level).is_some_and(|e| !e.ended) {
                    self.begin_inside(level, w);
                }
            }
            Delimiter::Closing => {
                self.end_inside(level, w);
                self.end(level, w);
            }
        }
    }

    /// An entity begins inside another one.
    fn begin_inside(&mut self, level: usize, w: &mut Work<'_, '_>) {
        if level >= MAX_DEPTH {
            w.weird("exceeded_mime_max_depth", level.to_string().as_bytes());
            return;
        }
        let transfer = self.entities.get(level).map_or(Transfer::AsIs, |e| e.transfer);
        self.entities.push(Entity::new(Expects::Body, transfer));
        w.exchanges.begin_entity(w.is_orig, w.ctx);
    }

    /// The entity inside that of `level` is over.
    fn end_inside(&mut self, level: usize, w: &mut Work<'_, '_>) {
        if self.entities.len() > level + 1 {
            self.end(level + 1, w);
            self.entities.truncate(level + 1);
        }
    }

    /// An entity is over.
    fn end(&mut self, level: usize, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level).filter(|e| !e.ended) else {
            return;
        };
        e.ended = true;
        e.coding = Coding::Identity;
        if std::mem::take(&mut e.in_header) {
            self.end_header(level, w);
            self.all_headers(level, w);
            w.illegal(b"entity body missing");
        } else {
            if self.entities.len() > level + 1 {
                if self
                    .entities
                    .get(level)
                    .is_some_and(|e| e.kind == Kind::Multipart)
                {
                    w.illegal(b"multipart closing boundary delimiter missing");
                }
                self.end_inside(level, w);
            }
            self.end_transfer(level, w);
            w.match_body(None, false, false);
        }
        w.exchanges.end_entity(w.is_orig, w.ctx);
        if level > 0
            && self
                .entities
                .get(level - 1)
                .is_some_and(|e| e.kind == Kind::Multipart)
        {
            w.content.set_in_part(false);
        }
        match level {
            0 => self.done(None, w),
            _ => self.end_file(level, w),
        }
    }

    /// What waited for more of its body has none.
    fn end_transfer(&mut self, level: usize, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        let (decoder, escape) = (e.base64.take(), std::mem::take(&mut e.escape));
        let mut out = Vec::new();
        if let Some(said) = decoder.and_then(|mut decoder| decoder.finish(&mut out)) {
            w.weird("base64_illegal_encoding", said.as_bytes());
        }
        body::quoted_printable(&escape, false, &mut out, &mut |what| {
            w.event("illegal encoding", what)
        });
        self.submit(level, &out, w);
    }

    /// The message is over; `interrupted`: by what.
    pub fn done(&mut self, interrupted: Option<(bool, &str)>, w: &mut Work<'_, '_>) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.end(0, w);
        self.end_file(0, w);
        let (interrupted, why) = interrupted.unwrap_or((false, NORMAL));
        let top = self.entities.first();
        let stat = MessageStat {
            start: self.start,
            interrupted,
            finish_msg: why,
            body_length: top.map_or(0, |e| e.body_len),
            content_gap_length: self.gap_len,
            header_length: self.first_line + top.map_or(0, |e| e.header_len),
        };
        w.exchanges.message_done(w.is_orig, stat, w.ctx);
    }

    /// A part of something may be followed by another one, in another reply: its file goes on.
    fn end_file(&mut self, level: usize, w: &mut Work<'_, '_>) {
        if (w.is_orig || w.both.code != 206)
            && let Some(e) = self.entities.get_mut(level)
            && e.file.is_some()
        {
            carry::give(e, Piece::End, w);
        }
    }

    // Headers.

    fn header_line(&mut self, level: usize, line: &[u8], ends: bool, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        if !ends {
            w.weird("http_no_crlf_in_header_list", b"");
        }
        e.header_len = e.header_len.saturating_add(line.len() as u64);
        match line {
            [] | [0, ..] => {
                self.end_header(level, w);
                if let Some(e) = self.entities.get_mut(level) {
                    e.in_header = false;
                }
                self.all_headers(level, w);
                self.begin_body(level, w);
            }
            [b' ' | b'\t', ..] => self.header_goes_on(level, line, w),
            _ => self.header_begins(level, line, w),
        }
    }

    fn header_begins(&mut self, level: usize, line: &[u8], w: &mut Work<'_, '_>) {
        self.end_header(level, w);
        if !line.is_empty() {
            self.header
                .extend_from_slice(line.get(..MAX_LINE).unwrap_or(line));
            self.lines = 1;
        }
    }

    /// A line that begins with a blank is more of the header before (RFC 9112, section 5.2).
    fn header_goes_on(&mut self, level: usize, line: &[u8], w: &mut Work<'_, '_>) {
        if self.lines == 0 {
            w.illegal(b"first header line starts with linear whitespace");
            return self.header_begins(level, crate::analyzer::lines::skip_blank(line), w);
        }
        if self.header.len() >= MAX_HEADER {
            w.ctx.out.gave_up();
            w.weird(
                "exceeded_mime_max_header_bytes",
                self.header.len().to_string().as_bytes(),
            );
            return;
        }
        self.header
            .extend_from_slice(line.get(..MAX_LINE).unwrap_or(line));
        self.lines += 1;
    }

    /// The header under construction is complete.
    fn end_header(&mut self, level: usize, w: &mut Work<'_, '_>) {
        let lines = std::mem::take(&mut self.lines);
        let mut header = std::mem::take(&mut self.header);
        if lines > 0
            && let Some((name, value)) = mime::field(&header)
            && let Some(e) = self.entities.get_mut(level)
        {
            if level == 0 && lines > 1 {
                w.weird("HTTP_obsolete_line_folding", name);
            }
            let told = e.header(name, value, level == 0, w);
            // Compressed once is enough.
            let is_compressed = |e: &Entity| matches!(e.coding, Coding::Compressed(..));
            if let Some((e, outer)) = self.entities.split_last_mut()
                && outer.iter().any(is_compressed)
            {
                e.coding = Coding::Identity;
            }
            if told == Header::Told {
                w.both.header(w.is_orig, name, value);
                w.exchanges.header(w.is_orig, name, value, w.ctx);
                work::match_header(w.is_orig, name, value, w.ctx);
            }
            if w.wants_headers()
                && let Some(e) = self
                    .entities
                    .get_mut(level)
                    .filter(|e| e.headers.len() < MAX_LISTED)
            {
                e.headers.push((name.to_vec(), value.to_vec()));
            }
        }
        header.clear();
        if header.capacity() <= 1024 {
            self.header = header;
        }
    }

    /// The headers are over: what follows from them.
    fn all_headers(&mut self, level: usize, w: &mut Work<'_, '_>) {
        let in_multipart = level > 0
            && self
                .entities
                .get(level - 1)
                .is_some_and(|e| e.kind == Kind::Multipart);
        if in_multipart {
            w.content.set_in_part(true);
        }
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        if e.chunks == Chunks::Trailer {
            e.chunks = Chunks::Over;
            return self.end(level, w);
        }
        tell_headers(e, w);
        let length = e.length.and_then(|n| i64::try_from(n).ok());
        if e.expects == Expects::Nothing {
            return self.end(level, w);
        }
        if e.ended {
            // Cut off in its headers: no body comes, whatever they say.
            return;
        }
        match (e.kind, length) {
            (Kind::Multipart | Kind::Message, _) => {
                if e.chunks != Chunks::No {
                    w.weird("HTTP_chunked_transfer_for_multipart_message", b"");
                }
                match length.filter(|_| level == 0) {
                    Some(0) => self.end(level, w),
                    Some(n) => {
                        e.left = n;
                        w.content.set_limit(e.length);
                    }
                    None => {}
                }
            }
            (Kind::Data, _) if e.chunks != Chunks::No => e.chunks = Chunks::Size,
            (Kind::Data, Some(0)) => self.end(level, w),
            (Kind::Data, Some(n)) => {
                e.left = n;
                w.content.set_plain(n.unsigned_abs());
            }
            (Kind::Data, None) if w.both.close || matches!(e.coding, Coding::Compressed(..)) => {
                e.left = i64::MAX;
                w.content.set_plain(u64::MAX);
            }
            (Kind::Data, None) if e.expects == Expects::Maybe => self.end(level, w),
            (Kind::Data, None) => {}
        }
    }

    fn begin_body(&mut self, level: usize, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level).filter(|e| !e.ended) else {
            return;
        };
        if e.transfer == Transfer::Base64 && e.kind == Kind::Data {
            e.base64 = Some(Box::default());
        }
        if e.kind == Kind::Message {
            self.begin_inside(level, w);
        }
    }

    // Bodies.

    /// A line or a piece of an entity's data.
    fn data(&mut self, level: usize, data: &[u8], ends: bool, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        match e.chunks {
            Chunks::No if e.length.is_some() => {
                self.decoded(level, data, false, w);
                self.advance(level, data.len() as u64, w);
            }
            Chunks::No => self.decoded(level, data, ends, w),
            Chunks::Size => {
                e.left = match number(data, 16) {
                    Some(n) => n,
                    None => {
                        w.weird("HTTP_bad_chunk_size", data);
                        0
                    }
                };
                let size = u64::try_from(e.left).unwrap_or(0);
                if size == 0 {
                    e.in_header = true;
                    e.chunks = Chunks::Trailer;
                } else {
                    e.chunks = Chunks::Data;
                    w.content.set_plain(size);
                }
            }
            Chunks::Data => {
                self.decoded(level, data, false, w);
                self.advance(level, data.len() as u64, w);
            }
            Chunks::DataEnd => {
                if !data.is_empty() {
                    w.illegal(b"inaccurate chunk size: data before <CR><LF>");
                }
                e.chunks = Chunks::Size;
            }
            Chunks::Before | Chunks::Trailer | Chunks::Over => {}
        }
    }

    /// So many bytes of a body whose length is known, or of a chunk, are gone by.
    fn advance(&mut self, level: usize, n: u64, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        e.left = e.left.saturating_sub_unsigned(n);
        if e.left > 0 {
            return;
        }
        w.content.set_plain(0);
        match e.chunks {
            Chunks::Data => e.chunks = Chunks::DataEnd,
            _ => self.end(level, w),
        }
    }

    /// Takes the body's compression off.
    fn decoded(&mut self, level: usize, data: &[u8], ends: bool, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        let Coding::Compressed(scheme, unpacker) = &mut e.coding else {
            return self.clear(level, data, ends, w);
        };
        let Some(mut unpacker) = unpacker.take().or_else(|| w.unpack(*scheme)) else {
            e.coding = Coding::Identity;
            return self.clear(level, data, ends, w);
        };
        let failed = unpacker.push(data, &mut |data| self.clear(level, data, false, w));
        self.keep_unpacker(level, unpacker, failed, w);
    }

    /// Puts back what decompresses an entity, which may be over by now.
    fn keep_unpacker(
        &mut self,
        level: usize,
        unpacker: Box<Unpacker>,
        failed: Option<&'static str>,
        w: &mut Work<'_, '_>,
    ) {
        if let Some(name) = failed {
            w.both.unpacking.tell(name, w.ctx);
        }
        if let Some(Coding::Compressed(_, place)) = self.entities.get_mut(level).map(|e| &mut e.coding) {
            *place = Some(unpacker);
        }
    }

    /// Data of a body as it is meant, but for its transfer encoding.
    fn clear(&mut self, level: usize, data: &[u8], ends: bool, w: &mut Work<'_, '_>) {
        let in_multipart = level > 0
            && self
                .entities
                .get(level - 1)
                .is_some_and(|e| e.kind == Kind::Multipart);
        let Some(e) = self.entities.get_mut(level) else {
            return;
        };
        w.match_body(Some(data), e.body_len == 0, ends);
        e.body_len = e.body_len.saturating_add_signed(size(data, ends));
        let mut out = Vec::new();
        match (e.transfer, &mut e.base64) {
            (Transfer::Base64, Some(decoder)) => {
                if let Some(said) = decoder.push(data, &mut out) {
                    w.weird("base64_illegal_encoding", said.as_bytes());
                }
                self.submit(level, &out, w);
            }
            (Transfer::QuotedPrintable, _) => {
                let mut text = std::mem::take(&mut e.escape);
                text.extend_from_slice(data);
                if !ends {
                    e.escape = text.split_off(text.len() - body::escape_begun(&text));
                }
                body::quoted_printable(&text, ends, &mut out, &mut |what| {
                    w.event("illegal encoding", what)
                });
                self.submit(level, &out, w);
            }
            _ => {
                // The last end of a line is the delimiter's behind it.
                if std::mem::take(&mut e.line_end_due) {
                    self.submit(level, b"\r\n", w);
                }
                self.submit(level, data, w);
                match self.entities.get_mut(level).filter(|_| ends && in_multipart) {
                    Some(e) => e.line_end_due = true,
                    None if ends => self.submit(level, b"\r\n", w),
                    None => {}
                }
            }
        }
    }

    /// Data of a body as it is meant.
    fn submit(&mut self, level: usize, data: &[u8], w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.get_mut(level).filter(|_| !data.is_empty()) else {
            return;
        };
        let (is_orig, ctx) = (w.is_orig, &mut *w.ctx);
        if ctx.subs.wants(events::HttpEntityData::KIND) {
            for data in data.chunks(MAX_ENTITY_DATA) {
                tell!(ctx, HttpEntityData, is_orig: is_orig, length: data.len() as u64, data: data);
            }
        }
        carry::size(e, w);
        let at = e.offset;
        carry::give(e, Piece::Bytes { at, bytes: data }, w);
        e.offset = e.offset.map(|at| at.saturating_add(data.len() as u64));
    }

    // What is not at hand.

    /// How many of the next bytes nobody reads: those of a body that is as it is meant, of known length or to the
    /// connection's end, whose file nobody reads.
    pub fn skippable(&self, content: &Content) -> u64 {
        match self.entities.as_slice() {
            [e] if !e.in_header && !e.ended && e.kind == Kind::Data => {
                let plain = matches!(e.coding, Coding::Identity) && e.transfer == Transfer::AsIs;
                let quiet = plain && !e.is_read && e.body_len > 0;
                if quiet { content.plain() } else { 0 }
            }
            _ => 0,
        }
    }

    /// So many bytes came that nobody reads, no more than [`Message::skippable`] says.
    pub fn unseen(&mut self, len: u64, w: &mut Work<'_, '_>) {
        w.content.skip(len);
        let Some(e) = self.entities.first_mut() else {
            return;
        };
        e.body_len = e.body_len.saturating_add(len);
        carry::size(e, w);
        let at = e.offset;
        carry::give(e, Piece::Unseen { at, len }, w);
        e.offset = e.offset.map(|at| at.saturating_add(len));
        if e.length.is_some() || e.chunks == Chunks::Data {
            self.advance(0, len, w);
        }
    }

    /// Some came that nobody reads, of which [`Message::unseen`] tells later.
    pub fn coming(&mut self, w: &mut Work<'_, '_>) {
        if let Some(e) = self.entities.first_mut() {
            carry::give(e, Piece::Coming, w);
        }
    }

    /// So many bytes never came. Whether the message goes on behind them.
    pub fn undelivered(&mut self, len: u64, w: &mut Work<'_, '_>) -> bool {
        let level = self.innermost();
        let Some(e) = self.entities.get_mut(level) else {
            return false;
        };
        if e.ended && e.in_header || e.body_len == 0 {
            return false;
        }
        let at = Some(e.body_len);
        carry::give(e, Piece::Gap { at, len }, w);
        e.offset = e.offset.map(|at| at.saturating_add(len));
        let known = match e.chunks {
            Chunks::No => e.length.is_some() && e.kind == Kind::Data,
            chunks => chunks == Chunks::Data,
        };
        if !known || u64::try_from(e.left).is_ok_and(|left| left < len) {
            return false;
        }
        e.body_len = e.body_len.saturating_add(len);
        e.left = e.left.saturating_sub_unsigned(len);
        w.content.set_plain(u64::try_from(e.left).unwrap_or(0));
        self.gap_len = self.gap_len.saturating_add(len);
        self.advance(level, 0, w);
        true
    }
}

/// Bytes of a line or of a piece, as Zeek counts them: an end of a line is two.
fn size(data: &[u8], ends: bool) -> i64 {
    i64::try_from(data.len())
        .unwrap_or(i64::MAX)
        .saturating_add(if ends { 2 } else { 0 })
}

/// Says what all headers together say.
fn tell_headers(e: &mut Entity, w: &mut Work<'_, '_>) {
    let (is_orig, ctx) = (w.is_orig, &mut *w.ctx);
    if ctx.subs.wants(events::HttpAllHeaders::KIND) {
        let headers = std::mem::take(&mut e.headers);
        let all = headers.iter().map(|(name, value)| (&name[..], &value[..]));
        work::all_headers(is_orig, all, ctx);
    }
    if ctx.subs.wants(events::HttpContentType::KIND) {
        let said = e.media_type.as_ref().map(|said| (&said.0[..], &said.1[..]));
        work::content_type(is_orig, said, ctx);
    }
}
