//! The slow sweep over the flow table: entries that no connection will end, because their records were lost or never
//! made.

use std::io;

use sensor_common::flow::half;
use sensor_common::key::IPPROTO_TCP;
use sensor_common::{Counter, FlowKey, FlowState};

use crate::datapath::FlowTable;
use crate::datapath::xdp::{Counters, Table};

const SECOND: u64 = 1_000_000_000;
/// A flow entry that no connection knows is collected when it has been silent so long.
const AFTER: u64 = 600 * SECOND;
/// As long as for a SYN that was told (twice Zeek's tcp_attempt_delay, as answers may come late).
const UNTOLD_AFTER: u64 = 10 * SECOND;
/// Entries looked at per round, or at a time. Not fewer: the kernel refuses when a bucket holds more than are asked for.
const STEP: usize = 1024;
/// Part of the table that is looked at per round while there are half-open flows that nobody was told of.
const IN_HASTE: usize = 16;

/// Where the sweep stands.
pub struct Sweep {
    table: Table,
    /// Entries that the table has room for.
    flows: usize,
    cursor: Option<u32>,
    /// [`Counter::SynsHeld`] as of the last round, and rounds in haste that are left.
    held: u64,
    haste: usize,
}

impl Sweep {
    pub fn new(table: Table, flows: u32) -> Self {
        Sweep {
            table,
            flows: flows as usize,
            cursor: None,
            held: 0,
            haste: 0,
        }
    }

    /// Looks at the next part of the table. `boot`: the time, ns since boot.
    pub fn round(&mut self, boot: u64, counters: &Counters) -> io::Result<()> {
        let held = counters.get(Counter::SynsHeld);
        if held != self.held {
            self.held = held;
            // Once around when the last of them is due, and what the first round missed.
            self.haste = 2 * IN_HASTE + (UNTOLD_AFTER / SECOND) as usize;
        }
        let mut rest = STEP;
        if self.haste > 0 {
            self.haste -= 1;
            rest = rest.max(self.flows / IN_HASTE);
        }
        while rest > 0 {
            rest = rest.saturating_sub(STEP);
            self.part(|key, flow| {
                // Interactive TCP connections may be silent for an hour and are still known.
                let tcp = key.proto == IPPROTO_TCP;
                let limit = match flow.half & half::UNTOLD {
                    0 if tcp => 8 * AFTER,
                    0 => AFTER,
                    _ => UNTOLD_AFTER,
                };
                flow.last() + limit < boot
            })?;
            if self.cursor.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Takes all flows out of which nobody was told anything; no more of them may come.
    pub fn finish(&mut self) -> io::Result<()> {
        self.cursor = None;
        loop {
            self.part(|_, flow| flow.half & half::UNTOLD != 0)?;
            if self.cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes out of the next [`STEP`] entries those that are `over`; tells the workers of those that they never knew.
    fn part(&mut self, over: impl Fn(&FlowKey, &FlowState) -> bool) -> io::Result<()> {
        let (mut old, mut untold) = (Vec::new(), Vec::new());
        let mut cursor = self.cursor.take();
        self.table.walk(&mut cursor, STEP, |key, flow| {
            if over(key, flow) {
                let list = if flow.half & half::UNTOLD == 0 {
                    &mut old
                } else {
                    &mut untold
                };
                list.push(*key);
            }
        })?;
        self.cursor = cursor;
        self.table.ask(&old, true, &mut Vec::new());
        self.table.end_and_tell(&untold)
    }
}
