//! Where the results of reading captures go: the log files and the event stream.

use std::fs::OpenOptions;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::progress::LogRows;
use crate::conn::row::conn_columns;
use crate::conn::{Order, Piece, Sink};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Fuid, Handler, SignatureState, Ts};
use crate::file::api::{self, FileWish, Target};
use crate::output::archive::{Archive, ArchiveThread};
use crate::output::contents::ContentsFiles;
use crate::output::extract::{ExtractOutbox, ExtractThread};
use crate::output::feed::{FeedOutbox, Feeds};
use crate::output::log::{LogWriter, Upkeep};
use crate::output::log_dir::LogDir;
use crate::output::open::{all_extracted, all_written, begin, contents_files, extract_thread, open_stream};
use crate::output::patience::Patience;
use crate::output::rotation::Rotation;
use crate::output::stream::{EventStream, WhenFull};
use crate::profile::place::{Part, enter};
use crate::resolver::Asker;
use crate::script::{Asked, Carrier, Host, Out, Plan, ScriptError};
use crate::settings::Settings;

/// Scripts, and what they gave.
pub struct Scripts {
    pub host: Host,
    out: Vec<Out>,
    asked: Asked,
    /// The logs whose rows they look at.
    filtered: Vec<String>,
}

impl Scripts {
    /// Loads those that the settings name; None: they name none.
    /// `asker` looks names up for them.
    pub fn load(settings: &Settings, asker: Option<&Asker>) -> Result<Option<Scripts>, ScriptError> {
        let Some(mut plan) = Plan::of(settings) else {
            return Ok(None);
        };
        plan.asker = asker.cloned();
        let host = Host::load(&plan)?;
        Ok(Some(Scripts {
            filtered: host.filtered_logs(),
            host,
            out: Vec::new(),
            asked: Asked::default(),
        }))
    }
}

/// Logs and stream of a run over captures.
pub struct Results {
    pub logs: LogWriter,
    pub archive: Option<ArchiveThread>,
    pub feeds: Option<(FeedOutbox, Feeds)>,
    pub stream: Option<EventStream>,
    pub contents: Option<ContentsFiles>,
    pub extract: Option<(ExtractOutbox, ExtractThread)>,
    pub scripts: Option<Scripts>,
    /// Network time, as far as scripts know it.
    now: Ts,
    /// Rows that each log got.
    pub rows: Vec<LogRows>,
}

impl Results {
    /// Opens all of them; if one cannot be opened, none is touched.
    pub fn open(settings: &Settings, scripts: Option<Scripts>) -> anyhow::Result<Self> {
        let dir = LogDir::claim(&settings.logs.dir)?;
        let archive = Archive::claim(settings.archive.plan_reading(), &dir)?;
        let target = settings.events.to.as_deref();
        let events = target.map(Writable::check).transpose()?;
        let contents = contents_files(settings.logs.contents_dir.as_deref(), 1)?;
        let extract = settings.files.extract_dir.as_deref();
        let extract = extract_thread(extract, WhenFull::Wait, Patience::default())?;
        let (archive, to_archive) = archive.map(ArchiveThread::start).transpose()?.unzip();
        let mut logs = LogWriter::new(dir, settings.logs.style()).with_upkeep(Upkeep {
            archive: to_archive,
            ..Upkeep::default()
        });
        begin(&mut logs, conn_columns(settings.flows.realms() != 0))?;
        let name = settings.logs.sensor_name.as_deref().map(Into::into);
        let feeds = Feeds::start(&settings.logs.to, name, WhenFull::Wait, Patience::default())?;
        if let Some(mut events) = events {
            events.made = None;
        }
        Ok(Results {
            logs,
            archive,
            feeds: feeds.outbox().map(|outbox| (outbox, feeds)),
            stream: open_stream(
                target,
                settings.subscriptions()?,
                Rotation::default(),
                WhenFull::Wait,
                Patience::default(),
            )?,
            contents,
            extract: extract.map(|thread| (thread.outbox(), thread)),
            scripts,
            now: 0,
            rows: Vec::new(),
        })
    }

    /// Writes what has been gathered.
    pub fn flush(&mut self) {
        self.logs.flush();
        if let Some((outbox, _)) = &mut self.feeds {
            outbox.flush();
        }
        if let Some(s) = &mut self.stream {
            s.flush();
        }
        if let Some(c) = &mut self.contents {
            c.flush();
        }
        if let Some((outbox, _)) = &mut self.extract {
            outbox.flush();
        }
    }

    /// Network time moves: scripts' timers.
    #[inline]
    pub fn advance(&mut self, now: Ts) {
        self.now = now;
        if self.scripts.as_ref().is_some_and(|s| now >= s.host.next_due()) {
            self.scripted(|host| host.advance(now), now);
        }
    }

    /// Waits for answers to scripts' lookups, so long at most. Whether there are still some to come.
    pub fn await_lookups(&mut self, time: Duration) -> bool {
        let (mut left, now) = (false, self.now);
        self.scripted(|host| left = host.await_lookups(time), now);
        left
    }

