//! Where the results of a live run go: threads that write the logs, the event stream and the terminal, and for each
//! worker an outbox. No output waits for another one, and nobody waits for an output but at the end.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::confine::Confinement;
use super::metrics::OutputLosses;
use super::orders::Orders;
use super::scripts::{ScriptOutbox, ScriptSink, ScriptThread};
use super::status;
use super::worker::WorkerSink;
use crate::anonymize::{Anonymized, Anonymizer};
use crate::base::time::MILLISECOND;
use crate::conn::row::conn_columns;
use crate::conn::{Order, Piece, Sink};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Fuid, Handler, Kind, SignatureState, Subscriptions, Ts};
use crate::file::api::{self, FileWish, Target};
use crate::output::archive::{Archive, ArchiveThread, Keep};
use crate::output::contents::ContentsFiles;
use crate::output::extract::{ExtractOutbox, ExtractThread};
use crate::output::feed::{FeedOutbox, FeedTarget, Feeds};
use crate::output::log::{LogWriter, Upkeep};
use crate::output::log_dir::LogDir;
use crate::output::now_and_then::Growing;
use crate::output::open::{all_extracted, all_written, begin, extract_thread, open_stream};
use crate::output::outbox::{LogCount, LogOutbox, LogThread, OutputEnd, PrintOutbox, PrintThread};
use crate::output::patience::{Patience, Progress};
use crate::output::stream::{EventStream, WhenFull};
use crate::profile::Cost;
use crate::profile::place::{Part, enter};
use crate::script::{Asked, Carrier, Host, at_once};
use crate::settings::Settings;

/// How often log files are written.
const LOG_FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Time between two hand-overs of a worker's events to the stream's thread, ns.
const EVENTS_EVERY_NS: u64 = 4 * MILLISECOND;
/// Time between two hand-overs of a worker's log rows to their thread, ns.
const ROWS_EVERY_NS: u64 = 200 * MILLISECOND;

/// What goes through the outputs.
pub struct OutputLoad {
    /// Log rows that wait to be written.
    pub rows: u64,
    /// Log rows that the disk did not take.
    pub unwritten: u64,
    /// Events that wait to be written; None: there is no stream.
    pub events: Option<u64>,
    /// Rows that wait to be printed; None: none are.
    pub prints: Option<u64>,
    /// Bytes of files that wait to be written; None: none are.
    pub extracted: Option<u64>,
    /// Each log's rows.
    pub logs: Vec<Arc<LogCount>>,
    /// Events of each kind that the stream had.
    pub kinds: Vec<(Kind, u64)>,
    /// Events of each kind that scripts were too slow for.
    pub unscripted: Vec<(Kind, u64)>,
}

/// The outputs' threads.
pub struct Outputs {
    clock: Clock,
    logs: LogThread,
    archive: Option<ArchiveThread>,
    stream: Option<EventStream>,
    print: Option<PrintThread>,
    feeds: Feeds,
    extract: Option<RefCell<ExtractThread>>,
    scripts: Option<RefCell<ScriptThread>>,
    patience: Patience,
    /// Lost rows that were reported so far, and when.
    complained: RefCell<Growing>,
}

impl Outputs {
    /// Opens what can fail for other reasons than old logs first: those are put aside last.
    pub fn open(
        settings: &Settings,
        dir: LogDir,
        archive: Option<Archive>,
        scripts: Option<ScriptThread>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let patience = Patience::default();
        let mut stream = open_stream(
            settings.events.to.as_deref(),
            settings.subscriptions()?,
            settings.logs.rotation(),
            WhenFull::Drop,
            patience.clone(),
        )?;
        if let (Some(s), Some(_)) = (&mut stream, &settings.metrics.listen) {
            s.count_kinds();
        }
        let extract = settings.files.extract_dir.as_deref();
        let extract = extract_thread(extract, WhenFull::Drop, patience.clone())?;
        let name = settings.logs.sensor_name.as_deref().map(Into::into);
        let feeds = Feeds::start(&settings.logs.to, name, WhenFull::Drop, patience.clone())?;
        let print = match settings.logs.quiet || settings.logs.to.contains(&FeedTarget::Stdout) {
            true => None,
            false => Some(PrintThread::start(std::io::stdout(), patience.clone())?),
        };
        let (archive, to_archive) = archive.map(ArchiveThread::start).transpose()?.unzip();
        let upkeep = Upkeep {
            rotation: settings.logs.rotation(),
            sync: settings.logs.sync,
            archive: to_archive,
        };
        let logs = LogWriter::new(dir, settings.logs.style()).with_upkeep(upkeep);
        let columns = conn_columns(settings.flows.realms() != 0);
        let begin_logs = move |logs: &mut LogWriter| begin(logs, columns);
        Ok(Outputs {
            clock,
            logs: LogThread::start(logs, LOG_FLUSH_EVERY, patience.clone(), begin_logs)?,
            archive,
            stream,
            print,
            feeds,
            extract: extract.map(RefCell::new),
            scripts: scripts.map(RefCell::new),
            patience,
            complained: RefCell::default(),
        })
    }

