//! `sensor read` as a process: what it refuses, several captures, slow pipes and signals.
#![allow(unsafe_code, reason = "signals, pipes and the like are system calls")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sensor_tests::sensor::{TempDir, binary};
use sensor_tests::{events, root_or_say_so};
use serde_json::Value;

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ETHERNET: u32 = 1;
const RAW: u32 = 101;

/// A packet: when, microseconds, and its frame.
type Packet = (u64, Vec<u8>);

fn ipv4(proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut f = vec![0; 12];
    f.extend([8, 0, 0x45, 0]);
    f.extend((20 + payload.len() as u16).to_be_bytes());
    f.extend([0, 1, 0, 0, 64, proto, 0, 0]);
    f
}

fn tcp(port: u16, side: usize, flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    let (hosts, ports) = ([[10, 0, 0, 1], [10, 0, 0, 2]], [port, 80]);
    let mut f = ipv4(6, &[0; 20]);
    f.extend(hosts[side]);
    f.extend(hosts[side ^ 1]);
    f.extend(ports[side].to_be_bytes());
    f.extend(ports[side ^ 1].to_be_bytes());
    f.extend(seq.to_be_bytes());
    f.extend(ack.to_be_bytes());
    f.extend([0x50, flags, 0x40, 0, 0, 0, 0, 0]);
    f
}

fn udp(port: u16) -> Vec<u8> {
    let mut f = ipv4(17, &[0; 12]);
    f.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    f.extend(port.to_be_bytes());
    f.extend([0, 9, 0, 12, 0, 0, 1, 2, 3, 4]);
    f
}

/// A connection from its SYN to its last ACK, a millisecond from packet to packet.
fn conversation(port: u16, start: u64) -> Vec<Packet> {
    let frames = [
        tcp(port, 0, SYN, 100, 0),
        tcp(port, 1, SYN | ACK, 500, 101),
        tcp(port, 0, ACK, 101, 501),
        tcp(port, 0, FIN | ACK, 101, 501),
        tcp(port, 1, FIN | ACK, 501, 102),
        tcp(port, 0, ACK, 102, 502),
    ];
    (0..).map(|n| start + 1000 * n).zip(frames).collect()
}

fn header(link: u32) -> Vec<u8> {
    let mut b = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    b.extend([0, 0, 4, 0]);
    b.extend(link.to_le_bytes());
    b
}

fn records(packets: &[Packet]) -> Vec<u8> {
    let mut b = Vec::new();
    for (us, frame) in packets {
        for word in [
            (us / 1_000_000) as u32,
            (us % 1_000_000) as u32,
            frame.len() as u32,
            frame.len() as u32,
        ] {
            b.extend(word.to_le_bytes());
        }
        b.extend(frame);
    }
    b
}

fn pcap(packets: &[Packet]) -> Vec<u8> {
    [header(ETHERNET), records(packets)].concat()
}

/// A directory with captures in it and room for what is written.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.at(name), bytes).unwrap();
        self.at(name)
    }

    /// The command, for these captures.
    fn read(&self, captures: &[&Path]) -> Command {
        let mut c = Command::new(binary().unwrap());
        c.args(["read", "--log-format", "json", "--log-dir"])
            .arg(self.at("logs"))
            .args(captures)
            .stdin(Stdio::null());
        c
    }

    /// The rows of conn.log.
    fn rows(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.at("logs/conn.log")).unwrap_or_default();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

fn status(out: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    (out.status.code(), said)
}

/// As [`tcp`], with so much payload.
fn segment(port: u16, side: usize, seq: u32, ack: u32, len: usize) -> Vec<u8> {
    let mut f = tcp(port, side, ACK, seq, ack);
    let ip_len = (40 + len as u16).to_be_bytes();
    f[16..18].copy_from_slice(&ip_len);
    f.resize(f.len() + len, b'x');
    f
}

