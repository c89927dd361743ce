//! Connections that another engine had, by what the flow table knows of them: the sensor was started anew while the kernel
//! went on counting, or a worker failed.
//!
//! A flow's state says what was sent (flags, numbers, counts, times), and the packets that make such a state are given to
//! the engine as if they came now, without payload. So states, timers and letters come about as they always do. What the packets said beyond
//! that is lost: services, and letters of what was unusual. Totals are the flow table's and exact.

use std::collections::HashMap;

use sensor_common::flow::{half, why};
use sensor_common::key::IPPROTO_TCP;
use sensor_common::packet::tcp_flags as tf;
use sensor_common::record::{KIND_PACKET, Totals};
use sensor_common::{DirState, FlowKey, FlowState, Packet, RecordHeader};

use super::ending::{Ending, before};
use super::engine::Engine;
use super::heritage::{Estate, originator, part_of, subtract};
use super::sink::Sink;
use crate::datapath::{FlowTable, Part, hash_key};
use crate::event::Ts;

/// Weird of a connection that was taken over, once each. [`Engine::adopt`].
const RESUMED: &str = "connection_resumed";

impl<S: Sink> Engine<S> {
    /// Flows that began before `before`, of which this engine has no connection, are those of another one that is no more.
    /// `parts`: their connections that are not the first in their flows.
    pub fn take_over(&mut self, before: Ts, parts: HashMap<FlowKey, Part>) {
        self.adoption.before = before;
        self.adoption.parts.extend(parts);
    }

    /// What is left for another engine when this one has failed in the midst of its work.
    pub fn estate(&mut self) -> Estate {
        let at_end = self.at_end.take();
        let at_end = at_end
            .into_iter()
            .map(|((key, part), flow)| (key, Some(part), flow));
        let telling = self.telling.drain(..).filter_map(|(e, flow)| {
            let (key, part) = part_of(&e.conn);
            Some((key, Some(part), flow?))
        });
        let divided = |i| {
            let conn = self.slots.get(i)?;
            conn.extra.as_ref().filter(|e| e.base != FlowState::default())?;
            Some(part_of(conn))
        };
        Estate {
            ended: at_end.chain(telling).collect(),
            parts: self.table.iter().filter_map(divided).collect(),
        }
    }

    /// Connections that were taken over.
    pub fn adopted(&self) -> u64 {
        self.adoption.n
    }

    /// Whether a record is of another engine's connection.
    pub(super) fn is_anothers(&self, rec: &RecordHeader) -> bool {
        rec.flow_start < self.adoption.before
            && rec.why & (why::NEW_FLOW | why::UNTOLD) == 0
            && !self.is_ending(&rec.pkt.key)
    }

    fn is_ending(&self, key: &FlowKey) -> bool {
        self.ending.iter().any(|e| e.conn.key == *key) || self.missing.conns.contains_key(key)
    }

    /// Takes over a connection up to the packet of `rec`, the first that this engine is told of.
    pub(super) fn adopt_before(&mut self, rec: &RecordHeader, flows: &mut impl FlowTable) {
        let Some(now) = flows.get(&rec.pkt.key).filter(|f| f.start == rec.flow_start) else {
            return;
        };
        let mut state = before(rec, Some(now));
        for (d, now) in state.dir.iter_mut().zip(&now.dir) {
            // What has come since is told by records: so is a FIN, which is the last of a direction's numbers, and a RST.
            let gone = if d.next == now.next {
                tf::RST
            } else {
                tf::RST | tf::FIN
            };
            d.flags &= !u32::from(gone);
            if d.pkts == 0 {
                *d = DirState::default();
            }
        }
        self.adopt(&rec.pkt.key, &state, flows);
    }

    /// Takes over a connection, by its flow's state, unless it is known.
    pub fn adopt(&mut self, key: &FlowKey, state: &FlowState, flows: &mut impl FlowTable) {
        let hash = hash_key(&self.hasher, key);
        let is_new = state.start < self.adoption.before
            && state.half & half::UNTOLD == 0
            && self.find(hash, key).is_none()
            && !self.is_ending(key);
        if !is_new {
            return;
        }
        let part = self.adoption.parts.remove(key);
        let part = part.filter(|p| p.flow_start == state.start);
        self.revive(key, state, part.as_ref(), flows);
        self.adoption.n += 1;
        let Some(i) = self.find(hash, key) else { return };
        if let Some((run, _)) = self.run(state.last(), i) {
            let uid = run.id().uid.to_string();
            let (src, dst) = (key.a, key.b);
            self.net_weird(state.last(), RESUMED, &uid, Some((&src, &dst)));
        }
    }

