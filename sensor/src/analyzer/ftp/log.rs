//! The row of ftp.log.

use std::net::IpAddr;

use crate::event::{ConnId, Ts, row};

row! {
    /// One row of ftp.log: a command that transfers or deletes a file, or that prepares it, with its reply.
    #[derive(Clone, Debug, PartialEq)]
    pub struct FtpRow in "ftp" {
        /// When the command came.
        ts: time,
        /// Whose it is.
        c: conn,
        /// The user's name; `<unknown>` until one is told.
        user: wire,
        /// What was told for a password: `<hidden>`, unless the user is a guest.
        password: opt wire,
        /// The command, in capitals.
        command: opt wire,
        /// Its argument; a URL where that is a file or a directory.
        arg: opt wire,
        /// Type of the file that was transferred, by a look at its beginning.
        mime_type: opt enumeration,
        /// The file's size, as the server says, bytes.
        file_size: opt count,
        /// The last reply's code.
        reply_code: opt count (u16),
        /// The last reply's text.
        reply_msg: opt wire,
        /// Whether the client connects to the server for data.
        passive = "data_channel.passive": opt bool,
        /// Who will begin the data connection.
        data_orig_h = "data_channel.orig_h": opt addr,
        /// Who will accept it.
        data_resp_h = "data_channel.resp_h": opt addr,
        /// On which port.
        data_resp_p = "data_channel.resp_p": opt port,
        /// The transferred file's id.
        fuid: opt text (String),
    }
}

impl FtpRow {
    /// Of a connection of which nothing is known yet.
    pub fn new(ts: Ts, c: &ConnId) -> FtpRow {
        FtpRow {
            ts,
            c: *c,
            user: b"<unknown>".to_vec(),
            password: None,
            command: None,
            arg: None,
            mime_type: None,
            file_size: None,
            reply_code: None,
            reply_msg: None,
            passive: None,
            data_orig_h: None,
            data_resp_h: None,
            data_resp_p: None,
            fuid: None,
        }
    }

    /// A data connection was agreed on.
    pub fn set_channel(&mut self, passive: bool, orig: IpAddr, (resp, port): (IpAddr, u16)) {
        self.passive = Some(passive);
        self.data_orig_h = Some(orig);
        self.data_resp_h = Some(resp);
        self.data_resp_p = Some(port);
    }

    /// What belongs to one command alone is not the next one's.
    pub fn forget_transfer(&mut self) {
        self.mime_type = None;
        self.file_size = None;
        self.passive = None;
        self.data_orig_h = None;
        self.data_resp_h = None;
        self.data_resp_p = None;
        self.fuid = None;
    }
}
