//! DNP3's link layer: headers and checksums. What is in the blocks is not read.

use crate::analyzer::api::{Ctx, Next};

/// What a header begins with.
pub const START: [u8; 2] = [0x05, 0x64];

/// Header, its checksum and the transport layer's byte.
const HEADER: usize = 11;
/// Bytes of the header that its checksum is over.
const CHECKED: usize = 8;
/// Bytes behind the length that it counts and that are before the blocks: control and two addresses.
const ADDRESSES: usize = 5;
/// A block's bytes before its checksum.
const BLOCK: usize = 16;
const CHECKSUM: usize = 2;

/// Both directions' frames.
#[derive(Debug, Default)]
pub struct Frames {
    sides: [Side; 2],
    over: bool,
}

#[derive(Debug, Default)]
struct Side {
    /// A frame as far as it is there: at most 292 bytes.
    kept: Vec<u8>,
    /// A first block of a message was seen, and not its last.
    has_begun: bool,
}

impl Frames {
    /// Whether a stream or datagram begins with a header's first bytes.
    pub fn begin(bytes: &[u8]) -> bool {
        bytes.starts_with(&START)
    }

    /// Takes bytes of a direction, up to what makes no sense.
    pub fn read(&mut self, is_orig: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        let side = &mut self.sides[usize::from(!is_orig)];
        self.over |= side.read(is_orig, bytes, ctx).is_none();
        match self.over {
            true => Next::Stop,
            false => Next::More,
        }
    }

    /// Originator and responder change places.
    pub fn flip(&mut self) {
        self.sides.swap(0, 1);
    }
}

impl Side {
    /// None: the rest of the connection is not to be read.
    fn read(&mut self, is_orig: bool, mut bytes: &[u8], ctx: &mut Ctx<'_>) -> Option<()> {
        while !bytes.is_empty() {
            if self.kept.len() < HEADER {
                self.fill(HEADER, &mut bytes);
                if self.kept.len() < HEADER {
                    break;
                }
                if !self.header(is_orig, ctx)? {
                    // Nothing but a link layer's message: what else came with it is dropped.
                    self.kept.clear();
                    self.has_begun = false;
                    break;
                }
            }
            let whole = self.frame_len(ctx)?;
            self.fill(whole, &mut bytes);
            if self.kept.len() == whole {
                self.blocks(ctx)?;
                self.kept.clear();
            }
        }
        Some(())
    }

    fn fill(&mut self, to: usize, bytes: &mut &[u8]) {
        let n = to.saturating_sub(self.kept.len()).min(bytes.len());
        let (part, rest) = bytes.split_at(n);
        self.kept.extend_from_slice(part);
        *bytes = rest;
    }

    fn at(&self, at: usize) -> u8 {
        self.kept.get(at).copied().unwrap_or(0)
    }

    /// A header is there. Whether blocks follow it.
    fn header(&self, is_orig: bool, ctx: &mut Ctx<'_>) -> Option<bool> {
        if !self.kept.starts_with(&START) {
            ctx.out.weird("dnp3_header_lacks_magic", "");
            return None;
        }
        let (checked, sum) = self.kept.split_at_checked(CHECKED)?;
        if !is_sum(checked, sum) {
            ctx.out.weird("dnp3_corrupt_header_checksum", "");
            ctx.violation("broken_checksum");
            return None;
        }
        ctx.confirm();
        if usize::from(self.at(2)) == ADDRESSES {
            return Some(false);
        }
        if is_orig != (self.at(3) & 0x80 != 0) {
            ctx.out.weird("dnp3_unexpected_flow_direction", "");
        }
        Some(true)
    }

    /// Bytes of the frame whose header is there.
    fn frame_len(&self, ctx: &mut Ctx<'_>) -> Option<usize> {
        let len = usize::from(self.at(2));
        if len == 0 {
            ctx.out.weird("dnp3_negative_or_zero_length_link_layer", "");
            return None;
        }
        match len.checked_sub(ADDRESSES) {
            Some(len) => Some(HEADER - 1 + len + len.div_ceil(BLOCK) * CHECKSUM),
            // Zeek's arithmetic: of these only 4 is a frame, and one without blocks.
            None => (len == 4).then_some(HEADER),
        }
    }