    /// A connection that ended in another engine, whose row was not written: `state` is its flow's last. To be told before
    /// the first record, when no other connection can be in its place.
    pub fn bury(
        &mut self,
        key: &FlowKey,
        state: &FlowState,
        part: Option<&Part>,
        flows: &mut impl FlowTable,
    ) {
        let hash = hash_key(&self.hasher, key);
        if self.find(hash, key).is_some() {
            return;
        }
        self.revive(key, state, part, flows);
        if let Some(slot) = self.find(hash, key)
            && let Some(conn) = self.take(slot)
        {
            let now = state.last();
            self.tell_end(Ending { conn, slot, now }, Some(state));
        }
    }

    fn revive(&mut self, key: &FlowKey, state: &FlowState, part: Option<&Part>, flows: &mut impl FlowTable) {
        let mut mine = *state;
        if let Some(p) = part {
            subtract(&mut mine, &p.base);
            mine.dir.iter_mut().for_each(|d| d.first = p.start);
            self.uid_of_next = Some(p.uid_hi);
        }
        let orig = part.map_or_else(|| originator(&mine), |p| p.orig.into());
        for rec in remembered(key, &mine, orig) {
            self.record(&rec, &[], flows);
        }
        self.uid_of_next = None;
        let hash = hash_key(&self.hasher, key);
        let Some(i) = self.find(hash, key) else { return };
        let Some(conn) = self.slots.get_mut(i) else { return };
        if let Some(p) = part {
            conn.conn.extra().base = p.base;
        }
        let said = mine.dir.iter().any(|d| d.payload > 0);
        if key.proto == IPPROTO_TCP
            && said
            && let Some((mut run, _)) = self.run(mine.last(), i)
        {
            // Nobody can make anything of the middle of what was being said.
            run.app_never();
        }
    }
}

/// Records of packets that leave such a state behind.
fn remembered(key: &FlowKey, state: &FlowState, orig: usize) -> Vec<RecordHeader> {
    let mut m = Memory {
        key,
        state,
        totals: [Totals::default(); 2],
        last: 0,
        all: Vec::new(),
    };
    if key.proto == IPPROTO_TCP {
        m.tcp(orig);
    } else {
        for dir in [orig, orig ^ 1] {
            if state.dir[dir].pkts > 0 {
                m.push(dir, state.dir[dir].first, 0, 0, 0);
            }
        }
        if state.last() > m.last {
            let later = usize::from(state.dir[1].last > state.dir[0].last);
            m.push(later, state.last(), 0, 0, 0);
        }
    }
    m.all
}

struct Memory<'a> {
    key: &'a FlowKey,
    state: &'a FlowState,
    totals: [Totals; 2],
    last: u64,
    all: Vec<RecordHeader>,
}

