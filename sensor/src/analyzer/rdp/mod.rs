//! RDP (MS-RDPBCGR): sure when settings were exchanged in the clear. Where the sides agree on TLS, the rest is TLS. The
//! certificates of RDP's own security are files.

#[cfg(test)]
mod tests;
mod wire;

use super::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use super::framer::Framer;
use super::pattern::{Match, Rule};
use crate::event::AnalyzerTag;
use crate::file::{Carrier, Handle, Piece};
use wire::Told;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Rdp;

/// One connection's state.
#[derive(Debug)]
pub struct Rdp {
    /// By direction, orig first.
    framers: [Framer; 2],
    certificates: u64,
    /// What came was none: nothing is read any more.
    broken: bool,
}

/// Bytes kept of a message: as many as its length can say.
const MAX_MESSAGE: usize = 65535;

impl Protocol for Rdp {
    const SPEC: Spec = Spec {
        tcp_ports: &[3389],
        rules: &[Rule::BothAnywhere(client, server)],
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_RDP", "rdp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Rdp {
        Rdp {
            framers: [const { Framer::new(MAX_MESSAGE) }; 2],
            certificates: 0,
            broken: false,
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let dir = usize::from(!is_orig);
        if self.broken {
            return Next::More;
        }
        let mut framer = std::mem::replace(&mut self.framers[dir], Framer::new(MAX_MESSAGE));
        while let Some(message) = framer.next(&mut bytes, wire::len) {
            let mut told = Told::default();
            let read = wire::read(message.bytes, &mut told);
            if told.sure {
                ctx.confirm();
            }
            for certificate in &told.certificates {
                self.certificate(certificate, ctx);
            }
            if read.is_none() {
                ctx.violation("no RDP message");
                self.broken = true;
                return Next::More;
            }
            if told.tls {
                return Next::HandOver(HandOver::new(Inside::Tls, bytes));
            }
            if told.encrypted {
                return Next::Stop;
            }
        }
        self.framers[dir] = framer;
        Next::More
    }

    /// Where a message begins behind a gap nobody knows.
    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::Stop
    }

    fn flip(&mut self) {
        self.framers.swap(0, 1);
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match self.broken || seen.is_late() {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

impl Rdp {
    fn certificate(&mut self, bytes: &[u8], ctx: &mut Ctx<'_>) {
        self.certificates += 1;
        let uid = ctx.c.uid.to_string();
        let carrier = Carrier {
            handle: Handle::of(&[b"RDP", uid.as_bytes(), &self.certificates.to_be_bytes()]),
            tag: ctx.tag(),
            source: "RDP",
            c: ctx.c,
            is_orig: false,
            depth: 0,
            name: None,
            mime: Some("application/x-x509-user-cert"),
        };
        ctx.out.file(&carrier, Piece::Bytes { at: None, bytes });
        ctx.out.file(&carrier, Piece::End);
    }
}

/// Where `what` begins.
fn find(b: &[u8], what: &[u8]) -> Option<usize> {
    b.windows(what.len()).position(|w| w == what)
}

/// The first line, and whether it has ended.
fn line(b: &[u8]) -> (&[u8], bool) {
    match b.iter().position(|b| *b == b'\n') {
        Some(end) => (b.get(..end).unwrap_or(b), true),
        None => (b, false),
    }
}

/// A cookie, or a list of channels.
fn client(b: &[u8]) -> Match {
    let (line, is_whole) = line(b);
    let channels = || {
        let behind = line.get(find(line, b"Duca")?..)?;
        let names: [&[u8]; 4] = [b"rdpdr", b"rdpsnd", b"drdynvc", b"cliprdr"];
        names.iter().find_map(|name| find(behind, name))
    };
    match find(line, b"Cookie: mstshash=").or_else(channels) {
        Some(_) => Match::Yes,
        None if is_whole => Match::No,
        None => Match::More,
    }
}

/// A Connection Confirm, or the answer to the list of channels.
fn server(b: &[u8]) -> Match {
    let (line, is_whole) = line(b);
    if line.get(5) == Some(&0xd0) || find(line, b"McDn").is_some() {
        return Match::Yes;
    }
    match is_whole {
        true => Match::No,
        false => Match::More,
    }
}