/// A minute and a half of a download: 3000 segments, each second one acknowledged.
fn download(port: u16, start: u64) -> Vec<Packet> {
    let mut frames = vec![
        tcp(port, 0, SYN, 100, 0),
        tcp(port, 1, SYN | ACK, 500, 101),
        tcp(port, 0, ACK, 101, 501),
    ];
    for n in 0..3000 {
        frames.push(segment(port, 1, 501 + 100 * n, 101, 100));
        if n % 2 == 1 {
            frames.push(tcp(port, 0, ACK, 101, 601 + 100 * n));
        }
    }
    (0..).map(|n| start + 20_000 * n).zip(frames).collect()
}

#[test]
fn lost_packets_are_in_capture_loss_log() {
    let p = Place::new();
    let whole = download(4000, 1_000_000);
    // Of each hundred packets, three segments in different acknowledgements are not captured.
    let lossy: Vec<Packet> = (0..)
        .zip(&whole)
        .filter(|(n, _)| *n < 3 || ![3, 33, 63].contains(&(n % 99)))
        .map(|(_, packet)| packet.clone())
        .collect();
    let lost = whole.len() - lossy.len();
    let read = |name: &str, packets: &[Packet], more: &[&str]| -> (Vec<Value>, String) {
        let capture = p.file(name, &pcap(packets));
        let out = p.read(&[&capture]).args(more).output().unwrap();
        let (code, said) = status(&out);
        assert_eq!(code, Some(0), "{said}");
        let text = fs::read_to_string(p.at("logs/capture_loss.log")).unwrap_or_default();
        let _ = fs::remove_dir_all(p.at("logs"));
        (
            text.lines().map(|l| serde_json::from_str(l).unwrap()).collect(),
            said,
        )
    };
    let sum = |rows: &[Value], column: &str| rows.iter().map(|r| r[column].as_u64().unwrap()).sum::<u64>();
    assert!(
        read("whole.pcap", &whole, &[]).0.is_empty(),
        "not unless asked for"
    );
    let every = ["--capture-loss", "30"];
    let (rows, said) = read("whole.pcap", &whole, &every);
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert_eq!(
        (sum(&rows, "acks"), sum(&rows, "gaps"), said.as_str()),
        (1500, 0, "")
    );
    assert!(
        rows.iter()
            .all(|r| r["percent_lost"] == 0.0 && r["peer"] == "sensor")
    );
    let (rows, said) = read("lossy.pcap", &lossy, &every);
    assert_eq!((sum(&rows, "acks"), sum(&rows, "gaps")), (1500, lost as u64));
    let percent = rows[1]["percent_lost"].as_f64().unwrap();
    assert!((8.9..9.3).contains(&percent), "{percent}");
    assert_eq!(said, "", "less than a tenth");
    // Whatever comes up, the figures are the same.
    let (all, _) = read("lossy.pcap", &lossy, &["--capture-loss", "30", "--forward-all"]);
    assert_eq!(all, rows);
    let worse: Vec<Packet> = (0..)
        .zip(&whole)
        .filter(|(n, _)| *n < 3 || n % 12 != 3)
        .map(|(_, packet)| packet.clone())
        .collect();
    let (_, said) = read("worse.pcap", &worse, &["--capture-loss", "1e9"]);
    assert!(
        said.contains("too much capture loss: of 999 acknowledgements 250 "),
        "{said}"
    );
}

