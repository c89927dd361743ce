//! A mail as it is built (RFC 5322, RFC 2045): the entities that are open, innermost last, and their bodies as files.

use crate::analyzer::api::Ctx;
use crate::analyzer::http::body::{Base64, quoted_printable};
use crate::analyzer::http::mime::{self, Delimiter, Kind, MAX_DEPTH, MAX_HEADER, Transfer};
use crate::analyzer::lines::skip_blank;
use crate::file::{Carrier, Handle, Piece};

/// A line of a mail, or a piece of a long one.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Without its end.
    pub bytes: &'a [u8],
    /// It begins here.
    pub starts: bool,
    /// It ends here.
    pub ends: bool,
    /// And so with the end that lines have; the last one of a chunk may have none.
    pub crlf: bool,
}

/// A mail that is being read.
#[derive(Debug)]
pub struct Mail {
    /// The first is the mail's own; each of the others is inside the one before it.
    entities: Vec<Entity>,
    /// The header under construction.
    header: Option<Vec<u8>>,
    /// Name of the innermost entity, by its headers.
    name: Option<Vec<u8>>,
    /// Its file, once there is something of it.
    file: Option<Handle>,
    /// Bytes of its file so far.
    len: u64,
    /// Entities of the connection so far.
    count: u64,
    /// What was decoded last: only its memory is kept.
    decoded: Vec<u8>,
}

#[derive(Debug)]
struct Entity {
    kind: Kind,
    /// What is before each of its parts.
    boundary: Option<Box<[u8]>>,
    transfer: Transfer,
    base64: Option<Box<Base64>>,
    in_header: bool,
    ended: bool,
    /// The end of the last line belongs to the body if another line comes; else it is the delimiter's.
    line_end_due: bool,
}

impl Mail {
    /// A mail on a connection that brought `count` entities before it.
    pub fn new(count: u64) -> Mail {
        let mut mail = Mail {
            entities: Vec::new(),
            header: None,
            name: None,
            file: None,
            len: 0,
            count,
            decoded: Vec::new(),
        };
        mail.begin(Transfer::AsIs);
        mail
    }

    /// Entities of the connection so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether what comes next is of a body.
    pub fn is_in_body(&self) -> bool {
        self.entities.last().is_some_and(|e| !e.in_header)
    }

    /// A line, for the innermost entity unless it delimits parts of one around it.
    pub fn line(&mut self, line: Line<'_>, ctx: &mut Ctx<'_>) {
        let mut entities = self.entities.iter().filter(|_| line.starts);
        if let Some(at) = entities.position(|e| e.delimiter(line.bytes) != Delimiter::No) {
            return self.delimiter(at, line.bytes, ctx);
        }
        match self.entities.last() {
            Some(e) if e.in_header => self.header_line(line.bytes, ctx),
            Some(e) if e.kind == Kind::Data => self.data(line, ctx),
            // Before the first part, or behind the last one.
            _ => {}
        }
    }

    /// So many bytes of the mail never came.
    pub fn lost(&mut self, len: u64, ctx: &mut Ctx<'_>) {
        let at = Some(self.len);
        self.give(Piece::Gap { at, len }, ctx);
    }

    /// The mail is over.
    pub fn end(&mut self, ctx: &mut Ctx<'_>) {
        self.end_from(0, ctx);
        // A gap behind the last entity's end is a file, too.
        self.end_file(ctx);
    }

    // Entities.

    fn begin(&mut self, transfer: Transfer) {
        self.count = self.count.saturating_add(1);
        (self.name, self.file, self.len) = (None, None, 0);
        self.entities.push(Entity {
            kind: Kind::Data,
            boundary: None,
            transfer,
            base64: None,
            in_header: true,
            ended: false,
            line_end_due: false,
        });
    }

    /// An entity begins inside the innermost one, and inherits how it is written.
    fn begin_inside(&mut self, ctx: &mut Ctx<'_>) {
        let depth = self.entities.len().saturating_sub(1);
        if depth >= MAX_DEPTH {
            return gave_up("exceeded_mime_max_depth", depth, ctx);
        }
        let transfer = self.entities.last().map_or(Transfer::AsIs, |e| e.transfer);
        self.begin(transfer);
    }

    /// A line between the parts of entity `at`, or behind the last one.
    fn delimiter(&mut self, at: usize, line: &[u8], ctx: &mut Ctx<'_>) {
        self.end_from(at + 1, ctx);
        match self.entities.last() {
            Some(e) if e.delimiter(line) == Delimiter::Closing => self.end_innermost(ctx),
            Some(e) if !e.ended => self.begin_inside(ctx),
            _ => {}
        }
    }

    /// Entity `at` is over with all that are inside, and they are gone.
    fn end_from(&mut self, at: usize, ctx: &mut Ctx<'_>) {
        while self.entities.len() > at {
            self.end_innermost(ctx);
            self.entities.pop();
        }
    }

    fn end_innermost(&mut self, ctx: &mut Ctx<'_>) {
        let Some(e) = self.entities.last_mut().filter(|e| !e.ended) else {
            return;
        };
        e.ended = true;
        if std::mem::take(&mut e.in_header) {
            self.end_header();
        } else if let Some(decoder) = e.base64.take() {
            self.end_base64(*decoder, ctx);
        }
        self.end_file(ctx);
    }

