//! DNP3 over TCP (IEEE 1815): sure at a link layer's header whose checksum is right.

mod frames;

use crate::analyzer::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use crate::analyzer::pattern::{Match, Rule, starts};
use crate::event::AnalyzerTag;
pub use frames::Frames;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Dnp3Tcp;

/// One connection's state.
#[derive(Debug)]
pub struct Dnp3Tcp(Frames);

impl Protocol for Dnp3Tcp {
    const SPEC: Spec = Spec {
        tcp_ports: &[20000],
        rules: &[Rule::Resp(begins)],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_DNP3_TCP", "dnp3_tcp"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Dnp3Tcp {
        Dnp3Tcp(Frames::default())
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        self.0.read(is_orig, bytes, ctx)
    }

    fn gap(&mut self, _: bool, _: u64, _: &mut Ctx<'_>) -> Next {
        Next::More
    }

    fn flip(&mut self) {
        self.0.flip();
    }

    fn interest(&self, _: bool, seen: Seen) -> Interest {
        seen.until_late()
    }
}

fn begins(b: &[u8]) -> Match {
    starts(b, &frames::START)
}
