//! A worker: a plain thread with its own ring, its own connection table and its own sink; it shares nothing that it
//! could wait for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use sensor_common::Policy;

use super::clock::Clock;
use super::confine::Confinement;
use super::drain::Drain;
use super::duties::see_to;
use super::metrics::{Metrics, WorkerGauges};
use super::orders::{Mailbox, Orders};
use super::persist::Inheritance;
use super::priority;
use super::recorder::Recorder;
use super::shifted::Shifted;
use super::slow::SlowPath;
use super::takeover::Takeover;
use super::turn::Turn;
use crate::anonymize::Anonymized;
use crate::base::time::SECOND;
use crate::conn::{Config, Engine, Sink};
use crate::datapath::xdp::{EndedKey, Injector, Kernel, Ring};
use crate::event::{Subscriptions, Ts};
use crate::profile::place::{Part, begin_thread};
use crate::script::at_once::AtOnce;

/// Longest sleep of a worker. Without traffic a timer is late by up to this.
const MAX_SLEEP: Duration = Duration::from_millis(50);
/// How long a worker that found its ring empty waits before it looks again. Nobody wakes it meanwhile: so many records
/// come at a time, without a wake-up each. No ring fills up in so short a time.
const NAP: Duration = Duration::from_micros(500);
/// The same while long bodies come that are not read: what comes of the next one before the datapath is told to keep it
/// is copied in vain.
const SHORT_NAP: Duration = Duration::from_micros(40);
/// How long naps are short after the datapath was told to keep a body.
const EAGER: Duration = Duration::from_millis(50);
/// Time with an empty ring after which a worker sleeps until it is woken.
const IDLE_BEFORE_SLEEP: Duration = Duration::from_millis(4);
/// Most timers that a worker fires before it looks at its ring again. The others fire in later turns.
const MAX_TIMERS_PER_TURN: u32 = 1024;

/// Failures of a worker within [`MEMORY_NS`] after which it does not begin anew.
const MAX_FAILURES: usize = 8;
/// How long a failure counts, ns.
const MEMORY_NS: u64 = 600 * SECOND;

/// What the workers are told.
const GO_ON: u8 = 0;
/// To end all connections.
const END: u8 = 1;
/// To leave them to another run.
const LEAVE: u8 = 2;

/// Where a worker's results go.
pub trait WorkerSink: Sink + Send + 'static {
    /// What the sink leaves behind when the worker is done.
    type Left: Send + 'static;

    /// A turn is over at engine's time `now`, ns: hands over what has waited long enough.
    fn settle(&mut self, now: Ts);

    /// The run ends: from now on handing over may wait for the outputs.
    fn be_patient(&mut self);

    /// Rows of conn.log so far.
    fn rows(&self) -> u64 {
        0
    }

    /// How many of them a crash cannot take away any more.
    fn safe_rows(&self) -> u64 {
        0
    }

    /// Hands over the rest.
    fn finish(self) -> Self::Left;
}

impl<S: WorkerSink> WorkerSink for Anonymized<S> {
    type Left = S::Left;

    fn settle(&mut self, now: Ts) {
        self.to.settle(now);
    }

    fn be_patient(&mut self) {
        self.to.be_patient();
    }

    fn rows(&self) -> u64 {
        self.to.rows()
    }

    fn safe_rows(&self) -> u64 {
        self.to.safe_rows()
    }

    fn finish(self) -> S::Left {
        self.to.finish()
    }
}

/// What one worker works with.
struct Worker<S> {
    /// Which one it is, and the number of its ring.
    n: u32,
    ring: Ring,
    table: Shifted,
    injector: Injector,
    /// As the engine was made, for another one.
    cfg: Config,
    /// The kernel's.
    policy: Policy,
    subs: Subscriptions,
    engine: Engine<S>,
    drain: Drain,
    mailbox: Mailbox,
    clock: Clock,
    stop: Arc<AtomicU8>,
    gauges: Arc<WorkerGauges>,
    takeover: Option<Takeover>,
    /// Ended flows whose rows are not known to be written: how many rows there were with them.
    unwritten: VecDeque<(u64, Vec<EndedKey>)>,
    /// When its engine failed, ns since boot.
    failures: VecDeque<u64>,
}

