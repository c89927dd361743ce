//! The frames that are run, and how a frame is moved from flow to flow.

use super::walk::Route;

/// The first client: 11.0.0.0, or the last bytes of its IPv6 address.
pub const FIRST: u32 = 11 << 24;
/// The first client of those that nobody has seen: 12.0.0.0.
pub const FIRST_NEW: u32 = 12 << 24;
/// Sequence number of the client's SYN, and what the server's is.
pub const ISN: u32 = 1_000_000;
const SERVER_ISN: u32 = 2_000_000;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Least length of an Ethernet frame, without its checksum.
const SHORTEST: usize = 60;

/// A frame and where in it the walk stands.
#[derive(Clone, Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    /// Where the client's address is: its last four bytes.
    pub address: usize,
    /// Where TCP's sequence number is.
    pub seq: usize,
}

impl Frame {
    /// Puts the frame one step before the start of a round, with which it begins with its sequence number.
    pub fn before(&mut self, route: &Route) {
        let (_, seq) = self.place();
        let address = route.first + (route.flows - route.step) % route.flows;
        self.bytes[self.address..][..4].copy_from_slice(&address.to_be_bytes());
        if route.advance != 0 {
            self.bytes[self.seq..][..4].copy_from_slice(&seq.wrapping_sub(route.advance).to_be_bytes());
        }
    }

    /// Address and sequence number in it.
    pub fn place(&self) -> (u32, u32) {
        let word = |at: usize| {
            self.bytes[at..]
                .first_chunk()
                .map_or(0, |w| u32::from_be_bytes(*w))
        };
        (word(self.address), word(self.seq))
    }
}

/// What the frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Tcp4,
    /// With a VLAN tag; the same flows as without.
    TaggedTcp4,
    Tcp6,
    Udp4,
}

impl Shape {
    fn v6(self) -> bool {
        self == Shape::Tcp6
    }

    /// What makes a flow of this kind: TCP's handshake, or a datagram.
    pub fn opening(self) -> Vec<Frame> {
        if self == Shape::Udp4 {
            return vec![self.payload(0, 64)];
        }
        vec![
            self.tcp(true, ISN, 0, SYN, 0),
            self.tcp(false, SERVER_ISN, ISN + 1, SYN | ACK, 0),
            self.ack(ISN + 1),
        ]
    }

    /// A pure acknowledgement of the client's.
    pub fn ack(self, seq: u32) -> Frame {
        self.tcp(true, seq, SERVER_ISN + 1, ACK, 0)
    }

    /// So many bytes of the client's.
    pub fn payload(self, seq: u32, len: usize) -> Frame {
        if self != Shape::Udp4 {
            return self.tcp(true, seq, SERVER_ISN + 1, ACK, len);
        }
        let mut h = vec![0x9c, 0x40, 0x9c, 0x41];
        h.extend(((8 + len) as u16).to_be_bytes());
        h.extend([0, 0]);
        h.resize(8 + len, b'x');
        self.wrap(true, 17, &h)
    }

    fn tcp(self, by_client: bool, seq: u32, ack: u32, flags: u8, len: usize) -> Frame {
        const PORTS: [[u8; 2]; 2] = [[0x9c, 0x40], [0x13, 0x89]];
        let mut h = Vec::new();
        h.extend(PORTS[!by_client as usize]);
        h.extend(PORTS[by_client as usize]);
        h.extend(seq.to_be_bytes());
        h.extend(ack.to_be_bytes());
        h.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        h.resize(20 + len, b'x');
        self.wrap(by_client, 6, &h)
    }

    /// Puts IP and Ethernet before it. Checksums are 0: the kernel's program does not look at them.
    fn wrap(self, by_client: bool, proto: u8, segment: &[u8]) -> Frame {
        let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if self == Shape::TaggedTcp4 {
            f.extend([0x81, 0, 0, 5]);
        }
        let l3 = f.len() + 2;
        let address = if self.v6() {
            let end = |last: u32| {
                let mut a = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0];
                a.extend(last.to_be_bytes());
                a
            };
            f.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            f.extend((segment.len() as u16).to_be_bytes());
            f.extend([proto, 64]);
            let (client, server) = (end(FIRST), end(1));
            f.extend(if by_client {
                [client, server].concat()
            } else {
                [server, client].concat()
            });
            l3 + if by_client { 20 } else { 36 }
        } else {
            f.extend([8, 0, 0x45, 0]);
            f.extend(((20 + segment.len()) as u16).to_be_bytes());
            f.extend([0, 0, 0x40, 0, 64, proto, 0, 0]);
            let (client, server) = (FIRST.to_be_bytes(), [10, 0, 0, 1]);
            f.extend(if by_client {
                [client, server].concat()
            } else {
                [server, client].concat()
            });
            l3 + if by_client { 12 } else { 16 }
        };
        let seq = f.len() + 4;
        f.extend(segment);
        f.resize(f.len().max(SHORTEST), 0);
        Frame {
            bytes: f,
            address,
            seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn frames_are_what_they_are_to_be() {
        for shape in [Shape::Tcp4, Shape::TaggedTcp4, Shape::Tcp6, Shape::Udp4] {
            let mut frames = shape.opening();
            frames.push(shape.payload(77, 1460));
            for f in &frames {
                let p = SlicedPacket::from_ethernet(&f.bytes).unwrap();
                assert_eq!(
                    p.link_exts.len(),
                    (shape == Shape::TaggedTcp4) as usize,
                    "{shape:?}"
                );
                let client = match p.net.unwrap() {
                    NetSlice::Ipv4(ip) => {
                        let h = ip.header().to_header();
                        [h.source, h.destination].map(u32::from_be_bytes)
                    }
                    NetSlice::Ipv6(ip) => {
                        let h = ip.header().to_header();
                        [h.source, h.destination].map(|a| u128::from_be_bytes(a) as u32)
                    }
                    _ => panic!("no IP"),
                };
                assert!(client.contains(&FIRST) && f.place().0 == FIRST, "{shape:?}");
                match p.transport.unwrap() {
                    TransportSlice::Tcp(t) => assert_eq!(f.place().1, t.sequence_number(), "{shape:?}"),
                    TransportSlice::Udp(u) => assert_eq!(u.length() as usize, u.payload().len() + 8),
                    _ => panic!("neither TCP nor UDP"),
                }
            }
        }
    }
}
