//! The signatures at work on the connections of an engine, and what is still wanted of each connection.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::compile::Signatures;
use super::dfa::{DEAD, Dfa};
use super::header::Headers;
use super::rule::Context;
use super::side::{Conn, Cursor, Facts, Side};
use super::work::{Host, Work};

/// Memory of all machines of a worker together, bytes; each has at least [`LEAST`].
const MEMORY: usize = 32 << 20;
/// What each machine has at least.
const LEAST: usize = 256 << 10;

/// The signatures at work on the connections of an engine.
pub struct Matching {
    signatures: Arc<Signatures>,
    dfas: Vec<Dfa>,
    conns: HashMap<u32, Box<Conn>, FixedState>,
    /// Bytes of a connection's payload that are matched, both directions together; 0: all.
    limit: u64,
}

impl Matching {
    /// Of these signatures; `limit`: how much of a connection's payload is looked at, both directions together, bytes; 0:
    /// all of it.
    pub fn new(signatures: Arc<Signatures>, limit: u64) -> Matching {
        let states: usize = signatures.machines.iter().map(|m| m.nfa.len()).sum();
        let share = |n: usize| LEAST + (MEMORY as u128 * n as u128 / states.max(1) as u128) as usize;
        let machines = signatures.machines.iter();
        let dfas = machines.map(|m| Dfa::new(&m.nfa, share(m.nfa.len())));
        Matching {
            dfas: dfas.collect(),
            signatures,
            conns: HashMap::default(),
            limit,
        }
    }

    fn work<'w>(&'w mut self, n: u32, host: &'w mut dyn Host) -> Work<'w> {
        Work {
            signatures: &self.signatures,
            dfas: &mut self.dfas,
            conn: self.conns.entry(n).or_default(),
            host,
        }
    }

    /// The first packet of a direction of connection `n`, before its payload.
    pub fn first(&mut self, n: u32, s: usize, headers: &Headers<'_>, facts: Facts, host: &mut dyn Host) {
        let mut work = self.work(n, host);
        work.conn.facts = facts;
        work.begin(s, headers);
    }

    /// Whether a direction's first packet was seen.
    pub fn is_ready(&self, n: u32, s: usize) -> bool {
        self.conns.get(&n).is_some_and(|c| c.sides[s].ready)
    }

    /// The next bytes of a TCP direction.
    pub fn stream(&mut self, n: u32, s: usize, bytes: &[u8], established: bool, host: &mut dyn Host) {
        let limit = self.limit;
        let mut work = self.work(n, host);
        work.conn.facts.established = established;
        if work.conn.over || bytes.is_empty() {
            return;
        }
        work.count(bytes.len(), limit);
        work.payload(s, bytes, false);
    }

