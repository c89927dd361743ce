//! What readers are told of a file, and what they find.

use std::sync::Arc;

use super::super::events::EntropyTestResult;
use super::super::x509::Certificate;
use crate::event::{FaFile, Ts};

/// What readers found.
#[derive(Debug, Default)]
pub struct Found {
    pub md5: Option<String>,
    pub sha1: Option<String>,
    pub sha256: Option<String>,
    pub entropy: Option<EntropyTestResult>,
    pub certificate: Option<Arc<Certificate>>,
    pub extracted: Option<Extracted>,
}

/// What a reader may want to know of its file.
#[derive(Clone, Copy, Debug)]
pub struct About<'f> {
    pub fuid: &'f str,
    /// As events show it.
    pub f: &'f FaFile<'f>,
    pub started: Ts,
    pub mime: Option<&'static str>,
    pub is_orig: bool,
}

/// What became of a file that is extracted.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// Its name.
    pub name: String,
    /// How long it is, bytes, if that is not all.
    pub cut_off: Option<u64>,
}

/// Longest file that is kept to be read in whole, bytes.
const MAX_WHOLE: usize = 1 << 20;

/// A file that is read in whole at its end, as far as it came.
#[derive(Debug, Default)]
pub struct Whole(Vec<u8>);

impl Whole {
    pub fn add(&mut self, bytes: &[u8]) {
        let room = MAX_WHOLE.saturating_sub(self.0.len());
        self.0.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Its bytes. One that is too long is cut off.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
