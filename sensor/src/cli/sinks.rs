//! Where the engine's results go: the log files and the event stream. live_sinks.rs has those of a live run.

use std::fs::OpenOptions;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::limits;
use crate::conn::{self, Piece, Sink};
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Handler, Subscriptions, Ts};
use crate::output::contents::ContentsFiles;
use crate::output::log::{LogError, LogWriter};
use crate::output::log_dir::LogDir;
use crate::output::patience::Patience;
use crate::output::stream::{EventStream, WhenFull};
use crate::settings::{LogSettings, Settings};

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
    /// All of them, or nothing is touched.
    pub fn open(settings: &Settings, subs: Subscriptions) -> anyhow::Result<Self> {
        let dir = LogDir::claim(&settings.logs.dir)?;
        let target = settings.events.to.as_deref();
        let events = target.map(Writable::check).transpose()?;
        let contents = contents_files(&settings.logs, 1)?;
        let mut logs = LogWriter::new(dir, settings.logs.format);
        begin(&mut logs, settings.flows.realms())?;
        if let Some(mut events) = events {
            events.made = None;
        }
        Ok(Outputs {
            logs,
            stream: open_stream(target, subs, WhenFull::Wait, Patience::default())?,
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

/// Puts old logs aside and begins the one that each run has. `realms`: the engine's.
pub(super) fn begin(logs: &mut LogWriter, realms: u32) -> Result<(), LogError> {
    logs.dir().put_aside(&LOGS)?;
    logs.open("conn", conn::row::conn_columns(realms != 0))
}

pub(super) fn open_stream(
    target: Option<&str>,
    subs: Subscriptions,
    when_full: WhenFull,
    patience: Patience,
) -> anyhow::Result<Option<EventStream>> {
    let Some(target) = target else {
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
pub fn contents_files(logs: &LogSettings, workers: usize) -> anyhow::Result<Option<ContentsFiles>> {
    let Some(dir) = &logs.contents_dir else {
        return Ok(None);
    };
    let all = limits::open_files().map_or(256, |n| n / 4);
    let files = ContentsFiles::create(dir, all.min(MOST_OPEN) / workers.max(1));
    let files = files.with_context(|| format!("cannot write contents files to {}", dir.display()))?;
    Ok(Some(files))
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
