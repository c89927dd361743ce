//! Packets of a datagram, by their headers (RFC 9000, section 17), and the frames of an Initial's payload (section 19).

use std::ops::Range;

use super::names::{Family, Kind, family};

/// The shortest payload that header protection works with: a packet number of four bytes and a sample (RFC 9001, section 5.4.2).
const MIN_PAYLOAD: u64 = 20;

/// Bytes of a packet, and how many of them were read.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What was read ended too early; where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short(pub &'static str);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    fn take(&mut self, len: u64, what: &'static str) -> Result<&'a [u8], Short> {
        let len = usize::try_from(len).map_err(|_| Short(what))?;
        let taken = self.rest().get(..len).ok_or(Short(what))?;
        self.at += len;
        Ok(taken)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, Short> {
        self.take(1, what).map(|b| b.first().copied().unwrap_or(0))
    }

    /// A number of variable length (section 16).
    fn varint(&mut self, what: &'static str) -> Result<u64, Short> {
        let first = self.u8(what)?;
        let more = self.take((1 << (first >> 6)) - 1, what)?;
        let start = u64::from(first & 0x3f);
        Ok(more.iter().fold(start, |v, b| v << 8 | u64::from(*b)))
    }
}

/// A packet with a long header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Long<'a> {
    /// As on the wire.
    pub version: u32,
    /// Destination and source connection id.
    pub dcid: &'a [u8],
    /// The sender's own.
    pub scid: &'a [u8],
    /// What it is and carries.
    pub body: Body<'a>,
    /// The whole packet.
    pub packet: &'a [u8],
}

/// What follows a long header's connection ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Of a version that is not read.
    Unknown,
    /// Of an Initial: where in the packet its packet number begins and its payload ends.
    Initial(Family, Range<usize>),
    /// Data of a client that was here before.
    ZeroRtt,
    /// The handshake's protected part.
    Handshake,
    /// A token to come back with, and a check sum over the packet.
    Retry {
        /// To be sent with the next Initial.
        token: &'a [u8],
        /// Sixteen bytes.
        integrity: &'a [u8],
    },
}

/// Bit of the first byte that all packets have (section 17.2).
const FIXED: u8 = 0x40;
/// Bit of the first byte of long headers.
const LONG: u8 = 0x80;

/// The next packet of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Not one of QUIC's, or one that hides it; it takes the rest of the datagram.
    Discarded,
    /// With a short header; it takes the rest of the datagram.
    Short,
    /// With a long header.
    Long(Long<'a>),
}

/// Reads the first packet of what is left of a datagram.
pub fn packet(bytes: &[u8]) -> Result<Packet<'_>, Short> {
    let mut r = Reader::new(bytes);
    let first = r.u8("first byte")?;
    if first & FIXED == 0 {
        return Ok(Packet::Discarded);
    }
    if first & LONG == 0 {
        return Ok(Packet::Short);
    }
    let version = r.take(4, "version")?;
    let version = version.iter().fold(0, |v, b| v << 8 | u32::from(*b));
    let len = r.u8("connection id")?;
    let dcid = r.take(len.into(), "connection id")?;
    let len = r.u8("connection id")?;
    let scid = r.take(len.into(), "connection id")?;
    let body = match family(version).map(|f| (f, f.kind(first >> 4))) {
        None => {
            r.take(r.rest().len() as u64, "")?;
            Body::Unknown
        }
        Some((f, Kind::Initial)) => {
            let len = r.varint("token")?;
            r.take(len, "token")?;
            let len = r.varint("length")?;
            if len < MIN_PAYLOAD {
                return Err(Short("Initial packet's payload"));
            }
            let start = r.at;
            r.take(len, "payload")?;
            Body::Initial(f, start..r.at)
        }
        Some((_, kind @ (Kind::ZeroRtt | Kind::Handshake))) => {
            let len = r.varint("length")?;
            r.take(len, "payload")?;
            match kind {
                Kind::ZeroRtt => Body::ZeroRtt,
                _ => Body::Handshake,
            }
        }
        Some((_, Kind::Retry)) => {
            let rest = r.take(r.rest().len() as u64, "")?;
            let at = rest.len().checked_sub(16).ok_or(Short("integrity tag"))?;
            let (token, integrity) = rest.split_at(at);
            Body::Retry { token, integrity }
        }
    };
    Ok(Packet::Long(Long {
        version,
        dcid,
        scid,
        body,
        packet: bytes.get(..r.at).unwrap_or(bytes),
    }))
}

/// A frame that is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A piece of the handshake.
    Crypto {
        /// Its place among the bytes of its direction.
        offset: u64,
        /// The piece.
        data: &'a [u8],
    },
    /// The sender is done with the connection.
    Close {
        /// Why (section 20).
        error_code: u64,
        /// The same for people.
        reason: &'a [u8],
    },
}

