//! All logs as one stream of JSON lines, which begin with the log's name: to standard output, a Unix socket, or a syslog.
//!
//! Each stream has a thread and a bounded queue. One that takes nothing, or whose reader is gone, costs lines; they are counted.
//! The rows are in the log files all the same.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::log::{LogFormat, LogTags, write_row};
use super::now_and_then::{Growing, NowAndThen};
use super::outbox::{Account, ended, send};
use super::patience::{Limit, Patience};
use super::stream::WhenFull;
use crate::event::log::LogRow;
use line::{Failure, Line};
pub use target::{FeedTarget, NoTarget};

mod line;
mod target;

/// Bytes that are gathered before they are handed over.
const BATCH_BYTES: usize = 64 * 1024;
/// Batches that may wait for a stream: 64 MiB of full ones.
const MAX_QUEUED_BATCHES: usize = 1024;
/// Time until a reader that is gone is looked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long the end waits for a stream.
const LIMIT: Limit = Limit {
    stuck: Duration::from_secs(3),
    slow: Duration::from_secs(8),
};

/// Lines that several streams may share, and how many.
type Lines = (Arc<Vec<u8>>, u64);

/// The thread of a stream, and what became of its lines.
struct Feed {
    target: FeedTarget,
    queue: SyncSender<Lines>,
    account: Arc<Account>,
    thread: JoinHandle<()>,
    /// Lost lines that were reported so far.
    said: RefCell<Growing>,
}

/// All streams of rows.
pub struct Feeds {
    feeds: Vec<Feed>,
    tags: LogTags,
    when_full: WhenFull,
    patience: Patience,
}

impl Feeds {
    /// Starts a thread for each target. `system`: the sensor's name, which each line has then. A reader that is too slow is
    /// waited for or not as `when_full` says; one that is gone is looked for again only by who does not wait.
    pub fn start(
        targets: &[FeedTarget],
        system: Option<Arc<str>>,
        when_full: WhenFull,
        patience: Patience,
    ) -> io::Result<Feeds> {
        let tags = LogTags { path: true, system };
        let start = |target: &FeedTarget| {
            let (queue, lines) = sync_channel(MAX_QUEUED_BATCHES);
            let account = Arc::<Account>::default();
            let (line, counts) = (Line::new(target.clone(), tags.system.as_deref()), account.clone());
            let patience = patience.clone();
            let thread = std::thread::Builder::new().name("feed".into());
            Ok(Feed {
                target: target.clone(),
                queue,
                account,
                said: RefCell::default(),
                thread: thread.spawn(move || write_lines(line, &lines, &counts, when_full, &patience))?,
            })
        };
        let feeds = targets.iter().map(start).collect::<io::Result<_>>()?;
        Ok(Feeds {
            feeds,
            tags,
            when_full,
            patience,
        })
    }

    /// An outbox for another thread's rows; None: there is no stream.
    pub fn outbox(&self) -> Option<FeedOutbox> {
        let queues = self.feeds.iter().map(|f| (f.queue.clone(), f.account.clone()));
        (!self.feeds.is_empty()).then(|| FeedOutbox {
            queues: queues.collect(),
            tags: self.tags.clone(),
            when_full: self.when_full,
            patience: self.patience.clone(),
            lines: Vec::new(),
            n: 0,
        })
    }

    /// Lines lost so far, all streams together.
    pub fn lost(&self) -> u64 {
        self.feeds.iter().map(|f| f.account.lost()).sum()
    }

    /// Reports from time to time that lines are being lost.
    pub fn complain(&self) {
        for f in &self.feeds {
            let lost = f.account.lost();
            if f.said.borrow_mut().is_due(lost) {
                tracing::warn!("{lost} rows are lost so far that were to go to {}", f.target);
            }
        }
    }

    /// Writes what is left, once all outboxes are dropped, and says what was lost. Returns the number of lines lost.
    pub fn finish(self) -> u64 {
        self.patience.begin();
        let mut all = 0;
        for f in self.feeds {
            drop(f.queue);
            let is_done = match self.when_full {
                WhenFull::Drop => ended(&f.thread, &self.patience, &f.account.progress, LIMIT),
                WhenFull::Wait => f.thread.join().is_ok(),
            };
            let lost = match is_done {
                true => f.account.lost(),
                false => f.account.missing(),
            };
            match (is_done, lost) {
                (true, 0) => {}
                (true, n) => tracing::warn!("{n} rows did not go to {}", f.target),
                (false, n) => tracing::warn!("{} takes nothing: {n} rows did not go there", f.target),
            }
            all += lost;
        }
        all
    }
}

/// One thread's rows for all streams.
pub struct FeedOutbox {
    queues: Vec<(SyncSender<Lines>, Arc<Account>)>,
    tags: LogTags,
    when_full: WhenFull,
    patience: Patience,
    lines: Vec<u8>,
    n: u64,
}

impl FeedOutbox {
    /// Adds a row.
    pub fn row(&mut self, row: &dyn LogRow) {
        write_row(LogFormat::Json, &self.tags, row, &mut self.lines);
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
        let lines = Arc::new(std::mem::take(&mut self.lines));
        for (queue, account) in &self.queues {
            let of = (lines.clone(), n);
            let refused = match self.when_full {
                WhenFull::Drop => send(queue, of, &self.patience, &account.progress, LIMIT),
                WhenFull::Wait => queue.send(of).err().map(|SendError(of)| of),
            };
            match refused {
                Some(_) => Account::add(&account.refused, n),
                None => Account::add(&account.handed, n),
            }
        }
    }
}

impl Drop for FeedOutbox {
    fn drop(&mut self) {
        // Of a thread that failed: what it had goes out all the same.
        self.flush();
    }
}

fn write_lines(
    mut line: Line,
    lines: &Receiver<Lines>,
    account: &Account,
    when_full: WhenFull,
    patience: &Patience,
) {
    let mut said = NowAndThen::default();
    // Failures since something was taken.
    let mut failures = 0;
    while let Ok((text, _)) = lines.recv() {
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let (taken, failed) = line.write(rest);
            rest = rest.get(taken.bytes..).unwrap_or_default();
            Account::add(&account.written, taken.lines);
            if taken.bytes > 0 {
                account.progress.made();
                if failures > 1 {
                    tracing::info!("{} takes rows again", line.target());
                }
                failures = 0;
            }
            match failed {
                None => {}
                Some(Failure::TooLong) => Account::add(&account.unwritten, 1),
                Some(Failure::Gone(e)) => {
                    failures += 1;
                    if said.is_due() {
                        match when_full {
                            WhenFull::Drop => tracing::warn!(
                                "{}: {e}; rows wait, and are lost when too many do",
                                line.target()
                            ),
                            WhenFull::Wait => tracing::warn!("{}: {e}", line.target()),
                        }
                    }
                    // One that has just gone may be there again.
                    if failures > 1 && (patience.began() || when_full == WhenFull::Wait) {
                        let left = rest.iter().filter(|b| **b == b'\n').count();
                        Account::add(&account.unwritten, left as u64);
                        break;
                    }
                    if failures > 1 {
                        std::thread::sleep(AGAIN_AFTER);
                    }
                }
            }
        }
        account.progress.made();
    }
}

#[cfg(test)]
mod tests;
