//! The analyzers of one connection.

use super::Sink;
use super::entry::Tcp;
use super::shared::Run;
use crate::event::AnalyzerTag;

/// The analyzers at work on a connection and what they found.
#[derive(Default)]
pub struct App {
    /// Confirmed protocols, in order.
    pub services: Vec<AnalyzerTag>,
}

impl App {
    /// conn.log's `service`.
    pub fn service(&self) -> String {
        self.services.iter().map(|t| t.service()).collect::<Vec<_>>().join(",")
    }
}

impl<S: Sink> Run<'_, S> {
    /// In-order bytes of a TCP direction.
    pub fn app_stream(&mut self, _tcp: &mut Tcp, _is_orig: bool, _bytes: &[u8]) {}

    /// Bytes of a TCP direction that the analyzers will not see.
    pub fn app_gap(&mut self, _is_orig: bool, _len: u64) {}

    /// A TCP direction has been delivered to its end.
    pub fn app_eof(&mut self, _tcp: &mut Tcp, _is_orig: bool) {}

    /// A UDP datagram's payload.
    pub fn app_datagram(&mut self, _is_orig: bool, _bytes: &[u8]) {}

    /// The connection's ends changed places.
    pub fn app_flip(&mut self) {}

    /// Whether anybody wants more of a direction's payload.
    pub fn app_wants(&self, _is_orig: bool) -> bool {
        false
    }

    /// The connection is new.
    pub fn app_begin(&mut self) {}

    /// The connection is over.
    pub fn app_end(&mut self) {}
}
