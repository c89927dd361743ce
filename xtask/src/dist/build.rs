//! The sensor's program as it is handed out.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Origin;
use crate::shell::{self, output, target_dir, workspace};

/// How the program gets at the C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// As a distribution's programs do, which mends the library for all of them at once.
    Shared,
    /// It is part of the program, which so runs on any distribution.
    Statically,
}

/// A program that was built.
pub struct Built {
    pub program: PathBuf,
    /// What cargo was given as its target directory.
    pub target_dir: PathBuf,
}

impl Built {
    /// A folder beside the program, for what is packed with it. cargo-deb finds both as `target/release/...`.
    pub fn beside(&self) -> PathBuf {
        self.program.with_file_name("package")
    }
}

/// Builds it. Each way has a target directory of its own, so that a second run builds nothing anew.
pub fn sensor(linked: Linked, origin: &Origin) -> Result<Built> {
    let target_dir = target_dir().join("dist-build").join(match linked {
        Linked::Shared => "shared",
        Linked::Statically => "static",
    });
    let mut c = shell::cargo();
    c.current_dir(workspace())
        .args([
            "build",
            "--locked",
            "--release",
            "-p",
            "sensor",
            "--bin",
            "sensor",
        ])
        // Named, the flags below are for the program alone and not for what runs while it is built.
        .args(["--target", &origin.host])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("SENSOR_COMMIT", &origin.commit)
        .env("SOURCE_DATE_EPOCH", &origin.epoch);
    let prefixes = prefixes()?;
    let mut flags: Vec<String> = Vec::new();
    if linked == Linked::Statically {
        flags.extend(["-C", "target-feature=+crt-static"].map(str::to_owned));
    }
    flags.extend(prefixes.iter().map(|p| format!("--remap-path-prefix={p}")));
    c.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    // For the parts in C.
    let of_c: Vec<_> = prefixes
        .iter()
        .rev()
        .map(|p| format!("-ffile-prefix-map={p}"))
        .collect();
    c.env("CFLAGS", of_c.join(" "));
    shell::run(&mut c)?;
    let program = target_dir.join(&origin.host).join("release/sensor");
    ensure!(program.is_file(), "cargo has built no {}", program.display());
    if linked == Linked::Statically {
        no_libraries(&program)?;
    }
    Ok(Built { program, target_dir })
}

/// Paths of this machine and what is to stand in their place, where messages and debugging information name sources.
fn prefixes() -> Result<[String; 2]> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    Ok([
        format!("{}=/sensor", workspace().display()),
        format!("{}=/registry", home.join("registry/src").display()),
    ])
}

/// Fails if the program asks for a library when it is started.
fn no_libraries(program: &Path) -> Result<()> {
    let dynamic = output(Command::new("readelf").arg("-d").arg(program))
        .context("cannot run readelf (package binutils)")?;
    ensure!(
        !dynamic.contains("(NEEDED)"),
        "{} is not static:\n{dynamic}",
        program.display()
    );
    Ok(())
}
