//! What is wanted of files: digests, and which are extracted, and how much of them.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Which digests are made of every file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// MD5.
    pub md5: bool,
    /// SHA-1.
    pub sha1: bool,
    /// SHA-256.
    pub sha256: bool,
}

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
    on_request: bool,
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
            on_request: false,
            limit,
            left: AtomicU64::new(total),
        }
    }

    /// Only those that somebody asks for, whatever their types.
    pub fn on_request(self) -> ExtractConfig {
        ExtractConfig {
            on_request: true,
            ..self
        }
    }

    /// Whether it is only those.
    pub fn is_on_request(&self) -> bool {
        self.on_request
    }

    /// The longest part of a file that is written, bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether files of this type are extracted; None: it is not known.
    pub fn wants(&self, mime: Option<&str>) -> bool {
        self.types.is_empty() || mime.is_some_and(|m| self.types.iter().any(|t| t.is_of(m)))
    }

    /// How many of `len` bytes may be written; they count from now on.
    pub fn take(&self, len: u64) -> u64 {
        let less = |left: u64| Some(left.saturating_sub(len));
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        before.unwrap_or_default().min(len)
    }

    /// Bytes were not written after all.
    pub fn give_back(&self, len: u64) {
        self.left.fetch_add(len, Ordering::Relaxed);
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
}
