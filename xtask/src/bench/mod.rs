//! `cargo xtask bench`: builds the bench with optimization and runs it; the other parts are in modules of their own.

mod bpf;
mod flood;
mod live;
mod scale;
mod xdp;

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
    /// Flood the sensor with SYNs, and see what becomes of real connections meanwhile
    Flood(flood::Options),
    /// Measure what a second worker gives, with and without per-packet events
    Scale(scale::Options),
    /// Measure the kernel's program, ns per packet, beside the least that such a program does
    Xdp(xdp::Options),
}

/// Builds and runs it.
pub fn run(o: &Options) -> anyhow::Result<()> {
    match &o.part {
        Some(Part::Live(o)) => return live::run(o),
        Some(Part::Flood(o)) => return flood::run(o),
        Some(Part::Scale(o)) => return scale::run(o),
        Some(Part::Xdp(o)) => return xdp::run(o),
        None => {}
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
        .args(["bench", "-p", "sensor", "--bench", "bench", "--"]);
    cmd
}

fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied()
}

/// A number with so many decimals, or a dash.
fn cell(n: Option<f64>, decimals: usize) -> String {
    n.map_or("-".to_owned(), |n| format!("{n:.decimals$}"))
}
