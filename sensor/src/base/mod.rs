//! What every other module may use: numbers in bytes, time, and what was said today. Knows nothing of packets.

pub mod bytes;
pub mod daily;
pub mod time;
