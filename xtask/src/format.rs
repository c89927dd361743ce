//! The formats of all sources, those included that `cargo fmt` does not find: modules that a macro declares, templates.

use std::path::PathBuf;
use std::process::Command;

use crate::shell;

/// Brings every source into its format, or fails where one is not, if `check`.
pub fn run(check: bool) -> anyhow::Result<()> {
    for manifest in ["Cargo.toml", "sensor-ebpf/Cargo.toml", "fuzz/Cargo.toml"] {
        let mut cmd = shell::cargo();
        cmd.current_dir(shell::workspace())
            .args(["fmt", "--all", "--manifest-path", manifest]);
        if check {
            cmd.arg("--check");
        }
        shell::run(&mut cmd)?;
    }
    let mut cmd = Command::new("rustfmt");
    cmd.current_dir(shell::workspace()).args(["--edition", "2024"]);
    if check {
        cmd.arg("--check");
    }
    shell::run(cmd.args(protocols()?))
}

/// The protocols' folders, which their list declares (`sensor/src/analyzer/list.rs`), and the templates of one.
fn protocols() -> anyhow::Result<Vec<PathBuf>> {
    let folder = shell::workspace().join("sensor/src/analyzer");
    let mut found = vec![shell::workspace().join("xtask/templates/protocol/mod.rs")];
    for entry in std::fs::read_dir(folder)? {
        let module = entry?.path().join("mod.rs");
        if module.exists() {
            found.push(module);
        }
    }
    found.sort();
    Ok(found)
}
