//! Extracted files: what traffic carried, each in a file of its own.
//!
//! Who has bytes gathers them; one thread a run writes them, so a slow disk holds up nobody. What waits between them is
//! bounded in bytes. Offline who has more waits; live the file is cut off, which is counted. No file is written over. Few
//! are open at a time, however many are under way. A write that fails ends that file and no other.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::now_and_then::{Growing, NowAndThen};
use super::open_files::open_files;
use super::outbox::ended;
use super::patience::{Limit, Patience, Progress};
use super::stream::WhenFull;
use crate::file::api::{Part, Target};

/// Most bytes that wait for the thread, all who have some together.
const MAX_WAITING: u64 = 64 << 20;
/// What a part costs beside its bytes.
const OVERHEAD: u64 = 64;
/// Bytes that are gathered before they are handed over.
const BATCH_BYTES: usize = 64 * 1024;
/// Parts that are gathered before they are handed over.
const BATCH_PARTS: usize = 1024;
/// Most files open at a time.
const MAX_OPEN_FILES: usize = 256;
/// Only who runs the sensor may read what others sent.
const MODE: u32 = 0o600;
/// Time between two looks at whether there is room again.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long the end of a live run waits for the disk.
const DISK_LIMIT: Limit = Limit {
    stuck: Duration::from_secs(5),
    slow: Duration::from_secs(60),
};

/// What waits for the thread, and what became of files.
#[derive(Debug, Default)]
struct Account {
    /// Bytes that wait, with [`OVERHEAD`] for each part.
    waiting: AtomicU64,
    /// Files that were cut off because too much waited.
    refused: AtomicU64,
    /// Files that could not be written.
    failed: AtomicU64,
    progress: Progress,
}

impl Account {
    /// Room for a part that costs so much.
    fn reserve(&self, cost: u64) -> bool {
        let before = self.waiting.fetch_add(cost, Ordering::Relaxed);
        let is_room = before.saturating_add(cost) <= MAX_WAITING;
        if !is_room {
            self.waiting.fetch_sub(cost, Ordering::Relaxed);
        }
        is_room
    }
}

/// How the extracted files of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtractEnd {
    /// All that was taken was written, but for this many files.
    Failed(u64),
    /// The directory takes nothing; so many bytes wait for it.
    Stuck(u64),
}

/// The thread that writes extracted files.
#[derive(Debug)]
pub struct ExtractThread {
    queue: Sender<Batch>,
    account: Arc<Account>,
    when_full: WhenFull,
    patience: Patience,
    thread: JoinHandle<()>,
    /// Files of [`Account::refused`] that were reported.
    said: Growing,
}

impl ExtractThread {
    /// Starts the thread for files in `dir`, which is made if it does not exist. It is an error if no file can be made
    /// there.
    pub fn start(dir: &Path, when_full: WhenFull, patience: Patience) -> io::Result<ExtractThread> {
        fs::create_dir_all(dir)?;
        is_writable(dir)?;
        let (queue, batches) = channel();
        let account = Arc::<Account>::default();
        let limit = open_files().map_or(MAX_OPEN_FILES, |n| MAX_OPEN_FILES.min(n / 8));
        let writer = Writer::new(dir, limit, account.clone());
        let builder = std::thread::Builder::new().name("extract".into());
        Ok(ExtractThread {
            queue,
            account,
            when_full,
            patience,
            thread: builder.spawn(move || writer.run(&batches))?,
            said: Growing::default(),
        })
    }

    /// Bytes of files that wait to be written.
    pub fn queued(&self) -> u64 {
        self.account.waiting.load(Ordering::Relaxed)
    }

    /// An outbox for another thread's files.
    pub fn outbox(&self) -> ExtractOutbox {
        ExtractOutbox {
            queue: self.queue.clone(),
            account: self.account.clone(),
            when_full: self.when_full,
            patience: self.patience.clone(),
            batch: Batch::default(),
        }
    }

    /// Reports from time to time that files are being cut off because the disk is slow.
    pub fn complain(&mut self) {
        let refused = self.account.refused.load(Ordering::Relaxed);
        if self.said.is_due(refused) {
            Self::say_refused(refused);
        }
    }

    fn say_refused(refused: u64) {
        tracing::warn!("{refused} extracted files are cut off so far: their directory takes too little");
    }

