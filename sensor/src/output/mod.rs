//! What leaves the sensor: Zeek-compatible logs and the event stream.
//!
//! Knows events and log rows, nothing of how they come about.

#[cfg(feature = "live")]
pub mod archive;
pub mod archived;
pub mod capture_loss;
pub mod contents;
pub mod disk;
pub mod extract;
pub mod feed;
pub mod latest;
pub mod local_nets;
pub mod log;
pub mod log_dir;
pub mod log_error;
pub mod lost_traffic;
pub mod net_names;
pub mod now_and_then;
pub mod one_sided;
pub mod open;
pub mod open_files;
pub mod outbox;
pub mod patience;
pub mod rotation;
pub mod stamp;
pub mod stats_row;
pub mod stream;
#[cfg(feature = "live")]
pub mod tail;
mod tsv;
pub mod twice;

#[cfg(test)]
mod gate;
#[cfg(test)]
mod scratch;
#[cfg(test)]
mod small_disk;
