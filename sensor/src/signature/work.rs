//! One connection's signatures: what each direction has matched so far, and what follows from it.
//!
//! When conditions are looked at is Zeek's (RuleMatcher): headers with a direction's first packet, signatures without
//! expressions then and at the end, all others when their last expression is complete, and again with each further match and
//! at the end; negations at the end. A signature matches once in a connection. Datagrams and ICMP messages are each matched
//! from their beginning on; a UDP datagram is an end of its own.

use std::sync::Arc;

use super::compile::{Signature, Signatures};
use super::dfa::{DEAD, Dfa};
use super::header::Headers;
use super::rule::{Condition, Context};
use super::side::{Conn, Cursor, Side, Stream, contexts_of, has, insert};

/// Most of the bytes that completed an expression that are kept for a match that comes later.
const MAX_DATA: usize = 2048;
/// Most streams of a direction that are matched at a time.
const MAX_STREAMS: usize = 1024;
/// Packets or pieces of a stream that payload is matched in (Zeek: dpd_max_packets).
const MAX_PIECES: u32 = 100;

/// Where a match is.
#[derive(Clone, Copy, Debug)]
pub struct At<'m> {
    /// Whose.
    pub signature: &'m Signature,
    /// The originator sent it.
    pub is_orig: bool,
    /// Bytes of the first piece of payload in that direction, or of the datagram.
    pub payload_size: u64,
    /// The bytes that completed it; none where no expression did.
    pub data: &'m [u8],
}

/// Who is told of matches, and asked for what signatures do not know.
pub trait Host {
    /// A signature matched.
    fn matched(&mut self, at: At<'_>);

    /// What a function of a script says of a match (`eval`).
    fn evaluate(&mut self, function: &str, at: At<'_>) -> bool;

    /// For want of memory some expressions are not looked for any further in a direction.
    fn gave_up(&mut self);
}

/// One connection at work.
pub(super) struct Work<'w> {
    pub signatures: &'w Signatures,
    pub dfas: &'w mut [Dfa],
    pub conn: &'w mut Conn,
    pub host: &'w mut dyn Host,
}

impl Work<'_> {
    /// Counts payload; when there was enough of it, this is the last.
    pub fn count(&mut self, len: usize, limit: u64) {
        self.conn.bytes += len as u64;
        self.conn.pieces += 1;
        self.conn.over = limit > 0 && (self.conn.bytes > limit || self.conn.pieces > MAX_PIECES);
    }

    pub fn begin(&mut self, s: usize, headers: &Headers<'_>) {
        let side = &mut self.conn.sides[s];
        if std::mem::replace(&mut side.ready, true) {
            return;
        }
        side.groups = self.signatures.groups_of(headers);
        side.contexts = self.signatures.contexts_of(&side.groups, s);
        self.pure(s, false);
        if self.signatures.matches_nothing {
            self.feed(s, Context::Payload, b"", true, false);
        }
        self.conn.sides[s].size = Some(0);
    }

    /// Puts a direction at the beginning of its machines.
    fn open(&mut self, s: usize) {
        let side = &mut self.conn.sides[s];
        if std::mem::replace(&mut side.opened, true) {
            return;
        }
        let count = self.signatures.machines_of(&side.groups).count();
        side.cursors.reserve_exact(count);
        for (n, machine) in self.signatures.machines_of(&side.groups) {
            if let Some(dfa) = self.dfas.get_mut(n as usize) {
                let (place, _) = dfa.start();
                dfa.hold(place);
                side.cursors.push(Cursor {
                    machine: n,
                    place,
                    passed: 0,
                    context: machine.context,
                    done: !machine.is_of(s),
                });
            }
        }
    }

    pub fn payload(&mut self, s: usize, bytes: &[u8], begins: bool) {
        let side = &mut self.conn.sides[s];
        if side.size.is_none_or(|n| n == 0) {
            side.size = Some(bytes.len() as u64);
        }
        self.feed(s, Context::Payload, bytes, begins, false);
    }

