//! What the sensor's live tests and its demonstration stand on: network namespaces that remove
//! themselves, real traffic by real sockets, crafted TCP segments, and the sensor as a process.
//!
//! This crate knows the sensor only from outside: its command line and its logs.

pub mod cleanup;
pub mod lab;
pub mod link;
pub mod netns;
pub mod raw;
pub mod sensor;
pub mod traffic;

pub use lab::{Lab, LabOptions};
pub use sensor::Sensor;

/// Whether namespaces can be made here; says why not on standard error.
pub fn root_or_say_so(test: &str) -> bool {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        return true;
    }
    eprintln!("{test}: skipped, it needs root");
    false
}
