//! Connections that are over, until their final states are known.

use std::collections::{HashMap, VecDeque};

use sensor_common::{FlowKey, FlowState, RecordHeader};

use super::entry::Entry;
use super::stream::before_packet;
use crate::event::Ts;

/// A connection that is out of the table and whose final state is not known yet.
pub struct Ending {
    pub conn: Entry,
    /// Its place among the connections.
    pub slot: u32,
    /// When it was over.
    pub now: Ts,
}

/// The flow's state as it was before a record's packet.
pub fn before(rec: &RecordHeader, now: Option<FlowState>) -> FlowState {
    let mut f = now.unwrap_or_default();
    for dir in 0..2 {
        let t = &rec.totals[dir];
        let own = (dir == rec.pkt.dir as usize) as u64;
        f.dir[dir].pkts = t.pkts.saturating_sub(own * rec.pkt.segs as u64);
        f.dir[dir].bytes = t.bytes.saturating_sub(own * rec.pkt.ip_len as u64);
        f.dir[dir].payload = t.payload.saturating_sub(own * rec.pkt.payload_len as u64);
        f.dir[dir].last = rec.prev_last;
    }
    let (next, ack) = before_packet(rec);
    for dir in 0..2 {
        (f.dir[dir].next, f.dir[dir].ack) = (next[dir], ack[dir]);
    }
    f.start = rec.flow_start;
    f
}

/// Half-open connections that are over, and whose flows had left the table before they were asked for: their last
/// states are on their way through the ring.
#[derive(Default)]
pub struct Missing {
    pub conns: HashMap<FlowKey, Ending>,
    /// Until when they are waited for, in order.
    pub until: VecDeque<(u64, FlowKey)>,
}

impl Missing {
    /// Longest wait, ns: as long as a record may lie in a ring.
    pub const PATIENCE: u64 = 2_000_000_000;
    /// Most that wait.
    pub const MOST: usize = 1 << 16;

    pub fn take(&mut self, key: &FlowKey, flow_start: u64) -> Option<Ending> {
        let e = self.conns.get(key)?;
        if e.conn.flow_start() == flow_start {
            self.conns.remove(key)
        } else {
            None
        }
    }

    /// One that has waited long enough; with `all`, any.
    pub fn give_up(&mut self, now: u64, all: bool) -> Option<Ending> {
        while let Some((until, key)) = self.until.front() {
            if *until > now && !all {
                return None;
            }
            let (until, key) = (*until, *key);
            self.until.pop_front();
            // Not one of the same key that came later.
            if self
                .conns
                .get(&key)
                .is_some_and(|e| e.now + Self::PATIENCE <= until)
            {
                return self.conns.remove(&key);
            }
        }
        None
    }
}
