//! What a live run counts: [`Metrics`], which the workers write, and [`Snapshot`], all numbers at one time, which
//! stats.log, the status line and the sums at the end are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sensor_common::Counter;
use sensor_common::counters::UNTRACKED;

use super::histogram::Histogram;
use super::interfaces::{List, Watched};
use crate::conn::{Engine, Sink};
use crate::datapath::xdp::Counters;
use crate::event::Ts;
use crate::output::lost_traffic::Traffic;
use crate::output::stats_row::StatsRow;

/// Bounds for the records of a turn.
const RECORDS: &[u64] = &[1, 4, 16, 64, 256, 1024, 4096];
/// Bounds for how long a record waits, ns: 10 us to 10 s.
const WAITS: &[u64] = &[
    10_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// The numbers that a worker publishes, once a turn.
#[derive(Default)]
pub struct WorkerGauges {
    turns: AtomicU64,
    open_conns: AtomicU64,
    timers: AtomicU64,
    held: AtomicU64,
    files: AtomicU64,
    no_room: AtomicU64,
    no_entry: AtomicU64,
    failures: AtomicU64,
    acks: AtomicU64,
    gaps: AtomicU64,
    data_conns: AtomicU64,
    one_sided: AtomicU64,
    looked: AtomicU64,
    twice: AtomicU64,
    ring_taken: AtomicU64,
    ring_peak: AtomicU64,
    ring_read: AtomicU64,
    turn: Option<TurnGauges>,
}

/// What is asked of each turn where somebody may want to know.
pub struct TurnGauges {
    /// Records of a turn that had any.
    pub records: Histogram,
    /// From the time of the packet whose record is a turn's first to that turn, ns.
    pub waits: Histogram,
}

impl WorkerGauges {
    /// A turn begins, at a ring whose first record is of a packet of `first`, ns by the clock of `now`.
    pub fn begins(&self, first: impl FnOnce() -> Option<u64>, now: impl FnOnce() -> u64) {
        if let Some(t) = &self.turn
            && let Some(first) = first()
        {
            t.waits.count(now().saturating_sub(first));
        }
    }

    /// A turn is over, in which this many records came, of all `read` bytes so far.
    pub fn ends(&self, records: u32, read: u64) {
        self.turns.store(self.turns.load(Relaxed) + 1, Relaxed);
        self.ring_read.store(read, Relaxed);
        if let Some(t) = &self.turn
            && records > 0
        {
            t.records.count(records.into());
        }
    }

    /// The worker has failed and begins anew.
    pub fn failed(&self) {
        self.failures.store(self.failures.load(Relaxed) + 1, Relaxed);
    }

    /// What was asked of each turn; None: nothing was.
    pub fn turn(&self) -> Option<&TurnGauges> {
        self.turn.as_ref()
    }

    /// `taken`: bytes of its ring, when it came to look.
    pub fn show<S: Sink>(&self, engine: &Engine<S>, taken: u64) {
        self.timers.store(engine.timers() as u64, Relaxed);
        self.held.store(engine.held(), Relaxed);
        self.files.store(engine.files() as u64, Relaxed);
        self.ring_taken.store(taken, Relaxed);
        self.open_conns.store(engine.len() as u64, Relaxed);
        self.no_room.store(engine.no_room(), Relaxed);
        self.no_entry.store(engine.no_entry(), Relaxed);
        let sight = engine.sight();
        self.acks.store(sight.acks + sight.acks_below, Relaxed);
        self.gaps.store(sight.gaps, Relaxed);
        self.data_conns.store(sight.data_conns, Relaxed);
        self.one_sided.store(sight.one_sided, Relaxed);
        self.looked.store(sight.looked, Relaxed);
        self.twice.store(sight.twice, Relaxed);
        // A worker is the only one that raises it.
        if taken > self.ring_peak.load(Relaxed) {
            self.ring_peak.store(taken, Relaxed);
        }
    }
}

/// The numbers of a run that are written while it works. Everything else is asked for when a snapshot is made. Copies are of
/// the same run.
#[derive(Clone)]
pub struct Metrics {
    workers: Vec<Arc<WorkerGauges>>,
}

impl Metrics {
    /// For this many workers.
    pub fn new(workers: u32) -> Self {
        Metrics {
            workers: (0..workers).map(|_| Arc::default()).collect(),
        }
    }

    /// For this many workers, of which turns are asked what [`TurnGauges`] has.
    pub fn of_turns(workers: u32) -> Self {
        let gauges = || WorkerGauges {
            turn: Some(TurnGauges {
                records: Histogram::new(RECORDS),
                waits: Histogram::new(WAITS),
            }),
            ..WorkerGauges::default()
        };
        Metrics {
            workers: (0..workers).map(|_| Arc::new(gauges())).collect(),
        }
    }

    /// The numbers of each worker.
    pub fn workers(&self) -> &[Arc<WorkerGauges>] {
        &self.workers
    }

    /// See [`Snapshot::no_entry`].
    pub fn no_entry(&self) -> u64 {
        self.workers.iter().map(|g| g.no_entry.load(Relaxed)).sum()
    }

    /// All numbers at this time.
    pub fn snapshot(&self, kernel: &Counters, list: &List, losses: OutputLosses) -> Snapshot {
        let c = |counter| kernel.get(counter);
        let workers: Vec<_> = self.workers.iter().zip(kernel.ring_lost).map(worker).collect();
        let interfaces: Vec<_> = list.all.iter().map(interface).collect();
        let sum = |of: fn(&WorkerSnapshot) -> u64| workers.iter().map(of).sum();
        Snapshot {
            frames: c(Counter::Frames),
            frame_bytes: c(Counter::FrameBytes),
            missed: 0,
            tracked: c(Counter::Tracked),
            untracked: UNTRACKED.map(c),
            payload: c(Counter::Payload),
            forwarded: c(Counter::Forwarded),
            shed: c(Counter::Shed),
            lost: c(Counter::Lost),
            records_lost: c(Counter::HeaderLost) + c(Counter::FrameLost),
            flows_created: c(Counter::FlowsCreated),
            table_full: c(Counter::TableFull),
            inner_table_full: c(Counter::InnerTableFull),
            decapsulated: c(Counter::Decapsulated),
            inner_duplicates: c(Counter::InnerDuplicate),
            half_open_gone: c(Counter::HalfOpenEvicted),
            half_open_untold: c(Counter::HalfOpenUntold),
            open_conns: sum(|w| w.open_conns),
            no_room: sum(|w| w.no_room),
            failures: self.workers.iter().map(|g| g.failures.load(Relaxed)).sum(),
            no_entry: sum(|w| w.no_entry),
            acks: sum(|w| w.acks),
            gaps: sum(|w| w.gaps),
            data_conns: sum(|w| w.data_conns),
            one_sided: sum(|w| w.one_sided),
            looked: sum(|w| w.looked),
            twice: sum(|w| w.twice),
            losses,
            dropped: list.former.dropped + interfaces.iter().map(|i| i.dropped).sum::<u64>(),
            gone: list.former_gone + interfaces.iter().map(|i| i.gone).sum::<u64>(),
            interfaces,
            workers,
        }
    }

    /// Moves the workers' [`WorkerSnapshot::ring_peak`] to `into`: the next interval's begin at 0.
    pub fn take_ring_peaks(&self, into: &mut Snapshot) {
        for (g, w) in self.workers.iter().zip(&mut into.workers) {
            w.ring_peak = g.ring_peak.swap(0, Relaxed);
        }
    }
}

fn worker((g, records_lost): (&Arc<WorkerGauges>, u64)) -> WorkerSnapshot {
    WorkerSnapshot {
        records_lost,
        turns: g.turns.load(Relaxed),
        timers: g.timers.load(Relaxed),
        held: g.held.load(Relaxed),
        files: g.files.load(Relaxed),
        ring_taken: g.ring_taken.load(Relaxed),
        ring_read: g.ring_read.load(Relaxed),
        open_conns: g.open_conns.load(Relaxed),
        no_room: g.no_room.load(Relaxed),
        no_entry: g.no_entry.load(Relaxed),
        acks: g.acks.load(Relaxed),
        gaps: g.gaps.load(Relaxed),
        data_conns: g.data_conns.load(Relaxed),
        one_sided: g.one_sided.load(Relaxed),
        looked: g.looked.load(Relaxed),
        twice: g.twice.load(Relaxed),
        ring_peak: g.ring_peak.load(Relaxed),
    }
}

fn interface(w: &Watched) -> InterfaceSnapshot {
    InterfaceSnapshot {
        name: w.name.clone(),
        frames: w.traffic.frames,
        bytes: w.traffic.bytes,
        dropped: w.traffic.dropped,
        missed: w.traffic.missed,
        errors: w.traffic.errors,
        gone: w.gone,
        watched: w.is_watched(),
        is_up: w.is_watched() && w.is_up,
    }
}

/// All numbers of a run at one time, since its start unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Frames that the kernel's program saw.
    pub frames: u64,
    /// Bytes of these frames.
    pub frame_bytes: u64,
    /// Frames that a packet socket had no room for; they are among the frames, and in no other number.
    pub missed: u64,
    /// Frames counted in a flow.
    pub tracked: u64,
    /// Frames not tracked, for each reason in [`UNTRACKED`]; with the tracked ones they are all frames.
    pub untracked: [u64; UNTRACKED.len()],
    /// Packets with payload.
    pub payload: u64,
    /// Of these, packets forwarded to userspace.
    pub forwarded: u64,
    /// Of these, packets shed because nobody wants that stream's payload.
    pub shed: u64,
    /// Of these, packets lost because the ring had no room.
    pub lost: u64,
    /// Records without wanted payload (headers of tracked packets, untracked frames) for which a ring had no room.
    pub records_lost: u64,
    /// Entries made in the flow table.
    pub flows_created: u64,
    /// Frames of flows for which the flow table had no room.
    pub table_full: u64,
    /// Packets that the kernel took out of tunnels, of flows for which the flow table had no room.
    pub inner_table_full: u64,
    /// Packets taken out of tunnels in the kernel.
    pub decapsulated: u64,
    /// Packets out of tunnels that had come before, of frames that are counted by what was around these packets.
    pub inner_duplicates: u64,
    /// Half-open flows that gave way to newer ones in the flow table.
    pub half_open_gone: u64,
    /// Half-open flows that have no row.
    pub half_open_untold: u64,
    /// Connections open now.
    pub open_conns: u64,
    /// Holes in streams given up early because reassembly had no room.
    pub no_room: u64,
    /// Workers that failed and began anew.
    pub failures: u64,
    /// Connections whose entry was not in the flow table at their end.
    pub no_entry: u64,
    /// Acknowledgements of new bytes, as capture_loss.log counts them.
    pub acks: u64,
    /// Of these, those of bytes that never came.
    pub gaps: u64,
    /// TCP connections over which data went and that have ended.
    pub data_conns: u64,
    /// Of these, those of which packets of one side only were seen.
    pub one_sided: u64,
    /// Packets that userspace has compared with others, to find those that came twice.
    pub looked: u64,
    /// Of these, those that had come within the millisecond before.
    pub twice: u64,
    /// What the outputs lost.
    pub losses: OutputLosses,
    /// Frames that the interfaces or their drivers dropped before the sensor saw them.
    pub dropped: u64,
    /// Times that an interface disappeared.
    pub gone: u64,
    /// Each interface.
    pub interfaces: Vec<InterfaceSnapshot>,
    /// Each worker, in their order.
    pub workers: Vec<WorkerSnapshot>,
}