/// What an Initial's payload says that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It ends too early.
    Short(Short),
    /// A frame that no Initial may have.
    Frame(u8),
}

/// Reads the frames of an Initial's payload, in order.
pub fn frames<'a>(payload: &'a [u8], mut each: impl FnMut(Frame<'a>)) -> Result<(), Bad> {
    let mut r = Reader::new(payload);
    while let Some(kind) = r.rest().first().copied() {
        r.at += 1;
        frame(kind, &mut r, &mut each)?;
    }
    Ok(())
}

fn frame<'a>(kind: u8, r: &mut Reader<'a>, each: &mut impl FnMut(Frame<'a>)) -> Result<(), Bad> {
    const ACK: &str = "ACK frame";
    match kind {
        // PADDING, PING.
        0 | 1 => {}
        // ACK, without and with counts of congestion marks.
        2 | 3 => {
            r.varint(ACK)?;
            r.varint(ACK)?;
            let ranges = r.varint(ACK)?;
            r.varint(ACK)?;
            for _ in 0..ranges {
                r.varint(ACK)?;
                r.varint(ACK)?;
            }
            for _ in 0..3 * u8::from(kind == 3) {
                r.varint(ACK)?;
            }
        }
        6 => {
            let offset = r.varint("CRYPTO frame")?;
            let len = r.varint("CRYPTO frame")?;
            let data = r.take(len, "CRYPTO frame")?;
            each(Frame::Crypto { offset, data });
        }
        // CONNECTION_CLOSE of the transport.
        0x1c => {
            let error_code = r.varint("CONNECTION_CLOSE frame")?;
            r.varint("CONNECTION_CLOSE frame")?;
            let len = r.varint("CONNECTION_CLOSE frame")?;
            let reason = r.take(len, "CONNECTION_CLOSE frame")?;
            each(Frame::Close { error_code, reason });
        }
        other => return Err(Bad::Frame(other)),
    }
    Ok(())
}

impl From<Short> for Bad {
    fn from(short: Short) -> Bad {
        Bad::Short(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_lengths_that_they_say() {
        // RFC 9000, appendix A.1.
        for (bytes, want) in [
            (&b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c"[..], 151_288_809_941_952_652),
            (b"\x9d\x7f\x3e\x7d", 494_878_333),
            (b"\x7b\xbd", 15_293),
            (b"\x25", 37),
        ] {
            assert_eq!(Reader::new(bytes).varint(""), Ok(want));
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(Reader::new(cut).varint("n"), Err(Short("n")));
        }
    }

    #[test]
    fn packets_are_told_by_their_first_byte_and_version() {
        let unknown = b"\xc0\x10\x01\0\0\x01\0\0more";
        let Ok(Packet::Long(long)) = packet(unknown) else {
            panic!("a long header");
        };
        assert_eq!(
            (long.version, long.dcid, long.scid),
            (0x1001_0000, &b"\0"[..], &b""[..])
        );
        assert_eq!((long.body, long.packet.len()), (Body::Unknown, unknown.len()));
        assert_eq!(packet(b"\x40abc"), Ok(Packet::Short));
        assert_eq!(packet(b"\x80abc"), Ok(Packet::Discarded));
        let retry = b"\xf0\0\0\0\x01\0\x02idtoken0123456789abcdef";
        let Ok(Packet::Long(long)) = packet(retry) else {
            panic!("a long header");
        };
        let (token, integrity) = (&b"token"[..], &b"0123456789abcdef"[..]);
        assert_eq!(long.body, Body::Retry { token, integrity });
        let mut initial = b"\xc0\0\0\0\x01\x01d\x01s\x00\x14".to_vec();
        initial.extend([7; 20]);
        initial.extend(b"next");
        let Ok(Packet::Long(long)) = packet(&initial) else {
            panic!("a long header");
        };
        assert_eq!(long.body, Body::Initial(Family::V1, 11..31));
        assert_eq!(long.packet.len(), 31);
        assert_eq!(packet(&initial[..30]), Err(Short("payload")));
    }

    #[test]
    fn frames_are_read_up_to_one_that_is_none() {
        let payload = b"\0\0\x01\x02\x05\x00\x01\x00\x02\x03\x06\x02\x03abc\x1c\x0a\x00\x02no";
        let mut seen = Vec::new();
        assert_eq!(frames(payload, |f| seen.push(f)), Ok(()));
        let (data, reason) = (&b"abc"[..], &b"no"[..]);
        let close = Frame::Close {
            error_code: 10,
            reason,
        };
        assert_eq!(seen, [Frame::Crypto { offset: 2, data }, close]);
        assert_eq!(frames(b"\x01\x08", |_| {}), Err(Bad::Frame(8)));
        for n in 4..payload.len() {
            // What is cut off is told, or the payload ends between frames.
            let cut = frames(&payload[..n], |_| {});
            assert!(cut.is_ok() == [10, 16].contains(&n), "{n}: {cut:?}");
        }
    }
}
