//! The row of files.log.

use crate::event::{ConnId, columns, row};

row! {
    /// One row of files.log: a file that is over, for each connection that carried it.
    #[derive(Clone, Debug)]
    pub struct FileRow<'a> in "files" {
        /// When its first bytes came.
        ts: time,
        /// Its id.
        fuid: text (String),
        /// Who carried it.
        c: conn (&'a ConnId),
        /// What carried it, such as `HTTP`.
        source: text (&'static str),
        /// How deep it lay in its protocol's message.
        depth: count,
        /// Who read it, such as `MD5`.
        analyzers: set text (Vec<&'static str>),
        /// Its type.
        mime_type: opt text (&'static str),
        /// Its name.
        filename: opt wire (&'a [u8]),
        /// First to last bytes, ns.
        duration: interval,
        /// Its sender's address is local.
        local_orig: bool,
        /// The connection's originator sent it.
        is_orig: bool,
        /// Bytes that came.
        seen_bytes: count,
        /// Its full size, where its protocol says so.
        total_bytes: opt count,
        /// Bytes that never came.
        missing_bytes: count,
        /// Bytes skipped because too many waited for them.
        overflow_bytes: count,
        /// Nothing was heard of it for too long.
        timedout: bool,
        /// The file that it was found in.
        parent_fuid: opt text (String),
        /// MD5, lower-case hex, when it was asked for and all of the file came.
        md5: opt text (String),
        /// The same with SHA-1.
        sha1: opt text (String),
        /// The same with SHA-256.
        sha256: opt text (String),
        /// The name of the file that its bytes were written to.
        extracted: opt text (String),
        /// Not all of it was written.
        extracted_cutoff: opt bool,
        /// Bytes written.
        extracted_size: opt count,
        /// How random its bytes are.
        entropy: group (Option<Entropy>),
    }
}

columns! {
    /// How random a file's bytes are (Zeek's policy/frameworks/files/entropy-test-all-files).
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Entropy {
        /// Bits of information a byte, when all of the file came.
        entropy: opt double,
    }
}
