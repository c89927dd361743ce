//! One large TCP connection, as frames: a download in full segments, each second one acknowledged.

use super::frames::Frames;

/// Payload of a full segment, bytes.
const MSS: usize = 1448;
/// What is sent. No analyzer knows it: measured is a transfer of which nobody wants more.
const PAYLOAD: [u8; MSS] = [b'x'; MSS];
/// Ethernet, IPv4 and TCP without options.
const HEADERS: usize = 14 + 20 + 20;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// The two ends; side 0 is the client. Nobody has these addresses, so that no stack answers.
const IPS: [[u8; 4]; 2] = [[10, 1, 0, 1], [10, 2, 0, 1]];
const PORTS: [u16; 2] = [40_000, 5_001];

/// The frames of a connection in which the server sends `mib` MiB.
pub fn make(mib: u64) -> Frames {
    let segments = ((mib << 20) as usize).div_ceil(MSS);
    let mut c = Connection {
        frames: Frames::with_capacity(
            segments * 3 / 2 + 8,
            segments * (HEADERS * 3 / 2 + MSS) + 8 * HEADERS,
        ),
        // The server's numbers wrap on the way.
        next: [1_000_000, 4_294_000_000],
    };
    c.send(0, SYN, 0);
    c.send(1, SYN | ACK, 0);
    c.send(0, ACK, 0);
    for n in 1..=segments {
        c.send(1, ACK, MSS);
        if n % 2 == 0 || n == segments {
            c.send(0, ACK, 0);
        }
    }
    c.send(1, FIN | ACK, 0);
    c.send(0, FIN | ACK, 0);
    c.send(1, ACK, 0);
    c.frames
}

struct Connection {
    frames: Frames,
    /// Each side's next sequence number.
    next: [u32; 2],
}

impl Connection {
    /// A segment with `len` bytes of payload: an even number, for the checksum.
    fn send(&mut self, from: usize, flags: u8, len: usize) {
        let to = 1 - from;
        let mut f = [0; HEADERS];
        f[..14].copy_from_slice(&[2, 0, 0, 0, 0, to as u8, 2, 0, 0, 0, 0, from as u8, 8, 0]);
        let (ip, tcp) = f[14..].split_at_mut(20);

        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&((40 + len) as u16).to_be_bytes());
        // Do not fragment; 64 hops; TCP.
        ip[6] = 0x40;
        ip[8..10].copy_from_slice(&[64, 6]);
        ip[12..16].copy_from_slice(&IPS[from]);
        ip[16..20].copy_from_slice(&IPS[to]);
        let sum = checksum(0, &[ip]);
        ip[10..12].copy_from_slice(&sum);

        let acknowledged = if flags & ACK == 0 { 0 } else { self.next[to] };
        tcp[..2].copy_from_slice(&PORTS[from].to_be_bytes());
        tcp[2..4].copy_from_slice(&PORTS[to].to_be_bytes());
        tcp[4..8].copy_from_slice(&self.next[from].to_be_bytes());
        tcp[8..12].copy_from_slice(&acknowledged.to_be_bytes());
        tcp[12..16].copy_from_slice(&[0x50, flags, 0xff, 0xff]);
        let length = ((20 + len) as u16).to_be_bytes();
        // Adding up the payload of each segment would take longer than all the rest.
        let payload = len as u32 / 2 * u16::from_be_bytes([PAYLOAD[0], PAYLOAD[1]]) as u32;
        let sum = checksum(payload, &[&IPS[from], &IPS[to], &[0, 6], &length, tcp]);
        tcp[16..18].copy_from_slice(&sum);

        self.frames.push(&f, &PAYLOAD[..len]);
        let space = len as u32 + (flags & (SYN | FIN) != 0) as u32;
        self.next[from] = self.next[from].wrapping_add(space);
    }
}

/// The Internet checksum (RFC 1071) over parts of even length, and over what `sum` is the sum of. The sensor by
/// default does not look at it; others do.
fn checksum(sum: u32, parts: &[&[u8]]) -> [u8; 2] {
    let pairs = parts.iter().flat_map(|p| p.as_chunks::<2>().0);
    let mut sum = sum + pairs.map(|&p| u16::from_be_bytes(p) as u32).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn lengths_numbers_and_checksums_fit_together() {
        let frames = make(1);
        let segments = (1usize << 20).div_ceil(MSS);
        assert_eq!(frames.len(), 3 + segments + segments.div_ceil(2) + 3);
        assert_eq!(frames.size(), frames.len() * HEADERS + segments * MSS);
        let mut next = [None; 2];
        for frame in frames.iter() {
            let p = SlicedPacket::from_ethernet(frame).unwrap();
            let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (p.net, p.transport) else {
                panic!("not TCP over IPv4");
            };
            let header = ip.header().to_header();
            assert_eq!(header.total_len as usize + 14, frame.len());
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            let sum = tcp.calc_checksum_ipv4(header.source, header.destination).unwrap();
            assert_eq!(sum, tcp.checksum());

            let from = (tcp.source_port() != PORTS[0]) as usize;
            let seq = tcp.sequence_number();
            assert!(next[from].is_none_or(|n| n == seq));
            let space = tcp.payload().len() as u32 + (tcp.syn() || tcp.fin()) as u32;
            next[from] = Some(seq.wrapping_add(space));
            if tcp.ack() {
                assert_eq!(Some(tcp.acknowledgment_number()), next[1 - from]);
            }
        }
    }
}
