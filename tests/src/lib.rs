//! What the sensor's live tests and its demonstration stand on: network namespaces that remove
//! themselves, real traffic by real sockets, crafted TCP segments, and the sensor as a process.
//!
//! This crate knows the sensor only from outside: its command line and its logs.
#![allow(unsafe_code, reason = "namespaces, links and raw sockets are system calls")]

pub mod cleanup;
pub mod daemon;
pub mod events;
pub mod forwarder;
pub mod lab;
pub mod link;
pub mod netns;
pub mod openssl;
pub mod raw;
pub mod rows;
pub mod sensor;
pub mod traffic;
pub mod vlan;

pub use lab::{Lab, LabOptions};
pub use sensor::Sensor;
pub use vlan::Vlan;

/// Whether this process is root, which namespaces need.
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Whether namespaces can be made here; says why not on standard error.
pub fn root_or_say_so(test: &str) -> bool {
    if !is_root() {
        eprintln!("{test}: skipped, it needs root");
    }
    is_root()
}

/// Whether to leave a test, or a part of it, out because the kernel lacks a device that it needs; says so. Where
/// `SENSOR_TEST_ALL` is set (as in the guests of `cargo xtask vm`) that is a failure.
pub fn lacks(what: &str, made: anyhow::Result<()>) -> bool {
    let Err(e) = made else { return false };
    assert!(
        std::env::var_os("SENSOR_TEST_ALL").is_none(),
        "no {what} here: {e:#}"
    );
    eprintln!("left out: no {what} here");
    true
}

/// Held by a test that runs a lab: one at a time, so that they do not take each other's CPU and time.
pub fn one_at_a_time() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    // A test that failed holding it does not matter to the next.
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
