//! Live traffic to handlers of events: the sensor as a library, beside [`crate::offline`].

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::clock::{Clock, said};
use super::interfaces::{Interfaces, WatchError};
use super::load::{self, Before};
use super::metrics::Metrics;
use super::netns::{Netns, NetnsError};
use super::reload::Rules;
use super::source::Source;
use super::sweep::Sweep;
use super::worker::{Beginning, WorkerSink};
use crate::anonymize::Anonymized;
use crate::catalog::policy_bits;
use crate::conn::{ContentsOf, Sink};
use crate::datapath::xdp;
use crate::event::log::LogRow;
use crate::event::{self, Event, Handler, Subscriptions, Ts};
use crate::settings::{Decap, Settings, SettingsError};

/// Time between two looks at whether to stop.
const STOP_POLL_EVERY: Duration = Duration::from_millis(50);
/// Looks between two rounds, in which interfaces, clock and flow table are seen to: a round a second.
const POLLS_PER_ROUND: u64 = 20;

/// Why interfaces are not watched, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// No engine can be made of the settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The kernel's program is not loaded or attached, or its maps cannot be read.
    #[error(transparent)]
    Kernel(#[from] xdp::KernelError),
    /// The system refuses something else that is needed.
    #[error(transparent)]
    System(#[from] io::Error),
    /// Two of the interfaces see the same packets.
    #[error("what passes {0} passes {1}, too, and would count twice: name one of them")]
    Twice(String, String),
    /// The network namespace cannot be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// An interface is gone, and the settings ask to end then.
    #[error("an interface is gone")]
    Gone,
    /// The rules for flows make no sense, or do not go into the kernel.
    #[error(transparent)]
    Filter(anyhow::Error),
    /// A worker failed.
    #[error(transparent)]
    Worker(anyhow::Error),
}

impl From<WatchError> for LiveError {
    fn from(e: WatchError) -> Self {
        match e {
            WatchError::Kernel(e) => LiveError::Kernel(e),
            WatchError::System(e) => LiveError::System(e),
            WatchError::Twice(a, b) => LiveError::Twice(a, b),
        }
    }
}

/// Watches the interfaces of `settings` until `stop` is set. Each worker thread hands its events to a handler of its own,
/// which `handler` makes of the worker's number; no two threads call the same one. Gives the handlers back.
///
/// All events of a connection come from one worker. Each handler also gets `bro_init` and `bro_done`, if it wants them.
/// Log files, the event stream and the terminal are left alone, whatever the settings say of them.
///
/// # Errors
///
/// The settings make no sense, the kernel refuses the program (it takes root, or CAP_BPF and CAP_NET_ADMIN), an interface
/// is not there, or a worker fails. An interface that disappears later is waited for, unless the settings say otherwise.
///
/// ```no_run
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use sensor::event::{Event, Handler, NewConnection, Subscriptions, Ts};
/// use sensor::live;
/// use sensor::settings::Settings;
///
/// /// Counts connections.
/// struct Count(u64);
///
/// impl Handler for Count {
///     fn wants(&self) -> Subscriptions {
///         Subscriptions::NONE.with(NewConnection::KIND)
///     }
///
///     fn event(&mut self, _: Ts, _: &dyn Event) {
///         self.0 += 1;
///     }
/// }
///
/// let mut settings = Settings::default();
/// settings.interfaces.names = vec!["eth1".into()];
/// let stop = Arc::new(AtomicBool::new(false));
/// let later = stop.clone();
/// std::thread::spawn(move || {
///     std::thread::sleep(std::time::Duration::from_secs(60));
///     later.store(true, Ordering::Release);
/// });
/// let counts = live::watch(&settings, &stop, |_worker| Count(0))?;
/// println!("{} connections", counts.iter().map(|c| c.0).sum::<u64>());
/// # Ok::<(), live::LiveError>(())
/// ```
pub fn watch<H: Handler + Send + 'static>(
    settings: &Settings,
    stop: &AtomicBool,
    handler: impl FnMut(usize) -> H,
) -> Result<Vec<H>, LiveError> {
    let handlers: Vec<(Subscriptions, H)> = (0..load::workers(settings) as usize)
        .map(handler)
        .map(|h| (h.wants(), h))
        .collect();
    let all = handlers
        .iter()
        .fold(Subscriptions::NONE, |all, (subs, _)| all.union(*subs));
    settings.check_anonymity(all).map_err(SettingsError::Tells)?;
    let anonymizer = settings.anonymizer().map_err(SettingsError::Key)?;
    let seed = match (&anonymizer, settings.seed) {
        (Some(a), given) => a.seed(given),
        (None, given) => given.unwrap_or_else(|| RandomState::new().hash_one(0)),
    };
    let mut cfg = settings.engine(seed)?;
    if let Some(a) = &anonymizer {
        a.hide_files(&mut cfg);
    }
    cfg.contents_files = ContentsOf::None;
    let rings = load::workers(settings);
    cfg.reassembly_total /= rings as u64;
    let wanted = handlers
        .iter()
        .fold(0, |bits, (subs, _)| bits | policy_bits(subs, cfg.contents.any()));
    let bits = wanted | Decap::bits(&settings.interfaces.decap) | cfg.realms;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let netns = Netns::open(settings.interfaces.netns.as_deref())?;
    let mut source = Source::load(settings, &cfg, bits, rings, netns, Before::default())?;
    let mut rules = Rules::begin(settings, &mut source).map_err(LiveError::Filter)?;
    let clock = Clock::new();
    let mut interfaces = runtime.block_on(Interfaces::open(settings, &mut source))?;
    let metrics = Metrics::new(rings);
    let anonymized = |subs: Subscriptions, sink| {
        let tells = subs.wants(event::AnonymizationMapping::KIND);
        Anonymized::new(sink, anonymizer.as_ref().map(|a| a.another(tells)))
    };
    let sinks = handlers
        .into_iter()
        .map(|(subs, h)| (subs, anonymized(subs, HandlerSink::new(h, subs, clock.clone()))));
    let mut sweep = source.sweep(settings, &cfg)?;
    let workers = source
        .start(&cfg, sinks, &clock, &metrics, Beginning::default())
        .map_err(LiveError::Worker)?;
    let watched = runtime.block_on(async {
        let mut ticks = tokio::time::interval(STOP_POLL_EVERY);
        for n in 1_u64.. {
            // What the kernel tells of links between two ticks is heard at once.
            let mut gone = false;
            loop {
                tokio::select! {
                    _ = ticks.tick() => break,
                    links = interfaces.told() => gone |= interfaces.hear(links, &mut source),
                }
            }
            if gone && settings.interfaces.exit_when_gone {
                return Err(LiveError::Gone);
            }
            if stop.load(Ordering::Acquire) || workers.has_ended() {
                break;
            }
            if n % POLLS_PER_ROUND != 0 {
                continue;
            }
            let gone = round(&mut source, &mut interfaces, &clock, sweep.as_mut()).await?;
            rules.look(&mut source);
            if gone && settings.interfaces.exit_when_gone {
                return Err(LiveError::Gone);
            }
        }
        Ok(())
    });
    // Nothing new comes in from here on; the workers take what is there.
    source.detach();
    if let Some(Err(e)) = sweep.map(|mut s| s.finish()) {
        tracing::warn!("half-open flows of a SYN flood do not all come to an end: {e}");
    }
    let done = workers.end();
    watched?;
    match done.failed {
        Some(e) => Err(LiveError::Worker(e)),
        None => Ok(done.left),
    }
}