    /// Takes bytes through the machines of a context, and acts on what they complete.
    pub fn feed(&mut self, s: usize, context: Context, bytes: &[u8], begins: bool, ends: bool) {
        if self.conn.sides[s].contexts & context.bit() == 0 {
            return;
        }
        self.open(s);
        let mut cursors = std::mem::take(&mut self.conn.sides[s].cursors);
        let new = self.walk(s, &mut cursors, context, bytes, begins, ends);
        self.conn.sides[s].cursors = cursors;
        self.act(s, &new, bytes);
    }

    /// The same of one of several streams that come at a time. It is over where it `ends`.
    pub fn feed_stream(&mut self, s: usize, id: u32, context: Context, bytes: &[u8], ends: bool) {
        let wants = self.conn.sides[s].contexts & context.bit() != 0;
        if wants {
            self.open(s);
        }
        let Side { streams, cursors, .. } = &mut self.conn.sides[s];
        let at = streams.iter().position(|t| t.id == id && t.context == context);
        let begins = at.is_none();
        let mut stream = match at {
            Some(at) => streams.swap_remove(at),
            None if !wants || ends => return,
            None if streams.len() >= MAX_STREAMS => return self.host.gave_up(),
            None => Stream {
                id,
                context,
                cursors: cursors.iter().filter(|c| c.context == context).copied().collect(),
            },
        };
        if begins {
            for cursor in &mut stream.cursors {
                if let Some(dfa) = self.dfas.get_mut(cursor.machine as usize) {
                    cursor.place = dfa.start().0;
                    dfa.hold(cursor.place);
                }
            }
        }
        let is_done = |machine: u32| cursors.iter().any(|c| c.machine == machine && c.done);
        stream
            .cursors
            .iter_mut()
            .for_each(|c| c.done |= is_done(c.machine));
        let new = match wants {
            true => self.walk(s, &mut stream.cursors, context, bytes, begins, ends),
            false => Vec::new(),
        };
        match ends {
            true => self.release(&stream.cursors),
            false => self.conn.sides[s].streams.push(stream),
        }
        self.act(s, &new, bytes);
    }

    /// No stream stands on these places any more.
    fn release(&mut self, cursors: &[Cursor]) {
        for cursor in cursors {
            if let Some(dfa) = self.dfas.get_mut(cursor.machine as usize) {
                dfa.release(cursor.place);
            }
        }
    }

    /// Takes bytes through the machines of a context; the expressions that are complete now and were not before.
    fn walk(
        &mut self,
        s: usize,
        cursors: &mut [Cursor],
        context: Context,
        bytes: &[u8],
        begins: bool,
        ends: bool,
    ) -> Vec<u32> {
        let mut new = Vec::new();
        let mut gave_up = false;
        let side = &mut self.conn.sides[s];
        for cursor in cursors {
            if cursor.done || cursor.context != context {
                continue;
            }
            let machine = cursor.machine as usize;
            let (Some(machine), Some(dfa)) =
                (self.signatures.machines.get(machine), self.dfas.get_mut(machine))
            else {
                continue;
            };
            let mut complete = |all: &[u32], passed: u64| {
                let in_time = |p: &&u32| {
                    let depth = self.signatures.patterns.get(**p as usize).map_or(0, |p| p.1);
                    passed <= depth as u64
                };
                let fresh = all.iter().filter(in_time);
                new.extend(fresh.copied().filter(|p| insert(&mut side.accepted, *p)));
            };
            let before = cursor.place;
            if begins {
                let (place, accepted) = dfa.start();
                (cursor.place, cursor.passed) = (place, 0);
                complete(accepted, 0);
            }
            let passed = cursor.passed;
            match dfa.run(&machine.nfa, cursor.place, bytes, |all, n| {
                complete(all, passed + n as u64)
            }) {
                Ok(place) => cursor.place = place,
                Err(_) => (cursor.place, gave_up) = (DEAD, true),
            }
            cursor.passed += bytes.len() as u64;
            if ends {
                let all = dfa.at_end(&machine.nfa, cursor.place);
                complete(&all, cursor.passed);
            }
            if cursor.place != before {
                dfa.release(before);
                dfa.hold(cursor.place);
            }
        }
        if gave_up {
            self.host.gave_up();
        }
        new
    }

