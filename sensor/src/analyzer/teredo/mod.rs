//! Teredo: IPv6 in UDP (RFC 4380). The engine reads it, for the packets in it.

use crate::analyzer::api::{Interest, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// Only a name: nothing is read here.
#[derive(Debug)]
pub struct Analyzer;

impl Protocol for Analyzer {
    const SPEC: Spec = Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_TEREDO", "teredo"));
    type Shared = ();

    fn new(_: &Start, (): &()) -> Analyzer {
        Analyzer
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Nothing
    }
}
