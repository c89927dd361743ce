//! MySQL: sure at the client's answer to the server's greeting. What is wrong in a message takes that back. Where the client
//! asks for TLS, the rest is TLS's.
//!
//! `Session` knows what comes next and reads it; `wire` has the fields.

mod session;
#[cfg(test)]
mod tests;
mod wire;

use crate::analyzer::api::{Ctx, HandOver, Inside, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::fields::Fields;
use crate::analyzer::gather::Gather;
use crate::event::AnalyzerTag;
use session::{Said, Session};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Mysql;

/// Length and sequence number before each message, bytes.
const HEADER: usize = 4;

/// One connection's state.
#[derive(Debug, Default)]
pub struct Mysql {
    /// By direction, orig first.
    sides: [Gather; 2],
    session: Session,
}

impl Protocol for Mysql {
    const SPEC: Spec = Spec {
        tcp_ports: &[1434, 3306],
        needs_start: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_MYSQL", "mysql"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Mysql {
        Mysql::default()
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        // A message that is not whole by then changes nothing any more, so that no more than that is kept.
        if ctx.is_late() {
            return Next::Stop;
        }
        let side = &mut self.sides[usize::from(!is_orig)];
        side.push(bytes);
        while let Some([a, b, c, number]) = side.rest().first_chunk::<HEADER>().copied() {
            let len = u32::from_le_bytes([a, b, c, 0]) as usize + HEADER;
            let Some(message) = side.take(len) else { break };
            let body = Fields::new(message.get(HEADER..).unwrap_or(&[]));
            let said = match is_orig {
                true => self.session.client(body),
                false => self.session.server(number, body),
            };
            match said {
                Some(Said::Nothing) => {}
                Some(Said::Answer) => ctx.confirm(),
                Some(Said::Tls) => {
                    ctx.confirm();
                    return Next::HandOver(HandOver::new(Inside::Tls, side.rest()));
                }
                None => {
                    side.clear();
                    ctx.violation("MySQL message that lacks a field");
                    break;
                }
            }
        }
        Next::More
    }

    fn flip(&mut self) {
        self.sides.swap(0, 1);
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}
