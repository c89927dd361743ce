//! What smtp.log says of a connection: Zeek's base/protocols/smtp/main.zeek, which hears of commands, replies and headers.
//! Knows no bytes of the protocol.

use std::collections::BTreeSet;

use super::addresses;
use super::log::SmtpRow;
use crate::analyzer::api::Ctx;
use crate::event::Ts;
use crate::software::{Found, Kind};

/// Most addresses of a kind, of hosts on a mail's way, and files of a mail (Zeek: SMTP::max_rcptto_addresses and others;
/// it has no bound for files).
const MOST: usize = 1000;
/// Most bytes of addresses of a kind. Zeek has no such bound.
const MOST_BYTES: usize = 256 * 1024;
/// Most bytes of the argument of HELO. Zeek has no such bound; but all rows of the connection have it.
const MOST_HELO: usize = 1024;
/// With more commands that come where none may, nothing more is read (Zeek: SMTP::max_invalid_mail_transactions).
const MOST_INVALID: u64 = 25;
/// What weird.log names for weirds that scripts find.
const SOURCE: &str = "SMTP";

/// See the module.
#[derive(Debug, Default)]
pub struct Session {
    /// The mail at work; also before the first one.
    mail: Option<Box<Transaction>>,
    helo: Option<Vec<u8>>,
    /// Mails that the server has answered.
    answered: u64,
    sender_known: bool,
    recipient_known: bool,
    invalid: u64,
    /// The last chunk of a mail was announced and not answered.
    last_chunk: bool,
    /// When too much was invalid.
    over: Option<Ts>,
}

/// A row that is not complete, and what is remembered for it.
#[derive(Debug)]
struct Transaction {
    row: SmtpRow,
    /// The client did something that is worth a row.
    is_due: bool,
    /// Entities that have begun. Headers of the first one only are the mail's.
    entities: u64,
    is_webmail: bool,
    /// Bytes of addresses: recipients, To, CC.
    bytes: [usize; 3],
}

impl Session {
    /// Nothing is read any more: since when.
    pub fn over(&self) -> Option<Ts> {
        self.over
    }

    /// Whether there is nothing to be written if nothing more comes.
    pub fn is_idle(&self) -> bool {
        !self.mail.as_ref().is_some_and(|m| m.is_due)
    }

    /// A command.
    pub fn request(&mut self, command: &[u8], argument: &[u8], ctx: &mut Ctx<'_>) {
        self.mail(ctx);
        let is = |name: &str| command.eq_ignore_ascii_case(name.as_bytes());
        if is("HELO") || is("EHLO") {
            let kept = argument.get(..MOST_HELO).unwrap_or(argument);
            self.helo = Some(kept.to_vec());
            self.mail(ctx).row.helo = Some(kept.to_vec());
        } else if is("RCPT") && begins(argument, b"to:") {
            self.recipients(argument, ctx);
        } else if is("MAIL") && begins(argument, b"from:") {
            self.sender(argument, ctx);
        } else if is("DATA") || is("BDAT") {
            if !self.recipient_known {
                self.invalid("data missing rcpt to", ctx);
            }
            if is("BDAT") && argument.ends_with(b" LAST") {
                self.transaction_over();
                self.last_chunk = true;
            }
        } else if command == b"." {
            self.transaction_over();
        }
    }

    fn transaction_over(&mut self) {
        (self.sender_known, self.recipient_known) = (false, false);
    }

    fn sender(&mut self, argument: &[u8], ctx: &mut Ctx<'_>) {
        // The server's answer to the mail before may be missing.
        self.write(ctx);
        let mail = self.mail(ctx);
        if let Some(sender) = addresses::mailboxes(argument).next() {
            mail.row.mailfrom = Some(sender);
        }
        mail.is_due = true;
        (self.sender_known, self.recipient_known) = (true, false);
    }

