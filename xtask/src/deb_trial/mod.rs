//! The Debian package on a system of its own (`cargo xtask vm deb`): installed, configured, started, upgraded under load,
//! removed and purged, as an administrator would, with a look at what is there after each step.

mod network;
mod system;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sensor_tests::sensor::read_log;

use network::{IFACE, Load, Network};
use system::{fails, said, says, systemctl};

/// Only there may it be run: it installs and removes packages.
const GUEST: &str = "/run/guest/script";
const CONFIG: &str = "/etc/sensor/sensor.toml";
/// Where the service has its own BPF file system.
const BPF: &str = "/run/sensorbpf";
const LOGS: &str = "/var/log/sensor";
/// For systemd to do what it does behind a command's back, in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long connections come and go before the upgrade, and after it.
const AROUND: Duration = Duration::from_secs(3);

#[derive(Args)]
pub struct Options {
    first: PathBuf,
    /// The same with a higher version
    second: PathBuf,
}

/// Goes through all of it; the first thing that is not as it should be is the error.
pub fn run(o: &Options) -> Result<()> {
    ensure!(
        Path::new(GUEST).exists(),
        "this installs packages: it is for a guest of `cargo xtask vm deb`"
    );
    // The guest has its host's files. Where that came from an image for containers, packages may not touch services; and
    // man-db indexes every page of the machine after each step, which takes minutes where it is emulated.
    for switch in ["/usr/sbin/policy-rc.d", "/var/lib/man-db/auto-update"] {
        let _ = fs::remove_file(switch);
    }
    let network = Network::new()?;
    let begun = Instant::now();
    let step = |what: &str| println!("{:>4} s  {what}", begun.elapsed().as_secs());

    install(&o.first)?;
    step("installed: neither enabled nor started");
    start_without_settings()?;
    step("not started without an interface, and said so");
    configure(&[
        ("#names = []", format!("names = [\"{IFACE}\"]")),
        ("#format = \"tsv\"", "format = \"json\"".to_owned()),
    ])?;
    systemctl(&["enable", "--now", "sensor"])?;
    ensure!(state() == "active", "the service is {}", state());
    ensure!(network.is_watched()?, "nothing is attached to {IFACE}");
    systemctl(&["stop", "sensor"])?;
    ensure!(
        !network.is_watched()?,
        "something is attached to {IFACE} after a stop"
    );
    step("configured, started and stopped: nothing stays attached");

    configure(&[("#persist = \"off\"", "persist = \"keep\"".to_owned())])?;
    systemctl(&["start", "sensor"])?;
    ensure!(network.is_watched()?, "nothing is attached to {IFACE}");
    let before = network.counted()?;
    let load = network.load();
    std::thread::sleep(AROUND);
    let upgrading = Instant::now();
    upgrade(&o.second)?;
    step(&format!(
        "upgraded under load, in {} s",
        upgrading.elapsed().as_secs()
    ));
    std::thread::sleep(AROUND);
    systemctl(&["stop", "sensor"])?;
    ensure!(
        network.is_watched()?,
        "nothing is attached to {IFACE} after a stop, and it was to go on"
    );
    std::thread::sleep(AROUND);
    systemctl(&["start", "sensor"])?;
    let load = load.end()?;
    let passed = network.settled()? - before;
    step("stopped and started under load");

    let files = package_files()?;
    says("dpkg", &["-r", "sensor"])?;
    removed(&files, &network)?;
    logs_show(&load, passed)?;
    step("removed: settings and logs are still there, and all that passed is in these");
    says("dpkg", &["-P", "sensor"])?;
    purged()?;
    step("purged: logs are still there");
    Ok(())
}

fn state() -> String {
    said("systemctl", &["is-active", "sensor"])
}

fn install(deb: &Path) -> Result<()> {
    let text = says("dpkg", &["-i", &deb.display().to_string()])?;
    ensure!(
        text.contains(CONFIG),
        "what is to be done next is not said:\n{text}"
    );
    let enabled = said("systemctl", &["is-enabled", "sensor"]);
    ensure!(enabled == "disabled", "the service is {enabled}");
    ensure!(state() == "inactive", "the service is {}", state());
    says("getent", &["passwd", "sensor"])?;
    for file in package_files()? {
        ensure!(file.exists(), "{} was not installed", file.display());
    }
    let verified = says("systemd-analyze", &["verify", "--man=no", "sensor.service"])?;
    ensure!(verified.is_empty(), "systemd says of the unit:\n{verified}");
    says("/usr/bin/sensor", &["config", "check", CONFIG]).map(drop)
}

/// Every file of the package; folders are other packages' as well.
fn package_files() -> Result<Vec<PathBuf>> {
    let listed = says("dpkg", &["-L", "sensor"])?;
    let files: Vec<_> = listed
        .lines()
        .map(PathBuf::from)
        .filter(|p| !p.is_dir())
        .collect();
    ensure!(
        files.iter().any(|f| f == Path::new("/usr/bin/sensor")),
        "no program in the package:\n{listed}"
    );
    Ok(files)
}

/// A start at which nothing can be watched is refused with a reason, and not tried for ever.
fn start_without_settings() -> Result<()> {
    fails("systemctl", &["start", "sensor"])?;
    let journal = says("journalctl", &["-u", "sensor", "-o", "cat", "--no-pager"])?;
    ensure!(
        journal.contains("--iface"),
        "the journal does not say what is missing:\n{journal}"
    );
    let property = |name: &str| {
        let value = said("systemctl", &["show", "--value", "-p", name, "sensor"]);
        // Times are written as `5s` or `2min`.
        let seconds = match value.strip_suffix("min") {
            Some(minutes) => minutes.parse::<u64>().map(|m| m * 60),
            None => value.trim_end_matches('s').parse(),
        };
        seconds.with_context(|| format!("{name} is {value}"))
    };
    let tries = property("StartLimitBurst")?;
    // A second for the try itself.
    let takes = tries * (property("RestartUSec")? + 1);
    let within = property("StartLimitIntervalUSec")?;
    ensure!(
        takes < within,
        "{tries} tries take {takes} s, so they never end: their limit is within {within} s"
    );
    systemctl(&["stop", "sensor"])
}

