//! The row of smtp.log.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::{ConnId, Ts, row};

row! {
    /// One row of smtp.log: a mail, or what a connection did instead of sending one.
    #[derive(Clone, Debug)]
    pub struct SmtpRow in "smtp" {
        /// When its first line came: of the connection, or the reply to the mail before it.
        ts: time,
        /// Whose it is.
        c: conn,
        /// Which one of its connection, from 1. It counts mails that the server has answered.
        trans_depth: count,
        /// Argument of HELO or EHLO, no more than 1024 bytes of it.
        helo: opt wire,
        /// Address in MAIL FROM.
        mailfrom: opt wire,
        /// Addresses in RCPT TO, sorted; no more than 1000, and no more than 256 KiB.
        rcptto: opt set wire (BTreeSet<Vec<u8>>),
        /// Header Date.
        date: opt wire,
        /// Header From.
        from: opt wire,
        /// Addresses in headers To with the names before them, sorted; as many as in `rcptto`.
        to: opt set wire (BTreeSet<Vec<u8>>),
        /// The same of headers CC.
        cc: opt set wire (BTreeSet<Vec<u8>>),
        /// Header Reply-To.
        reply_to: opt wire,
        /// Header Message-ID.
        msg_id: opt wire,
        /// Header In-Reply-To.
        in_reply_to: opt wire,
        /// Header Subject, as it is written.
        subject: opt wire,
        /// Address in the header X-Originating-IP.
        x_originating_ip: opt addr,
        /// The last header Received, which the first server wrote.
        first_received: opt wire,
        /// The one before it.
        second_received: opt wire,
        /// The last line of a reply, with its code.
        last_reply: opt wire,
        /// The way of the mail from its end: responder, originator, and addresses in headers Received; no more than 1000.
        path: vector addr (Vec<IpAddr>),
        /// Header User-Agent, X-Mailer or X-User-Agent.
        user_agent: opt wire,
        /// The connection went on with TLS.
        tls: bool,
        /// Files in the mail, no more than 1000.
        fuids: vector text (Vec<String>),
    }
}

impl SmtpRow {
    /// Of a mail of which nothing is known yet.
    pub fn new(ts: Ts, c: &ConnId, trans_depth: u64, helo: Option<Vec<u8>>) -> SmtpRow {
        SmtpRow {
            ts,
            c: *c,
            trans_depth,
            helo,
            mailfrom: None,
            rcptto: None,
            date: None,
            from: None,
            to: None,
            cc: None,
            reply_to: None,
            msg_id: None,
            in_reply_to: None,
            subject: None,
            x_originating_ip: None,
            first_received: None,
            second_received: None,
            last_reply: None,
            path: vec![c.resp_h, c.orig_h],
            user_agent: None,
            tls: false,
            fuids: Vec::new(),
        }
    }
}
