//! Where a packet was found in a capture, or why none was.

use std::io;

use crate::packet::link::LinkType;

/// Longest packet that is believed, bytes (libpcap: MAXIMUM_SNAPLEN).
pub const MAX_PACKET: usize = 262_144;
/// What is said of a packet beyond that.
pub const TOO_LONG: &str = "a packet longer than 262144 bytes";

/// Where the next frame lies in the buffer.
pub struct Located {
    pub ts: u64,
    pub link: LinkType,
    pub wire_len: u32,
    pub iface: u32,
    pub at: usize,
    pub len: usize,
}

/// Why no frame was located; the capture adds where.
pub enum LocateError {
    Damaged(&'static str),
    Io(io::Error),
}

impl LocateError {
    /// Whether the input only has nothing at hand right now.
    pub fn is_not_yet(&self) -> bool {
        matches!(self, LocateError::Io(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}

impl From<io::Error> for LocateError {
    fn from(e: io::Error) -> Self {
        LocateError::Io(e)
    }
}
