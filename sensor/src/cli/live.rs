//! `sensor run`: the kernel's program on interfaces, a worker thread per ring, the terminal.
//!
//! tokio is at this edge only (signals, the clock of the status line); a worker is a plain thread with its
//! own ring, its own connection table and its own outbox, and shares nothing that it could wait for.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use sensor_common::{Counter, FlowKey, FlowState, Policy, policy};

use super::accounts::Gauges;
use super::clock::Clock;
use super::interfaces::Interfaces;
use super::live_sinks::{Outbox, Outputs};
use super::signals::{Signals, Told};
use super::slow::{self, SlowPath};
use super::sweep::Sweep;
use super::{Failure, accounts, status};
use crate::conn::{Config, Engine, Sink};
use crate::datapath::FlowTable;
use crate::datapath::xdp::{self, Counters, Injector, Kernel, Ring, Table};
use crate::event::{Event, Subscriptions, policy_bits};
use crate::messages::reporter::Reporter;
use crate::messages::say::{self, say};
use crate::output::contents::ContentsFiles;
use crate::output::log_dir::LogDir;
use crate::output::open::contents_files;
use crate::output::patience::Patience;
use crate::settings::{Decap, RingBy, Settings};

/// How long a worker sleeps at most: timers are that late with no traffic.
const TICK: Duration = Duration::from_millis(50);
/// How long a worker that has found its ring empty waits before it looks again. Nobody wakes it meanwhile, so that
/// records come without a wake-up each, and many at a time; in so long no ring fills up.
const NAP: Duration = Duration::from_micros(500);
/// Times that it finds nothing before it lies down to be woken.
const NAPS: u32 = 8;
/// Timers that fire before it looks at its ring again; more of them make it late, and it goes on with them then.
const MOST_TIMERS: u32 = 1024;
/// How often the status line is drawn.
const REFRESH: Duration = Duration::from_secs(1);
/// How often stats.log gets a row.
const STATS_EVERY: u32 = 60;

/// The kernel's flow table with its times moved to the epoch.
struct Shifted {
    table: Table,
    by: i64,
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

    fn forget(&mut self, key: &FlowKey) {
        self.table.forget(key);
    }

    fn settle(&mut self) {
        self.table.settle();
    }
}

impl Shifted {
    fn shift(&self, f: FlowState) -> FlowState {
        slow::shifted_state(f, self.by)
    }
}

/// One worker.
struct Worker {
    ring: Ring,
    table: Shifted,
    injector: Injector,
    engine: Engine<Outbox>,
    slow: SlowPath,
    clock: Clock,
    stop: Arc<AtomicBool>,
    gauges: Arc<Gauges>,
}

impl Worker {
    /// Until told to stop; the bytes that came through the ring.
    fn run(mut self) -> anyhow::Result<u64> {
        let mut result = self.work();
        // Whatever ended the work, what is known is written.
        self.engine.sink().be_patient();
        if result.is_ok() {
            // The program is detached: what is in the ring is the rest.
            result = self.rest();
        }
        self.engine.finish(self.clock.now(), &mut self.table);
        self.gauges.show(&self.engine, 0);
        self.engine.into_sink().finish();
        result.map(|()| self.ring.consumed())
    }

    fn work(&mut self) -> anyhow::Result<()> {
        let mut empty = 0;
        while !self.stop.load(Ordering::Acquire) {
            let before = self.ring.consumed();
            if self.turn()? {
                continue;
            }
            empty = if self.ring.consumed() == before {
                empty + 1
            } else {
                0
            };
            if empty <= NAPS {
                std::thread::sleep(NAP);
            } else {
                self.ring.wait(TICK).context("cannot wait for the kernel")?;
            }
        }
        Ok(())
    }

