//! How events and logs name an analyzer.

use std::fmt;

/// What Zeek's names of analyzers begin with.
const PREFIX: &str = "Analyzer::ANALYZER_";

/// An analyzer (Zeek's `Analyzer::Tag`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnalyzerTag {
    name: &'static str,
    service: &'static str,
}

impl AnalyzerTag {
    /// The analyzer that events call `name`, such as `Analyzer::ANALYZER_SSL`, and conn.log `service`.
    pub const fn new(name: &'static str, service: &'static str) -> AnalyzerTag {
        AnalyzerTag { name, service }
    }

    /// As events write it: `Analyzer::ANALYZER_SSL`.
    pub fn as_str(self) -> &'static str {
        self.name
    }

    /// Without the prefix: `SSL`.
    pub fn short(self) -> &'static str {
        self.name.strip_prefix(PREFIX).unwrap_or(self.name)
    }

    /// As conn.log's `service` writes it: `ssl`.
    pub fn service(self) -> &'static str {
        self.service
    }
}

impl fmt::Debug for AnalyzerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}
