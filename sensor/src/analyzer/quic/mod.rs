//! QUIC: a flow's first datagram tells, on any port.

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Quic;

/// Nothing is remembered.
#[derive(Debug)]
pub struct Quic;

impl Protocol for Quic {
    const SPEC: Spec = Spec {
        any_udp_port: true,
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_QUIC", "quic"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Quic {
        Quic
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        if is_initial(is_orig, bytes) {
            ctx.confirm();
            Next::More
        } else {
            // Only a flow's first datagram may bring it.
            Next::Stop
        }
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        match seen.confirmed {
            true => Interest::Nothing,
            false => Interest::Everything,
        }
    }
}

/// An Initial packet of version 1 (RFC 9000, section 17.2.2) or 2 (RFC 9369), connection ids of legal
/// length, in a datagram of the size that Initials are padded to when the client sends them.
fn is_initial(is_orig: bool, msg: &[u8]) -> bool {
    let Some((&first, rest)) = msg.split_first() else {
        return false;
    };
    let kind = match rest.get(..4) {
        Some([0, 0, 0, 1]) => 0xc0,
        Some([0x6b, 0x33, 0x43, 0xcf]) => 0xd0,
        _ => return false,
    };
    let Some(&dcid) = rest.get(4) else { return false };
    let Some(&scid) = rest.get(5 + usize::from(dcid)) else {
        return false;
    };
    first & 0xf0 == kind && dcid <= 20 && scid <= 20 && (!is_orig || msg.len() >= 1200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_have_version_ids_and_size() {
        let mut msg = vec![0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
        assert!(!is_initial(true, &msg));
        assert!(is_initial(false, &msg));
        msg.resize(1200, 0);
        assert!(is_initial(true, &msg));
        msg[0] = 0xe3;
        assert!(!is_initial(true, &msg));
    }
}
