//! NTP over UDP (RFC 5905): an event for each message, and a row unless it is a control or private one. Meaning is Zeek's.

pub mod events;
mod log;
#[cfg(test)]
mod tests;
mod wire;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::{AnalyzerTag, ConnId};
use events::{Message, NtpMessage};
pub use log::NtpRow;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Ntp;

/// Modes of client and server.
const CLIENT: u64 = 3;
const SERVER: u64 = 4;

/// One flow's state.
#[derive(Debug)]
pub struct Ntp {
    /// By direction, orig first: whether it has turned the flow round, which it does once.
    turned: [bool; 2],
}

impl Protocol for Ntp {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[NtpRow::LOG],
        udp_ports: &[123],
        session_done: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_NTP", "ntp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Ntp {
        Ntp { turned: [false; 2] }
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        match wire::read(bytes) {
            Some(Ok(message)) => {
                ctx.confirm();
                self.message(is_orig, message, ctx);
            }
            Some(Err(reason)) => ctx.violation(&format!("Binpac exception: binpac exception: {reason}")),
            None => {}
        }
        Next::More
    }

    /// Every message is told.
    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Everything
    }
}

impl Ntp {
    /// A sound message.
    fn message(&mut self, is_orig: bool, msg: Message<'_>, ctx: &mut Ctx<'_>) {
        let mut c = *ctx.c;
        let mut is_orig = is_orig;
        if let (SERVER, true) | (CLIENT, false) = (msg.mode, is_orig)
            && !std::mem::replace(&mut self.turned[usize::from(!is_orig)], true)
        {
            ctx.turn();
            // What is said of this very message is said of the connection as it will be.
            if !c.resp_h.is_multicast() {
                c = turned(&c);
                is_orig = !is_orig;
            }
        }
        if ctx.subs.wants(NtpMessage::KIND) {
            let ev = NtpMessage { c: &c, is_orig, msg };
            ctx.out.event(ctx.ts, &ev);
        }
        if let Some(row) = NtpRow::of(ctx.ts, &c, &msg) {
            ctx.out.log(&row);
        }
    }
}

/// The connection with its ends changed.
fn turned(c: &ConnId) -> ConnId {
    ConnId {
        orig_h: c.resp_h,
        orig_p: c.resp_p,
        resp_h: c.orig_h,
        resp_p: c.orig_p,
        ..*c
    }
}
