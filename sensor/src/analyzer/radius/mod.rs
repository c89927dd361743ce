//! RADIUS (RFC 2865): a message whose attributes fill it tells.

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::fields::Fields;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Radius;

/// Nothing is remembered.
#[derive(Debug)]
pub struct Radius;

/// Code, identifier, length and authenticator, bytes.
const HEADER: usize = 20;

impl Protocol for Radius {
    const SPEC: Spec = Spec {
        udp_ports: &[1812],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_RADIUS", "radius"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Radius {
        Radius
    }

    fn datagram(&mut self, _: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        match is_message(bytes) {
            Some(()) => ctx.confirm(),
            None => ctx.violation("RADIUS message with an attribute that does not end in it"),
        }
        Next::More
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

/// The length in the header is not looked at: attributes go to the datagram's end.
fn is_message(bytes: &[u8]) -> Option<()> {
    let mut rest = Fields::new(bytes);
    rest.take(HEADER)?;
    while !rest.is_empty() {
        rest.u8()?;
        let len = rest.u8()?;
        rest.take(usize::from(len.checked_sub(2)?))?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::analyzer::talk::udp;

    #[test]
    fn attributes_fill_a_message() {
        let header = b"\x01\x05\0\x1b0123456789abcdef";
        let good = [&header[..], b"\x01\x05abc\x06\x02"].concat();
        assert_eq!(udp(1812, &[(true, &good)]).services, "radius");
        assert_eq!(udp(1812, &[(true, header)]).services, "radius");
        assert_eq!(udp(1813, &[(true, &good)]).services, "");
        for bad in [&b"\x01\x01"[..], b"\x01\x06abc", b"\x01"] {
            let bad = [&header[..], bad].concat();
            let talk = udp(1812, &[(true, &good), (false, &bad), (true, &good)]);
            assert_eq!((talk.services.as_str(), talk.said.len()), ("", 2));
        }
        assert_eq!(udp(1812, &[(true, &header[..19])]).services, "");
    }
}