    /// Acts on expressions that are complete.
    fn act(&mut self, s: usize, new: &[u32], bytes: &[u8]) {
        if !new.is_empty() {
            self.evaluate(s, new, bytes);
            self.settle(s);
        }
    }

    /// Notes which machines have nothing left to find in a direction.
    fn settle(&mut self, s: usize) {
        let is_stream = self.conn.facts.tcp;
        let Side {
            cursors,
            contexts,
            accepted,
            matched,
            ..
        } = &mut self.conn.sides[s];
        for cursor in cursors.iter_mut().filter(|c| !c.done) {
            let Some(machine) = self.signatures.machines.get(cursor.machine as usize) else {
                continue;
            };
            // In a stream an expression is complete once; of all else each piece begins anew, and all counts together.
            let once = is_stream && machine.context == Context::Payload;
            cursor.done = machine.nfa.patterns.iter().all(|p| {
                let rule = self.signatures.patterns.get(*p as usize);
                once && has(accepted, *p) || rule.is_some_and(|(rule, _)| has(matched, *rule))
            });
        }
        *contexts = contexts_of(cursors);
    }

    /// New expressions are complete: the signatures of which all are, now or before, are looked at.
    fn evaluate(&mut self, s: usize, new: &[u32], data: &[u8]) {
        let side = &self.conn.sides[s];
        let is_complete = |rule: u32| {
            let rule = self.signatures.rules.get(rule as usize);
            rule.is_some_and(|r| r.patterns.clone().all(|p| has(&side.accepted, p)))
        };
        let of = |p: &u32| self.signatures.patterns.get(*p as usize).map(|p| p.0);
        let mut rules: Vec<u32> = new.iter().filter_map(of).collect();
        rules.extend(side.complete.iter().map(|(rule, _)| *rule));
        rules.sort_unstable();
        rules.dedup();
        rules.retain(|rule| is_complete(*rule) && !has(&side.matched, *rule));
        let mut kept: Option<Arc<[u8]>> = None;
        for rule in rules {
            // One before it may have led to it.
            if has(&self.conn.sides[s].matched, rule) {
                continue;
            }
            if self.holds(rule, s, data, false) {
                self.fire(rule, s, data, false);
            } else if let Err(place) = self.conn.sides[s].complete(rule) {
                let data = kept.get_or_insert_with(|| data.get(..MAX_DATA).unwrap_or(data).into());
                self.conn.sides[s].complete.insert(place, (rule, data.clone()));
            }
        }
    }

    fn at<'a>(&self, signature: &'a Signature, s: usize, data: &'a [u8]) -> At<'a> {
        At {
            signature,
            is_orig: s == 0,
            payload_size: self.conn.sides[s].size.unwrap_or(0),
            data,
        }
    }

    /// Whether all else holds that a signature asks for. `ends`: nothing more comes.
    fn holds(&mut self, rule: u32, s: usize, data: &[u8], ends: bool) -> bool {
        let signatures = self.signatures;
        let Some(rule) = signatures.rules.get(rule as usize) else {
            return false;
        };
        let required = rule.requires.iter().all(|(of, reverse, negate)| {
            let side = &self.conn.sides[s ^ usize::from(*reverse)];
            // Of a direction from which nothing came it is not known.
            side.ready
                && if *negate {
                    ends && !has(&side.matched, *of)
                } else {
                    has(&side.matched, *of)
                }
        });
        required && rule.conditions.iter().all(|c| self.is_met(c, rule, s, data))
    }

