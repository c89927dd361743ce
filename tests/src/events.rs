//! Which events the tests have seen, for `cargo xtask test`: it fails when an event that is said to be raised is in none.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Names the directory of the lists.
const SEEN_ENV: &str = "SENSOR_EVENTS_SEEN";

/// Notes the events of a stream, whole lines of JSON; log rows are none. One list a test program: each name once.
pub fn note(lines: &str) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Some(dir) = std::env::var_os(SEEN_ENV) else {
        return;
    };
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    for line in lines.lines() {
        let name = line
            .strip_prefix("{\"event\":\"")
            .and_then(|l| l.split('"').next());
        if let Some(name) = name.filter(|n| !seen.contains(*n)) {
            append(Path::new(&dir), name).expect("a list of the events seen");
            seen.insert(name.to_owned());
        }
    }
}

/// Programs of the same name, as those of another build, share a list.
fn append(dir: &Path, name: &str) -> std::io::Result<()> {
    let program = std::env::current_exe()?;
    let list = dir.join(program.file_stem().unwrap_or_default());
    let mut list = std::fs::OpenOptions::new().create(true).append(true).open(list)?;
    list.write_all(format!("{name}\n").as_bytes())
}
