//! The directory of the logs: one sensor at a time, and nothing that lies there is lost.
//!
//! A log that is there when a new one begins is renamed to the time at which it was opened, `conn.log` to
//! `conn.2026-01-02-03-04-05.log`, as Zeek's crash recovery does. Knows names and files, nothing of rows.
#![allow(unsafe_code, reason = "flock is a system call")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::archived::Packed;
use super::log_error::LogError;
use super::stamp::{is_stamp, stamp};

/// Who may read logs: the owner and the group.
pub const MODE: u32 = 0o640;
/// Mode of directories for logs.
pub const DIR_MODE: u32 = 0o755;

/// The file to lock where a directory cannot be (NFS).
const LOCK_FILE: &str = ".sensor.lock";

/// Bytes of an old log in which its `#open` line is looked for.
const HEAD_BYTES: u64 = 4096;

/// Most names tried for a log that is put aside.
pub const MAX_NAMES_TRIED: u32 = 10_000;

/// A log directory, locked for this process as long as the value or its lock lives.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    lock: Arc<DirLock>,
}

/// Keeps a directory locked as long as the value lives.
#[derive(Debug)]
pub struct DirLock(File);

impl Drop for DirLock {
    fn drop(&mut self) {
        // A process that is just being started may have the file, too: closing it here would not be enough.
        // SAFETY: a system call on a descriptor that is open.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

impl LogDir {
    /// Makes the directory if need be, and locks it.
    pub fn claim(path: &Path) -> Result<LogDir, LogError> {
        let directory = |source| LogError::Directory {
            dir: path.to_owned(),
            source,
        };
        let mut made = DirBuilder::new();
        made.recursive(true).mode(DIR_MODE);
        made.create(path).map_err(directory)?;
        let dir = File::open(path).map_err(directory)?;
        let locked = match lock(&dir) {
            Ok(()) => Ok(dir),
            Err(e) if is_others(&e) => Err(e),
            Err(_) => lock_file(&path.join(LOCK_FILE)),
        };
        match locked {
            Ok(lock) => Ok(LogDir {
                path: path.to_owned(),
                lock: Arc::new(DirLock(lock)),
            }),
            Err(e) if is_others(&e) => Err(LogError::Locked(path.to_owned())),
            Err(e) => Err(directory(e)),
        }
    }

    /// Whether another process has the directory now. It is locked for a moment to find that out.
    pub fn is_taken(path: &Path) -> io::Result<bool> {
        match lock(&File::open(path)?) {
            Ok(()) => Ok(false),
            Err(e) if is_others(&e) => Ok(true),
            // As on NFS; a file that is not there is nobody's.
            Err(_) => match File::open(path.join(LOCK_FILE)) {
                Ok(file) => Ok(lock(&file).is_err_and(|e| is_others(&e))),
                Err(_) => Ok(false),
            },
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What keeps it locked as long as it lives.
    pub fn lock(&self) -> Arc<DirLock> {
        self.lock.clone()
    }

    /// The file of a log, by its name: `conn.log`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Puts aside the existing logs of these names that are not empty. Returns what became of them.
    pub fn put_aside<N: AsRef<str>>(&self, names: &[N]) -> Result<Vec<Rotated>, LogError> {
        let mut all = Vec::new();
        for name in names {
            let file = self.file(name.as_ref());
            let Some(there) = fs::metadata(&file).ok().filter(|m| m.is_file() && m.len() > 0) else {
                continue;
            };
            // Who was killed in the midst of a line does not finish it.
            if let Err(e) = cut_half_line(&file) {
                tracing::warn!("{}: its last line may be half a line: {e}", file.display());
            }
            let put = opened(&file).and_then(|at| self.rename(name.as_ref(), &at));
            let path = put.map_err(|source| LogError::PutAside { path: file, source })?;
            let closed = there.modified().unwrap_or(UNIX_EPOCH);
            all.push(Rotated { path, closed });
        }
        Ok(all)
    }

    /// Opens a new log, by its name, to write at its end. One that is there and has anything in it is put aside; what is no file (a
    /// pipe, a device) is written to as it is.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let path = self.file(name);
        let open = || {
            let mut how = OpenOptions::new();
            how.append(true).create(true).mode(MODE).open(&path)
        };
        let file = open()?;
        let there = file.metadata()?;
        if !there.is_file() || there.len() == 0 {
            return Ok(file);
        }
        self.rename(name, &opened(&path)?)?;
        open()
    }

    /// Renames a log to the time at which it was opened, a [`stamp`]. Returns its new path.
    pub fn rename(&self, name: &str, opened: &str) -> io::Result<PathBuf> {
        let (log, ending) = name.rsplit_once('.').ok_or(io::ErrorKind::InvalidInput)?;
        let old = self.file(name);
        for n in 0..MAX_NAMES_TRIED {
            let again = if n == 0 { String::new() } else { format!("-{n}") };
            let new = format!("{log}.{opened}{again}.{ending}");
            // Nobody else renames here: the directory is locked.
            if is_taken(&self.path, &new)? {
                continue;
            }
            let new = self.path.join(new);
            fs::rename(&old, &new)?;
            tracing::info!("{} is {} now", old.display(), new.display());
            return Ok(new);
        }
        Err(io::Error::other("too many old logs of the same second"))
    }
}

/// A log that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Where it is.
    pub path: PathBuf,
    /// When its last line was written.
    pub closed: SystemTime,
}

/// Cuts off what stands behind the last whole line of a log.
fn cut_half_line(log: &Path) -> io::Result<()> {
    const STEP: u64 = 64 * 1024;
    let mut file = OpenOptions::new().read(true).write(true).open(log)?;
    let len = file.metadata()?.len();
    let mut end = len;
    while end > 0 {
        let from = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = vec![0; (end - from) as usize];
        file.read_exact(&mut bytes)?;
        if let Some(at) = bytes.iter().rposition(|b| *b == b'\n') {
            end = from + at as u64 + 1;
            break;
        }
        end = from;
    }
    if end < len {
        let modified = file.metadata()?.modified()?;
        file.set_len(end)?;
        file.set_modified(modified)?;
        tracing::warn!("{}: cut off half a line of a run that was killed", log.display());
    }
    Ok(())
}

/// Whether a directory has a log of this name, packed or not.
pub fn is_taken(dir: &Path, name: &str) -> io::Result<bool> {
    for packed in Packed::ALL {
        match fs::symlink_metadata(dir.join(format!("{name}{}", packed.ending()))) {
            Ok(_) => return Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}

/// Whether a lock failed because another process has it.
fn is_others(e: &io::Error) -> bool {
    e.raw_os_error() == Some(libc::EWOULDBLOCK)
}

/// Locks for this open file; EWOULDBLOCK: somebody else has it.
fn lock(file: &File) -> io::Result<()> {
    // SAFETY: a system call on a descriptor that is open.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    let file = how.append(true).create(true).mode(MODE).open(path)?;
    lock(&file)?;
    Ok(file)
}

/// When a log was opened: by its `#open` line, or else when it was last written.
fn opened(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let mut head = Vec::new();
    // What cannot be read has no header.
    let _ = (&mut file).take(HEAD_BYTES).read_to_end(&mut head);
    let said = head
        .split(|&b| b == b'\n')
        .take_while(|l| l.first() == Some(&b'#'))
        .find_map(|l| l.strip_prefix(b"#open\t"))
        .and_then(|t| std::str::from_utf8(t).ok())
        .filter(|t| is_stamp(t));
    Ok(match said {
        Some(t) => t.to_owned(),
        None => stamp(file.metadata()?.modified()?),
    })
}

#[cfg(test)]
mod tests;
