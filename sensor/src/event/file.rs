//! Events of files that traffic carries, from the seeds' core page (`event.bif`).

use super::FaMetadata;
use super::page::events;

events! {
    /// Events of files that traffic carries, from the seeds' core page (`event.bif`).
    page 2 "file" of "core";

    /// A piece of a file is missing.
    /// `f`: the file; `offset`: where, bytes from its start; `len`: bytes.
    FileGap "file_gap" (f: fa_file, offset: count, len: count);

    /// Analysis of a file begins.
    /// `f`: the file.
    FileNew "file_new" (f: fa_file);

    /// A file is seen on another connection than the one it began on.
    /// `f`: the file; `is_orig`: the originator sends it.
    FileOverNewConnection "file_over_new_connection" (f: fa_file, c: conn, is_orig: bool);

    /// A file's reassembly ran out of space and skipped a piece.
    /// `f`: the file; `offset`: where, bytes from its start; `skipped`: bytes.
    FileReassemblyOverflow "file_reassembly_overflow" (f: fa_file, offset: count, skipped: count);

    /// A file's beginning has been looked at.
    /// `f`: the file; `meta`: what it seems to be, all unset when unknown.
    FileSniff "file_sniff" (f: fa_file, meta: record FaMetadata<'a>);

    /// Analysis of a file ends.
    /// `f`: the file.
    FileStateRemove "file_state_remove" (f: fa_file);

    /// Nothing was heard of a file for too long.
    /// `f`: the file.
    FileTimeout "file_timeout" (f: fa_file);

    /// File analysis asks which file some data belongs to.
    /// `tag`: the analyzer with the data; `is_orig`: its direction.
    GetFileHandle "get_file_handle" (tag: tag, c: conn, is_orig: bool);
}
