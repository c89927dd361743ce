//! What is packed beside the program and stands nowhere in the tree: manual pages and completions, which the program itself
//! writes, the file of settings as a service wants it, the crates' licences.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::build::Built;
use super::{Origin, notices};
use crate::shell::{self, workspace};

/// A line of the file of settings that is another one for a service.
struct Own {
    section: &'static str,
    line: &'static str,
    /// With a comment that says why.
    instead: &'static str,
}

const OWN: [Own; 2] = [
    Own {
        section: "interfaces",
        line: "#persist_dir = \"/sys/fs/bpf/sensor\"",
        instead: "# Not the default, \"/sys/fs/bpf/sensor\", which is root's: this is the service's (run-sensorbpf.mount).\n\
                  persist_dir = \"/run/sensorbpf/sensor\"",
    },
    Own {
        section: "logs",
        line: "#dir = \"logs\"",
        instead: "# Not the default, \"logs\": this is the service's (LogsDirectory= in its unit).\ndir = \"/var/log/sensor\"",
    },
];

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

/// The file of settings for the service: that of the tree, which shows defaults, but for [`OWN`].
fn settings(template: &str) -> Result<String> {
    OWN.iter().try_fold(template.to_owned(), |text, own| {
        let Own {
            section,
            line,
            instead,
        } = own;
        let head = format!("\n[{section}]\n");
        let found = text.split_once(&head).and_then(|(before, rest)| {
            let end = rest.find("\n[").unwrap_or(rest.len());
            let at = rest[..end].find(&format!("\n{line}\n"))? + 1;
            let (first, last) = (&rest[..at], &rest[at + line.len()..]);
            Some(format!("{before}{head}{first}{instead}{last}"))
        });
        found.with_context(|| format!("no line `{line}` in the section [{section}] of deploy/sensor.toml"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_services_differs_from_the_defaults() {
        let template = fs::read_to_string(workspace().join("deploy/sensor.toml")).unwrap();
        let set = settings(&template).unwrap();
        let keys: Vec<_> = set
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with(['#', '[']))
            .collect();
        assert_eq!(
            keys,
            [
                "persist_dir = \"/run/sensorbpf/sensor\"",
                "dir = \"/var/log/sensor\""
            ]
        );
        let section = |at: usize| {
            set[..at]
                .rfind("\n[")
                .and_then(|from| set[from + 2..].split(']').next())
        };
        assert_eq!(section(set.find("\npersist_dir = ").unwrap()), Some("interfaces"));
        assert_eq!(section(set.find("\ndir = ").unwrap()), Some("logs"));
        assert_eq!(template.lines().count() + OWN.len(), set.lines().count());
        for (file, line) in [
            ("sensor.service", "ReadWritePaths=-/run/sensorbpf"),
            ("sensor.service", "LogsDirectory=sensor"),
            ("run-sensorbpf.mount", "Where=/run/sensorbpf"),
        ] {
            let unit = fs::read_to_string(workspace().join("deploy").join(file)).unwrap();
            assert!(unit.lines().any(|l| l == line), "no {line} in {file}");
        }
    }
}
