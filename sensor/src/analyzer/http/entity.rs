//! An entity: headers and a body, of a message or of a part of its body. What its headers say of the body.

use super::body::Base64;
use super::mime::{self, Kind, Transfer};
use super::unpack::{Scheme, Unpacker};
use super::wire::{self, V11};
use super::work::Work;
use crate::file::Handle;

/// Whether a message has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// It has none, whatever its headers say.
    Nothing,
    /// It has one if its headers say so.
    Maybe,
    /// It has one, to the connection's end if nothing else is said.
    Body,
}

/// Where in a body of chunks (RFC 9112, section 7.1) it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// It is none.
    No,
    /// The headers are not over.
    Before,
    Size,
    Data,
    DataEnd,
    Trailer,
    Over,
}

/// How the body's data is written (Content-Encoding).
#[derive(Debug)]
pub enum Coding {
    Identity,
    /// What takes it off is made when the first bytes come.
    Compressed(Scheme, Option<Box<Unpacker>>),
}

/// One entity.
#[derive(Debug)]
pub struct Entity {
    pub expects: Expects,
    pub kind: Kind,
    /// What is before each of its parts.
    pub boundary: Option<Box<[u8]>>,
    pub chunks: Chunks,
    pub coding: Coding,
    pub transfer: Transfer,
    pub base64: Option<Box<Base64>>,
    /// What of quoted-printable waits for more: an escaped byte's beginning.
    pub escape: Vec<u8>,
    /// Its headers are not over.
    pub in_header: bool,
    pub ended: bool,
    /// Length of the body by Content-Length and Content-Range.
    pub length: Option<u64>,
    /// By Content-Range alone.
    pub range: Option<u64>,
    /// `Expect` was among the headers.
    expect_100: bool,
    /// Bytes of the body, or of the chunk, that are still to come.
    pub left: i64,
    /// Bytes of its body so far, decompressed.
    pub body_len: u64,
    /// Bytes of its headers.
    pub header_len: u64,
    /// The end of the last line belongs to the body if another line comes.
    pub line_end_due: bool,
    /// Its file, once it is known.
    pub file: Option<Handle>,
    /// The pair whose row names its file.
    pub exchange: Option<u64>,
    /// Its body is a part of the file, from here on.
    pub offset: Option<u64>,
    /// Size of the whole file, by Content-Range.
    pub whole: Option<u64>,
    /// The file's size was said, or is not known.
    pub size_said: bool,
    /// Somebody reads the file, as far as is known.
    pub is_read: bool,
    /// Type and subtype as they were sent, if somebody wants to know.
    pub media_type: Option<Box<(Vec<u8>, Vec<u8>)>>,
    /// All headers, if somebody wants them.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What becomes of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// It is told.
    Told,
    /// It counts as not there.
    Ignored,
}

impl Entity {
    /// In a part of a body, which inherits how it is written.
    pub fn new(expects: Expects, transfer: Transfer) -> Entity {
        Entity {
            expects,
            kind: Kind::Data,
            boundary: None,
            chunks: Chunks::No,
            coding: Coding::Identity,
            transfer,
            base64: None,
            escape: Vec::new(),
            in_header: true,
            ended: false,
            length: None,
            range: None,
            expect_100: false,
            left: 0,
            body_len: 0,
            header_len: 0,
            line_end_due: false,
            file: None,
            exchange: None,
            offset: None,
            whole: None,
            size_said: false,
            is_read: true,
            media_type: None,
            headers: Vec::new(),
        }
    }

    /// Takes in a header. `is_top`: the message's own.
    pub fn header(&mut self, name: &[u8], value: &[u8], is_top: bool, w: &mut Work<'_, '_>) -> Header {
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        if is(b"content-type") {
            self.content_type(value, w);
        } else if is(b"content-transfer-encoding") {
            match mime::token(value) {
                Some((token, _)) => self.transfer = Transfer::of(token),
                None => w.illegal(b"encoding type not found in content encoding"),
            }
        }
        if is(b"content-length") {
            self.content_length(value, w);
        } else if is(b"content-range") && w.both.code == 206 {
            return self.content_range(value, w);
        } else if is(b"transfer-encoding") {
            self.transfer_encoding(value, is_top, w);
        } else if is(b"content-encoding") {
            if let Some(scheme) = Scheme::of(value) {
                self.coding = Coding::Compressed(scheme, None);
            }
        } else if is(b"expect") {
            let token = mime::token(value).map_or(&b""[..], |(token, _)| token);
            if !token.eq_ignore_ascii_case(b"100-continue") {
                w.weird("HTTP_expect_not_100_continue", token);
            }
            self.expect_100 = true;
            self.check_expectation(w);
        }
        Header::Told
    }

