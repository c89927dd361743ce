//! Files that traffic carries: what an HTTP body, a mail's attachment or a certificate is once it is taken out of its
//! protocol. Sans-I/O.
//!
//! An analyzer says which file some bytes belong to ([`Handle`]) and gives them ([`Piece`]); [`Files`] puts them in order,
//! tells a file's type by its beginning ([`mime`]), gives it to who reads such files (`reader`), raises Zeek's file
//! events and writes files.log. Meaning is that of Zeek's file analysis framework. Knows events and log rows, no protocol.

pub mod api;
pub mod events;
mod log;
pub mod mime;
mod one;
pub mod pe;
mod reader;
mod table;
#[cfg(test)]
mod tests;
mod waiting;
mod wanted;
pub mod x509;

pub use api::{Carrier, FileConfig, Handle, News, Piece};
pub use log::{Entropy, FileRow};
pub use table::Files;
pub use wanted::{ExtractConfig, Hashes, MimePattern, NoMimePattern};
