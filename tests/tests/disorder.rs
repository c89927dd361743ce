//! Real connections across a forwarder that drops, doubles and reorders, and a tap that misses packets: the
//! streams that the sensor delivers are those of the sockets, with gaps exactly where the tap saw an
//! acknowledgement of bytes that it had not seen, and then something else than these bytes.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use sensor_tests::forwarder::{self, Faults, Forwarder, Odds, TAP};
use sensor_tests::lab::{CLIENT_V4, SERVER_V4};
use sensor_tests::sensor::{TempDir, read_log};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;

const PORT: u16 = 7100;
/// Bytes that either side sends.
const BYTES: usize = 250_000;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What a side sends: no two places look alike.
fn stream(seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(BYTES + 8);
    while bytes.len() < BYTES {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend(x.to_be_bytes());
    }
    bytes.truncate(BYTES);
    bytes
}

/// Sends all, says that it is all, and reads what the other side sends.
fn talk(mut socket: TcpStream, send: &[u8]) -> std::io::Result<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = socket.try_clone()?;
    std::thread::scope(|s| {
        let got = s.spawn(move || {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).map(|_| got)
        });
        socket.write_all(send)?;
        socket.shutdown(Shutdown::Write)?;
        got.join().expect("the reader")
    })
}

/// A connection with [`BYTES`] each way; the client's port.
fn converse(lab: &Lab, seed: u64) -> u16 {
    let listener = lab
        .server
        .run(|| TcpListener::bind((SERVER_V4, PORT)))
        .unwrap()
        .unwrap();
    let (up, down) = (stream(seed), stream(seed + 1));
    std::thread::scope(|s| {
        let server = s.spawn(|| talk(listener.accept()?.0, &down));
        let client = lab.client.run(|| TcpStream::connect((SERVER_V4, PORT)));
        let client = client.unwrap().expect("a connection");
        let port = client.local_addr().unwrap().port();
        assert!(talk(client, &up).unwrap() == down, "the client got all");
        assert!(server.join().unwrap().unwrap() == up, "the server got all");
        port
    })
}

/// What a tap that saw these packets can know of one direction. Places count from 1, the first byte.
struct Direction {
    isn: u32,
    /// Per place: whether a packet with it came before it was acknowledged.
    seen: Vec<bool>,
    gap: Vec<bool>,
    /// All before is acknowledged.
    acked: usize,
    /// All before is delivered or given up.
    next: usize,
    /// Bytes seen beyond that.
    waiting: usize,
    /// The highest sequence number, a FIN's included.
    top: usize,
    packets: u64,
    rexmit: u64,
    rexmit_bytes: u64,
    disorder: u64,
    /// What was acknowledged beyond all that was seen, while its bytes may still come; 0: nothing.
    ahead: usize,
    /// Its FIN was seen; its payload and its first pure acknowledgement were.
    fin: bool,
    told: [bool; 2],
}

impl Direction {
    fn new() -> Self {
        Direction {
            isn: 0,
            seen: vec![false; BYTES + 2],
            gap: vec![false; BYTES + 2],
            acked: 1,
            next: 1,
            waiting: 0,
            top: 1,
            packets: 0,
            rexmit: 0,
            rexmit_bytes: 0,
            disorder: 0,
            ahead: 0,
            fin: false,
            told: [false; 2],
        }
    }

    /// What is waited for does not come.
    fn give_up(&mut self) {
        let ack = std::mem::take(&mut self.ahead);
        self.settle(ack);
    }

    fn acknowledged(&mut self, ack: usize) {
        // A FIN's own number is no byte.
        let ack = ack.min(BYTES + 1);
        if ack > self.acked && ack > self.next {
            self.give_up();
            if ack > self.next && self.waiting == 0 && !self.fin {
                self.ahead = ack;
                return self.settle(self.next);
            }
        }
        self.settle(ack);
    }

    fn settle(&mut self, ack: usize) {
        for i in self.acked..ack.max(self.acked) {
            self.gap[i] = !self.seen[i];
        }
        self.acked = self.acked.max(ack);
        self.proceed();
    }

    fn data(&mut self, seq: usize, len: usize, fin: bool) {
        let end = seq + len + fin as usize;
        if end <= self.top && len > 0 {
            self.rexmit += 1;
            self.rexmit_bytes += len as u64;
        }
        self.top = self.top.max(end);
        let (from, to) = (seq.max(self.acked), seq + len);
        if from < to {
            self.disorder += (from > self.next || to > self.next && self.waiting > 0) as u64;
            for i in from..to {
                let new = !std::mem::replace(&mut self.seen[i], true);
                self.waiting += (new && i >= self.next) as usize;
            }
            self.proceed();
        }
        self.fin |= fin;
        if self.ahead != 0 {
            let came = self.ahead.min(self.next);
            if came == self.ahead {
                self.ahead = 0;
            }
            self.settle(came);
        }
    }

