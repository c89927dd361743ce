//! The order of a live run: what is opened before what, what is done each second, and how all of it ends.
//!
//! tokio is at this edge only (signals, netlink, the clock of the status line).

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::clock::{Clock, said};
use super::confine::Confinement;
use super::control::{Command, Control, Reply, Request};
use super::costs;
use super::export::{Board, Endpoint, Shown, Turns};
use super::interfaces::{Interfaces, List, WatchError};
use super::load::Before;
use super::loaded::Loaded;
use super::metrics::{Metrics, Snapshot};
use super::names::Names;
use super::netns::Netns;
use super::notify::Manager;
use super::orders::Orders;
use super::outputs::{Outbox, Outputs};
use super::reload::{Again, Reach, Rules};
use super::scripts::ScriptThread;
use super::signals::{Signals, Told};
use super::source::{ProgramLog, Source};
use super::sweep::Sweep;
use super::worker::{Beginning, WorkerSink as _, Workers};
use super::{load, persist, status};
use crate::anonymize::Anonymized;
use crate::catalog::policy_bits;
use crate::conn::Sink as _;
use crate::datapath::xdp::{Kernel, KernelError, Pins};
use crate::event::{self, Ts};
use crate::messages::reporter::Reporter;
use crate::messages::say::{self, say};
use crate::output::archive::Archive;
use crate::output::capture_loss::CaptureLoss;
use crate::output::log_dir::LogDir;
use crate::output::one_sided::OneSided;
use crate::output::open::contents_files;
use crate::output::patience::Patience;
use crate::output::twice::Twice;
use crate::profile::place::{Part, begin_thread};
use crate::profile::{Cost, PROF_LOG, Profile};
use crate::resolver::local::Local;
use crate::script::at_once::{AtOnce, Probe};
use crate::script::{Plan, Role};
use crate::settings::{ControlSettings, Decap, LogSettings, Persist, Settings};

/// Time between two status lines.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Status lines per row of stats.log: a row a minute.
const STATUS_LINES_PER_STATS_ROW: u32 = 60;

/// Why it ends early when it is asked to.
const GONE: &str = "an interface is gone, as --exit-when-gone waits for";

/// How a run failed.
pub enum Failed {
    /// It did not start, and nothing was done.
    ToStart(anyhow::Error),
    /// It ended early, or something was lost.
    Later(anyhow::Error),
}

/// The kernel refuses its program, and there is a way without.
#[derive(Debug)]
struct Otherwise(KernelError);

impl std::fmt::Display for Otherwise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0.is_of_the_program() {
            true => f.write_str("; --datapath packet watches without a program in the kernel, at a cost"),
            false => Ok(()),
        }
    }
}

impl std::error::Error for Otherwise {}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(e: E) -> Self {
        Failed::ToStart(e.into())
    }
}

/// What a run is for.
#[derive(Clone, Copy)]
enum Until<'a> {
    /// To watch interfaces until a signal. How the settings are read anew.
    Told(Again<'a>),
    /// To end what an earlier run left.
    TakenOver,
}

/// Runs the sensor with log files, event stream and terminal, until a signal. `reporter`: messages that become events;
/// `again`: reads the settings anew.
pub fn run(settings: &Settings, reporter: &Reporter, again: Again<'_>) -> Result<(), Failed> {
    let mut pins = persist::claim(settings)?;
    if settings.interfaces.persist == Persist::Replace
        && let Some(facts) = pins.as_ref().and_then(|p| p.facts().copied())
        && let Some(old) = pins.take_if(|p| persist::differs(p, settings))
    {
        say!("sensor: what the last run left does not fit, and is ended first");
        work(
            &persist::as_left(settings, &facts),
            reporter,
            Some(old),
            Until::TakenOver,
        )?;
        pins = persist::claim(settings)?;
    }
    work(settings, reporter, pins, Until::Told(again))
}

