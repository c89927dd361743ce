//! What every other module may use: numbers in bytes, time, names of hosts, patterns of names, and what was said today. Knows nothing of packets.

pub mod bytes;
pub mod daily;
pub mod host_name;
pub mod time;
pub mod wildcard;
