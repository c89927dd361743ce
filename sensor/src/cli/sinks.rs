//! Where the engine's results go: the log files and the event stream. live_sinks.rs has those of a live run.

use std::fs::OpenOptions;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::args::{Common, LogFormat};
use super::limits;
use crate::conn::{self, Piece, Sink};
use crate::event::log::{LogRow, OWN_LOGS};
use crate::event::{self, ConnId, Event, Handler, Subscriptions, Ts};
use crate::output::contents::ContentsFiles;
use crate::output::log::{Format, LogError, LogWriter};
use crate::output::log_dir::LogDir;
use crate::output::patience::Patience;
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
    /// All of them, or nothing is touched.
    pub fn open(common: &Common, subs: Subscriptions) -> anyhow::Result<Self> {
        let dir = claim(common)?;
        let events = common.events.as_deref().map(Writable::check).transpose()?;
        let contents = contents_files(common, 1)?;
        let mut logs = LogWriter::new(dir, format(common));
        begin(&mut logs, common.realms())?;
        if let Some(mut events) = events {
            events.made = None;
        }
        Ok(Outputs {
            logs,
            stream: open_stream(common, subs, WhenFull::Wait, Patience::default())?,
            contents,
        })
    }

    /// Writes what has been gathered.
    pub fn flush(&mut self) {
        self.logs.flush();
        if let Some(s) = &mut self.stream {
            s.flush();
        }
        if let Some(c) = &mut self.contents {
            c.flush();
        }
    }

    /// Ends all of them; what could not be written is an error.
    pub fn close(mut self) -> anyhow::Result<()> {
        let lost = self.logs.close();
        if let Some(s) = self.stream {
            s.finish()?;
        }
        all_written(lost)
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

/// The log directory, from here on this process's alone.
pub(super) fn claim(common: &Common) -> anyhow::Result<LogDir> {
    Ok(LogDir::claim(&common.log_dir)?)
}

/// Puts old logs aside and begins the one that each run has. `realms`: the engine's.
pub(super) fn begin(logs: &mut LogWriter, realms: u32) -> Result<(), LogError> {
    // Those that are there when it starts, and no others.
    logs.dir().put_aside(OWN_LOGS)?;
    logs.open("conn", conn::row::conn_columns(realms != 0))
}

pub(super) fn format(common: &Common) -> Format {
    match common.log_format {
        LogFormat::Tsv => Format::Tsv,
        LogFormat::Json => Format::Json,
    }
}

pub(super) fn open_stream(
    common: &Common,
    subs: Subscriptions,
    when_full: WhenFull,
    patience: Patience,
) -> anyhow::Result<Option<EventStream>> {
    let Some(target) = &common.events else {
        return Ok(None);
    };
    let stream = EventStream::open(target, subs, when_full, patience);
    Ok(Some(
        stream.with_context(|| format!("cannot write events to {target}"))?,
    ))
}

pub(super) fn all_written(lost: u64) -> anyhow::Result<()> {
    anyhow::ensure!(lost == 0, "{lost} log rows could not be written");
    Ok(())
}

impl Sink for Outputs {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
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
    let all = limits::open_files().map_or(256, |n| n / 4);
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
        Subscriptions::ALL.without(event::NewEvent::KIND)
    } else {
        common.event.join(",").parse()?
    };
    if common.contents.is_none() {
        subs = subs.without(event::TcpContents::KIND);
    }
    Ok(subs)
}
