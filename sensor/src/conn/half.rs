//! Half-open connections of which the datapath told late or not at all: while a ring is crowded, SYNs and answers to
//! them stay below, and the oldest of too many half-open flows leave the table (`sensor-ebpf/src/half.rs`).

use sensor_common::flow::why;
use sensor_common::packet::tcp_flags as tf;
use sensor_common::record::Totals;
use sensor_common::{FlowKey, FlowState, Packet, RecordHeader};

use super::ending::{Ending, Missing, before};
use super::ends::proto;
use super::engine::Engine;
use super::entry::{Conn, letter};
use super::heritage::originator;
use super::sink::Sink;
use super::timer::Kind;
use crate::datapath::FlowTable;
use crate::datapath::hash_key;
use crate::event::Proto;

/// What one side of a half-open connection sent, as far as it is known.
#[derive(Clone, Copy)]
struct Sent {
    ts: u64,
    flags: u8,
    isn: u32,
    pkts: u64,
    bytes: u64,
}

/// The records of a connection's SYN and of the answer to it, as they would have come.
fn records(
    key: &FlowKey,
    tunnel: u32,
    orig: u8,
    start: u64,
    sent: [Option<Sent>; 2],
) -> [Option<RecordHeader>; 2] {
    let mut totals = [Totals::default(); 2];
    let mut prev_last = 0;
    [orig, orig ^ 1].map(|dir| {
        let s = sent[dir as usize & 1]?;
        let syn = (s.flags & tf::SYN != 0) as u32;
        let ip_len = (s.bytes / s.pkts.max(1)) as u32;
        let peer = totals[(dir ^ 1) as usize & 1];
        let ack = if s.flags & tf::ACK != 0 { peer.next } else { 0 };
        totals[dir as usize & 1] = Totals {
            pkts: 1,
            bytes: ip_len as u64,
            payload: 0,
            next: s.isn.wrapping_add(syn) as u64,
            ack,
        };
        let rec = RecordHeader {
            pkt: Packet {
                key: *key,
                tunnel,
                ts: s.ts,
                ip_len,
                seq: s.isn,
                ack: ack as u32,
                // It was not told; nobody opens with one of 0.
                window: u16::MAX,
                flags: s.flags,
                dir,
                segs: 1,
                ..Packet::default()
            },
            totals,
            prev_last,
            flow_start: start,
            why: why::FIRST | why::CONTROL | if prev_last == 0 { why::NEW_FLOW } else { 0 },
            kind: sensor_common::record::KIND_PACKET,
            ..RecordHeader::default()
        };
        prev_last = s.ts;
        Some(rec)
    })
}

/// What came before `rec`, the first that is told of its flow.
fn untold(rec: &RecordHeader) -> [Option<RecordHeader>; 2] {
    let p = &rec.pkt;
    let sent = before(rec, None).dir.map(|d| {
        let flags = if d.ack == 0 { tf::SYN } else { tf::SYN | tf::ACK };
        (d.pkts > 0).then_some(Sent {
            ts: if flags == tf::SYN {
                rec.flow_start
            } else {
                rec.prev_last
            },
            flags,
            isn: (d.next as u32).wrapping_sub(d.payload as u32).wrapping_sub(1),
            pkts: d.pkts,
            bytes: d.bytes,
        })
    });
    // A SYN acknowledges nothing.
    let began = |s: &Option<Sent>| s.is_some_and(|s| s.flags & tf::ACK == 0);
    let orig = if began(&sent[p.dir as usize & 1]) {
        p.dir
    } else {
        p.dir ^ 1
    };
    records(&p.key, p.tunnel, orig, rec.flow_start, sent)
}

/// What there was of a connection, by its flow's last state.
fn all_of(key: &FlowKey, state: &FlowState) -> [Option<RecordHeader>; 2] {
    let sent = state.dir.map(|d| {
        let flags = d.flags as u8 & (tf::SYN | tf::RST | tf::ACK);
        (d.pkts > 0).then_some(Sent {
            ts: d.first,
            flags,
            isn: if flags & tf::SYN != 0 {
                d.isn
            } else {
                d.next as u32
            },
            pkts: d.pkts,
            bytes: d.bytes,
        })
    });
    records(key, state.tunnel, originator(state) as u8, state.start, sent)
}

impl Conn {
    /// Whether the datapath may have let its flow go to make room.
    fn may_give_way(&self) -> bool {
        const OPENED: u16 = letter::DATA | letter::ACK | letter::FIN | letter::FIN_RST;
        proto(self.key.proto) == Proto::Tcp && self.hist_seen & (OPENED | OPENED << 8) == 0
    }
}

impl<S: Sink> Engine<S> {
    /// Ends a connection of whose flow there is no entry.
    pub(super) fn end_without_state(&mut self, e: Ending, flows: &impl FlowTable) {
        let waits = flows.at_once() > 1 && e.conn.may_give_way() && self.missing.conns.len() < Missing::MOST;
        if !waits {
            return self.tell_end(e, None);
        }
        self.missing
            .until
            .push_back((e.now + Missing::PATIENCE, e.conn.key));
        if let Some(older) = self.missing.conns.insert(e.conn.key, e) {
            self.tell_end(older, None);
        }
    }

    /// Ends those whose states did not come.
    pub(super) fn give_up_missing(&mut self, now: u64, all: bool) {
        while let Some(e) = self.missing.give_up(now, all) {
            self.tell_end(e, None);
        }
    }

    /// Catches up with what the datapath did not tell of a connection before `rec`.
    pub(super) fn catch_up_untold(&mut self, rec: &RecordHeader, flows: &mut impl FlowTable) {
        for r in untold(rec).iter().flatten() {
            self.record(r, &[], flows);
        }
    }

    /// Ends the connection at `slot` if it is of an earlier flow than the one that began at `start`.
    pub(super) fn end_older(&mut self, slot: Option<u32>, start: u64, now: u64) {
        let older = |i: &u32| self.slots.get(*i).is_some_and(|c| c.flow_start() != start);
        if let Some(slot) = slot.filter(older)
            && let Some(conn) = self.take(slot)
        {
            self.tell_end(Ending { conn, slot, now }, None);
        }
    }

    /// A half-open flow has left the table to make room; `state` is its last. `untold`: no record told of it.
    pub fn gone(&mut self, key: &FlowKey, state: &FlowState, untold: bool, flows: &mut impl FlowTable) {
        let now = state.last();
        flows.told(key, state.start);
        if let Some(e) = self.missing.take(key, state.start) {
            return self.tell_end(e, Some(state));
        }
        let ending = |e: &Ending| e.conn.key == *key && e.conn.flow_start() == state.start;
        if let Some(n) = self.ending.iter().position(ending) {
            let e = self.ending.remove(n);
            return self.tell_end(e, Some(state));
        }
        let hash = hash_key(&self.hasher, key);
        if untold {
            self.end_older(self.find(hash, key), state.start, now);
        }
        if self.find(hash, key).is_none() {
            if !untold {
                // Its row was written without waiting any longer.
                return;
            }
            for r in all_of(key, state).iter().flatten() {
                self.record(r, &[], flows);
            }
        }
        let Some(i) = self.find(hash, key) else { return };
        if self.slots.get(i).is_none_or(|c| c.flow_start() != state.start) {
            return;
        }
        if let Some((mut run, tcp)) = self.run(now, i) {
            // Its time was up.
            run.on_timer(tcp, Kind::Attempt, |_| None);
        }
        if let Some(conn) = self.take(i) {
            self.tell_end(Ending { conn, slot: i, now }, Some(state));
        }
    }
}