/// Ends what a run with `--persist` left in the kernel, with rows for what is open.
pub fn detach(settings: &Settings, reporter: &Reporter) -> Result<(), Failed> {
    let dir = &settings.interfaces.persist_dir;
    let pins = Pins::claim(dir)?;
    let Some(facts) = pins.facts().copied() else {
        pins.remove()?;
        say!("sensor: nothing is left of an earlier run in {}", dir.display());
        return Ok(());
    };
    work(
        &persist::as_left(settings, &facts),
        reporter,
        Some(pins),
        Until::TakenOver,
    )
}

fn work(
    settings: &Settings,
    reporter: &Reporter,
    pins: Option<Pins>,
    until: Until<'_>,
) -> Result<(), Failed> {
    let subs = settings.subscriptions()?;
    let watches = matches!(until, Until::Told(_));
    if watches {
        settings.useless_live(subs)?;
    }
    // Before any thread begins.
    let mut profile = match watches {
        true => settings.profile.begin().context("cannot begin the profile")?,
        false => None,
    };
    begin_thread("main", Part::Rest);
    // Nothing is attached yet that could be lost for want of an answer.
    let (resolver, names) = Names::begin(settings)?;
    let local = match names.look_up(settings) {
        // What was left in the kernel is to be ended, whatever becomes of names.
        Err(e) if !watches => {
            tracing::warn!("{e}");
            let settings = settings.with_local_names(|_| Vec::new());
            Local {
                settings,
                changes: Vec::new(),
            }
        }
        local => local?,
    };
    let as_written = settings;
    let settings = &local.settings;
    let plan = Plan::of(settings).filter(|_| watches);
    // Scripts know addresses that mean nothing to DNS, and are not to know others.
    let plan = plan.map(|p| match settings.anonymize {
        None => p.with_asker(names.asker.clone()),
        Some(_) => p,
    });
    let scripts = plan.clone().map(ScriptThread::load).transpose()?;
    let subs = scripts.as_ref().map_or(subs, |s| subs.union(s.wants()));
    // Scripts are loaded again only where workers may have something of them to call.
    let may_ask = !settings.signatures.files.is_empty();
    let is_any = scripts.as_ref().is_some_and(|s| s.at_once().any()) || may_ask;
    let probe = plan
        .as_ref()
        .filter(|_| is_any)
        .map(|p| Probe::load(p.with(Role::AtOnce)))
        .transpose()?;
    let subs = probe.as_ref().map_or(subs, |p| subs.union(p.wants()));
    settings.check_anonymity(subs)?;
    reporter.listen(subs);
    let anonymizer = settings.anonymizer()?;
    let before = pins.as_ref().and_then(|p| p.facts().copied());
    let seed = match (before, &anonymizer, settings.seed) {
        (Some(before), ..) => before.seed,
        (None, Some(a), given) => a.seed(given),
        (None, None, Some(s)) => s,
        (None, None, None) => RandomState::new().hash_one(0),
    };
    let loaded = Loaded::new(settings);
    let has_function = |name: &str| probe.as_ref().is_some_and(|p| p.has_function(name));
    let mut cfg = settings.engine_with(seed, &has_function)?;
    if let Some(a) = &anonymizer {
        a.hide_files(&mut cfg);
    }
    let at_once = probe.and_then(Probe::at_once);
    if let Some(signatures) = &cfg.signatures {
        signatures.warnings.iter().for_each(|w| tracing::warn!("{w}"));
    }
    let mut loss = settings.capture_loss(LogSettings::CAPTURE_LOSS)?;
    // First of all, and before signals have handlers, as a stuck directory may hold this up.
    let log_dir = LogDir::claim(&settings.logs.dir)?;
    let archive = Archive::claim(settings.archive.plan(), &log_dir)?;
    // Before anything is attached: from here on a signal ends the run in order.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    // Nobody asks who only ends what another has left, and the place may be gone with the service.
    let mut endpoint = match settings.metrics.listen.as_ref().filter(|_| watches) {
        Some(to) => {
            let listening = runtime.block_on(Endpoint::listen(to));
            Some(listening.with_context(|| format!("cannot listen at {to} for --metrics"))?)
        }
        None => None,
    };
    let mut control = runtime.block_on(async { listen(settings, watches) })?;
    let netns = Netns::open(settings.interfaces.netns.as_deref())?;
    let rings = load::workers(settings);
    cfg.reassembly_total /= rings as u64;
    let bits = policy_bits(&subs, cfg.contents.any()) | Decap::bits(&settings.interfaces.decap) | cfg.realms;
    let clock = before.map_or_else(Clock::new, |b| Clock::of_earlier(b.shift));
    let earlier = Before {
        pins,
        shift: clock.shift(),
    };
    let mut source = Source::load(settings, &cfg, bits, rings, netns, earlier).map_err(Otherwise)?;
    let contents = (0..rings).map(|_| contents_files(settings.logs.contents_dir.as_deref(), rings as usize));
    let contents: Vec<_> = contents.collect::<Result<_, _>>()?;
    // Before anything begins that they may be about.
    let mut rules = Rules::begin(settings, &mut source)?;
    let mut interfaces = match watches {
        true => {
            let interfaces = runtime.block_on(Interfaces::open(settings, &mut source));
            Some(interfaces.map_err(|e| match e {
                WatchError::Kernel(e) => Otherwise(e).into(),
                e => anyhow::Error::from(e),
            })?)
        }
        false => None,
    };
    let log_dirs = [Some(settings.logs.dir.clone()), settings.archive.dir.clone()];
    let log_dirs: Vec<_> = log_dirs.iter().flatten().map(PathBuf::as_path).collect();
    if watches {
        source.forget_others();
    }
    let left = source.inheritance(&log_dirs, anonymizer.as_ref())?;
    // Last: a start that fails leaves old logs as they are.
    let outputs = Outputs::open(settings, log_dir, archive, scripts, clock.clone())?;
    // What this thread has to say.
    let tells = subs.wants(event::AnonymizationMapping::KIND);
    let anonymized = |outbox| Anonymized::new(outbox, anonymizer.as_ref().map(|a| a.another(tells)));
    let mut own = anonymized(outputs.outbox(rings, None));
    // What the program itself has to say; without it everything else works all the same.
    let mut logger = source.logger();
    own.raise(&event::BroInit {});
    for change in &local.changes {
        change.with(|ev| own.raise(ev));
    }
    // Before all that the workers say.
    own.settle(clock.now());
    let metrics = match &endpoint {
        Some(_) => Metrics::of_turns(rings),
        None => Metrics::new(rings),
    };
    let sinks = (0..).zip(contents);
    let wanted_at_once = at_once.as_ref().map(AtOnce::wants);
    let sinks = sinks.map(|(n, c)| (subs, anonymized(outputs.outbox(n, c).calling(wanted_at_once))));
    let confinement = Confinement {
        writes: settings.logs.contents_dir.clone(),
        ..Confinement::default()
    };
    let mut orders = Orders::new(rings, (settings.rings.history_mib as usize) << 20);
    orders.hides_packets = anonymizer.is_some();
    let known = anonymizer.as_ref().map(|a| a.another(false));
    outputs.begin_scripts(&orders, rings, plan.as_ref().and_then(confined), known);
    let begin = Beginning {
        left,
        confinement: Some(&confinement),
        orders: orders.clone(),
        at_once,
    };
    let workers = source.start(&cfg, sinks, &clock, &metrics, begin)?;
    let manager = Manager::of_environment();
    if let Some(interfaces) = &interfaces {
        let watching = format!("watching {} with {rings} workers", interfaces.names());
        say!("sensor: ready, {watching}");
        manager.ready(&watching);
    }

    let mut sweep = source.sweep(settings, &cfg)?;
    let board = match endpoint {
        Some(_) => Some(Board::new(Kernel::object_hash()?)),
        None => None,
    };
    let answer = async {
        if let (Some(endpoint), Some(board)) = (&mut endpoint, &board) {
            endpoint.answer_from(board);
        }
        control.answer(&orders, &clock);
    };
    runtime.block_on(answer);
    let watched = match (&until, &mut interfaces) {
        (Until::Told(again), Some(interfaces)) => runtime.block_on(watch(
            &mut source,
            &metrics,
            &workers,
            Desk {
                signals: &mut signals,
                control: &mut control,
                orders: &orders,
                logger: &mut logger,
                reporter,
                outputs: &outputs,
                own: &mut own,
                loss: &mut loss,
                sweep: sweep.as_mut(),
                interfaces,
                board: board.as_ref(),
                profile: profile.as_mut(),
                manager: &manager,
                rules: &mut rules,
                loaded,
                again: *again,
                settings: &mut as_written.clone(),
                names: &names,
                exit_when_gone: settings.interfaces.exit_when_gone,
            },
        )),
        _ => Ok(()),
    };
    if let Some(board) = &board {
        board.ends(match (&watched, workers.has_ended()) {
            (Err(e), _) => Some(format!("{e:#}")),
            (Ok(()), true) => Some("a worker has failed".to_owned()),
            (Ok(()), false) => None,
        });
    }
    manager.stopping();
    hurry_on_signal(runtime, signals, outputs.patience());
    let leaves = watches && source.keeps();
    let done = if leaves {
        workers.leave()
    } else {
        // Nothing new comes in from here on; the workers take what is there.
        source.detach();
        if let Some(Err(e)) = sweep.map(|mut s| s.finish()) {
            tracing::warn!("half-open flows of a SYN flood are not all logged: {e}");
        }
        workers.end()
    };
    let failed = done.failed.or(watched.err());
    own.be_patient();
    reporter.drain(clock.of_day(clock.now()), |ev| own.raise(ev));
    own.raise(&event::BroDone {});
    let none = List::default();
    let list = interfaces.as_ref().map_or(&none, |i| &i.list);
    let missed = source.missed();
    let last = source
        .counters()
        .map(|(c, _)| metrics.snapshot(&c, list, outputs.losses()));
    let last = last.map(|mut now| {
        now.miss(missed);
        let at = clock.now();
        write_stats(&metrics, &mut now, at, &mut own);
        write_loss(&mut loss, &now, at, &mut own);
        if let Some(profile) = &mut profile {
            write_profile(profile, true, &now, &outputs, &mut own);
        }
        now
    });
    own.finish();
    let closed = outputs.close();
    resolver.finish();
    match metrics.no_entry() {
        0 => {}
        n => tracing::warn!(
            "{n} connections ended whose entries were not in the flow table: their rows lack what the kernel counted"
        ),
    }
    // Whatever became of them, the rows are written.
    let last = last.map_err(|e| Failed::Later(e.into()))?;
    if leaves {
        source.leave();
        say!("sensor: the kernel goes on counting for the next run; `sensor detach` ends that");
    } else {
        source.end_keeping().map_err(|e| Failed::Later(e.into()))?;
    }
    say::text(status::sums(&last));
    say!(
        "copied {} bytes to userspace, of {} bytes of frames",
        done.copied,
        last.frame_bytes
    );
    failed.map_or(closed, Err).map_err(Failed::Later)
}

