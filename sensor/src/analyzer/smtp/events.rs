//! Events of SMTP, and those of mails' parts, under Zeek's names and with its arguments. POP3 raises the latter, too.

use crate::analyzer::http::events::{MimeHeader, MimeHeaderList};
use crate::event::page::events;

events! {
    /// Events of mails and SMTP. Text is as it was sent; what is no UTF-8 in it is written as `\xNN`.
    page 12 "smtp" of "smtp";

    /// A command of a mail's sender.
    /// `is_orig`: the originator sends mail; `command`: in upper case; `.` at the end of a mail, `**` for an answer in an
    /// exchange that AUTH began, `(UNKNOWN)` if it was lost; `arg`: the rest of the line.
    SmtpRequest "smtp_request" (c: conn, is_orig: bool, command: text, arg: text);

    /// A line of a reply.
    /// `is_orig`: its sender; `code`: the three digits; `cmd`: the command that it answers, `>` for the greeting, `.` behind
    /// a mail; `msg`: the rest of the line; `cont_resp`: more lines follow.
    SmtpReply "smtp_reply" (c: conn, is_orig: bool, code: count, cmd: text, msg: text, cont_resp: bool);

    /// A line of a mail behind DATA, headers and bodies as they are written.
    /// `is_orig`: its sender; `data`: the line without its end and without the dot that stands before another dot; of a line
    /// of more than 64 KiB in a body a piece.
    SmtpData "smtp_data" (c: conn, is_orig: bool, data: bytes);

    /// The rest of the connection is TLS.
    SmtpStarttls "smtp_starttls" (c: conn);

    /// Something came that should not come here.
    /// `is_orig`: who sent it; `msg`: what is wrong with it; `detail`: the line, or what was expected.
    SmtpUnexpected "smtp_unexpected" (c: conn, is_orig: bool, msg: text, detail: text);

    /// A mail begins, or a part of one.
    MimeBeginEntity "mime_begin_entity" (c: conn);

    /// A mail is over, or a part of one.
    MimeEndEntity "mime_end_entity" (c: conn);

    /// A header of a mail, or of a part of one.
    /// `h`: its name as it was sent and in upper case, its value.
    MimeOneHeader "mime_one_header" (c: conn, h: record MimeHeader<'a>);

    /// All headers of a mail, or of a part of one.
    /// `hlist`: each under its place, the first one is 1; no more than 200, and no more than 256 KiB.
    MimeAllHeaders "mime_all_headers" (c: conn, hlist: record MimeHeaderList<'a>);

    /// A piece of a body, decoded.
    /// `length`: bytes of the piece; `data`: the piece, no more than 1024 bytes and no more than a line.
    MimeSegmentData "mime_segment_data" (c: conn, length: count, data: bytes);

    /// Something in a mail is not as it should be.
    /// `event_type`: what sort of thing; `detail`: what exactly.
    MimeEvent "mime_event" (c: conn, event_type: text, detail: text);
}

/// Raises an event of the connection if somebody wants it.
macro_rules! raise {
    ($ctx:expr, $event:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        if $ctx.subs.wants($crate::analyzer::smtp::events::$event::KIND) {
            let ev = $crate::analyzer::smtp::events::$event { c: $ctx.c, $($field $(: $value)?),* };
            $ctx.out.event($ctx.ts, &ev as &dyn $crate::event::Event);
        }
    };
}

pub(crate) use raise;