/// Runs a command with a terminal as standard error: its status, and what it wrote there.
fn at_a_terminal(mut command: Command) -> (Option<i32>, String) {
    use std::io::Read as _;
    use std::os::fd::{FromRawFd as _, OwnedFd};
    let (mut master, mut slave) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: two places for descriptors; no name, no settings and no size are given.
    let opened = unsafe { libc::openpty(&mut master, &mut slave, null, null.cast(), null.cast()) };
    assert_eq!(opened, 0);
    // SAFETY: both were opened just now and are nobody else's.
    let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
    let mut child = command
        .stderr(Stdio::from(slave))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Its end of the terminal is closed with it.
    drop(command);
    let mut said = Vec::new();
    let mut bytes = [0; 4096];
    let mut master = fs::File::from(master);
    // The end is an error (EIO).
    while let Ok(n @ 1..) = master.read(&mut bytes) {
        said.extend_from_slice(&bytes[..n]);
    }
    let status = child.wait().unwrap();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_terminal_sees_progress_and_what_came_of_it() {
    let p = Place::new();
    let packets: Vec<Packet> = (0..60).flat_map(|n| download(4000 + n, 1_000_000)).collect();
    let capture = pcap(&packets);
    let gz = {
        let plain = p.file("plain.pcap", &capture);
        assert!(Command::new("gzip").arg(&plain).status().unwrap().success());
        p.at("plain.pcap.gz")
    };
    let plain = p.file("plain.pcap", &capture);
    let sum = format!("{} packets, ", packets.len());
    for files in [
        &[plain.as_path()][..],
        &[gz.as_path()],
        &[plain.as_path(), gz.as_path()],
    ] {
        let (code, said) = at_a_terminal(p.read(files));
        assert_eq!(code, Some(0), "{said}");
        let lines: Vec<&str> = said.split("\r\x1b[K").collect();
        let shown: Vec<&&str> = lines.iter().filter(|l| l.starts_with('[')).collect();
        assert!(!shown.is_empty(), "{said}");
        assert!(
            shown
                .iter()
                .all(|l| l.contains(" % ") && l.contains(" packets/s")),
            "{said}"
        );
        assert!(shown.iter().all(|l| l.len() < 80), "{said}");
        let percents = shown.iter().map(|l| l[23..26].trim().parse::<u32>().unwrap());
        assert!(
            percents.clone().is_sorted() && percents.max() <= Some(100),
            "{said}"
        );
        // The line is gone before the summary.
        let last = lines.last().unwrap();
        if files.len() == 1 {
            assert!(
                last.starts_with(&sum) && last.contains(", 60 connections; logs in "),
                "{said}"
            );
            assert!(last.contains("\nrows: conn 60"), "{said}");
        }
    }
    let mut quiet = p.read(&[&plain]);
    quiet.arg("--quiet");
    assert_eq!(at_a_terminal(quiet), (Some(0), String::new()));
    // What is said meanwhile stands above the line.
    let mut damaged = capture;
    damaged.truncate(damaged.len() - 3);
    let damaged = p.file("damaged.pcap", &damaged);
    let (code, said) = at_a_terminal(p.read(&[&damaged]));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("\r\x1b[Ksensor: ") && said.contains("damaged at byte"),
        "{said}"
    );
    // No terminal, no progress.
    assert_eq!(
        status(&p.read(&[&plain]).output().unwrap()),
        (Some(0), String::new())
    );
}