    fn is_met(&mut self, condition: &Condition, rule: &Signature, s: usize, data: &[u8]) -> bool {
        let facts = self.conn.facts;
        match condition {
            Condition::Tcp(flow) | Condition::Udp(flow) => {
                let is_tcp = matches!(condition, Condition::Tcp(_));
                let is_other = if s == 0 { flow.resp } else { flow.orig };
                let established = !flow.established || facts.established;
                (if is_tcp { facts.tcp } else { facts.udp }) && (flow.stateless || !is_other && established)
            }
            Condition::SameIp => facts.same_ip,
            Condition::Size(cmp, n) => {
                let size = self.conn.sides[s].size.filter(|n| *n > 0);
                size.is_some_and(|size| cmp.holds(size, u64::from(*n)))
            }
            Condition::Eval(function) => {
                let at = self.at(rule, s, data);
                self.host.evaluate(function, at)
            }
        }
    }

    /// A signature matches, and with it perhaps others that require it.
    fn fire(&mut self, rule: u32, s: usize, data: &[u8], ends: bool) {
        let mut due = Vec::new();
        self.fire_one(rule, s, data, &mut due);
        while let Some((rule, s)) = due.pop() {
            let signatures = self.signatures;
            let side = &self.conn.sides[s];
            let Some(signature) = signatures.rules.get(rule as usize) else {
                continue;
            };
            let is_here = signature.group.is_some_and(|g| has(&side.groups, g));
            if !is_here || has(&side.matched, rule) {
                continue;
            }
            let complete = side.complete(rule).ok().and_then(|at| side.complete.get(at));
            let data: Arc<[u8]> = match complete {
                Some((_, data)) => data.clone(),
                None if signature.patterns.is_empty() => Arc::from(&[][..]),
                None => continue,
            };
            if self.holds(rule, s, &data, ends) {
                self.fire_one(rule, s, &data, &mut due);
            }
        }
    }

    fn fire_one(&mut self, rule: u32, s: usize, data: &[u8], due: &mut Vec<(u32, usize)>) {
        let [side, other] = match s {
            0 => self.conn.sides.each_mut(),
            _ => {
                let [orig, resp] = self.conn.sides.each_mut();
                [resp, orig]
            }
        };
        let Some(signature) = self.signatures.rules.get(rule as usize) else {
            return;
        };
        if has(&other.matched, rule) || !insert(&mut side.matched, rule) {
            return;
        }
        if let Ok(place) = side.complete(rule) {
            side.complete.remove(place);
        }
        let at = self.at(signature, s, data);
        self.host.matched(at);
        let dependents = signature.dependents.iter().rev();
        due.extend(dependents.flat_map(|d| [(*d, s ^ 1), (*d, s)]));
    }

    /// Looks at the signatures without expressions.
    pub fn pure(&mut self, s: usize, ends: bool) {
        let signatures = self.signatures;
        for g in 0..self.conn.sides[s].groups.len() {
            let group = self.conn.sides[s].groups.get(g);
            let group = group.and_then(|g| signatures.groups.get(*g as usize));
            for rule in group.map_or(&[][..], |g| &g.pure) {
                if !has(&self.conn.sides[s].matched, *rule) && self.holds(*rule, s, b"", ends) {
                    self.fire(*rule, s, b"", ends);
                }
            }
        }
    }

    /// A direction is over.
    pub fn finish(&mut self, s: usize) {
        if self.conn.sides[s].ready {
            let is_stream = self.conn.facts.tcp;
            if self.conn.sides[s].opened || self.signatures.matches_end {
                self.feed(s, Context::Payload, b"", !is_stream, true);
            }
            self.pure(s, true);
            for (rule, data) in self.conn.sides[s].complete.clone() {
                if !has(&self.conn.sides[s].matched, rule) && self.holds(rule, s, &data, true) {
                    self.fire(rule, s, &data, true);
                }
            }
        }
        let side = &mut self.conn.sides[s];
        let (cursors, streams) = (
            std::mem::take(&mut side.cursors),
            std::mem::take(&mut side.streams),
        );
        self.release(&cursors);
        streams.iter().for_each(|stream| self.release(&stream.cursors));
    }
}
