//! The Debian package, by cargo-deb; what is in it stands in sensor/Cargo.toml.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Origin;
use super::build::Built;
use crate::shell::{self, run, workspace};

/// Makes it in `dist`, with a second one that has the program's debugging information.
pub fn make(sensor: &Built, origin: &Origin, dist: &Path) -> Result<()> {
    pack_texts(&sensor.beside(), origin)?;
    let mut c = shell::cargo();
    c.current_dir(workspace())
        .args(["deb", "-p", "sensor", "--locked", "--no-build", "--dbgsym"])
        .args(["--target", &origin.host])
        .arg("-o")
        .arg(dist)
        .env("CARGO_TARGET_DIR", &sensor.target_dir)
        .env("SOURCE_DATE_EPOCH", &origin.epoch);
    run(&mut c)
}

/// Manual pages and change logs are packed in a Debian package.
fn pack_texts(folder: &Path, origin: &Origin) -> Result<()> {
    fs::copy(workspace().join("CHANGELOG.md"), folder.join("changelog"))?;
    fs::write(folder.join("changelog.Debian"), changelog(origin)?)?;
    let mut gzip = Command::new("gzip");
    gzip.args([
        "-9n",
        "changelog",
        "changelog.Debian",
        "sensor.cdx.json",
        "THIRD-PARTY.txt",
    ])
    .current_dir(folder);
    for page in shell::files(&folder.join("man"))? {
        gzip.arg(page);
    }
    run(&mut gzip)
}

/// The package's own change log: it has nothing to say that the sensor's does not.
fn changelog(origin: &Origin) -> Result<String> {
    let date = shell::output(Command::new("date").args(["-u", "-R", "-d", &format!("@{}", origin.epoch)]))
        .context("cannot run date")?;
    Ok(format!(
        "sensor ({}-1) stable; urgency=medium\n\n  * See changelog.gz.\n\n -- {}  {date}\n",
        origin.version,
        maintainer()?
    ))
}

/// As the package's fields have it.
fn maintainer() -> Result<String> {
    let manifest = fs::read_to_string(workspace().join("sensor/Cargo.toml"))?;
    let line = manifest.lines().find_map(|l| l.strip_prefix("maintainer = "));
    Ok(line
        .context("no maintainer in sensor/Cargo.toml")?
        .trim_matches('"')
        .to_owned())
}
