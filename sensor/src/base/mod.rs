//! What every other module may use: numbers in bytes, and time. Knows nothing of packets.
#![warn(missing_docs)]

pub mod bytes;
pub mod time;
