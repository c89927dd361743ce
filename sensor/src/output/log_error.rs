//! Why logs cannot be written.

use std::io;
use std::path::PathBuf;

/// Why logs cannot be written at all.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directory is not there and cannot be made.
    #[error("cannot create log directory {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process writes there.
    #[error("another sensor writes its logs to {}", .0.display())]
    Locked(PathBuf),
    /// An old log cannot be renamed.
    #[error("cannot rename the old {}: {source}", path.display())]
    PutAside {
        /// The log.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A log cannot be created in it.
    #[error("cannot write {}: {source}", path.display())]
    Create {
        /// The log.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The thread that writes them cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}
