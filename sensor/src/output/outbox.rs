//! Between the threads that have rows and the threads that write them.
//!
//! Rows are formatted where they arise, into buffers that are that thread's alone; full or old ones go through a
//! bounded queue to the output's thread. So workers share no lock, and an output that is stuck holds up nobody: what
//! finds no room in its queue is lost and counted. At the end, and only then, handing over waits for a while.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::log::{Format, LogWriter, write_row};
use crate::event::log::{Column, LogRow};

/// Bytes of a log that are gathered before they are handed over.
const BATCH: usize = 64 * 1024;
/// Batches that may wait for the log files: 64 MiB of full ones.
const LOG_QUEUE: usize = 1024;
/// A batch that finds no room goes on being gathered up to so many bytes, before its rows are lost.
const MOST_GATHERED: usize = 1 << 20;
/// Pieces of text that may wait for the terminal.
const PRINT_QUEUE: usize = 256;
/// Between two looks at a full queue, at the end.
const NAP: Duration = Duration::from_millis(1);

/// Sends `item`, waiting for room until `deadline` if there is one; what was refused.
fn send<T>(queue: &SyncSender<T>, mut item: T, deadline: Option<Instant>) -> Option<T> {
    loop {
        item = match queue.try_send(item) {
            Ok(()) => return None,
            Err(TrySendError::Disconnected(i)) => return Some(i),
            Err(TrySendError::Full(i)) => i,
        };
        if deadline.is_none_or(|d| Instant::now() >= d) {
            return Some(item);
        }
        std::thread::sleep(NAP);
    }
}

/// Waits for a thread until `deadline`; None: it goes on, and ends with the process.
fn join<T>(thread: JoinHandle<T>, deadline: Instant) -> Option<T> {
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(NAP);
    }
    thread.join().ok()
}

/// Rows of one log, as text.
struct Batch {
    path: &'static str,
    columns: &'static [Column],
    bytes: Vec<u8>,
    rows: u64,
}

/// Rows that did not get into their files.
#[derive(Default)]
struct Lost {
    /// Found no room in the queue.
    refused: AtomicU64,
    /// The disk did not take them.
    unwritten: AtomicU64,
}

/// The thread that writes the log files.
pub struct LogThread {
    format: Format,
    queue: SyncSender<Batch>,
    lost: Arc<Lost>,
    thread: JoinHandle<u64>,
}

impl LogThread {
    /// Has a thread of its own write what comes; files are flushed each `refresh`.
    pub fn start(writer: LogWriter, refresh: Duration) -> io::Result<Self> {
        let (queue, batches) = sync_channel(LOG_QUEUE);
        let lost = Arc::<Lost>::default();
        let (format, counts) = (writer.format(), lost.clone());
        let thread = std::thread::Builder::new()
            .name("logs".into())
            .spawn(move || write_logs(writer, &batches, refresh, &counts))?;
        Ok(LogThread {
            format,
            queue,
            lost,
            thread,
        })
    }

    /// Where another thread puts its rows.
    pub fn outbox(&self) -> LogOutbox {
        LogOutbox {
            format: self.format,
            queue: self.queue.clone(),
            lost: self.lost.clone(),
            logs: Vec::new(),
        }
    }

    /// Rows lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.refused.load(Ordering::Relaxed) + self.lost.unwritten.load(Ordering::Relaxed)
    }

    /// Ends the files, once all outboxes are dropped; rows lost in all. None: the files are stuck, and nobody knows.
    pub fn finish(self, deadline: Instant) -> Option<u64> {
        drop(self.queue);
        let unwritten = join(self.thread, deadline)?;
        Some(unwritten + self.lost.refused.load(Ordering::Relaxed))
    }
}

fn write_logs(mut writer: LogWriter, batches: &Receiver<Batch>, refresh: Duration, lost: &Lost) -> u64 {
    let mut next = Instant::now() + refresh;
    loop {
        match batches.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(b) => writer.append(b.path, b.columns, &b.bytes, b.rows),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return writer.close(),
        }
        if Instant::now() >= next {
            writer.flush();
            lost.unwritten.store(writer.lost(), Ordering::Relaxed);
            next = Instant::now() + refresh;
        }
    }
}

/// One thread's rows for the log files.
pub struct LogOutbox {
    format: Format,
    queue: SyncSender<Batch>,
    lost: Arc<Lost>,
    /// A batch for each log that has had a row.
    logs: Vec<Batch>,
}

