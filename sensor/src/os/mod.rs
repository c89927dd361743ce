//! Operating systems by what their SYNs and SYN-ACKs look like: signatures in the format of p0f 3. Sans-I/O; knows no connection.
//!
//! [`Sight`] is what there is to see of one packet, [`Fingerprints`] what a file says of systems, and [`Hosts`] what was found of
//! hosts: each host and system is told once a day.

mod db;
mod hosts;
mod log;
mod matching;
mod parse;
mod sight;
#[cfg(test)]
mod tests;

pub use db::Fingerprints;
pub use hosts::{Found, Hosts};
pub use log::OsRow;
pub use parse::FingerprintError;
pub use sight::Sight;
