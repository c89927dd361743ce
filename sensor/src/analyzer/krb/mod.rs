//! Kerberos over UDP (RFC 4120), and inside GSS-API: sure when a message was read whole. Certificates in it are files.

pub mod message;
#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;
use crate::file::{Carrier, Handle, Piece};
use message::Told;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Krb;

/// Nothing is remembered of messages.
#[derive(Debug, Default)]
pub struct Krb {
    certificates: u64,
}

impl Protocol for Krb {
    const SPEC: Spec = Spec {
        udp_ports: &[88],
        udp_rules: &[begins],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_KRB", "krb"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Krb {
        Krb::default()
    }

    fn datagram(&mut self, _: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if !self.message(bytes, ctx) {
            ctx.violation("no Kerberos message");
        }
        Next::More
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.is_late() {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

impl Krb {
    /// Reads a message; false if it is none.
    pub fn message(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) -> bool {
        let mut told = Told::default();
        let is_whole = message::read(bytes, &mut told).is_some();
        if told.sure {
            ctx.confirm();
        }
        for (is_orig, cert) in told.certificates.iter().filter(|_| is_whole) {
            self.certificate(*is_orig, cert, ctx);
        }
        is_whole
    }

    fn certificate(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) {
        self.certificates += 1;
        let uid = ctx.c.uid.to_string();
        let carrier = Carrier {
            handle: Handle::of(&[
                b"KRB",
                uid.as_bytes(),
                &[is_orig.into()],
                &self.certificates.to_be_bytes(),
            ]),
            tag: ctx.tag(),
            source: ctx.tag().short(),
            c: ctx.c,
            is_orig,
            depth: 0,
            name: None,
            mime: Some("application/x-x509-user-cert"),
        };
        ctx.out.file(&carrier, Piece::Bytes { at: None, bytes });
        ctx.out.file(&carrier, Piece::End);
    }
}

/// How a message begins, whoever sends it: its kind, a SEQUENCE, the version 5.
pub fn begins(bytes: &[u8]) -> bool {
    let (version, kind) = match bytes.first() {
        Some(0x6a | 0x6c) => (0xa1, 0xa2),
        Some(0x6b | 0x6d | 0x7e) => (0xa0, 0xa1),
        _ => return false,
    };
    // One to four octets of length, which are no line ends, before and behind the SEQUENCE.
    (2..=5).any(|sequence| {
        bytes.get(sequence) == Some(&0x30)
            && (2..=5).any(|n| {
                let at = sequence + n;
                let no_line_end = |b: &&[u8]| !b.contains(&b'\n');
                bytes.get(1..sequence).filter(no_line_end).is_some()
                    && bytes.get(sequence + 1..at).filter(no_line_end).is_some()
                    && bytes.get(at..at + 5) == Some(&[version, 3, 2, 1, 5])
                    && bytes.get(at + 5..at + 9) == Some(&[kind, 3, 2, 1])
            })
    })
}
