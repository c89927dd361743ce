//! Logs that are rotated, packed, kept and handed on while rows come.
#![allow(unsafe_code, reason = "signals are system calls")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time};

/// For what is only slow because the machine is.
const LONG: Duration = Duration::from_secs(60);

/// `sensor run` with Zeek's format.
fn run(lab: &Lab, logs: &Path, extra: &[&str]) -> Command {
    let mut c = lab.middle.command(binary().unwrap());
    c.args(args(logs, extra));
    c
}

fn args(logs: &Path, extra: &[&str]) -> Vec<std::ffi::OsString> {
    let mut args = run_args(&["m0"], logs);
    args.truncate(args.len() - 2);
    let more = ["--udp-inactivity-timeout", "0.2", "--quiet"].iter().chain(extra);
    args.extend(more.map(Into::into));
    args
}

fn tell(sensor: &Sensor, signal: i32) {
    // SAFETY: no memory is touched; the child has not been waited for.
    assert_eq!(unsafe { libc::kill(sensor.pid() as i32, signal) }, 0);
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Exchanges of one packet each way; the client's ports.
fn exchange(lab: &Lab, ports: &mut Vec<u16>, n: usize) {
    for _ in 0..n {
        let port = 30_000 + ports.len() as u16;
        let done = lab
            .client
            .run(|| traffic::udp_exchange_from(lab::server_ip(false), 300, port));
        ports.push(done.unwrap().unwrap());
    }
}

/// The files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(files(&entry.path())),
            false => all.push(entry.path()),
        }
    }
    all.sort();
    all
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

/// The text of a log, packed or not.
fn text(log: &Path) -> String {
    if log.extension().is_some_and(|e| e == "gz") {
        let out = Command::new("gzip").arg("-dc").arg(log).output().unwrap();
        assert!(out.status.success(), "{}", log.display());
        return String::from_utf8(out.stdout).unwrap();
    }
    fs::read_to_string(log).unwrap_or_else(|e| {
        // It may have been packed since it was listed.
        let packed = log.with_added_extension("gz");
        assert!(packed.exists(), "{}: {e}", log.display());
        text(&packed)
    })
}

