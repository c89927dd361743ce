//! Logs are rotated and made durable while they are written.

use std::time::{Duration, Instant, SystemTime};

use super::LogWriter;
use super::upkeep::LogSync;
use crate::output::archived::Archived;
use crate::output::log_dir::Rotated;
use crate::output::rotation::Rotation;
use crate::output::stamp::stamp;

/// Time between two looks for logs that found no room on their way to the archive.
const CATCH_UP_EVERY: Duration = Duration::from_secs(60);

impl LogWriter {
    /// Has logs that are over, of this run or another one, taken care of.
    pub fn archive(&mut self, rotated: Vec<Rotated>) {
        if let Some(archive) = &mut self.upkeep.archive {
            rotated.into_iter().for_each(|r| archive.send(r));
        }
    }

    /// Has the logs taken care of that earlier runs left, `aside` among them, or that found no room before.
    pub fn archive_old(&mut self, aside: Vec<Rotated>) {
        if !self.upkeep.archive.as_ref().is_some_and(|a| a.takes_all) {
            return self.archive(aside);
        }
        match old_logs(self.dir.path()) {
            Ok(old) => self.archive(old),
            Err(e) => tracing::warn!("old logs stay as they are: {e}"),
        }
    }

    /// Ends every log that has rows, under the time at which it was opened, and begins it anew.
    pub fn rotate(&mut self) {
        for i in 0..self.files.len() {
            self.flush_file(i);
            self.rotate_file(i);
        }
        self.catch_up();
    }

    /// Has those logs taken care of that found no room before.
    fn catch_up(&mut self) {
        if let Some(archive) = self.upkeep.archive.as_mut().filter(|a| a.behind) {
            archive.behind = false;
            self.archive_old(Vec::new());
        }
    }

    /// Does what has become due by now.
    pub fn keep_up(&mut self) {
        if self.turns.as_mut().is_some_and(|t| t.is_due(SystemTime::now())) {
            self.rotate();
        }
        if self.caught_up.elapsed() >= CATCH_UP_EVERY {
            self.catch_up();
            self.caught_up = Instant::now();
        }
        if let LogSync::Every(every) = self.upkeep.sync
            && self.synced.elapsed() >= every.duration()
        {
            self.flush();
            (0..self.files.len()).for_each(|i| self.sync_file(i));
            self.synced = Instant::now();
        }
    }

    /// When logs are rotated and made durable is something else from now on.
    pub fn set_upkeep(&mut self, rotation: Rotation, sync: LogSync) {
        (self.upkeep.rotation, self.turns) = (rotation, rotation.turns());
        self.upkeep.sync = sync;
    }

    /// How long it is until the logs are to be rotated, if they are.
    pub fn until_rotation(&self) -> Option<Duration> {
        self.turns.as_ref().map(|t| t.wait(SystemTime::now()))
    }

    pub(super) fn rotate_if_large(&mut self, i: usize) {
        let large = self.upkeep.rotation.bytes;
        if large.is_some_and(|bytes| self.files[i].len >= bytes) {
            self.rotate_file(i);
        }
    }

    /// Ends a log that has rows and begins it anew. What was gathered for it has been written.
    fn rotate_file(&mut self, i: usize) {
        if !self.is_in_place(i) {
            // Somebody else rotated it.
            return self.begin_anew(i);
        }
        let f = &self.files[i];
        let is_file = f.file.as_ref().and_then(|f| f.metadata().ok());
        if f.written == 0 || !is_file.is_some_and(|m| m.is_file()) {
            return;
        }
        // Before its last line, as this may fail: then it goes on.
        match self.dir.rename(&f.name, &stamp(f.opened)) {
            Ok(path) => {
                self.begin_anew(i);
                let closed = SystemTime::now();
                self.archive(vec![Rotated { path, closed }]);
            }
            Err(e) => self.complain(i, &e),
        }
    }

    pub(super) fn sync_file(&mut self, i: usize) {
        let f = &mut self.files[i];
        let Some(file) = f.file.as_ref().filter(|_| f.unsynced) else {
            return;
        };
        match file.sync_data() {
            Ok(()) => f.unsynced = false,
            // A pipe or a device has nothing to be durable.
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => f.unsynced = false,
            Err(e) => self.complain(i, &e),
        }
    }
}

/// The logs in a directory that are over, the oldest first.
fn old_logs(dir: &std::path::Path) -> std::io::Result<Vec<Rotated>> {
    let mut old = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().and_then(Archived::of) else {
            continue;
        };
        let Some(known) = entry.metadata().ok().filter(std::fs::Metadata::is_file) else {
            continue;
        };
        let closed = known.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        old.push((
            name,
            Rotated {
                path: entry.path(),
                closed,
            },
        ));
    }
    old.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(old.into_iter().map(|(_, r)| r).collect())
}
