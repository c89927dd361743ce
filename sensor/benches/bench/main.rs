//! `cargo xtask bench`: what the sensor costs, beside what the same work costs without it.
//!
//! Everything measured runs in a process of its own, by turns, and is counted in CPU time, so that
//! other work on the machine disturbs it as little as can be.

mod child;
mod mix;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    /// Capture to read instead of the made one
    #[arg(long)]
    pcap: Option<PathBuf>,
    /// Another build of the sensor, to compare with
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Runs of each; the median counts
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Size of the made capture, MiB
    #[arg(long, default_value_t = 400)]
    mib: u64,
    /// Connections to hold open
    #[arg(long, default_value_t = 1_000_000)]
    connections: u32,
    /// Given by cargo
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Subcommand)]
#[command(hide = true)]
enum Child {
    Parse {
        pcap: PathBuf,
    },
    Memory {
        kind: String,
        connections: u32,
    },
    /// Writes the made capture and ends
    Make {
        pcap: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match &cli.child {
        Some(Child::Parse { pcap }) => return child::parse(pcap),
        Some(Child::Memory { kind, connections }) => return child::memory(kind, *connections),
        Some(Child::Make { pcap }) => return make(pcap, cli.mib),
        None => {}
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let result = throughput(&cli, &dir)
        .and_then(|()| handshakes(&cli, &dir))
        .and_then(|()| memory(&cli));
    // Captures are large.
    let _ = std::fs::remove_dir_all(&dir);
    result
}

/// One thing to measure.
struct Case {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    /// CPU seconds of each run.
    took: Vec<f64>,
}

impl Case {
    fn read(name: &'static str, sensor: &Path, pcap: &Path, logs: &Path, more: &[&str]) -> Self {
        let text = |p: &Path| p.display().to_string();
        let mut args = vec!["read".into(), text(pcap), "--log-dir".into(), text(logs)];
        args.extend(["--seed", "1"].iter().chain(more).map(|s| s.to_string()));
        Case {
            name,
            program: sensor.to_owned(),
            args,
            took: Vec::new(),
        }
    }

    fn median(&self) -> f64 {
        median(&self.took)
    }
}

fn median(of: &[f64]) -> f64 {
    let mut v = of.to_vec();
    v.sort_by(f64::total_cmp);
    v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs a program; the CPU seconds it took, and what it wrote.
fn run(program: &Path, args: &[String]) -> anyhow::Result<(f64, String)> {
    let name = || program.display().to_string();
    let mut child = Command::new(program)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(name)?;
    let mut said = String::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_string(&mut said)?;
    }
    // It has ended and is still there to be asked. First number: nanoseconds on a CPU, of the main
    // thread, and these programs have no other.
    let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id()));
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "{} failed: {status}", name());
    let stat = stat.context("the kernel keeps no schedstat")?;
    let ns = stat.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    Ok((ns.context("schedstat")? / 1e9, said))
}

/// Runs all cases by turns, once to warm up and then `runs` times.
fn measure(cases: &mut [Case], runs: usize) -> anyhow::Result<()> {
    for run in 0..=runs {
        for c in cases.iter_mut() {
            let (took, _) = self::run(&c.program, &c.args)?;
            if run > 0 {
                c.took.push(took);
            }
        }
    }
    Ok(())
}

fn sensor() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sensor"))
}

/// Writes the mix and says what it is.
fn make(pcap: &Path, mib: u64) -> anyhow::Result<()> {
    let w = mix::write_mix(pcap, mib).with_context(|| pcap.display().to_string())?;
    println!(
        "mix: {} packets, {:.0} MB, {} conversations",
        w.packets,
        w.bytes as f64 / 1e6,
        w.conversations
    );
    Ok(())
}

fn throughput(cli: &Cli, dir: &Path) -> anyhow::Result<()> {
    let made = dir.join("mix.pcap");
    let pcap = match &cli.pcap {
        Some(p) => p.as_path(),
        None => {
            make(&made, cli.mib)?;
            &made
        }
    };
    let me = std::env::current_exe()?;
    let parse = Case {
        name: "read and parse only",
        program: me.clone(),
        args: vec!["parse".into(), pcap.display().to_string()],
        took: Vec::new(),
    };
    let (_, said) = run(&me, &parse.args)?;
    let packets: f64 = said
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .context("cannot read the capture")?;
    let logs = dir.join("logs");
    let mut cases = vec![
        parse,
        Case::read("sensor read", sensor(), pcap, &logs, &[]),
        Case::read(
            "the same, no analyzers",
            sensor(),
            pcap,
            &logs,
            &["--no-analyzers"],
        ),
    ];
    if let Some(other) = &cli.against {
        cases.push(Case::read("the other sensor", other, pcap, &logs, &[]));
    }
    measure(&mut cases, cli.runs)?;
    println!("\nper packet, CPU time{:>19} {:>12}", "M packets/s", "ns/packet");
    for c in &cases {
        let s = c.median();
        println!(
            "{:<28}{:>11.2} {:>12.0}",
            c.name,
            packets / s / 1e6,
            s / packets * 1e9
        );
    }
    for c in &cases[1..3] {
        println!("{} / {}: {:.2}", c.name, cases[0].name, ratio(c, &cases[0]));
    }
    if let Some(other) = cases.get(3) {
        println!("the other sensor / sensor read: {:.3}", ratio(other, &cases[1]));
    }
    Ok(())
}

/// The median of the ratios of runs that stood side by side.
fn ratio(a: &Case, b: &Case) -> f64 {
    let each: Vec<f64> = a.took.iter().zip(&b.took).map(|(a, b)| a / b).collect();
    median(&each)
}

fn handshakes(cli: &Cli, dir: &Path) -> anyhow::Result<()> {
    let pcap = dir.join("tls.pcap");
    let n = mix::write_handshakes(&pcap, 40_000)?.conversations as f64;
    let logs = dir.join("logs");
    let mut cases = [
        Case::read("with analyzers", sensor(), &pcap, &logs, &[]),
        Case::read("without", sensor(), &pcap, &logs, &["--no-analyzers"]),
    ];
    measure(&mut cases, cli.runs)?;
    println!("\nTLS handshakes, CPU time{:>15} {:>12}", "per second", "us each");
    for c in &cases {
        let s = c.median();
        println!("{:<28}{:>11.0} {:>12.1}", c.name, n / s, s / n * 1e6);
    }
    println!("with / without: {:.2}", ratio(&cases[0], &cases[1]));
    Ok(())
}

fn memory(cli: &Cli) -> anyhow::Result<()> {
    println!(
        "\n{} open TCP connections{:>22} {:>20} {:>16}",
        cli.connections, "each", "longest pause: open", "expire"
    );
    for (kind, what) in [
        ("open", "after the handshake"),
        ("http", "after a request and an answer over HTTP"),
        ("tls", "after a TLS handshake and some records"),
    ] {
        let args = ["memory", kind, &cli.connections.to_string()].map(String::from);
        let (_, said) = run(&std::env::current_exe()?, &args)?;
        let said: Vec<&str> = said.split_whitespace().collect();
        let [bytes, opening, expiring] = said[..] else {
            anyhow::bail!("the bench said {said:?}");
        };
        println!("{what:<44} {bytes:>5} bytes {opening:>11} us {expiring:>13} us");
    }
    Ok(())
}
