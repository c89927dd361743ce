//! Opening the outputs: what live runs and those over captures do alike.

use std::io;
use std::path::{Path, PathBuf};

use super::contents::ContentsFiles;
use super::extract::{ExtractEnd, ExtractThread};
use super::log::LogWriter;
use super::log_error::LogError;
use super::open_files::open_files;
use super::patience::Patience;
use super::rotation::Rotation;
use super::stream::{EventStream, WhenFull};
use crate::catalog;
use crate::event::Subscriptions;
use crate::event::log::{Column, Log};

/// Most contents files open at a time.
const MAX_OPEN_FILES: usize = 1024;

/// Puts old logs aside and begins the one that each run has: conn.log, with `columns`.
pub fn begin(logs: &mut LogWriter, columns: &'static [Column]) -> Result<(), LogError> {
    // Those that are there when it starts, and no others.
    let formats = logs.style().formats;
    let names = |log: Log| formats.all().iter().map(move |f| formats.file(log.path, *f));
    let own: Vec<_> = catalog::logs().flat_map(names).collect();
    let aside = logs.dir().put_aside(&own)?;
    logs.archive_old(aside);
    logs.open("conn", columns)
}

/// Why outputs cannot be opened, or are incomplete at the end.
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
    /// Files cannot be extracted.
    #[error("cannot write extracted files to {}", dir.display())]
    Extract {
        /// Their directory.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// This many files were not extracted, or not in whole, because writing failed.
    #[error("{0} extracted files could not be written")]
    Extracted(u64),
    /// The directory of extracted files takes nothing; this many bytes are lost.
    #[error("the directory of extracted files takes nothing: {0} bytes are lost")]
    ExtractStuck(u64),
    /// This many log rows are lost.
    #[error("{0} log rows could not be written")]
    Rows(u64),
}

/// Opens the event stream, if there is to be one.
pub fn open_stream(
    target: Option<&str>,
    subs: Subscriptions,
    rotation: Rotation,
    when_full: WhenFull,
    patience: Patience,
) -> Result<Option<EventStream>, OutputError> {
    let Some(target) = target else {
        return Ok(None);
    };
    match EventStream::open(target, subs, rotation, when_full, patience) {
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
    match ContentsFiles::create(dir, all.min(MAX_OPEN_FILES) / workers.max(1)) {
        Ok(files) => Ok(Some(files)),
        Err(source) => {
            let dir = dir.to_owned();
            Err(OutputError::Contents { dir, source })
        }
    }
}

/// The thread that writes extracted files, if there are to be any.
pub fn extract_thread(
    dir: Option<&Path>,
    when_full: WhenFull,
    patience: Patience,
) -> Result<Option<ExtractThread>, OutputError> {
    let start = |dir: &Path| {
        ExtractThread::start(dir, when_full, patience).map_err(|source| OutputError::Extract {
            dir: dir.to_owned(),
            source,
        })
    };
    dir.map(start).transpose()
}

/// An error if extracted files are not what they should be.
pub fn all_extracted(thread: Option<ExtractThread>) -> Result<(), OutputError> {
    match thread.map(ExtractThread::finish) {
        None | Some(ExtractEnd::Failed(0)) => Ok(()),
        Some(ExtractEnd::Failed(n)) => Err(OutputError::Extracted(n)),
        Some(ExtractEnd::Stuck(n)) => Err(OutputError::ExtractStuck(n)),
    }
}

/// An error if `lost`, the number of log rows that were not written, is not 0.
pub fn all_written(lost: u64) -> Result<(), OutputError> {
    match lost {
        0 => Ok(()),
        n => Err(OutputError::Rows(n)),
    }
}
