//! The numbers that the sensor serves: they are those of its own accounting, Prometheus' tools have nothing to say against
//! them, and whoever asks badly gets nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sensor_tests::netns::Namespace;
use sensor_tests::sensor::TempDir;
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, lab, lacks, one_at_a_time};

const WHERE: &str = "127.0.0.1:9477";
/// The sensor looks at its numbers once a second.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

fn connect(ns: &Namespace) -> Result<TcpStream> {
    let peer = ns.run(|| TcpStream::connect(WHERE))??;
    peer.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(peer)
}

/// What is answered to a request for this path: the status line's number, and the body.
fn ask(mut peer: impl Read + Write, path: &str) -> Result<(u16, String)> {
    write!(peer, "GET {path} HTTP/1.1\r\nHost: sensor\r\n\r\n")?;
    let mut text = String::new();
    peer.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

fn get(ns: &Namespace, path: &str) -> Result<(u16, String)> {
    ask(connect(ns)?, path)
}

/// The samples of a page, by their names with labels.
fn samples(page: &str) -> Result<BTreeMap<String, f64>> {
    let lines = page.lines().filter(|l| !l.starts_with('#'));
    let sample = |l: &str| {
        let (name, value) = l.rsplit_once(' ').context("no value")?;
        Ok((name.to_owned(), value.parse()?))
    };
    lines.map(sample).collect()
}

/// The sum of all samples of a family.
fn sum(all: &BTreeMap<String, f64>, family: &str) -> u64 {
    let of = |name: &str| name.split('{').next() == Some(family);
    let values = all.iter().filter(|(name, _)| of(name)).map(|(_, v)| v);
    values.sum::<f64>() as u64
}

/// The numbers when all that was sent has been looked at.
fn scrape(ns: &Namespace) -> Result<(String, BTreeMap<String, f64>)> {
    std::thread::sleep(2 * LOOKS_EVERY);
    let (status, page) = get(ns, "/metrics")?;
    ensure!(status == 200, "{status}: {page}");
    let all = samples(&page)?;
    Ok((page, all))
}

/// What `promtool check` says of a text on its standard input: nothing, if all is well.
fn promtool(page: &str) -> Result<()> {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    let mut child = promtool
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `promtool` (package prometheus)")?;
    child.stdin.take().context("a pipe")?.write_all(page.as_bytes())?;
    let out = child.wait_with_output()?;
    let said = [out.stdout, out.stderr].concat();
    if out.status.success() && said.is_empty() {
        return Ok(());
    }
    bail!("{}: {}", out.status, String::from_utf8_lossy(&said))
}

fn has_promtool() -> Result<()> {
    let version = Command::new("promtool").arg("--version").output()?;
    ensure!(version.status.success(), "{version:?}");
    Ok(())
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn numbers_are_those_of_the_accounting() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events.json");
    let events = events.to_str().expect("a name");
    let options = [
        "--rx-only",
        "--metrics",
        WHERE,
        "--events",
        events,
        "--workers",
        "2",
        "--tcp-close-delay",
        "0.1",
    ];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    let to = lab::server_ip(false);
    lab.client
        .run(|| -> Result<()> {
            for _ in 0..20 {
                traffic::http_get(to)?;
            }
            traffic::udp_exchange(to, 100)?;
            traffic::download(to, 3 << 20)?;
            traffic::ping(to, 56)
        })
        .unwrap()
        .expect("traffic");
    lab.settle().unwrap();
    let (page, all) = scrape(&lab.middle).expect("numbers");
    assert_eq!(get(&lab.middle, "/healthz").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(get(&lab.middle, "/readyz").unwrap(), (200, "ok\n".to_owned()));

    let of = |family: &str| sum(&all, family);
    assert!(of("sensor_frames_total") > 100);
    assert_eq!(
        of("sensor_frames_total"),
        of("sensor_frames_tracked_total") + of("sensor_frames_untracked_total")
    );
    assert_eq!(of("sensor_frames_total"), of("sensor_cpu_frames_total"));
    assert_eq!(of("sensor_frames_total"), of("sensor_interface_frames_total"));
    let payload = ["forwarded", "shed", "lost"].map(|p| of(&format!("sensor_payload_packets_{p}_total")));
    assert_eq!(of("sensor_payload_packets_total"), payload.iter().sum::<u64>());
    // Each worker's turns are counted, and so is how long records waited for them.
    assert!(of("sensor_worker_turns_total") > 0 && of("sensor_worker_turn_records_count") > 0);
    let waits = of("sensor_worker_wait_seconds_count");
    let long: f64 = (0..2)
        .map(|w| all[&format!("sensor_worker_wait_seconds_sum{{worker=\"{w}\"}}")])
        .sum();
    assert!(
        waits > 0 && long / (waits as f64) < 1.0,
        "{long} s in {waits} turns"
    );
    assert_eq!(all["sensor_interface_watched{interface=\"m0\"}"], 1.0);
    for lost in ["dropped", "missed", "receive_errors"] {
        assert_eq!(
            all[&format!("sensor_interface_{lost}_total{{interface=\"m0\"}}")],
            0.0
        );
    }
    // Walked over once a second: what the ping left is there.
    assert!(of("sensor_flow_table_entries") > 0);
    assert!(of("process_resident_memory_bytes") > 1 << 20);
    assert!(page.contains("sensor_build_info{version=\""), "{page}");
    if !lacks("promtool", has_promtool()) {
        promtool(&page).expect("a page without complaint");
    }

    let done = sensor.stop().unwrap();
    let sums = done.check_sums().unwrap();
    assert_eq!(of("sensor_frames_total"), sums.frames, "nothing came after");
    assert_eq!(of("sensor_payload_packets_total"), sums.payload);
    // The last rows of stats.log are of the end, at which rows of connections that were open came.
    let stats = done.log("stats.log").unwrap();
    let last = stats
        .iter()
        .rfind(|r| r["tracked"].is_u64())
        .expect("a row of sums");
    for (column, family) in [
        ("frames", "sensor_frames_total"),
        ("bytes", "sensor_frame_bytes_total"),
        ("tracked", "sensor_frames_tracked_total"),
        ("payload", "sensor_payload_packets_total"),
        ("forwarded", "sensor_payload_packets_forwarded_total"),
        ("shed", "sensor_payload_packets_shed_total"),
        ("lost", "sensor_payload_packets_lost_total"),
        ("records_lost", "sensor_records_lost_total"),
    ] {
        assert_eq!(last[column].as_u64(), Some(of(family)), "{column} in {last}");
    }
    let rows = done.conns().unwrap().len() as u64;
    let handed_over = all["sensor_log_rows_total{log=\"conn\"}"] as u64;
    assert!((20..=rows).contains(&handed_over), "{handed_over} of {rows}");
    let events = sensor_tests::sensor::read_log(&logs.path().join("events.json")).unwrap();
    let begun = events.iter().filter(|e| e["event"] == "new_connection").count();
    assert!(begun >= 20);
    assert_eq!(all["sensor_events_total{event=\"new_connection\"}"], begun as f64);
}

/// Resident memory of a process, bytes.
fn resident(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = text.split(' ').nth(1).context("no field")?.parse()?;
    Ok(pages * 4096)
}

/// Has a good client ask, and gives the time that it took.
fn asked_in(lab: &Lab) -> Duration {
    let began = Instant::now();
    let (status, page) = get(&lab.middle, "/metrics").expect("an answer");
    assert_eq!(status, 200, "{page}");
    began.elapsed()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn who_asks_badly_harms_nobody() {
    const PATIENCE: Duration = Duration::from_secs(2);
    const GROWTH: u64 = 16 << 20;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let options = ["--rx-only", "--metrics", WHERE];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    std::thread::sleep(2 * LOOKS_EVERY);
    asked_in(&lab);
    let before = resident(sensor.pid()).unwrap();

    // Clients that open a request and go on with it a byte at a time, more of them than may be connected.
    let mut slow: Vec<_> = (0..200)
        .map(|_| connect(&lab.middle).expect("a connection"))
        .collect();
    for _ in 0..10 {
        for peer in &mut slow {
            let _ = peer.write_all(b"G");
        }
        assert!(asked_in(&lab) < PATIENCE, "beside slow clients");
    }
    drop(slow);
    // Clients that connect and say nothing.
    let silent: Vec<_> = (0..200)
        .map(|_| connect(&lab.middle).expect("a connection"))
        .collect();
    assert!(asked_in(&lab) < PATIENCE, "beside silent clients");
    drop(silent);
    // A head without an end: refused, however much more of it there is.
    for _ in 0..20 {
        let mut peer = connect(&lab.middle).unwrap();
        let mut head = b"GET /metrics HTTP/1.1\r\n".to_vec();
        head.extend(b"x: y\r\n".repeat(200_000));
        let _ = peer.write_all(&head);
        let _ = peer.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    // What is no HTTP.
    for garbage in [
        &b"\x16\x03\x01\x00\xff"[..],
        b"\0\0\0\0",
        b"\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        &[0xff; 5000],
    ] {
        let mut peer = connect(&lab.middle).unwrap();
        let _ = peer.write_all(garbage);
        let _ = peer.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer);
        let said = String::from_utf8_lossy(&answer);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{said}");
    }
    // Clients that ask and do not read.
    let deaf: Vec<_> = (0..200)
        .map(|_| {
            let mut peer = connect(&lab.middle).expect("a connection");
            let _ = peer.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
            peer
        })
        .collect();
    assert!(asked_in(&lab) < PATIENCE, "beside clients that do not read");
    drop(deaf);
    assert_eq!(get(&lab.middle, "/healthz").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(get(&lab.middle, "/../etc/passwd").unwrap().0, 404);
    let after = resident(sensor.pid()).unwrap();
    assert!(after < before + GROWTH, "{before} to {after} bytes");
    sensor.stop().unwrap().check_sums().unwrap();
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn an_interface_that_is_gone_is_not_ready() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let options = ["--rx-only", "--metrics", WHERE];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    std::thread::sleep(LOOKS_EVERY);
    assert_eq!(get(&lab.middle, "/readyz").unwrap().0, 200);
    lab.middle.ip("link del m0").unwrap();
    std::thread::sleep(2 * LOOKS_EVERY);
    let gone = (503, "m0 is not watched: the interface is gone\n".to_owned());
    assert_eq!(get(&lab.middle, "/readyz").unwrap(), gone);
    assert_eq!(get(&lab.middle, "/healthz").unwrap().0, 200, "it waits for it");
    let (_, all) = scrape(&lab.middle).expect("numbers");
    assert_eq!(all["sensor_interface_watched{interface=\"m0\"}"], 0.0);
    assert_eq!(all["sensor_interface_gone_total{interface=\"m0\"}"], 1.0);
    assert_eq!(all["sensor_interface_watched{interface=\"m1\"}"], 1.0);
    sensor.stop().unwrap();
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_socket_in_the_file_system_is_removed_at_the_end() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let path = logs.path().join("metrics.sock");
    let place = format!("unix:{}", path.display());
    let options = ["--rx-only", "--metrics", &place];
    let start = || Sensor::start(&lab.middle, &["m0"], logs.path(), &options);
    let killed = start().expect("a sensor");
    killed.end_by(libc::SIGKILL).unwrap();
    assert!(path.exists(), "nobody was left to remove it");
    let sensor = start().expect("a sensor, over what a killed one left");
    std::thread::sleep(LOOKS_EVERY);
    let (status, page) = ask(UnixStream::connect(&path).unwrap(), "/metrics").unwrap();
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("sensor_frames_total "), "{page}");
    sensor.stop().unwrap();
    assert!(!path.exists());
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_place_that_is_taken_is_an_error_at_the_start() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _there = lab
        .middle
        .run(|| std::net::TcpListener::bind(WHERE))
        .unwrap()
        .unwrap();
    let logs = TempDir::new().unwrap();
    let mut c = lab.middle.command(sensor_tests::sensor::binary().unwrap());
    c.args(sensor_tests::sensor::run_args(&["m0"], logs.path()));
    let out = c.args(["--metrics", WHERE]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot listen at 127.0.0.1:9477"), "{said}");
    assert!(!logs.path().join("conn.log").exists(), "nothing was begun");
}

#[test]
fn alerts_are_rules() {
    if lacks("promtool", has_promtool()) {
        return;
    }
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/alerts.yml");
    let out = Command::new("promtool")
        .args(["check", "rules", rules])
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
}