impl<S: WorkerSink> Worker<S> {
    /// Works until told to stop. Returns what the sink leaves behind, and the bytes that came through the ring.
    fn run(mut self) -> (S::Left, anyhow::Result<u64>) {
        let mut result = loop {
            match catch_unwind(AssertUnwindSafe(|| self.work())) {
                Ok(done) => break done,
                Err(_) => match self.begin_anew() {
                    Ok(anew) => self = anew,
                    Err((me, e)) => {
                        self = *me;
                        break Err(e);
                    }
                },
            }
        };
        // Whatever ended the work, what is known is written.
        self.engine.sink().be_patient();
        if self.stop.load(Ordering::Acquire) == LEAVE && result.is_ok() {
            result = self.turn().map(drop);
            self.engine.settle(self.clock.now(), &mut self.table);
        } else {
            if result.is_ok() {
                // The program is detached: what is in the ring is the rest.
                result = self.rest();
            }
            self.engine.finish(self.clock.now(), &mut self.table);
        }
        self.gauges.show(&self.engine, 0);
        let left = self.engine.into_sink().finish();
        (left, result.map(|()| self.ring.consumed()))
    }

    fn work(&mut self) -> anyhow::Result<()> {
        let mut idle = Duration::ZERO;
        let mut eager = Duration::ZERO;
        while self.stop.load(Ordering::Acquire) == GO_ON {
            let (before, kept) = (self.ring.consumed(), self.engine.stretches());
            if self.step()? {
                continue;
            }
            if self.ring.consumed() != before {
                idle = Duration::ZERO;
            }
            if self.engine.stretches() != kept {
                eager = EAGER;
            }
            let nap = if eager.is_zero() { NAP } else { SHORT_NAP };
            if idle < IDLE_BEFORE_SLEEP || !eager.is_zero() {
                std::thread::sleep(nap);
                idle += nap;
                eager = eager.saturating_sub(nap);
            } else {
                self.ring.wait(MAX_SLEEP).context("cannot wait for the kernel")?;
            }
        }
        Ok(())
    }

    fn rest(&mut self) -> anyhow::Result<()> {
        while self.step()? {}
        Ok(())
    }

    /// A turn, and some of what is to be taken over; true if there is more to do.
    fn step(&mut self) -> anyhow::Result<bool> {
        let more = self.turn()?;
        let Some(takeover) = &mut self.takeover else {
            return Ok(more);
        };
        let goes_on = takeover
            .go_on(more, &mut self.engine, &mut self.table)
            .context("cannot read the flow table")?;
        if goes_on {
            return Ok(true);
        }
        self.takeover = None;
        let (n, all) = (self.n, self.engine.adopted());
        if all > 0 {
            tracing::warn!(
                "worker {n} took over {all} connections: of what they did before the counts alone are known"
            );
        }
        Ok(more)
    }

    /// The engine has failed: another one takes its place, to which the flow table tells of the connections. An error if
    /// that was not the first time lately.
    fn begin_anew(mut self) -> Result<Self, (Box<Self>, anyhow::Error)> {
        let now = Clock::boot();
        self.failures.retain(|at| at + MEMORY_NS > now);
        self.failures.push_back(now);
        self.gauges.failed();
        let n = self.n;
        if self.failures.len() > MAX_FAILURES {
            return Err((
                Box::new(self),
                anyhow::anyhow!("worker {n} fails again and again"),
            ));
        }
        tracing::error!(
            "worker {n} has failed, which is a defect of the sensor, and begins anew: its {} connections go on by what the \
             kernel counts",
            self.engine.len()
        );
        let Worker {
            mut engine,
            table,
            mut drain,
            ..
        } = self;
        let recorder = std::mem::take(drain.recorder());
        let left = catch_unwind(AssertUnwindSafe(|| engine.estate())).unwrap_or_default();
        let mut anew = Engine::new(self.cfg.clone(), self.subs, engine.into_sink());
        anew.shifted_by(self.clock.shift());
        let mut table = table;
        let takeover = Takeover::begin(self.clock.now(), n, left, &mut anew, &mut table);
        Ok(Worker {
            engine: anew,
            table,
            drain: Drain::new(
                SlowPath::new(self.cfg.tunnels.clone(), false, &self.policy),
                recorder,
            ),
            takeover: Some(takeover),
            ..self
        })
    }

