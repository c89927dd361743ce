//! Who reads files: digests, entropy, certificates, OCSP's answers, executables, extraction. Each is given a file's bytes in order.
//! What is of whole files is given up at the first bytes that are missing.

mod cert;
mod digest;
mod entropy;
mod extract;
mod found;
mod ocsp;
mod pe;

use std::sync::Arc;

use super::api::{Cx, FileConfig};
use super::pe::Headers;
use super::wanted::{ExtractConfig, Hashes};
use super::x509::CertCache;
use crate::event::{FaFile, Subscriptions};
use digest::Digests;
use entropy::Entropy;
use extract::Extract;
pub use extract::name as extract_name;
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
pub struct Readers {
    all: Vec<Reader>,
    /// How it is extracted if its type turns out to be one of those that are.
    extract: Option<Arc<ExtractConfig>>,
    /// How it is extracted if somebody asks for that.
    on_request: Option<Arc<ExtractConfig>>,
}

#[derive(Debug)]
enum Reader {
    Digests(Box<Digests>),
    Entropy(Box<Entropy>),
    Cert(Whole),
    Ocsp(Whole),
    /// For its events alone: files.log has nothing of it.
    OcspRequest(Whole),
    Pe(Box<Headers>),
    Extract(Box<Extract>),
}

/// Whether this one reads all of a file, piece by piece.
fn reads_all(reader: &Reader) -> bool {
    matches!(
        reader,
        Reader::Digests(_) | Reader::Entropy(_) | Reader::Extract(_)
    )
}

impl Readers {
    /// Those that read every file.
    pub fn new(cfg: &FileConfig) -> Readers {
        let digests = Digests::new(cfg.hashes).map(|d| Reader::Digests(Box::new(d)));
        let entropy = cfg.entropy.then(|| Reader::Entropy(Box::default()));
        Readers {
            all: digests.into_iter().chain(entropy).collect(),
            extract: cfg.extract.clone().filter(|e| !e.is_on_request()),
            on_request: cfg.extract.clone().filter(|_| cfg.by_id),
        }
    }

    /// Makes these digests, too; none that is made already.
    pub fn add_digests(&mut self, mut hashes: Hashes) {
        for reader in &self.all {
            if let Reader::Digests(d) = reader {
                hashes = d.without(hashes);
            }
        }
        self.all
            .extend(Digests::new(hashes).map(|d| Reader::Digests(Box::new(d))));
    }

    /// Counts how random its bytes are, too.
    pub fn add_entropy(&mut self) {
        if !self.all.iter().any(|r| matches!(r, Reader::Entropy(_))) {
            self.all.push(Reader::Entropy(Box::default()));
        }
    }

    /// Writes it out, too, if there is a place for that: no more than so many bytes of it.
    pub fn add_extract(&mut self, limit: Option<u64>, name: impl FnOnce() -> String) {
        let is_written = self.all.iter().any(|r| matches!(r, Reader::Extract(_)));
        if let Some(cfg) = self.on_request.take().filter(|_| !is_written) {
            self.extract = None;
            self.all
                .push(Reader::Extract(Box::new(Extract::new(cfg, name(), limit))));
        }
    }

    /// Nobody reads on.
    pub fn stop(&mut self, cx: &mut Cx<'_>) {
        (self.extract, self.on_request) = (None, None);
        self.all.retain_mut(|reader| match reader {
            Reader::Extract(e) => {
                e.cut_off(cx);
                e.has_written()
            }
            _ => false,
        });
    }

    /// Those from number `from` on came late: so many bytes have passed.
    pub fn missed(&mut self, from: usize, len: u64, cx: &mut Cx<'_>) {
        for reader in self.all.iter_mut().skip(from) {
            if let (Reader::Extract(e), 1..) = (reader, len) {
                e.gap(len, cx);
            }
        }
    }

