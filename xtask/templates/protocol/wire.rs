//! The protocol's bytes: how it is known, and what a message says.

use crate::analyzer::pattern::{Match, starts};

/// What the originator begins with, in any case.
const BEGIN: &[u8] = b"example ";

/// Longest line that is read, bytes.
pub const MAX_LINE: usize = 256;

/// Whether the originator's first bytes are this protocol's.
pub fn signature(b: &[u8]) -> Match {
    starts(b, BEGIN)
}

/// The name that a line says, without its end; None as long as the line has no end. The error is a violation's reason.
pub fn greeting(line: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    if signature(line) == Match::No {
        return Err("example: not a greeting");
    }
    let end = line.iter().position(|b| *b == b'\n');
    match end {
        Some(end) => line.get(BEGIN.len()..end).map(Some).ok_or("example: no name"),
        None if line.len() < MAX_LINE => Ok(None),
        None => Err("example: line too long"),
    }
}
