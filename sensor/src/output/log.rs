//! Log files: rows in, whole lines on disk, and a full disk is no reason to stop.
//!
//! Rows are gathered in memory and appended. What a failed write left of a line is cut off again, so that the next
//! write begins where the last whole line ended. Files are open for appending and nothing is remembered of where they
//! end: who moves or truncates them (logrotate) may.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Instant, SystemTime};

use super::log_dir::LogDir;
use super::log_error::LogError;
use super::lost_traffic::Traffic;
use super::now_and_then::NowAndThen;
use super::rotation::Turns;
use super::stamp::stamp;
use super::tsv;
use crate::catalog;
use crate::event::log::{Column, LogRow};

/// Bytes gathered before they are written without being asked to.
const BATCH_BYTES: usize = 64 * 1024;

/// Writes log rows to files in one directory, a file per log path.
#[derive(Debug)]
pub struct LogWriter {
    dir: LogDir,
    style: LogStyle,
    files: Vec<LogFile>,
    complained: NowAndThen,
    rows: u64,
    upkeep: Upkeep,
    turns: Option<Turns>,
    synced: Instant,
    caught_up: Instant,
}

#[derive(Debug)]
struct LogFile {
    path: &'static str,
    format: LogFormat,
    /// `conn.log`.
    name: String,
    columns: &'static [Column],
    /// The open file; None as long as it cannot be opened.
    file: Option<File>,
    /// The header was written. A file that somebody truncated to nothing gets another one.
    headed: bool,
    /// When the file began, as its header says.
    opened: SystemTime,
    /// Rows in the file.
    written: u64,
    /// The file's length after the last write, bytes.
    len: u64,
    /// Something was written since it was made durable last.
    unsynced: bool,
    buf: Vec<u8>,
    /// Rows in `buf`.
    pending: u64,
    /// Bytes of half a line at the file's end that could not be cut off.
    torn: u64,
    lost: u64,
    /// What the connections had sent whose rows were lost.
    lost_traffic: Traffic,
}

impl LogWriter {
    /// A writer into `dir`.
    pub fn new(dir: LogDir, style: impl Into<LogStyle>) -> LogWriter {
        LogWriter {
            dir,
            style: style.into(),
            files: Vec::new(),
            complained: NowAndThen::default(),
            rows: 0,
            upkeep: Upkeep::default(),
            turns: None,
            synced: Instant::now(),
            caught_up: Instant::now(),
        }
    }

    /// The directory that it writes into.
    pub fn dir(&self) -> &LogDir {
        &self.dir
    }

    /// What is done with its logs besides writing rows. To be said before the first row.
    pub fn with_upkeep(mut self, upkeep: Upkeep) -> LogWriter {
        self.turns = upkeep.rotation.turns();
        self.upkeep = upkeep;
        self
    }

    /// Opens a log before its first row, so that a run without rows has one.
    pub fn open(&mut self, path: &'static str, columns: &'static [Column]) -> Result<(), LogError> {
        for format in self.style.formats.all() {
            let i = self.file(path, columns, *format);
            let f = &mut self.files[i];
            f.opened(&self.dir).map_err(|source| LogError::Create {
                path: self.dir.file(&f.name),
                source,
            })?;
        }
        Ok(())
    }

    /// Adds a row to its log. What the disk does not take is counted in [`LogWriter::lost`].
    pub fn row(&mut self, row: &dyn LogRow) {
        for format in self.style.formats.all() {
            let i = self.file(row.path(), row.columns(), *format);
            write_row(*format, &self.style.tags, row, &mut self.files[i].buf);
            self.added(i, 1);
        }
    }

    /// Adds rows that [`write_row`] wrote in one of this writer's formats.
    pub fn append(
        &mut self,
        path: &'static str,
        columns: &'static [Column],
        format: LogFormat,
        lines: &[u8],
        rows: u64,
    ) {
        let i = self.file(path, columns, format);
        self.files[i].buf.extend_from_slice(lines);
        self.added(i, rows);
    }