    /// Adds those that read files of a type, None when it is unknown; Zeek's names of them. `name`: what it would be
    /// extracted to.
    pub fn add_for(
        &mut self,
        mime: Option<&str>,
        name: impl FnOnce() -> String,
        subs: &Subscriptions,
    ) -> Vec<&'static str> {
        let before = self.all.len();
        match mime {
            Some(mime) if cert::TYPES.contains(&mime) => self.all.push(Reader::Cert(Whole::default())),
            Some(ocsp::TYPE) => self.all.push(Reader::Ocsp(Whole::default())),
            Some(ocsp::REQUEST) if ocsp::wants_requests(subs) => {
                self.all.push(Reader::OcspRequest(Whole::default()));
            }
            Some(pe::TYPE) => self.all.push(Reader::Pe(Box::default())),
            _ => {}
        }
        if let Some(cfg) = self.extract.take().filter(|cfg| cfg.wants(mime)) {
            self.all
                .push(Reader::Extract(Box::new(Extract::new(cfg, name(), None))));
        }
        self.names_from(before)
    }

    /// Zeek's names of all that read.
    pub fn names(&self) -> Vec<&'static str> {
        self.names_from(0)
    }

    /// The same of those from number `from` on.
    pub fn names_from(&self, from: usize) -> Vec<&'static str> {
        names(self.all.get(from..).unwrap_or_default())
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The next bytes.
    pub fn bytes(&mut self, bytes: &[u8], cx: &mut Cx<'_>) {
        self.catch_up(0, bytes, cx);
    }

    /// The first bytes, for those from number `from` on: they came later.
    pub fn catch_up(&mut self, from: usize, bytes: &[u8], cx: &mut Cx<'_>) {
        for reader in self.all.iter_mut().skip(from) {
            match reader {
                Reader::Digests(d) => d.bytes(bytes),
                Reader::Entropy(e) => e.bytes(bytes),
                Reader::Cert(whole) | Reader::Ocsp(whole) | Reader::OcspRequest(whole) => whole.add(bytes),
                Reader::Pe(headers) => headers.bytes(bytes, super::pe::is_wanted(cx.subs)),
                Reader::Extract(e) => e.bytes(bytes, cx),
            }
        }
    }

    /// The next bytes, so many, are not at hand, whether they came or not.
    pub fn gap(&mut self, len: u64, cx: &mut Cx<'_>) {
        self.all.retain_mut(|reader| match reader {
            Reader::Digests(_)
            | Reader::Entropy(_)
            | Reader::Cert(_)
            | Reader::Ocsp(_)
            | Reader::OcspRequest(_) => false,
            Reader::Pe(headers) => {
                headers.stop();
                true
            }
            Reader::Extract(e) => {
                e.gap(len, cx);
                true
            }
        });
    }

    /// Whether somebody reads all of the file, or may come to do so once its type is known.
    pub fn may_read_all(&self) -> bool {
        self.extract.is_some() || self.all.iter().any(reads_all)
    }

    /// Whether one of them may have something to tell.
    pub fn has_news(&self, cx: &Cx<'_>) -> bool {
        let may_tell = |reader: &Reader| matches!(reader, Reader::Pe(headers) if headers.has_news());
        self.all.iter().any(may_tell) && super::pe::is_wanted(cx.subs)
    }

    /// They tell what they have read.
    pub fn tell(&mut self, f: &FaFile<'_>, cx: &mut Cx<'_>) {
        for reader in &mut self.all {
            if let Reader::Pe(headers) = reader {
                super::pe::tell(headers, f, cx);
            }
        }
    }

    /// Bytes that are kept to be read together.
    pub fn kept(&self) -> u64 {
        let kept = self.all.iter().map(|reader| match reader {
            Reader::Cert(whole) | Reader::Ocsp(whole) | Reader::OcspRequest(whole) => {
                whole.bytes().len() as u64
            }
            Reader::Pe(headers) => headers.kept(),
            Reader::Digests(_) | Reader::Entropy(_) | Reader::Extract(_) => 0,
        });
        kept.sum()
    }

    /// Those that keep bytes read no more, and find nothing.
    pub fn keep_nothing(&mut self) {
        self.all.retain(reads_all);
    }

    /// Whether somebody reads on.
    pub fn is_reading(&self) -> bool {
        self.all.iter().any(|reader| match reader {
            Reader::Digests(_)
            | Reader::Entropy(_)
            | Reader::Cert(_)
            | Reader::Ocsp(_)
            | Reader::OcspRequest(_) => true,
            Reader::Pe(headers) => headers.reads(),
            Reader::Extract(e) => e.reads(),
        })
    }

    /// The file is over.
    pub fn end(&mut self, about: About<'_>, shared: &mut Shared, cx: &mut Cx<'_>) -> Found {
        let mut found = Found::default();
        for reader in self.all.drain(..) {
            match reader {
                Reader::Digests(d) => d.end(&mut found),
                Reader::Entropy(e) => e.end(&mut found),
                Reader::Cert(whole) => cert::end(&whole, about, &mut shared.certs, &mut found, cx),
                Reader::Ocsp(whole) => ocsp::end(&whole, about, cx),
                Reader::OcspRequest(whole) => ocsp::end_request(&whole, about, cx),
                Reader::Pe(headers) => pe::end(&headers, about, cx),
                Reader::Extract(e) => e.end(&mut found, cx),
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
            Reader::Entropy(_) => names.push(entropy::NAME),
            Reader::Cert(_) => names.push(CERT),
            Reader::Ocsp(_) => names.push("OCSP_REPLY"),
            Reader::OcspRequest(_) => {}
            Reader::Pe(_) => names.push(pe::NAME),
            Reader::Extract(_) => names.push(extract::NAME),
        }
    }
    names
}
