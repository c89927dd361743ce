//! For tests: a conversation given to all analyzers of a connection, and what they said of it.

use super::WorkerShared;
use super::api::{Call, Interest, Out, Spec};
use super::tree::Tree;
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Subscriptions, Ts};
use crate::file::{Carrier, News, Piece};

/// Who speaks: the originator or the responder.
pub const C: bool = true;
pub const S: bool = false;

/// What came out.
#[derive(Debug, Default)]
pub struct Tried {
    /// As in conn.log, sorted.
    pub services: Vec<&'static str>,
    /// Confirmations, violations, weirds and limits, in order.
    pub said: Vec<String>,
    /// Files: who carried them, and their bytes.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// What is still wanted, orig first.
    pub wanted: Vec<Interest>,
}

impl Out for Tried {
    fn event(&mut self, _: Ts, _: &dyn Event) {}
    fn log(&mut self, _: &dyn LogRow) {}
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.said.push(format!("is {}", spec.tag.service()));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.said.push(format!("{}: {reason}", spec.tag.service()));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.said.push(format!("{name} {addl}").trim_end().to_owned());
    }
    fn gave_up(&mut self) {
        self.said.push("gave up".to_owned());
    }
    fn file(&mut self, carrier: &Carrier<'_>, piece: Piece<'_>) -> News {
        if let Piece::Bytes { bytes, .. } = piece {
            self.files.push((carrier.source, bytes.to_vec()));
        }
        News::default()
    }
}

/// A connection on its way through the analyzers.
pub struct Trial {
    tree: Tree,
    shared: WorkerShared,
    c: ConnId,
    is_tcp: bool,
    ts: Ts,
    out: Tried,
}

impl Trial {
    /// Over TCP, to a port.
    pub fn tcp(port: u16) -> Trial {
        Trial::new(true, port)
    }

    /// Over UDP, to a port.
    pub fn udp(port: u16) -> Trial {
        Trial::new(false, port)
    }

    fn new(is_tcp: bool, port: u16) -> Trial {
        let shared = WorkerShared::default();
        Trial {
            tree: Tree::new(is_tcp, 40000, port, &shared),
            shared,
            c: ConnId::sample(port),
            is_tcp,
            ts: 0,
            out: Tried::default(),
        }
    }

    /// Its beginning was not seen.
    pub fn partial(mut self) -> Trial {
        self.tree.set_partial(true);
        self
    }

    /// Bytes of a side, in a packet of their own.
    pub fn says(mut self, is_orig: bool, bytes: &[u8]) -> Trial {
        self.ts += 1;
        let call = &mut Call {
            ts: self.ts,
            c: &self.c,
            subs: &Subscriptions::NONE,
            out: &mut self.out,
        };
        match self.is_tcp {
            true => self.tree.stream(is_orig, bytes, &self.shared, call),
            false => self.tree.datagram(is_orig, bytes, &self.shared, call),
        }
        self
    }

    /// Bytes of a side that are not at hand.
    pub fn misses(mut self, is_orig: bool, len: u64) -> Trial {
        self.ts += 1;
        let call = &mut Call {
            ts: self.ts,
            c: &self.c,
            subs: &Subscriptions::NONE,
            out: &mut self.out,
        };
        self.tree.unseen(is_orig, len, &self.shared, call);
        self
    }

    /// What came out so far.
    pub fn result(self) -> Tried {
        let mut out = self.out;
        out.services = self.tree.services().collect();
        out.services.sort_unstable();
        out.wanted = [true, false].map(|is_orig| self.tree.interest(is_orig)).to_vec();
        out
    }
}

/// A BER value of other values, or of octets.
pub fn ber(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut value = vec![tag];
    match content.len() {
        n @ 0..=0x7f => value.push(n as u8),
        n => {
            value.push(0x82);
            value.extend((n as u16).to_be_bytes());
        }
    }
    value.extend(content);
    value
}