    /// Ends it, once all outboxes are dropped.
    pub fn finish(self) -> ExtractEnd {
        let refused = self.account.refused.load(Ordering::Relaxed);
        if refused > self.said.said() {
            Self::say_refused(refused);
        }
        drop(self.queue);
        let account = &self.account;
        if self.when_full == WhenFull::Drop {
            self.patience.begin();
            if !ended(&self.thread, &self.patience, &account.progress, DISK_LIMIT) {
                return ExtractEnd::Stuck(account.waiting.load(Ordering::Relaxed));
            }
        }
        match self.thread.join() {
            Ok(()) => ExtractEnd::Failed(account.failed.load(Ordering::Relaxed)),
            Err(_) => ExtractEnd::Stuck(account.waiting.load(Ordering::Relaxed)),
        }
    }
}

/// An error if no file can be made in a directory. A file without a name shows it and leaves nothing behind.
fn is_writable(dir: &Path) -> io::Result<()> {
    let mut how = OpenOptions::new();
    let made = how.write(true).custom_flags(libc::O_TMPFILE).mode(MODE).open(dir);
    match made.map_err(|e| (e.raw_os_error(), e)) {
        Ok(_) => Ok(()),
        // Not every file system has these: then the first file shows it.
        Err((Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOENT), _)) => Ok(()),
        Err((_, e)) => Err(e),
    }
}

/// Parts of files on their way.
#[derive(Debug, Default)]
struct Batch {
    /// The bytes of all parts.
    bytes: Vec<u8>,
    parts: Vec<Waiting>,
}

/// A part of a file on its way.
#[derive(Debug)]
struct Waiting {
    target: Arc<Target>,
    at: u64,
    /// Its share of the batch's bytes.
    len: usize,
    is_last: bool,
    /// What it was accounted with.
    cost: u64,
}

impl Batch {
    fn add(&mut self, target: &Arc<Target>, at: u64, bytes: &[u8], cost: u64) {
        self.bytes.extend_from_slice(bytes);
        // A file that comes in one go is written in one go.
        if let Some(last) = self.parts.last_mut()
            && Arc::ptr_eq(&last.target, target)
            && last.at.checked_add(last.len as u64) == Some(at)
        {
            last.len += bytes.len();
            last.cost += cost;
            return;
        }
        self.parts.push(Waiting {
            target: target.clone(),
            at,
            len: bytes.len(),
            is_last: false,
            cost,
        });
    }
}

/// One thread's files.
#[derive(Debug)]
pub struct ExtractOutbox {
    queue: Sender<Batch>,
    account: Arc<Account>,
    when_full: WhenFull,
    patience: Patience,
    batch: Batch,
}

