//! Log files: rows in, whole lines on disk, and a full disk is no reason to stop.
//!
//! Rows are gathered in memory and written at a known offset, so that what a failed write left behind
//! is cut off again and the next write begins where the last good line ended.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::tsv;
use crate::event::Ts;
use crate::event::log::{Column, LogRow, write_json};

/// Bytes gathered before they are written without being asked to.
const BATCH: usize = 64 * 1024;

/// Least time between two complaints about a disk that takes nothing.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Zeek's tab-separated values with header lines.
    Tsv,
    /// One JSON object a line.
    Json,
}

/// Why logs cannot be written at all.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directory is not there and cannot be made.
    #[error("cannot create log directory {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A log cannot be created in it.
    #[error("cannot write {}: {source}", path.display())]
    Create {
        /// The log.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Writes log rows to files in one directory, a file per log path.
#[derive(Debug)]
pub struct LogWriter {
    dir: PathBuf,
    format: Format,
    files: Vec<LogFile>,
    clock: Option<Ts>,
    complained: Option<Instant>,
    rows: u64,
}

#[derive(Debug)]
struct LogFile {
    path: &'static str,
    name: PathBuf,
    /// None while it could not be opened.
    file: Option<File>,
    /// Header lines, written again whenever the file is empty.
    header: Vec<u8>,
    buf: Vec<u8>,
    /// Rows in `buf`.
    pending: u64,
    /// Bytes of whole lines on disk.
    good: u64,
    lost: u64,
}

impl LogWriter {
    /// A writer into `dir`, which is made if need be.
    pub fn create(dir: &Path, format: Format) -> Result<LogWriter, LogError> {
        fs::create_dir_all(dir).map_err(|source| LogError::Directory {
            dir: dir.to_owned(),
            source,
        })?;
        Ok(LogWriter {
            dir: dir.to_owned(),
            format,
            files: Vec::new(),
            clock: None,
            complained: None,
            rows: 0,
        })
    }

    /// From now on `#open` and `#close` lines carry this time instead of the wall clock's, so that the
    /// same capture gives the same bytes.
    pub fn set_clock(&mut self, ts: Ts) {
        self.clock = Some(ts);
    }

    /// Opens a log before its first row, so that a run without rows has one.
    pub fn open(&mut self, path: &'static str, columns: &[Column]) -> Result<(), LogError> {
        let i = self.file(path, columns);
        let f = &mut self.files[i];
        if f.file.is_none() {
            f.file = Some(create(&f.name).map_err(|source| LogError::Create {
                path: f.name.clone(),
                source,
            })?);
        }
        Ok(())
    }

    /// Adds a row to its log. What the disk does not take is counted in [`LogWriter::lost`].
    pub fn row(&mut self, row: &dyn LogRow) {
        let i = self.file(row.path(), row.columns());
        write_row(self.format, row, &mut self.files[i].buf);
        self.added(i, 1);
    }

    /// Adds rows that [`write_row`] wrote in this writer's format.
    pub fn append(&mut self, path: &'static str, columns: &[Column], lines: &[u8], rows: u64) {
        let i = self.file(path, columns);
        self.files[i].buf.extend_from_slice(lines);
        self.added(i, rows);
    }

    fn added(&mut self, i: usize, rows: u64) {
        let f = &mut self.files[i];
        f.pending += rows;
        self.rows += rows;
        if f.buf.len() >= BATCH {
            self.flush_file(i);
        }
    }

    /// How it writes.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows given to the writer so far, all logs together.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that the disk did not take, all logs together.
    pub fn lost(&self) -> u64 {
        self.files.iter().map(|f| f.lost).sum()
    }

    /// Writes what has been gathered.
    pub fn flush(&mut self) {
        for i in 0..self.files.len() {
            self.flush_file(i);
        }
    }

    /// Writes what has been gathered and ends every log; the writer is not used any more.
    pub fn close(mut self) -> u64 {
        self.flush();
        if self.format == Format::Tsv {
            let at = stamp(self.clock);
            for i in 0..self.files.len() {
                tsv::close(&mut self.files[i].buf, &at);
                self.flush_file(i);
            }
        }
        self.lost()
    }

    /// The index of a log's file, new if it is the first time.
    fn file(&mut self, path: &'static str, columns: &[Column]) -> usize {
        if let Some(i) = self.files.iter().position(|f| f.path == path) {
            return i;
        }
        let mut header = Vec::new();
        if self.format == Format::Tsv {
            tsv::header(&mut header, path, columns, &stamp(self.clock));
        }
        self.files.push(LogFile {
            path,
            name: self.dir.join(format!("{path}.log")),
            file: None,
            header,
            buf: Vec::with_capacity(BATCH),
            pending: 0,
            good: 0,
            lost: 0,
        });
        self.files.len() - 1
    }

    fn flush_file(&mut self, i: usize) {
        let f = &mut self.files[i];
        let Err(e) = f.flush() else { return };
        if self.complained.is_none_or(|t| t.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!(file = %f.name.display(), rows_lost = f.lost, "cannot write log: {e}; going on without");
        }
    }
}

/// Appends a row's line to `out`.
pub fn write_row(format: Format, row: &dyn LogRow, out: &mut Vec<u8>) {
    let mut values = Vec::with_capacity(row.columns().len());
    match format {
        Format::Tsv => {
            row.values(&mut values);
            tsv::row(out, &values);
        }
        Format::Json => {
            write_json(out, row, &mut values);
            out.push(b'\n');
        }
    }
}

impl LogFile {
    /// Writes the buffer behind the last good line. On error everything behind the last whole line
    /// written is undone and the rows not on disk are lost.
    fn flush(&mut self) -> io::Result<()> {
        if self.good == 0 && !self.header.is_empty() {
            self.buf.splice(0..0, self.header.iter().copied());
        }
        if self.buf.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(f) => Ok(&*f),
            none => create(&self.name).map(|f| &*none.insert(f)),
        };
        let (done, result) = match file {
            Ok(file) => write_at(file, &self.buf, self.good),
            Err(e) => (0, Err(e)),
        };
        let mut lines = done;
        if result.is_err() {
            let head = if self.good == 0 { self.header.len() } else { 0 };
            let whole = |b: &[u8]| b.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
            lines = self.buf.get(..done).map_or(0, whole);
            if lines < head {
                // Half a header is none.
                lines = 0;
            }
            if done > lines
                && let Some(file) = &self.file
            {
                // If this fails too, the next write at the same offset covers what is left there.
                let _ = file.set_len(self.good + lines as u64);
            }
            let rest = self.buf.get(lines.max(head)..).unwrap_or_default();
            let unwritten = rest.iter().filter(|&&b| b == b'\n').count() as u64;
            self.lost += unwritten.min(self.pending);
        }
        self.good += lines as u64;
        self.pending = 0;
        self.buf.clear();
        result
    }
}

fn create(name: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(name)
}

/// Writes all of `buf` at `offset`; how much was written, and why not more.
fn write_at(file: &File, buf: &[u8], offset: u64) -> (usize, io::Result<()>) {
    let mut done = 0;
    while let Some(rest) = buf.get(done..).filter(|r| !r.is_empty()) {
        match file.write_at(rest, offset + done as u64) {
            Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (done, Err(e)),
        }
    }
    (done, Ok(()))
}

/// `2026-01-02-03-04-05`, UTC.
fn stamp(clock: Option<Ts>) -> String {
    let secs = match clock {
        Some(ts) => ts / 1_000_000_000,
        None => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs()),
    };
    // Days to year, month and day: years begin in March, so that a leap day is a year's last.
    let (days, s) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let m = (5 * day + 2) / 153;
    let (d, month) = (day - (153 * m + 2) / 5 + 1, if m < 10 { m + 3 } else { m - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{d:02}-{:02}-{:02}-{:02}",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

#[cfg(test)]
mod tests;
