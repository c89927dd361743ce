//! Protocol analyzers: bytes of a stream in, events and log rows out. Sans-I/O.

pub mod detect;
pub mod dns;
mod text;
pub mod tls;
pub mod x509;

use std::net::IpAddr;

use crate::event::log::LogRow;
use crate::event::{AnalyzerTag, ConnId, Event, Subscriptions, Ts};

/// What an analyzer is called with: the time, the connection, who wants what, and where to put it.
pub struct Ctx<'c> {
    pub ts: Ts,
    pub c: &'c ConnId,
    pub subs: &'c Subscriptions,
    pub out: &'c mut dyn Out,
}

/// What an analyzer still wants of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    Nothing,
    /// What the headers of its TLS records say.
    Headers,
    Everything,
}

/// Where an analyzer's results go.
pub trait Out {
    fn event(&mut self, ts: Ts, ev: &Event<'_>);
    fn log(&mut self, row: &dyn LogRow);
    /// The analyzer is sure that this is its protocol.
    fn confirm(&mut self, tag: AnalyzerTag);
    /// The analyzer met what its protocol does not allow.
    fn violation(&mut self, tag: AnalyzerTag, reason: &str);
    /// `weird` of this connection (Zeek's name).
    fn weird(&mut self, name: &'static str, addl: &str);
    /// The analyzer would not read on: it met a limit, or what it does not know. `X` in the history, once.
    fn gave_up(&mut self);
    /// One that Zeek's scripts find, not its analyzers: weird.log has it, and there is no event.
    fn scripted_weird(&mut self, name: &'static str) {
        self.weird(name, "");
    }
    /// `weird` of a file, not of the connection it came on: weird.log has it, without the connection, and there is no
    /// event of the sensor's. `addl` begins with the file's id.
    fn file_weird(&mut self, name: &'static str, addl: &str) {
        self.weird(name, addl);
    }
    /// A TCP connection of `tag` from `orig` to `port` of `resp` is about to come.
    fn announce(&mut self, orig: IpAddr, resp: IpAddr, port: u16, tag: AnalyzerTag) {
        let _ = (orig, resp, port, tag);
    }
}
