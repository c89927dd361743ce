//! The same capture must give the same bytes whichever way it is read: parsed by the kernel's program or in
//! userspace, with every packet forwarded or only those that say something new. And no capture, however
//! damaged, may end the sensor otherwise than by its own will.
//!
//! The captures are made here; a directory of more, gone through with all below it, may be named by
//! `SENSOR_TRACES`.

mod realms;
mod shapes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sensor::packet::capture::Capture;
use sensor_tests::root_or_say_so;
use sensor_tests::sensor::{TempDir, binary};
use shapes::Shot;

/// No capture here takes a fraction of this; what takes as long hangs.
const HANGS: Duration = Duration::from_secs(120);
const ETHERNET: u32 = 1;
/// Events for which established TLS is followed through its records' headers.
const RECORDS: &str = "ssl_encrypted_data,ssl_established";
/// Through the kernel's program, which leaves tunnels to userspace or takes apart what it can.
const XDP: &[&str] = &["--datapath", "xdp"];
const DECAP: &[&str] = &["--datapath", "xdp", "--decap", "vxlan,geneve,gre,ipip"];
const BY_KERNEL: [&[&str]; 2] = [XDP, DECAP];

/// Frames of a capture that are damaged.
const DAMAGED: usize = 200;

/// Seconds from one capture's beginning to the next one's: more than any silence that ends a connection, and all of them
/// in less than the day after which an IP tunnel is another one.
const APART: u32 = 1_500;

/// A pcap file, a millisecond between frames; `n`: its place among those that are read in one go.
fn write_pcap(to: &Path, n: usize, link: u32, shots: &[Shot]) {
    let mut f = Vec::new();
    for word in [0xa1b2_c3d4u32, 4 << 16 | 2, 0, 0, 262_144, link] {
        f.extend(word.to_le_bytes());
    }
    for (i, s) in shots.iter().enumerate() {
        let us = i as u32 * 1000;
        for word in [
            1_700_000_000 + n as u32 * APART + us / 1_000_000,
            us % 1_000_000,
            s.data.len() as u32,
            s.wire,
        ] {
            f.extend(word.to_le_bytes());
        }
        f.extend_from_slice(&s.data);
    }
    fs::write(to, f).unwrap();
}

/// All captures there are, as they are read together: those made here, written to `dir`, in one go (loading
/// the kernel's program takes longer than they do), then each of those named.
fn corpus(dir: &Path) -> Vec<Vec<PathBuf>> {
    let mut made = Vec::new();
    for (n, shape) in shapes::all().iter().chain(&realms::all()).enumerate() {
        let path = dir.join(format!("{n:02}-{}.pcap", shape.name));
        write_pcap(&path, n, ETHERNET, &shape.shots);
        made.push(path);
    }
    let mut named = Vec::new();
    if let Some(more) = std::env::var_os("SENSOR_TRACES") {
        files(Path::new(&more), &mut named);
    }
    named.sort();
    let mut all = vec![made];
    all.extend(named.into_iter().map(|p| vec![p]));
    all
}

