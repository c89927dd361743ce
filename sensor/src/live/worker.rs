//! A worker: a plain thread with its own ring, its own connection table and its own sink; it shares nothing that it
//! could wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use super::clock::Clock;
use super::drain::Drain;
use super::metrics::{Metrics, WorkerGauges};
use super::priority;
use super::shifted::Shifted;
use super::slow::SlowPath;
use super::turn::Turn;
use crate::conn::{Config, Engine, Sink};
use crate::datapath::xdp::{Injector, Kernel, Ring};
use crate::event::{Subscriptions, Ts};

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

/// Where a worker's results go.
pub trait WorkerSink: Sink + Send + 'static {
    /// What the sink leaves behind when the worker is done.
    type Left: Send + 'static;

    /// A turn is over at engine's time `now`, ns: hands over what has waited long enough.
    fn settle(&mut self, now: Ts);

    /// The run ends: from now on handing over may wait for the outputs.
    fn be_patient(&mut self);

    /// Hands over the rest.
    fn finish(self) -> Self::Left;
}

/// What one worker works with.
struct Worker<S> {
    ring: Ring,
    table: Shifted,
    injector: Injector,
    engine: Engine<S>,
    drain: Drain,
    clock: Clock,
    stop: Arc<AtomicBool>,
    gauges: Arc<WorkerGauges>,
}

impl<S: WorkerSink> Worker<S> {
    /// Works until told to stop. Returns what the sink leaves behind, and the bytes that came through the ring.
    fn run(mut self) -> (S::Left, anyhow::Result<u64>) {
        let mut result = self.work();
        // Whatever ended the work, what is known is written.
        self.engine.sink().be_patient();
        if result.is_ok() {
            // The program is detached: what is in the ring is the rest.
            result = self.rest();
        }
        self.engine.finish(self.clock.now(), &mut self.table);
        self.gauges.show(&self.engine, 0);
        let left = self.engine.into_sink().finish();
        (left, result.map(|()| self.ring.consumed()))
    }

    fn work(&mut self) -> anyhow::Result<()> {
        let mut idle = Duration::ZERO;
        let mut eager = Duration::ZERO;
        while !self.stop.load(Ordering::Acquire) {
            let (before, kept) = (self.ring.consumed(), self.engine.stretches());
            if self.turn()? {
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
        while self.turn()? {}
        Ok(())
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
        self.gauges.show(&self.engine, taken);
        self.gauges.ends(self.drain.records(), self.ring.consumed());
        Ok(more || late)
    }
}

/// The workers of a run, one a ring.
pub struct Workers<L> {
    threads: Vec<JoinHandle<(L, anyhow::Result<u64>)>>,
    stop: Arc<AtomicBool>,
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
    ) -> anyhow::Result<Self> {
        let mut workers = Workers {
            threads: Vec::new(),
            stop: Arc::default(),
        };
        for (i, (gauges, (subs, sink))) in metrics.workers().iter().zip(sinks).enumerate() {
            let mut engine = Engine::new(cfg.clone(), subs, sink);
            engine.shifted_by(clock.shift());
            let worker = Worker {
                ring: kernel.ring(i as u32)?,
                table: Shifted {
                    table: kernel.table()?.in_batches(),
                    by: clock.shift(),
                },
                injector: kernel.injector()?,
                engine,
                drain: Drain::new(SlowPath::new(cfg.tunnels.clone(), false, cfg.realms)),
                clock: clock.clone(),
                stop: workers.stop.clone(),
                gauges: gauges.clone(),
            };
            let name = format!("worker-{i}");
            workers
                .threads
                .push(std::thread::Builder::new().name(name).spawn(move || {
                    priority::raise();
                    worker.run()
                })?);
        }
        Ok(workers)
    }

    /// One worker, which works until what it is given is set.
    pub fn one(
        work: impl FnOnce(Arc<AtomicBool>) -> (L, anyhow::Result<u64>) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let stop: Arc<AtomicBool> = Arc::default();
        let told = stop.clone();
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
    pub fn end(mut self) -> Done<L> {
        self.stop.store(true, Ordering::Release);
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
        self.stop.store(true, Ordering::Release);
    }
}
