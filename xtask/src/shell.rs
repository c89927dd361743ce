//! Running other programs.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Says on standard error, before it begins, what is done next.
pub fn step(what: &str) {
    eprintln!("xtask: {what}");
}

/// A command as somebody would type it: its program without the folder, and its arguments. Its environment is left out.
pub fn line(cmd: &Command) -> String {
    let program = Path::new(cmd.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for arg in cmd.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// Runs a command, its output going where ours goes; an exit status other than 0 is an error.
pub fn run(cmd: &mut Command) -> Result<()> {
    step(&line(cmd));
    let shown = format!("{cmd:?}");
    let status = cmd.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// What a command prints, if it ends well.
pub fn output(cmd: &mut Command) -> Option<String> {
    let out = cmd.stderr(Stdio::null()).output().ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Name and path of each program that `cargo --message-format=json...` builds.
pub fn built(cargo: &mut Command) -> Result<Vec<(String, PathBuf)>> {
    step(&line(cargo));
    let out = cargo
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !out.status.success() {
        bail!("{cargo:?}: {}", out.status);
    }
    let messages = String::from_utf8_lossy(&out.stdout);
    let program = |line: &str| {
        let m: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = m["executable"].as_str()?;
        Some((m["target"]["name"].as_str()?.to_owned(), path.into()))
    };
    Ok(messages.lines().filter_map(program).collect())
}

/// The sensor, built with optimization unless the environment names another one; the path of its binary.
pub fn sensor() -> Result<PathBuf> {
    step("cargo build --release --package sensor, unless SENSOR_BIN names one");
    sensor_tests::sensor::release()
}

/// A command as root: itself, or through sudo.
pub fn root(program: &str) -> Command {
    if is_root() {
        Command::new(program)
    } else {
        let mut c = Command::new("sudo");
        c.args(["-E", program]);
        c
    }
}

/// Namespaces need root: this program once more, with the same arguments, through sudo.
pub fn again_as_root() -> Result<()> {
    step("network namespaces need root: this command again through sudo");
    let me = std::env::current_exe()?;
    let mut c = Command::new("sudo");
    // sudo drops the environment; cargo is needed to find the binary again.
    for name in [
        "PATH",
        "CARGO",
        "CARGO_HOME",
        "CARGO_TARGET_DIR",
        "RUSTUP_HOME",
        "SENSOR_BIN",
        crate::OBJECT_ENV,
    ] {
        if let Some(value) = std::env::var_os(name) {
            let mut pair = OsString::from(name);
            pair.push("=");
            pair.push(value);
            c.arg(pair);
        }
    }
    Err(c.arg(me).args(std::env::args_os().skip(1)).exec()).context("cannot run sudo")
}

/// Whether this process is root.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).as_deref() == Some("0")
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The workspace's root.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Every file below a folder; of a file, itself.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
        found.extend(files(&entry?.path())?);
    }
    Ok(found)
}

/// Every Rust file below `folder`.
pub fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = files(folder)?;
    found.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    Ok(found)
}
