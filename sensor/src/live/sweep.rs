//! The slow sweep over the flow table: entries that no connection will end, because their records were lost or never
//! made.

use std::io;

use sensor_common::flow::half;
use sensor_common::key::IPPROTO_TCP;
use sensor_common::{Counter, FlowKey, FlowState};

use crate::base::time::SECOND;
use crate::conn::Timeouts;
use crate::datapath::FlowTable;
use crate::datapath::xdp::{Counters, KernelTable};

/// The sweep takes a flow entry that no connection knows after this much silence, ns. Where the connection's inactivity
/// timeout is longer than this, the two are added.
const UNKNOWN_AFTER_NS: u64 = 600 * SECOND;
/// The sweep takes a flow of which userspace was told nothing after this much silence, ns: twice Zeek's
/// tcp_attempt_delay, as for a SYN that was told, because answers may come late.
const UNTOLD_AFTER_NS: u64 = 10 * SECOND;
/// Entries looked at per round, or per system call. Not fewer: the kernel refuses a read of fewer entries than a bucket holds.
const ENTRIES_PER_ROUND: usize = 1024;
/// Rounds in which the whole table is looked at while it holds half-open flows of which userspace was told nothing.
const HASTE_ROUNDS: usize = 16;

/// How long TCP connections and others may be silent and are still known, ns.
fn silences(t: &Timeouts) -> (u64, u64) {
    let tcp = [
        t.tcp_inactivity,
        t.interactive_inactivity,
        // Before the handshake is over.
        t.udp_inactivity,
        t.tcp_attempt_delay,
        t.tcp_close_delay,
        t.tcp_reset_delay,
        t.tcp_partial_close_delay,
        t.tcp_connection_linger.saturating_add(t.tcp_session_timer),
    ];
    let other = [t.udp_inactivity, t.icmp_inactivity, t.dns_session];
    let longest = |all: &[u64]| all.iter().copied().max().unwrap_or(0);
    (longest(&tcp), longest(&other))
}

/// Where the sweep stands.
pub struct Sweep {
    table: KernelTable,
    /// Longest silence of connections that are known, ns.
    tcp: u64,
    other: u64,
    /// Entries that the table has room for.
    flows: usize,
    cursor: Option<u32>,
    /// [`Counter::SynsHeld`] as of the last round, and rounds in haste that are left.
    held: u64,
    haste: usize,
    /// What the walk has met so far that is under way, and what the last one met.
    meeting: Met,
    met: Met,
}

/// Entries of the flow table that a walk over all of it met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// All of them.
    pub entries: u64,
    /// Those of half-open flows.
    pub half_open: u64,
}

impl Sweep {
    pub fn new(table: KernelTable, flows: u32, timeouts: &Timeouts) -> Self {
        let (tcp, other) = silences(timeouts);
        Sweep {
            table,
            tcp,
            other,
            flows: flows as usize,
            cursor: None,
            held: 0,
            haste: 0,
            meeting: Met::default(),
            met: Met::default(),
        }
    }

    /// What the last walk over the whole table met. A walk goes on by some entries a second.
    pub fn met(&self) -> Met {
        self.met
    }

    /// Looks at the next part of the table. `boot`: the time, ns since boot.
    pub fn round(&mut self, boot: u64, counters: &Counters) -> io::Result<()> {
        let held = counters.get(Counter::SynsHeld);
        if held != self.held {
            self.held = held;
            // Once around when the last of them is due, and what the first round missed.
            self.haste = 2 * HASTE_ROUNDS + (UNTOLD_AFTER_NS / SECOND) as usize;
        }
        let mut rest = ENTRIES_PER_ROUND;
        if self.haste > 0 {
            self.haste -= 1;
            rest = rest.max(self.flows / HASTE_ROUNDS);
        }
        let (tcp, other) = (self.tcp, self.other);
        while rest > 0 {
            rest = rest.saturating_sub(ENTRIES_PER_ROUND);
            self.part(|key, flow| {
                let silence = if key.proto == IPPROTO_TCP { tcp } else { other };
                let limit = match flow.half & half::UNTOLD {
                    0 => silence.saturating_add(UNKNOWN_AFTER_NS),
                    _ => UNTOLD_AFTER_NS,
                };
                flow.last().saturating_add(limit) < boot
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

    /// Takes out of the next [`ENTRIES_PER_ROUND`] entries those that are `over`; tells the workers of those that they never knew.
    fn part(&mut self, over: impl Fn(&FlowKey, &FlowState) -> bool) -> io::Result<()> {
        let (mut old, mut untold) = (Vec::new(), Vec::new());
        let mut cursor = self.cursor.take();
        if cursor.is_none() {
            // A walk begins, perhaps because the last one failed midway.
            self.meeting = Met::default();
        }
        let meeting = &mut self.meeting;
        self.table.walk(&mut cursor, ENTRIES_PER_ROUND, |key, flow| {
            meeting.entries += 1;
            meeting.half_open += u64::from(flow.half & half::OPEN != 0);
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
        if cursor.is_none() {
            self.met = self.meeting;
        }
        self.table.ask(&old, true, &mut Vec::new());
        self.table.end_and_tell(&untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_timeout_is_longer_than_the_sweep_waits() {
        let t = Timeouts::default();
        assert_eq!(silences(&t), (3600 * SECOND, 60 * SECOND));
        let day = 24 * 3600 * SECOND;
        let longer = |set: fn(&mut Timeouts, u64)| {
            let mut t = Timeouts::default();
            set(&mut t, day);
            silences(&t)
        };
        assert_eq!(longer(|t, d| t.tcp_inactivity = d).0, day);
        assert_eq!(longer(|t, d| t.tcp_close_delay = d).0, day);
        assert_eq!(longer(|t, d| t.udp_inactivity = d), (day, day));
        assert_eq!(longer(|t, d| t.icmp_inactivity = d).1, day);
    }
}
