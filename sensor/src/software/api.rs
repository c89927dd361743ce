//! What an analyzer says of software that it found.

use std::net::IpAddr;

use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Subscriptions, Ts};

/// What sort of software it is (Zeek: Software::Type).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A web server.
    HttpServer,
    /// A browser, or what else asks a web server.
    HttpBrowser,
    /// What makes a web server's pages.
    HttpAppServer,
    /// An SSH server.
    SshServer,
    /// An SSH client.
    SshClient,
    /// What wrote a mail.
    SmtpMailClient,
    /// A mail server.
    SmtpMailServer,
    /// A web server on which a mail was written.
    SmtpWebmailServer,
    /// An FTP client.
    FtpClient,
    /// An FTP server.
    FtpServer,
}

impl Kind {
    /// Zeek's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::HttpServer => "HTTP::SERVER",
            Kind::HttpBrowser => "HTTP::BROWSER",
            Kind::HttpAppServer => "HTTP::APPSERVER",
            Kind::SshServer => "SSH::SERVER",
            Kind::SshClient => "SSH::CLIENT",
            Kind::SmtpMailClient => "SMTP::MAIL_CLIENT",
            Kind::SmtpMailServer => "SMTP::MAIL_SERVER",
            Kind::SmtpWebmailServer => "SMTP::WEBMAIL_SERVER",
            Kind::FtpClient => "FTP::CLIENT",
            Kind::FtpServer => "FTP::SERVER",
        }
    }
}

/// Software that named itself.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The connection on which it did.
    pub c: &'a ConnId,
    /// Where it runs.
    pub host: IpAddr,
    /// The port on which it is reached, host byte order, if it is a server.
    pub host_p: Option<u16>,
    /// What sort of software it is.
    pub kind: Kind,
    /// What it said, as its bytes are.
    pub banner: &'a [u8],
}

impl<'a> Found<'a> {
    /// Software of the connection's originator: a client.
    pub fn client(c: &'a ConnId, kind: Kind, banner: &'a [u8]) -> Found<'a> {
        Found {
            c,
            host: c.orig_h,
            host_p: None,
            kind,
            banner,
        }
    }

    /// Software of its responder, at the port that the connection leads to.
    pub fn server(c: &'a ConnId, kind: Kind, banner: &'a [u8]) -> Found<'a> {
        Found {
            c,
            host: c.resp_h,
            host_p: Some(c.resp_p),
            kind,
            banner,
        }
    }
}

/// Where the results go.
pub trait Out {
    /// An event that somebody wants.
    fn event(&mut self, ts: Ts, ev: &dyn Event);
    /// A row for a log.
    fn log(&mut self, row: &dyn LogRow);
}

/// What software is looked at with.
pub struct Cx<'c> {
    /// Network time.
    pub ts: Ts,
    /// The events that somebody wants.
    pub subs: &'c Subscriptions,
    /// Whether an address is local: software.log has the software of local hosts.
    pub is_local: &'c dyn Fn(IpAddr) -> bool,
    /// Where results go.
    pub out: &'c mut dyn Out,
}
