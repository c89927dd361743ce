//! Events of FTP's control connection.

use crate::event::page::events;

events! {
    /// Events of FTP.
    page 13 "ftp" of "ftp";

    /// The client sent a command.
    /// `command`: it, in capitals; `arg`: what follows it.
    FtpRequest "ftp_request" (c: conn, command: text, arg: text);
    /// The server sent a line of a reply.
    /// `code`: the reply's; 0 in lines between the first and the last one of a reply. `msg`: the line behind the code;
    /// `cont_resp`: the reply goes on.
    FtpReply "ftp_reply" (c: conn, code: count, msg: text, cont_resp: bool);
    /// The server has accepted AUTH TLS: TLS follows, and no further events of FTP.
    FtpStarttls "ftp_starttls" (c: conn);
}