impl Memory<'_> {
    fn has(&self, dir: usize, flag: u8) -> bool {
        self.state.dir[dir].flags & u32::from(flag) != 0
    }

    /// The first number behind a direction's SYN.
    fn begin(&self, dir: usize) -> u64 {
        self.state.dir[dir].isn.wrapping_add(1).into()
    }

    /// Where a direction's bytes end.
    fn end(&self, dir: usize) -> u64 {
        let next = self.state.dir[dir].next;
        next.wrapping_sub(u64::from(self.has(dir, tf::FIN)))
            .max(self.begin(dir))
    }

    fn has_acknowledged(&self, dir: usize) -> bool {
        // The number is that of the moment in question, the other may be of a later one.
        let d = &self.state.dir[dir];
        d.has_acknowledged() && d.ack != 0
    }

    /// What a direction has acknowledged, of what the other one has sent so far.
    fn acked(&self, dir: usize) -> u64 {
        let (ack, sent) = (self.state.dir[dir].ack, self.totals[dir ^ 1].next);
        if (ack as u32).wrapping_sub(sent as u32) as i32 > 0 {
            sent
        } else {
            ack
        }
    }

    fn tcp(&mut self, orig: usize) {
        let resp = orig ^ 1;
        for dir in [orig, resp] {
            let d = &self.state.dir[dir];
            let peer_began = self.totals[dir ^ 1].next != 0;
            let ack = if peer_began { self.begin(dir ^ 1) } else { 0 };
            let with_ack = if self.has(dir, tf::ACK) && peer_began {
                tf::ACK
            } else {
                0
            };
            if d.pkts == 0 {
                continue;
            }
            if self.has(dir, tf::SYN) {
                self.push(dir, d.first, tf::SYN | with_ack, self.begin(dir), ack);
            } else if self.has_data(dir) {
                self.data(dir, ack);
            } else if d.pkts > u64::from(self.has(dir, tf::RST)) {
                self.push(dir, d.first, tf::ACK, self.begin(dir), ack);
            }
        }
        let both = self.totals.iter().all(|t| t.next != 0);
        let (o, r) = (&self.state.dir[orig], &self.state.dir[resp]);
        if both && self.has(orig, tf::SYN) && self.has_acknowledged(orig) {
            self.push(
                orig,
                o.first.max(r.first),
                tf::ACK,
                self.begin(orig),
                self.begin(resp),
            );
        }
        for dir in [orig, resp] {
            if self.has_data(dir) && self.has(dir, tf::SYN) {
                self.data(dir, self.totals[dir].ack);
            }
        }
        for dir in 0..2 {
            if self.totals[dir].next != 0 {
                self.totals[dir].next = self.end(dir);
            }
        }
        // Who closes first acknowledges last.
        let closer = if r.last > o.last { resp } else { orig };
        let (first, second) = (&self.state.dir[closer], &self.state.dir[closer ^ 1]);
        let closed = self.has(orig, tf::FIN) && self.has(resp, tf::FIN);
        let last = match closed && second.ack as u32 == first.next as u32 {
            // That acknowledgement no longer counts for the duration.
            true => second.last,
            false => first.last,
        };
        for dir in [closer, closer ^ 1] {
            let next = self.totals[dir].next;
            if next != 0 && self.has_acknowledged(dir) {
                self.push(dir, last, tf::ACK, next, self.acked(dir));
            }
        }
        for dir in [closer, closer ^ 1] {
            if self.has(dir, tf::FIN) {
                let ack = self.acked(dir);
                self.push(dir, last, tf::FIN | tf::ACK, self.state.dir[dir].next, ack);
            }
        }
        for dir in [closer, closer ^ 1] {
            if self.has(dir, tf::RST) {
                let d = &self.state.dir[dir];
                let with_ack = d.flags as u8 & tf::ACK;
                self.push(dir, last, tf::RST | with_ack, self.end(dir), d.ack);
            }
        }
    }

    fn has_data(&self, dir: usize) -> bool {
        self.state.dir[dir].payload > 0 && self.end(dir) > self.begin(dir)
    }

    /// A packet with payload that was kept: its first byte stands for all.
    fn data(&mut self, dir: usize, ack: u64) {
        let first = self.state.dir[dir].first;
        self.push(dir, first, tf::ACK, self.begin(dir) + 1, ack);
        if let Some(rec) = self.all.last_mut() {
            rec.pkt.payload_len = 1;
            rec.pkt.seq = rec.pkt.seq.wrapping_sub(1);
            rec.why |= why::HAS_PAYLOAD | why::SHED;
        }
    }

    /// A packet without payload, after which its sender stands at `next` and has acknowledged `ack`.
    fn push(&mut self, dir: usize, ts: u64, flags: u8, next: u64, ack: u64) {
        let ts = ts.max(self.last);
        let all = Totals::of(&self.state.dir[dir]);
        let was = self.totals[dir];
        let used = u32::from(flags & tf::SYN != 0) + u32::from(flags & tf::FIN != 0);
        self.totals[dir] = Totals {
            next,
            ack: ack.max(was.ack),
            ..all
        };
        let first = self.all.is_empty();
        self.all.push(RecordHeader {
            pkt: Packet {
                key: *self.key,
                tunnel: self.state.tunnel,
                ts,
                ip_len: (all.bytes / all.pkts.max(1)) as u32,
                seq: (next as u32).wrapping_sub(used),
                ack: ack as u32,
                // As it is now, or one that nobody takes for closed.
                window: u16::try_from(self.state.dir[dir].window)
                    .unwrap_or(u16::MAX)
                    .max(1),
                flags,
                dir: dir as u8,
                segs: 1,
                ..Packet::default()
            },
            totals: self.totals,
            prev_next: was.next,
            prev_ack: was.ack,
            prev_last: self.last,
            flow_start: self.state.start,
            why: why::FIRST | if first { why::NEW_FLOW } else { 0 },
            kind: KIND_PACKET,
            ..RecordHeader::default()
        });
        self.last = ts;
    }
}
