//! Old logs are deleted, the oldest first, when they are too old, too many, or when the disk is nearly full. What does not
//! have the name of an old log is left alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::folders::{folders, for_each_name};
use crate::output::archived::Archived;
use crate::output::disk::Disk;
use crate::output::now_and_then::NowAndThen;
use crate::output::stamp::stamp;

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(86_400);

/// How many old logs are kept; 0: it does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Those that were opened within so many days.
    pub days: u64,
    /// So much of them in all, MiB.
    pub mib: u64,
    /// As many as leave so much of the disk free, MiB.
    pub min_free_mib: u64,
}

/// The old logs that are kept.
#[derive(Debug)]
pub struct Kept {
    keep: Keep,
    /// Where they are.
    dirs: Vec<PathBuf>,
    /// When the oldest was opened that is there.
    oldest: Option<String>,
    /// There was nothing to delete and too little room.
    full: NowAndThen,
}

/// An old log.
struct Old {
    name: Archived,
    dir: PathBuf,
    bytes: u64,
    /// What it takes of the disk, bytes.
    on_disk: u64,
    /// The disk that it is on.
    disk: u64,
}

/// What was deleted, for whom it is said.
#[derive(Debug, Default)]
struct Deleted {
    logs: u64,
    bytes: u64,
    /// The first and the last of them.
    span: Option<(String, String)>,
}

impl Kept {
    /// Those in the archive, and those that are on their way there.
    pub fn new(keep: Keep, archive: &Path, logs: &Path) -> Kept {
        let mut dirs = vec![archive.to_owned(), logs.to_owned()];
        dirs.dedup();
        Kept {
            keep,
            dirs,
            oldest: None,
            full: NowAndThen::default(),
        }
    }

    /// Keeps more or less from now on.
    pub fn keep(&mut self, keep: Keep) {
        self.keep = keep;
        self.look();
    }

    /// Looks if there is a reason to, without reading all names: the oldest log is too old by now, or a disk has filled up.
    pub fn look_if_due(&mut self) {
        let too_old = self
            .oldest
            .as_ref()
            .is_some_and(|o| *o < self.oldest_kept(SystemTime::now()));
        let floor = self.keep.min_free_mib.saturating_mul(MIB);
        let too_full = |dir: &PathBuf| free_bytes(dir).is_some_and(|free| free < floor);
        if too_old || self.dirs.iter().any(too_full) {
            self.look();
        }
    }

    /// The time from which on logs are not too old.
    fn oldest_kept(&self, now: SystemTime) -> String {
        match self.keep.days {
            0 => String::new(),
            days => {
                let age = DAY.saturating_mul(days.try_into().unwrap_or(u32::MAX));
                stamp(now.checked_sub(age).unwrap_or(UNIX_EPOCH))
            }
        }
    }

    /// Deletes what is too much, and says so.
    pub fn look(&mut self) {
        if self.keep == Keep::default() {
            return;
        }
        let deleted = self.look_at(SystemTime::now());
        if let Some((first, last)) = &deleted.span {
            let mib = deleted.bytes.div_ceil(MIB);
            tracing::info!("{} old logs deleted, {mib} MiB: {first} to {last}", deleted.logs);
        }
    }

    fn look_at(&mut self, now: SystemTime) -> Deleted {
        let mut deleted = Deleted::default();
        let mut all = self.all();
        let mut kept: u64 = all.iter().map(|o| o.bytes).sum();
        let oldest = self.oldest_kept(now);
        let most = match self.keep.mib {
            0 => u64::MAX,
            mib => mib.saturating_mul(MIB),
        };
        all.retain(|old| {
            let goes = old.name.opened < oldest || kept > most;
            if goes {
                // One that cannot be deleted is not made up for by others.
                deleted.delete(old);
                kept -= old.bytes;
            }
            !goes
        });
        if self.keep.min_free_mib > 0 {
            let mut disks = Vec::new();
            for dir in self.dirs.clone() {
                let disk = fs::metadata(&dir).map_or(0, |m| m.dev());
                if !disks.contains(&disk) {
                    disks.push(disk);
                    self.make_room(&dir, disk, &mut all, &mut deleted);
                }
            }
        }
        self.oldest = all.into_iter().next().map(|o| o.name.opened);
        deleted
    }