    fn proceed(&mut self) {
        while self.next <= BYTES && (self.seen[self.next] || self.gap[self.next]) {
            self.waiting -= self.seen[self.next] as usize;
            self.next += 1;
        }
    }

    fn gaps(&self) -> BTreeSet<usize> {
        (1..self.next).filter(|i| self.gap[*i]).collect()
    }
}

fn be32(b: &[u8]) -> u32 {
    u32::from_be_bytes([b[0], b[1], b[2], b[3]])
}

/// Plays a tap's log: the connection from this port of the client.
fn model<'f>(log: impl Iterator<Item = &'f Vec<u8>>, port: u16) -> [Direction; 2] {
    let mut sides = [Direction::new(), Direction::new()];
    for frame in log {
        let ip = &frame[14..];
        let tcp = &ip[20..];
        let s = usize::from(ip[12..16] != CLIENT_V4.octets());
        if tcp[2 * s..2 * s + 2] != port.to_be_bytes() {
            continue;
        }
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let len = total - 20 - usize::from(tcp[12] >> 4) * 4;
        let (seq, ack, flags) = (be32(&tcp[4..]), be32(&tcp[8..]), tcp[13]);
        sides[s].packets += 1;
        if flags & SYN != 0 {
            sides[s].isn = seq;
        }
        let at = seq.wrapping_sub(sides[s].isn) as usize;
        for d in [s, s ^ 1] {
            let in_reach = d != s || at <= sides[d].next;
            let class = usize::from(len == 0);
            let nothing_new = flags & (SYN | FIN | RST) == 0 && sides[s].told[class] && in_reach;
            let fills = d == s && len > 0 && in_reach && flags & (SYN | RST) == 0;
            if !(nothing_new || fills) {
                sides[d].give_up();
            }
        }
        if flags & (SYN | FIN | RST) == 0 {
            sides[s].told[usize::from(len == 0)] = true;
        }
        if flags & ACK != 0 {
            let ack = ack.wrapping_sub(sides[s ^ 1].isn) as usize;
            sides[s ^ 1].acknowledged(ack);
        }
        if flags & SYN == 0 {
            sides[s].data(at, len, flags & FIN != 0);
        }
    }
    sides.iter_mut().for_each(Direction::give_up);
    sides
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let pair = |p: &[u8]| {
        std::str::from_utf8(p)
            .ok()
            .and_then(|p| u8::from_str_radix(p, 16).ok())
    };
    hex.as_bytes().chunks(2).map(|p| pair(p).expect("hex")).collect()
}

fn number(v: &Value) -> usize {
    v.as_u64().unwrap_or_else(|| panic!("a number instead of {v}")) as usize
}

/// What the sensor said of one direction, against what it can know.
fn check_direction(events: &[&Value], is_orig: bool, sent: &[u8], want: &Direction, what: &str) {
    let mine = |name: &str| {
        let named = events.iter().filter(move |e| e["event"] == name);
        let args: Vec<&Value> = named.map(|e| &e["args"]).collect();
        args.into_iter()
            .filter(|a| a["is_orig"] == is_orig)
            .collect::<Vec<_>>()
    };
    let mut delivered = vec![false; BYTES + 2];
    for a in mine("tcp_contents") {
        let (seq, bytes) = (number(&a["seq"]), bytes_of(a["contents"].as_str().expect("text")));
        assert!(
            sent.get(seq - 1..seq - 1 + bytes.len()) == Some(&bytes[..]),
            "{what}: other bytes at {seq}"
        );
        for place in &mut delivered[seq..seq + bytes.len()] {
            assert!(!std::mem::replace(place, true), "{what}: bytes at {seq} twice");
        }
    }
    let mut gaps = BTreeSet::new();
    for a in mine("content_gap") {
        let seq = number(&a["seq"]);
        gaps.extend(seq..seq + number(&a["length"]));
    }
    let missed = want.gaps();
    let (less, more) = (missed.difference(&gaps).count(), gaps.difference(&missed).count());
    assert_eq!((less, more), (0, 0), "{what}: gaps not said, gaps that are none");
    let expected = |i: usize| (1..want.next).contains(&i) && !missed.contains(&i);
    let wrong = (0..delivered.len()).find(|i| delivered[*i] != expected(*i));
    assert_eq!(wrong, None, "{what}: the first byte that is missing or too much");
    assert_eq!(mine("tcp_rexmit").len() as u64, want.rexmit, "{what}: tcp_rexmit");
    let stats = events
        .iter()
        .find(|e| e["event"] == "conn_stats")
        .expect("conn_stats");
    let stats = &stats["args"][if is_orig { "os" } else { "rs" }];
    for (name, n) in [
        ("num_pkts", want.packets),
        ("num_rxmit", want.rexmit),
        ("num_rxmit_bytes", want.rexmit_bytes),
        ("num_OO", want.disorder),
    ] {
        assert_eq!(stats[name], n, "{what}: {name} in {stats}");
    }
}

