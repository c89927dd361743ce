//! Who reads files: digests, certificates. Each is given a file's bytes in order, and stops at the first that are missing.

mod cert;
mod digest;

use std::sync::Arc;

use super::api::{Cx, FileConfig};
use super::x509::{CertCache, Certificate};
use cert::Cert;
use digest::Digests;
pub use digest::Hashes;

/// What the readers of a worker share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Certificates seen before.
    certs: CertCache,
}

/// What readers found.
#[derive(Debug, Default)]
pub struct Found {
    pub md5: Option<String>,
    pub sha1: Option<String>,
    pub sha256: Option<String>,
    pub certificate: Option<Arc<Certificate>>,
    /// files.log has no row of it: another log has.
    pub is_logged: bool,
}

/// What a reader may want to know of its file.
#[derive(Clone, Copy, Debug)]
pub struct About<'f> {
    pub fuid: &'f str,
    pub mime: Option<&'static str>,
    pub is_orig: bool,
}

/// The readers of one file.
#[derive(Debug, Default)]
pub struct Readers(Vec<Reader>);

#[derive(Debug)]
enum Reader {
    Digests(Box<Digests>),
    Cert(Cert),
}

impl Readers {
    /// Those that read every file.
    pub fn new(cfg: &FileConfig) -> Readers {
        let digests = Digests::new(cfg.hashes).map(|d| Reader::Digests(Box::new(d)));
        Readers(digests.into_iter().collect())
    }

    /// Adds those that read files of a type; Zeek's names of them.
    pub fn add_for(&mut self, mime: &str) -> impl Iterator<Item = &'static str> + use<> {
        let is_cert = cert::TYPES.contains(&mime);
        if is_cert {
            self.0.push(Reader::Cert(Cert::default()));
        }
        is_cert.then_some("X509").into_iter()
    }

    /// Zeek's names of all that read.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|reader| match reader {
            Reader::Digests(d) => d.names().collect(),
            Reader::Cert(_) => vec!["X509"],
        })
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The next bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.catch_up(0, bytes);
    }

    /// The first bytes, for those from number `from` on: they came later.
    pub fn catch_up(&mut self, from: usize, bytes: &[u8]) {
        for reader in self.0.iter_mut().skip(from) {
            match reader {
                Reader::Digests(d) => d.bytes(bytes),
                Reader::Cert(c) => c.bytes(bytes),
            }
        }
    }

    /// The next bytes are not at hand, whether they came or not.
    pub fn gap(&mut self) {
        self.0.clear();
    }

    /// Whether somebody reads on.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file is over.
    pub fn end(&mut self, about: About<'_>, shared: &mut Shared, cx: &mut Cx<'_>) -> Found {
        let mut found = Found::default();
        for reader in self.0.drain(..) {
            match reader {
                Reader::Digests(d) => d.end(&mut found),
                Reader::Cert(c) => c.end(about, &mut shared.certs, &mut found, cx),
            }
        }
        found
    }
}
