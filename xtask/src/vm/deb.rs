//! The Debian package for a guest: the one that was made, and the same as a later version to upgrade to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{run, target_dir};
use crate::{dist, setup};

/// What the guest is to run: this very program, with both packages.
pub fn command(file: Option<&Path>) -> Result<Vec<String>> {
    setup::init()?;
    let first = match file {
        Some(file) => fs::canonicalize(file).with_context(|| format!("no {}", file.display()))?,
        None => made()?,
    };
    let second = later(&first)?;
    let words = [std::env::current_exe()?, "deb-trial".into(), first, second];
    Ok(words.iter().map(|w| w.display().to_string()).collect())
}

/// The package that `cargo xtask dist` has made.
fn made() -> Result<PathBuf> {
    let folder = dist::folder();
    let is_it = |p: &PathBuf| p.extension().is_some_and(|e| e == "deb");
    let mut found = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path());
    found.find(is_it).with_context(|| {
        format!(
            "no package in {}: run `cargo xtask dist deb` first",
            folder.display()
        )
    })
}

/// The same package with a higher version.
fn later(first: &Path) -> Result<PathBuf> {
    let folder = target_dir().join("vm/deb");
    let tree = folder.join("tree");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    run(Command::new("dpkg-deb").arg("-R").args([first, &tree]))?;
    let control = tree.join("DEBIAN/control");
    let fields = fs::read_to_string(&control)?;
    let version = fields.lines().find(|l| l.starts_with("Version: "));
    let version = version.context("a package without a version")?;
    fs::write(&control, fields.replace(version, &format!("{version}.1")))?;
    let second = folder.join("later.deb");
    run(Command::new("dpkg-deb")
        // Packing takes longer than all else, and nobody keeps it.
        .args(["--root-owner-group", "-Zgzip", "-z1", "-b"])
        .args([&tree, &second]))?;
    Ok(second)
}