    /// The clock that gives rows and events their times of day.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Begins to give scripts the events of so many workers.
    /// `anonymizer`: they know what stands for addresses alone.
    pub fn begin_scripts(
        &self,
        orders: &Orders,
        workers: u32,
        confinement: Option<Confinement>,
        anonymizer: Option<Anonymizer>,
    ) {
        let Some(scripts) = &self.scripts else { return };
        let sink = ScriptOut {
            logs: self.logs.outbox(),
            stream: self.stream.as_ref().and_then(EventStream::another),
            feeds: self.feeds.outbox(),
        };
        let (clock, orders) = (self.clock.clone(), orders.clone());
        let workers = workers as usize;
        scripts
            .borrow_mut()
            .begin(Box::new(sink), clock, orders, workers, confinement, anonymizer);
    }

    /// Results of one more thread, which is worker `n`, or, with the number after the last one, none.
    pub fn outbox(&self, n: u32, contents: Option<ContentsFiles>) -> Outbox {
        Outbox {
            clock: self.clock.clone(),
            logs: self.logs.outbox(),
            stream: self.stream.as_ref().and_then(EventStream::another),
            print: self.print.as_ref().map(PrintThread::outbox),
            feeds: self.feeds.outbox(),
            contents,
            scripts: self.scripts.as_ref().map(|s| s.borrow().outbox(n as usize)),
            at_once: None,
            asked: Asked::default(),
            extract: self.extract.as_ref().map(|t| t.borrow().outbox()),
            patience: self.patience.clone(),
            events_out: 0,
            rows_out: 0,
        }
    }

    /// Draws the status line on a terminal.
    pub fn status(&self, line: impl FnOnce() -> String) {
        if let Some(p) = self.print.as_ref().filter(|_| std::io::stdout().is_terminal()) {
            p.status(line());
        }
    }

    /// The patience that the end of all outputs shares.
    pub fn patience(&self) -> Patience {
        self.patience.clone()
    }

    /// Has the files opened anew that were moved away.
    pub fn reopen(&self) {
        tracing::info!("opening the logs anew");
        self.logs.reopen();
        if let Some(s) = &self.stream {
            s.reopen();
        }
    }

    /// Has the logs rotated.
    pub fn rotate(&self) {
        tracing::info!("rotating the logs");
        self.logs.rotate();
        if let Some(s) = &self.stream {
            s.rotate();
        }
    }

    /// When logs are rotated, made durable and deleted is something else from now on. False: of the last nothing comes before
    /// the next start, as nobody takes care of old logs.
    pub fn set_upkeep(&self, settings: &Settings) -> bool {
        let rotation = settings.logs.rotation();
        self.logs.set_upkeep(rotation, settings.logs.sync);
        if let Some(s) = &self.stream {
            s.set_rotation(rotation);
        }
        match &self.archive {
            Some(archive) => archive.set_keep(settings.archive.keep()),
            None => return settings.archive.keep() == Keep::default(),
        }
        true
    }

    /// Reports from time to time that rows are being lost, and extracted files cut off.
    pub fn complain(&self) {
        self.feeds.complain();
        let lost = self.logs.refused();
        if self.complained.borrow_mut().is_due(lost) {
            tracing::warn!("{lost} log rows are lost so far: the log directory takes too little");
        }
        if let Some(thread) = &self.extract {
            thread.borrow_mut().complain();
        }
        if let Some(scripts) = &self.scripts {
            scripts.borrow_mut().complain();
        }
    }

    /// What scripts' handlers have cost.
    pub fn script_costs(&self) -> Vec<Cost> {
        self.scripts
            .as_ref()
            .map_or_else(Vec::new, |s| s.borrow().costs())
    }

    /// What is lost so far.
    pub fn losses(&self) -> OutputLosses {
        OutputLosses {
            rows: self.logs.lost() + self.feeds.lost(),
            events: self.stream.as_ref().map_or(0, EventStream::dropped),
            traffic: self.logs.lost_traffic(),
        }
    }

