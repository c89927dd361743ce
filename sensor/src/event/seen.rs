//! Which events the unit tests have raised, for `cargo xtask test`: it fails when an event that is said to be raised is in
//! no list.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::Event;

/// Names the directory of the lists.
const SEEN_ENV: &str = "SENSOR_EVENTS_SEEN";

/// Notes that `ev` was raised. One list a test program: each name once.
pub fn note(ev: &dyn Event) {
    static SEEN: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let Some(dir) = std::env::var_os(SEEN_ENV) else {
        return;
    };
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = ev.info().name;
    if seen.insert(name) {
        append(Path::new(&dir), name).expect("a list of the events seen");
    }
}

/// Programs of the same name, as those of another build, share a list.
fn append(dir: &Path, name: &str) -> std::io::Result<()> {
    let program = std::env::current_exe()?;
    let list = dir.join(program.file_stem().unwrap_or_default());
    let mut list = std::fs::OpenOptions::new().create(true).append(true).open(list)?;
    list.write_all(format!("{name}\n").as_bytes())
}
