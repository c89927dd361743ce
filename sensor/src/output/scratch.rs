//! A directory for a test.

use std::fs;
use std::path::{Path, PathBuf};

/// A directory that goes away with the value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let d = std::env::temp_dir().join(format!("sensor-output-{}-{name}", std::process::id()));
        fs::create_dir_all(&d).expect("directory");
        Scratch(d)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
