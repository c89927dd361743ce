//! `cargo xtask bench`: builds the bench with optimization and runs it; `live` is in a module of its own.

mod live;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::shell;

/// What to measure; all of it is optional.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// Capture to read instead of the one that is made
    #[arg(long)]
    pcap: Option<PathBuf>,
    /// Another build of the sensor, to compare throughput with
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Runs of each; the median counts
    #[arg(long)]
    runs: Option<usize>,
    /// Size of the made capture, MiB
    #[arg(long)]
    mib: Option<u64>,
    /// Connections to hold open for measuring memory
    #[arg(long)]
    connections: Option<u32>,
}

#[derive(Subcommand)]
enum Part {
    /// Measure the live path: packets through a veth pair under the sensor and other listeners
    Live(live::Options),
}

/// Builds and runs it.
pub fn run(o: &Options) -> anyhow::Result<()> {
    if let Some(Part::Live(o)) = &o.part {
        return live::run(o);
    }
    let mut cmd = program();
    // Cargo runs a bench in its package's directory.
    let absolute = |p: &Path| {
        p.canonicalize()
            .with_context(|| format!("cannot open {}", p.display()))
    };
    for (name, path) in [("--pcap", &o.pcap), ("--against", &o.against)] {
        if let Some(p) = path {
            cmd.arg(name).arg(absolute(p)?);
        }
    }
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    for (name, n) in [
        ("--runs", number(o.runs.map(|n| n as u64))),
        ("--mib", number(o.mib)),
        ("--connections", number(o.connections.map(u64::from))),
    ] {
        if let Some(n) = n {
            cmd.args([name, &n]);
        }
    }
    shell::run(&mut cmd)
}

/// The bench, built with optimization; what is added are its own arguments.
fn program() -> Command {
    let mut cmd = shell::cargo();
    cmd.current_dir(shell::workspace())
        .args(["bench", "--quiet", "-p", "sensor", "--bench", "bench", "--"]);
    cmd
}
