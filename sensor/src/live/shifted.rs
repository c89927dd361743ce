//! The kernel's times, which count from boot, moved to the engine's, which agreed with the time of day at the start.

use sensor_common::{FlowKey, FlowState, RecordHeader};

use crate::datapath::xdp::KernelTable;
use crate::datapath::{FlowTable, Part};

/// The kernel's flow table with its times moved.
pub struct Shifted {
    /// The table as it is.
    pub table: KernelTable,
    /// What is added to its times, ns.
    pub by: i64,
}

impl FlowTable for Shifted {
    fn get(&mut self, key: &FlowKey) -> Option<FlowState> {
        self.table.get(key).map(|f| self.shift(f))
    }

    fn remove(&mut self, key: &FlowKey) -> Option<FlowState> {
        self.table.remove(key).map(|f| self.shift(f))
    }

    fn shed(&mut self, key: &FlowKey, dirs: u32) {
        self.table.shed(key, dirs);
    }

    fn follow(&mut self, key: &FlowKey, dir: u8, at: u32) -> bool {
        self.table.follow(key, dir, at)
    }

    fn skip(&mut self, key: &FlowKey, dir: u8, end: u32) -> bool {
        self.table.skip(key, dir, end)
    }

    fn at_once(&self) -> usize {
        self.table.at_once()
    }

    fn ask(&mut self, keys: &[FlowKey], end: bool, states: &mut Vec<Option<FlowState>>) {
        let before = states.len();
        self.table.ask(keys, end, states);
        for state in &mut states[before..] {
            *state = state.map(|f| self.shift(f));
        }
    }

    fn part_begins(&mut self, key: &FlowKey, part: &Part) {
        let by = self.by.wrapping_neg() as u64;
        let part = Part {
            flow_start: part.flow_start.wrapping_add(by),
            start: part.start.wrapping_add(by),
            ..*part
        };
        self.table.part_begins(key, &part);
    }

    fn part_ends(&mut self, key: &FlowKey, uid_hi: u64, own: &FlowState) {
        self.table
            .part_ends(key, uid_hi, &state(*own, self.by.wrapping_neg()));
    }

    fn told(&mut self, key: &FlowKey, start: u64) {
        self.table.told(key, start.wrapping_sub(self.by as u64));
    }

    fn forget(&mut self, key: &FlowKey) {
        self.table.forget(key);
    }

    fn settle(&mut self) {
        self.table.settle();
    }
}

impl Shifted {
    fn shift(&self, f: FlowState) -> FlowState {
        state(f, self.by)
    }
}

/// A flow's state with its times moved by `shift` ns. A time that is 0 is none, and stays so.
pub fn state(mut f: FlowState, shift: i64) -> FlowState {
    let by = shift as u64;
    f.start = f.start.wrapping_add(by);
    for d in &mut f.dir {
        for t in [&mut d.first, &mut d.last] {
            if *t != 0 {
                *t = t.wrapping_add(by);
            }
        }
    }
    f
}

/// A record with its times moved by `shift` ns.
pub fn record(h: &RecordHeader, shift: i64) -> RecordHeader {
    let mut h = *h;
    let by = shift as u64;
    h.pkt.ts = h.pkt.ts.wrapping_add(by);
    h.flow_start = h.flow_start.wrapping_add(by);
    if h.prev_last != 0 {
        h.prev_last = h.prev_last.wrapping_add(by);
    }
    h
}
