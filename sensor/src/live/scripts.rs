//! Scripts in a live run: a thread of their own, which is given the workers' events in the order of their time.
//!
//! A worker gathers events for some milliseconds and puts them into a queue, with the time up to which it has gathered; the
//! thread handles what is older than that of all workers. If scripts are slow the queue fills up, and events are lost and counted, by
//! their kinds: no worker waits, so no packet is lost for them. What handlers want of connections goes to the workers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::clock::Clock;
use super::confine::Confinement;
use super::orders::{Order, Orders};
use crate::anonymize::Anonymizer;
use crate::base::time::MILLISECOND;
use crate::conn::{self, Sink};
use crate::event::{Event, Kind, LogRow, Subscriptions, Ts};
use crate::output::now_and_then::NowAndThen;
use crate::output::outbox::ended;
use crate::output::patience::{Limit, Patience, Progress};
use crate::profile::Cost;
use crate::profile::place::{Part, begin_thread, is_on};
use crate::script::wire::Batch;
use crate::script::{Carrier, Host, Out, Plan, Role};

/// Batches that may wait in the queue, and as many that the thread has taken.
const MAX_QUEUED: usize = 256;
/// Bytes of events after which a worker hands over, so that what waits is bounded.
const BATCH_BYTES: usize = 128 << 10;
/// Bytes of events that a worker gathers while the queue is full, before it drops them.
const MAX_GATHERED: usize = 2 * BATCH_BYTES;
/// Time between two hand-overs of a worker's events, ns of the engine's time.
const EVERY_NS: u64 = 4 * MILLISECOND;
/// The same where there are none: others wait for it to say so.
const IDLE_NS: u64 = 20 * MILLISECOND;
/// Longest wait of the thread, and the time after which a worker that says nothing is no longer waited for.
const TICK: Duration = Duration::from_millis(50);
/// How long the end waits for the thread.
const LIMIT: Limit = Limit {
    stuck: Duration::from_secs(5),
    slow: Duration::from_secs(10),
};

/// How often it says what handlers have cost.
const COSTS_EVERY: Duration = Duration::from_secs(1);

/// What handlers have cost.
type Costs = Arc<Mutex<Vec<Cost>>>;

/// What a worker hands over: events, and up to which time it has told of all.
struct Told {
    from: usize,
    upto: Ts,
    batch: Batch,
}

/// Events that found no room, by their kinds.
#[derive(Clone, Default)]
pub struct LostEvents(Arc<Mutex<BTreeMap<Kind, u64>>>);

impl LostEvents {
    fn add(&self, batch: &Batch) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = batch.reader();
        while let Some((_, kind)) = reader.event() {
            *lost.entry(kind).or_default() += 1;
            reader.skip();
        }
    }

    /// How many of which kinds.
    pub fn all(&self) -> Vec<(Kind, u64)> {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.iter().map(|(k, n)| (*k, *n)).collect()
    }
}

/// The scripts' thread.
pub struct ScriptThread {
    wants: Subscriptions,
    /// Those that workers handle.
    at_once: Subscriptions,
    /// Logs whose rows they look at.
    filtered: Arc<[String]>,
    queue: SyncSender<Told>,
    lost: LostEvents,
    begin: Option<SyncSender<Begin>>,
    progress: Progress,
    thread: JoinHandle<()>,
    costs: Costs,
    said: NowAndThen,
}

/// What the thread works with once the run begins.
struct Begin {
    sink: Box<dyn ScriptSink>,
    clock: Clock,
    orders: Orders,
    workers: usize,
    confinement: Option<Confinement>,
    /// What stands for the addresses that scripts know.
    anonymizer: Option<Anonymizer>,
}

impl Carrier for Begin {
    fn row(&mut self, row: &dyn LogRow) {
        self.sink.log(row);
    }

    fn tell(&mut self, now: Ts, ev: &dyn Event) {
        self.sink.event(now, ev);
    }

    fn order(&mut self, order: conn::Order) {
        let order = match &self.anonymizer {
            Some(a) => a.order(order),
            None => order,
        };
        // A connection or a file is one worker's, and it knows which.
        for worker in self.orders.all() {
            worker.put(Order::Engine(order));
        }
    }
}

/// Where rows and events of scripts go. Their times are times of day.
pub trait ScriptSink: Sink + Send {
    /// Hands over what was gathered.
    fn flush(&mut self);
}

