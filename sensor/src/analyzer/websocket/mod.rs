//! WebSocket (RFC 6455): what opens one, websocket.log, and the data out of its frames.
//!
//! HTTP reads the handshake ([`Handshake`]) and hands over; the tree of analyzers takes the frames off ([`Frames`]), so that
//! what is inside is read like a connection of its own.

pub mod events;
mod frames;
mod handshake;
mod log;

use super::api::{Interest, Protocol, Seen, Spec, Start};
use crate::event::AnalyzerTag;
pub use frames::Frames;
pub use handshake::{Handshake, Request};
pub use log::WebsocketRow;

/// Only a name: the tree of analyzers reads the frames.
#[derive(Debug)]
pub struct Analyzer;

impl Protocol for Analyzer {
    const SPEC: Spec = Spec {
        pages: &[events::PAGE],
        logs: &[WebsocketRow::LOG],
        ..Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_WEBSOCKET", "websocket"))
    };
    type Shared = ();

    fn new(_: &Start, (): &()) -> Analyzer {
        Analyzer
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Nothing
    }
}