    fn end_file(&mut self, ctx: &mut Ctx<'_>) {
        if self.file.is_some() {
            self.give(Piece::End, ctx);
        }
        (self.name, self.file) = (None, None);
    }

    fn end_base64(&mut self, mut decoder: Base64, ctx: &mut Ctx<'_>) {
        let mut out = Vec::new();
        if let Some(said) = decoder.finish(&mut out) {
            ctx.out.weird("base64_illegal_encoding", &said);
        }
        self.submit(&out, ctx);
    }

    // Headers.

    fn header_line(&mut self, line: &[u8], ctx: &mut Ctx<'_>) {
        match (line, &mut self.header) {
            ([] | [0, ..], _) => {
                self.end_header();
                self.begin_body(ctx);
            }
            // A line that begins with a blank is more of the header before (RFC 5322, section 2.2.3).
            ([b' ' | b'\t', ..], Some(header)) if header.len() < MAX_HEADER => header.extend_from_slice(line),
            ([b' ' | b'\t', ..], Some(header)) => {
                gave_up("exceeded_mime_max_header_bytes", header.len(), ctx);
            }
            _ => {
                self.end_header();
                self.header = Some(skip_blank(line).to_vec()).filter(|h| !h.is_empty());
            }
        }
    }

    /// The header under construction is complete.
    fn end_header(&mut self) {
        let header = self.header.take().unwrap_or_default();
        let Some((name, value)) = mime::field(&header) else {
            return;
        };
        if let Some(e) = self.entities.last_mut() {
            e.header(name, value);
        }
        if let Some(name) = mime::file_name(name, value) {
            self.name = Some(name);
        }
    }

    fn begin_body(&mut self, ctx: &mut Ctx<'_>) {
        let Some(e) = self.entities.last_mut() else { return };
        e.in_header = false;
        match e.kind {
            Kind::Message => self.begin_inside(ctx),
            Kind::Data if e.transfer == Transfer::Base64 => e.base64 = Some(Box::default()),
            Kind::Data | Kind::Multipart => {}
        }
    }

    // Bodies.

    /// Data of a body as it is written.
    fn data(&mut self, line: Line<'_>, ctx: &mut Ctx<'_>) {
        let mut out = std::mem::take(&mut self.decoded);
        out.clear();
        let in_parts = self.is_part();
        let Some(e) = self.entities.last_mut() else { return };
        match (e.transfer, &mut e.base64) {
            (Transfer::Base64, Some(decoder)) => {
                if let Some(said) = decoder.push(line.bytes, &mut out) {
                    ctx.out.weird("base64_illegal_encoding", &said);
                }
            }
            (Transfer::QuotedPrintable, _) => {
                quoted_printable(line.bytes, line.ends, &mut out, &mut |_| {});
            }
            _ => {
                if std::mem::replace(&mut e.line_end_due, in_parts && line.crlf) {
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(line.bytes);
                if line.crlf && !in_parts {
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
        self.submit(&out, ctx);
        self.decoded = out;
    }

    /// Whether the innermost entity is one of several parts.
    fn is_part(&self) -> bool {
        let outer = self.entities.iter().rev().nth(1);
        outer.is_some_and(|e| e.kind == Kind::Multipart)
    }

    /// Data of a body as it is meant.
    fn submit(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) {
        if !bytes.is_empty() {
            self.give(Piece::Bytes { at: None, bytes }, ctx);
            self.len = self.len.saturating_add(bytes.len() as u64);
        }
    }

    /// Gives a piece of the innermost entity's file to the files room.
    fn give(&mut self, piece: Piece<'_>, ctx: &mut Ctx<'_>) {
        let count = self.count;
        let handle = *self.file.get_or_insert_with(|| {
            let uid = ctx.c.uid.to_string();
            Handle::of(&[b"SMTP", uid.as_bytes(), &count.to_be_bytes()])
        });
        let carrier = Carrier {
            handle,
            tag: ctx.tag(),
            source: "SMTP",
            c: ctx.c,
            // The one who connects sends the mail.
            is_orig: true,
            depth: count,
            name: self.name.as_deref(),
            mime: None,
        };
        ctx.out.file(&carrier, piece);
    }
}

/// A limit was reached, and `at` it what is behind it is not looked at.
fn gave_up(limit: &'static str, at: usize, ctx: &mut Ctx<'_>) {
    ctx.out.gave_up();
    ctx.out.weird_from(limit, &at.to_string(), "SMTP");
}

impl Entity {
    /// Takes in a header.
    fn header(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"content-type") {
            self.content_type(value);
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding")
            && let Some((word, _)) = mime::token(value)
        {
            self.transfer = Transfer::of(word);
        }
    }

    fn content_type(&mut self, value: &[u8]) {
        let Some((main, _, parameters)) = mime::media_type(value) else {
            return;
        };
        self.kind = Kind::of(main);
        if self.kind == Kind::Multipart {
            if let Some(boundary) = mime::boundary(parameters, &mut |_| {}) {
                self.boundary = Some(boundary.into_boxed_slice());
            }
            // What cannot be told apart is data.
            if self.boundary.is_none() {
                self.kind = Kind::Data;
            }
        }
    }

    /// Which of its delimiters a line is.
    fn delimiter(&self, line: &[u8]) -> Delimiter {
        match self.kind == Kind::Multipart && !self.in_header {
            true => Delimiter::of(line, self.boundary.as_deref()),
            false => Delimiter::No,
        }
    }
}