    /// Deletes old logs on a directory's disk until enough of it is free.
    fn make_room(&mut self, dir: &Path, disk: u64, all: &mut Vec<Old>, deleted: &mut Deleted) {
        let floor = self.keep.min_free_mib.saturating_mul(MIB);
        let Some(free) = free_bytes(dir) else { return };
        // Not asked for after each: what somebody reads is freed when that ends, and is no reason to delete them all.
        let mut missing = floor.saturating_sub(free);
        all.retain(|old| {
            let goes = old.disk == disk && missing > 0;
            if goes && deleted.delete(old) {
                missing = missing.saturating_sub(old.on_disk);
            }
            !goes
        });
        if missing > 0 && self.full.is_due() {
            let dir = dir.display();
            tracing::warn!(
                "less than --log-min-free-mib is free at {dir}, and there are no old logs to delete"
            );
        }
    }

    /// All old logs, the oldest first.
    fn all(&self) -> Vec<Old> {
        let mut all = Vec::new();
        for dir in self.dirs.iter().flat_map(|d| folders(d)) {
            for_each_name(&dir, |file| {
                let Some(name) = Archived::of(file) else { return };
                let known = fs::symlink_metadata(dir.join(file)).ok();
                if let Some(known) = known.filter(fs::Metadata::is_file) {
                    all.push(Old {
                        name,
                        dir: dir.clone(),
                        bytes: known.len(),
                        on_disk: known.blocks() * 512,
                        disk: known.dev(),
                    });
                }
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

impl Deleted {
    /// Deletes a log, and its day's folder if it was the last one there.
    fn delete(&mut self, old: &Old) -> bool {
        let name = old.name.to_string();
        if let Err(e) = fs::remove_file(old.dir.join(&name)) {
            tracing::debug!("cannot delete {name}: {e}");
            return false;
        }
        self.logs += 1;
        self.bytes += old.bytes;
        match &mut self.span {
            Some((_, last)) => *last = name,
            None => self.span = Some((name.clone(), name)),
        }
        if old.dir.ends_with(old.name.day()) {
            // One with anything in it stays.
            let _ = fs::remove_dir(&old.dir);
        }
        true
    }
}

/// Bytes of a directory's disk that are free for everybody.
fn free_bytes(dir: &Path) -> Option<u64> {
    Disk::of(dir).map(|disk| disk.free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::scratch::Scratch;
    use crate::output::small_disk::small_disk;

    fn names(dir: &Path) -> Vec<String> {
        let mut all = Vec::new();
        for_each_name(dir, |n| all.push(n.to_owned()));
        all.sort();
        all
    }

    fn file(at: PathBuf, bytes: usize) {
        fs::create_dir_all(at.parent().expect("a directory")).expect("directory");
        fs::write(at, vec![b'x'; bytes]).expect("file");
    }

    fn kept(keep: Keep, dir: &Path) -> Kept {
        Kept::new(keep, dir, dir)
    }

    #[test]
    fn logs_that_are_too_old_go_and_nothing_else() {
        let dir = Scratch::new("keep-days");
        let at = |name: &str| dir.path().join(name);
        for name in [
            "conn.log",
            "conn.2026-01-01-00-00-00.log.bak",
            "mine.2020-01-02-03-04-05.log",
            "conn.2020-01-02-03-04-05.log.gz.partial",
            "2020-01-02/conn.2020-01-02-03-04-05.log",
            "2020-01-03/dns.2020-01-03-03-04-05-2.log.zst",
            "2020-01-03/mine",
            "old/conn.2020-01-02-03-04-05.log",
            "conn.2026-01-08-00-00-00.log.gz",
            "conn.2026-01-09-00-00-00.log.gz",
        ] {
            file(at(name), 10);
        }
        fs::create_dir(at("dns.2020-01-02-03-04-05.log")).expect("directory");
        let other = Scratch::new("keep-other");
        file(other.path().join("2020-01-02/conn.2020-01-02-03-04-05.log"), 10);
        std::os::unix::fs::symlink(other.path().join("2020-01-02"), at("2020-01-05")).expect("link");
        let keep = Keep {
            days: 2,
            ..Keep::default()
        };
        // 10 January 2026, 12:00.
        let now = UNIX_EPOCH + Duration::from_secs(1_768_046_400);
        let deleted = kept(keep, dir.path()).look_at(now);
        assert_eq!((deleted.logs, deleted.bytes), (3, 30));
        let span = (
            "conn.2020-01-02-03-04-05.log".to_owned(),
            "conn.2026-01-08-00-00-00.log.gz".to_owned(),
        );
        assert_eq!(deleted.span, Some(span));
        assert_eq!(
            names(dir.path()),
            [
                "2020-01-03",
                "2020-01-05",
                "conn.2020-01-02-03-04-05.log.gz.partial",
                "conn.2026-01-01-00-00-00.log.bak",
                "conn.2026-01-09-00-00-00.log.gz",
                "conn.log",
                "dns.2020-01-02-03-04-05.log",
                "mine.2020-01-02-03-04-05.log",
                "old",
            ]
        );
        // Nothing is old, until something is.
        let mut kept = kept(keep, dir.path());
        kept.look_at(now);
        assert_eq!(kept.oldest.as_deref(), Some("2026-01-09-00-00-00"));
        kept.look_if_due();
        assert!(kept.oldest.is_none(), "today everything is");
        assert_eq!(names(&at("2020-01-03")), ["mine"]);
        assert_eq!(
            names(&at("2020-01-05")).len(),
            1,
            "what a link leads to is not ours"
        );
        assert_eq!(names(&at("old")).len(), 1);
    }

    #[test]
    fn logs_that_are_too_much_go_the_oldest_first() {
        let dir = Scratch::new("keep-mib");
        for (name, bytes) in [
            ("2026-01-01/conn.2026-01-01-00-00-00.log", 600 << 10),
            ("2026-01-01/dns.2026-01-01-00-00-01.log.gz", 600 << 10),
            ("conn.2026-01-02-00-00-00.log", 600 << 10),
            ("conn.2026-01-03-00-00-00.log", 400 << 10),
            ("conn.log", 10 << 20),
        ] {
            file(dir.path().join(name), bytes);
        }
        let keep = Keep {
            mib: 1,
            ..Keep::default()
        };
        let mut kept = kept(keep, dir.path());
        assert_eq!(kept.look_at(SystemTime::now()).logs, 2);
        let left = [
            "conn.2026-01-02-00-00-00.log",
            "conn.2026-01-03-00-00-00.log",
            "conn.log",
        ];
        assert_eq!(names(dir.path()), left);
        assert_eq!(kept.look_at(SystemTime::now()).logs, 0);
    }

    #[test]
    fn a_disk_that_fills_up_is_kept_free() {
        let dir = Scratch::new("keep-free");
        let path = dir.path().to_owned();
        let test = std::thread::spawn(move || {
            if !small_disk(&path) {
                eprintln!("skipped: mounting a tmpfs needs root");
                return;
            }
            // A disk of 128 KiB never has a MiB: all old logs go, the current one and what is not ours stay.
            for n in 0..4 {
                file(
                    path.join(format!("conn.2026-01-0{}-00-00-00.log", n + 1)),
                    16 << 10,
                );
            }
            file(path.join("conn.log"), 16 << 10);
            file(path.join("mine"), 16 << 10);
            let keep = Keep {
                min_free_mib: 1,
                ..Keep::default()
            };
            assert_eq!(kept(keep, &path).look_at(SystemTime::now()).logs, 4);
            assert_eq!(names(&path), ["conn.log", "mine"]);
            // On another disk there is room enough.
            let roomy = Scratch::new("keep-roomy");
            file(roomy.path().join("conn.2026-01-01-00-00-00.log"), 10);
            file(path.join("conn.2026-01-01-00-00-00.log"), 10);
            let mut both = Kept::new(keep, roomy.path(), &path);
            assert_eq!(both.look_at(SystemTime::now()).logs, 1);
            assert_eq!(names(roomy.path()).len(), 1);
        });
        test.join().expect("the test");
    }
}
