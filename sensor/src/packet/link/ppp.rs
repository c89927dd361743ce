//! PPP's header (RFC 1661), of which the two ends may agree to leave parts out.

use crate::base::bytes::be16;

/// Address and control of HDLC framing (RFC 1662, 3.1).
pub(super) const FRAMING: [u8; 2] = [0xff, 0x03];

/// Length of a PPP header, bytes, and the protocol in it; None if it is cut off.
///
/// Address and control may be left out (RFC 1661, 6.6), and of the protocol its first byte if that is zero (6.5). Which it
/// is shows in the bytes: a protocol's first byte is even, its last one odd (2).
pub fn ppp_header(b: &[u8]) -> Option<(usize, u16)> {
    let at = if b.starts_with(&FRAMING) { FRAMING.len() } else { 0 };
    let first = *b.get(at)?;
    if first & 1 != 0 {
        return Some((at + 1, first.into()));
    }
    Some((at + 2, be16(b, at)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_may_be_left_out() {
        assert_eq!(ppp_header(&[0xff, 3, 0, 0x21]), Some((4, 0x21)));
        assert_eq!(ppp_header(&[0xff, 3, 0x57]), Some((3, 0x57)));
        assert_eq!(ppp_header(&[0, 0x21, 0x45]), Some((2, 0x21)));
        assert_eq!(ppp_header(&[0x21, 0x45]), Some((1, 0x21)));
        assert_eq!(ppp_header(&[0xc0, 0x21]), Some((2, 0xc021)));
        for cut in [&[][..], &[0], &[0xff, 3], &[0xff, 3, 0]] {
            assert_eq!(ppp_header(cut), None, "{cut:?}");
        }
    }
}