    fn rest(&mut self) -> anyhow::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// Takes what is in the ring, or much of it, and what is due; true: there is more of either.
    fn turn(&mut self) -> anyhow::Result<bool> {
        let taken = self.ring.taken();
        let more = self.slow.drain(&mut slow::Worker {
            ring: &mut self.ring,
            table: &mut self.table,
            injector: &mut self.injector,
            engine: &mut self.engine,
            shift: self.clock.shift(),
            alone: false,
        })?;
        let at = self.clock.now();
        let late = self.engine.advance_some(at, MOST_TIMERS, &mut self.table);
        self.engine.settle(at, &mut self.table);
        self.engine.flush_point(at);
        self.engine.sink().settle(at);
        self.gauges.show(&self.engine, taken);
        Ok(more || late)
    }
}

/// Runs the command.
pub fn run(settings: &Settings, reporter: &Reporter) -> Result<(), Failure> {
    let subs = settings.events.subscriptions()?;
    settings.useless_live(subs)?;
    reporter.listen(subs);
    let seed = match settings.seed {
        Some(s) => s,
        None => RandomState::new().hash_one(0),
    };
    let mut cfg = settings.engine(seed)?;
    if settings.checksums {
        return Err(
            anyhow::anyhow!("--checksums on is for `sensor read`: the kernel does not verify them").into(),
        );
    }
    // First of all, and before signals have handlers, as a stuck directory may hold this up.
    let log_dir = LogDir::claim(&settings.logs.dir)?;
    // Before anything is attached: from here on a signal ends the run in order.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let interfaces = &settings.interfaces;
    let rings = settings.rings.workers.unwrap_or(cores.clamp(1, 8));
    cfg.reassembly_total /= rings as u64;
    let bits = policy_bits(&subs, cfg.contents.any()) | Decap::bits(&interfaces.decap) | cfg.realms;
    let mut kernel = Kernel::load(&xdp::Config {
        flows: settings.flows.entries,
        rings,
        policy: Policy {
            bits,
            snaplen: settings.rings.snaplen,
            ring_by_cpu: rings_by_cpu(settings, rings).into(),
            seed: [seed as u32, (seed >> 32) as u32],
            ..Policy::default()
        },
        ring_bytes: settings.rings.mib << 20,
        skb_mode: interfaces.skb_mode,
        half_open_share: settings.flows.half_open_share,
    })?;
    let contents = (0..rings).map(|_| contents_files(settings.logs.contents_dir.as_deref(), rings as usize));
    let contents: Vec<_> = contents.collect::<Result<_, _>>()?;
    let clock = Clock::new();
    let mut attached = Vec::new();
    for iface in &interfaces.names {
        let at = kernel.attach(iface, interfaces.rx_only)?;
        tracing::info!("{iface}: attached, {:?}, egress {:?}", at.mode, at.egress);
        if cfg.realms & policy::VLAN_AWARE != 0 && xdp::strips_vlan_tags(iface) {
            tracing::warn!(
                "{iface}: the driver takes VLAN tags off what it receives, so they are not seen: `ethtool -K {iface} rxvlan off`"
            );
        }
        attached.push(at);
    }
    let watched = runtime.block_on(Interfaces::new(&attached, interfaces.rx_only));
    let mut watched = watched.context("cannot ask for the interfaces")?;
    // Last: a start that fails leaves old logs as they are.
    let outputs = Outputs::open(settings, log_dir, subs, clock.clone())?;
    // What this thread has to say.
    let mut own = outputs.outbox(None);
    // What the program itself has to say; without it everything else works all the same.
    let mut logger: ProgramLog = kernel
        .logger()
        .inspect_err(|e| tracing::warn!("no log of the BPF program: {e}"))
        .ok();
    raise(&mut own, subs, &clock, &Event::BroInit {});
    // Before all that the workers say.
    own.settle(clock.now());
    let stop = Arc::new(AtomicBool::new(false));
    let gauges = accounts::All::new(rings);
    let workers = start(&kernel, &cfg, subs, &outputs, &stop, gauges.each(), contents)?;
    say!(
        "sensor: ready, watching {} with {rings} workers",
        interfaces.names.join(", ")
    );

    let mut sweep = Sweep::new(
        kernel.table()?.in_batches(),
        settings.flows.entries,
        &cfg.timeouts,
    );
    let ended = runtime.block_on(watch(
        &mut kernel,
        &gauges,
        &workers,
        Desk {
            clock: &clock,
            signals: &mut signals,
            logger: &mut logger,
            reporter,
            outputs: &outputs,
            own: &mut own,
            sweep: &mut sweep,
            interfaces: &mut watched,
            exit_when_gone: interfaces.exit_when_gone,
        },
    ));
    hurry_on_signal(runtime, signals, outputs.patience());
    // Nothing new comes in from here on; the workers take what is there.
    kernel.detach();
    if let Err(e) = sweep.finish() {
        tracing::warn!("half-open flows of a SYN flood are not all logged: {e}");
    }
    stop.store(true, Ordering::Release);
    let mut failed = ended.err();
    let mut copied = 0;
    for w in workers {
        match w.join() {
            Ok(Ok(bytes)) => copied += bytes,
            Ok(Err(e)) => failed = Some(e),
            Err(_) => failed = Some(anyhow::anyhow!("a worker died")),
        }
    }
    own.be_patient();
    reporter.drain(clock.of_day(clock.now()), |ev| raise(&mut own, subs, &clock, ev));
    raise(&mut own, subs, &clock, &Event::BroDone {});
    let counters = kernel.counters();
    if let Ok(c) = &counters {
        let ts = clock.now();
        accounts::rows(ts, c, &outputs, &watched.all, &gauges, |row| own.log(row));
    }
    own.finish();
    let closed = outputs.close();
    match gauges.no_entry() {
        0 => {}
        n => tracing::warn!(
            "{n} connections ended whose entries were not in the flow table: their rows lack what the kernel counted"
        ),
    }
    // Whatever became of them, the rows are written.
    let counters = counters.map_err(|e| Failure {
        status: 1,
        error: e.into(),
    })?;
    say::text(status::sums(&counters));
    say!(
        "copied {copied} bytes to userspace, of {} bytes of frames",
        counters.get(Counter::FrameBytes)
    );
    match failed.map_or(closed, Err) {
        Ok(()) => Ok(()),
        Err(error) => Err(Failure { status: 1, error }),
    }
}