    fn added(&mut self, i: usize, rows: u64) {
        let f = &mut self.files[i];
        f.pending += rows;
        self.rows += rows;
        if f.buf.len() >= BATCH_BYTES {
            self.flush_file(i);
            self.rotate_if_large(i);
        }
    }

    /// How it writes.
    pub fn style(&self) -> &LogStyle {
        &self.style
    }

    /// Rows given to the writer so far, all logs together; once for each format.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that the disk did not take, all logs together.
    pub fn lost(&self) -> u64 {
        self.files.iter().map(|f| f.lost).sum()
    }

    /// What the connections had sent whose rows the disk did not take.
    pub fn lost_traffic(&self) -> Traffic {
        // Of several formats each has all rows.
        let first = self.style.formats.all().first();
        let files = self.files.iter().filter(|f| Some(&f.format) == first);
        files.map(|f| f.lost_traffic).sum()
    }

    /// Rows on disk, all logs together.
    pub fn written(&self) -> u64 {
        let not: u64 = self.files.iter().map(|f| f.lost + f.pending).sum();
        self.rows - not
    }

    /// Writes what has been gathered.
    pub fn flush(&mut self) {
        for i in 0..self.files.len() {
            self.flush_file(i);
            self.rotate_if_large(i);
        }
    }

    /// Ends every log that was moved away or removed, and begins it anew under its name.
    pub fn reopen(&mut self) {
        self.flush();
        for i in 0..self.files.len() {
            if !self.is_in_place(i) {
                self.begin_anew(i);
            }
        }
    }

    /// Ends a log's file, whatever it is called now, and begins another one.
    fn begin_anew(&mut self, i: usize) {
        if self.files[i].file.is_some() {
            self.end_file(i);
        }
        let f = &mut self.files[i];
        (f.file, f.headed, f.torn) = (None, false, 0);
        match f.opened(&self.dir) {
            Ok(()) => self.flush_file(i),
            Err(e) => self.complain(i, &e),
        }
    }

    /// Whether the open file is still the one that its name refers to.
    fn is_in_place(&self, i: usize) -> bool {
        let f = &self.files[i];
        let Some(open) = f.file.as_ref().and_then(|f| f.metadata().ok()) else {
            return false;
        };
        fs::metadata(self.dir.file(&f.name)).is_ok_and(|m| (m.dev(), m.ino()) == (open.dev(), open.ino()))
    }

    /// Writes what has been gathered and ends every log; rows lost in all. The writer is not used any more.
    pub fn close(&mut self) -> u64 {
        self.flush();
        for i in 0..self.files.len() {
            self.end_file(i);
        }
        self.lost()
    }

    /// Writes a log's last line.
    fn end_file(&mut self, i: usize) {
        if self.files[i].format == LogFormat::Tsv {
            tsv::close(&mut self.files[i].buf, &stamp(SystemTime::now()));
            self.flush_file(i);
        }
        if self.upkeep.sync != LogSync::Never {
            self.sync_file(i);
        }
    }

    /// The index of a log's file, new if it is the first time.
    fn file(&mut self, path: &'static str, columns: &'static [Column], format: LogFormat) -> usize {
        if let Some(i) = self
            .files
            .iter()
            .position(|f| f.path == path && f.format == format)
        {
            return i;
        }
        debug_assert!(catalog::has_log(path), "{path} is in no list of logs");
        self.files.push(LogFile {
            path,
            format,
            name: self.style.formats.file(path, format),
            columns,
            file: None,
            headed: false,
            opened: SystemTime::now(),
            written: 0,
            len: 0,
            unsynced: false,
            buf: Vec::with_capacity(BATCH_BYTES),
            pending: 0,
            torn: 0,
            lost: 0,
            lost_traffic: Traffic::default(),
        });
        self.files.len() - 1
    }

    fn flush_file(&mut self, i: usize) {
        if let Err(e) = self.files[i].flush(&self.dir) {
            self.complain(i, &e);
        }
    }