/// What to call captures that are read together.
fn name(captures: &[PathBuf]) -> String {
    match captures {
        [one] => one.display().to_string(),
        _ => format!("{} captures made here", captures.len()),
    }
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// What a run left: its exit status, what it said, and its files.
#[derive(PartialEq)]
struct Left {
    status: Option<i32>,
    said: String,
    files: BTreeMap<String, Vec<u8>>,
}

/// What is asked for beside the logs.
#[derive(Clone, Copy)]
enum Ask {
    Logs,
    /// Every event and all contents.
    All,
    /// These events.
    Events(&'static str),
}

/// Runs `sensor read`; the event stream, if it is asked for, is a file among the logs.
fn read(captures: &[PathBuf], options: &[&str], ask: Ask) -> Left {
    let out = TempDir::new().unwrap();
    let mut c = Command::new(binary().unwrap());
    c.args(["read", "--seed", "7", "--log-dir"])
        .arg(out.path())
        .args(options);
    if !matches!(ask, Ask::Logs) {
        c.arg("--events").arg(out.path().join("events.json"));
    }
    match ask {
        Ask::Logs => {}
        Ask::All => drop(c.args(["--contents", "both"])),
        Ask::Events(names) => drop(c.args(["--event", names])),
    }
    let said = out.path().join("stderr");
    let mut child = c
        .args(captures)
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(s) = child.try_wait().unwrap() {
            break s;
        }
        if start.elapsed() > HANGS {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{} {options:?} hangs", name(captures));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = fs::read_to_string(&said).unwrap_or_default();
    fs::remove_file(&said).unwrap();
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        sensor_tests::events::note(&String::from_utf8_lossy(&bytes));
        files.insert(name, timeless(&bytes));
    }
    Left {
        status: status.code(),
        said: text,
        files,
    }
}

/// A file without its lines `#open` and `#close`, which are about the run.
fn timeless(file: &[u8]) -> Vec<u8> {
    let lines = file.split_inclusive(|b| *b == b'\n');
    let stays = |l: &&[u8]| !l.starts_with(b"#open\t") && !l.starts_with(b"#close\t");
    lines.filter(stays).flatten().copied().collect()
}

/// Where two runs differ first, if they do.
fn difference(a: &Left, b: &Left, only: Option<&str>) -> Option<String> {
    if a.status != b.status {
        return Some(format!("status {:?} and {:?}: {}", a.status, b.status, b.said));
    }
    let mut names: Vec<_> = a.files.keys().chain(b.files.keys()).collect();
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|n| only.is_none_or(|o| o == *n)) {
        let (x, y) = (a.files.get(name), b.files.get(name));
        if x == y {
            continue;
        }
        let text = |v: Option<&Vec<u8>>| String::from_utf8_lossy(v.map_or(&[], |v| v)).into_owned();
        let (x, y) = (text(x), text(y));
        let line = x.lines().zip(y.lines()).find(|(l, m)| l != m);
        return Some(match line {
            Some((l, m)) => format!("{name}:\n  {l}\n  {m}"),
            None => format!("{name}: {} and {} lines", x.lines().count(), y.lines().count()),
        });
    }
    None
}

/// Whether the kernel takes the capture at all.
fn is_ethernet(captures: &[PathBuf]) -> bool {
    captures.iter().all(|p| all_ethernet(p))
}

fn all_ethernet(path: &Path) -> bool {
    let Ok(mut c) = Capture::open(path) else {
        return false;
    };
    while let Some(f) = c.next() {
        match f {
            Ok(f) if f.link.0 != ETHERNET => return false,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    true
}

fn report(what: &str, total: usize, bad: &[String]) {
    println!("{what}: {} of {total} readings the same", total - bad.len());
    assert!(bad.is_empty(), "{what}: {} differ\n{}", bad.len(), bad.join("\n"));
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn the_kernel_and_userspace_write_the_same() {
    let dir = TempDir::new().unwrap();
    let all: Vec<_> = corpus(dir.path())
        .into_iter()
        .filter(|p| is_ethernet(p))
        .collect();
    for (what, options, ask) in [
        ("logs", &[][..], Ask::Logs),
        ("logs and events", &[][..], Ask::All),
        ("logs and encrypted records", &[][..], Ask::Events(RECORDS)),
        ("logs with checksums", &["--checksums", "on"][..], Ask::Logs),
        ("logs that know of networks", realms::AWARE, Ask::Logs),
    ] {
        let mut bad = Vec::new();
        // With checksums the kernel takes nothing out of tunnels.
        let ways = BY_KERNEL.iter();
        let ways = ways.filter(|k| !options.contains(&"--checksums") || **k != DECAP);
        let ways: Vec<_> = ways.collect();
        for p in &all {
            let user = read(p, &[options, &["--datapath", "user"]].concat(), ask);
            for kernel in &ways {
                let xdp = read(p, &[options, kernel].concat(), ask);
                if let Some(d) = difference(&user, &xdp, None) {
                    bad.push(format!("{} {kernel:?}: {d}", name(p)));
                }
            }
        }
        report(
            &format!("kernel and userspace, {what}"),
            ways.len() * all.len(),
            &bad,
        );
    }
}

/// A second tap gives each frame once more.
#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn copies_are_the_same_to_both() {
    let dir = TempDir::new().unwrap();
    let mut all = Vec::new();
    for (n, mut shape) in shapes::all().into_iter().chain(realms::all()).enumerate() {
        let twice = |s: Shot| {
            let again = Shot {
                data: s.data.clone(),
                wire: s.wire,
            };
            [s, again]
        };
        shape.shots = shape.shots.into_iter().flat_map(twice).collect();
        let path = dir.path().join(format!("{n:02}-{}.pcap", shape.name));
        write_pcap(&path, n, ETHERNET, &shape.shots);
        all.push(path);
    }
    let mut bad = Vec::new();
    // Where the kernel takes GRE apart, a frame is a copy if what is in it is one: then no raw_packet tells of it.
    let ways = [(Ask::Logs, &BY_KERNEL[..]), (Ask::All, &BY_KERNEL[..1])];
    for (ask, by_kernel) in ways {
        let user = read(&all, &["--dedup"], ask);
        for kernel in by_kernel {
            let xdp = read(&all, &[kernel, &["--dedup"][..]].concat(), ask);
            bad.extend(difference(&user, &xdp, None).map(|d| format!("{kernel:?}: {d}")));
        }
    }
    report("kernel and userspace, all packets twice", 3, &bad);
}

#[test]
fn what_stays_below_changes_no_connection() {
    let dir = TempDir::new().unwrap();
    let all = corpus(dir.path());
    let mut bad = Vec::new();
    for p in &all {
        let (some, every) = (read(p, &[], Ask::Logs), read(p, &["--forward-all"], Ask::Logs));
        if let Some(d) = difference(&some, &every, Some("conn.log")) {
            bad.push(format!("{}: {d}", name(p)));
        }
    }
    report("default policy and every packet, conn.log", all.len(), &bad);
}

#[test]
fn records_of_which_the_headers_came_up_are_all_told() {
    let dir = TempDir::new().unwrap();
    let all = corpus(dir.path());
    let (mut bad, mut told) = (Vec::new(), 0);
    for p in &all {
        let some = read(p, &[], Ask::Events(RECORDS));
        let every = read(p, &["--forward-all"], Ask::Events(RECORDS));
        told += some
            .files
            .get("events.json")
            .map_or(0, |f| f.iter().filter(|b| **b == b'\n').count());
        for file in ["events.json", "conn.log"] {
            if let Some(d) = difference(&some, &every, Some(file)) {
                bad.push(format!("{}: {d}", name(p)));
            }
        }
    }
    assert!(told > 500, "{told} events");
    report("headers of records and every packet", all.len(), &bad);
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// The capture's first frames with one byte in `one_in` changed; None: nothing can be read of it.
fn damaged(path: &Path, n: usize, one_in: u64, random: &mut Random, to: &Path) -> Option<()> {
    let mut c = Capture::open(path).ok()?;
    let (mut shots, mut link) = (Vec::new(), None);
    while let Some(Ok(f)) = c.next() {
        if shots.len() == DAMAGED || *link.get_or_insert(f.link.0) != f.link.0 {
            break;
        }
        let mut data = f.data.to_vec();
        for b in &mut data {
            if random.below(one_in) == 0 {
                *b ^= 1 + random.below(255) as u8;
            }
        }
        shots.push(Shot {
            data,
            wire: f.wire_len,
        });
    }
    write_pcap(to, n, link?, &shots);
    Some(())
}

#[test]
fn damaged_captures_are_survived_and_read_alike() {
    let root = root_or_say_so("the kernel's part of damaged_captures_are_survived_and_read_alike");
    let dir = TempDir::new().unwrap();
    let work = TempDir::new().unwrap();
    let (mut runs, mut bad) = (0, Vec::new());
    for (n, p) in corpus(dir.path()).iter().enumerate() {
        for one_in in [1000, 50, 4] {
            let mut random = Random(n as u64 * 31 + one_in);
            let mut to = Vec::new();
            for (i, p) in p.iter().enumerate() {
                let file = work.path().join(format!("{i:02}.pcap"));
                if damaged(p, i, one_in, &mut random, &file).is_some() {
                    to.push(file);
                }
            }
            if to.is_empty() {
                continue;
            }
            let plain = read(&to, &[], Ask::Logs);
            for (left, how) in [(&plain, "plain"), (&read(&to, &[], Ask::All), "events")] {
                runs += 1;
                if !matches!(left.status, Some(0 | 1)) || left.said.contains("panicked") {
                    bad.push(format!(
                        "{} 1/{one_in} {how}: {:?} {}",
                        name(p),
                        left.status,
                        left.said
                    ));
                }
            }
            if !root || !is_ethernet(&to) {
                continue;
            }
            let records = read(&to, &[], Ask::Events(RECORDS));
            for (user, ask) in [(&plain, Ask::Logs), (&records, Ask::Events(RECORDS))] {
                for kernel in BY_KERNEL {
                    if let Some(d) = difference(user, &read(&to, kernel, ask), None) {
                        bad.push(format!("{} 1/{one_in} {kernel:?}: {d}", name(p)));
                    }
                }
            }
        }
    }
    println!("damaged captures: {runs} runs, {} findings", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
