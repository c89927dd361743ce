//! A restart loses nothing: with `--persist` the kernel goes on counting while there is no sensor.

mod soak;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sensor_tests::lab::{CLIENT_V4, SERVER_V4};
use sensor_tests::sensor::{Finished, TempDir, binary, read_log, run_args};
use sensor_tests::{Lab, LabOptions, Sensor, link, one_at_a_time};
use serde_json::Value;

const PORT: u16 = 7777;

/// A BPF file system of the test's own.
struct BpfFs(TempDir);

impl BpfFs {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let done = Command::new("mount")
            .args(["-t", "bpf", "bpf"])
            .arg(dir.path())
            .status();
        assert!(done.expect("mount").success(), "no BPF file system");
        BpfFs(dir)
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("sensor")
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// A lab with a server that gives back what it gets.
struct World {
    lab: Lab,
    bpf: BpfFs,
    logs: TempDir,
}

impl World {
    fn new() -> Self {
        let lab = Lab::new(LabOptions::default()).expect("a lab");
        let listener = lab
            .server
            .run(|| TcpListener::bind((SERVER_V4, PORT)))
            .unwrap()
            .unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || echo(stream));
            }
        });
        let datagrams = lab
            .server
            .run(|| UdpSocket::bind((SERVER_V4, PORT)))
            .unwrap()
            .unwrap();
        std::thread::spawn(move || {
            let mut buf = [0; 2000];
            while let Ok((n, from)) = datagrams.recv_from(&mut buf) {
                let _ = datagrams.send_to(&buf[..n], from);
            }
        });
        World {
            lab,
            bpf: BpfFs::new(),
            logs: TempDir::new().unwrap(),
        }
    }

    fn args(&self) -> Vec<String> {
        vec![
            "--persist".into(),
            "--persist-dir".into(),
            self.bpf.dir().display().to_string(),
            "--workers".into(),
            "2".into(),
            "--tcp-close-delay".into(),
            "1".into(),
        ]
    }

    fn sensor(&self) -> Sensor {
        let args = self.args();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Sensor::start(&self.lab.middle, &["m0"], self.logs.path(), &args).expect("a sensor")
    }

    /// `sensor detach`: what it says.
    fn detach(&self) -> Finished {
        let mut c = self.lab.middle.command(binary().unwrap());
        c.arg("detach").arg("--persist-dir").arg(self.bpf.dir());
        c.args(["--quiet", "--log-format", "json", "--log-dir"])
            .arg(self.logs.path());
        let out = c.output().expect("a process");
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{stderr}");
        Finished {
            status: out.status,
            stderr,
            log_dir: self.logs.path().to_owned(),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = self
            .lab
            .client
            .run(|| TcpStream::connect((SERVER_V4, PORT)))
            .unwrap()
            .unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    fn datagrams(&self) -> UdpSocket {
        let socket = self
            .lab
            .client
            .run(|| UdpSocket::bind((CLIENT_V4, 0)))
            .unwrap()
            .unwrap();
        socket.connect((SERVER_V4, PORT)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    /// All rows of conn.log, of all runs.
    fn rows(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.logs.path()).unwrap() {
            let path = entry.unwrap().path();
            if is_conn_log(&path) {
                all.extend(read_log(&path).unwrap());
            }
        }
        all
    }
}

fn is_conn_log(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|n| n.to_string_lossy().starts_with("conn."))
}

fn echo(mut stream: TcpStream) {
    let mut buf = [0; 4096];
    while let Ok(n) = stream.read(&mut buf)
        && n > 0
    {
        let _ = stream.write_all(&buf[..n]);
    }
}

fn talk(stream: &mut TcpStream) {
    for _ in 0..5 {
        stream.write_all(b"\x01something").unwrap();
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).unwrap();
    }
}

fn ask(socket: &UdpSocket) {
    socket.send(b"\x01something").unwrap();
    socket.recv(&mut [0; 100]).unwrap();
}

fn number(row: &Value, column: &str) -> u64 {
    row[column].as_u64().unwrap_or(0)
}

