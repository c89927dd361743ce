//! What an analyzer says of a file, and what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::mime::Magic;
use super::wanted::{ExtractConfig, Hashes};
use super::x509::Certificate;
use crate::base::secret::Secret;
use crate::base::time::{MINUTE, Ts};
use crate::event::log::LogRow;
use crate::event::{AnalyzerTag, ConnId, Event, Fuid, Subscriptions};

/// Which file some bytes belong to: equal handles are the same file, whoever carries it (Zeek: get_file_handle).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub(super) [u8; 16]);

impl Handle {
    /// Made of all that tells the file from others. Two lists of parts have the same handle only if they are the same
    /// list, also where somebody would like them to.
    pub fn of(parts: &[&[u8]]) -> Handle {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut handle = [0; 16];
        handle.copy_from_slice(&hash.finalize()[..16]);
        Handle(handle)
    }
}

/// Who carries a file, and what its protocol says of it.
#[derive(Clone, Copy, Debug)]
pub struct Carrier<'a> {
    /// Which file it is.
    pub handle: Handle,
    /// Whose analyzer speaks.
    pub tag: AnalyzerTag,
    /// files.log's `source`, such as `HTTP`.
    pub source: &'static str,
    /// The connection.
    pub c: &'a ConnId,
    /// The connection's originator sends it.
    pub is_orig: bool,
    /// How deep it lies in its protocol's message; what counts differs from protocol to protocol.
    pub depth: u64,
    /// Its name, as its bytes are.
    pub name: Option<&'a [u8]>,
    /// Its type, where that is known without a look at it.
    pub mime: Option<&'static str>,
}

/// What is said of a file. `at` is an offset, bytes from its start; without one it is where the file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Its bytes.
    Bytes {
        /// Where they belong.
        at: Option<u64>,
        /// They themselves.
        bytes: &'a [u8],
    },
    /// So many bytes came that are not at hand: nobody reads them.
    Unseen {
        /// Where they belong.
        at: Option<u64>,
        /// How many.
        len: u64,
    },
    /// Some came that nobody reads; where and how many is said later, by [`Piece::Unseen`]. Begins no file.
    Coming,
    /// So many bytes never came.
    Gap {
        /// Where they belong.
        at: Option<u64>,
        /// How many.
        len: u64,
    },
    /// Its full size, bytes. It ends by itself when it has come to that.
    Size(u64),
    /// It is over.
    End,
}

/// What became of a file by a piece of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Its id. None: there was no such file to be ended, or there is no room for one more.
    pub fuid: Option<Fuid>,
    /// It is carried by this connection from now on (Zeek: file_over_new_connection).
    pub joined: bool,
    /// Its beginning was looked at, and this is its type (Zeek: file_sniff).
    pub sniffed: Option<&'static str>,
    /// Somebody reads its further bytes.
    pub reads: bool,
    /// It was a certificate, and is over.
    pub certificate: Option<Arc<Certificate>>,
}

/// What somebody who is told of a file may want of it (Zeek: Files::add_analyzer and its relatives).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileWish {
    /// These digests, if all of the file is still to come.
    Digests(Hashes),
    /// How random its bytes are is counted, if all of it is still to come.
    Entropy,
    /// It is written out, from where it stands; of all of it at most so many bytes.
    Extract(Option<u64>),
    /// Nobody reads any more of it, and no more of it is looked at (Zeek: Files::stop).
    Stop,
}

