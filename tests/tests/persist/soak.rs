//! Days in half an hour: traffic without a pause while the sensor is killed, its disk is full and an interface goes.
#![allow(unsafe_code, reason = "kill is a system call")]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sensor_tests::lab::{CLIENT_V4, SERVER_V4};
use sensor_tests::netns::in_netns;
use sensor_tests::sensor::{Finished, TempDir, binary, read_log};
use sensor_tests::{Sensor, one_at_a_time};

use super::{PORT, World, is_conn_log, number};

/// How long the soak lasts: `SOAK_SECONDS`, or half an hour.
fn soak_time() -> Duration {
    let said = std::env::var("SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(said.unwrap_or(1800))
}

fn say_something(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"\x01something")?;
    stream.read_exact(&mut [0; 10])
}

/// Connections one after the other until told to stop; `keep` of them stay open and go on.
fn keep_talking(keep: usize, stop: &AtomicBool) {
    let mut open: Vec<TcpStream> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let at = (SERVER_V4, PORT).into();
        let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_secs(3)) else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let mut said = say_something(&mut stream);
        for other in open.iter_mut().take(5) {
            said = said.and_then(|()| say_something(other));
        }
        if said.is_err() {
            open.clear();
        } else if keep > 0 {
            open.push(stream);
            if open.len() > keep {
                open.remove(0);
            }
            std::thread::sleep(Duration::from_millis(20));
        } else {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn keep_asking(stop: &AtomicBool) {
    let mut n = 0;
    let mut socket = None;
    while !stop.load(Ordering::Acquire) {
        if n % 100 == 0 {
            socket = UdpSocket::bind((CLIENT_V4, 0)).ok();
        }
        n += 1;
        if let Some(s) = &socket {
            let _ = s.set_read_timeout(Some(Duration::from_millis(100)));
            if s.send_to(b"\x01something", (SERVER_V4, PORT)).is_ok() {
                let _ = s.recv(&mut [0; 100]);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Traffic without a pause until told to stop.
fn traffic(world: &World, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let of = |work: Box<dyn Fn(&AtomicBool) + Send + Sync>| {
        let (stop, name) = (stop.clone(), world.lab.client.name().to_owned());
        std::thread::spawn(move || in_netns(&name, || work(&stop)).unwrap())
    };
    vec![
        of(Box::new(|stop| keep_talking(0, stop))),
        of(Box::new(|stop| keep_talking(0, stop))),
        of(Box::new(|stop| keep_talking(50, stop))),
        of(Box::new(keep_asking)),
    ]
}

/// A number that the sensor gives to who asks at its socket, as soon as it has any.
fn asked(socket: &Path, name: &str) -> u64 {
    let page = || {
        let mut stream = UnixStream::connect(socket).expect("the sensor's socket");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    };
    for _ in 0..100 {
        let page = page();
        let line = page.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        if let Some(n) = line {
            return n.trim().parse().expect("a number");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no {name}")
}

/// A disk of its own for the logs, which can be filled up.
struct Disk(TempDir);

impl Disk {
    fn new(mib: u32) -> Self {
        let dir = TempDir::new().unwrap();
        let size = format!("size={mib}m");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .status();
        assert!(done.expect("mount").success());
        Disk(dir)
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let some = vec![0; 1 << 16];
        while file.write_all(&some).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "takes half an hour, or SOAK_SECONDS"]
fn soak() {
    let _turn = one_at_a_time();
    let world = World::new();
    let whole = soak_time();
    let disk = Disk::new(1024);
    let logs = disk.0.path().join("logs");
    let socket = world.logs.path().join("metrics");
    world
        .lab
        .middle
        .ip("link add x0 type veth peer name x1\nlink set x0 up\nlink set x1 up")
        .unwrap();
    let start = || {
        let mut args = world.args();
        args.extend(["--metrics".into(), format!("unix:{}", socket.display())]);
        args.extend([
            "--log-rotate".into(),
            "1m".into(),
            "--log-compress".into(),
            "none".into(),
        ]);
        args.extend(["--udp-inactivity-timeout".into(), "5".into()]);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Sensor::start(&world.lab.middle, &["m0", "x0"], &logs, &args).expect("a sensor")
    };
    let stop = Arc::<AtomicBool>::default();
    let mut sensor = start();
    let threads = traffic(&world, &stop);
    let began = Instant::now();
    let rounds = 15;
    let (mut lost_packets, mut lost_bytes) = (0, 0);
    for round in 1..=rounds {
        let until = whole * round / rounds;
        match round {
            5 => {
                let filler = disk.fill();
                std::thread::sleep((whole / rounds / 2).min(Duration::from_secs(20)));
                std::fs::remove_file(filler).unwrap();
                std::thread::sleep(Duration::from_secs(5));
            }
            8 => {
                world.lab.middle.ip("link del x0").unwrap();
                assert!(sensor.says("x0: the interface is gone"));
                world
                    .lab
                    .middle
                    .ip("link add x0 type veth peer name x1\nlink set x0 up\nlink set x1 up")
                    .unwrap();
                assert!(sensor.says("x0: the interface is back"));
            }
            _ => {}
        }
        while began.elapsed() < until {
            std::thread::sleep(Duration::from_secs(1));
            // SAFETY: no memory involved; the child has not been waited for.
            unsafe { libc::kill(sensor.pid() as i32, libc::SIGHUP) };
        }
        lost_packets += asked(&socket, "sensor_conn_rows_lost_packets_total");
        lost_bytes += asked(&socket, "sensor_conn_rows_lost_ip_bytes_total");
        let done = sensor
            .end_by(if round == 11 { libc::SIGTERM } else { libc::SIGKILL })
            .unwrap();
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        println!(
            "round {round}: {}",
            done.stderr
                .lines()
                .filter(|l| l.contains("took over"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        if round == rounds {
            stop.store(true, Ordering::Release);
            threads.into_iter().for_each(|t| t.join().unwrap());
            world.lab.settle().unwrap();
            break;
        }
        sensor = start();
    }
    let mut c = world.lab.middle.command(binary().unwrap());
    c.arg("detach").arg("--persist-dir").arg(world.bpf.dir());
    c.args(["--quiet", "--log-format", "json", "--log-dir"])
        .arg(&logs);
    let out = c.output().expect("a process");
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{stderr}");
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(&logs).unwrap() {
        let path = entry.unwrap().path();
        if is_conn_log(&path) {
            rows.extend(read_log(&path).unwrap());
        }
    }
    let uids: HashSet<_> = rows.iter().map(|r| r["uid"].as_str().unwrap()).collect();
    let sum = |columns: [&str; 2]| -> u64 { rows.iter().flat_map(|r| columns.map(|c| number(r, c))).sum() };
    let last = Finished {
        status: out.status,
        stderr,
        log_dir: logs,
    };
    last.check_sums().unwrap();
    let line = last.stderr.lines().find(|l| l.starts_with("frames ")).unwrap();
    println!("{} rows; {lost_packets} packets in lost rows; {line}", rows.len());
    let words: Vec<_> = line.split_whitespace().collect();
    let at = words.iter().position(|w| *w == "tracked").unwrap();
    let tracked: u64 = words[at - 1].parse().unwrap();
    assert_eq!(uids.len(), rows.len(), "a uid is there twice");
    assert_eq!(sum(["orig_pkts", "resp_pkts"]) + lost_packets, tracked, "{line}");
    let bytes = last.frame_bytes().unwrap() - 14 * tracked;
    assert_eq!(
        sum(["orig_ip_bytes", "resp_ip_bytes"]) + lost_bytes,
        bytes,
        "{line}"
    );
}
