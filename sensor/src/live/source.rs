//! Where a run's records come from: the program in the kernel, or a packet socket.

use std::path::Path;

use super::clock::Clock;
use super::interfaces::Hooks;
use super::load::{Before, Program};
use super::metrics::Metrics;
use super::netns::Netns;
use super::packets::Packets;
use super::persist::{self, Inheritance};
use super::priority;
use super::sweep::{Met, Sweep};
use super::worker::{Beginning, WorkerSink, Workers, begin_at_once};
use crate::anonymize::Anonymizer;
use crate::conn::Config;
use crate::datapath::xdp::{Counters, Kernel, KernelError};
use crate::event::Subscriptions;
use crate::profile::place::{Part, begin_thread};
use crate::settings::{LiveDatapath, Settings};

/// The BPF program's own diagnostics.
pub type ProgramLog = aya_log::EbpfLogger<&'static dyn log::Log>;

/// Either of them.
pub enum Source {
    Program(Box<Program>),
    Packets(Box<Packets>),
}

impl Source {
    /// Loads what the settings ask for; nothing is watched yet. `bits`: the policy.
    pub fn load(
        settings: &Settings,
        cfg: &Config,
        bits: u32,
        rings: u32,
        netns: Netns,
        before: Before,
    ) -> Result<Self, KernelError> {
        Ok(match settings.interfaces.datapath {
            LiveDatapath::Xdp => {
                let program = Program::load(settings, cfg, bits, rings, netns, before)?;
                Source::Program(Box::new(program))
            }
            LiveDatapath::Packet => Source::Packets(Box::new(Packets::open(settings, bits, netns)?)),
        })
    }

    /// Starts a worker for each of `sinks`.
    pub fn start<S: WorkerSink>(
        &mut self,
        cfg: &Config,
        mut sinks: impl Iterator<Item = (Subscriptions, S)>,
        clock: &Clock,
        metrics: &Metrics,
        begin: Beginning<'_>,
    ) -> anyhow::Result<Workers<S::Left>> {
        match self {
            Source::Program(p) => Workers::start(&p.kernel, cfg, sinks, clock, metrics, begin),
            Source::Packets(p) => {
                let gauges = metrics.workers().first().cloned();
                let sink = sinks.next().zip(gauges);
                let worker =
                    sink.and_then(|(sink, gauges)| p.worker(cfg, sink, clock, gauges, &begin.orders));
                let worker = worker.ok_or_else(|| anyhow::anyhow!("a packet socket has one worker"))?;
                let (confinement, at_once) = (begin.confinement.cloned(), begin.at_once);
                Workers::one(move |stop| {
                    priority::raise();
                    begin_thread("worker-0", Part::Input);
                    begin_at_once(at_once.as_ref());
                    if let Some(c) = confinement {
                        c.begin();
                    }
                    worker.run(&stop)
                })
            }
        }
    }

    /// What an earlier run left, once all is watched; None: there was none. `dirs`: where its logs are; `anonymizer`: what gave
    /// the connections there their ids.
    pub fn inheritance(
        &self,
        dirs: &[&Path],
        anonymizer: Option<&Anonymizer>,
    ) -> Result<Option<Inheritance>, KernelError> {
        let Source::Program(p) = self else { return Ok(None) };
        persist::inheritance(&p.kernel, &p.facts, dirs, anonymizer)
    }

    /// All that is to be watched is: takes away what an earlier run watched beyond that.
    pub fn forget_others(&self) {
        if let Source::Program(p) = self {
            p.forget_others();
        }
    }

    /// Whether anything outlives the process.
    pub fn keeps(&self) -> bool {
        matches!(self, Source::Program(p) if p.kernel.keeps())
    }

    /// The process ends, and what it watches goes on being counted.
    pub fn leave(self) {
        if let Source::Program(p) = self {
            p.leave();
        }
    }

    /// Keeps nothing for a next run.
    pub fn end_keeping(&mut self) -> Result<(), KernelError> {
        match self {
            Source::Program(p) => p.kernel.end_keeping(),
            Source::Packets(_) => Ok(()),
        }
    }

    /// The program in the kernel; None: there is none.
    pub fn kernel(&mut self) -> Option<&mut Kernel> {
        match self {
            Source::Program(p) => Some(&mut p.kernel),
            Source::Packets(_) => None,
        }
    }

    /// Stops watching; workers take what is there.
    pub fn detach(&mut self) {
        match self {
            Source::Program(p) => p.detach(),
            Source::Packets(p) => p.detach(),
        }
    }

    /// The accounting so far, and that of each CPU where CPUs count.
    pub fn counters(&self) -> Result<(Counters, Vec<Counters>), KernelError> {
        Ok(match self {
            Source::Program(p) => {
                let by_cpu = p.kernel.counters_by_cpu()?;
                (by_cpu.iter().copied().sum(), by_cpu)
            }
            Source::Packets(p) => (p.counted().0, Vec::new()),
        })
    }

    /// Frames that were missed before anybody could count them.
    pub fn missed(&mut self) -> u64 {
        match self {
            Source::Program(_) => 0,
            Source::Packets(p) => p.missed(),
        }
    }

    /// What the program itself has to say.
    pub fn logger(&mut self) -> Option<ProgramLog> {
        let Source::Program(p) = self else { return None };
        p.kernel
            .logger()
            .inspect_err(|e| tracing::warn!("no log of the BPF program: {e}"))
            .ok()
    }

    /// The walk over the kernel's flow table; None: the worker has the table.
    pub fn sweep(&self, settings: &Settings, cfg: &Config) -> Result<Option<Sweep>, KernelError> {
        let Source::Program(p) = self else { return Ok(None) };
        let table = p.kernel.table()?.in_batches();
        Ok(Some(Sweep::new(table, settings.flows.entries, &cfg.timeouts)))
    }

    /// What the flow table holds, as far as that is known without a walk.
    pub fn met(&self) -> Met {
        let entries = match self {
            Source::Program(_) => 0,
            Source::Packets(p) => p.counted().1,
        };
        Met {
            entries,
            half_open: 0,
        }
    }

    /// Flows that the table has room for, those of them that may be half-open (0: all), and bytes of a ring.
    pub fn room(&self) -> ((u32, u32), u32) {
        match self {
            Source::Program(p) => {
                let config = p.kernel.config();
                ((config.flows, config.policy.half_open), config.ring_bytes)
            }
            Source::Packets(p) => {
                let (flows, ring) = p.room();
                ((flows, 0), ring)
            }
        }
    }
}

impl Hooks for Source {
    fn netns(&self) -> &Netns {
        match self {
            Source::Program(p) => p.netns(),
            Source::Packets(p) => p.netns(),
        }
    }

    fn attach(&mut self, iface: &str) -> Result<u32, KernelError> {
        match self {
            Source::Program(p) => p.attach(iface),
            Source::Packets(p) => p.attach(iface),
        }
    }

    fn release(&mut self, ifindex: u32) {
        match self {
            Source::Program(p) => p.release(ifindex),
            Source::Packets(p) => p.release(ifindex),
        }
    }
}
