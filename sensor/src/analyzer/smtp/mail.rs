//! A mail as it is built (RFC 5322, RFC 2045): the entities that are open, innermost last, and their bodies as files.

use super::events::MimeAllHeaders;
use super::work::Work;
use crate::analyzer::http::body::{Base64, quoted_printable};
use crate::analyzer::http::events::{MAX_LISTED, MimeHeader};
use crate::analyzer::http::mime::{self, Delimiter, Kind, MAX_DEPTH, MAX_HEADER, Transfer};
use crate::analyzer::lines::skip_blank;
use crate::analyzer::text::of_bytes;
use crate::file::{Handle, Piece};

const NO_BOUNDARY: &str = "boundary delimiter is not specified for a multipart entity -- content is treated as type \
                           application/octet-stream";

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
    /// The innermost entity's headers, if somebody wants all of them.
    headers: Headers,
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
    pub fn new(count: u64, w: &mut Work<'_, '_>) -> Mail {
        let mut mail = Mail {
            entities: Vec::new(),
            header: None,
            headers: Headers::default(),
            name: None,
            file: None,
            len: 0,
            count,
            decoded: Vec::new(),
        };
        mail.begin(Transfer::AsIs, w);
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
    pub fn line(&mut self, line: Line<'_>, w: &mut Work<'_, '_>) {
        let mut entities = self.entities.iter().filter(|_| line.starts);
        if let Some(at) = entities.position(|e| e.delimiter(line.bytes) != Delimiter::No) {
            return self.delimiter(at, line.bytes, w);
        }
        match self.entities.last() {
            Some(e) if e.in_header => self.header_line(line.bytes, w),
            Some(e) if e.kind == Kind::Data => self.data(line, w),
            // Before the first part, or behind the last one.
            _ => {}
        }
    }

    /// So many bytes of the mail never came.
    pub fn lost(&mut self, len: u64, w: &mut Work<'_, '_>) {
        let at = Some(self.len);
        self.give(Piece::Gap { at, len }, w);
    }

    /// The mail is over.
    pub fn end(&mut self, w: &mut Work<'_, '_>) {
        self.end_from(0, w);
        // A gap behind the last entity's end is a file, too.
        self.end_file(w);
    }

    // Entities.

    fn begin(&mut self, transfer: Transfer, w: &mut Work<'_, '_>) {
        w.begins();
        self.headers = Headers::default();
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
    fn begin_inside(&mut self, w: &mut Work<'_, '_>) {
        let depth = self.entities.len().saturating_sub(1);
        if depth >= MAX_DEPTH {
            return w.limit("exceeded_mime_max_depth", depth);
        }
        let transfer = self.entities.last().map_or(Transfer::AsIs, |e| e.transfer);
        self.begin(transfer, w);
    }

    /// A line between the parts of entity `at`, or behind the last one.
    fn delimiter(&mut self, at: usize, line: &[u8], w: &mut Work<'_, '_>) {
        self.end_from(at + 1, w);
        match self.entities.last() {
            Some(e) if e.delimiter(line) == Delimiter::Closing => self.end_innermost(w),
            Some(e) if !e.ended => self.begin_inside(w),
            _ => {}
        }
    }

    /// Entity `at` is over with all that are inside, and they are gone.
    fn end_from(&mut self, at: usize, w: &mut Work<'_, '_>) {
        let around = self.entities.get(at..self.entities.len().saturating_sub(1));
        for e in around.unwrap_or(&[]) {
            if e.kind == Kind::Multipart && !e.ended {
                w.bad_format("multipart closing boundary delimiter missing");
            }
        }
        while self.entities.len() > at {
            self.end_innermost(w);
            self.entities.pop();
        }
    }

    fn end_innermost(&mut self, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.last_mut().filter(|e| !e.ended) else {
            return;
        };
        e.ended = true;
        if std::mem::take(&mut e.in_header) {
            self.end_headers(w);
            w.bad_format("entity body missing");
        } else if let Some(decoder) = e.base64.take() {
            self.end_base64(*decoder, w);
        }
        w.ends();
        self.end_file(w);
    }

    fn end_file(&mut self, w: &mut Work<'_, '_>) {
        if self.file.is_some() {
            self.give(Piece::End, w);
        }
        (self.name, self.file) = (None, None);
    }

    fn end_base64(&mut self, mut decoder: Base64, w: &mut Work<'_, '_>) {
        let mut out = Vec::new();
        if let Some(said) = decoder.finish(&mut out) {
            w.ctx.out.weird("base64_illegal_encoding", &said);
        }
        self.submit(&out, w);
    }

    // Headers.

    fn header_line(&mut self, line: &[u8], w: &mut Work<'_, '_>) {
        match (line, &mut self.header) {
            ([] | [0, ..], _) => {
                self.end_headers(w);
                self.begin_body(w);
            }
            // A line that begins with a blank is more of the header before (RFC 5322, section 2.2.3).
            ([b' ' | b'\t', ..], Some(header)) if header.len() < MAX_HEADER => header.extend_from_slice(line),
            ([b' ' | b'\t', ..], Some(header)) => {
                w.ctx.out.gave_up();
                w.limit("exceeded_mime_max_header_bytes", header.len());
            }
            _ => {
                if matches!(line, [b' ' | b'\t', ..]) {
                    w.bad_format("first header line starts with linear whitespace");
                }
                self.end_header(w);
                self.header = Some(skip_blank(line).to_vec()).filter(|h| !h.is_empty());
            }
        }
    }

    /// The header under construction is complete.
    fn end_header(&mut self, w: &mut Work<'_, '_>) {
        let header = self.header.take().unwrap_or_default();
        let Some((name, value)) = mime::field(&header) else {
            return;
        };
        if let Some(e) = self.entities.last_mut() {
            e.header(name, value, &mut |what| w.bad_format(what));
        }
        if let Some(name) = mime::file_name(name, value) {
            self.name = Some(name);
        }
        if w.ctx.subs.wants(MimeAllHeaders::KIND) {
            self.headers.add(name, value);
        }
        w.header(name, value);
    }

    /// All headers of the innermost entity came.
    fn end_headers(&mut self, w: &mut Work<'_, '_>) {
        self.end_header(w);
        std::mem::take(&mut self.headers).tell(w);
    }

    fn begin_body(&mut self, w: &mut Work<'_, '_>) {
        let Some(e) = self.entities.last_mut() else { return };
        e.in_header = false;
        match e.kind {
            Kind::Message => self.begin_inside(w),
            Kind::Data if e.transfer == Transfer::Base64 => e.base64 = Some(Box::default()),
            Kind::Data | Kind::Multipart => {}
        }
    }

    // Bodies.

    /// Data of a body as it is written.
    fn data(&mut self, line: Line<'_>, w: &mut Work<'_, '_>) {
        let mut out = std::mem::take(&mut self.decoded);
        out.clear();
        let in_parts = self.is_part();
        let Some(e) = self.entities.last_mut() else { return };
        match (e.transfer, &mut e.base64) {
            (Transfer::Base64, Some(decoder)) => {
                if let Some(said) = decoder.push(line.bytes, &mut out) {
                    w.ctx.out.weird("base64_illegal_encoding", &said);
                }
            }
            (Transfer::QuotedPrintable, _) => {
                quoted_printable(line.bytes, line.ends, &mut out, &mut |what| {
                    w.bad_encoding(&of_bytes(what));
                });
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
        self.submit(&out, w);
        self.decoded = out;
    }

    /// Whether the innermost entity is one of several parts.
    fn is_part(&self) -> bool {
        let outer = self.entities.iter().rev().nth(1);
        outer.is_some_and(|e| e.kind == Kind::Multipart)
    }

    /// Data of a body as it is meant.
    fn submit(&mut self, bytes: &[u8], w: &mut Work<'_, '_>) {
        if !bytes.is_empty() {
            w.segment(bytes);
            self.give(Piece::Bytes { at: None, bytes }, w);
            self.len = self.len.saturating_add(bytes.len() as u64);
        }
    }

    /// Gives a piece of the innermost entity's file to the files room.
    fn give(&mut self, piece: Piece<'_>, w: &mut Work<'_, '_>) {
        w.file(&mut self.file, self.count, self.name.as_deref(), piece);
    }
}

/// Headers of an entity, as names and values.
#[derive(Debug, Default)]
struct Headers {
    all: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of them.
    len: usize,
}

impl Headers {
    /// Most bytes of them that are kept.
    const MOST: usize = 256 * 1024;

    fn add(&mut self, name: &[u8], value: &[u8]) {
        let len = self.len.saturating_add(name.len()).saturating_add(value.len());
        if self.all.len() < MAX_LISTED && len <= Headers::MOST {
            self.len = len;
            self.all.push((name.to_vec(), value.to_vec()));
        }
    }

    /// Raises the event of all of them.
    fn tell(self, w: &mut Work<'_, '_>) {
        if !w.ctx.subs.wants(MimeAllHeaders::KIND) {
            return;
        }
        let texts = self.all.iter().map(|(name, value)| {
            let upper = of_bytes(&name.to_ascii_uppercase()).into_owned();
            (of_bytes(name), upper, of_bytes(value))
        });
        let texts: Vec<_> = texts.collect();
        let list = texts.iter().map(|(original_name, name, value)| MimeHeader {
            original_name,
            name,
            value,
        });
        w.headers(&list.collect::<Vec<_>>());
    }
}

impl Entity {
    /// Takes in a header. `illegal` is told what cannot be read.
    fn header(&mut self, name: &[u8], value: &[u8], illegal: &mut dyn FnMut(&'static str)) {
        if name.eq_ignore_ascii_case(b"content-type") {
            self.content_type(value, illegal);
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            match mime::token(value) {
                Some((word, _)) => self.transfer = Transfer::of(word),
                None => illegal("encoding type not found in content encoding"),
            }
        }
    }

    fn content_type(&mut self, value: &[u8], illegal: &mut dyn FnMut(&'static str)) {
        let Some((main, _, parameters)) = mime::media_type(value) else {
            return illegal("media type/subtype not found in content type");
        };
        self.kind = Kind::of(main);
        if self.kind == Kind::Multipart {
            if let Some(boundary) = mime::boundary(parameters, illegal) {
                self.boundary = Some(boundary.into_boxed_slice());
            }
            // What cannot be told apart is data.
            if self.boundary.is_none() {
                illegal(NO_BOUNDARY);
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
