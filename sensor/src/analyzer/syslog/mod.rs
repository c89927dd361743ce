//! Syslog over UDP (RFC 3164, 5424): a row of syslog.log and an event for each datagram. Meaning is Zeek's.

pub mod events;
mod log;
#[cfg(test)]
mod tests;
mod wire;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;
use events::SyslogMessage;
pub use log::SyslogRow;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Syslog;

/// Nothing is remembered.
#[derive(Debug)]
pub struct Syslog;

impl Protocol for Syslog {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[SyslogRow::LOG],
        udp_ports: &[514],
        session_done: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SYSLOG", "syslog"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Syslog {
        Syslog
    }

    fn datagram(&mut self, _: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        match wire::read(bytes) {
            Ok(message) => {
                if message.priority.is_some() {
                    ctx.confirm();
                }
                if ctx.subs.wants(SyslogMessage::KIND) {
                    let ev = SyslogMessage {
                        c: ctx.c,
                        facility: message.facility(),
                        severity: message.severity(),
                        msg: message.text,
                    };
                    ctx.out.event(ctx.ts, &ev);
                }
                ctx.out.log(&SyslogRow::new(ctx.ts, ctx.c, &message));
            }
            Err(reason) => ctx.violation(reason),
        }
        Next::More
    }

    /// Every message is logged.
    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Everything
    }
}