    fn recipients(&mut self, argument: &[u8], ctx: &mut Ctx<'_>) {
        let mail = self.mail(ctx);
        let known = mail.row.rcptto.get_or_insert_default();
        let mut found = addresses::mailboxes(argument).map(addresses::without_orcpt);
        if !add(known, &mut mail.bytes[0], &mut found) {
            ctx.out.weird_from("smtp_too_many_rcptto_addresses", "", "");
        }
        mail.is_due = true;
        self.recipient_known = true;
        if !self.sender_known {
            self.invalid("rcpt to missing mail from", ctx);
        }
    }

    fn invalid(&mut self, what: &str, ctx: &mut Ctx<'_>) {
        ctx.out.weird_from("smtp_mail_transaction_invalid", what, SOURCE);
        self.invalid = self.invalid.saturating_add(1);
        if self.invalid > MOST_INVALID && self.over.is_none() {
            ctx.out
                .weird_from("smtp_excessive_invalid_mail_transactions", "", SOURCE);
            self.over = Some(ctx.ts);
        }
    }

    /// A line of a reply to `command`. `ends`: it is the last one.
    pub fn reply(&mut self, code: u16, command: &str, text: &[u8], ends: bool, ctx: &mut Ctx<'_>) {
        let mail = self.mail(ctx);
        let last = mail.row.last_reply.get_or_insert_default();
        last.clear();
        last.extend_from_slice(code.to_string().as_bytes());
        last.push(b' ');
        last.extend_from_slice(text);
        if command == "." || ends && command == "BDAT" && self.last_chunk {
            self.answered = self.answered.saturating_add(1);
            self.last_chunk = false;
            self.write(ctx);
            self.mail = Some(self.begun(ctx));
        }
    }

    /// The rest of the connection is TLS.
    pub fn tls(&mut self) {
        if let Some(mail) = &mut self.mail {
            mail.row.tls = true;
            mail.is_due = true;
        }
    }

    /// A mail or a part of one begins.
    pub fn entity(&mut self) {
        if let Some(mail) = &mut self.mail {
            mail.entities = mail.entities.saturating_add(1);
        }
    }

    /// A header; its name is in upper case.
    pub fn header(&mut self, name: &[u8], value: &[u8], ctx: &mut Ctx<'_>) {
        let Some(mail) = self.mail.as_mut().filter(|m| m.entities <= 1) else {
            return;
        };
        let row = &mut mail.row;
        let place = match name {
            b"MESSAGE-ID" => &mut row.msg_id,
            b"IN-REPLY-TO" => &mut row.in_reply_to,
            b"SUBJECT" => &mut row.subject,
            b"FROM" => &mut row.from,
            b"REPLY-TO" => &mut row.reply_to,
            b"DATE" => &mut row.date,
            b"X-MAILER" | b"USER-AGENT" | b"X-USER-AGENT" => {
                mail.is_webmail |= name == b"USER-AGENT" && is_webmail(value);
                &mut row.user_agent
            }
            b"RECEIVED" => {
                row.second_received = row.first_received.take().or(row.second_received.take());
                received(row, value, ctx);
                &mut row.first_received
            }
            b"TO" => {
                let mut found = addresses::named_mailboxes(value).map(<[u8]>::to_vec);
                if !add(row.to.get_or_insert_default(), &mut mail.bytes[1], &mut found) {
                    ctx.out.weird_from("smtp_too_many_to_addresses", "", "");
                }
                return;
            }
            b"CC" => {
                let mut found = addresses::named_mailboxes(value).map(<[u8]>::to_vec);
                if !add(row.cc.get_or_insert_default(), &mut mail.bytes[2], &mut found) {
                    ctx.out.weird_from("smtp_too_many_cc_addresses", "", "");
                }
                return;
            }
            b"X-ORIGINATING-IP" => {
                let found = addresses::hosts(value, false).first().copied();
                row.x_originating_ip = found.or(row.x_originating_ip);
                return;
            }
            _ => return,
        };
        *place = Some(value.to_vec());
    }