impl LogOutbox {
    /// Adds a row.
    pub fn row(&mut self, row: &dyn LogRow, deadline: Option<Instant>) {
        let path = row.path();
        let i = match self.logs.iter().position(|b| b.path == path) {
            Some(i) => i,
            None => {
                self.logs.push(Batch {
                    path,
                    columns: row.columns(),
                    bytes: Vec::new(),
                    rows: 0,
                });
                self.logs.len() - 1
            }
        };
        let batch = &mut self.logs[i];
        write_row(self.format, row, &mut batch.bytes);
        batch.rows += 1;
        if batch.bytes.len() >= BATCH {
            hand_over(batch, &self.queue, &self.lost, deadline);
        }
    }

    /// Hands over all that was gathered.
    pub fn flush(&mut self, deadline: Option<Instant>) {
        for batch in self.logs.iter_mut().filter(|b| b.rows > 0) {
            hand_over(batch, &self.queue, &self.lost, deadline);
        }
    }
}

impl Drop for LogOutbox {
    fn drop(&mut self) {
        // Of a thread that failed: what it had is written all the same.
        self.flush(None);
        let left = self.logs.iter().map(|b| b.rows).sum();
        self.lost.refused.fetch_add(left, Ordering::Relaxed);
    }
}

fn hand_over(batch: &mut Batch, queue: &SyncSender<Batch>, lost: &Lost, deadline: Option<Instant>) {
    // Room for as much again.
    let bytes = Vec::with_capacity(batch.bytes.len());
    let full = Batch {
        path: batch.path,
        columns: batch.columns,
        bytes: std::mem::replace(&mut batch.bytes, bytes),
        rows: std::mem::take(&mut batch.rows),
    };
    if let Some(refused) = send(queue, full, deadline) {
        if deadline.is_none() && refused.bytes.len() < MOST_GATHERED {
            *batch = refused;
            return;
        }
        lost.refused.fetch_add(refused.rows, Ordering::Relaxed);
        batch.bytes = refused.bytes;
        batch.bytes.clear();
    }
}

/// What the thread of standard output is told.
enum Print {
    /// Lines to print, and how many.
    Lines(Vec<u8>, u64),
    /// The line below them, on a terminal.
    Status(String),
}

/// The thread that prints.
pub struct PrintThread {
    queue: SyncSender<Print>,
    refused: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl PrintThread {
    /// Has a thread of its own print to `out`, lines above a status line if there is one.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, texts) = sync_channel(PRINT_QUEUE);
        Ok(PrintThread {
            queue,
            refused: Arc::default(),
            thread: std::thread::Builder::new()
                .name("print".into())
                .spawn(move || print(out, &texts))?,
        })
    }

    /// Where another thread puts its lines.
    pub fn outbox(&self) -> PrintOutbox {
        PrintOutbox {
            queue: self.queue.clone(),
            refused: self.refused.clone(),
            lines: Vec::new(),
            n: 0,
        }
    }

    /// Draws the status line; an empty one removes it.
    pub fn status(&self, line: String) {
        // The next one has newer numbers.
        let _ = self.queue.try_send(Print::Status(line));
    }

    /// Prints what is left, once all outboxes are dropped; lines that found no room, None if the reader does not read.
    pub fn finish(self, deadline: Instant) -> Option<u64> {
        drop(self.queue);
        join(self.thread, deadline)?;
        Some(self.refused.load(Ordering::Relaxed))
    }
}

fn print(mut out: impl Write, texts: &Receiver<Print>) {
    const CLEAR: &str = "\r\x1b[K";
    let mut status = String::new();
    while let Ok(text) = texts.recv() {
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
    }
}

/// One thread's lines for standard output.
pub struct PrintOutbox {
    queue: SyncSender<Print>,
    refused: Arc<AtomicU64>,
    lines: Vec<u8>,
    n: u64,
}

impl PrintOutbox {
    /// Adds a line.
    pub fn line(&mut self, line: &str, deadline: Option<Instant>) {
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        self.n += 1;
        if self.lines.len() >= BATCH {
            self.flush(deadline);
        }
    }

    /// Hands over what was gathered.
    pub fn flush(&mut self, deadline: Option<Instant>) {
        if self.n == 0 {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        let n = std::mem::take(&mut self.n);
        if let Some(Print::Lines(_, n)) = send(&self.queue, Print::Lines(lines, n), deadline) {
            self.refused.fetch_add(n, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