    /// Notes which rows are on their way, and lets go of what is kept of those that are written.
    fn account_for_rows(&mut self) {
        let told = self.table.table.take_told();
        let sink = self.engine.sink();
        if !told.is_empty() {
            self.unwritten.push_back((sink.rows(), told));
        }
        if self.unwritten.is_empty() {
            return;
        }
        let safe = sink.safe_rows();
        while let Some((_, flows)) = self.unwritten.pop_front_if(|(rows, _)| *rows <= safe) {
            self.table.table.release(&flows);
        }
    }

    /// Takes records off the ring and fires timers that are due; true if there are more of either.
    fn turn(&mut self) -> anyhow::Result<bool> {
        let taken = self.ring.taken();
        self.gauges.begins(|| self.ring.next_time(), Clock::boot);
        let more = self.drain.drain(&mut Turn {
            ring: &mut self.ring,
            table: &mut self.table,
            injector: &mut self.injector,
            engine: &mut self.engine,
            shift: self.clock.shift(),
            alone: false,
        })?;
        let at = self.clock.now();
        let late = self.engine.advance_some(at, MAX_TIMERS_PER_TURN, &mut self.table);
        self.engine.settle(at, &mut self.table);
        self.engine.flush_point(at);
        self.engine.sink().settle(at);
        self.account_for_rows();
        see_to(
            &self.mailbox,
            self.drain.recorder(),
            &mut self.engine,
            at,
            &mut self.table,
        );
        self.gauges.show(&self.engine, taken);
        self.gauges.ends(self.drain.records(), self.ring.consumed());
        Ok(more || late)
    }
}

/// Whether a worker is to end.
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// It is.
    pub fn is_told(&self) -> bool {
        self.0.load(Ordering::Acquire) != GO_ON
    }
}

/// What workers begin with beside their settings.
#[derive(Default)]
pub struct Beginning<'b> {
    /// What there is to take over.
    pub left: Option<Inheritance>,
    /// What their threads keep; None: all.
    pub confinement: Option<&'b Confinement>,
    /// What they are asked to do later.
    pub orders: Orders,
    /// Handlers of scripts that they call themselves.
    pub at_once: Option<AtOnce>,
}

/// Gives a worker's thread its interpreter, if scripts have anything for it. It was loaded before, to see.
pub fn begin_at_once(at_once: Option<&AtOnce>) {
    if let Some(Err(e)) = at_once.map(AtOnce::begin) {
        tracing::error!("a worker calls no handlers: {e}");
    }
}

/// The workers of a run, one a ring.
pub struct Workers<L> {
    threads: Vec<JoinHandle<(L, anyhow::Result<u64>)>>,
    stop: Arc<AtomicU8>,
}

/// How the workers ended.
pub struct Done<L> {
    /// What their sinks leave behind.
    pub left: Vec<L>,
    /// Bytes that came through the rings.
    pub copied: u64,
    /// The error of a worker that failed.
    pub failed: Option<anyhow::Error>,
}

