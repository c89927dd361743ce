//! Contents files: each direction of each TCP connection in a file of its own.
//!
//! A file is named `contents_UID_ORIG:PORT-RESP:PORT_orig.dat` (or `_resp.dat`) and made when the first
//! byte comes. It has the stream's bytes in order; where bytes are missing stands Zeek's mark,
//! `<<gap N>>` in a line of its own. Few files are open at a time, however many connections there are: the
//! others are closed and opened again when more comes. A write that fails ends that file and no other.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::now_and_then::NowAndThen;
use crate::conn::Piece;
use crate::event::{ConnId, Uid};

/// Bytes gathered per file before they are written.
const BATCH_BYTES: usize = 16 * 1024;

/// Writes contents files into one directory.
#[derive(Debug)]
pub struct ContentsFiles {
    dir: PathBuf,
    limit: usize,
    files: HashMap<Name, State>,
    /// The open files, roughly the longest unused first.
    open: VecDeque<Name>,
    failed: u64,
    complained: NowAndThen,
}

/// A connection and whether it is the originator's direction.
type Name = (Uid, bool);

#[derive(Debug)]
enum State {
    Open {
        file: File,
        path: PathBuf,
        buf: Vec<u8>,
        /// Written to since it was last considered for closing.
        used: bool,
    },
    /// Closed to keep few files open; it is opened again for the next piece.
    Parked(PathBuf),
    /// Given up after an error; the reason until it has been reported.
    Failed(Option<String>),
}

impl ContentsFiles {
    /// A writer into `dir` with at most `limit` files open at a time. Creates the directory if it does not exist.
    pub fn create(dir: &Path, limit: usize) -> io::Result<ContentsFiles> {
        fs::create_dir_all(dir)?;
        Ok(ContentsFiles {
            dir: dir.to_owned(),
            limit: limit.max(1),
            files: HashMap::new(),
            open: VecDeque::new(),
            failed: 0,
            complained: NowAndThen::default(),
        })
    }

    /// Files that could not be written to the end.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Writes what has been gathered. A failure is reported with the next piece of its direction.
    pub fn flush(&mut self) {
        let mut failed = Vec::new();
        for (name, state) in &mut self.files {
            if let State::Open { file, buf, .. } = state {
                if let Err(e) = file.write_all(buf) {
                    failed.push((*name, e));
                }
                buf.clear();
            }
        }
        for (name, e) in failed {
            self.fail(name, &e, true);
        }
    }

    /// Adds to a direction's file; a failure is returned once per file.
    pub fn piece(&mut self, c: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        let name = (c.uid, is_orig);
        let result = match piece {
            Piece::Data(bytes) => self.append(c, name, bytes),
            Piece::Missing(len) => self.append(c, name, format!("\n<<gap {len}>>\n").as_bytes()),
            Piece::End => return self.end(name),
        };
        match (result, self.files.get_mut(&name)) {
            (Err(e), _) => {
                self.fail(name, &e, false);
                Some(e.to_string())
            }
            (Ok(()), Some(State::Failed(reason))) => reason.take(),
            _ => None,
        }
    }

    fn append(&mut self, c: &ConnId, name: Name, bytes: &[u8]) -> io::Result<()> {
        match self.files.get(&name) {
            Some(State::Failed(_)) => return Ok(()),
            Some(State::Open { .. }) => {}
            Some(State::Parked(path)) => {
                let path = path.clone();
                self.open(name, path, OpenOptions::new().append(true))?;
            }
            None => {
                let path = self.dir.join(file_name(c, name.1));
                self.open(
                    name,
                    path,
                    OpenOptions::new().write(true).create(true).truncate(true),
                )?;
            }
        }
        if let Some(State::Open { file, buf, used, .. }) = self.files.get_mut(&name) {
            *used = true;
            buf.extend_from_slice(bytes);
            if buf.len() >= BATCH_BYTES {
                file.write_all(buf)?;
                buf.clear();
            }
        }
        Ok(())
    }

    fn open(&mut self, name: Name, path: PathBuf, how: &OpenOptions) -> io::Result<()> {
        while self.open.len() >= self.limit {
            self.park_one();
        }
        let state = State::Open {
            file: how.open(&path)?,
            path,
            buf: Vec::new(),
            used: true,
        };
        self.files.insert(name, state);
        self.open.push_back(name);
        Ok(())
    }

    /// Closes an open file that has not been used for a while.
    fn park_one(&mut self) {
        while let Some(name) = self.open.pop_front() {
            let Some(State::Open {
                file,
                path,
                buf,
                used,
            }) = self.files.get_mut(&name)
            else {
                return;
            };
            if std::mem::take(used) {
                self.open.push_back(name);
                continue;
            }
            match file.write_all(buf) {
                Ok(()) => {
                    let path = std::mem::take(path);
                    self.files.insert(name, State::Parked(path));
                }
                // Told when its connection comes by again, at its end at the latest.
                Err(e) => self.fail(name, &e, true),
            }
            return;
        }
    }

    /// Gives a file up. `later`: the reason has not been reported yet.
    fn fail(&mut self, name: Name, e: &io::Error, later: bool) {
        self.complain(e);
        self.open.retain(|n| *n != name);
        self.files
            .insert(name, State::Failed(later.then(|| e.to_string())));
    }

    /// Counts a failure and logs it, but not each of the thousands that a full disk causes.
    fn complain(&mut self, e: &io::Error) {
        self.failed += 1;
        if self.complained.is_due() {
            tracing::error!("cannot write contents to {}: {e}", self.dir.display());
        }
    }

    fn end(&mut self, name: Name) -> Option<String> {
        match self.files.remove(&name)? {
            State::Open { mut file, buf, .. } => {
                self.open.retain(|n| *n != name);
                let e = file.write_all(&buf).err()?;
                self.complain(&e);
                Some(e.to_string())
            }
            State::Parked(_) => None,
            State::Failed(reason) => reason,
        }
    }
}

fn file_name(c: &ConnId, is_orig: bool) -> String {
    format!(
        "contents_{}_{}:{}-{}:{}_{}.dat",
        c.uid,
        c.orig_h,
        c.orig_p,
        c.resp_h,
        c.resp_p,
        if is_orig { "orig" } else { "resp" }
    )
}

#[cfg(test)]
mod tests;
