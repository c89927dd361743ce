//! What is made of declarations: manual pages and completions of the options themselves, the schema of the logs.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::{Cli, whole};
use super::print::print;
use crate::catalog::schema;
use crate::live::Failed;

/// Writes `sensor.1`, `sensor-run.1` and so on into a directory.
pub fn man(dir: &Path) -> Result<(), Failed> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let written = clap_mangen::generate_to(whole(Cli::command()), dir);
    written.with_context(|| format!("cannot write to {}", dir.display()))?;
    Ok(())
}

/// Writes a shell's completions to standard output.
pub fn completions(shell: Shell) -> Result<(), Failed> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut whole(Cli::command()), "sensor", &mut text);
    print(&text).map_err(|e| Failed::Later(e.into()))
}

/// Writes the schema of the logs to standard output.
pub fn log_schema() -> Result<(), Failed> {
    print(format!("{:#}\n", schema()).as_bytes()).map_err(|e| Failed::Later(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_page() {
        let dir = std::env::temp_dir().join(format!("sensor-man-{}", std::process::id()));
        assert!(man(&dir).is_ok());
        for page in [
            "sensor.1",
            "sensor-run.1",
            "sensor-read.1",
            "sensor-config-check.1",
        ] {
            let text = fs::read_to_string(dir.join(page)).expect(page);
            assert!(text.contains(".TH"), "{page}");
        }
        let run = fs::read_to_string(dir.join("sensor-run.1")).expect("a page");
        assert!(run.contains("Interfaces to watch"), "options with their meaning");
        fs::remove_dir_all(&dir).expect("the directory");
    }
}