    fn complain(&mut self, i: usize, e: &io::Error) {
        if self.complained.is_due() {
            let f = &self.files[i];
            let name = self.dir.file(&f.name);
            tracing::warn!(file = %name.display(), rows_lost = f.lost, "cannot write log: {e}; going on without");
        }
    }
}

impl LogFile {
    /// Appends the buffer. On error cuts off everything behind the last whole line written; the rows not on disk are lost.
    fn flush(&mut self, dir: &LogDir) -> io::Result<()> {
        if self.buf.is_empty() && (self.format == LogFormat::Json || self.headed) {
            return Ok(());
        }
        let mut lost = 0;
        let (begin, done, result) = match self.opened(dir) {
            Ok(()) => self.append(),
            Err(e) => (0, 0, Err(e)),
        };
        if result.is_err() {
            let mut lines = self.buf[..done]
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |i| i + 1);
            if lines < begin {
                // Half a header is none.
                lines = 0;
            }
            if done > 0 {
                self.torn = (done - lines) as u64;
                self.mend();
            }
            let rest = self.buf.get(lines.max(begin)..).unwrap_or_default();
            let unwritten = rest.iter().filter(|&&b| b == b'\n').count() as u64;
            lost = unwritten.min(self.pending);
            self.lost += lost;
            let traffic = said::traffic_of(self.path, self.columns, self.format, rest);
            self.lost_traffic = self.lost_traffic + traffic;
        }
        self.written += self.pending - lost;
        self.pending = 0;
        self.buf.clear();
        result
    }

    fn opened(&mut self, dir: &LogDir) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(dir.create(&self.name)?);
            (self.opened, self.written, self.len) = (SystemTime::now(), 0, 0);
        }
        Ok(())
    }

    /// Writes the buffer, after a line end or header if one is due. Returns the length of what went before the buffer, the
    /// number of bytes written in all, and the error if that was not everything.
    fn append(&mut self) -> (usize, usize, io::Result<()>) {
        let Some(file) = &mut self.file else {
            return (0, 0, Ok(()));
        };
        let (empty, len) = match file.metadata() {
            Ok(m) if m.is_file() => (m.len() == 0, m.len()),
            _ => (!self.headed, 0),
        };
        let mut begin = Vec::new();
        if empty {
            self.torn = 0;
            if self.format == LogFormat::Tsv || self.headed {
                // Now, or at last; or somebody truncated it.
                (self.opened, self.written) = (SystemTime::now(), 0);
            }
            if self.format == LogFormat::Tsv {
                tsv::header(&mut begin, self.path, self.columns, &stamp(self.opened));
            }
        } else if self.torn > 0 && cut(file, self.torn).is_err() {
            begin.push(b'\n');
        }
        self.buf.splice(0..0, begin.iter().copied());
        let (done, result) = write(file, &self.buf);
        self.len = len + done as u64;
        self.unsynced |= done > 0;
        if done >= begin.len() {
            (self.headed, self.torn) = (true, 0);
        }
        (begin.len(), done, result)
    }

    /// Cuts off half a line; if that fails, the next write begins with it.
    fn mend(&mut self) {
        if let Some(file) = &self.file
            && self.torn > 0
            && cut(file, self.torn).is_ok()
        {
            self.torn = 0;
        }
    }
}

/// Removes the last `bytes` of a file.
fn cut(file: &File, bytes: u64) -> io::Result<()> {
    let len = file.metadata()?.len().checked_sub(bytes);
    file.set_len(len.ok_or(io::ErrorKind::InvalidInput)?)
}

/// Writes all of `buf`. Returns the number of bytes written, and the error if that was not everything.
fn write(file: &mut File, buf: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while let Some(rest) = buf.get(done..).filter(|r| !r.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (done, Err(e)),
        }
    }
    (done, Ok(()))
}

mod rotate;
mod said;
mod style;
mod upkeep;

pub use said::traffic_of;
pub use style::{LogFormat, LogFormats, LogStyle, LogTags, write_row};
pub use upkeep::{LogSync, ToArchive, Upkeep};

#[cfg(test)]
mod tests;