#[test]
fn duplicates_are_taken_once() {
    let p = Place::new();
    let conns = (0..40).flat_map(|n| {
        let packets = download(4000 + n, 1_000_000 + 1_000_000 * u64::from(n));
        (0u16..).zip(packets).take(30).map(|(id, (us, mut frame))| {
            frame[18..20].copy_from_slice(&(id + 1).to_be_bytes());
            (us, frame)
        })
    });
    let once: Vec<Packet> = conns.collect();
    // A second tap sees each packet 90 us later, behind a router and in a VLAN.
    let twice = once.iter().flat_map(|(us, frame)| {
        let mut again = frame[..12].to_vec();
        again.extend([0x81, 0, 0, 7]);
        again.extend(&frame[12..]);
        again[26] -= 1;
        [(*us, frame.clone()), (us + 90, again)]
    });
    let twice: Vec<Packet> = twice.collect();
    let read = |name: &str, packets: &[Packet], more: &[&str]| {
        let capture = p.file(name, &pcap(packets));
        let _ = fs::remove_dir_all(p.at("logs"));
        let out = p.read(&[&capture]).args(more).output().unwrap();
        let (code, said) = status(&out);
        (code, said, p.rows())
    };
    let (code, said, rows) = read("once.pcap", &once, &[]);
    assert_eq!((code, said.as_str(), rows.len()), (Some(0), "", 40));
    let (_, said, _) = read("twice.pcap", &twice, &[]);
    assert!(said.contains("came twice") && said.contains("--dedup"), "{said}");
    let (code, said, deduped) = read("twice.pcap", &twice, &["--dedup", "-v"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(deduped, rows);
    let sum = format!("frames {} = {} tracked + {1} duplicate", twice.len(), once.len());
    assert!(said.contains(&sum) && !said.contains("came twice"), "{said}");
    // What comes later is another packet.
    let (_, said, others) = read("twice.pcap", &twice, &["--dedup=0"]);
    assert_ne!(others, rows, "{said}");
}

#[test]
fn connections_of_one_side_are_said() {
    let p = Place::new();
    let conns: Vec<Vec<Packet>> = (0..120)
        .map(|n| download(4000 + n, 1_000_000 + 1000 * u64::from(n)))
        .map(|packets| packets.into_iter().take(9).collect())
        .collect();
    let said = |name: &str, one_sided: usize| {
        let packets = conns.iter().enumerate().flat_map(|(n, packets)| {
            let client = |p: &&Packet| p.1[29] == 1;
            packets.iter().filter(move |p| n >= one_sided || !client(p))
        });
        let packets: Vec<Packet> = packets.cloned().collect();
        let capture = p.file(name, &pcap(&packets));
        status(&p.read(&[&capture]).output().unwrap()).1
    };
    assert_eq!(said("half.pcap", 60), "");
    let most = said("most.pcap", 61);
    assert!(
        most.contains("of the last 120 TCP connections with data, 61 had one side only"),
        "{most}"
    );
}

#[test]
fn what_cannot_be_read_is_refused_before_anything_is_written() {
    let p = Place::new();
    let good = p.file("good.pcap", &pcap(&conversation(4000, 1_000_000)));
    let text = p.file("text.pcap", &[b'#'; 100]);
    let raw = p.file("raw.pcap", &header(RAW));
    let usb = p.file("usb.pcap", &header(220));
    fs::create_dir(p.at("logs")).unwrap();
    p.file("logs/conn.log", b"old");
    let events = p.file("events", b"old");
    let refused = |captures: &[&Path], options: &[&str], names: &str| {
        let mut c = p.read(captures);
        let out = c.arg("--events").arg(&events).args(options).output().unwrap();
        let (code, said) = status(&out);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(names) && said.lines().count() == 1, "{said}");
        for file in ["logs/conn.log", "events"] {
            assert_eq!(fs::read(p.at(file)).unwrap(), b"old", "{said}");
        }
    };
    refused(&[&good, &p.at("missing.pcap")], &[], "missing.pcap");
    refused(&[&good, p.0.path()], &[], &p.0.path().display().to_string());
    refused(&[&good, &text], &[], "text.pcap");
    refused(&[&good, &raw], &["--datapath", "xdp"], "raw.pcap");
    refused(&[&good, &usb], &[], "usb.pcap: link type 220");
    refused(&[&good, Path::new("-")], &[], "standard input");
    // The events' file is not emptied, nor made, when the logs cannot be.
    p.file("no-directory", b"");
    let no_logs = p.at("no-directory").display().to_string();
    let made = p.at("new-events");
    for events in [&events, &made] {
        let mut c = Command::new(binary().unwrap());
        c.args(["read", "--log-dir", &no_logs, "--events"])
            .arg(events)
            .arg(&good);
        let (code, said) = status(&c.output().unwrap());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&no_logs) && said.lines().count() == 1, "{said}");
    }
    assert_eq!(fs::read(&events).unwrap(), b"old");
    assert!(!made.exists());
}

