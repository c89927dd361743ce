//! The BPF object: building it, and the provenance that stands beside the committed one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::setup::{self, Toolchain};
use crate::shell::{self, run, target_dir, workspace};

/// The committed object, in the workspace.
pub const OBJECT: &str = "sensor/src/bpf/sensor.bpf.o";
const PROVENANCE: &str = "sensor/src/bpf/sensor.bpf.toml";
/// Files and folders that the object is made of.
const SOURCES: [&str; 7] = [
    "sensor-common/Cargo.toml",
    "sensor-common/src",
    "sensor-ebpf/Cargo.lock",
    "sensor-ebpf/Cargo.toml",
    "sensor-ebpf/src",
    "sensor/src/datapath/xdp/abi.rs",
    "xtask/src/ebpf.rs",
];
const TARGET: &str = "bpfel-unknown-none";

/// Rebuilds the committed object and its provenance.
pub fn rebuild() -> Result<()> {
    let toolchain = setup::run_setup()?;
    let built = build(&toolchain)?;
    let root = workspace();
    fs::copy(&built, root.join(OBJECT)).context(OBJECT)?;
    fs::write(root.join(PROVENANCE), provenance(&toolchain, &built)?).context(PROVENANCE)?;
    println!("{OBJECT}: {} bytes", fs::metadata(&built)?.len());
    Ok(())
}

/// Builds the object anew and fails when the committed one is not what the sources make. Returns
/// the one just built.
pub fn check() -> Result<PathBuf> {
    let toolchain = setup::run_setup()?;
    let root = workspace();
    let committed = fs::read_to_string(root.join(PROVENANCE)).context(PROVENANCE)?;
    let built = build(&toolchain)?;
    let now = provenance(&toolchain, &built)?;
    let (old, new) = (parse(&committed), parse(&now));
    for (key, value) in &new {
        if key.contains('/') && old.get(key) != Some(value) {
            bail!("{key} is not what the committed BPF object was built from; run `cargo xtask build-ebpf`");
        }
    }
    if let Some(gone) = old.keys().find(|k| !new.contains_key(*k)) {
        bail!("{gone} is no longer part of the BPF object; run `cargo xtask build-ebpf`");
    }
    if old.get("object") != Some(&hash(&root.join(OBJECT))?) {
        bail!("{OBJECT} is not the one that {PROVENANCE} speaks of");
    }
    let same_tools = ["rustc", "bpf-linker"].iter().all(|k| old.get(*k) == new.get(*k));
    if !same_tools {
        println!("another toolchain than the committed object's: bytes not compared");
    } else if old.get("object") != new.get("object") {
        bail!("the sources make other bytes than {OBJECT}; run `cargo xtask build-ebpf`");
    } else {
        println!("{OBJECT} is what the sources make");
    }
    Ok(built)
}

/// Builds the object, without debug sections (its BTF stays), and returns where it is.
fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let root = workspace();
    let target = target_dir().join("ebpf");
    let cargo_home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|h| format!("{h}/.cargo")))
        .unwrap_or_default();
    let flags = [
        // BTF is made from debug information.
        "-Cdebuginfo=2".to_owned(),
        "-Clinker=bpf-linker".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Stores instead of a call to a loop over bytes, which is what LLVM makes of every memset
        // for BPF otherwise: 30 ns a packet.
        "-Clink-arg=--llvm-args=-max-store-memset=32".to_owned(),
        // Atomic or; 32-bit arithmetic.
        "-Ctarget-cpu=v3".to_owned(),
        // Headers lie at odd addresses; the kernels that we promise read them there.
        "-Clink-arg=--cpu-features=+allows-misaligned-mem-access".to_owned(),
        format!("--remap-path-prefix={}=/sensor", root.display()),
        format!("--remap-path-prefix={cargo_home}=/cargo"),
    ];
    let mut cargo = toolchain.cargo();
    // What the environment says of profiles is about the sensor; by another one the verifier may refuse the object.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(name);
        }
    }
    run(cargo
        .current_dir(root.join("sensor-ebpf"))
        .args(["build", "--release", "--locked", "--target", TARGET])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER"))?;
    let linked = target.join(TARGET).join("release/sensor");
    let stripped = target.join("sensor.bpf.o");
    let objcopy = setup::objcopy().context("no llvm-objcopy")?;
    run(Command::new(objcopy)
        .arg("--strip-debug")
        .args([&linked, &stripped]))?;
    Ok(stripped)
}

fn provenance(toolchain: &Toolchain, object: &Path) -> Result<String> {
    let mut text = String::from("# Where sensor.bpf.o comes from. Written by `cargo xtask build-ebpf`.\n");
    writeln!(text, "object = \"{}\"", hash(object)?)?;
    writeln!(text, "rustc = \"{}\"", toolchain.version())?;
    writeln!(
        text,
        "bpf-linker = \"{}\"",
        setup::linker_version().unwrap_or_default()
    )?;
    text.push_str("\n[sources]\n");
    let root = workspace();
    let mut files = Vec::new();
    for source in SOURCES {
        files.extend(shell::files(&root.join(source))?);
    }
    files.sort();
    for file in files {
        let name = file.strip_prefix(&root)?.display();
        writeln!(text, "\"{name}\" = \"{}\"", hash(&file)?)?;
    }
    Ok(text)
}

/// The `key = "value"` lines of what [`provenance`] writes.
fn parse(text: &str) -> BTreeMap<String, String> {
    let unquote = |s: &str| s.trim().trim_matches('"').to_owned();
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (unquote(k), unquote(v)))
        .collect()
}

fn hash(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let mut hex = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(hex, "{byte:02x}")?;
    }
    Ok(hex)
}
