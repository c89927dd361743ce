//! Every event as a type, declared once.
//!
//! A page (`page.rs`) is the only place where its events' names, arguments, meaning and needs are written down; types,
//! JSON, the sets of what somebody wants and docs/events.md come from there. The pages here are those of no protocol and
//! of TCP; who else raises events has a page of their own, and [`crate::catalog`] has the list of all. This module knows
//! nothing of who raises an event and who writes it.

pub mod args;
pub mod core;
mod ext;
pub mod file;
mod ids;
pub mod json;
pub mod log;
pub mod log_stream;
pub mod lookup;
pub mod model;
mod own_kinds;
pub mod page;
pub mod peer;
mod pkt;
pub mod record;
mod records;
pub mod row;
pub mod script;
#[cfg(test)]
pub(crate) mod seen;
mod subs;
mod tag;
pub mod tcp;

pub use ids::{ConnId, Fuid, Proto, Ts, Uid};
pub use log::{Column, LogRow, Value};
pub use model::{Arg, Event, Info, Kind, MOST_EVENTS, MOST_PAGES, Page, Record, Visitor};
pub use own_kinds::{DnsMapping, Encap, EventPeer, FaFile};
pub use pkt::{L2Hdr, L3Proto, PktHdr, RawPktHdr};
pub(crate) use record::record;
pub use records::*;
pub(crate) use row::{columns, row};
pub use subs::Subscriptions;
pub use tag::AnalyzerTag;

// Each page's PAGE is asked for by its module: none of these names is used.
#[allow(ambiguous_glob_reexports)]
pub use self::core::*;
pub use file::*;
pub use lookup::*;
pub use peer::*;
pub use script::*;
pub use tcp::*;

/// Receives events.
pub trait Handler {
    /// The kinds of events that it wants; asked once. An event that nobody wants is not built, and live its packets are not
    /// copied out of the kernel.
    fn wants(&self) -> Subscriptions;

    /// `ev` was raised at network time `ts`. This is called on the engine's thread and must not block for long.
    fn event(&mut self, ts: Ts, ev: &dyn Event);

    /// A row of a log, of captures alone.
    fn log(&mut self, row: &dyn LogRow) {
        let _ = row;
    }

    /// Network time has come to `ts`, of captures alone: with each packet.
    fn advance(&mut self, ts: Ts) {
        let _ = ts;
    }
}
