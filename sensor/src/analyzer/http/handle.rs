//! What a body is known by in the files room.

use crate::event::{AnalyzerTag, ConnId};
use crate::file::{Carrier, Handle};

/// Zeek's name of the analyzer, and conn.log's.
pub const TAG: AnalyzerTag = AnalyzerTag::new("Analyzer::ANALYZER_HTTP", "http");

/// The file whose parts are asked for under a URL: whoever asks for a part of something gets parts of the same file, on
/// any connection.
pub fn range(is_orig: bool, c: &ConnId, url: &[u8]) -> Handle {
    Handle::of(&[
        b"HTTP range",
        &[u8::from(is_orig)],
        c.orig_h.to_string().as_bytes(),
        url,
    ])
}

/// The file that is a connection's `depth`th message of that direction, or an entity in it.
pub fn message(is_orig: bool, c: &ConnId, depth: u64, entity: u64) -> Handle {
    Handle::of(&[
        b"HTTP",
        c.uid.to_string().as_bytes(),
        &[u8::from(is_orig)],
        &depth.to_be_bytes(),
        &entity.to_be_bytes(),
    ])
}

/// Who carries a file of that name.
pub fn carrier<'a>(handle: Handle, c: &'a ConnId, is_orig: bool, name: Option<&'a [u8]>) -> Carrier<'a> {
    Carrier {
        handle,
        tag: TAG,
        source: "HTTP",
        c,
        is_orig,
        depth: 0,
        name,
        mime: None,
    }
}
