//! The archive for machines without Debian's packages: a folder with the static program and all that belongs to it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Origin;
use super::build::Built;
use crate::shell::{self, run, workspace};

/// Files of the tree that are in it, beside the documents.
pub const FILES: &[&str] = &[
    "deploy/INSTALL.md",
    "deploy/sensor.service",
    "deploy/run-sensorbpf.mount",
    "deploy/sensor.sysusers",
    "deploy/sysctl.conf",
    "deploy/alerts.yml",
    "deploy/grafana-dashboard.json",
    "signatures/legacy.sig",
    "fingerprints/os.fp",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

/// Copies the files of a folder and of those in it.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for file in shell::files(from)? {
        let to = to.join(file.strip_prefix(from)?);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&file, to)?;
    }
    Ok(())
}

/// Makes it in `dist`.
pub fn make(sensor: &Built, origin: &Origin, dist: &Path) -> Result<()> {
    let name = format!("sensor-{}-{}-linux", origin.version, origin.machine());
    let base = sensor.target_dir.join("archive");
    let folder = base.join(&name);
    let _ = fs::remove_dir_all(&base);
    fs::create_dir_all(folder.join("docs"))?;
    run(Command::new("strip")
        .arg("-o")
        .arg(folder.join("sensor"))
        .arg(&sensor.program))?;
    for file in FILES {
        let from = workspace().join(file);
        fs::copy(&from, folder.join(from.file_name().unwrap_or_default()))?;
    }
    for entry in fs::read_dir(workspace().join("docs"))?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "md") {
            fs::copy(entry.path(), folder.join("docs").join(entry.file_name()))?;
        }
    }
    copy_all(&sensor.beside(), &folder)?;
    copy_all(&workspace().join("scripts"), &folder.join("scripts"))?;
    let tar = dist.join(format!("{name}.tar.gz"));
    run(Command::new("tar")
        .args(["--create", "--use-compress-program=gzip -9n", "--sort=name"])
        .args(["--owner=0", "--group=0", "--numeric-owner"])
        // Whatever the umask was when they were made.
        .arg("--mode=u=rwX,go=rX")
        .arg(format!("--mtime=@{}", origin.epoch))
        .arg("--file")
        .arg(&tar)
        .arg("-C")
        .args([&base, Path::new(&name)]))
}
