//! What becomes of logs that are over: a thread packs them and moves them to the archive, has a command told of each, and
//! deletes the oldest when there are too many.
//!
//! A log lies in the directory of the logs under its old name until it lies in the archive, whole and durable, so that the
//! next start finds what this run did not get to. Knows files, nothing of rows.

mod end;
mod folders;
mod hook;
mod keep;
mod nice;
mod pack;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::archived::{Archived, Packed};
use super::latest::Latest;
use super::log::ToArchive;
use super::log_dir::{DIR_MODE, DirLock, LogDir, MAX_NAMES_TRIED, Rotated, is_taken};
use super::log_error::LogError;
use super::now_and_then::NowAndThen;
use super::outbox::ended;
use super::patience::{Limit, Patience, Progress};
use end::End;
use folders::{folders, for_each_name};
use hook::Hook;
pub use keep::Keep;
use keep::Kept;
use pack::{PARTIAL, Wrote, pack, same_text};

/// Logs that may wait for the thread. Those beyond are found in the directory later.
const MAX_QUEUED: usize = 4096;
/// Time between two looks at how much there is, and before what failed is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for a log until the thread looks whether the run ends.
const TICK: Duration = Duration::from_secs(1);
/// How long the end of a run goes on with what is left.
const GRACE: Duration = Duration::from_secs(5);
/// How long the end waits for the thread.
const LIMIT: Limit = Limit {
    stuck: Duration::from_secs(6),
    slow: Duration::from_secs(8),
};

/// What is to become of logs that are over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivePlan {
    /// Where they go; None: they stay in the directory of the logs.
    pub dir: Option<PathBuf>,
    /// Each goes to a folder of the day on which it was opened.
    pub by_day: bool,
    /// How they are packed.
    pub packed: Packed,
    /// How many are kept.
    pub keep: Keep,
    /// A command that is told of each.
    pub hook: Option<String>,
}

impl ArchivePlan {
    /// Whether logs do not stay in the directory of the logs as they are.
    fn takes_all(&self) -> bool {
        self.dir.is_some() || self.by_day || self.packed != Packed::None
    }
}

/// The archive, this process's as long as the value lives.
#[derive(Debug)]
pub struct Archive {
    plan: ArchivePlan,
    /// Where logs come from.
    from: PathBuf,
    /// Where they go.
    to: PathBuf,
    /// Keep both locked; logs may still be on their way when none is written any more.
    _locks: (Arc<DirLock>, Option<Arc<DirLock>>),
}

impl Archive {
    /// The archive of the logs in `logs`; None: they are left alone. Makes its directory if need be, and locks it.
    pub fn claim(plan: ArchivePlan, logs: &LogDir) -> Result<Option<Archive>, LogError> {
        if plan == ArchivePlan::default() {
            return Ok(None);
        }
        let from = logs.path().to_owned();
        let place = |dir: &Path| fs::metadata(dir).map(|m| (m.dev(), m.ino())).ok();
        let other = plan
            .dir
            .as_deref()
            .filter(|dir| place(dir).is_none_or(|at| place(&from) != Some(at)));
        let lock = other.map(LogDir::claim).transpose()?;
        let to = other.unwrap_or(&from).to_owned();
        Ok(Some(Archive {
            plan,
            from,
            to,
            _locks: (logs.lock(), lock.map(|l| l.lock())),
        }))
    }
}

/// The thread that takes care of logs that are over.
#[derive(Debug)]
pub struct ArchiveThread {
    thread: JoinHandle<()>,
    end: End,
    progress: Progress,
    keep: Arc<Latest<Keep>>,
}

impl ArchiveThread {
    /// Starts the thread. Logs go to it by the value returned beside it.
    pub fn start(archive: Archive) -> Result<(ArchiveThread, ToArchive), LogError> {
        let (queue, told) = sync_channel(MAX_QUEUED);
        let to = ToArchive::new(queue, archive.plan.takes_all());
        let (end, progress, keep) = (
            End::default(),
            Progress::default(),
            Arc::<Latest<Keep>>::default(),
        );
        let archivist = Archivist {
            hook: archive.plan.hook.as_deref().map(Hook::new),
            kept: Kept::new(archive.plan.keep, &archive.to, &archive.from),
            archive,
            end: end.clone(),
            progress: progress.clone(),
            other: keep.clone(),
            waiting: Vec::new(),
            failed: NowAndThen::default(),
        };
        let thread = std::thread::Builder::new().name("archive".into());
        let thread = thread
            .spawn(move || archivist.work(&told))
            .map_err(LogError::Thread)?;
        let archive = ArchiveThread {
            thread,
            end,
            progress,
            keep,
        };
        Ok((archive, to))
    }

    /// Keeps more or less of old logs from now on.
    pub fn set_keep(&self, keep: Keep) {
        self.keep.put(keep);
    }

    /// Lets the thread go on for some seconds with what is left, once no log is written any more. The next start does what is
    /// not done then.
    pub fn finish(self, patience: &Patience) {
        self.end.begin(GRACE);
        patience.begin();
        if !ended(&self.thread, patience, &self.progress, LIMIT) {
            tracing::warn!("the archive of the logs takes nothing: the next start goes on with it");
        }
    }

    /// Waits until all is done.
    pub fn finish_all(self) {
        if self.thread.join().is_err() {
            tracing::warn!("the archive of the logs is not complete");
        }
    }
}

