//! The directory of the logs: whether it is there or can be made, has room, and is nobody else's.
#![allow(unsafe_code, reason = "access is a system call")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::item::Item;
use crate::output::disk::Disk;
use crate::output::log_dir::LogDir;

const OF: &str = "logs";
/// Room below which it is full soon, bytes.
const LITTLE: u64 = 1 << 30;
/// Room below which nothing can be written, bytes.
const NOTHING: u64 = 1 << 20;
/// What statfs(2) calls these file systems.
const TMPFS: [i64; 2] = [0x0102_1994, 0x8584_58f6];
const REMOTE: [i64; 4] = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400];

/// What was found.
#[derive(Debug, Default)]
pub struct Facts {
    /// The directory itself, or the nearest above it that is there; None: there is none, as something on the way is no
    /// directory.
    nearest: Option<PathBuf>,
    /// Files can be made there.
    writable: bool,
    /// Another process has it.
    taken: bool,
    /// Room, bytes; None: not to be found out.
    free: Option<u64>,
    /// Type of the file system, as statfs(2) has it.
    kind: i64,
}

/// Looks at the directory; makes none.
pub fn look(dir: &Path) -> Facts {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let there = absolute.ancestors().find(|p| p.symlink_metadata().is_ok());
    let Some(nearest) = there.filter(|p| p.is_dir()) else {
        return Facts::default();
    };
    let disk = Disk::of(nearest);
    Facts {
        nearest: Some(nearest.to_owned()),
        writable: is_writable(nearest),
        taken: nearest == absolute && LogDir::is_taken(nearest).unwrap_or(false),
        free: disk.map(|d| d.free),
        kind: disk.map_or(0, |d| d.kind),
    }
}

fn is_writable(dir: &Path) -> bool {
    let Ok(path) = CString::new(dir.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: a terminated string that outlives the call.
    unsafe {
        libc::faccessat(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::W_OK | libc::X_OK,
            libc::AT_EACCESS,
        ) == 0
    }
}

/// What the facts mean for `dir`.
pub fn items(dir: &Path, f: &Facts) -> Vec<Item> {
    let shown = dir.display();
    let Some(nearest) = &f.nearest else {
        return vec![Item::fail(
            OF,
            format!("{shown} cannot be made: something on the way to it is no directory"),
            "sensor run --log-dir DIR   # elsewhere".to_owned(),
        )];
    };
    let there = dir.is_absolute() && nearest == dir || nearest.ends_with(dir);
    let mut items = vec![match (f.writable, there) {
        (true, true) => Item::ok(OF, format!("{shown} can be written to")),
        (true, false) => Item::ok(OF, format!("{shown} is not there and can be made")),
        (false, true) => Item::fail(
            OF,
            format!("{shown} cannot be written to"),
            format!("chown $(id -u) {shown}   # or another --log-dir"),
        ),
        (false, false) => Item::fail(
            OF,
            format!(
                "{shown} is not there, and {} cannot be written to",
                nearest.display()
            ),
            format!("install -d -o $(id -u) {shown}   # as root"),
        ),
    }];
    if f.taken {
        items.push(Item::fail(
            OF,
            format!("another sensor writes to {shown}"),
            format!("fuser -v {shown}   # shows it; or another --log-dir"),
        ));
    }
    items.extend(f.free.map(|free| match free {
        n if n < NOTHING => Item::fail(
            OF,
            "the disk is full".to_owned(),
            format!("df -h {}", nearest.display()),
        ),
        n if n < LITTLE => Item::warn(
            OF,
            format!("there is room for {} MiB only", n >> 20),
            format!("df -h {}", nearest.display()),
        ),
        n => Item::ok(OF, format!("there is room for {} GiB", n >> 30)),
    }));
    if TMPFS.contains(&f.kind) {
        items.push(Item::warn(
            OF,
            format!(
                "{shown} is in memory (tmpfs): logs take it from the sensor, and are gone after a restart"
            ),
            "sensor run --log-dir /var/log/sensor".to_owned(),
        ));
    }
    if REMOTE.contains(&f.kind) {
        items.push(Item::warn(
            OF,
            format!(
                "{shown} is on another machine: while that is away, rows wait and are lost when too many do"
            ),
            "sensor run --log-dir /var/log/sensor".to_owned(),
        ));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::super::item::Level;
    use super::*;

    fn facts() -> Facts {
        Facts {
            nearest: Some("/var/log".into()),
            writable: true,
            taken: false,
            free: Some(100 << 30),
            kind: 0xef53,
        }
    }

    fn worst(f: &Facts) -> Item {
        let all = items(Path::new("/var/log/sensor"), f);
        all.into_iter().max_by_key(|i| i.level).expect("items")
    }

    #[test]
    fn a_directory_that_can_be_made_is_well() {
        assert_eq!(worst(&facts()).level, Level::Ok);
    }

    #[test]
    fn what_cannot_be_written_fails() {
        let mut f = facts();
        f.writable = false;
        assert!(worst(&f).says.contains("/var/log cannot be written to"));
        let mut f = facts();
        f.taken = true;
        assert!(worst(&f).says.contains("another sensor"));
        let mut f = facts();
        f.free = Some(1000);
        assert_eq!(worst(&f).level, Level::Fail);
        assert_eq!(worst(&Facts::default()).level, Level::Fail);
    }

    #[test]
    fn memory_and_other_machines_are_warned_of() {
        for kind in [TMPFS[0], REMOTE[0]] {
            let mut f = facts();
            f.kind = kind;
            assert_eq!(worst(&f).level, Level::Warn);
        }
        let mut f = facts();
        f.free = Some(100 << 20);
        assert_eq!(worst(&f).level, Level::Warn);
    }

    #[test]
    fn a_file_on_the_way_is_no_directory() {
        assert!(look(Path::new("/proc/version/logs")).nearest.is_none());
        let root = look(Path::new("/no-such-directory/logs"));
        assert_eq!(root.nearest.as_deref(), Some(Path::new("/")));
    }
}
