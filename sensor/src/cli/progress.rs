//! What a person at a terminal sees of reading captures: how far it has come, and at its end what came of it. Nothing where
//! standard error is no terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::messages::say::{self, say};
use crate::output::feed::FeedTarget;
use crate::settings::Settings;

/// Time between two lines.
const EVERY: Duration = Duration::from_millis(200);
/// Frames between two looks at the clock.
const FRAMES_PER_LOOK: u64 = 512;
/// Characters of the bar.
const BAR: u64 = 20;

/// Rows that went into a log.
pub type LogRows = (&'static str, u64);

/// How far reading has come.
pub struct Progress {
    /// Nobody looks if there is none.
    terminal: bool,
    began: Instant,
    next: Instant,
    /// Bytes of all captures, as they lie on the disk; None: nobody knows.
    total: Option<u64>,
    frames: u64,
    /// Bytes of frames on the wire.
    bytes: u64,
    dir: PathBuf,
}

impl Progress {
    /// Of these captures.
    pub fn new(files: &[PathBuf], settings: &Settings) -> Progress {
        let to = &settings.logs.to;
        let prints = settings.events.to.as_deref() == Some("-") || to.contains(&FeedTarget::Stdout);
        let mixes = prints && std::io::stdout().is_terminal();
        let len = |file: &PathBuf| file.metadata().ok().filter(|m| m.is_file()).map(|m| m.len());
        let now = Instant::now();
        Progress {
            terminal: std::io::stderr().is_terminal() && !settings.logs.quiet && !mixes,
            began: now,
            next: now + EVERY,
            total: files.iter().map(len).sum::<Option<u64>>().filter(|n| *n > 0),
            frames: 0,
            bytes: 0,
            dir: settings.logs.dir.clone(),
        }
    }

    /// A frame was read, of so many bytes.
    #[inline]
    pub fn frame(&mut self, bytes: u32) {
        self.frames += 1;
        self.bytes += u64::from(bytes);
    }

    /// Whether it is time to look how far it has come; asked after each frame.
    #[inline]
    pub fn may_be_due(&self) -> bool {
        self.terminal && self.frames.is_multiple_of(FRAMES_PER_LOOK)
    }

    /// Draws the line, if it is time: of the captures so many bytes were read.
    pub fn look(&mut self, read: u64) {
        let now = Instant::now();
        if self.terminal && now >= self.next {
            self.next = now + EVERY;
            say::status(line(self.total, read, self.frames, now - self.began));
        }
    }

    /// Removes the line.
    pub fn clear(&self) {
        if self.terminal {
            say::status(String::new());
        }
    }

    /// Says what came of it, when all is written.
    pub fn summary(&self, rows: &[LogRows]) {
        if self.terminal {
            let took = self.began.elapsed();
            say!(
                "{}",
                summary(
                    (self.frames, self.bytes),
                    took,
                    rows,
                    &self.dir.display().to_string()
                )
            );
        }
    }
}

/// Numbers a second.
fn rate(n: u64, took: Duration) -> u64 {
    (n as f64 / took.as_secs_f64().max(1e-3)) as u64
}

fn line(total: Option<u64>, read: u64, frames: u64, took: Duration) -> String {
    let rate = rate(frames, took);
    let Some(total) = total else {
        return format!("{frames} packets  {rate} packets/s");
    };
    // A capture may grow while it is read.
    let read = read.min(total);
    let full = (read as u128 * u128::from(BAR) / u128::from(total.max(1))) as usize;
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(BAR as usize - full));
    let percent = (read as u128 * 100 / u128::from(total.max(1))) as u64;
    let left = match read {
        0 => String::new(),
        _ => {
            let secs = took.as_secs_f64() * (total - read) as f64 / read as f64;
            format!("  {} left", clock(secs as u64))
        }
    };
    let (read, total) = (size(read), size(total));
    format!("[{bar}] {percent:3} %  {read} of {total}  {rate} packets/s{left}")
}

fn summary((frames, bytes): (u64, u64), took: Duration, rows: &[LogRows], dir: &str) -> String {
    let secs = took.as_secs_f64();
    let rate = rate(frames, took);
    let conns = rows
        .iter()
        .find(|(path, _)| *path == "conn")
        .map_or(0, |(_, n)| *n);
    let mut text = format!(
        "{frames} packets, {} in {secs:.1} s ({rate} packets/s), {conns} connections; logs in {dir}",
        size(bytes)
    );
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    for (i, (path, n)) in rows.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{path} {n}", if i == 0 { "\nrows: " } else { ", " });
    }
    text
}

/// `1:02:03` or `2:03`.
fn clock(secs: u64) -> String {
    let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
    match h {
        0 => format!("{m}:{s:02}"),
        _ => format!("{h}:{m:02}:{s:02}"),
    }
}

fn size(bytes: u64) -> String {
    let b = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", b / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", b / 1e6),
        _ => format!("{:.2} GB", b / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let secs = Duration::from_secs;
        assert_eq!(
            line(Some(4_000_000), 1_000_000, 30_000, secs(10)),
            "[#####---------------]  25 %  1.0 MB of 4.0 MB  3000 packets/s  0:30 left"
        );
        assert_eq!(
            line(Some(10), 20, 1, secs(1)),
            "[####################] 100 %  10 B of 10 B  1 packets/s  0:00 left",
            "it has grown"
        );
        assert!(!line(Some(10), 0, 0, secs(0)).contains("left"));
        assert_eq!(line(None, 5, 10, secs(2)), "10 packets  5 packets/s");
        assert!(line(Some(u64::MAX), u64::MAX / 2, u64::MAX, secs(1)).contains("49 %"));
        assert_eq!((clock(59), clock(3723)), ("0:59".into(), "1:02:03".into()));
    }

    #[test]
    fn a_summary_says_what_came_of_it() {
        let rows = [("dns", 2), ("conn", 7)];
        assert_eq!(
            summary((100, 12_345), Duration::from_secs(2), &rows, "logs"),
            "100 packets, 12.3 kB in 2.0 s (50 packets/s), 7 connections; logs in logs\nrows: conn 7, dns 2"
        );
        let none = summary((0, 0), Duration::ZERO, &[], "logs");
        assert_eq!(
            none,
            "0 packets, 0 B in 0.0 s (0 packets/s), 0 connections; logs in logs"
        );
    }
}