    fn check_expectation(&self, w: &mut Work<'_, '_>) {
        if self.length == Some(0) && self.expect_100 {
            w.weird("HTTP_content_length_0_and_expect_100_cont", b"");
        }
    }

    fn content_type(&mut self, value: &[u8], w: &mut Work<'_, '_>) {
        let Some((main, sub, parameters)) = mime::media_type(value) else {
            return w.illegal(b"media type/subtype not found in content type");
        };
        if w.wants_types() {
            self.media_type = Some(Box::new((main.to_vec(), sub.to_vec())));
        }
        self.kind = Kind::of(main);
        if self.kind != Kind::Multipart {
            return;
        }
        let boundary = mime::boundary(parameters, &mut |what| w.illegal(what.as_bytes()));
        self.boundary = boundary.map(Vec::into_boxed_slice).or(self.boundary.take());
        if self.boundary.is_none() {
            w.illegal(
                b"boundary delimiter is not specified for a multipart entity -- content is treated as type \
                  application/octet-stream",
            );
            self.kind = Kind::Data;
        }
    }

    fn content_length(&mut self, value: &[u8], w: &mut Work<'_, '_>) {
        if self.chunks != Chunks::No {
            w.weird("HTTP_content_length_and_chunked", b"");
        }
        let Some((token, _)) = mime::token(value) else {
            return;
        };
        let number = wire::number(token, 10).and_then(|n| u64::try_from(n).ok());
        let Some(n) = number else {
            w.weird("HTTP_bad_content_length", token);
            self.length = Some(0);
            return;
        };
        if n > 0 && token.first() == Some(&b'0') {
            w.weird("HTTP_content_length_leading_zeros", token);
        }
        self.length = Some(n);
        if let Some(range) = self.range.filter(|range| *range != n) {
            w.weird("HTTP_range_not_matching_len", b"");
            self.length = Some(range.max(n));
        }
        self.check_expectation(w);
    }

    fn content_range(&mut self, value: &[u8], w: &mut Work<'_, '_>) -> Header {
        if self.chunks != Chunks::No {
            w.weird("HTTP_content_range_and_chunked", b"");
        }
        let said = mime::range(value, &mut |shown| {
            w.weird("HTTP_content_range_invalid_instance", shown);
        });
        let range = match said {
            Ok(range) => range,
            Err(bad) => {
                w.weird(bad.name, &bad.shown);
                return Header::Ignored;
            }
        };
        self.offset = Some(range.first);
        self.range = Some(range.len);
        self.whole = range.whole.or(self.whole);
        match self.length.filter(|n| *n > 0) {
            Some(n) if n != range.len => {
                w.weird("HTTP_range_not_matching_len", b"");
                self.length = Some(n.max(range.len));
            }
            Some(_) => {}
            None => self.length = Some(range.len),
        }
        Header::Told
    }

    /// Only the message's own says how the message is written: in a part it would change how the rest of it is read.
    fn transfer_encoding(&mut self, value: &[u8], is_top: bool, w: &mut Work<'_, '_>) {
        if !is_top {
            return w.weird("HTTP_nested_transfer_encoding_header", b"");
        }
        let Some((token, rest)) = mime::token(value) else {
            return;
        };
        if !token.eq_ignore_ascii_case(b"chunked") || w.both.version_at_work() != V11 {
            return;
        }
        self.chunks = Chunks::Before;
        if !rest.is_empty() {
            w.weird("HTTP_chunked_multi", rest);
        }
        if self.length.is_some() {
            w.weird("HTTP_content_length_and_chunked", b"");
        }
    }
}
