//! What is packed beside the program and stands nowhere in the tree: manual pages and completions, which the program itself
//! writes, the file of settings as a service wants it, the crates' licences.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::build::Built;
use super::{Origin, notices};
use crate::shell::{self, workspace};

/// The key of the log directory in the file of settings, and what stands there for a service.
const LOG_DIR: &str = "\n#dir = \"logs\"\n";
const SERVICE_LOG_DIR: &str = "\n# Not the default, \"logs\": this is the service's (LogsDirectory= in its unit).\ndir = \"/var/log/sensor\"\n";

/// Shells with the names under which they look for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "sensor.bash"),
    ("zsh", "_sensor"),
    ("fish", "sensor.fish"),
];

/// Makes it, in the folder beside the program; `list` is the list of materials.
pub fn make(sensor: &Built, origin: &Origin, list: &Path) -> Result<()> {
    let folder = sensor.beside();
    let _ = fs::remove_dir_all(&folder);
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    shell::run(Command::new(&sensor.program).arg("man").arg(folder.join("man")))?;
    for (shell, name) in COMPLETIONS {
        let text = fs::File::create(completions.join(name))?;
        shell::run(
            Command::new(&sensor.program)
                .args(["completions", shell])
                .stdout(text),
        )?;
    }
    fs::copy(list, folder.join("sensor.cdx.json"))?;
    notices::write(origin, &folder.join("THIRD-PARTY.txt"))?;
    let template = fs::read_to_string(workspace().join("deploy/sensor.toml"))?;
    fs::write(folder.join("sensor.toml"), settings(&template)?)?;
    Ok(())
}

/// The file of settings for the service: that of the tree, which shows defaults, but for the log directory.
fn settings(template: &str) -> Result<String> {
    let (before, section) = template
        .split_once("\n[logs]\n")
        .context("no section [logs] in deploy/sensor.toml")?;
    let (first, rest) = section
        .split_once(LOG_DIR)
        .context("no line `#dir = \"logs\"` in the section [logs] of deploy/sensor.toml")?;
    Ok(format!("{before}\n[logs]\n{first}{SERVICE_LOG_DIR}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_log_directory_differs_from_the_defaults() {
        let template = fs::read_to_string(workspace().join("deploy/sensor.toml")).unwrap();
        let set = settings(&template).unwrap();
        let keys: Vec<_> = set
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with(['#', '[']))
            .collect();
        assert_eq!(keys, ["dir = \"/var/log/sensor\""]);
        let section = |at: usize| set[..at].rfind("\n[").map(|from| &set[from + 1..from + 7]);
        assert_eq!(section(set.find("\ndir = ").unwrap()), Some("[logs]"));
        assert_eq!(template.lines().count() + 1, set.lines().count());
    }
}
