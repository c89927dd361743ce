//! Between the threads that have rows and the threads that write them.
//!
//! Rows are formatted where they arise, into buffers that are that thread's alone; full or old ones go through a
//! bounded queue to the output's thread. So workers share no lock, and an output that is stuck holds up nobody: what
//! finds no room in its queue is lost and counted. At the end, and only then, handing over waits for a while
//! (`patience.rs`).

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SendError, SyncSender, TrySendError, channel, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::latest::Latest;
use super::log::{LogFormat, LogStyle, LogSync, LogWriter, traffic_of, write_row};
use super::log_error::LogError;
use super::lost_traffic::{Traffic, TrafficCount};
use super::patience::{Limit, Patience, Progress};
use super::rotation::Rotation;
use crate::event::log::{Column, LogRow};
use crate::profile::place::{Part, begin_thread};

/// Bytes of a log that are gathered before they are handed over.
const BATCH_BYTES: usize = 64 * 1024;
/// Batches that may wait for the log files: 64 MiB of full ones.
const MAX_QUEUED_BATCHES: usize = 1024;
/// Bytes that a batch may grow to while the queue is full, before its rows are lost.
const MAX_GATHERED_BYTES: usize = 1 << 20;
/// Pieces of text that may wait for the terminal.
const MAX_QUEUED_PRINTS: usize = 256;
/// Time between two looks at a full queue at the end.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long the end waits for the log files.
const FILES_LIMIT: Limit = Limit {
    stuck: Duration::from_secs(5),
    slow: Duration::from_secs(60),
};
/// How long the end waits for the terminal.
const TERMINAL_LIMIT: Limit = Limit {
    stuck: Duration::from_secs(1),
    slow: Duration::from_secs(3),
};
/// How long the start waits for the log directory. A stuck one costs rows, not the sensor.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// Rows that went to an output's thread, and what became of them.
#[derive(Default)]
pub(super) struct Account {
    /// Rows that the queue took.
    pub handed: AtomicU64,
    /// Rows that found no room in it.
    pub refused: AtomicU64,
    /// Rows that were written.
    pub written: AtomicU64,
    /// Rows that the disk did not take.
    pub unwritten: AtomicU64,
    /// Of lost rows of conn.log.
    pub traffic: TrafficCount,
    pub progress: Progress,
}

impl Account {
    pub fn add(to: &AtomicU64, n: u64) {
        to.fetch_add(n, Ordering::Relaxed);
    }

    /// Rows known to be lost.
    pub fn lost(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) + self.unwritten.load(Ordering::Relaxed)
    }

    /// Rows that wait for the output.
    fn queued(&self) -> u64 {
        // What came later is read first: the other two may go on meanwhile.
        let done = self.written.load(Ordering::Relaxed) + self.unwritten.load(Ordering::Relaxed);
        self.handed.load(Ordering::Relaxed).saturating_sub(done)
    }

    /// Rows that are not known to be written.
    pub fn missing(&self) -> u64 {
        let handed = self.handed.load(Ordering::Relaxed);
        self.refused.load(Ordering::Relaxed) + handed.saturating_sub(self.written.load(Ordering::Relaxed))
    }
}