/// Has other lines in the file of settings.
fn configure(lines: &[(&str, String)]) -> Result<()> {
    let mut text = fs::read_to_string(CONFIG)?;
    for (from, to) in lines {
        ensure!(text.contains(from), "{CONFIG} has no line {from}");
        text = text.replacen(from, to, 1);
    }
    fs::write(CONFIG, text)?;
    says("/usr/bin/sensor", &["config", "check", CONFIG]).map(drop)
}

/// The service is another process afterwards, and what the administrator has set stays.
fn upgrade(deb: &Path) -> Result<()> {
    let process = || said("systemctl", &["show", "--value", "-p", "MainPID", "sensor"]);
    let version = || said("dpkg-query", &["-W", "-f", "${Version}", "sensor"]);
    let (old_process, old_version, old_config) = (process(), version(), fs::read(CONFIG)?);
    says("dpkg", &["-i", &deb.display().to_string()])?;
    ensure!(version() != old_version, "the version is still {old_version}");
    ensure!(
        state() == "active",
        "the service is {} after the upgrade",
        state()
    );
    ensure!(process() != old_process, "the process is still {old_process}");
    ensure!(
        fs::read(CONFIG)? == old_config,
        "the upgrade has changed {CONFIG}"
    );
    let enabled = said("systemctl", &["is-enabled", "sensor"]);
    ensure!(enabled == "enabled", "the service is {enabled} after the upgrade");
    Ok(())
}

/// What there was with one port of the client's.
#[derive(Default)]
struct Ends {
    made: usize,
    rows: usize,
}

/// The first connection and the last have rows, and the rows have each of the `passed` packets that went over the interface, once,
/// whoever watched then. How many connections share a row or have two is said.
fn logs_show(load: &Load, passed: u64) -> Result<()> {
    let mut rows = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(LOGS)?.flatten() {
        let (name, owner) = (entry.file_name(), entry.metadata()?.uid());
        ensure!(
            owner != 0,
            "{} is root's, so no other run of the service can write it",
            entry.path().display()
        );
        files += 1;
        if name.to_string_lossy().starts_with("conn.") {
            rows.extend(read_log(&entry.path())?);
        }
    }
    // A port may have been used twice.
    let mut of_port: HashMap<u16, Ends> = HashMap::new();
    for port in &load.ports {
        of_port.entry(*port).or_default().made += 1;
    }
    for row in &rows {
        let port = row["id.orig_p"].as_u64().and_then(|p| u16::try_from(p).ok());
        let ends = port.and_then(|p| of_port.get_mut(&p));
        ends.with_context(|| format!("a row of no connection that was made: {row:#}"))?
            .rows += 1;
    }
    let sum = |column: &str| rows.iter().filter_map(|r| r[column].as_u64()).sum::<u64>();
    let counted = sum("orig_pkts") + sum("resp_pkts");
    let sums = |by: fn(&Ends) -> usize| of_port.values().map(by).sum::<usize>();
    let lacking = sums(|e| e.made.saturating_sub(e.rows));
    let excess = sums(|e| e.rows.saturating_sub(e.made));
    println!(
        "        {} connections, {lacking} of them without a row, {excess} rows too many; {} rows in {files} files\n        \
         {passed} packets, {counted} of them in the rows",
        load.ports.len(),
        rows.len(),
    );
    for port in load.ports.first().into_iter().chain(load.ports.last()) {
        ensure!(
            of_port.get(port).is_some_and(|e| e.rows > 0),
            "no row of the connection from port {port}"
        );
    }
    ensure!(
        counted == passed,
        "conn.log has {counted} packets, of {passed} that there were"
    );
    Ok(())
}

/// Nothing of it is left but settings and logs; also what would go on without a service has ended.
fn removed(files: &[PathBuf], network: &Network) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while network.is_watched()? {
        ensure!(
            Instant::now() < deadline,
            "something is attached to {IFACE} after the removal"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure!(!Path::new(BPF).exists(), "{BPF} is still there");
    ensure!(state() != "active", "the service runs after the removal");
    ensure!(
        !said("pidof", &["sensor"]).contains(|c: char| c.is_ascii_digit()),
        "a sensor runs after the removal"
    );
    for file in files {
        match file == Path::new(CONFIG) {
            true => ensure!(file.exists(), "the removal took {CONFIG}"),
            false => ensure!(!file.exists(), "{} is still there", file.display()),
        }
    }
    logs_stay()
}

fn purged() -> Result<()> {
    for gone in [
        "/etc/sensor",
        "/var/lib/sensor",
        "/etc/systemd/system/multi-user.target.wants/sensor.service",
        "/etc/systemd/system/sensor.service",
    ] {
        // Also a link to what is gone.
        ensure!(fs::symlink_metadata(gone).is_err(), "{gone} is still there");
    }
    let status = said("dpkg-query", &["-W", "-f", "${Status}", "sensor"]);
    if !status.is_empty() {
        bail!("dpkg still knows it: {status}");
    }
    logs_stay()
}

fn logs_stay() -> Result<()> {
    let logs = fs::read_dir(LOGS).with_context(|| format!("no {LOGS}"))?.count();
    ensure!(logs > 0, "no logs are left in {LOGS}");
    Ok(())
}
