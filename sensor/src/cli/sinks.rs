//! Where the engine's results go: the log files and the event stream. live_sinks.rs has those of a live run.

use anyhow::Context as _;

use super::args::{Common, LogFormat};
use crate::conn::{self, Piece, Sink};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, EventKind, Handler, Subscriptions, Ts};
use crate::output::contents::ContentsFiles;
use crate::output::log::{Format, LogError, LogWriter};
use crate::output::log_dir::LogDir;
use crate::output::patience::Patience;
use crate::output::stream::{EventStream, WhenFull};

/// The logs that the sensor writes: those that are there when it starts are put aside, and no others.
const LOGS: [&str; 7] = ["conn", "dns", "ssl", "stats", "tunnel", "weird", "x509"];

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
        let dir = claim(common)?;
        let stream = open_stream(common, subs, WhenFull::Wait, Patience::default())?;
        let mut logs = LogWriter::new(dir, format(common));
        begin(&mut logs)?;
        Ok(Outputs {
            logs,
            stream,
            contents: None,
        })
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

/// The log directory, from here on this process's alone.
pub(super) fn claim(common: &Common) -> anyhow::Result<LogDir> {
    Ok(LogDir::claim(&common.log_dir)?)
}

/// Puts old logs aside and begins the one that each run has.
pub(super) fn begin(logs: &mut LogWriter) -> Result<(), LogError> {
    logs.dir().put_aside(&LOGS)?;
    logs.open("conn", conn::row::CONN)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What stands in the sources as a log's name.
    fn named(dir: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).expect("sources") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                named(&path, names);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let paths = text.split("fn path(&self) -> &'static str {\n        \"").skip(1);
                names.extend(paths.filter_map(|p| Some(p.split_once('"')?.0.to_owned())));
            }
        }
    }

    #[test]
    fn each_log_is_among_those_that_are_put_aside() {
        let mut names = Vec::new();
        named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
        names.sort();
        names.dedup();
        assert_eq!(names, LOGS);
    }
}