    /// What waits in their queues, and what has gone through them.
    pub fn load(&self) -> OutputLoad {
        OutputLoad {
            rows: self.logs.queued(),
            unwritten: self.logs.unwritten(),
            events: self.stream.as_ref().map(EventStream::queued),
            prints: self.print.as_ref().map(PrintThread::queued),
            extracted: self.extract.as_ref().map(|t| t.borrow().queued()),
            logs: self.logs.counts(),
            kinds: self.stream.as_ref().map_or_else(Vec::new, EventStream::kinds),
            unscripted: self.scripts.as_ref().map_or_else(Vec::new, |s| s.borrow().lost()),
        }
    }

    /// Ends all of them, once all outboxes are finished; what could not be written is an error.
    pub fn close(self) -> anyhow::Result<()> {
        let dropped = self.losses().events;
        if let Some(p) = self.print {
            if std::io::stdout().is_terminal() {
                p.status(String::new());
            }
            match p.finish() {
                OutputEnd::Lost(0) => {}
                OutputEnd::Lost(n) => {
                    tracing::warn!("{n} rows were not printed: standard output was too slow")
                }
                OutputEnd::Stuck(n) => {
                    tracing::warn!("{n} rows were not printed: standard output takes nothing")
                }
            }
        }
        // Their rows and events come before the ends of logs and stream.
        if let Some(scripts) = self.scripts {
            scripts.into_inner().finish(&self.patience);
        }
        self.feeds.finish();
        let ended = self.stream.map(EventStream::finish).transpose();
        if dropped > 0 {
            tracing::warn!("{dropped} events were dropped: their reader was too slow");
        }
        let extracted = all_extracted(self.extract.map(RefCell::into_inner));
        let written = match self.logs.finish() {
            OutputEnd::Lost(n) => all_written(n).map_err(Into::into),
            OutputEnd::Stuck(n) => Err(anyhow::anyhow!(
                "the log directory takes nothing: {n} log rows are lost"
            )),
        };
        if let Some(archive) = self.archive {
            archive.finish(&self.patience);
        }
        if let (Err(e), true) = (&ended, written.is_err()) {
            // The other error is the one that ends the run.
            tracing::warn!("{e}");
        }
        if let (Err(e), true) = (&extracted, written.is_err() || ended.is_err()) {
            tracing::warn!("{e}");
        }
        written?;
        ended?;
        Ok(extracted?)
    }
}

/// Where rows and events of scripts go: their times are times of day already.
struct ScriptOut {
    logs: LogOutbox,
    stream: Option<EventStream>,
    feeds: Option<FeedOutbox>,
}

impl Sink for ScriptOut {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        if let Some(s) = &mut self.stream {
            s.event(ts, ev);
        }
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.logs.row(row);
        if let Some(f) = &mut self.feeds {
            f.row(row);
        }
    }
}

impl ScriptSink for ScriptOut {
    fn flush(&mut self) {
        self.logs.flush();
        if let Some(s) = &mut self.stream {
            s.flush();
        }
        if let Some(f) = &mut self.feeds {
            f.flush();
        }
    }
}

/// One thread's results.
pub struct Outbox {
    clock: Clock,
    logs: LogOutbox,
    stream: Option<EventStream>,
    print: Option<PrintOutbox>,
    feeds: Option<FeedOutbox>,
    contents: Option<ContentsFiles>,
    extract: Option<ExtractOutbox>,
    scripts: Option<ScriptOutbox>,
    /// Events whose handlers this thread calls itself.
    at_once: Option<Subscriptions>,
    /// What these asked for.
    asked: Asked,
    patience: Patience,
    events_out: Ts,
    rows_out: Ts,
}

impl Outbox {
    /// One whose thread calls the handlers of these events itself.
    pub fn calling(self, at_once: Option<Subscriptions>) -> Outbox {
        Outbox { at_once, ..self }
    }

    /// Has this thread's interpreter do something at engine's time `ts`, and carries out what scripts give.
    #[cold]
    fn at_once<R>(&mut self, ts: Ts, work: impl FnOnce(&mut Host) -> R) -> Option<R> {
        let _inside = enter(Part::Scripts);
        let mut out = Vec::new();
        let done = at_once::with(|host| {
            let done = work(host);
            if host.has_out() {
                host.take(&mut out);
            }
            done
        });
        let now = self.clock.of_day(ts);
        out.into_iter().for_each(|one| one.carry_out(now, self));
        done
    }

