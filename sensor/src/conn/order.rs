//! What those who are told of events may want of connections and files.

use crate::event::{ConnId, Fuid};
use crate::file::api::FileWish;

/// What is wanted of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That nothing more of its payload is read: it is only counted.
    Shed,
    /// That the payload of its TCP directions is written to contents files from here on: a bit for each, the originator's the
    /// lowest. It takes [`Config::contents_files`](super::Config::contents_files).
    Contents(u8),
    /// That it may be silent for so long, ns; 0: for ever (Zeek: set_inactivity_timeout).
    Inactivity(u64),
}

/// What is to become of a connection, or of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Of a connection.
    Conn(ConnId, Wish),
    /// Of a file under way.
    File(Fuid, FileWish),
}
