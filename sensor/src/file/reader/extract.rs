//! Files written out as they come. What is written, and how much of it, is decided here; who writes is told by
//! [`Out::extract`](super::super::api::Out::extract).

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::super::api::{Cx, Part, Target};
use super::Found;
use crate::base::time::{SECOND, Ts};
use crate::event::Fuid;

/// Zeek's name of who extracts files.
pub const NAME: &str = "EXTRACT";

/// Types of files: one, or all of a kind, such as `image/*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MimePattern(String);

/// A text that names no types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no type of files; one is application/pdf, and image/* are all images")]
pub struct NoMimePattern(String);

impl MimePattern {
    /// Whether it names this type.
    pub fn is_of(&self, mime: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(kind) => mime.starts_with(kind),
            None => self.0 == mime,
        }
    }
}

impl FromStr for MimePattern {
    type Err = NoMimePattern;

    fn from_str(s: &str) -> Result<MimePattern, NoMimePattern> {
        let is_name =
            |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic() && !b"/*".contains(&b));
        match s.split_once('/') {
            Some((kind, one)) if is_name(kind) && (one == "*" || is_name(one)) => {
                Ok(MimePattern(s.to_ascii_lowercase()))
            }
            _ => Err(NoMimePattern(s.to_owned())),
        }
    }
}

impl TryFrom<String> for MimePattern {
    type Error = NoMimePattern;

    fn try_from(s: String) -> Result<MimePattern, NoMimePattern> {
        s.parse()
    }
}

impl From<MimePattern> for String {
    fn from(p: MimePattern) -> String {
        p.0
    }
}

/// Which files are extracted, and how much of them; one for all workers of a run.
#[derive(Debug)]
pub struct ExtractConfig {
    types: Vec<MimePattern>,
    limit: u64,
    /// What may still be written, bytes.
    left: AtomicU64,
}

impl ExtractConfig {
    /// Files of these `types`, or all, also of unknown type, if there are none. Of each at most its first `limit` bytes are
    /// written, of all together `total`.
    pub fn new(types: Vec<MimePattern>, limit: u64, total: u64) -> ExtractConfig {
        ExtractConfig {
            types,
            limit,
            left: AtomicU64::new(total),
        }
    }

    /// Whether files of this type are extracted; None: it is not known.
    pub fn wants(&self, mime: Option<&str>) -> bool {
        self.types.is_empty() || mime.is_some_and(|m| self.types.iter().any(|t| t.is_of(m)))
    }

    /// How many of `len` bytes may be written; they count from now on.
    fn take(&self, len: u64) -> u64 {
        let mut left = self.left.load(Ordering::Relaxed);
        loop {
            let (taken, after) = (len.min(left), left.saturating_sub(len));
            match self
                .left
                .compare_exchange_weak(left, after, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return taken,
                Err(now) => left = now,
            }
        }
    }

    /// Bytes were not written after all.
    fn give_back(&self, len: u64) {
        self.left.fetch_add(len, Ordering::Relaxed);
    }
}

/// The name of the file that a file's bytes are written to (Zeek: FileExtract::on_add). Nothing of it is a sender's choice.
pub fn name(started: Ts, source: &str, fuid: Fuid) -> String {
    let (s, us) = (started / SECOND, started % SECOND / 1000);
    format!("extract-{s}.{us:06}-{source}-{fuid}")
}

/// What became of a file that is extracted.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// Its name.
    pub name: String,
    /// How long it is, bytes, if that is not all.
    pub cut_off: Option<u64>,
}

/// A file being written.
#[derive(Debug)]
pub struct Extract {
    cfg: Arc<ExtractConfig>,
    target: Arc<Target>,
    /// Where the next bytes belong.
    at: u64,
    /// Where the last bytes that were taken end.
    end: u64,
    is_cut: bool,
}

impl Extract {
    pub fn new(cfg: Arc<ExtractConfig>, name: String) -> Extract {
        Extract {
            cfg,
            target: Arc::new(Target::new(name)),
            at: 0,
            end: 0,
            is_cut: false,
        }
    }

    /// Whether more is written.
    pub fn reads(&self) -> bool {
        !self.is_cut
    }

    pub fn bytes(&mut self, bytes: &[u8], cx: &mut Cx<'_>) {
        if self.is_cut || bytes.is_empty() {
            return;
        }
        let len = bytes.len() as u64;
        let may = self.cfg.take(len.min(self.cfg.limit.saturating_sub(self.at)));
        if may > 0 {
            let bytes = bytes.get(..may as usize).unwrap_or(bytes);
            let part = Part::Bytes { at: self.at, bytes };
            if !cx.out.extract(&self.target, part) {
                self.cfg.give_back(may);
                return self.cut_off(cx);
            }
            self.at += may;
            self.end = self.at;
        }
        if may < len {
            self.cut_off(cx);
        }
    }

    /// So many bytes are not at hand: a hole in the file.
    pub fn gap(&mut self, len: u64, cx: &mut Cx<'_>) {
        self.at = self.at.saturating_add(len);
        if self.at > self.cfg.limit {
            self.cut_off(cx);
        }
    }

    /// No more of it is written.
    fn cut_off(&mut self, cx: &mut Cx<'_>) {
        if !std::mem::replace(&mut self.is_cut, true) {
            self.close(cx);
        }
    }

    fn close(&self, cx: &mut Cx<'_>) {
        // Of what nothing was taken nobody knows.
        if self.end > 0 {
            cx.out.extract(&self.target, Part::End);
        }
    }

    /// The file is over.
    pub fn end(self, found: &mut Found, cx: &mut Cx<'_>) {
        if !self.is_cut {
            self.close(cx);
        }
        let failed = self.target.failed_at();
        let is_cut = self.is_cut || failed.is_some();
        // Of what had no byte at hand there is no file.
        if is_cut || self.end > 0 {
            found.extracted = Some(Extracted {
                name: self.target.name().to_owned(),
                cut_off: is_cut.then(|| failed.map_or(self.end, |at| at.min(self.end))),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_one_by_one_or_by_kind() {
        let pattern = |s: &str| s.parse::<MimePattern>();
        let images = pattern("image/*").expect("a pattern");
        assert!(images.is_of("image/png") && !images.is_of("imagery/png"));
        let pdf = pattern("application/PDF").expect("a pattern");
        assert!(pdf.is_of("application/pdf") && !pdf.is_of("application/pdfx"));
        for wrong in [
            "", "*", "image", "image/", "/png", "*/*", "image/p*", "a/b/c", "a b/c",
        ] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_total_is_shared_and_never_exceeded() {
        let cfg = ExtractConfig::new(Vec::new(), 10, 5);
        assert_eq!((cfg.take(3), cfg.take(3), cfg.take(3)), (3, 2, 0));
        cfg.give_back(2);
        assert_eq!(cfg.take(3), 2);
    }

    #[test]
    fn a_name_has_the_time_to_the_microsecond() {
        let fuid = Fuid::of(1, [0; 16]);
        let want = format!("extract-1700000000.000045-FTP_DATA-{fuid}");
        assert_eq!(name(1_700_000_000 * SECOND + 45_999, "FTP_DATA", fuid), want);
    }
}
