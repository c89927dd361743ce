//! Several captures as one, in order of time.
//!
//! Each is looked at before anything is read, up to its first frame. Then a file is opened when the others have come to
//! the time of its first frame, and closed at its end: captures that follow one another are open one at a time, and those
//! that overlap have a buffer each. Frames of one capture keep their order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use super::{Capture, CaptureError, NextFrame, Peek};
use crate::packet::link::LinkType;

/// Memory that the buffers of all captures may take together for reading ahead, bytes.
const READ_AHEAD_BYTES: usize = 64 << 20;
/// Least read-ahead of one capture, bytes.
const MIN_READ_AHEAD_BYTES: usize = 16 << 10;

/// Captures being read.
pub struct Captures {
    /// Captures not opened yet, with the times of their first frames, latest first.
    waiting: Vec<(u64, Waiting)>,
    /// In the order in which they were opened; None: read to the end.
    open: Vec<Option<Capture>>,
    /// The times of the next frames of the open ones.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Index of the capture that the last frame came from.
    last: Option<usize>,
    /// Number of all captures.
    count: usize,
    /// Bytes of files that were read to their ends.
    done: u64,
}

enum Waiting {
    File(PathBuf),
    /// An input that cannot be opened twice.
    Pipe(Capture),
}

impl Captures {
    /// Looks at each of `paths`, opened by `open`. Fails if one of them cannot be opened or is no capture, or if `accept`
    /// refuses its link type.
    pub fn look<E: From<CaptureError>>(
        paths: &[PathBuf],
        mut open: impl FnMut(&Path) -> Result<Capture, CaptureError>,
        accept: impl Fn(&str, LinkType) -> Result<(), E>,
    ) -> Result<Captures, E> {
        let mut waiting = Vec::with_capacity(paths.len());
        for path in paths {
            let mut capture = open(path)?;
            let link = capture.link();
            if let Some(link) = link {
                accept(&capture.path, link)?;
            }
            let mut first = u64::MAX;
            // A pipe that stands alone need not say more before it is read.
            if paths.len() > 1 || link.is_none() {
                let found = loop {
                    match capture.peek() {
                        Peek::NotYet => {}
                        found => break found,
                    }
                };
                match found {
                    Peek::Frame { ts, link } => {
                        accept(&capture.path, link)?;
                        first = ts;
                    }
                    // It is told when it is read.
                    Peek::Damage | Peek::NotYet => {}
                    Peek::End => continue,
                }
            }
            let again = paths.len() > 1 && path.metadata().is_ok_and(|m| m.is_file());
            let what = if again {
                Waiting::File(path.clone())
            } else {
                Waiting::Pipe(capture)
            };
            waiting.push((first, what));
        }
        // Stable: those that begin together are read in the order given.
        waiting.reverse();
        waiting.sort_by_key(|(first, _)| Reverse(*first));
        Ok(Captures {
            waiting,
            open: Vec::new(),
            heads: BinaryHeap::new(),
            last: None,
            count: paths.len(),
            done: 0,
        })
    }

    /// What comes next in time. When one capture is damaged, the others go on.
    #[inline]
    pub fn step(&mut self) -> NextFrame<'_> {
        let alone = self.waiting.is_empty() && self.heads.is_empty();
        match self.last {
            // When it is over, all is.
            Some(i) if alone => self.take(i),
            _ => self.choose(),
        }
    }

    /// Bytes of the captures' files that were read, as they lie on the disk; what was looked at before is left out.
    pub fn bytes_read(&self) -> u64 {
        let open = self.open.iter().flatten().map(Capture::bytes_read);
        self.done + open.sum::<u64>()
    }

    /// Stops reading the capture that the last frame came from; gives its name.
    pub fn give_up(&mut self) -> String {
        let last = self.last.take().and_then(|i| self.open.get_mut(i)?.take());
        self.done += last.as_ref().map_or(0, Capture::bytes_read);
        last.map(|c| c.path).unwrap_or_default()
    }

    fn take(&mut self, i: usize) -> NextFrame<'_> {
        self.last = Some(i);
        match self.open.get_mut(i) {
            Some(Some(c)) => c.step(),
            _ => NextFrame::End,
        }
    }

    fn choose(&mut self) -> NextFrame<'_> {
        loop {
            if let Some(i) = self.last.take()
                && let Some(Some(c)) = self.open.get_mut(i)
            {
                match c.peek() {
                    Peek::Frame { ts, .. } => self.heads.push(Reverse((ts, i))),
                    // Told at once.
                    Peek::Damage => self.heads.push(Reverse((0, i))),
                    Peek::End => {
                        self.done += c.bytes_read();
                        self.open[i] = None;
                    }
                    Peek::NotYet => {
                        self.last = Some(i);
                        return NextFrame::NotYet;
                    }
                }
            }
            let head = self.heads.peek().map(|Reverse(head)| *head);
            let begins = self.waiting.last().map(|(first, _)| *first);
            match (head, begins) {
                (None, None) => return NextFrame::End,
                (Some((ts, i)), _) if begins.is_none_or(|b| ts < b) => {
                    self.heads.pop();
                    return self.take(i);
                }
                _ => match self.waiting.pop().map(|(_, w)| w.open()) {
                    Some(Ok(mut c)) => {
                        c.read_at_most((READ_AHEAD_BYTES / self.count).max(MIN_READ_AHEAD_BYTES));
                        self.last = Some(self.open.len());
                        self.open.push(Some(c));
                    }
                    Some(Err(e)) => return NextFrame::Damage(e),
                    None => {}
                },
            }
        }
    }

    /// Captures that are open.
    #[cfg(test)]
    fn open_now(&self) -> usize {
        self.open.iter().flatten().count()
    }
}

