//! Windows executables (Portable Executable).

pub mod events;
mod headers;
mod log;
mod tell;

pub use headers::Headers;
pub use log::PeRow;
pub use tell::{is_wanted, tell};
