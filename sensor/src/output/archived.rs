//! Names of logs that are over: `conn.2026-01-02-03-04-05.log`, with the UTC time at which the log was opened.
//!
//! What has another name is none of the sensor's old logs, and is never touched. Knows names, nothing of files.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::stamp::is_stamp;
use crate::catalog;

/// How logs that are over are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packed {
    /// As they were written.
    #[default]
    None,
    /// As gzip does.
    Gzip,
    /// As zstd does.
    Zstd,
}

impl Packed {
    /// All of them.
    pub const ALL: [Packed; 3] = [Packed::None, Packed::Gzip, Packed::Zstd];

    /// What names end with then.
    pub fn ending(self) -> &'static str {
        match self {
            Packed::None => "",
            Packed::Gzip => ".gz",
            Packed::Zstd => ".zst",
        }
    }
}

/// What the files of logs may end with: Zeek's way, and that of JSON where both are written.
pub const ENDINGS: [&str; 2] = ["log", "json"];

/// What the name of a log that is over says. They are ordered by age, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// When it was opened, as [`super::stamp::stamp`] has it.
    pub opened: String,
    /// Which of several with the same name it is, from 0.
    pub again: u32,
    /// The log: `conn`.
    pub log: String,
    /// One of [`ENDINGS`].
    pub ending: &'static str,
    /// How it is packed.
    pub packed: Packed,
}

impl Archived {
    /// Takes a file's name apart. None: it is no log of the sensor that is over.
    pub fn of(name: &str) -> Option<Self> {
        let packed = [Packed::Gzip, Packed::Zstd]
            .into_iter()
            .find(|p| name.ends_with(p.ending()))
            .unwrap_or_default();
        let (rest, ending) = name.strip_suffix(packed.ending())?.rsplit_once('.')?;
        let ending = ENDINGS.into_iter().find(|e| *e == ending)?;
        let (log, at) = rest.split_once('.')?;
        let (opened, again) = at.split_at_checked(STAMP_LEN)?;
        let again = match again.strip_prefix('-') {
            Some(n) => n.parse().ok().filter(|m: &u32| *m > 0 && m.to_string() == n)?,
            None if again.is_empty() => 0,
            None => return None,
        };
        (is_stamp(opened) && catalog::has_log(log)).then(|| Archived {
            opened: opened.to_owned(),
            again,
            log: log.to_owned(),
            ending,
            packed,
        })
    }

    /// The day on which it was opened: `2026-01-02`.
    pub fn day(&self) -> &str {
        self.opened.get(..DAY_LEN).unwrap_or_default()
    }
}

/// Length of a time in a name.
const STAMP_LEN: usize = "2026-01-02-03-04-05".len();
const DAY_LEN: usize = "2026-01-02".len();

/// Whether a name is that of a folder for a day.
pub fn is_day(name: &str) -> bool {
    is_stamp(&format!("{name}-00-00-00"))
}

impl fmt::Display for Archived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.log, self.opened)?;
        if self.again > 0 {
            write!(f, "-{}", self.again)?;
        }
        write!(f, ".{}{}", self.ending, self.packed.ending())
    }
}

impl Ord for Archived {
    fn cmp(&self, other: &Self) -> Ordering {
        fn key(a: &Archived) -> impl Ord + '_ {
            (&a.opened, a.again, &a.log, a.ending, a.packed.ending())
        }
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Archived {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_old_logs_and_no_others() {
        for name in [
            "conn.2026-01-02-03-04-05.log",
            "conn.2026-01-02-03-04-05-7.log",
            "dns.2026-01-02-03-04-05.json",
            "dns.2026-01-02-03-04-05.log.gz",
            "files.2026-01-02-03-04-05-12.json.zst",
        ] {
            let a = Archived::of(name).expect(name);
            assert_eq!(a.to_string(), name);
            assert_eq!(a.day(), "2026-01-02");
        }
        for name in [
            "conn.log",
            "conn.json",
            "conn.log.gz",
            "mine.2026-01-02-03-04-05.log",
            "conn.2026-01-02-03-04-05.txt",
            "conn.2026-01-02-03-04-05.log.bz2",
            "conn.2026-01-02-03-04-05.log.gz.partial",
            "conn.2026-01-02-03-04-05-0.log",
            "conn.2026-01-02-03-04-05-01.log",
            "conn.2026-01-02-03-04-05-+1.log",
            "conn.2026-01-02-03-04-05x.log",
            "conn.2026-01-02-03-04-0\u{e9}.log",
            "conn.2026-01-02.log",
            ".2026-01-02-03-04-05.log",
            "",
        ] {
            assert_eq!(Archived::of(name), None, "{name}");
        }
        assert!(is_day("2026-01-02"));
        for name in ["2026-01-02-", "2026-1-02", "old", ""] {
            assert!(!is_day(name), "{name}");
        }
    }

    #[test]
    fn the_oldest_is_the_first() {
        let mut names: Vec<_> = [
            "conn.2026-01-02-03-04-05-2.log",
            "conn.2026-01-02-03-04-05.log",
            "dns.2026-01-02-03-04-04.log",
            "conn.2026-01-02-03-04-05-10.log.gz",
        ]
        .into_iter()
        .filter_map(Archived::of)
        .collect();
        names.sort();
        let again: Vec<_> = names.iter().map(|a| a.again).collect();
        assert_eq!((names[0].log.as_str(), again), ("dns", vec![0, 0, 2, 10]));
    }
}
