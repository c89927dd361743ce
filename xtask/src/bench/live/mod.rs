//! `cargo xtask bench live`: the live path. The same frames are sent through a veth pair once for each
//! listener, by turns. A listener costs what the machine does more than with nobody.
//!
//! An XDP program on a veth runs in the sender's system call: who is slow there makes the sender slower, and
//! loses nothing. So the sender's packets a second tell what the path bears, and CPU time what it costs: of the
//! machine, which includes all else that runs on it, and of the sender and the listener's threads.

mod calls;
mod elephant;
pub mod frames;
pub mod listener;
mod pass;
mod report;
mod search;
pub mod usage;
pub mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::shell;
use calls::{Calls, Counting};
use frames::Frames;
use listener::{Kind, Listener, Said};
use report::Case;
use usage::Own;
use wire::Wire;

/// What a listener may go on doing after the last frame and is still counted.
const SETTLE: Duration = Duration::from_millis(1500);
/// Longest time that sending all frames with a rate may take.
const LONGEST_RUN: Duration = Duration::from_secs(600);

/// What to send, how, and who is to listen.
#[derive(Args)]
pub struct Options {
    /// Capture to send instead of the mix that is made (pcap, Ethernet)
    #[arg(long, conflicts_with_all = ["elephant", "mib"])]
    pcap: Option<PathBuf>,
    /// Send one large TCP connection instead
    #[arg(long)]
    elephant: bool,
    /// Size of the mix or of the large connection, MiB
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=4000))]
    mib: u64,
    /// Queues of the link, each with a sender on a CPU of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    queues: u32,
    /// Find the highest rate at which each listener loses nothing
    #[arg(long, conflicts_with_all = ["rate", "runs"])]
    search: bool,
    /// Packets a second, instead of as fast as can be
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Runs of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Only these listeners, by their names in the table, and nobody
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Another build of the sensor, to compare with
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Further options of both sensors, separated by spaces
    #[arg(long, value_name = "OPTIONS", default_value = "", allow_hyphen_values = true)]
    sensor_args: String,
    /// Suricata's command line; {iface} stands for the interface
    #[arg(long, value_name = "COMMAND")]
    suricata: Option<String>,
    /// Zeek's command line; {iface} stands for the interface
    #[arg(long, value_name = "COMMAND")]
    zeek: Option<String>,
}

/// One sending of all frames, with one listener.
struct Run {
    /// Packets a second of the sender.
    rate: f64,
    /// CPU seconds of the machine, until some time after the last frame.
    busy: f64,
    /// Of them, the sender's.
    sender: f64,
    /// Of them, the listener's own.
    own: Option<Own>,
    /// Its system calls, where they can be counted.
    calls: Option<Calls>,
    /// Frames that the listeners' interface did not count.
    missing: u64,
    said: Said,
}

/// Builds what is missing, and measures.
pub fn run(o: &Options) -> Result<()> {
    // Before sudo, so that what cargo builds stays the user's.
    let sensor = shell::sensor()?;
    let capture = match &o.pcap {
        _ if o.elephant => None,
        Some(pcap) => Some(pcap.clone()),
        None => Some(mix(o.mib)?),
    };
    if !sensor_tests::is_root() {
        return shell::again_as_root();
    }
    let frames = load(o, capture.as_deref())?;
    let cpus = std::thread::available_parallelism()?.get();
    ensure!(o.queues as usize <= cpus, "more queues than CPUs ({cpus})");
    let wire = Wire::new(o.queues)?;
    // The frames' memory and the kernel's own is touched once before it counts.
    wire.send(&frames, None)?;
    let mut cases = cases(o, sensor)?;
    if o.search {
        return search::run(&cases, &wire, &frames);
    }
    let noise = noise()?;
    for n in 1..=o.runs {
        for case in &mut cases {
            eprintln!("run {n} of {}: {}", o.runs, case.name);
            let run = measure(&case.kind, &wire, &frames, o.rate);
            case.runs.push(run.with_context(|| case.name.clone())?);
        }
    }
    report::print(&cases, frames.len() as u64, o.rate, noise)
}

/// Absolute, because a sensor or bench may be started in another directory.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("cannot open {}", path.display()))
}