impl ScriptThread {
    /// Loads the scripts, in the thread that will run them.
    pub fn load(plan: Plan) -> anyhow::Result<Self> {
        let (queue, told) = sync_channel(MAX_QUEUED);
        let (begin, begins) = sync_channel(1);
        let (loaded, is_loaded) = channel();
        let progress = Progress::default();
        let made = progress.clone();
        let costs = Costs::default();
        let told_costs = costs.clone();
        let thread = std::thread::Builder::new()
            .name("scripts".into())
            .spawn(move || {
                let host = match Host::load(&plan.with(Role::Later)) {
                    Ok(host) => host,
                    Err(e) => {
                        let _ = loaded.send(Err(e));
                        return;
                    }
                };
                begin_thread("scripts", Part::Scripts);
                let _ = loaded.send(Ok((host.wants(), host.at_once(), host.filtered_logs())));
                // Nobody begins a run whose start fails.
                if let Ok(begin) = begins.recv() {
                    let begin: Begin = begin;
                    if let Some(c) = &begin.confinement {
                        c.begin();
                    }
                    Work::new(host, begin, made, told_costs).work(&told);
                }
            })?;
        let (wants, at_once, filtered) = is_loaded.recv().context("the scripts' thread died")??;
        Ok(ScriptThread {
            wants,
            at_once,
            filtered: filtered.into(),
            queue,
            lost: LostEvents::default(),
            begin: Some(begin),
            progress,
            thread,
            costs,
            said: NowAndThen::default(),
        })
    }

    /// The events that scripts have workers handle.
    pub fn at_once(&self) -> Subscriptions {
        self.at_once
    }

    /// The events that scripts handle.
    pub fn wants(&self) -> Subscriptions {
        self.wants
    }

    /// Begins to handle events of so many workers, and of whoever else has a box with a number from there on.
    pub fn begin(
        &mut self,
        sink: Box<dyn ScriptSink>,
        clock: Clock,
        orders: Orders,
        workers: usize,
        confinement: Option<Confinement>,
        anonymizer: Option<Anonymizer>,
    ) {
        if let Some(begin) = self.begin.take() {
            let _ = begin.send(Begin {
                sink,
                clock,
                orders,
                workers,
                confinement,
                anonymizer,
            });
        }
    }

    /// The box of worker `n`.
    pub fn outbox(&self, n: usize) -> ScriptOutbox {
        ScriptOutbox {
            n,
            wants: self.wants,
            filtered: self.filtered.clone(),
            batch: Batch::default(),
            out: 0,
            queue: self.queue.clone(),
            lost: self.lost.clone(),
        }
    }

    /// Events that found no room, by their kinds.
    pub fn lost(&self) -> Vec<(Kind, u64)> {
        self.lost.all()
    }

    /// What handlers have cost, as of the last second, if there is a profile.
    pub fn costs(&self) -> Vec<Cost> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reports from time to time that events are being lost.
    pub fn complain(&mut self) {
        let lost: u64 = self.lost.all().iter().map(|(_, n)| n).sum();
        if lost > 0 && self.said.is_due() {
            tracing::warn!("{lost} events did not come to the scripts so far: they are too slow");
        }
    }

    /// Waits for the scripts to handle the rest, once all boxes are dropped.
    pub fn finish(self, patience: &Patience) {
        drop((self.queue, self.begin));
        patience.begin();
        if !ended(&self.thread, patience, &self.progress, LIMIT) {
            tracing::warn!("the scripts take too long: they do not get the rest of their events");
        }
        for (kind, n) in self.lost.all() {
            let name = kind.info().map_or("that are rows of logs", |i| i.name);
            tracing::warn!("{n} events {name} did not come to the scripts: they were too slow");
        }
    }
}

/// A worker's events for the scripts.
pub struct ScriptOutbox {
    n: usize,
    wants: Subscriptions,
    filtered: Arc<[String]>,
    batch: Batch,
    /// When it handed over last, engine's time.
    out: Ts,
    queue: SyncSender<Told>,
    lost: LostEvents,
}

impl ScriptOutbox {
    /// Takes an event, if scripts handle it; its time and those in it are times of day.
    #[inline]
    pub fn event(&mut self, ts: Ts, ev: &dyn Event) {
        if self.wants.wants(ev.kind()) {
            self.batch.push(ts, ev);
            if self.batch.bytes() >= BATCH_BYTES {
                self.hand_over(ts);
            }
        }
    }

    /// Takes a log's row, if scripts look at it; then it is written when they have.
    pub fn row(&mut self, ts: Ts, row: &dyn LogRow) -> bool {
        let is_filtered = self.filtered.iter().any(|f| f == row.path());
        if is_filtered {
            self.batch.push_row(ts, row);
        }
        is_filtered
    }

    /// A turn is over at engine's time `now`, which is `of_day`: hands over what has waited long enough.
    pub fn settle(&mut self, now: Ts, of_day: impl FnOnce() -> Ts) {
        let every = if self.batch.is_empty() { IDLE_NS } else { EVERY_NS };
        if now.abs_diff(self.out) >= every {
            self.out = now;
            self.hand_over(of_day());
        }
    }

