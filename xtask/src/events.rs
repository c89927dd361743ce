//! Whether the tests have seen every event that the sensor is said to raise.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::shell;

/// Names the directory in which each test program lists the events that it saw raised.
pub const SEEN_ENV: &str = "SENSOR_EVENTS_SEEN";

/// An empty directory for the lists.
pub fn lists() -> anyhow::Result<PathBuf> {
    let dir = shell::target_dir().join("events-seen");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // Test programs have other working directories.
    Ok(fs::canonicalize(dir)?)
}

/// Fails if docs/events.md says of an event that it is raised and no list in `dir` has it.
pub fn all_seen(dir: &Path) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for list in fs::read_dir(dir)? {
        seen.extend(fs::read_to_string(list?.path())?.lines().map(str::to_owned));
    }
    let table = fs::read_to_string(shell::workspace().join("docs/events.md"))?;
    let unseen: Vec<&str> = raised(&table).filter(|name| !seen.contains(*name)).collect();
    ensure!(
        unseen.is_empty(),
        "no test has raised {}: let one do so, or mark them not_yet in their declaration",
        unseen.join(", ")
    );
    Ok(())
}

/// The events of the table that are raised.
fn raised(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter_map(|line| {
        let mut cells = line.split(" | ");
        let name = cells.next()?.strip_prefix("| `")?.strip_suffix('`')?;
        (cells.nth(1)? == "yes").then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let table = "\
# Events

| Event | Arguments | Raised | Meaning |
|---|---|---|---|
| `bro_init` |  | yes | The sensor starts. |
| `file_gap` | f: fa_file, offset: count | not yet | A piece of a file is missing. |
";
        assert_eq!(raised(table).collect::<Vec<_>>(), ["bro_init"]);
    }
    #[test]
    fn an_event_in_no_list_is_named() {
        let dir = std::env::temp_dir().join(format!("events-seen-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        let table = fs::read_to_string(shell::workspace().join("docs/events.md")).expect("the table");
        let (one, others): (Vec<&str>, Vec<&str>) = raised(&table).partition(|name| *name == "new_packet");
        fs::write(dir.join("one"), others.join("\n")).expect("a list");
        let said = all_seen(&dir).expect_err("one is missing").to_string();
        assert!(said.starts_with("no test has raised new_packet:"), "{said}");
        fs::write(dir.join("other"), one.join("\n")).expect("a list");
        all_seen(&dir).expect("all are there");
        fs::remove_dir_all(&dir).expect("gone");
    }
}
