//! GridFTP's control connections: FTP's analyzer finds them, by a TLS handshake in security data.

use crate::analyzer::api::{Interest, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;

/// Only a name: nothing is read here.
#[derive(Debug)]
pub struct Analyzer;

impl Protocol for Analyzer {
    const SPEC: Spec = Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_GRIDFTP", "gridftp"));
    type Shared = ();

    fn new(_: &Start, (): &()) -> Analyzer {
        Analyzer
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Nothing
    }
}