impl<L: Send + 'static> Workers<L> {
    /// Starts a worker for each of `sinks`, with the sink's events from `subs`.
    pub fn start<S: WorkerSink<Left = L>>(
        kernel: &Kernel,
        cfg: &Config,
        sinks: impl IntoIterator<Item = (Subscriptions, S)>,
        clock: &Clock,
        metrics: &Metrics,
        begin: Beginning<'_>,
    ) -> anyhow::Result<Self> {
        let mut workers = Workers {
            threads: Vec::new(),
            stop: Arc::default(),
        };
        let began = clock.now();
        let policy = kernel.config().policy;
        let (mut estates, mut kept, divided) = match begin.left {
            Some(left) => (Some(left.estates.into_iter()), left.kept, left.divided),
            None => (None, Vec::new(), Vec::new()),
        };
        for (i, (gauges, (subs, sink))) in metrics.workers().iter().zip(sinks).enumerate() {
            let n = i as u32;
            let mut engine = Engine::new(cfg.clone(), subs, sink);
            engine.shifted_by(clock.shift());
            let mut table = Shifted {
                table: kernel.table()?.in_batches(),
                by: clock.shift(),
            };
            divided.iter().for_each(|key| table.table.is_divided(*key));
            let takeover = estates.as_mut().map(|estates| {
                let left = estates.next().unwrap_or_default();
                Takeover::begin(began, n, left, &mut engine, &mut table)
            });
            // The rows of the first one's estate are on their way.
            table.table.add_told(&mut kept);
            let worker = Worker {
                n,
                ring: kernel.ring(n)?,
                table,
                injector: kernel.injector()?,
                cfg: cfg.clone(),
                policy,
                subs,
                engine,
                takeover,
                unwritten: VecDeque::new(),
                failures: VecDeque::new(),
                drain: Drain::new(
                    SlowPath::new(cfg.tunnels.clone(), false, &policy),
                    Recorder::new(begin.orders.history, cfg.seed, clock.shift()),
                ),
                mailbox: begin.orders.of(n),
                clock: clock.clone(),
                stop: workers.stop.clone(),
                gauges: gauges.clone(),
            };
            let name = format!("worker-{i}");
            let watched = name.clone();
            let (confinement, at_once) = (begin.confinement.cloned(), begin.at_once.clone());
            workers
                .threads
                .push(std::thread::Builder::new().name(name).spawn(move || {
                    priority::raise();
                    begin_thread(&watched, Part::Input);
                    begin_at_once(at_once.as_ref());
                    if let Some(c) = confinement {
                        c.begin();
                    }
                    worker.run()
                })?);
        }
        Ok(workers)
    }

    /// One worker, which works until what it is given is set.
    pub fn one(work: impl FnOnce(Stop) -> (L, anyhow::Result<u64>) + Send + 'static) -> anyhow::Result<Self> {
        let stop: Arc<AtomicU8> = Arc::default();
        let told = Stop(stop.clone());
        let thread = std::thread::Builder::new().name("worker-0".into());
        Ok(Workers {
            threads: vec![thread.spawn(move || work(told))?],
            stop,
        })
    }

    /// Whether one of them has ended. Nobody told it to stop, so it failed.
    pub fn has_ended(&self) -> bool {
        self.threads.iter().any(|w| w.is_finished())
    }

    /// Tells them to stop once their rings are empty, and waits for them. To be called when nothing new comes in.
    pub fn end(self) -> Done<L> {
        self.stop(END)
    }

    /// Tells them to stop and to leave their connections as they are, for another run.
    pub fn leave(self) -> Done<L> {
        self.stop(LEAVE)
    }

    fn stop(mut self, how: u8) -> Done<L> {
        self.stop.store(how, Ordering::Release);
        let mut done = Done {
            left: Vec::new(),
            copied: 0,
            failed: None,
        };
        for w in std::mem::take(&mut self.threads) {
            match w.join() {
                Ok((left, result)) => {
                    done.left.push(left);
                    match result {
                        Ok(bytes) => done.copied += bytes,
                        Err(e) => done.failed = Some(e),
                    }
                }
                Err(_) => done.failed = Some(anyhow::anyhow!("a worker died")),
            }
        }
        done
    }
}

impl<L> Drop for Workers<L> {
    /// Ends the workers that have begun when a start fails midway.
    fn drop(&mut self) {
        self.stop.store(END, Ordering::Release);
    }
}
