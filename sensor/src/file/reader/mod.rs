//! Who reads files: digests, certificates. Each is given a file's bytes in order, and stops at the first that are missing.

mod cert;
mod digest;
mod found;
mod ocsp;

use super::api::{Cx, FileConfig};
use super::x509::CertCache;
use digest::Digests;
use found::Whole;
pub use found::{About, Found};

/// What the readers of a worker share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Certificates seen before.
    certs: CertCache,
}

/// Zeek's name of who reads certificates. files.log has no row of those: x509.log has.
pub const CERT: &str = "X509";

/// The readers of one file.
#[derive(Debug, Default)]
pub struct Readers(Vec<Reader>);

#[derive(Debug)]
enum Reader {
    Digests(Box<Digests>),
    Cert(Whole),
    Ocsp(Whole),
}

impl Readers {
    /// Those that read every file.
    pub fn new(cfg: &FileConfig) -> Readers {
        let digests = Digests::new(cfg.hashes).map(|d| Reader::Digests(Box::new(d)));
        Readers(digests.into_iter().collect())
    }

    /// Adds those that read files of a type; Zeek's names of them.
    pub fn add_for(&mut self, mime: &str) -> Vec<&'static str> {
        let before = self.0.len();
        if cert::TYPES.contains(&mime) {
            self.0.push(Reader::Cert(Whole::default()));
        } else if mime == ocsp::TYPE {
            self.0.push(Reader::Ocsp(Whole::default()));
        }
        names(self.0.get(before..).unwrap_or_default())
    }

    /// Zeek's names of all that read.
    pub fn names(&self) -> Vec<&'static str> {
        names(&self.0)
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
                Reader::Cert(whole) | Reader::Ocsp(whole) => whole.add(bytes),
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
                Reader::Cert(whole) => cert::end(&whole, about, &mut shared.certs, &mut found, cx),
                Reader::Ocsp(whole) => ocsp::end(&whole, about, cx),
            }
        }
        found
    }
}

fn names(readers: &[Reader]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for reader in readers {
        match reader {
            Reader::Digests(d) => names.extend(d.names()),
            Reader::Cert(_) => names.push(CERT),
            Reader::Ocsp(_) => names.push("OCSP_REPLY"),
        }
    }
    names
}
