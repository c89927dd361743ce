//! Every event as a type, declared once.
//!
//! The rows in [`core`](self), `tcp` and `ssl` are the only place where an event's name, arguments and
//! meaning are written down; types, names, JSON and the table in `docs/events.md` come from there. This
//! module knows nothing of who raises an event and who writes it.

use std::net::IpAddr;

#[macro_use]
mod core;
#[macro_use]
mod tcp;
#[macro_use]
mod ssl;
mod args;
mod ext;
mod ids;
pub mod json;
pub mod log;
pub mod log_stream;
mod pkt;
mod records;
pub mod row;
mod subs;
mod table;
mod tag;

pub use ids::{ConnId, Proto, Ts, Uid};
pub use log::{Column, LogRow, Value};
pub use pkt::{L2Hdr, L3Proto, PktHdr, RawPktHdr};
pub use records::*;
pub(crate) use row::{columns, row};
pub use subs::{Subscriptions, UnknownEvent, policy_bits};
pub use table::{Event, EventKind};
pub use tag::AnalyzerTag;

/// Receives events.
pub trait Handler {
    /// The kinds it wants: what nobody wants is neither made nor, live, copied out of the kernel. Asked once.
    fn wants(&self) -> Subscriptions;

    /// `ev` was raised at network time `ts`. Called on the engine's thread: must not block for long.
    fn event(&mut self, ts: Ts, ev: &Event<'_>);
}

impl EventKind {
    /// The kind of that name, the table's or Zeek's newer one.
    pub fn from_name(name: &str) -> Option<EventKind> {
        let is = |k: &EventKind| k.name() == name || k.newer_name().is_some_and(|n| n == name);
        EventKind::ALL.iter().copied().find(is)
    }

    /// What Zeek calls it since it is no longer called Bro.
    pub fn newer_name(self) -> Option<String> {
        self.name()
            .strip_prefix("bro_")
            .map(|rest| format!("zeek_{rest}"))
    }
}

impl Event<'_> {
    /// Writes the event as one JSON object, without a line end.
    pub fn write_json(&self, ts: Ts, out: &mut Vec<u8>) {
        let kind = self.kind();
        out.extend_from_slice(b"{\"event\":\"");
        out.extend_from_slice(kind.name().as_bytes());
        out.extend_from_slice(b"\",\"ts\":");
        json::time(out, ts);
        if let Some(c) = self.conn() {
            out.extend_from_slice(if kind == EventKind::UdpSessionDone {
                b",\"u\":"
            } else {
                b",\"c\":"
            });
            json::conn(out, c);
        }
        out.extend_from_slice(b",\"args\":");
        self.write_args(out);
        out.push(b'}');
    }
}

#[cfg(test)]
mod doc;
#[cfg(test)]
mod tests;
