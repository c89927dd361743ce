//! Files that scripts write: lines, and names with a time once they are rotated.

use std::cell::{Cell, RefCell};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::event::Ts;
use crate::output::now_and_then::NowAndThen;
use crate::output::stamp::stamp;

/// When a file is rotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRotation {
    /// After so long, ns of network time; 0: never.
    pub every: u64,
    /// When it has so many bytes; 0: however large it is.
    pub bytes: u64,
}

/// An open file.
#[derive(Debug)]
pub struct OpenFile {
    name: String,
    path: PathBuf,
    rotation: FileRotation,
    /// None: nothing is written.
    to: RefCell<Option<BufWriter<File>>>,
    opened: Cell<Ts>,
    len: Cell<u64>,
    failed: RefCell<NowAndThen>,
}

impl OpenFile {
    /// Opens it; what is in it stays.
    pub fn open(name: &str, path: PathBuf, rotation: FileRotation, now: Ts) -> io::Result<OpenFile> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let file = append_to(&path)?;
        Ok(OpenFile {
            name: name.to_owned(),
            len: Cell::new(file.metadata()?.len()),
            path,
            rotation,
            to: RefCell::new(Some(BufWriter::new(file))),
            opened: Cell::new(now),
            failed: RefCell::default(),
        })
    }

    /// One that nothing is written to.
    pub fn mute(name: &str) -> OpenFile {
        OpenFile {
            name: name.to_owned(),
            len: Cell::new(0),
            path: PathBuf::new(),
            rotation: FileRotation::default(),
            to: RefCell::default(),
            opened: Cell::new(0),
            failed: RefCell::default(),
        }
    }

    /// As the script named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a text. True: the file is so large now that it is to be rotated.
    pub fn write(&self, text: &[u8]) -> bool {
        match &mut *self.to.borrow_mut() {
            Some(to) => self.note(to.write_all(text)),
            None => return false,
        }
        self.len.set(self.len.get() + text.len() as u64);
        self.rotation.bytes > 0 && self.len.get() >= self.rotation.bytes
    }

    /// Writes what was gathered.
    pub fn flush(&self) {
        if let Some(to) = &mut *self.to.borrow_mut() {
            self.note(to.flush());
        }
    }

    /// Whether it is to be rotated at `now`.
    pub fn is_due(&self, now: Ts) -> bool {
        if self.opened.get() == 0 {
            // It was opened before the first packet.
            self.opened.set(now);
        }
        self.rotation.every > 0 && now >= self.opened.get().saturating_add(self.rotation.every)
    }

    /// Gives what is written so far the time at which it was opened as a part of its name, and begins anew.
    pub fn rotate(&self, now: Ts) {
        if self.to.borrow().is_none() {
            return;
        }
        self.flush();
        let done = self.put_aside().and_then(|()| append_to(&self.path));
        match done {
            Ok(file) => {
                *self.to.borrow_mut() = Some(BufWriter::new(file));
                self.len.set(0);
            }
            Err(e) => self.note(Err(e)),
        }
        self.opened.set(now);
    }

    fn put_aside(&self) -> io::Result<()> {
        let opened = stamp(UNIX_EPOCH + Duration::from_nanos(self.opened.get()));
        let name = self.path.display();
        let (mut to, mut n) = (PathBuf::from(format!("{name}.{opened}")), 0);
        while to.exists() {
            n += 1;
            to = PathBuf::from(format!("{name}.{opened}-{n}"));
        }
        fs::rename(&self.path, to)
    }

    fn note(&self, done: io::Result<()>) {
        if let Err(e) = done
            && self.failed.borrow_mut().is_due()
        {
            tracing::warn!("a script's file {} takes nothing: {e}", self.path.display());
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Where a file of this name is: in `dir`, unless it may be `anywhere`.
pub fn place(dir: &Path, name: &str, anywhere: bool) -> Result<PathBuf, String> {
    let path = Path::new(name);
    let inside = path.components().all(|c| matches!(c, Component::Normal(_)));
    match name.is_empty() || !(inside || anywhere) {
        true => Err(format!(
            "{name:?} is no name of a file in the scripts' directory; see --script-unsafe"
        )),
        false => Ok(dir.join(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        let dir = Path::new("/logs/scripts");
        for name in ["", "/etc/passwd", "../conn.log", "a/../../b", "."] {
            assert!(place(dir, name, false).is_err(), "{name}");
        }
        assert_eq!(place(dir, "a/b.txt", false), Ok("/logs/scripts/a/b.txt".into()));
        assert_eq!(place(dir, "/var/x", true), Ok("/var/x".into()));
    }

    #[test]
    fn a_rotated_file_has_the_time_of_its_beginning() {
        let dir = std::env::temp_dir().join(format!("sensor-script-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        let rotation = FileRotation { every: 0, bytes: 6 };
        let file = OpenFile::open("x", dir.join("x"), rotation, 1_000_000_000).expect("a file");
        assert!(!file.write(b"one\n"));
        assert!(file.write(b"two\n"));
        file.rotate(2_000_000_000);
        file.write(b"three\n");
        file.flush();
        let read = |name: &str| fs::read_to_string(dir.join(name)).expect(name);
        assert_eq!(read("x.1970-01-01-00-00-01"), "one\ntwo\n");
        assert_eq!(read("x"), "three\n");
        let _ = fs::remove_dir_all(&dir);
    }
}
