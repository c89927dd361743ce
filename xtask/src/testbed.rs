//! The testbed behind `cargo xtask run`: real traffic through real namespaces under the sensor.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sensor_tests::sensor::{self, Finished};
use sensor_tests::traffic::{self, Server, TlsClient, TlsVersion};
use sensor_tests::{Lab, LabOptions, Sensor, Vlan, lab};

use crate::shell;

/// How long the traffic flows. An unanswered SYN is given up after 5 s and its row is to be seen.
const DURATION: Duration = Duration::from_secs(11);
/// What `cargo xtask run` promises.
const MIN_ROWS: usize = 10;
const MIN_STATES: usize = 6;

/// Runs it; `args` are what stood after `run`. With `--iface` they go to the sensor as they are.
pub fn run(args: Vec<String>) -> Result<()> {
    let binary = shell::sensor()?;
    if args.iter().any(|a| a == "--iface" || a.starts_with("--iface=")) {
        return on_interface(&binary, args);
    }
    if !sensor_tests::is_root() {
        return shell::again_as_root();
    }
    demonstrate(&binary, &args)
}

/// Becomes the sensor.
fn on_interface(binary: &Path, args: Vec<String>) -> Result<()> {
    let mut c = if sensor_tests::is_root() {
        Command::new(binary)
    } else {
        let mut c = Command::new("sudo");
        c.arg(binary);
        c
    };
    Err(c.arg("run").args(args).exec()).with_context(|| format!("cannot run {}", binary.display()))
}

fn demonstrate(binary: &Path, args: &[String]) -> Result<()> {
    let log_dir = log_dir()?;
    println!("testbed: client, middle and server namespaces; the sensor on the middle's two interfaces");
    let lab = Lab::new(LabOptions::default())?;
    let _vlan = Vlan::new(&lab)?;
    let server = Server::start(&lab.server)?;

    let mut command = lab.middle.command(binary);
    command
        .args(sensor::run_args(&["m0", "m1"], &log_dir))
        // Both directions arrive as received packets; what the middle passes on is the same again.
        .arg("--rx-only")
        .args(args)
        .stdout(Stdio::inherit());
    let started = Instant::now();
    let sensor = Sensor::spawn(command, &log_dir, true)?;
    let open = lab.client.run(|| traffic_of_all_kinds(&server))??;
    if let Some(rest) = DURATION.checked_sub(started.elapsed()) {
        std::thread::sleep(rest);
    }
    let done = sensor.stop()?;
    drop(open);
    report(&done)
}

/// One of each, over IPv4 and IPv6; what is returned stays open until the end.
fn traffic_of_all_kinds(server: &Server) -> Result<Vec<std::net::TcpStream>> {
    let tls12 = TlsClient::new(&server.certificate, TlsVersion::V12)?;
    let tls13 = TlsClient::new(&server.certificate, TlsVersion::V13)?;
    let mut open = Vec::new();
    for v6 in [false, true] {
        let ip: IpAddr = lab::server_ip(v6);
        // First, so that the sensor has given it up before the end.
        traffic::unanswered_syn(lab::dark_ip(v6), 9999, Duration::from_millis(300))?;
        tls12.exchange(ip)?;
        tls13.exchange(ip)?;
        traffic::http_get(ip)?;
        traffic::http_get(lab::vlan_server_ip(v6))?;
        traffic::udp_exchange(ip, 300)?;
        traffic::ping(ip, 56)?;
        traffic::refused(ip)?;
        traffic::reset_by_client(ip)?;
        traffic::reset_by_server(ip)?;
        traffic::half_close(ip)?;
        traffic::download(ip, 20_000_000)?;
        open.push(traffic::opened_then_closed(ip, false)?);
        open.push(traffic::opened_then_closed(ip, true)?);
        open.push(traffic::server_closes_first(ip)?);
    }
    Ok(open)
}

/// Names another directory for the logs.
pub const LOGS_ENV: &str = "SENSOR_TESTBED_LOGS";

/// Where the logs go: a directory of the testbed's own, emptied, as rows of an earlier run would be
/// counted.
fn log_dir() -> Result<PathBuf> {
    let dir = match std::env::var_os(LOGS_ENV) {
        Some(dir) => dir.into(),
        None => std::env::current_dir()?.join("logs").join("testbed"),
    };
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("cannot empty {}", dir.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// Checks what was promised and says where it is. The sensor itself printed the two sums.
fn report(done: &Finished) -> Result<()> {
    let sums = done.check_sums()?;
    let rows = done.conns()?;
    let states: BTreeSet<&str> = rows.iter().filter_map(|r| r["conn_state"].as_str()).collect();
    println!("logs: {}", done.log_dir.display());
    println!(
        "conn.log: {} rows, conn_state {}",
        rows.len(),
        states.iter().copied().collect::<Vec<_>>().join(" ")
    );
    println!(
        "the sums agree: {} frames, {} packets with payload",
        sums.frames, sums.payload
    );
    ensure!(
        rows.len() >= MIN_ROWS && states.len() >= MIN_STATES,
        "conn.log should have at least {MIN_ROWS} rows and {MIN_STATES} different states"
    );
    Ok(())
}