    /// More of the stream inside a TCP connection, such as a proxy's tunnel, which is matched anew. `ends`: what is known of the
    /// headers of each direction.
    pub fn inner(&mut self, n: u32, s: usize, bytes: &[u8], ends: &[Headers<'_>; 2], host: &mut dyn Host) {
        let limit = self.limit;
        let outer = self.conns.entry(n).or_default();
        let (begins, facts) = (outer.inner.is_none(), outer.facts);
        let mut work = Work {
            signatures: &self.signatures,
            dfas: &mut self.dfas,
            conn: outer.inner.get_or_insert_default(),
            host,
        };
        work.conn.facts = facts;
        if begins {
            ends.iter()
                .enumerate()
                .for_each(|(s, headers)| work.begin(s, headers));
        }
        if !work.conn.over && !bytes.is_empty() {
            work.count(bytes.len(), limit);
            work.payload(s, bytes, false);
        }
    }

    /// A UDP datagram, with its direction's headers in case that it is the first one.
    pub fn datagram(
        &mut self,
        n: u32,
        s: usize,
        bytes: &[u8],
        headers: &Headers<'_>,
        facts: Facts,
        host: &mut dyn Host,
    ) {
        let limit = self.limit;
        let mut work = self.work(n, host);
        if work.conn.over {
            return;
        }
        work.conn.facts = facts;
        work.begin(s, headers);
        if !bytes.is_empty() {
            work.count(bytes.len(), limit);
        }
        work.payload(s, bytes, true);
        work.pure(s, true);
        let side = &mut work.conn.sides[s];
        side.size = None;
        side.accepted.clear();
    }

    /// An ICMP message, from behind its header of eight bytes on.
    pub fn message(
        &mut self,
        n: u32,
        s: usize,
        bytes: &[u8],
        headers: &Headers<'_>,
        facts: Facts,
        host: &mut dyn Host,
    ) {
        let mut work = self.work(n, host);
        work.conn.facts = facts;
        work.begin(s, headers);
        work.payload(s, bytes, true);
    }

    /// What an analyzer found. `begins`: it is matched from here on; `ends`: this is all of it.
    pub fn context(
        &mut self,
        n: u32,
        s: usize,
        (context, bytes): (Context, &[u8]),
        begins: bool,
        ends: bool,
        host: &mut dyn Host,
    ) {
        self.work(n, host).feed(s, context, bytes, begins, ends);
    }

    /// What an analyzer found in one of several streams that come at a time, which `ends` or goes on.
    pub fn context_of(
        &mut self,
        n: u32,
        s: usize,
        stream: u32,
        (context, bytes): (Context, &[u8]),
        ends: bool,
        host: &mut dyn Host,
    ) {
        self.work(n, host).feed_stream(s, stream, context, bytes, ends);
    }

    /// The connection is over.
    pub fn finish(&mut self, n: u32, established: bool, host: &mut dyn Host) {
        let mut over = self.conns.remove(&n);
        while let Some(mut conn) = over {
            conn.facts.established = established;
            let mut work = Work {
                signatures: &self.signatures,
                dfas: &mut self.dfas,
                conn: &mut conn,
                host,
            };
            work.finish(0);
            work.finish(1);
            over = conn.inner;
        }
    }

    /// Originator and responder of connection `n` change places.
    pub fn flip(&mut self, n: u32) {
        let mut next = self.conns.get_mut(&n);
        while let Some(conn) = next {
            conn.sides.swap(0, 1);
            for (s, side) in conn.sides.iter_mut().enumerate() {
                side.turn(s, &self.signatures);
            }
            next = conn.inner.as_mut();
        }
    }

    /// Whether further payload of a direction may lead to a match.
    pub fn wants_payload(&self, n: u32, s: usize) -> bool {
        if !self.signatures.wants_payload() {
            return false;
        }
        let Some(conn) = self.conns.get(&n) else {
            return true;
        };
        self.wants_more(conn, s) || conn.inner.as_ref().is_some_and(|inner| self.wants_more(inner, s))
    }

    fn wants_more(&self, conn: &Conn, s: usize) -> bool {
        let side = &conn.sides[s];
        if conn.over || !side.ready {
            return !conn.over;
        }
        let is_sized = |g: &u32| self.signatures.groups.get(*g as usize).is_some_and(|g| g.sized);
        let is_stream = conn.facts.tcp;
        let sizes = !is_stream || side.size.is_none_or(|n| n == 0);
        sizes && side.groups.iter().any(is_sized) || self.may_match(side, Context::Payload, !is_stream)
    }

    /// Whether something is still looked for in what an analyzer finds: in what `begins`, or in more of what has begun.
    pub fn wants(&self, n: u32, s: usize, context: Context, begins: bool) -> bool {
        self.signatures.wants(context)
            && match self.conns.get(&n).map(|c| &c.sides[s]) {
                Some(side) if side.ready => self.may_match(side, context, begins),
                _ => true,
            }
    }

    /// `anew`: each piece is matched from its beginning on.
    fn may_match(&self, side: &Side, context: Context, anew: bool) -> bool {
        let goes_on = |c: &Cursor| !c.done && c.context == context && c.place != DEAD;
        side.contexts & context.bit() != 0 && (anew || !side.opened || side.cursors.iter().any(goes_on))
    }
}

#[cfg(test)]
mod tests;
