//! Opening the outputs: what live runs and those over captures do alike.

use std::io;
use std::path::{Path, PathBuf};

use super::contents::ContentsFiles;
use super::log::{LogError, LogWriter};
use super::open_files::open_files;
use super::patience::Patience;
use super::stream::{EventStream, WhenFull};
use crate::event::Subscriptions;
use crate::event::log::Column;

/// The logs that the sensor writes: those that are there when it starts are put aside, and no others.
const LOGS: [&str; 7] = ["conn", "dns", "ssl", "stats", "tunnel", "weird", "x509"];

/// Most contents files open at a time.
const MOST_OPEN: usize = 1024;

/// Puts old logs aside and begins the one that each run has: conn.log, with `columns`.
pub fn begin(logs: &mut LogWriter, columns: &'static [Column]) -> Result<(), LogError> {
    logs.dir().put_aside(&LOGS)?;
    logs.open("conn", columns)
}

/// Why outputs cannot be opened, or lack something at the end.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The event stream cannot be opened.
    #[error("cannot write events to {target}")]
    Events {
        /// Its file, or `-`.
        target: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Contents files cannot be made.
    #[error("cannot write contents files to {}", dir.display())]
    Contents {
        /// Their directory.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// So many log rows are lost.
    #[error("{0} log rows could not be written")]
    Rows(u64),
}

/// Opens the event stream, if there is to be one.
pub fn open_stream(
    target: Option<&str>,
    subs: Subscriptions,
    when_full: WhenFull,
    patience: Patience,
) -> Result<Option<EventStream>, OutputError> {
    let Some(target) = target else {
        return Ok(None);
    };
    match EventStream::open(target, subs, when_full, patience) {
        Ok(stream) => Ok(Some(stream)),
        Err(source) => {
            let target = target.to_owned();
            Err(OutputError::Events { target, source })
        }
    }
}

/// The contents files of one of `workers`, if there are to be any. All together take at most a quarter of the
/// files that this process may open.
pub fn contents_files(dir: Option<&Path>, workers: usize) -> Result<Option<ContentsFiles>, OutputError> {
    let Some(dir) = dir else {
        return Ok(None);
    };
    let all = open_files().map_or(256, |n| n / 4);
    match ContentsFiles::create(dir, all.min(MOST_OPEN) / workers.max(1)) {
        Ok(files) => Ok(Some(files)),
        Err(source) => {
            let dir = dir.to_owned();
            Err(OutputError::Contents { dir, source })
        }
    }
}

/// That `lost` log rows were not written is an error, unless there were none.
pub fn all_written(lost: u64) -> Result<(), OutputError> {
    match lost {
        0 => Ok(()),
        n => Err(OutputError::Rows(n)),
    }
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