#[test]
fn options_that_make_no_sense_are_refused_in_a_line() {
    let p = Place::new();
    let good = p.file("good.pcap", &pcap(&conversation(4000, 1_000_000)));
    for (options, says) in [
        (
            &["--events", "-", "--event", "conection_established"][..],
            "connection_established",
        ),
        (&["--events", "-", "--event", "sssl_*"], "'sssl_*'"),
        (&["--contents", "both"], "--events"),
        (&["--decap", "gre"], "--datapath xdp"),
    ] {
        let (code, said) = status(&p.read(&[&good]).args(options).output().unwrap());
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(says) && !p.at("logs").exists(), "{said}");
    }
    // What is listed can be asked for, by pattern as well.
    let out = Command::new(binary().unwrap()).arg("events").output().unwrap();
    let listed = String::from_utf8(out.stdout).unwrap();
    let names: Vec<_> = listed.lines().filter_map(|l| l.split(' ').next()).collect();
    let mut c = p.read(&[&good]);
    let out = c
        .args(["--events", "-", "--event", "zeek_*,connection_f*"])
        .output()
        .unwrap();
    assert_eq!(status(&out), (Some(0), String::new()));
    events::note(&String::from_utf8_lossy(&out.stdout));
    let events: Vec<Value> = out
        .stdout
        .split(|b| *b == b'\n')
        .filter_map(|l| serde_json::from_slice(l).ok())
        .collect();
    let raised: Vec<_> = events.iter().filter_map(|e| e["event"].as_str()).collect();
    assert_eq!(raised.first(), Some(&"bro_init"));
    assert_eq!(raised.last(), Some(&"bro_done"));
    assert!(raised.contains(&"connection_finished") && raised.iter().all(|n| names.contains(n)));
}

#[test]
fn damage_does_not_keep_the_others_from_being_read() {
    let p = Place::new();
    let cut = |name: &str, port, start| {
        let mut b = pcap(&conversation(port, start));
        b.truncate(b.len() - 10);
        p.file(name, &b)
    };
    let (first, second) = (
        cut("first.pcap", 4000, 1_000_000),
        cut("second.pcap", 4001, 50_000_000),
    );
    let good = p.file("good.pcap", &pcap(&conversation(4002, 90_000_000)));
    let (code, said) = status(&p.read(&[&second, &good, &first]).output().unwrap());
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("first.pcap: damaged") && lines[1].contains("second.pcap: damaged"));
    let ports: Vec<_> = p.rows().iter().map(|r| r["id.orig_p"].as_u64()).collect();
    assert_eq!(ports, [Some(4000), Some(4001), Some(4002)]);
}

#[test]
fn a_capture_reads_the_same_in_whatever_files_it_lies() {
    let p = Place::new();
    let mut packets: Vec<Packet> = (0..20)
        .flat_map(|n| conversation(4000 + n, 1_000_000 + 2700 * n as u64))
        .collect();
    packets.sort_by_key(|(us, _)| *us);
    let read = |captures: &[&Path]| {
        // That logs of an earlier run are put aside would be told.
        let _ = fs::remove_dir_all(p.at("logs"));
        let out = p
            .read(captures)
            .arg("--events")
            .arg(p.at("events"))
            .output()
            .unwrap();
        assert_eq!(status(&out), (Some(0), String::new()));
        let raised = fs::read_to_string(p.at("events")).unwrap();
        events::note(&raised);
        (p.rows(), raised)
    };
    let whole = p.file("whole.pcap", &pcap(&packets));
    let (rows, events) = read(&[&whole]);
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|r| r["conn_state"] == "SF"), "{rows:?}");
    // One after the other.
    let parts: Vec<_> = packets
        .chunks(37)
        .enumerate()
        .map(|(i, part)| p.file(&format!("{i}.pcap"), &pcap(part)))
        .collect();
    let mut names: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    for _ in 0..names.len() {
        names.rotate_left(1);
        assert!(read(&names) == (rows.clone(), events.clone()), "{names:?}");
    }
    // Side by side; no two packets have one time.
    let parts: Vec<_> = (0..3)
        .map(|i| {
            let part: Vec<_> = packets.iter().skip(i).step_by(3).cloned().collect();
            p.file(&format!("side{i}.pcap"), &pcap(&part))
        })
        .collect();
    assert!(read(&[&parts[2], &parts[0], &parts[1]]) == (rows.clone(), events));
    // Another capture has other ids.
    let later: Vec<_> = packets
        .iter()
        .map(|(us, f)| (us + 60_000_000, f.clone()))
        .collect();
    let (others, _) = read(&[&p.file("later.pcap", &pcap(&later))]);
    assert!(others.iter().all(|o| rows.iter().all(|r| r["uid"] != o["uid"])));
}

