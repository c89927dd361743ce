//! The list of materials (SBOM): every crate that is in the program, with version, licence and digest, as CycloneDX.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Origin;
use crate::shell::{self, workspace};

/// What cargo-cyclonedx adds an extension to.
const STEM: &str = "sensor-dist.cdx";

/// Makes it in `dist`: its path.
pub fn make(origin: &Origin, dist: &Path) -> Result<PathBuf> {
    let mut c = shell::cargo();
    c.current_dir(workspace())
        .args(["cyclonedx", "--format", "json", "--spec-version", "1.5"])
        .args(["--manifest-path", "sensor/Cargo.toml"])
        .args(["--target", &origin.host])
        .args(["--override-filename", STEM])
        // With it the list has neither a number of its own nor the time of day.
        .env("SOURCE_DATE_EPOCH", &origin.epoch);
    let made = shell::run(&mut c);
    // It leaves one in the folder of each crate of the workspace.
    let name = format!("{STEM}.json");
    let here = workspace().join("sensor").join(&name);
    let list = fs::read_to_string(&here);
    for entry in fs::read_dir(workspace())?.flatten() {
        let _ = fs::remove_file(entry.path().join(&name));
    }
    made?;
    let list = list.with_context(|| format!("cargo-cyclonedx has made no {}", here.display()))?;
    // It names our own crates by their folders.
    let list = list.replace(&workspace().display().to_string(), "/sensor");
    let path = dist.join(format!("sensor-{}.cdx.json", origin.version));
    fs::write(&path, list)?;
    Ok(path)
}
