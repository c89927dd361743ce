//! The row of pe.log.

use crate::event::row;

row! {
    /// One row of pe.log: a Windows executable.
    #[derive(Clone, Debug)]
    pub struct PeRow<'a> in "pe" {
        /// When its first bytes came.
        ts: time,
        /// The file that it is.
        id: text (&'a str),
        /// The kind of processor that it is for.
        machine: opt text,
        /// When it was made, by its own account, seconds since the epoch.
        compile_ts: opt seconds,
        /// The Windows that it needs.
        os: opt text,
        /// What it runs in.
        subsystem: opt text,
        /// It may be run; else it is an object.
        is_exe: bool,
        /// For 64 bits.
        is_64bit: bool,
        /// It may be loaded anywhere.
        uses_aslr: bool,
        /// Its data is not run.
        uses_dep: bool,
        /// Its signature is checked.
        uses_code_integrity: bool,
        /// It handles exceptions.
        uses_seh: bool,
        /// It imports something.
        has_import_table: opt bool,
        /// It exports something.
        has_export_table: opt bool,
        /// It is signed.
        has_cert_table: opt bool,
        /// It has data for debuggers.
        has_debug_data: opt bool,
        /// Names of its sections.
        section_names: opt vector wire (&'a [Vec<u8>]),
    }
}
