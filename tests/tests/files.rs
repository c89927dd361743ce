//! Files that traffic carries: digests in files.log, and the files themselves, from captures and live.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use etherparse::PacketBuilder;
use sensor_tests::lab::server_ip;
use sensor_tests::sensor::{TempDir, binary};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];
const SYN: u8 = 1;
const FIN: u8 = 2;
/// Bytes of a segment.
const MSS: usize = 1000;

/// A TCP connection into a capture.
struct Talk {
    ports: [u16; 2],
    /// Where each side stands, client first.
    next: [u32; 2],
}

impl Talk {
    fn new(client: u16, server: u16, to: &mut Vec<u8>) -> Talk {
        let mut talk = Talk {
            ports: [client, server],
            next: [1000, 5000],
        };
        talk.says(0, SYN, b"", to);
        talk.says(1, SYN, b"", to);
        talk.says(0, 0, b"", to);
        talk
    }

    /// A segment of a side, 0 or 1.
    fn says(&mut self, side: usize, flags: u8, payload: &[u8], to: &mut Vec<u8>) {
        let (hosts, peer) = ([CLIENT, SERVER], 1 - side);
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(hosts[side], hosts[peer], 64);
        let mut tcp = ip.tcp(self.ports[side], self.ports[peer], self.next[side], 60_000);
        if flags & SYN != 0 {
            tcp = tcp.syn();
        }
        if flags & FIN != 0 {
            tcp = tcp.fin();
        }
        if flags & SYN == 0 || side == 1 {
            tcp = tcp.ack(self.next[peer]);
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        self.next[side] += payload.len() as u32 + u32::from(flags != 0);
        // A millisecond from packet to packet.
        let (n, len) = (to.len() as u32 / 60, frame.len() as u32);
        for word in [1_700_000_000 + n / 1000, n % 1000 * 1000, len, len] {
            to.extend(word.to_le_bytes());
        }
        to.extend(frame);
    }

    fn ends(mut self, to: &mut Vec<u8>) {
        self.says(1, FIN, b"", to);
        self.says(0, FIN, b"", to);
        self.says(1, 0, b"", to);
    }
}

/// A capture in which a server sends these files by FTP. Of each the segment with this number is missing.
fn ftp(files: &[(&[u8], Option<usize>)]) -> Vec<u8> {
    let mut to = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    to.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    let mut control = Talk::new(4000, 21, &mut to);
    control.says(1, 0, b"220 ready\r\n", &mut to);
    control.says(0, 0, b"USER anonymous\r\n", &mut to);
    control.says(1, 0, b"230 welcome\r\n", &mut to);
    for (n, (file, missing)) in files.iter().enumerate() {
        let port = 50_000 + n as u16;
        control.says(0, 0, b"PASV\r\n", &mut to);
        let [high, low] = port.to_be_bytes();
        let passive = format!("227 Entering Passive Mode (10,0,0,2,{high},{low})\r\n");
        control.says(1, 0, passive.as_bytes(), &mut to);
        let mut data = Talk::new(4001 + n as u16, port, &mut to);
        for (i, piece) in file.chunks(MSS).enumerate() {
            match *missing {
                Some(m) if m == i => data.next[1] += piece.len() as u32,
                _ => data.says(1, 0, piece, &mut to),
            }
            data.says(0, 0, b"", &mut to);
        }
        data.ends(&mut to);
    }
    control.ends(&mut to);
    to
}

/// Reads a capture with these options; the rows of files.log.
fn read(dir: &Path, capture: &[u8], options: &[&str]) -> (Output, Vec<Value>) {
    fs::write(dir.join("pcap"), capture).unwrap();
    let mut c = Command::new(binary().unwrap());
    c.current_dir(dir).stdin(Stdio::null());
    let out = c
        .args(["read", "pcap", "--log-format", "json"])
        .args(options)
        .output();
    let rows = fs::read_to_string(dir.join("logs/files.log")).unwrap_or_default();
    let rows = rows.lines().map(|l| serde_json::from_str(l).unwrap());
    (out.unwrap(), rows.collect())
}

fn noise(len: usize) -> Vec<u8> {
    let mut x = 1u32;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn files_come_out_as_they_were() {
    let dir = TempDir::new().unwrap();
    let large = noise(3 * (1 << 20) / 2);
    let capture = ftp(&[(b"abc", None), (&large, None), (&large[..9500], Some(4))]);
    let options = [
        "--extract-files",
        "out",
        "--file-hashes",
        "md5,sha1,sha256",
        "--extract-limit",
        "1",
    ];
    let (out, rows) = read(dir.path(), &capture, &options);
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    assert_eq!((out.status.code(), rows.len()), (Some(0), 3));
    let extracted = |row: &Value| {
        let name = row["extracted"].as_str().expect("a name");
        let fuid = row["fuid"].as_str().expect("an id");
        assert!(name.starts_with("extract-17000000") && name.ends_with(&format!("-FTP_DATA-{fuid}")));
        fs::read(dir.path().join("out").join(name)).expect("the file")
    };
    assert_eq!(extracted(&rows[0]), b"abc");
    assert_eq!(rows[0]["md5"], "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(rows[0]["sha1"], "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(rows[0]["extracted_cutoff"], false);
    assert_eq!(rows[0]["extracted_size"], Value::Null);
    // Longer than the limit: its digest is of all of it.
    assert!(extracted(&rows[1]) == large[..1 << 20]);
    assert_eq!(rows[1]["extracted_cutoff"], true);
    assert_eq!(rows[1]["extracted_size"], 1 << 20);
    let sum: String = Sha256::digest(&large)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(rows[1]["sha256"], sum.as_str());
    // A segment is missing: there is a hole, and no digest.
    let mut holey = large[..9500].to_vec();
    holey[4 * MSS..5 * MSS].fill(0);
    assert!(extracted(&rows[2]) == holey);
    assert_eq!(
        (&rows[2]["missing_bytes"], &rows[2]["md5"]),
        (&MSS.into(), &Value::Null)
    );
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 3);

    // Once more: what is there stays as it is.
    let first = dir
        .path()
        .join("out")
        .join(rows[0]["extracted"].as_str().unwrap());
    fs::write(&first, "mine").unwrap();
    let (out, _) = read(dir.path(), &capture, &options);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("3 extracted files could not be written"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(fs::read(first).unwrap(), b"mine");
}

#[test]
fn files_are_not_extracted_where_they_cannot_be() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let (out, _) = read(dir.path(), &ftp(&[(b"abc", None)]), &["--extract-files", "file"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!((out.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("cannot write extracted files to file"), "{said}");
    assert!(!dir.path().join("logs/conn.log").exists());
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn files_come_out_of_live_traffic() {
    const DATA: u16 = 50_000;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (logs, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let args = [
        "--workers",
        "1",
        "--extract-files",
        out.path().to_str().unwrap(),
        "--file-hashes",
        "sha256",
    ];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    // The two ends of a connection, client first.
    let connected = |port| {
        let at = (server_ip(false), port);
        let listener = lab.server.run(|| TcpListener::bind(at)).unwrap().unwrap();
        let client = lab.client.run(|| TcpStream::connect(at)).unwrap().unwrap();
        (client, listener.accept().unwrap().0)
    };
    let says = |from: &mut TcpStream, to: &mut TcpStream, line: &str| {
        from.write_all(line.as_bytes()).unwrap();
        to.read_exact(&mut vec![0; line.len()]).unwrap();
    };
    let file = noise(3_000_000);
    let (mut client, mut server) = connected(21);
    says(&mut server, &mut client, "220 ready\r\n");
    says(&mut client, &mut server, "PASV\r\n");
    let (address, [high, low]) = (server_ip(false).to_string().replace('.', ","), DATA.to_be_bytes());
    let passive = format!("227 Entering Passive Mode ({address},{high},{low})\r\n");
    says(&mut server, &mut client, &passive);
    let (mut takes, mut gives) = connected(DATA);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            gives.write_all(&file).unwrap();
            drop(gives);
        });
        let mut taken = Vec::new();
        takes.read_to_end(&mut taken).unwrap();
        assert!(taken == file);
    });
    drop((takes, client, server));
    lab.settle().unwrap();
    let rows = sensor.stop().unwrap().log("files.log").unwrap();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["sha256"], sha256(&file));
    assert_eq!(rows[0]["extracted_cutoff"], false);
    let name = rows[0]["extracted"].as_str().unwrap();
    assert!(fs::read(out.path().join(name)).unwrap() == file);
}
