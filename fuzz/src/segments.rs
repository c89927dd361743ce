//! TCP connections steered by the input: each byte of it moves something that matters, so that deep states
//! are a few bytes away.

use sensor::packet::{Frame, LinkType};
use sensor_common::packet::tcp_flags as tf;

use crate::Machine;

/// Bytes of the input that make one segment.
pub const STEP: usize = 6;

/// Payloads of protocols, for connections that are not counting.
const TEXTS: [&[u8]; 8] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
    b"SSH-2.0-x\r\n",
    b"220 host ESMTP\r\n",
    b"EHLO me\r\nSTARTTLS\r\n",
    b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef\x00\x00\x02\x13\x01\x01\x00\x00\x00",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"220 ftp\r\n331 ok\r\n",
];

/// Flags that real stacks send, and two that they do not.
const FLAGS: [u8; 12] = [
    tf::ACK,
    tf::ACK | tf::PSH,
    tf::SYN,
    tf::SYN | tf::ACK,
    tf::FIN | tf::ACK,
    tf::RST,
    tf::RST | tf::ACK,
    tf::FIN,
    tf::SYN | tf::FIN,
    tf::SYN | tf::RST,
    0,
    tf::URG | tf::ACK,
];

const PORTS: [(u16, u16); 4] = [(40000, 80), (40001, 4433), (443, 40002), (22, 21)];

/// Where a direction's generator stands.
#[derive(Clone, Copy)]
struct Side {
    next: u32,
    /// Highest number that the peer may acknowledge.
    sent: u32,
}

/// The connections and the time.
pub struct Script {
    conns: [[Side; 2]; 4],
    now: u64,
    counting: bool,
    frame: Vec<u8>,
    id: u16,
}

/// A distance: small ones in both directions, then doubling.
fn distance(code: u8) -> u32 {
    let size = match code & 0x7f {
        n @ 0..=63 => n as u32,
        n => 1u32 << ((n - 64) / 2).min(31) | (n as u32 & 1),
    };
    if code & 0x80 != 0 {
        size.wrapping_neg()
    } else {
        size
    }
}

impl Script {
    pub fn new(counting: bool) -> Script {
        // One pair wraps at once, one never.
        let sides = |a: u32, b: u32| [Side { next: a, sent: a }, Side { next: b, sent: b }];
        Script {
            conns: [
                sides(1000, 2_000_000),
                sides(u32::MAX - 40, 7),
                sides(0x7fff_fff0, 0),
                sides(5, u32::MAX - 3),
            ],
            now: 1_700_000_000 * 1_000_000_000,
            counting,
            frame: Vec::new(),
            id: 0,
        }
    }

    /// One segment:
    /// - connection (2 bits), direction (1), a copy is sent (1), flags (4);
    /// - where it starts, relative to where the direction stands;
    /// - what it acknowledges, relative to what the peer sent;
    /// - payload: length, or which text;
    /// - time: milliseconds, then seconds to days;
    /// - window (3 bits), header options (1), does not advance the direction (1), cut by so many bytes (3).
    pub fn step(&mut self, b: &[u8; STEP], cuts: bool, m: &mut Machine) {
        let [what, at, acks, load, time, more] = *b;
        let which = (what & 3) as usize;
        let dir = (what >> 2 & 1) as usize;
        let flags = FLAGS[(what >> 4) as usize % FLAGS.len()];
        self.now += match time {
            0..=127 => time as u64 * 1_000_000,
            n => (n as u64 - 127).pow(3) * 100_000_000,
        };
        let side = self.conns[which][dir];
        let seq = side.next.wrapping_add(distance(at));
        let ack = self.conns[which][dir ^ 1].sent.wrapping_add(distance(acks));
        let first = seq.wrapping_add((flags & tf::SYN != 0) as u32);
        let payload: Vec<u8> = if self.counting {
            let len = match load {
                0..=127 => load as u32,
                n => (n as u32 - 127) * 5,
            };
            (0..len).map(|i| first.wrapping_add(i) as u8).collect()
        } else if load & 0x80 != 0 {
            TEXTS[load as usize % TEXTS.len()].to_vec()
        } else {
            vec![b'x'; load as usize * 11]
        };
        let space = payload.len() as u32 + (flags & tf::SYN != 0) as u32 + (flags & tf::FIN != 0) as u32;
        let end = seq.wrapping_add(space);
        let side = &mut self.conns[which][dir];
        if more & 0x10 == 0 {
            side.next = end;
        }
        if end.wrapping_sub(side.sent) as i32 > 0 {
            side.sent = end;
        }
        let window = [8192u16, 0, 1, 65535, 100, 8192, 8192, 4000][(more & 7) as usize];
        let options: &[u8] = match (more & 8 != 0, flags & tf::SYN != 0) {
            (false, _) => &[],
            (true, true) => &[2, 4, 5, 0xb4, 1, 3, 3, 7],
            (true, false) => &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        };
        self.packet(which, dir, (seq, ack), flags, window, options, &payload);
        let cut = if cuts { (more >> 5) as usize * 9 } else { 0 };
        let captured = self.frame.len() - cut.min(self.frame.len());
        for _ in 0..1 + (what >> 3 & 1) {
            m.frame(&Frame {
                ts: self.now,
                link: LinkType(101),
                data: &self.frame[..captured],
                wire_len: self.frame.len() as u32,
                iface: 0,
            });
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn packet(
        &mut self,
        which: usize,
        dir: usize,
        (seq, ack): (u32, u32),
        flags: u8,
        window: u16,
        options: &[u8],
        payload: &[u8],
    ) {
        let (a, b) = PORTS[which];
        let (sport, dport) = if dir == 0 { (a, b) } else { (b, a) };
        let ends = [[192, 0, 2, 1], [198, 51, 100, 2]];
        let total = 40 + options.len() + payload.len();
        let f = &mut self.frame;
        f.clear();
        f.extend([0x45, 0]);
        f.extend((total as u16).to_be_bytes());
        self.id = self.id.wrapping_add(1);
        f.extend(self.id.to_be_bytes());
        f.extend([0x40, 0, 64, 6, 0, 0]);
        f.extend(ends[dir]);
        f.extend(ends[dir ^ 1]);
        f.extend(sport.to_be_bytes());
        f.extend(dport.to_be_bytes());
        f.extend(seq.to_be_bytes());
        f.extend(ack.to_be_bytes());
        f.extend([((20 + options.len()) as u8) << 2, flags]);
        f.extend(window.to_be_bytes());
        f.extend([0; 4]);
        f.extend(options);
        f.extend(payload);
    }
}
