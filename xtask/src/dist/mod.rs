//! `cargo xtask dist`: what is handed out, in `target/dist`: a Debian package, an archive with a static program, the list of
//! what is in both (SBOM), and the digests of all that.
//!
//! The same commit gives the same bytes on machines with the same compiler and C library: times are the commit's, and no
//! path of this machine is in them.

mod archive;
mod build;
mod deb;
mod generated;
mod notices;
mod sbom;
mod sums;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::shell::{self, output, target_dir, workspace};
use crate::{licenses, setup};
use build::Linked;

#[derive(Args)]
pub struct Options {
    /// Make only this; without, all
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Deb,
    Archive,
}

/// Where all of it goes.
pub fn folder() -> PathBuf {
    target_dir().join("dist")
}

/// What it is made from.
struct Origin {
    version: String,
    /// Of the files as they are: `-dirty` at its end if they are not those of the commit.
    commit: String,
    /// The time of everything made, in seconds since 1970.
    epoch: String,
    /// The compiler's name of this machine.
    host: String,
}

impl Origin {
    fn find() -> Result<Self> {
        let git = |args: &[&str]| output(Command::new("git").current_dir(workspace()).args(args));
        let given = |name: &str| std::env::var(name).ok();
        let commit = || {
            let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
            let mark = if changed.is_empty() { "" } else { "-dirty" };
            Some(format!("{}{mark}", git(&["rev-parse", "--short=12", "HEAD"])?))
        };
        let rustc = output(Command::new("rustc").arg("-vV")).context("cannot run rustc")?;
        let host = rustc.lines().find_map(|l| l.strip_prefix("host: "));
        Ok(Origin {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: given("SENSOR_COMMIT")
                .or_else(commit)
                .context("no git here to tell the commit: please set SENSOR_COMMIT")?,
            epoch: given("SOURCE_DATE_EPOCH")
                .or_else(|| git(&["log", "-1", "--format=%ct"]))
                .context("no git here to tell the commit's time: please set SOURCE_DATE_EPOCH")?,
            host: host.context("rustc does not name its host")?.to_owned(),
        })
    }

    /// The machine that it is for, as `uname -m` says.
    fn machine(&self) -> &str {
        self.host.split('-').next().unwrap_or(&self.host)
    }
}

/// Makes it.
pub fn run(options: &Options) -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the sensor runs on Linux, and is packaged there"
    );
    setup::packaging()?;
    licenses::check()?;
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let origin = Origin::find()?;
    let dist = folder();
    let _ = fs::remove_dir_all(&dist);
    fs::create_dir_all(&dist)?;
    let list = sbom::make(&origin, &dist)?;
    if wanted(Part::Deb) {
        let sensor = build::sensor(Linked::Shared, &origin)?;
        generated::make(&sensor, &origin, &list)?;
        deb::make(&sensor, &origin, &dist)?;
    }
    if wanted(Part::Archive) {
        let sensor = build::sensor(Linked::Statically, &origin)?;
        generated::make(&sensor, &origin, &list)?;
        archive::make(&sensor, &origin, &dist)?;
    }
    sums::write(&dist)?;
    for file in shell::files(&dist)? {
        println!("{}", shown(&file)?);
    }
    Ok(())
}

/// A file with its size.
fn shown(file: &Path) -> Result<String> {
    let kib = fs::metadata(file)?.len().div_ceil(1024);
    Ok(format!("{kib:>8} KiB  {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The package's list of files; those that are made for it are left out.
    fn package_files() -> Vec<String> {
        let manifest = fs::read_to_string(workspace().join("sensor/Cargo.toml")).unwrap();
        let (_, list) = manifest.split_once("\nassets = [\n").unwrap();
        let (list, _) = list.split_once("\n]\n").unwrap();
        let sources = list.lines().map(|l| l.split('"').nth(1).unwrap().to_owned());
        sources
            .filter(|s| !s.starts_with("target/release/"))
            .map(|s| s.strip_prefix("../").unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_is_packed_is_there() {
        let package = package_files();
        assert!(package.len() > 5, "{package:?}");
        for file in package {
            let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
            match name.strip_prefix('*') {
                Some(end) => assert!(
                    shell::files(&workspace().join(folder))
                        .unwrap()
                        .iter()
                        .any(|f| f.display().to_string().ends_with(end)),
                    "{file}"
                ),
                None => assert!(workspace().join(&file).is_file(), "{file}"),
            }
        }
        for file in archive::FILES {
            assert!(workspace().join(file).is_file(), "{file}");
        }
        // What cargo-deb looks for by name.
        for file in [
            "debian/postinst",
            "debian/prerm",
            "debian/postrm",
            "sensor.service",
            "sensor.sysusers",
        ] {
            assert!(workspace().join("deploy").join(file).is_file(), "{file}");
        }
    }
}