/// What the outputs lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLosses {
    /// What the connections had sent whose rows were lost.
    pub traffic: Traffic,
    /// Log rows that a disk did not take, or a stream of rows.
    pub rows: u64,
    /// Events dropped for a slow reader of the stream.
    pub events: u64,
}

/// The numbers of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceSnapshot {
    /// Its name.
    pub name: String,
    /// Frames, by the kernel's own count.
    pub frames: u64,
    /// Bytes of frames, by the kernel's own count.
    pub bytes: u64,
    /// Received frames that the kernel or the driver dropped before anybody saw them.
    pub dropped: u64,
    /// Of these, those for which the device had no room.
    pub missed: u64,
    /// Received frames that were damaged.
    pub errors: u64,
    /// Times that it disappeared.
    pub gone: u64,
    /// The program is attached to it now.
    pub watched: bool,
    /// It is up and has a carrier.
    pub is_up: bool,
}

/// The numbers of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerSnapshot {
    /// Records for which its ring had no room.
    pub records_lost: u64,
    /// Connections open now.
    pub open_conns: u64,
    /// Holes in streams given up early because reassembly had no room.
    pub no_room: u64,
    /// Connections whose entry was not in the flow table at their end.
    pub no_entry: u64,
    /// See [`Snapshot::acks`].
    pub acks: u64,
    /// See [`Snapshot::gaps`].
    pub gaps: u64,
    /// See [`Snapshot::data_conns`].
    pub data_conns: u64,
    /// See [`Snapshot::one_sided`].
    pub one_sided: u64,
    /// See [`Snapshot::looked`].
    pub looked: u64,
    /// See [`Snapshot::twice`].
    pub twice: u64,
    /// Bytes that were taken of its ring when it came to look last.
    pub ring_taken: u64,
    /// Most bytes that were taken of its ring when it came to look, since the peaks were taken last.
    pub ring_peak: u64,
    /// Bytes that it has read from its ring.
    pub ring_read: u64,
    /// Turns that it has taken.
    pub turns: u64,
    /// Timers that are armed.
    pub timers: u64,
    /// Memory of what waits in reassembly, bytes.
    pub held: u64,
    /// Files that are under way.
    pub files: u64,
}