    /// A file came out of the mail.
    pub fn file(&mut self, fuid: String) {
        if let Some(mail) = &mut self.mail
            && !mail.row.tls
            && mail.row.fuids.len() < MOST
        {
            mail.row.fuids.push(fuid);
        }
    }

    /// The connection is over.
    pub fn end(&mut self, ctx: &mut Ctx<'_>) {
        self.write(ctx);
        self.mail = None;
    }

    fn mail(&mut self, ctx: &Ctx<'_>) -> &mut Transaction {
        if self.mail.is_none() {
            self.mail = Some(self.begun(ctx));
        }
        // There is one now.
        self.mail.get_or_insert_with(|| unreachable!())
    }

    fn begun(&self, ctx: &Ctx<'_>) -> Box<Transaction> {
        let depth = self.answered.saturating_add(1);
        Box::new(Transaction {
            row: SmtpRow::new(ctx.ts, ctx.c, depth, self.helo.clone()),
            is_due: false,
            entities: 0,
            is_webmail: false,
            bytes: [0; 3],
        })
    }

    /// Writes the row if there is something to be said, and begins another one.
    fn write(&mut self, ctx: &mut Ctx<'_>) {
        if self.is_idle() {
            return;
        }
        let next = self.begun(ctx);
        let Some(mail) = self.mail.replace(next) else {
            return;
        };
        ctx.out.log(&mail.row);
        mail.software(ctx);
    }
}

impl Transaction {
    /// What wrote the mail. Where it comes from another network, its headers are not believed.
    fn software(&self, ctx: &mut Ctx<'_>) {
        let row = &self.row;
        let Some(banner) = row.user_agent.as_deref() else {
            return;
        };
        if !ctx.out.is_local(row.c.orig_h) {
            return;
        }
        let received = row.first_received.as_deref().unwrap_or(&[]);
        let over_web = self.is_webmail && memchr::memmem::find(received, b"via HTTP").is_some();
        let host = row.path.iter().rev().nth(usize::from(over_web));
        let kind = match self.is_webmail {
            true => Kind::SmtpWebmailServer,
            false => Kind::SmtpMailClient,
        };
        ctx.out.software(&Found {
            c: ctx.c,
            host: host.copied().unwrap_or(row.c.orig_h),
            host_p: None,
            kind,
            banner,
        });
    }
}

/// Whether a text begins with these letters, in any case.
fn begins(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len())
        .is_some_and(|t| t.eq_ignore_ascii_case(lower))
}

/// Adds addresses as long as there is room. False: there was none.
fn add(known: &mut BTreeSet<Vec<u8>>, bytes: &mut usize, found: &mut dyn Iterator<Item = Vec<u8>>) -> bool {
    for address in found {
        let size = bytes.saturating_add(address.len());
        if known.len() >= MOST || size > MOST_BYTES {
            return false;
        }
        if known.insert(address) {
            *bytes = size;
        }
    }
    true
}

/// A header Received: the host that a server had the mail from. Of two addresses the second is what the server saw.
fn received(row: &mut SmtpRow, value: &[u8], ctx: &mut Ctx<'_>) {
    let found = addresses::hosts(value, true);
    let Some(host) = found.get(1).or(found.first()) else {
        return;
    };
    if row.path.last() == Some(host) {
        return;
    }
    match row.path.len() < MOST {
        true => row.path.push(*host),
        false => ctx.out.weird_from("smtp_max_path_length_exceeded", "", ""),
    }
}

/// Whether a browser wrote the mail, by the header User-Agent (Zeek: SMTP::webmail_user_agents).
fn is_webmail(agent: &[u8]) -> bool {
    const FIRST: [&[u8]; 4] = [
        b"iPlanet Messenger",
        b"Sun Java(tm) System Messenger Express",
        b"SquirrelMail",
        b"NeoMail",
    ];
    const ANYWHERE: [&[u8]; 2] = [b"(IMP)", b"ZimbraWebClient"];
    FIRST.iter().any(|f| agent.starts_with(f))
        || ANYWHERE.iter().any(|a| memchr::memmem::find(agent, a).is_some())
}
