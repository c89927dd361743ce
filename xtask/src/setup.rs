//! What the eBPF build needs, found or installed: a rustc with `core` for BPF, and bpf-linker.
//!
//! Two ways. Debian's rustc-web has a ready `core` for BPF, and Debian has the LLVM that bpf-linker then
//! needs: the committed object was made this way. Elsewhere a rustup nightly with rust-src builds `core`
//! itself, with a bpf-linker that finds an LLVM of its own accord.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, root, run};

/// The version of bpf-linker that the committed object was linked by.
const BPF_LINKER: &str = "0.13.0";
/// Debian's compiler, wherever rustup's comes first in the path.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "libstd-rust-web-dev-bpf",
    "llvm-22-dev",
    "libpolly-22-dev",
];
/// What Debian's bpf-linker links; at least the LLVM that rustc-web was built with.
const DEBIAN_LLVM: &str = "/usr/lib/llvm-22";
/// Programs that the tests use.
const TOOLS: [(&str, &str); 3] = [
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("faketime", "faketime"),
];

/// Servers and clients that the tests use. A server's package starts it; nobody asked for that here.
const PEERS: [(&str, &str); 17] = [
    ("busybox", "busybox-static"),
    ("chronyd", "chrony"),
    ("curl", "curl"),
    ("danted", "dante-server"),
    ("dnsmasq", "dnsmasq-base"),
    ("logger", "bsdutils"),
    ("nghttp", "nghttp2-client"),
    ("nghttpx", "nghttp2-proxy"),
    ("nginx", "nginx-light"),
    ("promtool", "prometheus"),
    ("sshd", "openssh-server"),
    ("sshpass", "sshpass"),
    ("vsftpd", "vsftpd"),
    ("postfix", "postfix"),
    ("/usr/lib/dovecot/pop3", "dovecot-pop3d"),
    ("/usr/lib/dovecot/imap", "dovecot-imapd"),
    // A library for Python.
    ("/usr/lib/python3/dist-packages/websockets", "python3-websockets"),
];

/// Where Debian's packages ask whether they may start what they bring.
const START_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Programs that virtual machines need.
const GUEST_TOOLS: [(&str, &str); 6] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("depmod", "kmod"),
    ("xzcat", "xz-utils"),
    ("zstdcat", "zstd"),
    ("dpkg-deb", "dpkg"),
];

/// Subcommands of cargo that `cargo xtask dist` uses, in the versions that it was tried with.
const PACKAGERS: [(&str, &str); 2] = [("cargo-deb", "3.8.0"), ("cargo-cyclonedx", "0.5.9")];
/// Programs that it uses.
const PACKAGING_TOOLS: [(&str, &str); 3] = [
    ("strip", "binutils"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("gzip", "gzip"),
];

/// A compiler that can build for BPF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    Debian,
    Nightly,
}

impl Toolchain {
    /// The one that is there and complete.
    pub fn find() -> Option<Self> {
        if debian_has_core() {
            Some(Toolchain::Debian)
        } else if nightly_has_sources() {
            Some(Toolchain::Nightly)
        } else {
            None
        }
    }

    /// What its rustc calls itself.
    pub fn version(&self) -> String {
        let v = match self {
            Toolchain::Debian => output(Command::new(DEBIAN_RUSTC).arg("-V")),
            Toolchain::Nightly => output(Command::new("rustup").args(["run", "nightly", "rustc", "-V"])),
        };
        v.unwrap_or_default()
    }

    /// Its cargo, ready for `build`.
    pub fn cargo(&self) -> Command {
        match self {
            Toolchain::Debian => {
                let mut c = Command::new("/usr/bin/cargo");
                c.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                c
            }
            Toolchain::Nightly => {
                let mut c = Command::new("rustup");
                c.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
                c.env_remove("RUSTC");
                c
            }
        }
    }
}

/// Installs what is missing; does nothing where nothing is.
pub fn run_setup() -> Result<Toolchain> {
    tools(&TOOLS)?;
    peers()?;
    let toolchain = match Toolchain::find() {
        Some(t) if linker_version().as_deref() == Some(&format!("bpf-linker {BPF_LINKER}")) => t,
        _ => install_toolchain()?,
    };
    if objcopy().is_none() {
        apt(&["llvm-22"])?;
    }
    Ok(toolchain)
}

