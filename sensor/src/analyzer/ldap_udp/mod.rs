//! LDAP over UDP (CLDAP, MS-ADTS section 3.1.1.3.1.10): sure when a message was read whole.

#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::ldap_tcp::session::Session;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = LdapUdp;

/// One flow's state.
#[derive(Debug)]
pub struct LdapUdp {
    session: Session,
}

impl Protocol for LdapUdp {
    const SPEC: Spec = Spec {
        udp_ports: &[389],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_LDAP_UDP", "ldap_udp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> LdapUdp {
        LdapUdp {
            session: Session::default(),
        }
    }

    fn datagram(&mut self, _: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        while !bytes.is_empty() {
            let len = usize::try_from(self.session.len(bytes)).ok().filter(|n| *n > 0);
            let message = len.and_then(|len| bytes.split_at_checked(len));
            let read = message.and_then(|(message, rest)| {
                bytes = rest;
                self.session.read(message, ctx)
            });
            if read.is_none() {
                ctx.violation("no LDAP message");
                break;
            }
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