impl Waiting {
    fn open(self) -> Result<Capture, CaptureError> {
        match self {
            Waiting::File(path) => Capture::open(path),
            Waiting::Pipe(capture) => Ok(capture),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture whose frames are one byte each, of these times (seconds).
    fn capture(times: &[u32], name: u8) -> Vec<u8> {
        let mut b = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        b.extend([0, 0, 4, 0, 1, 0, 0, 0]);
        for t in times {
            b.extend(t.to_le_bytes());
            b.extend([0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, name]);
        }
        b
    }

    /// Files with these bytes.
    struct Dir(PathBuf, Vec<PathBuf>);

    impl Dir {
        fn new(name: &str, files: &[Vec<u8>]) -> Dir {
            let dir = std::env::temp_dir().join(format!("sensor-merge-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).expect("directory");
            let paths = files.iter().enumerate().map(|(i, bytes)| {
                let path = dir.join(format!("{i}.pcap"));
                std::fs::write(&path, bytes).expect("capture");
                path
            });
            let paths = paths.collect();
            Dir(dir, paths)
        }

        fn look(&self) -> Result<Captures, CaptureError> {
            Captures::look(&self.1, |p| Capture::open(p), |_, _| Ok(()))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Seconds and names of the frames, what was damaged, and the most that were open.
    fn read(mut c: Captures) -> (Vec<(u64, u8)>, Vec<String>, usize) {
        let (mut frames, mut damage, mut most) = (Vec::new(), Vec::new(), 0);
        loop {
            match c.step() {
                NextFrame::Frame(f) => frames.push((f.ts / crate::base::time::SECOND, f.data[0])),
                NextFrame::NotYet => {}
                NextFrame::Damage(e) => damage.push(e.to_string()),
                NextFrame::End => break,
            }
            most = most.max(c.open_now());
        }
        (frames, damage, most)
    }

    #[test]
    fn captures_come_in_order_of_time_and_merged_where_they_overlap() {
        let dir = Dir::new(
            "order",
            &[
                capture(&[20, 21, 30], b'c'),
                capture(&[], b'-'),
                capture(&[1, 5, 9], b'a'),
                capture(&[4, 5, 6, 8], b'b'),
                capture(&[30, 31], b'd'),
            ],
        );
        let captures = dir.look().expect("captures");
        assert_eq!(captures.bytes_read(), 0);
        let (frames, damage, most) = read(captures);
        let names: Vec<u8> = frames.iter().map(|f| f.1).collect();
        assert_eq!(String::from_utf8_lossy(&names), "ababbbacccdd");
        assert!(frames.is_sorted_by_key(|f| f.0) && damage.is_empty());
        assert_eq!(most, 2);
    }

    #[test]
    fn many_captures_that_follow_each_other_are_open_one_at_a_time() {
        let files: Vec<_> = (0..300)
            .rev()
            .map(|n| capture(&[2 * n, 2 * n + 1], n as u8))
            .collect();
        let dir = Dir::new("many", &files);
        let (frames, _, most) = read(dir.look().expect("captures"));
        assert_eq!(frames.len(), 600);
        assert!(frames.is_sorted_by_key(|f| f.0));
        assert_eq!(most, 1);
    }

    #[test]
    fn damage_is_told_and_the_others_go_on() {
        let mut cut = capture(&[1, 2], b'x');
        cut.truncate(cut.len() - 5);
        let mut at_once = capture(&[1], b'y');
        at_once.truncate(30);
        let dir = Dir::new("damage", &[at_once, cut, capture(&[0, 3], b'z')]);
        let (frames, damage, _) = read(dir.look().expect("captures"));
        let names: Vec<u8> = frames.iter().map(|f| f.1).collect();
        assert_eq!(String::from_utf8_lossy(&names), "zxz");
        assert!(damage[0].contains("1.pcap: damaged") && damage[1].contains("0.pcap: damaged"));
        assert_eq!(damage.len(), 2);
    }

    #[test]
    fn what_is_no_capture_is_known_before() {
        let dir = Dir::new("none", &[capture(&[1], b'a'), vec![b'#'; 100]]);
        let e = dir.look().err().expect("no capture");
        assert!(e.to_string().contains("1.pcap: not a capture file"), "{e}");
        let refuse = |name: &str, link: LinkType| {
            Err(CaptureError::NotACapture {
                path: format!("{name} {}", link.0),
            })
        };
        let dir = Dir::new("link", &[capture(&[1], b'a')]);
        let e = Captures::look(&dir.1, |p| Capture::open(p), refuse)
            .err()
            .expect("refused");
        assert!(e.to_string().contains("0.pcap 1"), "{e}");
    }
}
