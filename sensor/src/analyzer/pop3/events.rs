//! Events of POP3 and IMAP, under Zeek's names and with its arguments.

use crate::event::page::events;

events! {
    /// Events of POP3 and IMAP. Text is as it was sent, with single blanks; what is no UTF-8 in it is written as `\xNN`. The
    /// mails that POP3 carries raise `mime_begin_entity` and the others.
    page 18 "mail" of "mail";

    /// A command of POP3.
    /// `is_orig`: its sender; `command`: in upper case; `arg`: the rest of the line.
    Pop3Request "pop3_request" (c: conn, is_orig: bool, command: text, arg: text);

    /// A reply of POP3, or its first line.
    /// `is_orig`: its sender; `cmd`: `OK` or `ERR`; `msg`: the rest of the line.
    Pop3Reply "pop3_reply" (c: conn, is_orig: bool, cmd: text, msg: text);

    /// A further line of a reply, such as one of a mail.
    /// `is_orig`: its sender; `data`: the line; of one of more than 64 KiB in a body a piece.
    Pop3Data "pop3_data" (c: conn, is_orig: bool, data: text);

    /// Something came that should not come here.
    /// `is_orig`: who sent it; `msg`: the command; `detail`: what is wrong with it.
    Pop3Unexpected "pop3_unexpected" (c: conn, is_orig: bool, msg: text, detail: text);

    /// The rest of the connection is TLS.
    Pop3Starttls "pop3_starttls" (c: conn);

    /// The server let the client in, by a command for which it was asked who it is.
    /// `is_orig`: who said so; `user`: the client's name; `password`: what it said to prove that, if it is legible.
    Pop3LoginSuccess "pop3_login_success" (c: conn, is_orig: bool, user: text, password: text);

    /// The server did not.
    /// `is_orig`: who said so; `user`: the client's name; `password`: what it said to prove that, if it is legible.
    Pop3LoginFailure "pop3_login_failure" (c: conn, is_orig: bool, user: text, password: text);

    /// A server says what it can.
    /// `capabilities`: the words.
    ImapCapabilities "imap_capabilities" (c: conn, capabilities: string_vec);

    /// The rest of the connection is TLS.
    ImapStarttls "imap_starttls" (c: conn);
}

/// Raises an event of the connection if somebody wants it.
macro_rules! raise {
    ($ctx:expr, $event:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        if $ctx.subs.wants($crate::analyzer::pop3::events::$event::KIND) {
            let ev = $crate::analyzer::pop3::events::$event { c: $ctx.c, $($field $(: $value)?),* };
            $ctx.out.event($ctx.ts, &ev as &dyn $crate::event::Event);
        }
    };
}

pub(crate) use raise;