impl ExtractOutbox {
    /// Takes a part of a file. False: it is not written, and nothing that comes after it.
    pub fn part(&mut self, target: &Arc<Target>, part: Part<'_>) -> bool {
        match part {
            Part::Bytes { .. } if target.failed_at().is_some() => return false,
            Part::Bytes { at, bytes } => {
                let cost = OVERHEAD + bytes.len() as u64;
                if !self.reserve(cost) {
                    self.account.refused.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
                self.batch.add(target, at, bytes, cost);
            }
            // There is always room for that: there are no more ends than files of which parts were taken.
            Part::End => self.batch.parts.push(Waiting {
                target: target.clone(),
                at: 0,
                len: 0,
                is_last: true,
                cost: 0,
            }),
        }
        if self.batch.bytes.len() >= BATCH_BYTES || self.batch.parts.len() >= BATCH_PARTS {
            self.flush();
        }
        true
    }

    /// Room for a part; offline, and at the end, it is waited for.
    fn reserve(&mut self, cost: u64) -> bool {
        while !self.account.reserve(cost) {
            // What is gathered here waits, too.
            self.flush();
            let waits =
                self.when_full == WhenFull::Wait || self.patience.lasts(&self.account.progress, DISK_LIMIT);
            if !waits {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// Hands over what was gathered.
    pub fn flush(&mut self) {
        if !self.batch.parts.is_empty() {
            // The thread ends after all who could send something.
            let _ = self.queue.send(std::mem::take(&mut self.batch));
        }
    }
}

impl Drop for ExtractOutbox {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What the thread works with.
struct Writer {
    dir: PathBuf,
    /// Most files open at a time.
    limit: usize,
    /// The files under way, by where their targets lie in memory.
    files: HashMap<usize, Output>,
    /// The open files, roughly the longest unused first.
    open: VecDeque<usize>,
    account: Arc<Account>,
    complained: NowAndThen,
}

/// A file under way.
struct Output {
    /// Keeps the place in memory.
    _target: Arc<Target>,
    /// None: closed to keep few files open, or given up.
    file: Option<File>,
    /// Written to since it was last considered for closing.
    used: bool,
    /// Where its last bytes end.
    end: u64,
}

impl Writer {
    fn new(dir: &Path, limit: usize, account: Arc<Account>) -> Writer {
        Writer {
            dir: dir.to_owned(),
            limit: limit.max(1),
            files: HashMap::new(),
            open: VecDeque::new(),
            account,
            complained: NowAndThen::default(),
        }
    }

    fn run(mut self, batches: &Receiver<Batch>) {
        while let Ok(batch) = batches.recv() {
            self.batch(&batch);
        }
    }

    fn batch(&mut self, batch: &Batch) {
        let mut bytes = &batch.bytes[..];
        for part in &batch.parts {
            let (own, rest) = bytes.split_at_checked(part.len).unwrap_or((bytes, &[]));
            bytes = rest;
            if part.is_last {
                self.end(key(&part.target));
            } else if part.target.failed_at().is_none() {
                self.write(part, own);
            }
            self.account.waiting.fetch_sub(part.cost, Ordering::Relaxed);
            self.account.progress.made();
        }
    }

    fn write(&mut self, part: &Waiting, bytes: &[u8]) {
        let at = key(&part.target);
        let end = self.files.get(&at).map_or(0, |f| f.end);
        let result = self.opened(&part.target).and_then(|output| {
            let file = output.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
            file.write_all_at(bytes, part.at)
                // What a full disk leaves of a part is cut off again.
                .inspect_err(|_| drop(file.set_len(end)))?;
            output.end = part.at + bytes.len() as u64;
            Ok(())
        });
        if let Err(e) = result {
            self.end(at);
            part.target.fail(end);
            self.complain(&e, part.target.name());
        }
    }

    /// The file of a target, open.
    fn opened(&mut self, target: &Arc<Target>) -> io::Result<&mut Output> {
        let at = key(target);
        let is_new = !self.files.contains_key(&at);
        if self.files.get(&at).is_none_or(|f| f.file.is_none()) {
            while self.open.len() >= self.limit {
                self.park_one();
            }
            let mut how = OpenOptions::new();
            how.write(true).create_new(is_new).mode(MODE);
            let path = self.dir.join(target.name());
            let file = how.custom_flags(libc::O_NOFOLLOW).open(path)?;
            self.open.push_back(at);
            self.files.entry(at).or_insert_with(|| Output::new(target)).file = Some(file);
        }
        let output = self.files.get_mut(&at).ok_or(io::ErrorKind::NotFound)?;
        output.used = true;
        Ok(output)
    }

    /// Closes an open file that was not used for a while.
    fn park_one(&mut self) {
        while let Some(at) = self.open.pop_front() {
            let Some(output) = self.files.get_mut(&at) else {
                continue;
            };
            if !std::mem::take(&mut output.used) {
                output.file = None;
                return;
            }
            self.open.push_back(at);
        }
    }

    /// No more of a file comes.
    fn end(&mut self, at: usize) {
        if self.files.remove(&at).is_some_and(|f| f.file.is_some()) {
            self.open.retain(|o| *o != at);
        }
    }

    /// Counts a file that could not be written and says so, but not of each of thousands.
    fn complain(&mut self, e: &io::Error, name: &str) {
        self.account.failed.fetch_add(1, Ordering::Relaxed);
        if self.complained.is_due() {
            tracing::error!("cannot extract to {}: {e}", self.dir.join(name).display());
        }
    }
}

impl Output {
    fn new(target: &Arc<Target>) -> Output {
        Output {
            _target: target.clone(),
            file: None,
            used: true,
            end: 0,
        }
    }
}

/// What tells a target from all others that are under way.
fn key(target: &Arc<Target>) -> usize {
    Arc::as_ptr(target) as usize
}

#[cfg(test)]
mod tests;
