//! Where the time goes, for `--profile`: parts of the sensor say when a thread is in them ([`place`]), a thread of its own looks
//! some thousand times a second how much CPU time each thread has taken since and in what (`sampler`), and at each interval prof.log
//! has it (`report`). Off, it costs a look at a flag.

mod clock;
mod log;
mod names;
mod one_packet;
pub mod place;
mod report;
mod sampler;
#[cfg(test)]
mod tests;

pub use log::ProfRow;
pub use one_packet::PacketSampler;
pub use report::{Cost, Profile};

/// What profiling_update says has been written.
pub const PROF_LOG: &str = "prof.log";
