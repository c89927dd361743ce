//! DNP3 over UDP (IEEE 1815): as over TCP, with the datagrams of a direction read one behind the other.

use super::dnp3_tcp::Frames;
use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Dnp3Udp;

/// One flow's state.
#[derive(Debug)]
pub struct Dnp3Udp(Frames);

impl Protocol for Dnp3Udp {
    const SPEC: Spec = Spec {
        // Zeek gives its port over UDP to the analyzer of DNP3 over TCP, which reads no datagrams.
        udp_rules: &[Frames::begin],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_DNP3_UDP", "dnp3_udp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Dnp3Udp {
        Dnp3Udp(Frames::default())
    }

    fn datagram(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.0.read(is_orig, bytes, ctx)
    }

    fn flip(&mut self) {
        self.0.flip();
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

#[cfg(test)]
mod tests {
    use crate::analyzer::talk::udp;

    #[test]
    fn a_header_tells_on_any_port() {
        let link = b"\x05\x64\x05\xc9\x03\0\x04\0\xbd\x71";
        for port in [20000, 4000] {
            // A header is read when a byte of what follows it is there.
            assert_eq!(udp(port, &[(true, link)]).services, "", "{port}");
            let talk = udp(port, &[(true, link), (true, b"\0")]);
            assert_eq!(
                (talk.services.as_str(), talk.said.len()),
                ("dnp3_udp", 1),
                "{port}"
            );
            // Anything else is not looked at.
            assert_eq!(udp(port, &[(true, b"hello, hello")]).said, [""; 0], "{port}");
        }
    }
}
