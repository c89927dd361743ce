//! What every other module may use: numbers in bytes, time, names of hosts, names that are kept, patterns of names, secrets, and what was
//! said today, also of hosts. Knows nothing of packets.

pub mod aging;
pub mod bytes;
pub mod daily;
pub mod host_name;
pub mod known;
pub mod names;
pub mod secret;
pub mod time;
pub mod wildcard;