/// The client's ports of the exchanges that conn.log's rows tell of, current and old ones, in order. Each has its header, and
/// only whole lines.
fn told(logs: &[PathBuf], is_closed: bool) -> Vec<u16> {
    let mut seen = Vec::new();
    for log in logs.iter().filter(|l| name(l).starts_with("conn.")) {
        let text = text(log);
        assert!(
            text.starts_with("#separator \\x09\n") && text.ends_with('\n'),
            "{text}"
        );
        for line in ["#open\t", "#close\t", "#fields\t"] {
            let n = text.lines().filter(|l| l.starts_with(line)).count();
            assert!(
                n == 1 || line == "#close\t" && n == 0 && !is_closed,
                "{}: {text}",
                log.display()
            );
        }
        let columns = text.lines().find_map(|l| l.strip_prefix("#fields\t")).unwrap();
        let columns = columns.split('\t').count();
        for row in text.lines().filter(|l| !l.starts_with('#')) {
            let f: Vec<_> = row.split('\t').collect();
            assert_eq!(f.len(), columns, "{row}");
            if f[6] == "udp" && f[4] == lab::server_ip(false).to_string() {
                seen.push(f[3].parse().unwrap());
            }
        }
    }
    seen.sort_unstable();
    seen
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn logs_that_are_rotated_each_second_have_each_row_once() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    for packed in ["gzip", "none"] {
        let dir = TempDir::new().unwrap();
        let (logs, archive, said) = (
            dir.path().join("logs"),
            dir.path().join("archive"),
            dir.path().join("said"),
        );
        let hook = format!(
            "told() {{ test -s \"$1\" && echo \"$@\" >> {}; }}; told",
            said.display()
        );
        let extra = [
            "--log-rotate",
            "1s",
            "--log-sync",
            "rotate",
            "--log-archive",
            archive.to_str().unwrap(),
            "--log-archive-days",
            "--log-compress",
            packed,
            "--log-hook",
            &hook,
        ];
        let sensor = Sensor::spawn(run(&lab, &logs, &extra), &logs, false).expect("a sensor");
        let mut ports = Vec::new();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            exchange(&lab, &mut ports, 20);
            tell(&sensor, libc::SIGUSR2);
            // There are only so many ports.
            std::thread::sleep(Duration::from_millis(20));
        }
        let done = sensor.stop().unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
        let (now, old) = (files(&logs), files(&archive));
        assert!(now.iter().all(|l| name(l).matches('.').count() == 1), "{now:?}");
        let ending = if packed == "gzip" { ".log.gz" } else { ".log" };
        for log in &old {
            let day = name(log.parent().unwrap());
            assert!(
                name(log).ends_with(ending) && name(log).contains(&format!(".{day}-")),
                "{old:?}"
            );
        }
        let conn = old.iter().filter(|l| name(l).starts_with("conn."));
        let conn = conn.count();
        assert!(conn >= 4, "{old:?}");
        assert_eq!(
            told(&[&now[..], &old[..]].concat(), true),
            ports,
            "each exchange has one row"
        );
        let said = fs::read_to_string(said).unwrap();
        assert_eq!(said.lines().count(), old.len(), "{said}");
        for line in said.lines() {
            let said: Vec<_> = line.split(' ').collect();
            assert!(old.iter().any(|l| l.to_str() == Some(said[0])), "{line}");
            assert!(
                said[0].contains(&format!("/{}.{}", said[1], said[2])) && said[2] <= said[3],
                "{line}"
            );
        }
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn logs_of_a_killed_sensor_go_to_the_archive_at_the_next_start() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let extra = ["--log-rotate", "1s", "--log-compress", "gzip", "--log-sync", "1"];
    let mut ports = Vec::new();
    for _ in 0..4 {
        let sensor = Sensor::spawn(run(&lab, logs.path(), &extra), logs.path(), false).expect("a sensor");
        exchange(&lab, &mut ports, 60);
        // A file may go while it is looked for.
        let seen = || std::panic::catch_unwind(|| told(&files(logs.path()), false)).unwrap_or_default();
        wait_for("all rows", || seen().len() >= ports.len());
        // Perhaps while it rotates.
        sensor.end_by(libc::SIGKILL).unwrap();
    }
    let half = logs.path().join("conn.2026-01-02-03-04-05.log.gz.partial");
    fs::write(&half, "half").unwrap();
    let sensor = Sensor::spawn(run(&lab, logs.path(), &extra), logs.path(), false).expect("a sensor");
    wait_for("packed logs", || {
        let old: Vec<_> = files(logs.path()).iter().map(|l| name(l)).collect();
        old.iter()
            .all(|n| n.ends_with(".gz") || n.matches('.').count() == 1)
    });
    assert!(!half.exists());
    sensor.stop().unwrap();
    assert_eq!(told(&files(logs.path()), false), ports);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_small_disk_is_kept_free_for_rows() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let at = logs.path().to_str().unwrap();
    let fill = format!(
        "mount -t tmpfs -o size=4m tmpfs {at} && cd {at} && mkdir 2020-01-02 && \
         for n in 1 2 3 4 5 6 7; do head -c 500000 /dev/zero > 2020-01-02/dns.2020-01-02-00-00-0$n.log; done && \
         head -c 300000 /dev/zero > mine && cd / && exec \"$@\""
    );
    let mut c = lab.middle.command("unshare");
    c.args(["-m", "sh", "-c", &fill, "sh"]).arg(binary().unwrap());
    c.args(args(
        logs.path(),
        &["--log-rotate", "1s", "--log-min-free-mib", "1", "-v"],
    ));
    let sensor = Sensor::spawn(c, logs.path(), false).expect("a sensor");
    // In the sensor's own view.
    let seen = PathBuf::from(format!("/proc/{}/root{at}", sensor.pid()));
    let old = || {
        files(&seen.join("2020-01-02"))
            .iter()
            .map(|l| name(l))
            .collect::<Vec<_>>()
    };
    wait_for("room", || old().len() < 7);
    let mut ports = Vec::new();
    exchange(&lab, &mut ports, 60);
    wait_for("all rows", || {
        std::panic::catch_unwind(|| told(&files(&seen), false)).unwrap_or_default() == ports
    });
    // No more than had to: the oldest.
    let old = old();
    assert!(
        old.len() >= 4 && old[old.len() - 1] == "dns.2020-01-02-00-00-07.log",
        "{old:?}"
    );
    assert!(seen.join("mine").exists());
    let done = sensor.stop().unwrap();
    assert!(done.stderr.contains(" old logs deleted, "), "{}", done.stderr);
}