/// Installs the tests' peers, and starts none of them: unless the machine has a policy of its own, it gets one for as long
/// as that takes.
fn peers() -> Result<()> {
    let own = !Path::new(START_POLICY).exists() && PEERS.iter().any(|(program, _)| which(program).is_none());
    if own {
        let refuse = format!("printf '#!/bin/sh\nexit 101\n' > {START_POLICY} && chmod 755 {START_POLICY}");
        run(root("sh").args(["-c", &refuse]))?;
    }
    let installed = tools(&PEERS);
    if own {
        run(root("rm").arg(START_POLICY))?;
    }
    installed
}

/// Installs what `cargo xtask vm` needs and is missing.
pub fn guests() -> Result<()> {
    tools(&GUEST_TOOLS)
}

/// Installs what `cargo xtask dist` needs and is missing.
pub fn packaging() -> Result<()> {
    tools(&PACKAGING_TOOLS)?;
    for (name, version) in PACKAGERS {
        let have = output(Command::new("cargo").args(["install", "--list"])).unwrap_or_default();
        if !have.lines().any(|l| l == format!("{name} v{version}:")) {
            // Another version is replaced.
            run(Command::new("cargo").args(["install", name, "--locked", "--force", "--version", version]))?;
        }
    }
    Ok(())
}

/// Installs the systemd that guests with services boot with, where this machine has none.
pub fn init() -> Result<()> {
    tools(&[("/lib/systemd/systemd", "systemd")])
}

/// Installs the packages of those programs that are not there.
fn tools(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .map(|&(_, package)| package)
        .collect();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

/// What bpf-linker calls itself.
pub fn linker_version() -> Option<String> {
    output(Command::new("bpf-linker").arg("--version"))
}

/// An objcopy that knows BPF objects.
pub fn objcopy() -> Option<PathBuf> {
    let own = Path::new(DEBIAN_LLVM).join("bin/llvm-objcopy");
    if own.exists() {
        Some(own)
    } else {
        which("llvm-objcopy")
    }
}

/// Installs a compiler and the linker that goes with it, one way or the other.
fn install_toolchain() -> Result<Toolchain> {
    let Err(debian) = install_debian() else {
        return Ok(Toolchain::Debian);
    };
    eprintln!("no BPF toolchain from Debian's packages ({debian}); taking rustup's nightly");
    install_nightly()?;
    Ok(Toolchain::Nightly)
}

fn install_debian() -> Result<()> {
    if !debian_has_core() {
        apt(&DEBIAN_PACKAGES)?;
    }
    if !debian_has_core() {
        bail!("{DEBIAN_RUSTC} has no core for bpfel-unknown-none");
    }
    run(install_linker()
        .args(["--no-default-features", "--features", "llvm-22"])
        .env("LLVM_SYS_221_PREFIX", DEBIAN_LLVM)
        // Else the linker does not find -lLLVM.
        .env("LIBRARY_PATH", format!("{DEBIAN_LLVM}/lib")))
}

fn install_nightly() -> Result<()> {
    if !nightly_has_sources() {
        run(Command::new("rustup").args([
            "toolchain",
            "install",
            "nightly",
            "--profile",
            "minimal",
            "--component",
            "rust-src",
        ]))?;
    }
    run(&mut install_linker()).with_context(|| {
        format!(
            "please install bpf-linker {BPF_LINKER} as https://github.com/aya-rs/bpf-linker#installation says"
        )
    })
}

fn install_linker() -> Command {
    let mut c = Command::new("cargo");
    c.args(["install", "bpf-linker", "--force", "--version", BPF_LINKER]);
    c
}

fn apt(packages: &[&str]) -> Result<()> {
    if which("apt-get").is_none() {
        bail!("please install: {}", packages.join(" "));
    }
    let install = |packages: &[&str]| {
        let mut c = root("apt-get");
        c.env("DEBIAN_FRONTEND", "noninteractive");
        run(c
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages))
    };
    if install(packages).is_ok() {
        return Ok(());
    }
    run(root("apt-get").arg("update"))?;
    install(packages)
}

fn debian_has_core() -> bool {
    let libs = output(Command::new(DEBIAN_RUSTC).args([
        "--print",
        "target-libdir",
        "--target",
        "bpfel-unknown-none",
    ]));
    libs.is_some_and(|dir| {
        std::fs::read_dir(dir).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|e| e.file_name().to_string_lossy().starts_with("libcore-"))
        })
    })
}

fn nightly_has_sources() -> bool {
    output(Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"])).is_some_and(
        |root| {
            Path::new(&root)
                .join("lib/rustlib/src/rust/library/core")
                .exists()
        },
    )
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|dir| dir.join(program))
        .find(|p| p.exists())
}