    fn hand_over(&mut self, upto: Ts) {
        let told = Told {
            from: self.n,
            upto,
            batch: std::mem::take(&mut self.batch),
        };
        if let Err(TrySendError::Full(told) | TrySendError::Disconnected(told)) = self.queue.try_send(told) {
            self.batch = told.batch;
            if self.batch.bytes() >= MAX_GATHERED {
                self.lost.add(&self.batch);
                self.batch.clear();
            }
        }
    }

    /// There is no more. At the end it waits for room.
    pub fn finish(mut self, patience: &Patience, progress: &Progress) {
        let told = Told {
            from: self.n,
            upto: Ts::MAX,
            batch: std::mem::take(&mut self.batch),
        };
        if let Some(told) = crate::output::outbox::send(&self.queue, told, patience, progress, LIMIT) {
            self.lost.add(&told.batch);
        }
    }
}

/// What is known of a worker.
#[derive(Default)]
struct From {
    batches: VecDeque<Batch>,
    /// Where in the first of them it goes on.
    at: usize,
    upto: Ts,
}

impl From {
    fn next_time(&self) -> Option<Ts> {
        self.batches.front()?.reader_at(self.at).next_time()
    }
}

/// The thread at work.
struct Work {
    host: Host,
    begin: Begin,
    progress: Progress,
    from: Vec<From>,
    out: Vec<Out>,
    costs: Costs,
    costs_at: Instant,
}

impl Work {
    fn new(host: Host, begin: Begin, progress: Progress, costs: Costs) -> Work {
        // One more for the main thread.
        let from = (0..=begin.workers).map(|_| From::default()).collect();
        Work {
            host,
            begin,
            progress,
            from,
            out: Vec::new(),
            costs,
            costs_at: Instant::now(),
        }
    }

    /// Says what handlers have cost, once a second while there is a profile.
    fn tell_costs(&mut self, is_last: bool) {
        if is_on() && (is_last || self.costs_at.elapsed() >= COSTS_EVERY) {
            self.costs_at = Instant::now();
            *self.costs.lock().unwrap_or_else(PoisonError::into_inner) = self.host.costs();
        }
    }

    fn work(mut self, told: &Receiver<Told>) {
        loop {
            match told.recv_timeout(TICK) {
                Ok(t) => {
                    self.take(t);
                    // Whatever else has come by now.
                    let more = told.try_iter().take(MAX_QUEUED);
                    more.for_each(|t| self.take(t));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // The main thread has few events, and says nothing between them.
            let workers = self.from.iter().take(self.begin.workers);
            let upto = workers.map(|f| f.upto).min().unwrap_or(Ts::MAX);
            // One that says nothing for long is not waited for.
            let held: usize = self.from.iter().map(|f| f.batches.len()).sum();
            let upto = match held > MAX_QUEUED {
                true => self.from.iter().map(|f| f.upto).max().unwrap_or(upto),
                false => upto,
            };
            self.handle(upto);
            if upto != Ts::MAX {
                self.host.advance(upto);
            }
            self.carry_out();
            self.begin.sink.flush();
            self.tell_costs(false);
            self.progress.made();
        }
        self.handle(Ts::MAX);
        self.host.finish();
        self.carry_out();
        self.tell_costs(true);
        self.begin.sink.flush();
    }

    fn take(&mut self, told: Told) {
        let Some(from) = self.from.get_mut(told.from) else {
            return;
        };
        from.upto = from.upto.max(told.upto);
        if !told.batch.is_empty() {
            from.batches.push_back(told.batch);
        }
    }

    /// Handles what happened up to this time, the oldest first.
    fn handle(&mut self, upto: Ts) {
        loop {
            let times = self.from.iter().enumerate();
            let next = times.filter_map(|(n, f)| Some((f.next_time()?, n))).min();
            let Some((_, n)) = next.filter(|(ts, _)| *ts <= upto) else {
                return;
            };
            let from = &mut self.from[n];
            let Some(batch) = from.batches.front() else {
                return;
            };
            let mut reader = batch.reader_at(from.at);
            self.host.next_event(&mut reader);
            from.at = reader.at();
            if from.at >= batch.bytes() {
                from.batches.pop_front();
                from.at = 0;
                self.progress.made();
            }
            if self.host.has_out() {
                self.carry_out();
            }
        }
    }

    /// Carries out what scripts gave.
    fn carry_out(&mut self) {
        if !self.host.has_out() {
            return;
        }
        let mut out = std::mem::take(&mut self.out);
        self.host.take(&mut out);
        let now = self.begin.clock.of_day(self.begin.clock.now());
        out.drain(..).for_each(|one| one.carry_out(now, &mut self.begin));
        self.out = out;
    }
}
