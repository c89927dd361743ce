//! Crafted TCP segments, sent past the kernel's TCP: for states that no real stack gets into.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, bail};
use etherparse::PacketBuilder;

use crate::lab::Lab;
use crate::link;

// TCP flag bits (RFC 9293, 3.1).
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

/// A packet socket that only sends.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    ifindex: i32,
}

impl PacketSocket {
    /// Opens one on an interface of the current namespace.
    pub fn open(ifname: &str) -> Result<Self> {
        let ifindex = link::index(ifname)? as i32;
        // SAFETY: plain socket creation, protocol 0: it receives nothing. The result is checked.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error()).context("packet socket");
        }
        // SAFETY: a descriptor that was just made and that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(PacketSocket { fd, ifindex })
    }

    /// Sends one Ethernet frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        // SAFETY: all zeroes is a valid sockaddr_ll.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = self.ifindex;
        // SAFETY: the frame and the address live through the call, with their true lengths.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                std::mem::size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if sent != frame.len() as isize {
            bail!("packet not sent: {}", std::io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Who sends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// One segment: sequence numbers are relative to the sender's and the peer's initial ones.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub from: Side,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    /// Payload bytes.
    pub len: usize,
    pub window: u16,
}

/// A segment by the client.
pub const fn c(flags: u8, seq: u32, ack: u32, len: usize) -> Segment {
    Segment {
        from: Side::Client,
        flags,
        seq,
        ack,
        len,
        window: 4096,
    }
}

/// A segment by the server.
pub const fn s(flags: u8, seq: u32, ack: u32, len: usize) -> Segment {
    Segment {
        from: Side::Server,
        ..c(flags, seq, ack, len)
    }
}

/// The ends of a crafted connection. The addresses belong to nobody, so that no stack answers.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub v6: bool,
    pub client_port: u16,
    pub server_port: u16,
}

/// Initial sequence numbers, near the wrap for the server.
const CLIENT_ISN: u32 = 1_000_000;
const SERVER_ISN: u32 = u32::MAX - 50;
const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 1, 0x01];
const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 1, 0x02];
pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 201);
pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 202);
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x201);
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x202);

impl Ends {
    /// (client, server)
    pub fn ips(&self) -> (IpAddr, IpAddr) {
        if self.v6 {
            (CLIENT_V6.into(), SERVER_V6.into())
        } else {
            (CLIENT_V4.into(), SERVER_V4.into())
        }
    }

    /// IP bytes of a segment on the wire.
    pub fn ip_len(&self, seg: &Segment) -> u64 {
        (if self.v6 { 60 } else { 40 }) + seg.len as u64
    }

    /// The frame of a segment.
    pub fn frame(&self, seg: &Segment) -> Result<Vec<u8>> {
        let client = seg.from == Side::Client;
        let (macs, ports, isns) = if client {
            (
                (CLIENT_MAC, SERVER_MAC),
                (self.client_port, self.server_port),
                (CLIENT_ISN, SERVER_ISN),
            )
        } else {
            (
                (SERVER_MAC, CLIENT_MAC),
                (self.server_port, self.client_port),
                (SERVER_ISN, CLIENT_ISN),
            )
        };
        let eth = PacketBuilder::ethernet2(macs.0, macs.1);
        let ip = match (self.v6, client) {
            (false, true) => eth.ipv4(CLIENT_V4.octets(), SERVER_V4.octets(), 64),
            (false, false) => eth.ipv4(SERVER_V4.octets(), CLIENT_V4.octets(), 64),
            (true, true) => eth.ipv6(CLIENT_V6.octets(), SERVER_V6.octets(), 64),
            (true, false) => eth.ipv6(SERVER_V6.octets(), CLIENT_V6.octets(), 64),
        };
        let mut tcp = ip.tcp(ports.0, ports.1, isns.0.wrapping_add(seg.seq), seg.window);
        if seg.flags & SYN != 0 {
            tcp = tcp.syn();
        }
        if seg.flags & FIN != 0 {
            tcp = tcp.fin();
        }
        if seg.flags & RST != 0 {
            tcp = tcp.rst();
        }
        if seg.flags & ACK != 0 {
            tcp = tcp.ack(isns.1.wrapping_add(seg.ack));
        }
        let payload = vec![b'x'; seg.len];
        let mut frame = Vec::with_capacity(tcp.size(seg.len));
        tcp.write(&mut frame, &payload).context("segment")?;
        Ok(frame)
    }
}

/// Sends crafted segments from both ends of a lab.
#[derive(Debug)]
pub struct Crafter {
    client: PacketSocket,
    server: PacketSocket,
}

impl Crafter {
    pub fn new(lab: &Lab) -> Result<Self> {
        Ok(Crafter {
            client: lab.client.run(|| PacketSocket::open("c0"))??,
            server: lab.server.run(|| PacketSocket::open("s0"))??,
        })
    }

    /// Plays the segments in order. The pause between them keeps the order when the two ends'
    /// packets are received by different CPUs.
    pub fn play(&self, ends: &Ends, segments: &[Segment]) -> Result<()> {
        self.play_as(ends, segments, |_, frame| frame.to_vec())
    }

    /// As [`Crafter::play`], with each frame changed before it is sent.
    pub fn play_as(
        &self,
        ends: &Ends,
        segments: &[Segment],
        change: impl Fn(Side, &[u8]) -> Vec<u8>,
    ) -> Result<()> {
        for seg in segments {
            self.put(seg.from, &change(seg.from, &ends.frame(seg)?))?;
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Ok(())
    }

    /// Sends one segment, without a pause.
    pub fn send(&self, ends: &Ends, seg: &Segment) -> Result<()> {
        self.put(seg.from, &ends.frame(seg)?)
    }

    fn put(&self, from: Side, frame: &[u8]) -> Result<()> {
        match from {
            Side::Client => self.client.send(frame),
            Side::Server => self.server.send(frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_parse_back() {
        for v6 in [false, true] {
            let ends = Ends {
                v6,
                client_port: 40_000,
                server_port: 80,
            };
            let seg = s(ACK | FIN, 5, 9, 3);
            let frame = ends.frame(&seg).unwrap();
            let p = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::TransportSlice::Tcp(t)) = p.transport else {
                panic!("no TCP");
            };
            assert_eq!((t.source_port(), t.destination_port()), (80, 40_000));
            assert_eq!(t.sequence_number(), SERVER_ISN.wrapping_add(5));
            assert_eq!(t.acknowledgment_number(), CLIENT_ISN + 9);
            assert!(t.fin() && t.ack() && !t.syn() && !t.rst());
            assert_eq!(t.payload().len(), 3);
            assert_eq!(frame.len() as u64, 14 + ends.ip_len(&seg));
        }
    }
}
