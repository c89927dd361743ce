//! LDAP over TCP (RFC 4511): sure when a message was read whole. What authenticates in it is not looked into; after StartTLS
//! the rest is TLS.

mod ber;
mod message;
pub mod session;
#[cfg(test)]
mod tests;

use super::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::framer::Framer;
use super::pattern::{Match, Rule};
use crate::event::AnalyzerTag;
use session::{Session, Then};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = LdapTcp;

/// Bytes kept of a message; of longer ones only the beginning is read.
const MAX_MESSAGE: usize = 64 * 1024;
/// Bytes of a connection after which nothing is looked for any more: a StartTLS comes at its beginning.
const MAX_READ: u64 = 64 * 1024;

/// One connection's state.
#[derive(Debug)]
pub struct LdapTcp {
    /// By direction, orig first.
    framers: [Framer; 2],
    /// What is left of a direction is not to be read.
    lost: [bool; 2],
    session: Session,
    /// Bytes read.
    read: u64,
}

impl Protocol for LdapTcp {
    const SPEC: Spec = Spec {
        tcp_ports: &[389, 3268],
        rules: &[Rule::Both(bind, answer), Rule::Both(answer, bind)],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_LDAP_TCP", "ldap_tcp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> LdapTcp {
        LdapTcp {
            framers: [const { Framer::new(MAX_MESSAGE) }; 2],
            lost: [false; 2],
            session: Session::default(),
            read: 0,
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let dir = usize::from(!is_orig);
        if self.lost[dir] {
            return Next::More;
        }
        self.read += bytes.len() as u64;
        let framer = &mut self.framers[dir];
        while let Some(message) = framer.next(&mut bytes, |begun| self.session.len(begun)) {
            let read = match message.is_cut {
                true => self.session.cut(message.bytes, ctx),
                false => self.session.read(message.bytes, ctx),
            };
            match read {
                Some(Then::More) => {}
                Some(Then::Tls) => return Next::HandOver(HandOver::new(Inside::Tls, bytes)),
                None => {
                    self.lost[dir] = true;
                    ctx.violation("no LDAP message");
                    return Next::More;
                }
            }
        }
        // What begins as none is none, however long it says it is.
        let begun = framer.begun();
        if self.session.mode(begun) == session::Mode::Clear
            && begun.first().is_some_and(|b| *b != 0x30 && *b != 0x10)
        {
            self.lost[dir] = true;
            ctx.violation("no LDAP message");
        }
        Next::More
    }

    /// Where a message begins behind a gap nobody knows.
    fn gap(&mut self, is_orig: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        self.lost[usize::from(!is_orig)] = true;
        Next::More
    }

    fn flip(&mut self) {
        self.framers.swap(0, 1);
        self.lost.swap(0, 1);
    }

    fn interest(&self, is_orig: bool, seen: Seen) -> Interest {
        let lost = self.lost[usize::from(!is_orig)];
        match lost || self.read > MAX_READ || (!seen.confirmed && seen.is_late()) {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

/// A short BindRequest.
fn bind(b: &[u8]) -> Match {
    let expected = |at: usize, byte: u8| match at {
        0 => byte == 0x30,
        2 => byte == 2,
        3 => byte == 1,
        5 => byte == 0x60,
        _ => byte != b'\n',
    };
    match b.iter().take(6).enumerate().all(|(at, byte)| expected(at, *byte)) {
        false => Match::No,
        true if b.len() < 6 => Match::More,
        true => Match::Yes,
    }
}

/// The other side's first message.
fn answer(b: &[u8]) -> Match {
    match b.first() {
        None => Match::More,
        Some(0x30) => Match::Yes,
        Some(_) => Match::No,
    }
}
