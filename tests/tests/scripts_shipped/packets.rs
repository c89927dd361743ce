//! Captures that the tests make: packets of hosts 10.0.0.0/16, each with its time.

use std::path::Path;

use etherparse::PacketBuilder;

/// When captures begin, microseconds.
const BEGIN: u64 = 1_700_000_000_000_000;
const SECOND: u64 = 1_000_000;
const MILLISECOND: u64 = 1_000;

/// The n-th host.
pub fn host(n: u16) -> [u8; 4] {
    let [high, low] = n.to_be_bytes();
    [10, 0, high, low]
}

/// Packets, in whatever order they were made.
#[derive(Default)]
pub struct Packets(Vec<(u64, Vec<u8>)>);

impl Packets {
    fn put(&mut self, at: u64, frame: Vec<u8>) {
        self.0.push((at, frame));
    }

    /// Writes them in the order of their times.
    pub fn write(&self, to: &Path) {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(at, _)| *at);
        let mut b = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        b.extend([0, 0, 4, 0, 1, 0, 0, 0]);
        for (at, frame) in all {
            let len = frame.len() as u32;
            for word in [(at / SECOND) as u32, (at % SECOND) as u32, len, len] {
                b.extend(word.to_le_bytes());
            }
            b.extend(frame);
        }
        std::fs::write(to, b).unwrap();
    }

    /// A UDP packet from a host to another one, so many seconds after the beginning.
    pub fn udp(&mut self, secs: f64, from: (u16, u16), to: (u16, u16), payload: &[u8]) {
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(host(from.0), host(to.0), 64);
        let mut frame = Vec::new();
        ip.udp(from.1, to.1).write(&mut frame, payload).unwrap();
        self.put(after(secs), frame);
    }

    /// A connection whose originator and responder are these hosts with their ports; its first packet will be at this time.
    pub fn tcp(&mut self, secs: f64, orig: (u16, u16), resp: (u16, u16)) -> Talk<'_> {
        Talk {
            to: self,
            ends: [orig, resp],
            next: [1000, 5000],
            at: after(secs),
        }
    }
}

fn after(secs: f64) -> u64 {
    BEGIN + (secs * SECOND as f64) as u64
}

/// A TCP connection.
pub struct Talk<'a> {
    to: &'a mut Packets,
    ends: [(u16, u16); 2],
    next: [u32; 2],
    at: u64,
}

impl Talk<'_> {
    /// A segment of a side, 0 or 1, with flags by their letters; a millisecond after the one before.
    pub fn segment(mut self, side: usize, flags: &str, payload: &[u8]) -> Self {
        let peer = 1 - side;
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let ip = ip.ipv4(host(self.ends[side].0), host(self.ends[peer].0), 64);
        let mut tcp = ip.tcp(self.ends[side].1, self.ends[peer].1, self.next[side], 60_000);
        for flag in flags.chars() {
            tcp = match flag {
                'S' => tcp.syn(),
                'F' => tcp.fin(),
                'R' => tcp.rst(),
                _ => tcp.ack(self.next[peer]),
            };
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        self.to.put(self.at, frame);
        let counts = flags.contains(['S', 'F']);
        self.next[side] += payload.len() as u32 + u32::from(counts);
        self.at += MILLISECOND;
        self
    }

    /// The handshake.
    pub fn begins(self) -> Self {
        let asked = self.segment(0, "S", b"").segment(1, "SA", b"");
        asked.segment(0, "A", b"")
    }

    /// Payload of a side, acknowledged by the other.
    pub fn says(self, side: usize, payload: &[u8]) -> Self {
        self.segment(side, "A", payload).segment(1 - side, "A", b"")
    }

    pub fn waits(mut self, secs: f64) -> Self {
        self.at += (secs * SECOND as f64) as u64;
        self
    }

    /// Both sides close.
    pub fn ends(self) {
        let closed = self.segment(0, "FA", b"").segment(1, "FA", b"");
        closed.segment(0, "A", b"");
    }
}