impl Snapshot {
    /// Adds frames that were missed before they could be counted: they are in the first sum under a reason of their own.
    pub fn miss(&mut self, frames: u64) {
        self.missed += frames;
        self.frames += frames;
    }

    /// Hands over stats.log's rows of time `ts`: the sums, each interface, each worker.
    pub fn rows(&self, ts: Ts, mut row: impl FnMut(&StatsRow<'_>)) {
        let met = UNTRACKED.iter().zip(self.untracked).filter(|(_, n)| *n > 0);
        let mut met: Vec<String> = met
            .map(|(reason, n)| format!("{reason:?}={n}").to_lowercase())
            .collect();
        if self.missed > 0 {
            met.push(format!("missed={}", self.missed));
        }
        row(&StatsRow {
            ts,
            frames: Some(self.frames),
            bytes: Some(self.frame_bytes),
            tracked: Some(self.tracked),
            untracked: Some(&met),
            payload: Some(self.payload),
            forwarded: Some(self.forwarded),
            shed: Some(self.shed),
            lost: Some(self.lost),
            records_lost: Some(self.records_lost),
            table_full: Some(self.table_full),
            half_open_gone: Some(self.half_open_gone),
            half_open_untold: Some(self.half_open_untold),
            open_conns: Some(self.open_conns),
            events_dropped: Some(self.losses.events),
            rows_lost: Some(self.losses.rows),
            no_room: Some(self.no_room),
            no_entry: Some(self.no_entry),
            data_conns: Some(self.data_conns),
            one_sided: Some(self.one_sided),
            twice: Some(self.twice),
            dropped: Some(self.dropped),
            gone: Some(self.gone),
            ..StatsRow::default()
        });
        for i in &self.interfaces {
            row(&StatsRow {
                ts,
                iface: Some(&i.name),
                frames: Some(i.frames),
                bytes: Some(i.bytes),
                dropped: Some(i.dropped),
                gone: Some(i.gone),
                ..StatsRow::default()
            });
        }
        for (i, w) in (0..).zip(&self.workers) {
            row(&StatsRow {
                ts,
                worker: Some(i),
                records_lost: Some(w.records_lost),
                open_conns: Some(w.open_conns),
                no_room: Some(w.no_room),
                no_entry: Some(w.no_entry),
                data_conns: Some(w.data_conns),
                one_sided: Some(w.one_sided),
                twice: Some(w.twice),
                ring_peak: Some(w.ring_peak),
                ..StatsRow::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_lasts_until_it_is_taken() {
        let metrics = Metrics::new(2);
        metrics.workers[1].ring_peak.store(7, Relaxed);
        let look = || metrics.snapshot(&Counters::default(), &List::default(), OutputLosses::default());
        assert_eq!(look().workers[1].ring_peak, 7, "to look takes nothing");
        let mut taken = look();
        metrics.take_ring_peaks(&mut taken);
        assert_eq!(taken.workers[1].ring_peak, 7);
        assert_eq!(look().workers[1].ring_peak, 0);
    }

    #[test]
    fn the_first_row_sums_up_the_others() {
        let mut kernel = Counters::default();
        kernel.counts[Counter::Frames as usize] = 5;
        kernel.counts[Counter::NotIp as usize] = 2;
        kernel.ring_lost[1] = 3;
        let metrics = Metrics::new(2);
        for (g, n) in metrics.workers.iter().zip([10, 20]) {
            g.open_conns.store(n, Relaxed);
        }
        let losses = OutputLosses {
            rows: 1,
            events: 4,
            ..OutputLosses::default()
        };
        let mut s = metrics.snapshot(&kernel, &List::default(), losses);
        s.miss(1);
        let mut rows = Vec::new();
        s.rows(9, |r| {
            let untracked = r.untracked.map(<[String]>::concat);
            rows.push((
                r.worker,
                r.frames,
                r.open_conns,
                r.records_lost,
                r.rows_lost,
                r.events_dropped,
                untracked,
            ));
        });
        assert_eq!(
            rows,
            [
                (
                    None,
                    Some(6),
                    Some(30),
                    Some(0),
                    Some(1),
                    Some(4),
                    Some("notip=2missed=1".to_owned())
                ),
                (Some(0), None, Some(10), Some(0), None, None, None),
                (Some(1), None, Some(20), Some(3), None, None, None),
            ]
        );
    }
}