/// Settings of the files room.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// How long nothing may be heard of a file, ns (Zeek: default_file_timeout_interval).
    pub timeout: u64,
    /// Most bytes of a file that wait for what comes before them (Zeek: Files::reassembly_buffer_size).
    pub waiting_limit: u64,
    /// The same, all files of a worker together.
    pub waiting_total: u64,
    /// Most bytes that are kept of files in order, all of a worker together: their names, their beginnings until they were
    /// looked at, and what of them is read together, such as certificates and the headers of executables.
    pub kept_total: u64,
    /// Most files of a worker at a time.
    pub most_files: usize,
    /// The digests that are made of every file.
    pub hashes: Hashes,
    /// How random its bytes are is counted of every file.
    pub entropy: bool,
    /// Which files are given to [`Out::extract`]; None: none.
    pub extract: Option<Arc<ExtractConfig>>,
    /// Somebody may want something of a file later, by its id.
    pub by_id: bool,
    /// What ids of files depend on besides; None: who guesses what a file's handle is made of can tell from its id that he is
    /// right.
    pub secret: Option<Secret<32>>,
}

impl Default for FileConfig {
    fn default() -> FileConfig {
        FileConfig {
            timeout: 2 * MINUTE,
            waiting_limit: 512 << 10,
            waiting_total: 64 << 20,
            kept_total: 64 << 20,
            most_files: 1 << 18,
            hashes: Hashes::default(),
            entropy: false,
            extract: None,
            by_id: false,
            secret: None,
        }
    }
}

/// Where the results of files go.
pub trait Out {
    /// An event that somebody wants.
    fn event(&mut self, ts: Ts, ev: &dyn Event);
    /// A row for a log.
    fn log(&mut self, row: &dyn LogRow);
    /// A weird of the file with this id.
    fn weird(&mut self, ts: Ts, name: &'static str, fuid: &str, addl: &str);

    /// What those who were told of a file's event want of it, and were not asked for yet.
    fn wishes(&mut self, fuid: Fuid) -> Vec<FileWish> {
        let _ = fuid;
        Vec::new()
    }

    /// What those who were told of [`event::GetFileHandle`](crate::event::GetFileHandle) say that tells the file from others.
    /// Empty: it is not to be looked at. None: they said nothing.
    fn handle(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// A part of a file that is extracted. False: it is not written, and nothing that comes after it is to be.
    fn extract(&mut self, target: &Arc<Target>, part: Part<'_>) -> bool {
        let _ = (target, part);
        false
    }
}

/// A part of a file that is extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Some of its bytes. They come in order, perhaps with holes between them.
    Bytes {
        /// Where they belong: bytes from its start.
        at: u64,
        /// They themselves.
        bytes: &'a [u8],
    },
    /// No more of it comes.
    End,
}

/// What a file is extracted to, known to who gives its bytes and who writes them.
#[derive(Debug)]
pub struct Target {
    name: String,
    /// [`Target::WHOLE`], or where writing failed.
    failed_at: AtomicU64,
}

impl Target {
    const WHOLE: u64 = u64::MAX;

    /// A file of this name.
    pub fn new(name: String) -> Target {
        Target {
            name,
            failed_at: AtomicU64::new(Self::WHOLE),
        }
    }

    /// The file's name, without a directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It could not be written beyond its first `at` bytes.
    pub fn fail(&self, at: u64) {
        self.failed_at.store(at, Ordering::Relaxed);
    }

    /// How many of its first bytes were written, if that is known not to be all of them.
    pub fn failed_at(&self) -> Option<u64> {
        Some(self.failed_at.load(Ordering::Relaxed)).filter(|at| *at != Self::WHOLE)
    }
}

/// Whether an address is local.
pub type IsLocal = Arc<dyn Fn(std::net::IpAddr) -> bool + Send + Sync>;

/// What files are worked on with.
pub struct Cx<'c> {
    /// Network time.
    pub ts: Ts,
    /// The events that somebody wants.
    pub subs: &'c Subscriptions,
    /// Whether an address is local, for files.log.
    pub is_local: &'c IsLocal,
    /// Who knows further types of files, if somebody does.
    pub magic: Option<&'c mut dyn Magic>,
    /// Where results go.
    pub out: &'c mut dyn Out,
}

impl Cx<'_> {
    /// Raises an event if somebody wants it.
    pub fn raise(&mut self, ev: &dyn Event) {
        if self.subs.wants(ev.kind()) {
            self.out.event(self.ts, ev);
        }
    }
}
