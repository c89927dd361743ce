//! `cargo xtask bench flood`: a SYN flood through one interface, real connections through another, and what the log says
//! of these.
//!
//! The flood is made by an XDP program that gives each frame a random source and sends it on: live frames of
//! BPF_PROG_TEST_RUN, which nothing in userspace makes faster. The real connections have a link of their own, because
//! the flood fills the receiving queue of its link, and what is lost there no sensor has seen.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use sensor_tests::netns::Namespace;
use sensor_tests::raw::{ACK, CLIENT_V4, Ends, FIN, PacketSocket, SYN, Segment, c, s};
use sensor_tests::sensor::TempDir;
use sensor_tests::{Sensor, link};

use super::bpf::{self, EXIT, Instruction};
use crate::shell;

/// The sending ends of the flood's link and of the real connections'.
const FLOOD: &str = "v0";
const REAL: &str = "v2";
/// Frames that are sent with one system call.
const BATCH: u32 = 64_000;
/// The first port of the real connections.
const FIRST_PORT: u16 = 10_000;
/// Bytes that a client and a server send.
const BYTES: (usize, usize) = (100, 200);

/// What to send for how long.
#[derive(Args)]
pub struct Options {
    /// Entries of the flow table
    #[arg(long, default_value_t = 1 << 20)]
    flows: u32,
    /// How long the flood lasts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Real connections meanwhile
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    connections: u16,
    /// Their round trip time, ms
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1000))]
    rtt: u64,
    /// Further options of the sensor
    #[arg(long, value_name = "OPTIONS", default_value = "", allow_hyphen_values = true)]
    sensor_args: String,
}

/// Builds what is missing, and floods.
pub fn run(o: &Options) -> Result<()> {
    let binary = shell::sensor()?;
    if !sensor_tests::is_root() {
        return shell::again_as_root();
    }
    let (sender, listener) = (Namespace::new("sender")?, Namespace::new("listener")?);
    for ns in [&sender, &listener] {
        ns.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
    }
    for (at, to) in [(FLOOD, "v1"), (REAL, "v3")] {
        sender.ip(&format!(
            "link add {at} type veth peer name {to} netns {}
             link set {at} arp off up",
            listener.name()
        ))?;
        listener.ip(&format!("link set {to} arp off up"))?;
    }
    let dir = TempDir::new()?;
    let mut command = listener.command(binary.canonicalize()?);
    command
        .args(["run", "--iface", "v1", "--iface", "v3", "--rx-only", "--quiet"])
        .args(["--flows", &o.flows.to_string(), "--log-dir"])
        .arg(dir.path())
        .args(o.sensor_args.split_whitespace())
        .stdout(Stdio::null());
    let sensor = Sensor::spawn(command, dir.path(), false)?;
    let over = AtomicBool::new(false);
    let (flooded, took) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| sender.run(|| flood(&over))?);
        let sent = sender.run(|| real(o));
        over.store(true, Ordering::Release);
        let flooded = flood.join().map_err(|_| anyhow::anyhow!("the flood panicked"))?;
        sent??;
        flooded
    })?;
    let resident = resident(sensor.pid())?;
    let done = sensor.stop()?;
    let sums = done.check_sums()?;
    let (rows, fates) = read(&dir.path().join("conn.log"))?;
    let seen = sums
        .frames
        .saturating_sub(o.connections as u64 * handshake(0, 0)?.len() as u64);
    println!(
        "{flooded} SYNs sent, {:.0} a second; {seen} seen by the sensor, the rest lost in the receiving queue",
        flooded as f64 / took.as_secs_f64()
    );
    println!("{rows} rows of the flood; the sensor took {resident} MB");
    for line in done
        .stderr
        .lines()
        .filter(|l| l.starts_with("half-open") || l.starts_with("frames"))
    {
        println!("{line}");
    }
    println!("\nreal connections: {}; states, histories, bytes:", o.connections);
    for (fate, n) in &fates {
        println!("{n:>8}  {fate}");
    }
    Ok(())
}

/// Floods until it is over: frames sent, and how long it took.
fn flood(over: &AtomicBool) -> Result<(u64, Duration)> {
    let syn = Ends {
        v6: false,
        client_port: 4000,
        server_port: 80,
    }
    .frame(&c(SYN, 0, 0, 0))?;
    let ifindex = link::index(FLOOD)?;
    let program = bpf::load(&spoofing(syn.len())).context("cannot load the flooding program")?;
    let (mut sent, started) = (0, Instant::now());
    while !over.load(Ordering::Acquire) {
        bpf::live_frames(program.as_fd(), &syn, ifindex, BATCH).context("cannot send live frames")?;
        sent += u64::from(BATCH);
    }
    Ok((sent, started.elapsed()))
}

