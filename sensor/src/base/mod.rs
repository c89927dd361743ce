//! What every other module may use: numbers in bytes, time, patterns of names, and what was said today, also of hosts. Knows nothing of packets.

pub mod bytes;
pub mod daily;
pub mod known;
pub mod time;
pub mod wildcard;
