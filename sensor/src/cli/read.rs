//! `sensor read`: captures through the engine.
//!
//! All that can be refused is refused before anything is written. From then on there is no error that ends the command:
//! what goes wrong is said when it does, and what is known is written.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sensor_common::{Policy, policy};

use super::explain::explain;
use super::pipe::{self, PipeClock};
use super::progress::Progress;
use super::results::{Results, Scripts};
use super::stop::Stop;
use crate::anonymize::Anonymized;
use crate::catalog::policy_bits;
use crate::conn::{Engine, EngineSink, Sight, Sink as _};
use crate::datapath::FlowTable;
use crate::datapath::soft::{self, Flows, Soft};
use crate::datapath::xdp;
use crate::event::{self, Ts};
use crate::live::replay::{Replay, ReplayError};
use crate::messages::reporter::Reporter;
use crate::messages::say::say;
use crate::offline::{network_time, raw_packet};
use crate::output::capture_loss::CaptureLoss;
use crate::output::one_sided::OneSided;
use crate::output::open_files::raise_open_files;
use crate::output::twice::Twice;
use crate::packet::capture::merge::Captures;
use crate::packet::capture::{CaptureError, Frame, NextFrame};
use crate::packet::link::LinkType;
use crate::profile::place::{Part, begin_thread, enter};
use crate::profile::{Cost, PROF_LOG, Profile};
use crate::resolver::local::look_up;
use crate::resolver::{Resolver, ResolverPlan};
use crate::settings::{Datapath, Decap, Settings};

/// Most captures that can be read without raising the usual limit on open files.
const MAX_OPEN_CAPTURES: usize = 200;

/// How long answers to lookups are waited for between two looks at whether a signal came.
const LOOKUP_POLL: Duration = Duration::from_millis(50);

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// Everything was read and written.
    Whole,
    /// Something was not read or not written.
    Partly,
    /// A signal, with its number, ended it in order.
    By(u8),
}

impl From<ReadEnd> for ExitCode {
    fn from(e: ReadEnd) -> ExitCode {
        match e {
            ReadEnd::Whole => ExitCode::SUCCESS,
            ReadEnd::Partly => ExitCode::from(1),
            ReadEnd::By(signal) => ExitCode::from(128 + signal),
        }
    }
}

/// What is found out about captures and the kernel before anything is written.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("{path}: link type {link} is not read: it is none of a network")]
    NoNetwork { path: String, link: u32 },
    #[error(
        "{path}: link type {link} cannot go through the kernel, which takes Ethernet; use --datapath user"
    )]
    Link { path: String, link: u32 },
    #[error("standard input stands alone: no other capture can be read with '-'")]
    NotAlone,
}

/// A way from frames to the engine.
trait Datapaths {
    type Table: FlowTable;
    fn frame(&mut self, f: &Frame<'_>, engine: &mut Engine<Anonymized<Results>>) -> Result<(), ReplayError>;
    fn table(&mut self) -> &mut Self::Table;
    /// The first sum, if it is made here: all frames are tracked, or not for a reason.
    fn sum(&self) -> Option<String>;
    /// Acknowledgements of new bytes that it kept, by its own count or the engine's guess.
    fn kept_acks(&self, sight: &Sight) -> u64;
}

impl Datapaths for Soft {
    type Table = Flows;

    fn frame(&mut self, f: &Frame<'_>, engine: &mut Engine<Anonymized<Results>>) -> Result<(), ReplayError> {
        let _ = Soft::frame(self, f, &mut EngineSink(engine));
        if !self.take_duplicate() {
            raw_packet(f, self.take_reassembled(), engine);
        }
        Ok(())
    }

    fn table(&mut self) -> &mut Flows {
        self.flows()
    }

    fn sum(&self) -> Option<String> {
        Some(self.counts().sum())
    }

    fn kept_acks(&self, _: &Sight) -> u64 {
        self.acks()
    }
}

impl Datapaths for Replay {
    type Table = xdp::KernelTable;

    fn frame(&mut self, f: &Frame<'_>, engine: &mut Engine<Anonymized<Results>>) -> Result<(), ReplayError> {
        Replay::frame(self, f, engine)?;
        // To ask takes some system calls.
        let asks = self.dedups() && engine.wants(event::RawPacket::KIND);
        if !(asks && self.take_duplicate()?) {
            raw_packet(f, self.take_reassembled(), engine);
        }
        Ok(())
    }

    fn table(&mut self) -> &mut xdp::KernelTable {
        Replay::table(self)
    }