/// The contents file of a direction: the bytes, with marks for what is missing.
fn check_file(dir: &std::path::Path, port: u16, is_orig: bool, sent: &[u8], want: &Direction) {
    let end = format!(
        "{CLIENT_V4}:{port}-{SERVER_V4}:{PORT}_{}.dat",
        if is_orig { "orig" } else { "resp" }
    );
    let mut names = std::fs::read_dir(dir).expect("contents").flatten();
    let file = names
        .find(|f| f.file_name().to_string_lossy().ends_with(&end))
        .expect("file");
    let have = std::fs::read(file.path()).expect("contents");
    // Each gap may have been told in parts: cut the marks out, and add them up.
    let (mut bytes, mut missing, mut rest) = (Vec::new(), 0, &have[..]);
    while let Some(at) = rest.windows(7).position(|w| w == b"\n<<gap ") {
        let tail = &rest[at + 7..];
        let len = tail.iter().position(|b| *b == b'>').expect("a mark's end");
        missing += std::str::from_utf8(&tail[..len])
            .unwrap()
            .parse::<usize>()
            .unwrap();
        bytes.extend(&rest[..at]);
        rest = &tail[len + 3..];
    }
    bytes.extend(rest);
    let gaps = want.gaps();
    let known: Vec<u8> = (1..want.next)
        .filter(|i| !gaps.contains(i))
        .map(|i| sent[i - 1])
        .collect();
    // Behind a last hole that was never acknowledged more may wait.
    assert!(bytes.starts_with(&known), "{end}");
    assert!(missing >= gaps.len(), "{end}: {missing} bytes marked as missing");
    if want.next == BYTES + 1 {
        assert_eq!((bytes.len(), missing), (known.len(), gaps.len()), "{end}");
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn streams_are_those_of_the_sockets_with_gaps_where_packets_were_missed() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    forwarder::prepare(&lab).expect("a lab with a tap");
    let dir = TempDir::new().unwrap();
    let (events, contents) = (dir.path().join("events"), dir.path().join("contents"));
    let wanted = "tcp_contents,content_gap,conn_stats,tcp_rexmit";
    let options = [
        "--rx-only",
        "--contents",
        "both",
        "--events",
        events.to_str().unwrap(),
        "--event",
        wanted,
        "--contents-file",
        contents.to_str().unwrap(),
    ];
    let sensor = Sensor::start(&lab.middle, &[TAP], dir.path(), &options).expect("a sensor");
    let rough = Odds {
        drop: 30,
        double: 10,
        delay: 30,
    };
    let cases = [
        ("a lossy path", rough, Odds::default()),
        ("a tap that misses packets", Odds::default(), rough),
        ("both", rough, rough),
    ];
    let mut played = Vec::new();
    for (i, (what, path, tap)) in cases.into_iter().enumerate() {
        let seed = 1000 + 10 * i as u64;
        let forwarder = Forwarder::start(&lab, Faults { seed, path, tap }).expect("a forwarder");
        let port = converse(&lab, seed);
        lab.settle().unwrap();
        played.push((what, seed, port, forwarder.stop().expect("the tap's log")));
    }
    let done = sensor.stop().unwrap();
    let shown: usize = played.iter().map(|p| p.3.len()).sum();
    let frames = done.check_sums().unwrap().frames;
    assert_eq!(
        frames, shown as u64,
        "all that the tap was shown reached the sensor"
    );
    assert!(done.stderr.contains(" 0 lost"), "{}", done.stderr);
    let events = read_log(&events).unwrap();
    assert!(events.iter().all(|e| e["event"] != "events_dropped"));
    let (mut all_gaps, mut again) = (0, 0);
    for (what, seed, port, _) in &played {
        let mine: Vec<&Value> = events.iter().filter(|e| e["c"]["orig_p"] == *port).collect();
        // The last packets of one connection may come while the next one's forwarder is at work.
        let sides = model(played.iter().flat_map(|p| &p.3), *port);
        for (s, d) in sides.iter().enumerate() {
            let (sent, is_orig) = (stream(seed + s as u64), s == 0);
            let what = format!("{what}, {}", if is_orig { "up" } else { "down" });
            check_direction(&mine, is_orig, &sent, d, &what);
            check_file(&contents, *port, is_orig, &sent, d);
            if what.starts_with("a lossy path") {
                assert!(d.gaps().is_empty() && d.next == BYTES + 1, "{what}: all was seen");
                again += d.rexmit;
            }
            all_gaps += d.gaps().len();
        }
    }
    assert!(all_gaps > 0, "the tap missed nothing");
    assert!(again > 0, "the path lost nothing");
}
