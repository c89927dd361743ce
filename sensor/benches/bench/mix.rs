//! A capture to measure with: the same bytes each time, made of a few conversations that are repeated
//! with addresses of their own and interleaved as on a busy link.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use etherparse::PacketBuilder;

/// Payload of a full segment, bytes.
const MSS: usize = 1448;
/// Time of the first packet, microseconds.
const START: u64 = 1_700_000_000_000_000;
/// Microseconds between the starts of two rounds of conversations.
const ROUND: u64 = 2_000;
/// Addresses that a conversation can be moved to.
const MOVES: u16 = 65_000;

const SYN: u8 = 1;
const ACK: u8 = 2;
const FIN: u8 = 4;
const RST: u8 = 8;

/// Recorded handshakes, see the samples' README: direction, length and bytes, repeated.
const TLS12: &[u8] = include_bytes!("../../src/analyzer/tls/samples/tls12-ecdhe.bin");
const TLS13: &[u8] = include_bytes!("../../src/analyzer/tls/samples/tls13.bin");

/// Frames and when they come, microseconds after the conversation's start.
pub type Talk = Vec<(u64, Vec<u8>)>;

/// Makes a conversation's frames. Side 0 is the client.
struct Writer {
    talk: Talk,
    now: u64,
    /// Numbers the networks of its two ends.
    net: u8,
    port: u16,
    next: [u32; 2],
    sent: usize,
    /// Of so many segments one is overtaken by the next; 0 = none.
    disorder: usize,
}

impl Writer {
    fn new(net: u8, port: u16) -> Self {
        Writer {
            talk: Vec::new(),
            now: 0,
            net,
            port,
            next: [1_000_000, 4_294_900_000],
            sent: 0,
            disorder: 0,
        }
    }

    fn ip(&self, from: usize) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        let ends = [[10, self.net, 0, 1], [192, 168 + self.net, 0, 1]];
        let macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
        PacketBuilder::ethernet2(macs[from], macs[1 - from]).ipv4(ends[from], ends[1 - from], 64)
    }

    fn ports(&self, from: usize) -> (u16, u16) {
        let client = 40_000 + self.net as u16;
        if from == 0 {
            (client, self.port)
        } else {
            (self.port, client)
        }
    }

    fn push(&mut self, frame: Vec<u8>) {
        self.now += 40;
        self.talk.push((self.now, frame));
    }

    fn tcp(&mut self, from: usize, flags: u8, payload: &[u8]) {
        let (src, dst) = self.ports(from);
        let mut b = self.ip(from).tcp(src, dst, self.next[from], 64_000);
        if flags & SYN != 0 {
            b = b.syn();
        }
        if flags & ACK != 0 {
            b = b.ack(self.next[1 - from]);
        }
        if flags & FIN != 0 {
            b = b.fin();
        }
        if flags & RST != 0 {
            b = b.rst();
        }
        let mut frame = Vec::with_capacity(b.size(payload.len()));
        // Into memory, and never too long for a length field.
        b.write(&mut frame, payload).expect("a sound packet");
        self.push(frame);
        let space = payload.len() as u32 + (flags & (SYN | FIN) != 0) as u32;
        self.next[from] = self.next[from].wrapping_add(space);
    }

    fn udp(&mut self, from: usize, payload: &[u8]) {
        let (src, dst) = self.ports(from);
        let b = self.ip(from).udp(src, dst);
        let mut frame = Vec::with_capacity(b.size(payload.len()));
        b.write(&mut frame, payload).expect("a sound packet");
        self.push(frame);
    }

    fn open(&mut self) {
        self.tcp(0, SYN, &[]);
        self.now += 5_000;
        self.tcp(1, SYN | ACK, &[]);
        self.tcp(0, ACK, &[]);
    }

    /// `bytes` in segments, each second one acknowledged.
    fn send(&mut self, from: usize, bytes: &[u8]) {
        for part in bytes.chunks(MSS) {
            self.tcp(from, ACK, part);
            self.sent += 1;
            let n = self.talk.len();
            if self.disorder > 0 && self.sent.is_multiple_of(self.disorder) && n > 2 {
                let (a, b) = (self.talk[n - 2].0, self.talk[n - 1].0);
                self.talk.swap(n - 2, n - 1);
                (self.talk[n - 2].0, self.talk[n - 1].0) = (a, b);
            } else if self.sent.is_multiple_of(2) {
                self.tcp(1 - from, ACK, &[]);
            }
        }
        self.now += 5_000;
    }

    fn close(&mut self) {
        self.tcp(0, ACK | FIN, &[]);
        self.tcp(1, ACK | FIN, &[]);
        self.tcp(0, ACK, &[]);
    }

    fn dialogue(&mut self, mut sample: &[u8]) {
        while let Some((&[side, a, b, c, d], rest)) = sample.split_first_chunk() {
            let (bytes, rest) = rest.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
            self.send(side as usize, bytes);
            sample = rest;
        }
    }
}