/// The rows have every packet that was tracked, once.
fn check_rows(rows: &[Value], last: &Finished) {
    let uids: HashSet<_> = rows.iter().map(|r| r["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), rows.len(), "no uid twice: {rows:#?}");
    last.check_sums().unwrap();
    let line = last.stderr.lines().find(|l| l.starts_with("frames ")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let at = words.iter().position(|w| w.starts_with("tracked")).unwrap();
    let tracked: u64 = words[at - 1].parse().unwrap();
    let total = |columns: [&str; 2]| -> u64 {
        let of = |r| columns.iter().map(move |c| number(r, c)).sum::<u64>();
        rows.iter().map(of).sum()
    };
    assert_eq!(total(["orig_pkts", "resp_pkts"]), tracked, "{line}\n{rows:#?}");
    if words[1] == words[at - 1] {
        // Each frame has an Ethernet header.
        let bytes = last.frame_bytes().unwrap() - 14 * tracked;
        assert_eq!(total(["orig_ip_bytes", "resp_ip_bytes"]), bytes, "{rows:#?}");
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn nothing_is_lost_when_it_is_killed_and_started_again() {
    let _turn = one_at_a_time();
    let world = World::new();
    let mut streams: Vec<_> = (0..8)
        .map(|_| {
            // Some begin before there is a sensor.
            world.connect()
        })
        .collect();
    world.lab.settle().unwrap();
    let there = world.lab.middle.run(|| link::stats("m0")).unwrap().unwrap();
    let before = there.rx_packets + there.tx_packets;
    let first = world.sensor();
    streams.extend((0..8).map(|_| world.connect()));
    let socket = world.datagrams();
    streams.iter_mut().for_each(talk);
    ask(&socket);
    // Some have their rows before, some on their way.
    drop(streams.pop());
    std::thread::sleep(Duration::from_millis(1500));
    drop(streams.pop());
    std::thread::sleep(Duration::from_millis(1100));
    first.end_by(libc::SIGKILL).unwrap();
    streams.iter_mut().for_each(talk);
    ask(&socket);
    streams.truncate(12);
    let mut late = world.connect();
    talk(&mut late);
    let second = world.sensor();
    assert!(second.says("took over"), "{}", second.stderr());
    streams.iter_mut().for_each(talk);
    talk(&mut late);
    ask(&socket);
    streams.truncate(10);
    std::thread::sleep(Duration::from_millis(300));
    // In order; all stays.
    let done = second.stop().unwrap();
    assert!(done.stderr.contains("goes on counting"), "{}", done.stderr);
    streams.iter_mut().for_each(talk);
    ask(&socket);
    streams.truncate(8);
    let third = world.sensor();
    streams.iter_mut().for_each(talk);
    third.stop().unwrap();
    world.lab.settle().unwrap();
    let last = world.detach();
    let rows = world.rows();
    assert_eq!(rows.len(), 16 + 1 + 1, "{rows:#?}");
    check_rows(&rows, &last);
    let there = world.lab.middle.run(|| link::stats("m0")).unwrap().unwrap();
    let passed = there.rx_packets + there.tx_packets - before;
    let counted = rows
        .iter()
        .map(|r| number(r, "orig_pkts") + number(r, "resp_pkts"))
        .sum::<u64>();
    assert_eq!(
        counted, passed,
        "each packet that passed while there was no sensor, too"
    );
    let datagrams = rows.iter().find(|r| r["proto"] == "udp").unwrap();
    assert_eq!(
        (number(datagrams, "orig_pkts"), number(datagrams, "resp_pkts")),
        (4, 4),
        "one before it was killed, one after that, one with the second, one after its end: {datagrams}"
    );
    let whole = |r: &&Value| r["conn_state"] == "S1" || r["conn_state"] == "SF";
    assert_eq!(
        rows.iter().filter(whole).count(),
        10,
        "those that began with a sensor, and UDP: {rows:#?}"
    );
    assert!(!world.bpf.dir().exists(), "nothing is left");
    let again = world.detach();
    assert!(again.stderr.contains("nothing is left"), "{}", again.stderr);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_does_not_fit_is_refused_or_ended_in_order() {
    let _turn = one_at_a_time();
    let world = World::new();
    let first = world.sensor();
    let mut stream = world.connect();
    talk(&mut stream);
    // While it runs nobody else may.
    let other = TempDir::new().unwrap();
    let dir = world.bpf.dir();
    let run = |logs: &Path, how: &str, flows: &str| {
        let mut c = world.lab.middle.command(binary().unwrap());
        c.args(run_args(&["m0"], logs))
            .arg(how)
            .arg("--persist-dir")
            .arg(&dir);
        c.args(["--workers", "2", "--flows", flows, "--quiet"]);
        c
    };
    let out = run(other.path(), "--persist", "262144").output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.code() == Some(2) && said.contains("another sensor has"),
        "{said}"
    );
    first.end_by(libc::SIGKILL).unwrap();
    talk(&mut stream);
    let out = run(world.logs.path(), "--persist", "1000").output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("--flows was 262144 and is to be 1000"), "{said}");
    assert!(world.rows().is_empty(), "it was let be");
    let second = Sensor::spawn(
        run(world.logs.path(), "--persist=replace", "1000"),
        world.logs.path(),
        false,
    );
    let second = second.expect("a sensor");
    assert!(second.says("ended first"), "{}", second.stderr());
    let rows = world.rows();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(
        (number(&rows[0], "orig_bytes"), number(&rows[0], "resp_bytes")),
        (100, 100),
        "{rows:#?}"
    );
    second.end_by(libc::SIGKILL).unwrap();
    world.detach();
    let deadline = Instant::now() + Duration::from_secs(20);
    while dir.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!dir.exists());
    let nowhere = TempDir::new().unwrap();
    let mut c = world.lab.middle.command(binary().unwrap());
    c.args(run_args(&["m0"], world.logs.path()))
        .arg("--persist")
        .arg("--persist-dir");
    let out = c.arg(nowhere.path().join("x")).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.code() == Some(2) && said.contains("mount -t bpf"),
        "{said}"
    );
}
