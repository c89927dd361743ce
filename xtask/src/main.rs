//! Builds, runs and tests the project: `cargo xtask --help`.

mod bench;
mod testbed;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs and tests the project")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing for rebuilding the eBPF object
    Setup,
    /// Rebuild the eBPF object
    BuildEbpf,
    /// Run every test, as root or through sudo
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run the sensor in a testbed, or on an interface
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// What continuous integration runs
    Ci,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run { args } => testbed::run(args),
        Command::Bench { args } => bench::run(args),
        _ => anyhow::bail!("not there yet"),
    }
}