/// Writes a random number over the source address and sends the frame out of its interface. The checksum is wrong then, so
/// no stack answers.
fn spoofing(len: usize) -> Vec<Instruction> {
    const LOAD: u8 = 0x61;
    const SOURCE: i16 = 26;
    const TX: i32 = 3;
    let regs = |dst: u8, src: u8| src << 4 | dst;
    vec![
        (0xbf, regs(6, 1), 0, 0),
        // bpf_get_prandom_u32
        (0x85, 0, 0, 7),
        (LOAD, regs(2, 6), 0, 0),
        (LOAD, regs(3, 6), 4, 0),
        (0xbf, regs(4, 2), 0, 0),
        (0x07, 4, 0, len as i32),
        // if r4 <= r3 goto +2
        (0xbd, regs(4, 3), 2, 0),
        (0xb7, 0, 0, 0),
        EXIT,
        (0x63, regs(2, 0), SOURCE, 0),
        (0xb7, 0, 0, TX),
        EXIT,
    ]
}

/// When each segment of a real connection follows the one before, and the segment.
fn handshake(rtt: u64, n: u16) -> Result<Vec<(Duration, Vec<u8>)>> {
    let ends = Ends {
        v6: false,
        client_port: FIRST_PORT + n,
        server_port: 80,
    };
    let (o, r) = (BYTES.0 as u32 + 1, BYTES.1 as u32 + 1);
    let segments: [(u64, Segment); 8] = [
        (0, c(SYN, 0, 0, 0)),
        (rtt, s(SYN | ACK, 0, 1, 0)),
        (0, c(ACK, 1, 1, 0)),
        (0, c(ACK, 1, 1, BYTES.0)),
        (rtt, s(ACK, 1, o, BYTES.1)),
        (0, c(FIN | ACK, o, r, 0)),
        (rtt, s(FIN | ACK, r, o + 1, 0)),
        (0, c(ACK, o + 1, r + 1, 0)),
    ];
    segments
        .iter()
        .map(|(ms, segment)| Ok((Duration::from_millis(*ms), ends.frame(segment)?)))
        .collect()
}

/// Sends the real connections, evenly over the time of the flood.
fn real(o: &Options) -> Result<()> {
    let socket = PacketSocket::open(REAL)?;
    let lasts = Duration::from_millis(3 * o.rtt + 200);
    let time = Duration::from_secs(o.seconds).saturating_sub(lasts);
    let mut due = Vec::new();
    for n in 0..o.connections {
        let mut at = time.mul_f64(f64::from(n) / f64::from(o.connections));
        for (i, (after, frame)) in handshake(o.rtt, n)?.into_iter().enumerate() {
            at += after;
            due.push((at, n, i, frame));
        }
    }
    due.sort_unstable();
    let started = Instant::now();
    for (at, _, _, frame) in due {
        std::thread::sleep(at.saturating_sub(started.elapsed()));
        socket.send(&frame)?;
    }
    std::thread::sleep(Duration::from_secs(o.seconds).saturating_sub(started.elapsed()));
    Ok(())
}

/// Rows of the flood, and what became of how many real connections.
fn read(log: &Path) -> Result<(u64, BTreeMap<String, u64>)> {
    const SHOWN: [&str; 5] = ["conn_state", "history", "orig_bytes", "resp_bytes", "resp_pkts"];
    let file = std::fs::File::open(log).with_context(|| log.display().to_string())?;
    let mut columns = None;
    let (mut rows, mut fates) = (0, BTreeMap::new());
    let real = CLIENT_V4.to_string();
    for line in BufReader::new(file).lines() {
        let line = line?;
        if let Some(names) = line.strip_prefix("#fields\t") {
            let at = |name: &str| names.split('\t').position(|n| n == name);
            columns = at("id.orig_h").zip(SHOWN.iter().map(|n| at(n)).collect::<Option<Vec<_>>>());
        }
        if line.starts_with('#') {
            continue;
        }
        let Some((host, shown)) = &columns else {
            bail!("no names of columns in conn.log")
        };
        let fields: Vec<&str> = line.split('\t').collect();
        ensure!(
            fields.len() > shown.iter().copied().max().unwrap_or(0),
            "half a line in conn.log"
        );
        if fields[*host] != real {
            rows += 1;
            continue;
        }
        let fate: Vec<&str> = shown.iter().map(|i| fields[*i]).collect();
        *fates.entry(fate.join(" ")).or_insert(0) += 1;
    }
    Ok((rows, fates))
}

/// Megabytes of memory that a process has.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kb = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kb.context("no VmRSS")? / 1000)
}