/// Whether a flow's ring is that of its CPU.
fn rings_by_cpu(settings: &Settings, rings: u32) -> bool {
    let i = &settings.interfaces;
    let by_cpu = match settings.rings.by {
        RingBy::Cpu => true,
        RingBy::Flow => false,
        RingBy::Auto => i.rx_only && rings > 1 && i.names.iter().all(|name| xdp::is_symmetric(name)),
    };
    if by_cpu {
        tracing::info!("rings are chosen by CPU");
    }
    by_cpu
}

/// While the run ends, another signal has it wait for no output any more.
fn hurry_on_signal(runtime: tokio::runtime::Runtime, mut signals: Signals, patience: Patience) {
    let hurry = move || {
        runtime.block_on(signals.end());
        tracing::warn!("another signal: what the outputs do not take at once is lost");
        patience.end();
    };
    if let Err(e) = std::thread::Builder::new().name("signals".into()).spawn(hurry) {
        tracing::warn!("another signal will not be heard: {e}");
    }
}

fn raise(own: &mut Outbox, subs: Subscriptions, clock: &Clock, ev: &Event<'_>) {
    if subs.wants(ev.kind()) {
        own.event(clock.now(), ev);
    }
}

fn start(
    kernel: &Kernel,
    cfg: &Config,
    subs: Subscriptions,
    outputs: &Outputs,
    stop: &Arc<AtomicBool>,
    gauges: &[Arc<Gauges>],
    contents: Vec<Option<ContentsFiles>>,
) -> anyhow::Result<Vec<JoinHandle<anyhow::Result<u64>>>> {
    let clock = outputs.clock();
    let mut workers = Vec::new();
    for (i, (gauges, contents)) in gauges.iter().zip(contents).enumerate() {
        let mut engine = Engine::new(cfg.clone(), subs, outputs.outbox(contents));
        engine.shifted_by(clock.shift());
        let worker = Worker {
            ring: kernel.ring(i as u32)?,
            table: Shifted {
                table: kernel.table()?.in_batches(),
                by: clock.shift(),
            },
            injector: kernel.injector()?,
            engine,
            slow: SlowPath::new(cfg.tunnels.clone(), false, cfg.realms),
            clock: clock.clone(),
            stop: stop.clone(),
            gauges: gauges.clone(),
        };
        let name = format!("worker-{i}");
        workers.push(
            std::thread::Builder::new()
                .name(name)
                .spawn(move || worker.run())?,
        );
    }
    Ok(workers)
}

