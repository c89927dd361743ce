//! Where the results of a live run go: threads that write the logs, the event stream and the terminal, and for each
//! worker an outbox. No output waits for another one, and nobody waits for an output but at the end.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::args::Run;
use super::clock::Clock;
use super::sinks::{all_written, open_logs, open_stream};
use super::status;
use crate::conn::{self, Piece, Sink};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Handler, Subscriptions, Ts};
use crate::output::contents::ContentsFiles;
use crate::output::outbox::{LogOutbox, LogThread, PrintOutbox, PrintThread};
use crate::output::stream::{EventStream, WhenFull};

/// How often log files are written.
const REFRESH: Duration = Duration::from_secs(1);
/// Events are handed over so long after those before them, ns; rows as well.
const LATEST_EVENTS: u64 = 4_000_000;
const LATEST_ROWS: u64 = 200_000_000;
/// How long the end waits for log files that take nothing, and for a reader of events that does not read.
const PATIENCE: Duration = Duration::from_secs(10);
const STREAM_PATIENCE: Duration = Duration::from_secs(3);

/// The outputs' threads.
pub struct Outputs {
    clock: Clock,
    logs: LogThread,
    stream: Option<EventStream>,
    print: Option<PrintThread>,
}

impl Outputs {
    pub fn open(a: &Run, subs: Subscriptions, clock: Clock) -> anyhow::Result<Self> {
        let mut logs = open_logs(&a.common)?;
        logs.open("conn", conn::row::CONN)?;
        Ok(Outputs {
            clock,
            stream: open_stream(&a.common, subs, WhenFull::Drop)?,
            logs: LogThread::start(logs, REFRESH)?,
            print: match a.quiet {
                true => None,
                false => Some(PrintThread::start(std::io::stdout())?),
            },
        })
    }

    /// What the rows' and events' times are by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// For one more thread.
    pub fn outbox(&self, contents: Option<ContentsFiles>) -> Outbox {
        Outbox {
            clock: self.clock.clone(),
            logs: self.logs.outbox(),
            stream: self.stream.as_ref().and_then(EventStream::another),
            print: self.print.as_ref().map(PrintThread::outbox),
            contents,
            deadline: None,
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

    pub fn rows_lost(&self) -> u64 {
        self.logs.lost()
    }

    pub fn events_dropped(&self) -> u64 {
        self.stream.as_ref().map_or(0, EventStream::dropped)
    }

    /// Ends all of them, once all outboxes are finished; what could not be written is an error.
    pub fn close(self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let dropped = self.events_dropped();
        if let Some(p) = self.print {
            if std::io::stdout().is_terminal() {
                p.status(String::new());
            }
            match p.finish(deadline.min(Instant::now() + PATIENCE / 10)) {
                Some(0) => {}
                Some(n) => tracing::warn!("{n} rows were not printed: standard output was too slow"),
                None => tracing::warn!("standard output takes nothing: the last rows were not printed"),
            }
        }
        let ended = self.stream.map(EventStream::finish).transpose();
        if dropped > 0 {
            tracing::warn!("{dropped} events were dropped: their reader was too slow");
        }
        match self.logs.finish(deadline) {
            Some(lost) => all_written(lost)?,
            None => anyhow::bail!("the log directory takes nothing: the last rows are lost"),
        }
        ended?;
        Ok(())
    }
}

/// One thread's results.
pub struct Outbox {
    clock: Clock,
    logs: LogOutbox,
    stream: Option<EventStream>,
    print: Option<PrintOutbox>,
    contents: Option<ContentsFiles>,
    /// Set at the end: until then handing over may wait.
    deadline: Option<Instant>,
    events_out: Ts,
    rows_out: Ts,
}

impl Outbox {
    /// Hands over what has waited long enough; to be called often.
    pub fn settle(&mut self, now: Ts) {
        if now.abs_diff(self.events_out) >= LATEST_EVENTS {
            self.events_out = now;
            if let Some(s) = &mut self.stream {
                s.flush();
            }
        }
        if now.abs_diff(self.rows_out) >= LATEST_ROWS {
            self.rows_out = now;
            self.flush_rows();
        }
    }

    fn flush_rows(&mut self) {
        self.logs.flush(self.deadline);
        if let Some(p) = &mut self.print {
            p.flush(None);
        }
    }

    /// From here on what finds no room waits for it, for a while; lines for the terminal do not.
    pub fn be_patient(&mut self) {
        if self.deadline.is_some() {
            return;
        }
        self.deadline = Some(Instant::now() + PATIENCE);
        if let Some(s) = &mut self.stream {
            s.be_patient(Instant::now() + STREAM_PATIENCE);
        }
    }

    /// Hands over the rest.
    pub fn finish(mut self) {
        self.be_patient();
        self.flush_rows();
        if let Some(s) = self.stream {
            // What became of the stream its own end says.
            let _ = s.finish();
        }
    }
}

impl Sink for Outbox {
    fn event(&mut self, ts: Ts, ev: &Event<'_>) {
        if let Some(s) = &mut self.stream {
            self.clock.event(ts, ev, |ts, ev| s.event(ts, ev));
        }
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.clock.row(row, |row| self.logs.row(row, self.deadline));
        if let (Some(p), "conn") = (&mut self.print, row.path()) {
            p.line(&status::row(row), None);
        }
    }

    fn contents(&mut self, c: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        self.contents.as_mut().and_then(|f| f.piece(c, is_orig, piece))
    }
}
