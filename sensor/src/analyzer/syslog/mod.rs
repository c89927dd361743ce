//! Syslog over UDP: one datagram tells.

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Syslog;

/// Nothing is remembered.
#[derive(Debug)]
pub struct Syslog;

impl Protocol for Syslog {
    const SPEC: Spec = Spec {
        udp_ports: &[514],
        session_done: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_SYSLOG", "syslog"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Syslog {
        Syslog
    }

    fn datagram(&mut self, _: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if is_syslog(bytes) {
            ctx.confirm();
        }
        Next::More
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.confirmed {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

/// A priority in angle brackets (RFC 3164, 5424), at most 191.
fn is_syslog(msg: &[u8]) -> bool {
    let Some(rest) = msg.strip_prefix(b"<") else {
        return false;
    };
    let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = rest
        .iter()
        .take(n.min(4))
        .fold(0u32, |v, d| v * 10 + u32::from(d - b'0'));
    (1..=3).contains(&n) && value <= 191 && rest.get(n) == Some(&b'>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_starts_with_a_priority() {
        assert!(is_syslog(b"<34>Oct 11 su: failed"));
        assert!(!is_syslog(b"<192>x"));
        assert!(!is_syslog(b"<>x"));
        assert!(!is_syslog(b"34>x"));
    }
}
