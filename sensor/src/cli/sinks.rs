//! Where the engine's results go: the log files and the event stream. live_sinks.rs has those of a live run.

use anyhow::Context as _;

use super::args::{Common, LogFormat};
use crate::conn::{self, Piece, Sink};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, EventKind, Handler, Subscriptions, Ts};
use crate::output::contents::ContentsFiles;
use crate::output::log::{Format, LogWriter};
use crate::output::stream::{EventStream, WhenFull};

/// Most contents files open at a time.
const MOST_OPEN: usize = 1024;

/// Logs and stream of a run over captures.
pub struct Outputs {
    pub logs: LogWriter,
    pub stream: Option<EventStream>,
    pub contents: Option<ContentsFiles>,
}

impl Outputs {
    pub fn open(common: &Common, subs: Subscriptions) -> anyhow::Result<Self> {
        let mut logs = open_logs(common)?;
        // The same capture gives the same bytes.
        logs.set_clock(0);
        logs.open("conn", conn::row::CONN)?;
        Ok(Outputs {
            logs,
            stream: open_stream(common, subs, WhenFull::Wait)?,
            contents: None,
        })
    }

    /// Ends all of them; what could not be written is an error.
    pub fn close(self) -> anyhow::Result<()> {
        let lost = self.logs.close();
        if let Some(s) = self.stream {
            s.finish()?;
        }
        all_written(lost)
    }
}

pub(super) fn open_logs(common: &Common) -> anyhow::Result<LogWriter> {
    let format = match common.log_format {
        LogFormat::Tsv => Format::Tsv,
        LogFormat::Json => Format::Json,
    };
    Ok(LogWriter::create(&common.log_dir, format)?)
}

pub(super) fn open_stream(
    common: &Common,
    subs: Subscriptions,
    when_full: WhenFull,
) -> anyhow::Result<Option<EventStream>> {
    let Some(target) = &common.events else {
        return Ok(None);
    };
    let stream = EventStream::open(target, subs, when_full);
    Ok(Some(
        stream.with_context(|| format!("cannot write events to {target}"))?,
    ))
}

pub(super) fn all_written(lost: u64) -> anyhow::Result<()> {
    anyhow::ensure!(lost == 0, "{lost} log rows could not be written");
    Ok(())
}

impl Sink for Outputs {
    fn event(&mut self, ts: Ts, ev: &Event<'_>) {
        if let Some(s) = &mut self.stream {
            s.event(ts, ev);
        }
    }

    fn log(&mut self, row: &dyn LogRow) {
        self.logs.row(row);
    }

    fn contents(&mut self, c: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        self.contents.as_mut().and_then(|f| f.piece(c, is_orig, piece))
    }
}

/// The contents files of one of `workers`, if there are to be any. All together take at most a quarter of the
/// files that this process may open.
pub fn contents_files(common: &Common, workers: usize) -> anyhow::Result<Option<ContentsFiles>> {
    let Some(dir) = &common.contents_file else {
        return Ok(None);
    };
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes to the structure it is given and nowhere else.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    let all = if known { limit.rlim_cur as usize / 4 } else { 256 };
    let files = ContentsFiles::create(dir, all.min(MOST_OPEN) / workers.max(1));
    let files = files.with_context(|| format!("cannot write contents files to {}", dir.display()))?;
    Ok(Some(files))
}

/// Which events somebody wants.
pub fn subscriptions(common: &Common) -> anyhow::Result<Subscriptions> {
    if common.events.is_none() {
        return Ok(Subscriptions::NONE);
    }
    let mut subs = if common.event.is_empty() {
        // The event about events would double the stream; who wants it names it.
        Subscriptions::ALL.without(EventKind::NewEvent)
    } else {
        common.event.join(",").parse()?
    };
    if common.contents.is_none() {
        subs = subs.without(EventKind::TcpContents);
    }
    Ok(subs)
}
