//! Captures as pcap files (draft-ietf-opsawg-pcap), of Ethernet and with times in nanoseconds.

use super::super::link::{LinkType, ethertype};
use super::MAX_PACKET;
use crate::base::time::SECOND;

/// What a file with times in nanoseconds begins with.
const MAGIC_NS: u32 = 0xa1b2_3c4d;

/// What a file begins with: magic number, version, time zone and accuracy that nobody uses, longest packet, link type; all
/// numbers little-endian.
pub fn file_header() -> Vec<u8> {
    let (major, minor) = (2_u16, 4_u16);
    let mut header = MAGIC_NS.to_le_bytes().to_vec();
    header.extend(major.to_le_bytes());
    header.extend(minor.to_le_bytes());
    header.extend([0; 8]);
    header.extend((MAX_PACKET as u32).to_le_bytes());
    header.extend(LinkType::ETHERNET.0.to_le_bytes());
    header
}

/// A frame as a file has it: seen at `ts` (ns since 1970), with so many bytes on the wire, of which these were captured.
pub fn frame(ts: u64, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[..bytes.len().min(MAX_PACKET)];
    let captured = bytes.len() as u32;
    let (secs, ns) = ((ts / SECOND) as u32, (ts % SECOND) as u32);
    let mut record = Vec::with_capacity(16 + bytes.len());
    for number in [secs, ns, captured, wire_len.max(captured)] {
        record.extend(number.to_le_bytes());
    }
    record.extend_from_slice(bytes);
    record
}

/// A packet without a frame of its own, from its IP header on: it gets an Ethernet header in which no address stands.
pub fn packet(ts: u64, wire_len: u32, ip: &[u8]) -> Vec<u8> {
    let bytes = [&[0; 12], &ethertype::of(ip).to_be_bytes()[..], ip].concat();
    frame(ts, wire_len + 14, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::capture::Capture;

    #[test]
    fn what_is_written_can_be_read() {
        let mut ip = vec![0; 60];
        ip[0] = 0x45;
        let ts = 1_764_337_000_123_456_789;
        let file = [file_header(), packet(ts, 100, &ip), frame(ts + 1, 20, &[7; 20])].concat();
        let mut capture =
            Capture::from_reader("file", Box::new(std::io::Cursor::new(file))).expect("a capture");
        let f = capture.next().expect("a frame").expect("read");
        assert_eq!((f.ts, f.wire_len, f.data.len()), (ts, 114, 74));
        assert_eq!((&f.data[12..14], &f.data[14..]), (&[8, 0][..], &ip[..]));
        let f = capture.next().expect("another").expect("read");
        assert_eq!((f.ts, f.wire_len, f.data), (ts + 1, 20, &[7; 20][..]));
        assert!(capture.next().is_none());
    }
}
