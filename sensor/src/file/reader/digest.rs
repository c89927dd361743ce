//! Digests of whole files.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::super::wanted::Hashes;
use super::found::Found;
use crate::event::json::hex;

/// Those of one file, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    md5: Option<Md5>,
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
    is_empty: bool,
}

impl Digests {
    /// None: nobody asked for any.
    pub fn new(hashes: Hashes) -> Option<Digests> {
        (hashes != Hashes::default()).then(|| Digests {
            md5: hashes.md5.then(Md5::new),
            sha1: hashes.sha1.then(Sha1::new),
            sha256: hashes.sha256.then(Sha256::new),
            is_empty: true,
        })
    }

    /// Those of `hashes` that are not among these.
    pub fn without(&self, hashes: Hashes) -> Hashes {
        Hashes {
            md5: hashes.md5 && self.md5.is_none(),
            sha1: hashes.sha1 && self.sha1.is_none(),
            sha256: hashes.sha256 && self.sha256.is_none(),
        }
    }

    /// Zeek's names of those that are made.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let md5 = self.md5.as_ref().map(|_| "MD5");
        let sha1 = self.sha1.as_ref().map(|_| "SHA1");
        let sha256 = self.sha256.as_ref().map(|_| "SHA256");
        md5.into_iter().chain(sha1).chain(sha256)
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.is_empty &= bytes.is_empty();
        if let Some(h) = &mut self.md5 {
            h.update(bytes);
        }
        if let Some(h) = &mut self.sha1 {
            h.update(bytes);
        }
        if let Some(h) = &mut self.sha256 {
            h.update(bytes);
        }
    }

    /// The file is over, and all of it came. One of no bytes has no digests, as in Zeek.
    pub fn end(self, found: &mut Found) {
        if self.is_empty {
            return;
        }
        // Others may have made others.
        found.md5 = self.md5.map(|h| hex(&h.finalize())).or(found.md5.take());
        found.sha1 = self.sha1.map(|h| hex(&h.finalize())).or(found.sha1.take());
        found.sha256 = self.sha256.map(|h| hex(&h.finalize())).or(found.sha256.take());
    }
}