    fn flush_rows(&mut self) {
        self.logs.flush();
        if let Some(p) = &mut self.print {
            p.flush();
        }
        if let Some(f) = &mut self.feeds {
            f.flush();
        }
        if let Some(x) = &mut self.extract {
            x.flush();
        }
    }
}

impl Anonymized<Outbox> {
    /// Takes an event with the time of now.
    pub fn raise(&mut self, ev: &dyn Event) {
        let now = self.to.clock.now();
        self.event(now, ev);
    }
}

impl WorkerSink for Outbox {
    type Left = ();

    fn settle(&mut self, now: Ts) {
        if let Some(scripts) = &mut self.scripts {
            let clock = &self.clock;
            scripts.settle(now, || clock.of_day(now));
        }
        if now.abs_diff(self.events_out) >= EVENTS_EVERY_NS {
            self.events_out = now;
            if let Some(s) = &mut self.stream {
                s.flush();
            }
        }
        if now.abs_diff(self.rows_out) >= ROWS_EVERY_NS {
            self.rows_out = now;
            self.flush_rows();
        }
    }

    fn be_patient(&mut self) {
        self.patience.begin();
    }

    fn rows(&self) -> u64 {
        self.logs.counted()
    }

    fn safe_rows(&self) -> u64 {
        self.logs.safe()
    }

    fn finish(mut self) {
        self.be_patient();
        self.flush_rows();
        if let Some(scripts) = self.scripts {
            scripts.finish(&self.patience, &Progress::default());
        }
        if let Some(s) = self.stream {
            // What became of the stream its own end says.
            let _ = s.finish();
        }
    }
}

impl Carrier for Outbox {
    fn row(&mut self, row: &dyn LogRow) {
        let now = self.clock.of_day(self.clock.now());
        if let Some(s) = &mut self.scripts
            && s.row(now, row)
        {
            return;
        }
        self.logs.row(row);
        if let Some(f) = &mut self.feeds {
            f.row(row);
        }
    }

    fn tell(&mut self, now: Ts, ev: &dyn Event) {
        if let Some(s) = &mut self.stream {
            s.event(now, ev);
        }
        if let Some(s) = &mut self.scripts {
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

impl Sink for Outbox {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        if self.stream.is_none() && self.scripts.is_none() {
            return;
        }
        if self.at_once.is_some_and(|wants| wants.wants(ev.kind())) {
            let clock = self.clock.clone();
            self.at_once(ts, |host| clock.event(ts, ev, |ts, ev| host.event(ts, ev)));
        }
        let _inside = enter(Part::Events);
        let (stream, scripts) = (&mut self.stream, &mut self.scripts);
        self.clock.event(ts, ev, |ts, ev| {
            if let Some(s) = stream {
                s.event(ts, ev);
            }
            if let Some(s) = scripts {
                s.event(ts, ev);
            }
        });
    }

    fn log(&mut self, row: &dyn LogRow) {
        let _inside = enter(Part::Logs);
        let now = &self.clock;
        self.clock.row(row, |row| {
            if let Some(s) = &mut self.scripts
                && s.row(now.of_day(now.now()), row)
            {
                return;
            }
            self.logs.row(row);
            if let Some(f) = &mut self.feeds {
                f.row(row);
            }
        });
        if let (Some(p), "conn") = (&mut self.print, row.path()) {
            p.line(&status::row(row));
        }
    }

    #[inline]
    fn has_orders(&self) -> bool {
        self.asked.is_any()
    }

    fn take_orders(&mut self) -> Vec<Order> {
        self.asked.take()
    }

    fn file_wishes(&mut self, fuid: Fuid) -> Vec<FileWish> {
        self.asked.take_of_file(fuid)
    }

    fn file_handle(&mut self) -> Option<Vec<u8>> {
        self.asked.take_handle()
    }

    fn evaluate(&mut self, function: &str, state: &SignatureState<'_>, data: &[u8]) -> bool {
        let now = self.clock.now();
        let of_day = self.clock.of_day(now);
        let said = self.at_once(now, |host| host.evaluate(of_day, function, state, data));
        said.unwrap_or(false)
    }

    fn contents(&mut self, c: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        self.contents.as_mut().and_then(|f| f.piece(c, is_orig, piece))
    }

    fn extract(&mut self, target: &Arc<Target>, part: api::Part<'_>) -> bool {
        self.extract.as_mut().is_some_and(|x| x.part(target, part))
    }
}
