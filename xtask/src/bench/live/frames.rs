//! Frames in memory, ready to be sent: those of a capture file, or made ones.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// Ethernet frames, one after the other.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each begins and how long it is.
    at: Vec<(usize, usize)>,
}

impl Frames {
    pub fn with_capacity(frames: usize, bytes: usize) -> Self {
        Frames {
            bytes: Vec::with_capacity(bytes),
            at: Vec::with_capacity(frames),
        }
    }

    /// Adds a frame, given in two parts.
    pub fn push(&mut self, header: &[u8], payload: &[u8]) {
        self.at.push((self.bytes.len(), header.len() + payload.len()));
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(payload);
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.at.iter().map(|&(at, len)| &self.bytes[at..at + len])
    }

    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Bytes of all frames.
    pub fn size(&self) -> usize {
        self.at.iter().map(|f| f.1).sum()
    }

    /// The frames whose connections belong to a lane of several: both directions of a connection are in one lane, as a
    /// card with symmetric receive side scaling has it.
    pub fn of_lane(&self, lane: usize, lanes: usize) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |f| lane_hash(f) % lanes == lane)
    }

    /// Takes out what an interface does not send: less than an Ethernet header, or more than `longest`
    /// bytes. Returns how many that were.
    pub fn keep_sendable(&mut self, longest: usize) -> usize {
        let before = self.at.len();
        self.at.retain(|f| (14..=longest).contains(&f.1));
        before - self.at.len()
    }
}

/// The same number for both directions of a connection. By addresses and ports, or by what there is of them.
fn lane_hash(frame: &[u8]) -> usize {
    let (ends, l4) = match frame.get(12..14) {
        Some([8, 0]) => (26..34, 14 + (frame.get(14).unwrap_or(&0) & 15) as usize * 4),
        Some([0x86, 0xdd]) => (22..54, 54),
        _ => return 0,
    };
    let (proto, fragment) = if l4 == 54 && ends.start == 22 {
        (frame.get(20), false)
    } else {
        let fragment = frame.get(20..22).is_some_and(|f| [f[0] & 0x3f, f[1]] != [0, 0]);
        (frame.get(23), fragment)
    };
    let with_ports = matches!(proto, Some(6 | 17)) && !fragment;
    let ports = if with_ports { l4..l4 + 4 } else { 0..0 };
    let parts = [ends, ports].map(|r| frame.get(r).unwrap_or_default());
    // Pairs of bytes, added up: in whichever order the ends stand.
    let pairs = parts.iter().flat_map(|p| p.as_chunks::<2>().0);
    let sum = pairs.map(|&p| u16::from_be_bytes(p) as u32).sum::<u32>();
    (sum.wrapping_mul(0x9e37_79b1) >> 16) as usize
}

/// Reads a pcap file. pcapng and compressed files are not understood here: the sender is to be small.
pub fn read(path: &Path) -> Result<Frames> {
    let file = std::fs::read(path).with_context(|| format!("cannot open {}", path.display()))?;
    parse(file).with_context(|| path.display().to_string())
}

/// Takes a pcap file apart: 24 bytes, then 16 and the frame, repeated (draft-ietf-opsawg-pcap).
fn parse(file: Vec<u8>) -> Result<Frames> {
    const LINKTYPE_ETHERNET: u32 = 1;
    let word = |at: usize| <[u8; 4]>::try_from(file.get(at..at + 4)?).ok();
    let number: fn([u8; 4]) -> u32 = match word(0) {
        // Time in microseconds or nanoseconds, which does not matter here.
        Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => u32::from_le_bytes,
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => u32::from_be_bytes,
        _ => bail!("not a pcap file (`editcap -F pcap` makes one of others)"),
    };
    let field = |at: usize| word(at).map(number);
    // The upper half may tell of checksums at the frames' ends.
    let link = field(20).context("too short for a pcap file")? & 0xffff;
    ensure!(
        link == LINKTYPE_ETHERNET,
        "no Ethernet frames, but link type {link}"
    );
    let mut at = Vec::new();
    let mut next = 24;
    while let Some(len) = field(next + 8) {
        let (begin, len) = (next + 16, len as usize);
        next = begin + len;
        if next > file.len() {
            break;
        }
        at.push((begin, len));
    }
    ensure!(next == file.len(), "damaged after {} frames", at.len());
    Ok(Frames { bytes: file, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pcap file, written with the given byte order.
    fn file(frames: &[&[u8]], order: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let mut out = order(0xa1b2_c3d4).to_vec();
        for n in [0x0002_0004, 0, 0, 65_535, 1] {
            out.extend(order(n));
        }
        for f in frames {
            for n in [1, 2, f.len() as u32, f.len() as u32] {
                out.extend(order(n));
            }
            out.extend(*f);
        }
        out
    }

    #[test]
    fn a_capture_gives_the_frames_that_it_was_made_of() {
        let frames: [&[u8]; 4] = [&[1; 60], &[], &[2; 1514], &[3; 14]];
        for order in [u32::to_le_bytes, u32::to_be_bytes] {
            let read = parse(file(&frames, order)).unwrap();
            assert!(read.iter().eq(frames));
            assert_eq!((read.len(), read.size()), (4, 60 + 1514 + 14));
        }
    }

    #[test]
    fn lanes_part_the_frames_by_connection() {
        let mut frames = Frames::default();
        for n in 0..100 {
            let udp = |from: u8, to: u8| {
                let b = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
                    .ipv4([10, 0, 0, from], [10, 0, 0, to], 64)
                    .udp(1000 + from as u16, 1000 + to as u16);
                let mut f = Vec::new();
                b.write(&mut f, &[n]).unwrap();
                f
            };
            frames.push(&udp(n, 200), &[]);
            frames.push(&udp(200, n), &[]);
        }
        frames.push(&[0; 14], &[]);
        let lanes = [0, 1].map(|l| frames.of_lane(l, 2).collect::<Vec<_>>());
        assert_eq!(lanes[0].len() + lanes[1].len(), frames.len());
        for lane in &lanes {
            assert!(lane.len() > 50, "{}", lane.len());
            // The last byte is the connection's number, of both its frames.
            for n in 0..100 {
                let of_n = |f: &&&[u8]| f.len() > 14 && f.last() == Some(&n);
                assert_ne!(lane.iter().filter(of_n).count(), 1);
            }
        }
    }

    #[test]
    fn what_cannot_be_sent_is_taken_out() {
        let frames: [&[u8]; 4] = [&[1; 13], &[2; 14], &[3; 100], &[4; 101]];
        let mut read = parse(file(&frames, u32::to_le_bytes)).unwrap();
        assert_eq!(read.keep_sendable(100), 2);
        assert!(read.iter().eq([frames[1], frames[2]]));
    }

    #[test]
    fn a_damaged_capture_is_an_error() {
        let whole = file(&[&[1; 60], &[2; 60]], u32::to_le_bytes);
        for len in 0..whole.len() {
            let frames = parse(whole[..len].to_vec()).map_or(0, |f| f.len());
            // Between two frames nobody can know that there was another one.
            assert_eq!(frames, (len == 100) as usize, "{len} bytes");
        }
    }
}
