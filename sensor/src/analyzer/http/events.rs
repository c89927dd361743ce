//! Events of HTTP, under Zeek's names and with its arguments.

use crate::event::page::events;
use crate::event::record::{InVec, MOST_IN_VEC, RecordVec, record};

record! {
    /// What is to be said of a message that is over.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct MessageStat<'a> is "http_message_stat" {
        /// When its first line came.
        start: time,
        /// It did not come to its end.
        interrupted: bool,
        /// Why it is over.
        finish_msg: text,
        /// Bytes of its body, decompressed.
        body_length: count,
        /// How many of them are missing.
        content_gap_length: count,
        /// Bytes of its first line and headers, without the lines' ends.
        header_length: count,
    }
}

record! {
    /// What is to be said of a connection that is over.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct HttpStats is "http_stats_rec" {
        /// Requests.
        num_requests: count,
        /// Replies.
        num_replies: count,
        /// Version of the last request.
        request_version: double,
        /// Version of the last reply.
        reply_version: double,
    }
}

record! {
    /// A header.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct MimeHeader<'a> is "mime_header_rec" {
        /// Its name as it was sent.
        original_name: text,
        /// Its name in upper case.
        name: text,
        /// Its value.
        value: text,
    }
}

impl InVec for MimeHeader<'_> {
    const ONE: &'static str = MimeHeader::NAME;
    const ALL: &'static str = "mime_header_list";
}

/// The headers of an entity.
pub type MimeHeaderList<'a> = RecordVec<'a, MimeHeader<'a>>;

/// Most headers of an entity that the event has.
pub const MAX_LISTED: usize = MOST_IN_VEC;

events! {
    /// Events of HTTP, under Zeek's names. Text is as it was sent; what is no UTF-8 in it is written as `\xNN`.
    page 9 "http" of "http";

    /// A request line.
    /// `method`: what is to be done; `original_URI`: as it was sent; `unescaped_URI`: with its percent-encodings decoded;
    /// `version`: of HTTP, such as `1.1` or `2`, or 0.9 where it is left out.
    HttpRequest "http_request" (
        c: conn, method: text, original_uri = "original_URI": text, unescaped_uri = "unescaped_URI": text,
        version: text
    );

    /// A status line.
    /// `version`: of HTTP; `code`: 0 when it is no number; `reason`: the phrase behind it, or `<empty>`.
    HttpReply "http_reply" (c: conn, version: text, code: count, reason: text);

    /// A header, of a message or of a part of its body.
    /// `is_orig`: of a request; `original_name`: as it was sent; `name`: in upper case; `value`: without blanks before it.
    HttpHeader "http_header" (c: conn, is_orig: bool, original_name: text, name: text, value: text);

    /// All headers of a message, or of a part of its body.
    /// `is_orig`: of a request; `hlist`: each under its place, the first one is 1; no more than 200.
    HttpAllHeaders "http_all_headers" (c: conn, is_orig: bool, hlist: record MimeHeaderList<'a>);

    /// A message's headers and body begin, or a part of its body.
    /// `is_orig`: of a request.
    HttpBeginEntity "http_begin_entity" (c: conn, is_orig: bool);

    /// A message's body is over, or a part of it.
    /// `is_orig`: of a request.
    HttpEndEntity "http_end_entity" (c: conn, is_orig: bool);

    /// A piece of a body, decompressed.
    /// `is_orig`: of a request; `length`: bytes of the piece; `data`: the piece, no more than 1500 bytes.
    HttpEntityData "http_entity_data" (c: conn, is_orig: bool, length: count, data: bytes);

    /// The type of a message's body, or of a part of it; TEXT and PLAIN where no header says it.
    /// `is_orig`: of a request; `ty`, `subty`: in upper case.
    HttpContentType "http_content_type" (c: conn, is_orig: bool, ty: text, subty: text);

    /// A message is over.
    /// `is_orig`: it is a request; `stat`: when it began, why it is over, how long it was.
    HttpMessageDone "http_message_done" (c: conn, is_orig: bool, stat: record MessageStat<'a>);

    /// Something is not as it should be.
    /// `event_type`: what sort of thing; `detail`: what exactly.
    HttpEvent "http_event" (c: conn, event_type: text, detail: text);

    /// The connection is over.
    /// `stats`: what was seen of it.
    HttpStatsEvent "http_stats" (c: conn, stats: record HttpStats);

    /// The rest of the connection is another protocol's (reply 101).
    /// `protocol`: as the reply names it.
    HttpConnectionUpgrade "http_connection_upgrade" (c: conn, protocol: text);
}

/// Says it to who wants the event.
macro_rules! tell {
    ($ctx:ident, $event:ident, $($field:ident: $value:expr),*) => {
        if $ctx.subs.wants($crate::analyzer::http::events::$event::KIND) {
            let ev = $crate::analyzer::http::events::$event { c: $ctx.c, $($field: $value),* };
            $ctx.out.event($ctx.ts, &ev);
        }
    };
}

pub(super) use tell;