/// A sensor that reads what is written to it.
struct Piped {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Piped {
    fn start(p: &Place, options: &[&str]) -> Piped {
        let mut c = p.read(&[Path::new("-")]);
        c.arg("--events").arg(p.at("events")).args(options);
        let mut child = c.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pipe = child.stdin.take();
        Piped { child, pipe }
    }

    fn write(&mut self, bytes: &[u8]) {
        let pipe = self.pipe.as_mut().unwrap();
        pipe.write_all(bytes).unwrap();
        pipe.flush().unwrap();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory to look at.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn end(self) -> (Option<i32>, String) {
        let Piped { child, pipe } = self;
        // The pipe stays open meanwhile.
        let (sender, receiver) = std::sync::mpsc::channel();
        let id = child.id() as i32;
        std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
        let out = receiver.recv_timeout(PATIENCE);
        if out.is_err() {
            // SAFETY: as above; it has not been waited for.
            unsafe { libc::kill(id, libc::SIGKILL) };
        }
        drop(pipe);
        status(&out.expect("it ends"))
    }
}

/// Waits for it; how long that took.
fn until(mut what: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_slow_pipe_is_not_waited_for() {
    let p = Place::new();
    let options = ["--tcp-close-delay", "1", "--udp-inactivity-timeout", "1"];
    let mut sensor = Piped::start(&p, &options);
    let mut packets = vec![(1_000_000, udp(5000))];
    packets.extend(conversation(4000, 1_000_100));
    // A connection that stays open.
    packets.extend(conversation(4001, 1_000_200).into_iter().take(3));
    sensor.write(&pcap(&packets));
    let opened = |line: &String| line.contains("\"connection_established\"");
    until(|| lines(&p.at("events")).iter().filter(|l| opened(l)).count() == 2);
    let took = until(|| !p.rows().is_empty());
    assert!(
        took > Duration::from_millis(500),
        "its second has to pass: {took:?}"
    );
    let rows = p.rows();
    assert_eq!((rows.len(), &rows[0]["conn_state"]), (1, &Value::from("SF")));
    // Who is silent may only be late: a packet of that time can still be under way.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(p.rows().len(), 1);
    sensor.write(&records(&[(1_500_000, udp(5000))]));
    // A packet moves the time on.
    sensor.write(&records(&[(4_000_000, udp(5001))]));
    until(|| p.rows().len() == 2);
    let row = &p.rows()[1];
    assert_eq!(
        (&row["id.orig_p"], &row["orig_pkts"]),
        (&Value::from(5000), &Value::from(2))
    );
    // Half a record, then the rest.
    let more = records(&conversation(4002, 4_000_100));
    sensor.write(&more[..200]);
    std::thread::sleep(Duration::from_millis(500));
    sensor.write(&more[200..]);
    until(|| p.rows().len() == 3);
    sensor.pipe = None;
    assert_eq!(sensor.end(), (Some(0), String::new()));
    assert_eq!(p.rows().len(), 5);
}

#[test]
fn a_signal_ends_reading_in_order() {
    for (signal, expected) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let p = Place::new();
        let mut sensor = Piped::start(&p, &[]);
        let mut bytes = pcap(&conversation(4000, 1_000_000));
        // In the midst of a packet.
        bytes.truncate(bytes.len() - 5);
        sensor.write(&bytes);
        until(|| {
            lines(&p.at("events"))
                .iter()
                .any(|l| l.contains("\"connection_finished\"") || l.contains("\"connection_EOF\""))
        });
        sensor.signal(signal);
        assert_eq!(sensor.end(), (Some(expected), String::new()));
        assert_eq!(p.rows().len(), 1);
        let events = lines(&p.at("events"));
        for line in &events {
            serde_json::from_str::<Value>(line).expect("a whole line");
        }
        assert!(events.last().is_some_and(|l| l.contains("\"bro_done\"")));
    }
}

#[test]
fn a_signal_ends_reading_that_has_not_begun() {
    let p = Place::new();
    let sensor = Piped::start(&p, &[]);
    // It has to be listening.
    let listening = format!("/proc/{}/task", sensor.child.id());
    until(|| fs::read_dir(&listening).is_ok_and(|t| t.count() >= 3));
    std::thread::sleep(Duration::from_millis(100));
    sensor.signal(libc::SIGTERM);
    assert_eq!(sensor.end(), (Some(143), String::new()));
    assert!(!p.at("logs").exists());
}

#[test]
fn a_signal_ends_reading_of_what_never_ends() {
    let p = Place::new();
    let mut sensor = Piped::start(&p, &["--event", "bro_done"]);
    let mut pipe = sensor.pipe.take().unwrap();
    let writer = std::thread::spawn(move || {
        let _ = pipe.write_all(&header(ETHERNET));
        for n in 0.. {
            let more: Vec<_> = (0..50)
                .flat_map(|i| conversation(4000 + i, 1_000_000 + 10_000_000 * n))
                .collect();
            // Until nobody reads any more.
            if pipe.write_all(&records(&more)).is_err() {
                return;
            }
        }
    });
    until(|| p.rows_so_far() > 1000);
    sensor.signal(libc::SIGTERM);
    assert_eq!(sensor.end(), (Some(143), String::new()));
    writer.join().unwrap();
    assert!(p.rows().len() > 1000);
    assert!(lines(&p.at("events")).len() == 1);
}

impl Place {
    /// How many rows there are while the last line may not be whole.
    fn rows_so_far(&self) -> usize {
        let text = fs::read(self.at("logs/conn.log")).unwrap_or_default();
        text.iter().filter(|b| **b == b'\n').count()
    }
}

#[test]
fn what_is_known_is_written_whatever_goes_wrong() {
    let p = Place::new();
    let good = p.file("good.pcap", &pcap(&conversation(4000, 1_000_000)));
    // A disk that takes no events.
    let mut c = p.read(&[&good]);
    let (code, said) = status(&c.args(["--events", "/dev/full"]).output().unwrap());
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert_eq!(p.rows().len(), 1);
    if !root_or_say_so("what_is_known_is_written_whatever_goes_wrong") {
        return;
    }
    // A link type that the kernel does not take, in the midst of a capture.
    let block = |typ: u32, body: &[u8]| {
        let len = 12 + body.len().next_multiple_of(4) as u32;
        let mut b = [typ.to_le_bytes(), len.to_le_bytes()].concat();
        b.extend(body);
        b.resize(len as usize - 4, 0);
        b.extend(len.to_le_bytes());
        b
    };
    let packet = |iface: u32, us: u64, frame: &[u8]| {
        let len = frame.len() as u32;
        let words = [iface, (us >> 32) as u32, us as u32, len, len];
        let mut b: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        b.extend(frame);
        block(6, &b)
    };
    let mut mixed = block(
        0x0a0d_0d0a,
        &[
            0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255,
        ],
    );
    mixed.extend(block(1, &[1, 0, 0, 0, 0, 0, 0, 0]));
    mixed.extend(block(1, &[101, 0, 0, 0, 0, 0, 0, 0]));
    for (us, frame) in conversation(4001, 2_000_000) {
        mixed.extend(packet(0, us, &frame));
    }
    mixed.extend(packet(1, 2_100_000, &udp(5000)[14..]));
    mixed.extend(packet(0, 2_200_000, &udp(5001)));
    let mixed = p.file("mixed.pcapng", &mixed);
    let later = p.file("later.pcap", &pcap(&conversation(4002, 3_000_000)));
    let mut c = p.read(&[&good, &mixed, &later]);
    let (code, said) = status(&c.args(["--datapath", "xdp"]).output().unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("mixed.pcapng: link type 101") && said.lines().count() == 1,
        "{said}"
    );
    let ports: Vec<_> = p.rows().iter().map(|r| r["id.orig_p"].as_u64()).collect();
    assert_eq!(ports, [Some(4000), Some(4001), Some(4002)]);
}
