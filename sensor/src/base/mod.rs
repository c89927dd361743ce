//! What every other module may use: numbers in bytes, and time. Knows nothing of packets.

pub mod bytes;
pub mod time;
