//! What a live run counts, and stats.log's rows of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sensor_common::Counter;
use sensor_common::counters::UNTRACKED;

use super::interfaces::{Traffic, Watched};
use super::live_sinks::Outputs;
use crate::conn::{Engine, Sink};
use crate::datapath::xdp::Counters;
use crate::event::Ts;
use crate::output::stats_row::StatsRow;

/// What a worker shows of itself.
#[derive(Default)]
pub struct Gauges {
    open: AtomicU64,
    no_room: AtomicU64,
    no_entry: AtomicU64,
    ring_peak: AtomicU64,
}

impl Gauges {
    /// `taken`: bytes of its ring, when it came to look.
    pub fn show<S: Sink>(&self, engine: &Engine<S>, taken: u64) {
        self.open.store(engine.len() as u64, Relaxed);
        self.no_room.store(engine.no_room(), Relaxed);
        self.no_entry.store(engine.no_entry(), Relaxed);
        // A worker is the only one that raises it.
        if taken > self.ring_peak.load(Relaxed) {
            self.ring_peak.store(taken, Relaxed);
        }
    }
}

/// Those of all workers.
#[derive(Clone)]
pub struct All(Vec<Arc<Gauges>>);

impl All {
    pub fn new(workers: u32) -> Self {
        All((0..workers).map(|_| Arc::default()).collect())
    }

    pub fn each(&self) -> &[Arc<Gauges>] {
        &self.0
    }

    fn sum(&self, of: impl Fn(&Gauges) -> &AtomicU64) -> u64 {
        self.0.iter().map(|g| of(g).load(Relaxed)).sum()
    }

    /// Open connections.
    pub fn open(&self) -> u64 {
        self.sum(|g| &g.open)
    }

    /// See [`Engine::no_entry`].
    pub fn no_entry(&self) -> u64 {
        self.sum(|g| &g.no_entry)
    }
}

/// Records without wanted payload for which a ring had no room.
pub fn records_lost(c: &Counters) -> u64 {
    c.get(Counter::HeaderLost) + c.get(Counter::FrameLost)
}

/// Hands over stats.log's rows: the sums, each interface, each worker.
pub fn rows(
    ts: Ts,
    c: &Counters,
    outputs: &Outputs,
    interfaces: &[Watched],
    workers: &All,
    mut row: impl FnMut(&StatsRow<'_>),
) {
    let untracked: Vec<String> = UNTRACKED
        .iter()
        .map(|r| (format!("{r:?}").to_lowercase(), c.get(*r)))
        .filter(|(_, n)| *n > 0)
        .map(|(reason, n)| format!("{reason}={n}"))
        .collect();
    let some = |counter| Some(c.get(counter));
    row(&StatsRow {
        ts,
        frames: some(Counter::Frames),
        bytes: some(Counter::FrameBytes),
        tracked: some(Counter::Tracked),
        untracked: Some(&untracked),
        payload: some(Counter::Payload),
        forwarded: some(Counter::Forwarded),
        shed: some(Counter::Shed),
        lost: some(Counter::Lost),
        records_lost: Some(records_lost(c)),
        table_full: some(Counter::TableFull),
        half_open_gone: some(Counter::HalfOpenEvicted),
        half_open_untold: some(Counter::HalfOpenUntold),
        open_conns: Some(workers.open()),
        events_dropped: Some(outputs.events_dropped()),
        rows_lost: Some(outputs.rows_lost()),
        no_room: Some(workers.sum(|g| &g.no_room)),
        no_entry: Some(workers.no_entry()),
        dropped: Some(interfaces.iter().map(|w| w.traffic.dropped).sum()),
        gone: Some(interfaces.iter().map(|w| w.gone).sum()),
        ..StatsRow::default()
    });
    for w in interfaces {
        let Traffic {
            frames,
            bytes,
            dropped,
        } = w.traffic;
        row(&StatsRow {
            ts,
            iface: Some(&w.name),
            frames: Some(frames),
            bytes: Some(bytes),
            dropped: Some(dropped),
            gone: Some(w.gone),
            ..StatsRow::default()
        });
    }
    for (i, (g, lost)) in workers.0.iter().zip(c.ring_lost).enumerate() {
        row(&StatsRow {
            ts,
            worker: Some(i as u64),
            records_lost: Some(lost),
            open_conns: Some(g.open.load(Relaxed)),
            no_room: Some(g.no_room.load(Relaxed)),
            no_entry: Some(g.no_entry.load(Relaxed)),
            ring_peak: Some(g.ring_peak.swap(0, Relaxed)),
            ..StatsRow::default()
        });
    }
}
