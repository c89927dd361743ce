//! Kerberos over TCP (RFC 4120, section 7.2.2): the messages of UDP, each behind its length.

#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::fields::Fields;
use super::framer::Framer;
use super::krb::{Krb, begins};
use super::pattern::{Match, Rule};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = KrbTcp;

/// Bytes kept of a message; longer ones tell nothing.
const MAX_MESSAGE: usize = 64 * 1024;

/// One connection's state.
#[derive(Debug)]
pub struct KrbTcp {
    /// By direction, orig first.
    framers: [Framer; 2],
    messages: Krb,
    /// What came was none: nothing is read any more.
    broken: bool,
}

impl Protocol for KrbTcp {
    const SPEC: Spec = Spec {
        tcp_ports: &[88],
        rules: &[Rule::Orig(first_bytes), Rule::Resp(first_bytes)],
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_KRB_TCP", "krb_tcp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> KrbTcp {
        KrbTcp {
            framers: [const { Framer::new(MAX_MESSAGE) }; 2],
            messages: Krb::default(),
            broken: false,
        }
    }

    fn data(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let framer = &mut self.framers[usize::from(!is_orig)];
        if self.broken {
            return Next::More;
        }
        while let Some(message) = framer.next(&mut bytes, len) {
            let body = message.bytes.get(4..).unwrap_or(&[]);
            if !message.is_cut && !self.messages.message(body, ctx) {
                ctx.violation("no Kerberos message");
                self.broken = true;
                break;
            }
        }
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

fn len(begun: &[u8]) -> u64 {
    Fields::new(begun).be32().map_or(0, |n| u64::from(n) + 4)
}

/// A message behind its length, of either side.
fn first_bytes(b: &[u8]) -> Match {
    if b.get(..4).unwrap_or(b).contains(&b'\n') {
        return Match::No;
    }
    match b.get(4..).filter(|message| !message.is_empty()) {
        None => Match::More,
        Some(message) if !matches!(message.first(), Some(0x6a..=0x6d | 0x7e)) => Match::No,
        Some(message) if begins(message) => Match::Yes,
        // The longest beginning has 22 bytes.
        Some(message) if message.len() < 22 => Match::More,
        Some(_) => Match::No,
    }
}
