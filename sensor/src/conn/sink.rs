//! What the engine hands its results to.

use std::sync::Arc;

use super::order::Order;
use crate::event::log::LogRow;
use crate::event::{ConnId, Event, Fuid, SignatureState, Ts};
use crate::file::api::{FileWish, Part, Target};

/// Where events and log rows go.
pub trait Sink {
    /// An event that somebody wants, at network time `ts`.
    fn event(&mut self, ts: Ts, ev: &dyn Event);
    /// A row of a log.
    fn log(&mut self, row: &dyn LogRow);

    /// A piece of a TCP direction for its contents file, if
    /// [`Config::contents_files`](super::Config::contents_files) is set. A failure is returned once per direction;
    /// what comes after it is not written.
    fn contents(&mut self, c: &ConnId, is_orig: bool, piece: Piece<'_>) -> Option<String> {
        let _ = (c, is_orig, piece);
        None
    }

    /// What a script's function says of a signature that has matched but for this (`eval`).
    fn evaluate(&mut self, function: &str, state: &SignatureState<'_>, data: &[u8]) -> bool {
        let _ = (function, state, data);
        false
    }

    /// Whether those who were told of events want something.
    fn has_orders(&self) -> bool {
        false
    }

    /// What they want. It is asked for after each packet.
    fn take_orders(&mut self) -> Vec<Order> {
        Vec::new()
    }

    /// What who was told of a file's event wants of it at once.
    fn file_wishes(&mut self, fuid: Fuid) -> Vec<FileWish> {
        let _ = fuid;
        Vec::new()
    }

    /// What who was told of get_file_handle says that tells the file from others, see
    /// [`Out::handle`](crate::file::api::Out::handle).
    fn file_handle(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// A part of a file that is extracted, if [`FileConfig::extract`](crate::file::FileConfig::extract) is set. False: it
    /// is not written, and nothing that comes after it is to be.
    fn extract(&mut self, target: &Arc<Target>, part: Part<'_>) -> bool {
        let _ = (target, part);
        false
    }
}

/// What goes into a contents file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The stream's next bytes.
    Data(&'a [u8]),
    /// So many bytes are not at hand.
    Missing(u64),
    /// The direction is over.
    End,
}