/// Sees to interfaces, clock and flow table, once a second; true if an interface has disappeared.
async fn round(
    source: &mut Source,
    interfaces: &mut Interfaces,
    clock: &Clock,
    sweep: Option<&mut Sweep>,
) -> Result<bool, LiveError> {
    if let Some(step) = clock.look() {
        tracing::warn!("{}", said(step));
    }
    let (counters, _) = source.counters()?;
    let gone = interfaces.look(source).await?;
    if let Some(sweep) = sweep
        && let Err(e) = sweep.round(Clock::boot(), &counters)
    {
        tracing::warn!("the slow sweep begins anew: {e}");
    }
    Ok(gone)
}

/// A worker's events for its handler, with times of day.
struct HandlerSink<H> {
    handler: H,
    wants: Subscriptions,
    clock: Clock,
}

impl<H: Handler> HandlerSink<H> {
    fn new(handler: H, wants: Subscriptions, clock: Clock) -> Self {
        let mut sink = HandlerSink {
            handler,
            wants,
            clock,
        };
        sink.raise(&event::BroInit {});
        sink
    }

    /// Takes an event with the time of now.
    fn raise(&mut self, ev: &dyn Event) {
        if self.wants.wants(ev.kind()) {
            self.event(self.clock.now(), ev);
        }
    }
}

impl<H: Handler> Sink for HandlerSink<H> {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        self.clock.event(ts, ev, |ts, ev| self.handler.event(ts, ev));
    }

    fn log(&mut self, _: &dyn LogRow) {}
}

impl<H: Handler + Send + 'static> WorkerSink for HandlerSink<H> {
    type Left = H;

    fn settle(&mut self, _: Ts) {}

    fn be_patient(&mut self) {}

    fn finish(mut self) -> H {
        self.raise(&event::BroDone {});
        self.handler
    }
}