    fn sum(&self) -> Option<String> {
        None
    }

    fn kept_acks(&self, sight: &Sight) -> u64 {
        sight.acks_below
    }
}

/// Runs the command. If it returns an error, it has done nothing.
pub fn read(files: &[PathBuf], settings: &Settings, reporter: &Reporter) -> anyhow::Result<ReadEnd> {
    let stop = Stop::listen()?;
    let subs = settings.subscriptions()?;
    settings.useless_reading(subs)?;
    let plan = ResolverPlan::of(settings)?;
    let longest = plan.longest();
    let is_asked = !(settings.scripts.files.is_empty() && settings.local_names().is_empty());
    let resolver = is_asked.then(|| Resolver::start(plan, || {})).transpose()?;
    let asker = resolver.as_ref().map(Resolver::asker);
    let local = asker
        .as_ref()
        .map(|a| look_up(a, longest, settings))
        .transpose()?;
    let (local, changes) = local.map(|l| (l.settings, l.changes)).unzip();
    let settings = local.as_ref().unwrap_or(settings);
    // Scripts know addresses that mean nothing to DNS, and are not to know others.
    let asker = asker.filter(|_| settings.anonymize.is_none());
    let scripts = Scripts::load(settings, asker.as_ref())?;
    let subs = scripts.as_ref().map_or(subs, |s| subs.union(s.host.wants()));
    settings.check_anonymity(subs)?;
    reporter.listen(subs);
    let anonymizer = settings.anonymizer()?;
    let has_function = |name: &str| scripts.as_ref().is_some_and(|s| s.host.has_function(name));
    let seed = match &anonymizer {
        Some(a) => a.seed(settings.seed),
        None => settings.seed.unwrap_or(0),
    };
    let mut cfg = settings.engine_with(seed, &has_function)?;
    if let Some(a) = &anonymizer {
        a.hide_files(&mut cfg);
    }
    if let Some(signatures) = &cfg.signatures {
        signatures.warnings.iter().for_each(|w| tracing::warn!("{w}"));
    }
    cfg.analyzers = settings.reading.analyzers;
    let mut bits = policy_bits(&subs, cfg.contents.any()) | cfg.realms;
    if settings.reading.forward_all {
        bits |= policy::ALL_PACKETS;
    }
    let mut policy = Policy {
        bits,
        ..Policy::default()
    };
    let mut clock = None;
    let looked = look(files, settings.reading.datapath, &stop, &mut clock);
    if let Some(signal) = stop.signal() {
        return Ok(ReadEnd::By(signal));
    }
    let captures = looked?;
    if files.len() > 1 {
        // There is no one delay of them all.
        clock = None;
    }
    let loss = settings.capture_loss(0.0)?;
    let profile = settings.profile.begin().context("cannot begin the profile")?;
    begin_thread("main", Part::Input);
    let filter = settings.filter_of_captures()?;
    policy.sample = settings.filter.sample;
    policy.dedup = settings.dedup_ns();
    let tunnels = cfg.tunnels.clone();
    let checksums = settings.checksums;
    let start = |outputs| {
        let tells = subs.wants(event::AnonymizationMapping::KIND);
        let outputs = Anonymized::new(outputs, anonymizer.map(|a| a.another(tells)));
        let mut engine = Engine::new(cfg, subs, outputs);
        engine.raise(0, &event::BroInit {});
        for change in changes.iter().flatten() {
            change.with(|ev| engine.raise(0, ev));
        }
        Reading {
            captures,
            engine,
            reporter,
            stop,
            clock,
            progress: Progress::new(files, settings),
            loss,
            profile,
            unlooked: 0,
            now: 0,
            whole: true,
            resolver,
            longest,
        }
    };
    match settings.reading.datapath {
        Datapath::User => {
            let config = soft::SoftConfig {
                policy,
                checksums,
                ..soft::SoftConfig::default()
            };
            let soft = Soft::with_tunnels(config, tunnels).filtered(filter);
            Ok(start(Results::open(settings, scripts)?).run(soft))
        }
        Datapath::Xdp => {
            if !checksums {
                // The kernel verifies none.
                policy.bits |= Decap::bits(&settings.interfaces.decap);
            }
            let kernel = Replay::load(policy, tunnels, checksums, &filter)?;
            Ok(start(Results::open(settings, scripts)?).run(kernel))
        }
    }
}

/// Looks at all captures.
fn look(
    files: &[PathBuf],
    datapath: Datapath,
    stop: &Stop,
    clock: &mut Option<PipeClock>,
) -> Result<Captures, Refused> {
    if files.len() > 1 && files.iter().any(|f| f.as_os_str() == "-") {
        return Err(Refused::NotAlone);
    }
    if files.len() > MAX_OPEN_CAPTURES {
        raise_open_files();
    }
    let accept = |path: &str, link: LinkType| {
        let (path, number) = (path.to_owned(), link.0);
        if link.is_no_network() {
            return Err(Refused::NoNetwork { path, link: number });
        }
        if datapath == Datapath::Xdp && link != LinkType::ETHERNET {
            return Err(Refused::Link { path, link: number });
        }
        Ok(())
    };
    Captures::look(files, |path| pipe::open(path, stop, clock), accept)
}

/// Frames between two looks at the clock for the profile.
const FRAMES_PER_LOOK: u32 = 1024;

/// Reading under way.
struct Reading<'r> {
    captures: Captures,
    engine: Engine<Anonymized<Results>>,
    reporter: &'r Reporter,
    stop: Stop,
    /// The clock of a pipe.
    clock: Option<PipeClock>,
    progress: Progress,
    /// What capture_loss.log has of the interval.
    loss: Option<CaptureLoss>,
    profile: Option<Profile>,
    /// Frames until it is looked at whether its time has come.
    unlooked: u32,
    /// Network time: the latest packet's.
    now: Ts,
    /// So far nothing was left out.
    whole: bool,
    /// Who looks names up, if anybody may ask.
    resolver: Option<Resolver>,
    /// How long the end waits for answers to lookups.
    longest: Duration,
}