/// Bytes without a pattern (a 64-bit LCG, Knuth's constants).
fn noise(n: usize) -> Vec<u8> {
    let mut x = 7u64;
    let next = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (x >> 56) as u8
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Records of TLS application data.
fn records(n: usize) -> Vec<u8> {
    let body = noise(MSS - 5);
    let head = [&[23, 3, 3], &(body.len() as u16).to_be_bytes()[..]].concat();
    [head, body].concat().repeat(n)
}

fn tcp(net: u8, port: u16, talk: impl FnOnce(&mut Writer)) -> Talk {
    let mut w = Writer::new(net, port);
    w.open();
    talk(&mut w);
    w.close();
    w.talk
}

fn http(net: u8, disorder: usize, body: usize) -> Talk {
    tcp(net, 80, |w| {
        w.disorder = disorder;
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36";
        let ask = format!("GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: {agent}\r\n\r\n");
        w.send(0, ask.as_bytes());
        let head = format!("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: {body}\r\n\r\n");
        w.send(1, &[head.as_bytes(), &noise(body)].concat());
    })
}

fn dns(net: u8, queries: u16) -> Talk {
    let mut w = Writer::new(net, 53);
    for id in 1..=queries {
        let question = b"\x03www\x07example\x03org\0\0\x01\0\x01";
        let [hi, lo] = id.to_be_bytes();
        let head = |flags: u8, answers: u8| [hi, lo, flags, 0, 0, 1, 0, answers, 0, 0, 0, 0];
        let answer = b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x07";
        w.udp(0, &[&head(1, 0)[..], question].concat());
        w.now += 10_000;
        w.udp(1, &[&head(0x81, 1)[..], question, answer].concat());
    }
    w.talk
}

/// The conversations of a round.
fn round() -> Vec<Talk> {
    let chat = |w: &mut Writer| {
        for i in 0..16 {
            w.send(i % 2, &noise(90));
        }
    };
    let mut unanswered = Writer::new(7, 23);
    unanswered.tcp(0, SYN, &[]);
    let mut refused = Writer::new(8, 445);
    refused.tcp(0, SYN, &[]);
    refused.tcp(1, RST | ACK, &[]);
    let mut bulk = Writer::new(9, 4500);
    for i in 0..40 {
        bulk.udp((i % 4 == 0) as usize, &noise(1200));
    }
    let mut ping = Writer::new(10, 0);
    for seq in 1..=4 {
        for from in 0..2 {
            let mut frame = Vec::new();
            let ip = ping.ip(from);
            let echo = if from == 0 {
                ip.icmpv4_echo_request(9, seq)
            } else {
                ip.icmpv4_echo_reply(9, seq)
            };
            echo.write(&mut frame, &[0; 56]).expect("a sound packet");
            ping.push(frame);
        }
    }
    vec![
        http(1, 0, 30_000),
        http(2, 9, 60_000),
        tcp(3, 443, |w| {
            w.dialogue(TLS12);
            w.send(1, &records(40));
        }),
        tcp(4, 443, |w| {
            w.dialogue(TLS13);
            w.send(1, &records(12));
        }),
        dns(5, 1),
        dns(6, 2),
        unanswered.talk,
        refused.talk,
        bulk.talk,
        ping.talk,
        tcp(11, 7_777, chat),
        http(12, 0, 300),
    ]
}

/// A connection whose handshake is over, and one that also asked and was answered over HTTP or TLS.
pub fn open_connection(kind: &str) -> Talk {
    let mut w = Writer::new(1, if kind == "http" { 80 } else { 443 });
    w.open();
    match kind {
        "http" => {
            w.send(0, b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n");
            w.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
        "tls" => {
            w.dialogue(TLS13);
            w.send(1, &records(6));
        }
        _ => {}
    }
    w.talk
}

/// Moves a frame's addresses by `k`: one gets in ones' complement what the other loses, so that
/// checksums stay right.
pub fn moved(frame: &mut [u8], k: u16) {
    let (src, dst) = (28, 32);
    let client = frame[26] == 10;
    let add = |a: u16, b: u16| {
        let s = a as u32 + b as u32;
        (s as u16) + (s >> 16) as u16
    };
    for (at, k) in [
        (src, if client { k } else { !k }),
        (dst, if client { !k } else { k }),
    ] {
        let old = u16::from_be_bytes([frame[at], frame[at + 1]]);
        frame[at..at + 2].copy_from_slice(&add(old, k).to_be_bytes());
    }
}

/// What was written.
pub struct Written {
    pub packets: u64,
    pub bytes: u64,
    pub conversations: u64,
}

/// Writes `mib` MiB of the mix; a fifth of it is one long transfer.
pub fn write_mix(path: &Path, mib: u64) -> io::Result<Written> {
    let talks = round();
    let size: usize = talks.iter().flatten().map(|p| p.1.len()).sum();
    let rounds = ((mib << 20) * 4 / 5 / size as u64).clamp(1, MOVES as u64) as u16;
    let bulk = ((mib << 20) / 5 / MSS as u64) as usize;
    let mut elephant = tcp(20, 443, |w| {
        w.dialogue(TLS13);
        w.send(1, &records(bulk));
    });
    let span = rounds as u64 * ROUND;
    let n = elephant.len() as u64;
    for (i, p) in elephant.iter_mut().enumerate() {
        p.0 = i as u64 * span / n;
    }
    write(path, &talks, rounds, &elephant)
}

/// Writes `n` TLS handshakes and nothing else.
pub fn write_handshakes(path: &Path, n: u16) -> io::Result<Written> {
    let talk = |net, sample| tcp(net, 443, |w| w.dialogue(sample));
    write(path, &[talk(1, TLS12), talk(2, TLS13)], n / 2, &Vec::new())
}

/// `rounds` rounds of `talks`, in order of time, and `one` along with them.
fn write(path: &Path, talks: &[Talk], rounds: u16, one: &Talk) -> io::Result<Written> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0])?;
    for n in [0u32, 0, 262_144, 1] {
        out.write_all(&n.to_le_bytes())?;
    }
    let mut done = Written {
        packets: 0,
        bytes: 24,
        conversations: 0,
    };
    // (time of the next frame, talk, move, which frame)
    let mut open = BinaryHeap::new();
    let talk_of = |t: usize| talks.get(t).unwrap_or(one);
    let mut begin = |open: &mut BinaryHeap<_>, t: usize, k: u16| {
        if let Some(first) = talk_of(t).first() {
            open.push(Reverse((k as u64 * ROUND + first.0, t, k, 0usize)));
            done.conversations += 1;
        }
    };
    begin(&mut open, talks.len(), 0);
    let mut next_round = 0;
    loop {
        while next_round < rounds
            && open
                .peek()
                .is_none_or(|Reverse((at, ..))| next_round as u64 * ROUND <= *at)
        {
            for t in 0..talks.len() {
                begin(&mut open, t, next_round);
            }
            next_round += 1;
        }
        let Some(Reverse((at, t, k, i))) = open.pop() else {
            break;
        };
        let talk = talk_of(t);
        let mut frame = talk[i].1.clone();
        moved(&mut frame, k + 1);
        let (ts, len) = (START + at, frame.len() as u32);
        for n in [(ts / 1_000_000) as u32, (ts % 1_000_000) as u32, len, len] {
            out.write_all(&n.to_le_bytes())?;
        }
        out.write_all(&frame)?;
        done.packets += 1;
        done.bytes += 16 + len as u64;
        if let Some(p) = talk.get(i + 1) {
            open.push(Reverse((k as u64 * ROUND + p.0, t, k, i + 1)));
        }
    }
    out.flush()?;
    Ok(done)
}