/// The client's ports of the exchanges that JSON lines of all logs tell of, in order. Each has the names of its log and of the
/// sensor first.
fn told_in_json(text: &str) -> Vec<u16> {
    let mut seen = Vec::new();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect(line);
        let path = row["_path"].as_str().expect(line);
        let first = format!("{{\"_path\":\"{path}\",\"_system_name\":\"tap\",");
        assert!(line.starts_with(&first), "{line}");
        if path == "conn" && row["proto"] == "udp" && row["id.resp_h"] == lab::server_ip(false).to_string() {
            seen.push(row["id.orig_p"].as_u64().unwrap() as u16);
        }
    }
    seen.sort_unstable();
    seen
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn rows_go_to_files_of_two_formats_and_to_streams() {
    use std::io::Read as _;
    use std::os::unix::net::UnixListener;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let dir = TempDir::new().unwrap();
    let (logs, socket, stdout) = (
        dir.path().join("logs"),
        dir.path().join("socket"),
        dir.path().join("stdout"),
    );
    let unix = format!("unix:{}", socket.display());
    let extra = [
        "--log-format",
        "tsv,json",
        "--json-path",
        "--sensor-name",
        "tap",
        "--log-to",
        "stdout",
        "--log-to",
        &unix,
        "--log-rotate",
        "1s",
    ];
    let mut c = run(&lab, &logs, &extra);
    c.stdout(fs::File::create(&stdout).unwrap());
    let sensor = Sensor::spawn(c, &logs, false).expect("a sensor");
    let mut ports = Vec::new();
    exchange(&lab, &mut ports, 50);
    // Nobody reads yet, and then somebody does.
    assert!(sensor.says("rows wait"), "{}", sensor.stderr());
    let listener = UnixListener::bind(&socket).unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    exchange(&lab, &mut ports, 50);
    let done = sensor.stop().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
    assert_eq!(told_in_json(&reader.join().unwrap()), ports);
    assert_eq!(told_in_json(&fs::read_to_string(&stdout).unwrap()), ports);
    let (json, tsv): (Vec<_>, Vec<_>) = files(&logs)
        .into_iter()
        .partition(|f| f.extension().is_some_and(|e| e == "json"));
    assert_eq!(told(&tsv, true), ports);
    let json = json.iter().map(|f| text(f)).collect::<String>();
    assert_eq!(told_in_json(&json), ports);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn the_file_of_events_is_rotated_with_the_logs() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let dir = TempDir::new().unwrap();
    let (logs, events) = (dir.path().join("logs"), dir.path().join("events.json"));
    let extra = ["--events", events.to_str().unwrap(), "--event", "new_connection"];
    let sensor = Sensor::spawn(run(&lab, &logs, &extra), &logs, false).expect("a sensor");
    let mut ports = Vec::new();
    let streams = || {
        files(dir.path())
            .into_iter()
            .filter(|f| name(f).starts_with("events."))
    };
    for n in 1..3 {
        exchange(&lab, &mut ports, 5);
        wait_for("events", || fs::metadata(&events).is_ok_and(|m| m.len() > 0));
        tell(&sensor, libc::SIGUSR2);
        wait_for("another file", || streams().count() > n);
    }
    exchange(&lab, &mut ports, 5);
    let done = sensor.stop().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
    let texts: Vec<String> = streams().map(|f| text(&f)).collect();
    assert!(texts.iter().all(|t| t.ends_with('\n')), "whole lines");
    for port in ports {
        let line = format!("\"orig_p\":{port},");
        let n: usize = texts.iter().map(|t| t.matches(&line).count()).sum();
        assert_eq!(n, 1, "port {port}");
    }
}