/// What the thread knows.
struct Archivist {
    archive: Archive,
    hook: Option<Hook>,
    kept: Kept,
    /// What is to be kept from now on.
    other: Arc<Latest<Keep>>,
    end: End,
    progress: Progress,
    /// Logs that something failed with.
    waiting: Vec<Rotated>,
    failed: NowAndThen,
}

impl Archivist {
    fn work(mut self, told: &Receiver<Rotated>) {
        nice::lower();
        self.remove_partial();
        self.kept.look();
        let mut looked = Instant::now();
        let (mut left, mut is_more) = (0, false);
        loop {
            match told.recv_timeout(if is_more { Duration::ZERO } else { TICK }) {
                Ok(_) if self.end.is_over() => left += 1,
                Ok(rotated) => {
                    self.take(rotated);
                    is_more = true;
                }
                // All logs of a turn have come.
                Err(RecvTimeoutError::Timeout) if is_more => {
                    self.kept.look();
                    is_more = false;
                }
                Err(RecvTimeoutError::Timeout) if !self.end.has_begun() => {}
                Err(_) => break,
            }
            self.progress.made();
            if let Some(keep) = self.other.take() {
                self.kept.keep(keep);
            }
            if looked.elapsed() >= LOOK_EVERY && !self.end.has_begun() {
                std::mem::take(&mut self.waiting)
                    .into_iter()
                    .for_each(|r| self.take(r));
                self.kept.look_if_due();
                looked = Instant::now();
            }
        }
        if is_more {
            self.kept.look();
        }
        match (left, self.hook.is_some()) {
            (0, _) => {}
            (n, true) => {
                tracing::warn!("{n} rotated logs are not archived yet, and --log-hook was not told of them")
            }
            (n, false) => tracing::info!("{n} rotated logs are not archived yet"),
        }
    }

    /// Takes care of a log.
    fn take(&mut self, rotated: Rotated) {
        let name = rotated.path.file_name().and_then(|n| n.to_str());
        // One that is not there any more was taken care of, or somebody else has it.
        let (Some(name), true) = (name.and_then(Archived::of), rotated.path.exists()) else {
            return;
        };
        match self.put(&rotated.path, &name) {
            Ok(Some(path)) => {
                if let Some(hook) = &mut self.hook {
                    hook.run(&path, &name, rotated.closed, &self.end, &self.progress);
                }
            }
            Ok(None) => {}
            Err(e) => {
                if self.failed.is_due() {
                    let path = rotated.path.display();
                    tracing::warn!("cannot archive {path}: {e}; it stays, and is tried again");
                }
                if self.waiting.len() < MAX_QUEUED {
                    self.waiting.push(rotated);
                }
            }
        }
    }

    /// Brings a log to its place in the archive; where that is. None: it is there already, or the run ends.
    fn put(&self, log: &Path, name: &Archived) -> io::Result<Option<PathBuf>> {
        let dir = match self.archive.plan.by_day {
            true => self.archive.to.join(name.day()),
            false => self.archive.to.clone(),
        };
        let is_packed = name.packed != Packed::None;
        let packed = if is_packed {
            name.packed
        } else {
            self.archive.plan.packed
        };
        if log.parent() == Some(&dir) {
            if is_packed {
                return Ok(None);
            }
            if packed == Packed::None {
                return Ok(Some(log.to_owned()));
            }
        }
        let mut made = fs::DirBuilder::new();
        made.recursive(true).mode(DIR_MODE).create(&dir)?;
        for again in name.again..MAX_NAMES_TRIED {
            let plain = Archived {
                again,
                packed: Packed::None,
                ..name.clone()
            }
            .to_string();
            let goal = dir.join(format!("{plain}{}", packed.ending()));
            match there(&dir, &plain, log)? {
                None => return self.bring(log, &goal, if is_packed { Packed::None } else { packed }),
                // A run was killed before it removed what it had packed.
                Some(other) if same_text(log, &other)? => {
                    fs::remove_file(log)?;
                    return Ok(Some(other));
                }
                Some(_) => {}
            }
        }
        Err(io::Error::other("too many old logs of the same second"))
    }

    fn bring(&self, log: &Path, goal: &Path, packed: Packed) -> io::Result<Option<PathBuf>> {
        if packed == Packed::None {
            match fs::rename(log, goal) {
                Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
                done => return done.map(|()| Some(goal.to_owned())),
            }
        }
        let go_on = || {
            self.progress.made();
            !self.end.is_over()
        };
        Ok(match pack(log, goal, packed, go_on)? {
            Wrote::All => Some(goal.to_owned()),
            Wrote::GivenUp => None,
        })
    }

    /// Removes what a run left that was killed while it packed.
    fn remove_partial(&self) {
        let remove = |dir: &Path, name: &str| {
            let whole = name.strip_suffix(PARTIAL).and_then(Archived::of);
            if whole.is_some() && fs::remove_file(dir.join(name)).is_ok() {
                tracing::info!("{} was not whole: it is removed", dir.join(name).display());
            }
        };
        for dir in folders(&self.archive.to) {
            for_each_name(&dir, |name| remove(&dir, name));
        }
    }
}

/// A log of this name in a directory, packed or not, other than `but`.
fn there(dir: &Path, plain: &str, but: &Path) -> io::Result<Option<PathBuf>> {
    if !is_taken(dir, plain)? {
        return Ok(None);
    }
    let paths = Packed::ALL.map(|p| dir.join(format!("{plain}{}", p.ending())));
    Ok(paths
        .into_iter()
        .find(|p| p != but && fs::symlink_metadata(p).is_ok()))
}

#[cfg(test)]
mod tests;