    /// Has scripts do something, and carries out what they give.
    #[cold]
    fn scripted(&mut self, work: impl FnOnce(&mut Host), now: Ts) {
        let Some(mut scripts) = self.scripts.take() else {
            return;
        };
        let _inside = enter(Part::Scripts);
        work(&mut scripts.host);
        if scripts.host.has_out() {
            let mut out = std::mem::take(&mut scripts.out);
            scripts.host.take(&mut out);
            let asked = &mut scripts.asked;
            let mut by = CarriedOut { results: self, asked };
            out.drain(..).for_each(|one| one.carry_out(now, &mut by));
            scripts.out = out;
        }
        self.scripts = Some(scripts);
    }

    fn write_row(&mut self, row: &dyn LogRow) {
        let _inside = enter(Part::Logs);
        self.logs.row(row);
        let path = row.path();
        match self.rows.iter_mut().find(|(p, _)| *p == path) {
            Some((_, n)) => *n += 1,
            None => self.rows.push((path, 1)),
        }
        if let Some((outbox, _)) = &mut self.feeds {
            outbox.row(row);
        }
    }

    /// Ends all of them. It is an error if something could not be written.
    pub fn close(mut self) -> anyhow::Result<()> {
        self.scripted(Host::finish, 0);
        let lost = self.logs.close();
        let unfed = self.feeds.map_or(0, |(outbox, feeds)| {
            drop(outbox);
            feeds.finish()
        });
        // What it is told ends with the logs.
        drop(self.logs);
        if let Some(archive) = self.archive {
            archive.finish_all();
        }
        // The outbox ends first.
        let extracted = all_extracted(self.extract.map(|(_, thread)| thread));
        if let Some(s) = self.stream {
            s.finish()?;
        }
        all_written(lost)?;
        anyhow::ensure!(unfed == 0, "{unfed} rows did not go where --log-to says");
        Ok(extracted?)
    }
}

/// What scripts give goes the way of all results.
struct CarriedOut<'r> {
    results: &'r mut Results,
    asked: &'r mut Asked,
}

impl Carrier for CarriedOut<'_> {
    fn row(&mut self, row: &dyn LogRow) {
        self.results.write_row(row);
    }

    fn tell(&mut self, now: Ts, ev: &dyn Event) {
        if let Some(s) = &mut self.results.stream {
            s.event(now, ev);
        }
    }

    fn order(&mut self, order: Order) {
        self.asked.order(order);
    }

    fn handle(&mut self, handle: Vec<u8>) {
        self.asked.handle(handle);
    }
}

/// A target of events that can be written to. What is in it stays; if it was made for that, it goes again, unless
/// something comes of it.
struct Writable {
    made: Option<PathBuf>,
}

impl Writable {
    fn check(target: &str) -> anyhow::Result<Self> {
        let path = Path::new(target);
        let known = path.metadata();
        // A pipe is no pipe without a reader, and may wait for one.
        if target != "-" && !known.as_ref().is_ok_and(|m| m.file_type().is_fifo()) {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.with_context(|| format!("cannot write events to {target}"))?;
        }
        let made = (target != "-" && known.is_err()).then(|| path.to_owned());
        Ok(Writable { made })
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            let _ = std::fs::remove_file(made);
        }
    }
}

impl Sink for Results {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        if let Some(s) = &mut self.stream {
            let _inside = enter(Part::Events);
            s.event(ts, ev);
        }
        if self
            .scripts
            .as_ref()
            .is_some_and(|s| s.host.wants().wants(ev.kind()))
        {
            self.scripted(|host| host.event(ts, ev), ts);
        }
    }

    fn log(&mut self, row: &dyn LogRow) {
        let is_filtered = |s: &Scripts| s.filtered.iter().any(|f| f == row.path());
        match self.scripts.as_ref().is_some_and(is_filtered) {
            true => {
                let now = self.now;
                self.scripted(|host| host.row(now, row), now);
            }
            false => self.write_row(row),
        }
    }

    fn evaluate(&mut self, function: &str, state: &SignatureState<'_>, data: &[u8]) -> bool {
        let (now, mut said) = (self.now, false);
        self.scripted(|host| said = host.evaluate(now, function, state, data), now);
        said
    }

    #[inline]
    fn has_orders(&self) -> bool {
        self.scripts.as_ref().is_some_and(|s| s.asked.is_any())
    }

    fn take_orders(&mut self) -> Vec<Order> {
        let scripts = self.scripts.as_mut();
        scripts.map_or_else(Vec::new, |s| s.asked.take())
    }

    fn file_wishes(&mut self, fuid: Fuid) -> Vec<FileWish> {
        let scripts = self.scripts.as_mut();
        scripts.map_or_else(Vec::new, |s| s.asked.take_of_file(fuid))
    }

    fn file_handle(&mut self) -> Option<Vec<u8>> {
        self.scripts.as_mut()?.asked.take_handle()
    }

    fn contents(&mut self, c: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        self.contents.as_mut().and_then(|f| f.piece(c, is_orig, piece))
    }

    fn extract(&mut self, target: &Arc<Target>, part: api::Part<'_>) -> bool {
        self.extract
            .as_mut()
            .is_some_and(|(outbox, _)| outbox.part(target, part))
    }
}
