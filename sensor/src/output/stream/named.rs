//! The file of an event stream: opened anew and rotated while it is written, between whole lines.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::output::latest::Latest;
use crate::output::log_dir::{MODE, is_taken};
use crate::output::now_and_then::NowAndThen;
use crate::output::rotation::{Rotation, Turns};
use crate::output::stamp::stamp;

/// How soon is done what was asked for while nothing is written.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Files of the same second.
const MAX_NAMES_TRIED: u32 = 10_000;

/// What the writing thread does when it comes to it.
#[derive(Debug, Default)]
pub struct Asked {
    /// The file is to be opened anew.
    pub reopen: AtomicBool,
    /// The file is to be rotated.
    pub rotate: AtomicBool,
    /// When the file is rotated is something else from now on.
    pub rotation: Latest<Rotation>,
}

/// What a stream is written to.
pub trait Out {
    /// Writes whole lines.
    fn lines(&mut self, lines: &[u8]) -> io::Result<()>;
    /// Does what has become due; between lines.
    fn keep_up(&mut self) {}
    /// How soon that is to be called again, whether or not there are lines.
    fn wait(&self) -> Option<Duration> {
        None
    }
}

/// What is neither opened anew nor rotated.
pub struct Plain<W>(pub W);

impl<W: Write> Out for Plain<W> {
    fn lines(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.write_all(lines)?;
        self.0.flush()
    }
}

/// A file that is opened anew when that is asked for, and rotated.
pub struct Named {
    file: File,
    path: PathBuf,
    opened: SystemTime,
    /// Bytes in it.
    len: u64,
    rotation: Rotation,
    turns: Option<Turns>,
    asked: Arc<Asked>,
    said: NowAndThen,
}

impl Named {
    /// Begins a file anew, if it is one; a device goes on.
    pub fn begin(path: PathBuf, rotation: Rotation, asked: Arc<Asked>) -> io::Result<Named> {
        let file = append_to(&path)?;
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        let opened = SystemTime::now();
        Ok(Named {
            file,
            path,
            opened,
            len: 0,
            rotation,
            turns: rotation.turns(),
            asked,
            said: NowAndThen::default(),
        })
    }

    fn reopen(&mut self) {
        match append_to(&self.path) {
            Ok(file) => {
                self.len = file.metadata().map_or(0, |m| m.len());
                self.file = file;
                self.opened = SystemTime::now();
            }
            Err(e) => tracing::warn!(
                "cannot open {} anew: {e}; events go on into the old file",
                self.path.display()
            ),
        }
    }

    /// Renames the file to the time at which it was opened, and begins a new one. One without events goes on.
    fn rotate(&mut self) {
        let own = self.file.metadata().ok().filter(fs::Metadata::is_file);
        let Some(own) = own.filter(|_| self.len > 0) else {
            return;
        };
        let there = fs::metadata(&self.path).ok();
        if there.is_none_or(|m| (m.dev(), m.ino()) != (own.dev(), own.ino())) {
            // Somebody else rotated it.
            return self.reopen();
        }
        match renamed(&self.path, &stamp(self.opened)) {
            Ok(new) => {
                tracing::info!("{} is {} now", self.path.display(), new.display());
                self.reopen();
            }
            Err(e) => {
                if self.said.is_due() {
                    tracing::warn!("cannot rotate {}: {e}; it goes on", self.path.display());
                }
            }
        }
    }
}

impl Out for Named {
    fn lines(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.len += lines.len() as u64;
        if self.rotation.bytes.is_some_and(|most| self.len >= most) {
            self.rotate();
        }
        Ok(())
    }

    fn keep_up(&mut self) {
        if let Some(rotation) = self.asked.rotation.take() {
            (self.rotation, self.turns) = (rotation, rotation.turns());
        }
        if self.asked.reopen.swap(false, Ordering::Relaxed) {
            self.reopen();
        }
        let asked = self.asked.rotate.swap(false, Ordering::Relaxed);
        let turn = self.turns.as_mut().is_some_and(|t| t.is_due(SystemTime::now()));
        if asked || turn {
            self.rotate();
        }
    }

    fn wait(&self) -> Option<Duration> {
        let turn = self.turns.as_ref().map(|t| t.wait(SystemTime::now()));
        Some(turn.map_or(LOOK_EVERY, |t| t.min(LOOK_EVERY)))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.append(true).create(true).mode(MODE).open(path)
}

/// Gives a file the time at which it was opened as a part of its name: `events.json` becomes `events.2026-01-02-03-04-05.json`.
fn renamed(path: &Path, opened: &str) -> io::Result<PathBuf> {
    let name = path.file_name().and_then(|n| n.to_str());
    let name = name.ok_or(io::ErrorKind::InvalidInput)?;
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    for n in 0..MAX_NAMES_TRIED {
        let again = if n == 0 { String::new() } else { format!("-{n}") };
        let new = format!("{stem}.{opened}{again}{ending}");
        if !is_taken(dir, &new)? {
            let new = dir.join(new);
            fs::rename(path, &new)?;
            return Ok(new);
        }
    }
    Err(io::Error::other("too many files of the same second"))
}