/// Results of the main thread.
type Own = Anonymized<Outbox>;

/// Writes stats.log's rows at the engine's time `now`. An interval of the rings' peaks ends with that.
fn write_stats(metrics: &Metrics, snapshot: &mut Snapshot, now: Ts, own: &mut Own) {
    metrics.take_ring_peaks(snapshot);
    snapshot.rows(now, |row| own.log(row));
}

/// Tells prof.log what is due; `is_last`: all.
fn write_profile(profile: &mut Profile, is_last: bool, now: &Snapshot, outputs: &Outputs, own: &mut Own) {
    let at = outputs.clock().now();
    let costs = || {
        let mut all = outputs.script_costs();
        all.extend(costs::maps());
        all.push(Cost {
            kind: "map",
            name: "connections".to_owned(),
            count: Some(now.open_conns),
            ..Cost::default()
        });
        all
    };
    let expensive = profile.tell(at, is_last, costs, |row| own.log(row));
    own.raise(&event::ProfilingUpdate {
        f: PROF_LOG,
        expensive,
    });
}

/// Writes capture_loss.log's row of the interval that ends at the engine's time `now`.
fn write_loss(loss: &mut Option<CaptureLoss>, snapshot: &Snapshot, now: Ts, own: &mut Own) {
    let row = loss
        .as_mut()
        .and_then(|l| l.row(now, snapshot.acks, snapshot.gaps));
    if let Some(row) = row {
        own.log(&row);
    }
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

/// What comes in from outside while the workers work, and where the operator is told things.
struct Desk<'d> {
    signals: &'d mut Signals,
    control: &'d mut Control,
    orders: &'d Orders,
    logger: &'d mut Option<ProgramLog>,
    reporter: &'d Reporter,
    outputs: &'d Outputs,
    own: &'d mut Own,
    loss: &'d mut Option<CaptureLoss>,
    sweep: Option<&'d mut Sweep>,
    interfaces: &'d mut Interfaces,
    board: Option<&'d Board>,
    manager: &'d Manager,
    rules: &'d mut Rules,
    loaded: Loaded,
    profile: Option<&'d mut Profile>,
    again: Again<'d>,
    /// As they are in force, with names as they are written.
    settings: &'d mut Settings,
    names: &'d Names,
    exit_when_gone: bool,
}