/// The listeners in the order of their turns.
fn cases(o: &Options, own: PathBuf) -> Result<Vec<Case>> {
    let sensor = |binary: &Path| -> Result<Kind> {
        let options = o.sensor_args.split_whitespace().map(str::to_owned);
        Ok(Kind::Sensor(absolute(binary)?, options.collect()))
    };
    let mut cases = vec![
        Case::new("nobody", Kind::Nobody),
        Case::new("passing program", Kind::Pass),
        Case::new("sensor", sensor(&own)?),
    ];
    if let Some(other) = &o.against {
        cases.push(Case::new("the other sensor", sensor(other)?));
    }
    if shell::output(std::process::Command::new("tcpdump").arg("--version")).is_some() {
        let line = "tcpdump -n -i {iface} -w /dev/null";
        cases.push(Case::new("tcpdump", Kind::Program(line.to_owned())));
    }
    for (name, line) in [("Suricata", &o.suricata), ("Zeek", &o.zeek)] {
        if let Some(line) = line {
            cases.push(Case::new(name, Kind::Program(line.clone())));
        }
    }
    if let Some(unknown) = o.only.iter().find(|n| cases.iter().all(|c| c.name != **n)) {
        bail!("--only {unknown}: no such listener");
    }
    // All others are compared with nobody.
    let wanted = |c: &Case| o.only.is_empty() || o.only.contains(&c.name);
    cases.retain(|c| c.kind == Kind::Nobody || wanted(c));
    Ok(cases)
}

/// The frames to send, and a line about them.
fn load(o: &Options, capture: Option<&Path>) -> Result<Frames> {
    let mut frames = match capture {
        Some(pcap) => frames::read(pcap)?,
        None => elephant::make(o.mib),
    };
    let left_out = frames.keep_sendable(wire::LONGEST);
    ensure!(frames.len() > 0, "nothing to send");
    let size = frames.size() as f64 / 1e6;
    println!("{} frames of {size:.0} MB, each sent once", frames.len());
    if left_out > 0 {
        println!(
            "{left_out} more are left out: longer than {} bytes or shorter than 14",
            wire::LONGEST
        );
    }
    if let Some(rate) = o.rate {
        ensure!(
            frames.len() as f64 / rate as f64 <= LONGEST_RUN.as_secs_f64(),
            "with {rate} packets/s one sending would take more than {} s",
            LONGEST_RUN.as_secs()
        );
    }
    Ok(frames)
}

/// The offline bench's mix, made again when its source is newer.
pub fn mix(mib: u64) -> Result<PathBuf> {
    let dir = std::path::absolute(shell::target_dir().join("bench-live"))?;
    let (made, part) = (dir.join(format!("mix-{mib}.pcap")), dir.join("part"));
    let source = shell::workspace().join("sensor/benches/bench/mix.rs");
    let age = |p: &Path| p.metadata().and_then(|m| m.modified());
    let source = age(&source).with_context(|| source.display().to_string())?;
    if age(&made).is_ok_and(|made| made > source) {
        return Ok(made);
    }
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let mut c = super::program();
    shell::run(c.args(["--mib", &mib.to_string(), "make"]).arg(&part))?;
    // Under its name it is whole.
    std::fs::rename(&part, &made).with_context(|| made.display().to_string())?;
    Ok(made)
}

/// CPUs that other work keeps busy.
pub fn noise() -> Result<f64> {
    let before = usage::machine()?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(usage::machine()? - before)
}

/// Sends all frames with one listener.
fn measure(kind: &Kind, wire: &Wire, frames: &Frames, rate: Option<u32>) -> Result<Run> {
    let listener = Listener::start(kind, wire)?;
    let counting = match kind {
        Kind::Sensor(..) => listener.pid().and_then(Counting::start),
        _ => None,
    };
    let own = || listener.pid().map(usage::process).transpose();
    let (received, own_before, busy) = (wire.received()?, own()?, usage::machine()?);
    let sent = wire.send(frames, rate)?;
    std::thread::sleep(SETTLE);
    let busy = usage::machine()? - busy;
    let own_after = own()?;
    let calls = counting.and_then(Counting::stop);
    let received = wire.received()? - received;
    let sent_frames = frames.len() as u64;
    Ok(Run {
        rate: sent_frames as f64 / sent.took.as_secs_f64(),
        busy,
        sender: sent.cpu,
        own: own_after
            .zip(own_before)
            .map(|(after, before)| after.since(before)),
        calls,
        missing: sent_frames.saturating_sub(received),
        said: listener.stop()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_arrives_with_a_program_and_without() {
        if !sensor_tests::root_or_say_so("every_frame_arrives_with_a_program_and_without") {
            return;
        }
        let frames = elephant::make(1);
        for (kind, queues) in [(Kind::Nobody, 1), (Kind::Pass, 1), (Kind::Pass, 2)] {
            if std::thread::available_parallelism().map_or(1, |n| n.get()) < queues {
                continue;
            }
            let wire = Wire::new(queues as u32).expect("a link");
            let listener = Listener::start(&kind, &wire).expect("a listener");
            let before = wire.received().expect("counters");
            wire.send(&frames, Some(50_000)).expect("all sent");
            let received = wire.received().expect("counters") - before;
            assert_eq!(received, frames.len() as u64, "{kind:?}");
            listener.stop().expect("its end");
        }
    }
}