impl Reading<'_> {
    /// Reads to the end, or to a signal.
    fn run(mut self, mut datapath: impl Datapaths) -> ReadEnd {
        while self.stop.signal().is_none() {
            match self.captures.step() {
                NextFrame::Frame(mut f) => {
                    f.ts = network_time(f.ts);
                    self.progress.frame(f.wire_len);
                    // Network time never goes back.
                    self.now = self.now.max(f.ts);
                    if let Some(clock) = &mut self.clock {
                        clock.packet(f.ts);
                    }
                    if let Some(loss) = &mut self.loss
                        && loss.is_due(self.now)
                    {
                        write_loss(loss, self.now, &mut self.engine, &datapath);
                    }
                    let inside = enter(Part::Datapath);
                    let (done, ts) = (datapath.frame(&f, &mut self.engine), f.ts);
                    drop(inside);
                    self.engine.sink().to.advance(ts);
                    self.engine.obey(self.now, datapath.table());
                    self.engine.flush_point(ts);
                    self.reporter.drain(ts, |ev| self.engine.raise(ts, ev));
                    if let Err(e) = done {
                        let path = self.captures.give_up();
                        self.lost(&format!("{path}: {e}"));
                    }
                    if self.profile.is_some() {
                        self.unlooked += 1;
                        if self.unlooked >= FRAMES_PER_LOOK {
                            self.unlooked = 0;
                            self.look_at_profile(false);
                        }
                    }
                    if self.progress.may_be_due() {
                        self.progress.look(self.captures.bytes_read());
                    }
                }
                NextFrame::NotYet => self.tick(&mut datapath),
                NextFrame::End => break,
                // A pipe ends anywhere when the process is to stop.
                NextFrame::Damage(_) if self.stop.signal().is_some() => break,
                NextFrame::Damage(e) => self.lost(&e.to_string()),
            }
        }
        self.finish(datapath)
    }

    /// Nothing may come for a while: flushes the outputs and ends connections that have closed.
    fn tick(&mut self, datapath: &mut impl Datapaths) {
        let now = self.now;
        self.progress.look(self.captures.bytes_read());
        if let Some(wall) = self.clock.as_ref().and_then(PipeClock::now)
            && wall > now
        {
            self.engine.end_closed(wall, datapath.table());
        }
        self.engine.flush_point(now);
        self.reporter.drain(now, |ev| self.engine.raise(now, ev));
        self.engine.sink().to.flush();
    }

    /// Tells prof.log what is due, or at the end all.
    fn look_at_profile(&mut self, is_last: bool) {
        let Some(profile) = self.profile.as_mut().filter(|p| is_last || p.is_due()) else {
            return;
        };
        let (ts, open, files) = (
            self.now,
            self.engine.len() as u64,
            self.engine.files_under_way() as u64,
        );
        let sink = self.engine.sink();
        let mut costs: Vec<Cost> = sink.to.scripts.iter().flat_map(|s| s.host.costs()).collect();
        for (name, count) in [("connections", open), ("files", files)] {
            costs.push(Cost {
                kind: "map",
                name: name.to_owned(),
                count: Some(count),
                ..Cost::default()
            });
        }
        let expensive = profile.tell(ts, is_last, || costs, |row| sink.log(row));
        self.engine.raise(
            ts,
            &event::ProfilingUpdate {
                f: PROF_LOG,
                expensive,
            },
        );
    }

    /// Waits for answers to scripts' lookups, as long as they may take, or until a signal.
    fn await_lookups(&mut self) {
        let until = Instant::now() + self.longest;
        while self.engine.sink().to.await_lookups(LOOKUP_POLL) {
            if Instant::now() >= until || self.stop.signal().is_some() {
                return;
            }
        }
    }

    /// Notes that something was left out; reading goes on.
    fn lost(&mut self, what: &str) {
        self.whole = false;
        say!("sensor: {what}");
        let (t, msg, location) = (self.now, what, "");
        self.engine.raise(t, &event::ReporterError { t, msg, location });
    }

    fn finish(mut self, mut datapath: impl Datapaths) -> ReadEnd {
        let last = self.now;
        self.progress.clear();
        self.await_lookups();
        self.engine.finish(last, datapath.table());
        if let Some(loss) = &mut self.loss {
            write_loss(loss, last, &mut self.engine, &datapath);
        }
        self.look_at_profile(true);
        self.engine.flush_point(last);
        self.reporter.drain(last, |ev| self.engine.raise(last, ev));
        // Those of the last connections.
        self.await_lookups();
        self.engine.raise(last, &event::BroDone {});
        let sight = self.engine.sight();
        OneSided::default().look(sight.data_conns, sight.one_sided);
        Twice::default().look(sight.looked, sight.twice);
        if let Some(sum) = datapath.sum() {
            tracing::info!("{sum}");
        }
        let no_room = self.engine.no_room();
        if no_room > 0 {
            tracing::warn!(
                "{no_room} holes were given up early: no room for reassembly; see --reassembly-limit"
            );
        }
        if let Some(resolver) = self.resolver {
            resolver.finish();
        }
        let results = self.engine.into_sink().to;
        let rows = results.rows.clone();
        if let Err(e) = results.close() {
            self.whole = false;
            say!("sensor: {}", explain(&e));
        }
        self.progress.summary(&rows);
        match self.stop.signal() {
            Some(signal) => ReadEnd::By(signal),
            None if self.whole => ReadEnd::Whole,
            None => ReadEnd::Partly,
        }
    }
}