impl Desk<'_> {
    /// Does what was asked for on the socket.
    fn answer(&mut self, (command, answer): Request, source: &mut Source) {
        let reply = match command {
            Command::Reload => self.reload(source),
            Command::Rotate => {
                self.outputs.rotate();
                Reply::done(Vec::new())
            }
            Command::Pcap { .. } => Reply::refused("no business of the main thread"),
        };
        // Who asked may be gone.
        let _ = answer.send(reply);
    }

    fn reload(&mut self, source: &mut Source) -> Reply {
        let mut changes = Vec::new();
        let reach = Reach {
            source,
            outputs: self.outputs,
            orders: self.orders,
            names: self.names,
            changes: &mut changes,
        };
        let done = self.rules.reload(self.again, self.settings, reach);
        for change in changes {
            change.with(|ev| self.own.raise(ev));
        }
        match done {
            Ok(mut said) => {
                said.extend(self.loaded.said());
                Reply::done(said)
            }
            Err(e) => Reply::refused(format!("the settings stay as they are: {e:#}")),
        }
    }
}

/// What the scripts' thread keeps: it reads what attackers send, too. None: all.
fn confined(plan: &Plan) -> Option<Confinement> {
    if plan.limits.is_unsafe {
        return None;
    }
    // Without it they cannot write, and are told so.
    let _ = std::fs::create_dir_all(&plan.dir);
    Some(Confinement {
        writes: Some(plan.dir.clone()),
        ..Confinement::default()
    })
}