/// Sends `item`. At the end of the run it waits for room as long as `patience` lasts. Returns the item if it found none.
pub(crate) fn send<T>(
    queue: &SyncSender<T>,
    mut item: T,
    patience: &Patience,
    progress: &Progress,
    limit: Limit,
) -> Option<T> {
    loop {
        item = match queue.try_send(item) {
            Ok(()) => return None,
            Err(TrySendError::Disconnected(i)) => return Some(i),
            Err(TrySendError::Full(i)) => i,
        };
        if !patience.lasts(progress, limit) {
            return Some(item);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits for a thread as long as `patience` lasts. False: the thread still runs, and will end with the process.
pub(crate) fn ended(thread: &JoinHandle<()>, patience: &Patience, progress: &Progress, limit: Limit) -> bool {
    while !thread.is_finished() {
        if !patience.lasts(progress, limit) {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

/// What became of one log's rows on the way to the thread that writes them.
pub struct LogCount {
    /// The log's name.
    pub path: &'static str,
    rows: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

impl LogCount {
    /// Rows that the thread was given.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of these.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows that found no room in its queue.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The counts of all logs that have had a row. Locked when an outbox has its first row of a log, and by who reads them.
#[derive(Clone, Default)]
struct LogCounts(Arc<Mutex<Vec<Arc<LogCount>>>>);

impl LogCounts {
    fn of(&self, path: &'static str) -> Arc<LogCount> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.iter().find(|c| c.path == path) {
            return count.clone();
        }
        let count = Arc::new(LogCount {
            path,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        all.push(count.clone());
        count
    }

    fn all(&self) -> Vec<Arc<LogCount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Rows of one log, as text.
struct Batch {
    path: &'static str,
    columns: &'static [Column],
    count: Arc<LogCount>,
    format: LogFormat,
    bytes: Vec<u8>,
    rows: u64,
    /// Of conn.log: how many rows of its outbox are on disk once it is.
    upto: Option<(Arc<AtomicU64>, u64)>,
}

impl Batch {
    /// What the connections had sent of which these are the rows.
    fn traffic(&self) -> Traffic {
        traffic_of(self.path, self.columns, self.format, &self.bytes)
    }
}

/// The log whose rows an outbox counts, so that somebody can wait for them.
const COUNTED: &str = "conn";

/// A message to the thread of the log files.
enum ToLogs {
    Rows(Batch),
    /// Look at the flags.
    Wake,
}

/// How an output ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputEnd {
    /// All rows were written but this many.
    Lost(u64),
    /// The output takes nothing; this many rows were not written.
    Stuck(u64),
}

/// What the thread of the log files is asked to do.
#[derive(Default)]
struct Asked {
    reopen: AtomicBool,
    rotate: AtomicBool,
    upkeep: Latest<(Rotation, LogSync)>,
}

/// The thread that writes the log files.
pub struct LogThread {
    style: LogStyle,
    queue: SyncSender<ToLogs>,
    asked: Arc<Asked>,
    account: Arc<Account>,
    counts: LogCounts,
    patience: Patience,
    thread: JoinHandle<()>,
}

impl LogThread {
    /// Starts the thread. It calls `begin` first, whose error is returned here, and flushes the files each `refresh`. A
    /// directory that takes nothing for some seconds is not waited for.
    pub fn start(
        mut writer: LogWriter,
        refresh: Duration,
        patience: Patience,
        begin: impl FnOnce(&mut LogWriter) -> Result<(), LogError> + Send + 'static,
    ) -> Result<Self, LogError> {
        let (queue, told) = sync_channel(MAX_QUEUED_BATCHES);
        let (account, asked) = (Arc::<Account>::default(), Arc::<Asked>::default());
        let style = writer.style().clone();
        let (begun, result) = channel();
        let (counts, told_to) = (account.clone(), asked.clone());
        let thread = std::thread::Builder::new()
            .name("logs".into())
            .spawn(move || {
                begin_thread("logs", Part::Logs);
                if let Err(SendError(Err(e))) = begun.send(begin(&mut writer)) {
                    // The start did not wait for this; each row tries again.
                    tracing::warn!("{e}");
                }
                write_logs(writer, &told, refresh, &told_to, &counts);
            })
            .map_err(LogError::Thread)?;
        match result.recv_timeout(START_PATIENCE) {
            Ok(begun) => begun?,
            Err(_) => {
                tracing::warn!("the log directory takes nothing; rows wait, and are lost when too many do")
            }
        }
        Ok(LogThread {
            style,
            queue,
            asked,
            account,
            counts: LogCounts::default(),
            patience,
            thread,
        })
    }

    /// An outbox for another thread's rows.
    pub fn outbox(&self) -> LogOutbox {
        LogOutbox {
            style: self.style.clone(),
            queue: self.queue.clone(),
            account: self.account.clone(),
            counts: self.counts.clone(),
            patience: self.patience.clone(),
            logs: Vec::new(),
            counted: 0,
            safe: Arc::default(),
        }
    }

    /// Makes the thread reopen files that were moved away: [`LogWriter::reopen`].
    pub fn reopen(&self) {
        self.ask(&self.asked.reopen);
    }

    /// Makes the thread rotate the logs: [`LogWriter::rotate`].
    pub fn rotate(&self) {
        self.ask(&self.asked.rotate);
    }

    /// When logs are rotated and made durable is something else from now on.
    pub fn set_upkeep(&self, rotation: Rotation, sync: LogSync) {
        self.asked.upkeep.put((rotation, sync));
        self.wake();
    }

    fn ask(&self, what: &AtomicBool) {
        what.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // A full queue wakes it just as well.
        let _ = self.queue.try_send(ToLogs::Wake);
    }

    /// Rows lost so far.
    pub fn lost(&self) -> u64 {
        self.account.lost()
    }

    /// Rows of these that found no room in the queue. The thread itself reports the others.
    pub fn refused(&self) -> u64 {
        self.account.refused.load(Ordering::Relaxed)
    }

    /// Rows of these that the disk did not take.
    pub fn unwritten(&self) -> u64 {
        self.account.unwritten.load(Ordering::Relaxed)
    }

    /// What the connections had sent whose rows are lost.
    pub fn lost_traffic(&self) -> Traffic {
        self.account.traffic.now()
    }

    /// Rows that wait to be written.
    pub fn queued(&self) -> u64 {
        self.account.queued()
    }

    /// The counts of each log that has had a row.
    pub fn counts(&self) -> Vec<Arc<LogCount>> {
        self.counts.all()
    }

    /// Ends the files, once all outboxes are dropped.
    pub fn finish(self) -> OutputEnd {
        drop(self.queue);
        self.patience.begin();
        let account = &self.account;
        if ended(&self.thread, &self.patience, &account.progress, FILES_LIMIT) && self.thread.join().is_ok() {
            let Traffic { packets, bytes } = account.traffic.now();
            if packets > 0 {
                tracing::warn!("the lost rows of conn.log are of {packets} packets with {bytes} IP bytes");
            }
            return OutputEnd::Lost(account.lost());
        }
        OutputEnd::Stuck(account.missing())
    }
}

fn write_logs(
    mut writer: LogWriter,
    told: &Receiver<ToLogs>,
    refresh: Duration,
    asked: &Asked,
    account: &Account,
) {
    let mut next = Instant::now() + refresh;
    let mut unwritten = Traffic::default();
    let mut unsafe_yet: Vec<(Arc<AtomicU64>, u64)> = Vec::new();
    let mut going_on = true;
    while going_on {
        let flush = next.saturating_duration_since(Instant::now());
        match told.recv_timeout(writer.until_rotation().map_or(flush, |r| r.min(flush))) {
            Ok(ToLogs::Rows(b)) => {
                writer.append(b.path, b.columns, b.format, &b.bytes, b.rows);
                unsafe_yet.extend(b.upto);
            }
            Ok(ToLogs::Wake) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => going_on = false,
        }
        if let Some((rotation, sync)) = asked.upkeep.take() {
            writer.set_upkeep(rotation, sync);
        }
        if asked.reopen.swap(false, Ordering::Acquire) {
            writer.reopen();
        }
        if asked.rotate.swap(false, Ordering::Acquire) {
            writer.rotate();
        }
        if !going_on {
            writer.close();
        } else if Instant::now() >= next {
            writer.flush();
            next = Instant::now() + refresh;
            for (safe, upto) in unsafe_yet.drain(..) {
                safe.fetch_max(upto, Ordering::Release);
            }
        }
        if going_on {
            writer.keep_up();
        }
        account.written.store(writer.written(), Ordering::Relaxed);
        account.unwritten.store(writer.lost(), Ordering::Relaxed);
        let now = writer.lost_traffic();
        if now != unwritten {
            account.traffic.add(now.since(unwritten));
            unwritten = now;
        }
        account.progress.made();
    }
}

/// One thread's rows for the log files.
pub struct LogOutbox {
    style: LogStyle,
    queue: SyncSender<ToLogs>,
    account: Arc<Account>,
    counts: LogCounts,
    patience: Patience,
    /// A batch for each log that has had a row, and each format.
    logs: Vec<Batch>,
    /// Rows of conn.log so far.
    counted: u64,
    /// How many of them are on disk, or known to be lost.
    safe: Arc<AtomicU64>,
}

impl LogOutbox {
    /// Adds a row.
    pub fn row(&mut self, row: &dyn LogRow) {
        self.counted += u64::from(row.path() == COUNTED);
        for format in self.style.formats.all() {
            self.add(row, *format);
        }
    }

    /// Rows of conn.log so far.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// How many of them are on disk, or known to be lost.
    pub fn safe(&self) -> u64 {
        self.safe.load(Ordering::Acquire)
    }

    fn add(&mut self, row: &dyn LogRow, format: LogFormat) {
        let path = row.path();
        let i = match self
            .logs
            .iter()
            .position(|b| b.path == path && b.format == format)
        {
            Some(i) => i,
            None => {
                self.logs.push(Batch {
                    path,
                    columns: row.columns(),
                    count: self.counts.of(path),
                    format,
                    bytes: Vec::new(),
                    rows: 0,
                    upto: None,
                });
                self.logs.len() - 1
            }
        };
        let batch = &mut self.logs[i];
        write_row(format, &self.style.tags, row, &mut batch.bytes);
        batch.rows += 1;
        // One format is enough to know by.
        if path == COUNTED && self.style.formats.all().first() == Some(&format) {
            batch.upto = Some((self.safe.clone(), self.counted));
        }
        if batch.bytes.len() >= BATCH_BYTES {
            hand_over(batch, &self.queue, &self.account, &self.patience);
        }
    }

    /// Hands over all that was gathered.
    pub fn flush(&mut self) {
        for batch in self.logs.iter_mut().filter(|b| b.rows > 0) {
            hand_over(batch, &self.queue, &self.account, &self.patience);
        }
    }
}

impl Drop for LogOutbox {
    fn drop(&mut self) {
        // Of a thread that failed: what it had is written all the same.
        self.flush();
        for left in &self.logs {
            Account::add(&self.account.refused, left.rows);
            Account::add(&left.count.refused, left.rows);
            self.account.traffic.add(left.traffic());
        }
    }
}

fn hand_over(batch: &mut Batch, queue: &SyncSender<ToLogs>, account: &Account, patience: &Patience) {
    // Room for as much again.
    let bytes = Vec::with_capacity(batch.bytes.len());
    let rows = std::mem::take(&mut batch.rows);
    let len = batch.bytes.len() as u64;
    let full = ToLogs::Rows(Batch {
        path: batch.path,
        columns: batch.columns,
        count: batch.count.clone(),
        format: batch.format,
        bytes: std::mem::replace(&mut batch.bytes, bytes),
        rows,
        upto: batch.upto.take(),
    });
    match send(queue, full, patience, &account.progress, FILES_LIMIT) {
        Some(ToLogs::Rows(mut refused)) => {
            if patience.began() || refused.bytes.len() >= MAX_GATHERED_BYTES {
                Account::add(&account.refused, refused.rows);
                Account::add(&batch.count.refused, refused.rows);
                account.traffic.add(refused.traffic());
                refused.bytes.clear();
                refused.rows = 0;
            }
            *batch = refused;
        }
        _ => {
            Account::add(&account.handed, rows);
            Account::add(&batch.count.rows, rows);
            Account::add(&batch.count.bytes, len);
        }
    }
}

/// A message to the thread of standard output.
enum Print {
    /// Lines to print, and how many.
    Lines(Vec<u8>, u64),
    /// The line below them, on a terminal.
    Status(String),
}

/// The thread that prints.
pub struct PrintThread {
    queue: SyncSender<Print>,
    account: Arc<Account>,
    patience: Patience,
    thread: JoinHandle<()>,
}

impl PrintThread {
    /// Starts a thread that prints to `out`, lines above a status line if there is one.
    pub fn start(out: impl Write + Send + 'static, patience: Patience) -> io::Result<Self> {
        let (queue, texts) = sync_channel(MAX_QUEUED_PRINTS);
        let account = Arc::<Account>::default();
        let counts = account.clone();
        Ok(PrintThread {
            queue,
            account,
            patience,
            thread: std::thread::Builder::new()
                .name("print".into())
                .spawn(move || print(out, &texts, &counts))?,
        })
    }

    /// An outbox for another thread's lines.
    pub fn outbox(&self) -> PrintOutbox {
        PrintOutbox {
            queue: self.queue.clone(),
            account: self.account.clone(),
            patience: self.patience.clone(),
            lines: Vec::new(),
            n: 0,
        }
    }

    /// Rows that wait to be printed.
    pub fn queued(&self) -> u64 {
        self.account.queued()
    }

    /// Draws the status line; an empty one removes it.
    pub fn status(&self, line: String) {
        // The next one has newer numbers.
        let _ = self.queue.try_send(Print::Status(line));
    }

    /// Prints what is left, once all outboxes are dropped.
    pub fn finish(self) -> OutputEnd {
        drop(self.queue);
        self.patience.begin();
        let account = &self.account;
        if ended(&self.thread, &self.patience, &account.progress, TERMINAL_LIMIT) {
            return OutputEnd::Lost(account.lost());
        }
        OutputEnd::Stuck(account.missing())
    }
}

fn print(mut out: impl Write, texts: &Receiver<Print>, account: &Account) {
    const CLEAR: &str = "\r\x1b[K";
    let mut status = String::new();
    while let Ok(text) = texts.recv() {
        let n = match &text {
            Print::Lines(_, n) => *n,
            Print::Status(_) => 0,
        };
        // The reader may be gone; the logs are what counts.
        let _ = match text {
            Print::Lines(lines, _) if status.is_empty() => out.write_all(&lines),
            Print::Lines(lines, _) => out
                .write_all(CLEAR.as_bytes())
                .and_then(|()| out.write_all(&lines))
                .and_then(|()| out.write_all(status.as_bytes())),
            Print::Status(line) => {
                status = line;
                out.write_all(CLEAR.as_bytes())
                    .and_then(|()| out.write_all(status.as_bytes()))
            }
        };
        let _ = out.flush();
        Account::add(&account.written, n);
        account.progress.made();
    }
}

/// One thread's lines for standard output.
pub struct PrintOutbox {
    queue: SyncSender<Print>,
    account: Arc<Account>,
    patience: Patience,
    lines: Vec<u8>,
    n: u64,
}

impl PrintOutbox {
    /// Adds a line.
    pub fn line(&mut self, line: &str) {
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        self.n += 1;
        if self.lines.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Hands over what was gathered.
    pub fn flush(&mut self) {
        if self.n == 0 {
            return;
        }
        let n = std::mem::take(&mut self.n);
        let lines = Print::Lines(std::mem::take(&mut self.lines), n);
        let progress = &self.account.progress;
        match send(&self.queue, lines, &self.patience, progress, TERMINAL_LIMIT) {
            Some(_) => Account::add(&self.account.refused, n),
            None => Account::add(&self.account.handed, n),
        }
    }
}

#[cfg(test)]
mod tests;