/// Ends an interval of capture_loss.log at network time `now`.
fn write_loss(
    loss: &mut CaptureLoss,
    now: Ts,
    engine: &mut Engine<Anonymized<Results>>,
    datapath: &impl Datapaths,
) {
    let sight = engine.sight();
    let acks = sight.acks + datapath.kept_acks(&sight);
    if let Some(row) = loss.row(now, acks, sight.gaps) {
        engine.sink().log(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_in_a_capture_is_an_event_too() {
        let dir = std::env::temp_dir().join(format!("sensor-read-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("directory");
        let at = |name: &str| dir.join(name).display().to_string();
        // pcap's header, then the begin of a record.
        let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        pcap.extend([0, 0, 4, 0, 1, 0, 0, 0, 7, 7, 7]);
        std::fs::write(at("cut.pcap"), pcap).expect("capture");
        let wanted = "bro_init,reporter_error,bro_done";
        let mut settings = Settings::default();
        settings.logs.dir = at("logs").into();
        settings.events.to = Some(at("events"));
        settings.events.only = vec![wanted.into()];
        let files = [at("cut.pcap").into()];
        let ended = read(&files, &settings, &Reporter::default()).expect("something is done");
        let events = std::fs::read_to_string(at("events")).expect("events");
        let _ = std::fs::remove_dir_all(&dir);
        assert_eq!(ended, ReadEnd::Partly);
        let lines: Vec<serde_json::Value> = events
            .lines()
            .map(|l| serde_json::from_str(l).expect("valid JSON"))
            .collect();
        let names: Vec<_> = lines.iter().filter_map(|l| l["event"].as_str()).collect();
        assert_eq!(names.join(","), wanted);
        let msg = lines[1]["args"]["msg"].as_str().expect("text");
        assert!(msg.contains("cut.pcap: damaged at byte "), "{msg}");
    }
}