/// Listens for orders, as the settings say. Where nothing was said, the usual place may be another sensor's, or not there.
fn listen(settings: &Settings, watches: bool) -> anyhow::Result<Control> {
    let socket = &settings.control.socket;
    if !watches || socket.as_os_str() == ControlSettings::NONE {
        return Ok(Control::none());
    }
    match Control::listen(socket) {
        Ok(control) => Ok(control),
        Err(e) if *socket == ControlSettings::default().socket => {
            tracing::info!("no orders are taken at {}: {e}", socket.display());
            Ok(Control::none())
        }
        Err(e) => Err(e).with_context(|| format!("cannot listen at {} for --control", socket.display())),
    }
}

/// Until a signal: flushes, status line, stats.log, the slow sweep.
async fn watch(
    source: &mut Source,
    metrics: &Metrics,
    workers: &Workers<()>,
    mut desk: Desk<'_>,
) -> anyhow::Result<()> {
    let clock = desk.outputs.clock();
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    let mut last = Snapshot::default();
    let mut turns = Turns::default();
    let (mut sides, mut twice) = (OneSided::default(), Twice::default());
    let mut n = 0;
    loop {
        let told = tokio::select! {
            told = desk.signals.next(&mut ticks) => told,
            request = desk.control.next() => {
                desk.answer(request, source);
                continue;
            }
            links = desk.interfaces.told() => {
                if desk.interfaces.hear(links, source) && desk.exit_when_gone {
                    anyhow::bail!(GONE);
                }
                continue;
            }
        };
        match told {
            Told::End => return Ok(()),
            Told::Reload => {
                desk.outputs.reopen();
                desk.reload(source)
                    .said
                    .iter()
                    .for_each(|said| tracing::warn!("{said}"));
                continue;
            }
            Told::Reopen => {
                desk.outputs.reopen();
                continue;
            }
            Told::Rotate => {
                desk.outputs.rotate();
                continue;
            }
            Told::Tick => {}
        }
        if workers.has_ended() {
            return Ok(());
        }
        n += 1;
        if let Some(step) = clock.look() {
            tracing::warn!("{}", said(step));
        }
        let at = clock.now();
        if let Some(l) = desk.logger {
            l.flush();
        }
        let (counters, by_cpu) = source.counters()?;
        if desk.interfaces.look(source).await? && desk.exit_when_gone {
            anyhow::bail!(GONE);
        }
        desk.rules.look(source);
        let of_day = clock.of_day(at);
        desk.reporter.drain(of_day, |ev| desk.own.event(at, ev));
        let mut now = metrics.snapshot(&counters, &desk.interfaces.list, desk.outputs.losses());
        now.miss(source.missed());
        if n % STATUS_LINES_PER_STATS_ROW == 0 {
            write_stats(metrics, &mut now, at, desk.own);
        }
        if desk.loss.as_mut().is_some_and(|l| l.is_due(at)) {
            write_loss(desk.loss, &now, at, desk.own);
        }
        if let Some(profile) = desk.profile.as_mut().filter(|p| p.is_due()) {
            write_profile(profile, false, &now, desk.outputs, desk.own);
        }
        desk.own.settle(at);
        desk.outputs.complain();
        complain(&now, &last);
        sides.look(now.data_conns, now.one_sided);
        twice.look(now.looked, now.twice);
        desk.outputs.status(|| status::line(&now, &last, STATUS_EVERY));
        if let Some(sweep) = &mut desk.sweep
            && let Err(e) = sweep.round(Clock::boot(), &counters)
        {
            tracing::warn!("the slow sweep begins anew: {e}");
        }
        let healthy = turns.see(now.workers.iter().map(|w| w.turns), Instant::now());
        if healthy.is_ok() {
            desk.manager.alive();
        }
        if let Some(board) = desk.board {
            let (flows, ring_bytes) = source.room();
            let shown = Shown {
                snapshot: now.clone(),
                metrics: metrics.clone(),
                by_cpu,
                load: desk.outputs.load(),
                met: desk.sweep.as_ref().map_or_else(|| source.met(), |s| s.met()),
                flows,
                ring_bytes,
            };
            board.show(shown, healthy);
        }
        last = now;
    }
}

/// Says what did not fit since the last time.
fn complain(now: &Snapshot, last: &Snapshot) {
    let missed = now.missed - last.missed;
    if missed > 0 {
        tracing::warn!(
            "the packet socket's ring was full: {missed} frames missed, whose flows lack them; see --ring-mib, or watch \
             with --datapath xdp"
        );
    }
    let lost = now.lost - last.lost;
    if lost > 0 {
        tracing::warn!("a ring had no room: {lost} packets' payload not seen; see --ring-mib and --workers");
    }
    let lost = now.records_lost - last.records_lost;
    if lost > 0 {
        tracing::warn!(
            "a ring was full: {lost} records not seen, among them perhaps how connections began or ended; \
             see --ring-mib and --workers"
        );
    }
    let full = |s: &Snapshot| s.table_full + s.inner_table_full;
    if full(now) > full(last) {
        tracing::warn!(
            "the flow table is full: {} frames of new flows not tracked; see --flows",
            full(now)
        );
    }
    let gave_way = now.half_open_gone - last.half_open_gone;
    if gave_way > 0 {
        tracing::warn!(
            "half-open flows have their share of the flow table: the oldest {gave_way} gave way, perhaps to a SYN \
             flood; see --half-open-share and --flows"
        );
    }
}