/// The BPF program's own diagnostics.
type ProgramLog = Option<aya_log::EbpfLogger<&'static dyn log::Log>>;

/// What comes in from outside while the workers work, and where the operator is told things.
struct Desk<'d> {
    clock: &'d Clock,
    signals: &'d mut Signals,
    logger: &'d mut ProgramLog,
    reporter: &'d Reporter,
    outputs: &'d Outputs,
    own: &'d mut Outbox,
    sweep: &'d mut Sweep,
    interfaces: &'d mut Interfaces,
    exit_when_gone: bool,
}

/// Until a signal: flushes, status line, stats.log, the slow sweep.
async fn watch(
    kernel: &mut Kernel,
    gauges: &accounts::All,
    workers: &[JoinHandle<anyhow::Result<u64>>],
    desk: Desk<'_>,
) -> anyhow::Result<()> {
    let mut clock = tokio::time::interval(REFRESH);
    let mut last = Counters::default();
    let mut n = 0;
    loop {
        match desk.signals.next(&mut clock).await {
            Told::End => return Ok(()),
            Told::Reopen => {
                desk.outputs.reopen();
                continue;
            }
            Told::Tick => {}
        }
        if workers.iter().any(|w| w.is_finished()) {
            return Ok(());
        }
        n += 1;
        if let Some(step) = desk.clock.look() {
            tracing::warn!("{}", super::clock::said(step));
        }
        let at = desk.clock.now();
        if let Some(l) = desk.logger {
            l.flush();
        }
        let counters = kernel.counters()?;
        if desk.interfaces.look(kernel).await? && desk.exit_when_gone {
            anyhow::bail!("an interface is gone, as --exit-when-gone waits for");
        }
        let of_day = desk.clock.of_day(at);
        desk.reporter.drain(of_day, |ev| desk.own.event(at, ev));
        if n % STATS_EVERY == 0 {
            let all = &desk.interfaces.all;
            accounts::rows(at, &counters, desk.outputs, all, gauges, |row| desk.own.log(row));
        }
        desk.own.settle(at);
        desk.outputs.complain();
        let lost = counters.get(Counter::Lost) - last.get(Counter::Lost);
        if lost > 0 {
            tracing::warn!(
                "a ring had no room: {lost} packets' payload not seen; see --ring-mib and --workers"
            );
        }
        let lost = accounts::records_lost(&counters) - accounts::records_lost(&last);
        if lost > 0 {
            tracing::warn!(
                "a ring was full: {lost} records not seen, among them perhaps how connections began or ended; \
                 see --ring-mib and --workers"
            );
        }
        let full = |c: &Counters| c.get(Counter::TableFull) + c.get(Counter::InnerTableFull);
        let (full, before) = (full(&counters), full(&last));
        if full > before {
            tracing::warn!("the flow table is full: {full} frames of new flows not tracked; see --flows");
        }
        let gave_way = counters.get(Counter::HalfOpenEvicted) - last.get(Counter::HalfOpenEvicted);
        if gave_way > 0 {
            tracing::warn!(
                "half-open flows have their share of the flow table: the oldest {gave_way} gave way, perhaps to a SYN \
                 flood; see --half-open-share and --flows"
            );
        }
        desk.outputs
            .status(|| status::line(&counters, &last, REFRESH, gauges.open() as usize));
        if let Err(e) = desk.sweep.round(Clock::boot(), &counters) {
            tracing::warn!("the slow sweep begins anew: {e}");
        }
        last = counters;
    }
}
