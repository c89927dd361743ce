//! Tells the tests whether they will run as root. Without, those that make network namespaces are ignored, and the
//! harness says so.

use std::os::unix::fs::MetadataExt;

fn main() {
    // Each time: who builds may be another one.
    println!("cargo::rerun-if-changed=/nonexistent");
    println!("cargo::rustc-check-cfg=cfg(root)");
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    // Built by a user, run through sudo.
    if root || std::env::var_os("SENSOR_TESTS_AS_ROOT").is_some() {
        println!("cargo::rustc-cfg=root");
    }
}