    /// All blocks of a frame are there.
    fn blocks(&mut self, ctx: &mut Ctx<'_>) -> Option<()> {
        let mut rest = self.kept.get(HEADER - 1..)?;
        let mut left = usize::from(self.at(2)).saturating_sub(ADDRESSES);
        while left > 0 {
            let n = left.min(BLOCK);
            let (block, sum) = rest.split_at_checked(n)?;
            if !is_sum(block, sum) {
                ctx.out.weird("dnp3_corrupt_app_chunk_checksum", "");
                return None;
            }
            rest = sum.get(CHECKSUM..)?;
            left -= n;
        }
        let transport = self.at(HEADER - 1);
        self.has_begun |= transport & 0x40 != 0;
        if !self.has_begun {
            ctx.out.weird("dnp3_first_application_layer_chunk_missing", "");
            return None;
        }
        self.has_begun &= transport & 0x80 == 0;
        Some(())
    }
}

/// Whether `sum` begins with the checksum of `bytes` (CRC-16/DNP, the low byte first).
fn is_sum(bytes: &[u8], sum: &[u8]) -> bool {
    let crc = bytes.iter().fold(0u16, |crc, b| {
        (0..8).fold(crc ^ u16::from(*b), |crc, _| match crc & 1 {
            0 => crc >> 1,
            _ => crc >> 1 ^ 0xa6bc,
        })
    });
    sum.starts_with(&(!crc).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::talk::{tcp, tcp_pieces};

    /// `bytes` and their checksum.
    fn sum(bytes: &[u8]) -> Vec<u8> {
        let of = |n: u16| n.to_le_bytes();
        let found = (0..=u16::MAX).find(|n| is_sum(bytes, &of(*n))).unwrap();
        [bytes, &of(found)].concat()
    }

    /// A frame that the originator sends, with what its blocks carry.
    fn frame(data: &[u8]) -> Vec<u8> {
        let len = (data.len() + ADDRESSES) as u8;
        let mut frame = sum(&[0x05, 0x64, len, 0xc4, 3, 0, 4, 0]);
        data.chunks(BLOCK).for_each(|block| frame.extend(sum(block)));
        frame
    }

    #[test]
    fn checksums_are_the_standards() {
        assert!(is_sum(b"123456789", b"\x82\xea"));
    }

    #[test]
    fn a_header_tells() {
        let read = frame(b"\xc0\xc8\x01\x3c\x02\x06\x3c\x03\x06\x3c\x04\x06\x3c\x01\x06");
        let long = frame(&[0xc0; 40]);
        for size in [1, 7, 1000] {
            let talk = tcp_pieces(20000, &[(true, &read), (true, &long), (true, &read)], size);
            assert_eq!(
                (talk.services.as_str(), talk.said),
                ("dnp3_tcp", vec!["+dnp3_tcp".into()])
            );
        }
        assert_eq!(tcp(20001, &[(true, &read)]).services, "");
        // On any port it is known by what the responder sends.
        let talk = tcp(20001, &[(true, &read), (false, &read)]);
        assert_eq!(talk.services, "dnp3_tcp");
        assert_eq!(talk.said, ["+dnp3_tcp", "? dnp3_unexpected_flow_direction"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let good = frame(b"\xc0\xc8\x01");
        let of = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bad = good.clone();
            change(&mut bad);
            let talk = tcp(20000, &[(true, &good), (true, &bad), (true, b"x")]);
            (talk.services, talk.said.get(1..).unwrap_or(&[]).join(","))
        };
        let held = |weird: &str| ("dnp3_tcp".to_owned(), weird.to_owned());
        assert_eq!(of(&|bad| bad[0] = 4), held("? dnp3_header_lacks_magic"));
        let broken = "? dnp3_corrupt_header_checksum,-dnp3_tcp: broken_checksum";
        assert_eq!(of(&|bad| bad[8] ^= 1), ("".into(), broken.into()));
        assert_eq!(of(&|bad| bad[11] ^= 1), held("? dnp3_corrupt_app_chunk_checksum"));
        let missing = held("? dnp3_first_application_layer_chunk_missing");
        assert_eq!(
            of(&|bad| bad.splice(10.., sum(b"\x80\xc8\x01")).for_each(drop)),
            missing
        );
        let zero = sum(&[0x05, 0x64, 0, 0xc4, 3, 0, 4, 0]);
        let negative = held("? dnp3_negative_or_zero_length_link_layer");
        assert_eq!(of(&|bad| bad.splice(..10, zero.clone()).for_each(drop)), negative);
        for len in 1..ADDRESSES as u8 {
            let short = sum(&[0x05, 0x64, len, 0xc4, 3, 0, 4, 0]);
            assert_eq!(
                of(&|bad| bad.splice(..10, short.clone()).for_each(drop)).0,
                "dnp3_tcp"
            );
        }
    }
}
