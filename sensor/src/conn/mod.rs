//! The engine: records and time in, connections, events and log rows out. Sans-I/O: it reads no clock,
//! no socket and no file.

mod acks;
mod adopt;
mod ahead;
mod analysis;
mod app;
mod asked;
mod config;
mod early;
mod ending;
mod ends;
mod engine;
mod entry;
pub mod events;
mod expected;
mod feed;
mod files;
mod half;
mod heritage;
mod history;
mod index;
mod last;
mod late;
mod life;
mod machine;
mod named;
mod numbers;
mod order;
pub mod ports;
pub mod row;
mod segment;
mod shared;
mod shed;
mod sight;
mod signatures;
mod sink;
mod slab;
mod software;
mod states;
mod stream;
mod syn;
mod taps;
pub mod timer;
mod tunnel;
mod twice;
mod udp_tunnel;
mod uid;
mod weird;
mod wish;

pub use asked::{ConnColumns, community_id};
pub use config::{Config, Contents, ContentsOf, SIGNATURE_BYTES, Timeouts};
pub use early::Early;
pub use ends::{addr, octets, proto};
pub use engine::Engine;
pub use feed::{EngineSink, untracked};
pub use heritage::{Estate, originator};
pub use order::{Order, Wish};
pub use sight::Sight;
pub use sink::{Piece, Sink};
pub use uid::of_flow as flow_uid;
pub use weird::{Logged, NetSampler};
pub use wish::key_of;

#[cfg(test)]
mod tests;
