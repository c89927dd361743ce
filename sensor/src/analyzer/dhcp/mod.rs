//! DHCP over UDP (RFC 2131): an event for each message, and a row of dhcp.log for all messages of one transaction, whatever
//! connections they came on. Meaning is Zeek's.

mod aggregate;
pub mod events;
mod log;
#[cfg(test)]
mod tests;
mod wire;

use super::api::{Closing, Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;
pub use aggregate::Transactions;
use aggregate::{Full, Member};
use events::DhcpMessage;
pub use log::DhcpRow;
use wire::{COOKIE_AT, Message};

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Dhcp;

/// Ports of servers, of clients, and of servers for network boot.
const PORTS: &[u16] = &[67, 68, 4011];

/// One flow's state.
#[derive(Debug)]
pub struct Dhcp {
    shared: Transactions,
    /// From the first sound message on: the flow's part in the transactions.
    member: Option<Member>,
}

impl Protocol for Dhcp {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[DhcpRow::LOG],
        udp_ports: PORTS,
        udp_rules: &[has_cookie],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_DHCP", "dhcp"))
    };
    type Shared = Transactions;

    fn new(_: &Start, shared: &Transactions) -> Dhcp {
        Dhcp {
            shared: shared.clone(),
            member: None,
        }
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        match wire::read(bytes) {
            Ok(message) => self.message(is_orig, &message, ctx),
            Err(reason) => ctx.violation(&format!("Binpac exception: binpac exception: {reason}")),
        }
        Next::More
    }

    fn close(&mut self, _: Closing, ctx: &mut Ctx<'_>) {
        if let Some(member) = self.member.take() {
            write(&member.leave(ctx.ts), ctx);
        }
    }

    /// Every message is logged.
    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Everything
    }

    fn is_settled(&self) -> bool {
        self.member.is_none()
    }
}

impl Dhcp {
    /// A message that could be read to its end.
    fn message(&mut self, is_orig: bool, msg: &Message<'_>, ctx: &mut Ctx<'_>) {
        if msg.options.message_type() == 0 {
            ctx.violation("no DHCP message type option");
        }
        if msg.cookie != wire::COOKIE {
            // Zeek prints the number as a signed one.
            return ctx.violation(&format!("bad cookie ({})", msg.cookie.cast_signed()));
        }
        if ctx.subs.wants(DhcpMessage::KIND) {
            events::with(is_orig, msg, ctx.c, |ev| ctx.out.event(ctx.ts, ev));
        }
        ctx.confirm();
        let member = self.member.get_or_insert_with(|| self.shared.join());
        let (rows, full) = member.add(ctx.ts, ctx.c, is_orig, msg);
        if let Some(Full(most)) = full {
            let name = "DHCP_max_tracked_transactions_exceeded";
            ctx.out.weird_from(name, &most.to_string(), "DHCP");
        }
        write(&rows, ctx);
    }
}

/// Whether a datagram looks like DHCP on any port (Zeek's signature).
fn has_cookie(bytes: &[u8]) -> bool {
    bytes
        .get(COOKIE_AT..)
        .is_some_and(|b| b.starts_with(&wire::COOKIE.to_be_bytes()))
}

fn write(rows: &[DhcpRow], ctx: &mut Ctx<'_>) {
    rows.iter().for_each(|row| ctx.out.log(row));
}
