//! Which connections have their rows at the end of conn.log: what an earlier run wrote last, before it was ended from
//! outside.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

use super::archived::{Archived, Packed};

/// The log.
const LOG: &str = "conn";
/// Bytes that are looked at in a log's end, or in all of a packed one. Rows of some seconds are in question.
const MAX_BYTES: u64 = 64 << 20;
/// Logs that are looked at beside the one that is being written, the newest first: it may have been rotated just before.
const OLD_LOGS: usize = 2;
/// Bytes of a line beyond which it is no row of ours.
const MAX_LINE: u64 = 1 << 20;

/// Those of `wanted`, unique ids as text, that have rows in the logs in these directories.
pub fn written(dirs: &[&Path], wanted: &HashSet<String>) -> HashSet<String> {
    let mut found = HashSet::new();
    if wanted.is_empty() {
        return found;
    }
    for path in candidates(dirs) {
        if let Err(e) = look(&path, wanted, &mut found) {
            tracing::warn!(
                "{}: cannot see which rows the last run wrote, some may be there twice: {e}",
                path.display()
            );
        }
    }
    found
}

fn candidates(dirs: &[&Path]) -> Vec<PathBuf> {
    let mut old: Vec<(SystemTime, PathBuf)> = Vec::new();
    let mut all = Vec::new();
    let mut add = |dir: &Path| {
        let mut below = Vec::new();
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let known = entry.metadata();
            if name == "conn.log" || name == "conn.json" {
                all.push(path);
            } else if Archived::of(&name).is_some_and(|a| a.log == LOG) {
                let at = known.and_then(|m| m.modified());
                old.push((at.unwrap_or(SystemTime::UNIX_EPOCH), path));
            } else if super::archived::is_day(&name) {
                below.push(path);
            }
        }
        below
    };
    for dir in dirs {
        let mut days = add(dir);
        days.sort();
        if let Some(last) = days.last() {
            add(last);
        }
    }
    old.sort();
    all.extend(old.into_iter().rev().take(OLD_LOGS).map(|(_, path)| path));
    all
}

fn look(path: &Path, wanted: &HashSet<String>, found: &mut HashSet<String>) -> io::Result<()> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    let packed = Packed::ALL
        .into_iter()
        .find(|p| path.to_string_lossy().ends_with(p.ending()) && *p != Packed::None);
    let from: Box<dyn Read> = match packed {
        Some(Packed::Gzip) => Box::new(MultiGzDecoder::new(file)),
        Some(Packed::Zstd) => Box::new(zstd::Decoder::new(file)?),
        _ => {
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(MAX_BYTES)))?;
            Box::new(file)
        }
    };
    let mut lines = BufReader::with_capacity(1 << 16, from.take(MAX_BYTES));
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // Half a line is none, and is not left there.
        if line.last() == Some(&b'\n')
            && let Some(uid) = uid_of(&line)
            && wanted.contains(uid)
        {
            found.insert(uid.to_owned());
        }
    }
}

/// The unique id in a line of conn.log, in either format.
fn uid_of(line: &[u8]) -> Option<&str> {
    const JSON: &[u8] = b"\"uid\":\"";
    let uid = match line.first()? {
        b'#' => return None,
        b'{' => {
            let at = line.windows(JSON.len()).position(|w| w == JSON)?;
            line[at + JSON.len()..].split(|b| *b == b'"').next()?
        }
        _ => line.split(|b| *b == b'\t').nth(1)?,
    };
    std::str::from_utf8(uid).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::scratch::Scratch;
    use std::io::Write;

    #[test]
    fn ids_are_found_in_either_format_and_in_packed_logs() {
        let dir = Scratch::new("tail");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect(name);
        write(
            "conn.log",
            "#fields\tts\tuid\n1.0\tC1\t10.0.0.1\n2.0\tC2\t10.0.0.1",
        );
        write(
            "conn.2026-01-02-03-04-05.json",
            "{\"ts\":1,\"uid\":\"C3\",\"x\":\"C9\"}\n",
        );
        write("dns.log", "1.0\tC9\tx\n");
        let day = dir.path().join("2026-01-02");
        std::fs::create_dir(&day).expect("a folder");
        let file = File::create(day.join("conn.2026-01-02-03-04-06.log.gz")).expect("a file");
        let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gz.write_all(b"1.0\tC4\tx\n").expect("packed");
        gz.finish().expect("packed");
        let wanted: HashSet<String> = ["C1", "C2", "C3", "C4", "C9"].map(String::from).into();
        let mut found: Vec<_> = written(&[dir.path()], &wanted).into_iter().collect();
        found.sort();
        assert_eq!(found, ["C1", "C3", "C4"], "C2's line was not finished");
    }
}
