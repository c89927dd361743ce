//! Numbers and addresses in network byte order, read from bytes that may end before them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The `N` bytes from `at` on, if they are all there.
#[inline(always)]
fn array<const N: usize>(b: &[u8], at: usize) -> Option<[u8; N]> {
    b.get(at..)?.first_chunk().copied()
}

/// Big-endian 16-bit number at `at`, if it is there.
#[inline(always)]
pub fn be16(b: &[u8], at: usize) -> Option<u16> {
    array(b, at).map(u16::from_be_bytes)
}

/// Big-endian 32-bit number at `at`, if it is there.
#[inline(always)]
pub fn be32(b: &[u8], at: usize) -> Option<u32> {
    array(b, at).map(u32::from_be_bytes)
}

/// Big-endian 64-bit number at `at`, if it is there.
#[inline(always)]
pub fn be64(b: &[u8], at: usize) -> Option<u64> {
    array(b, at).map(u64::from_be_bytes)
}

/// IPv4 address at `at`, if it is there.
pub fn ipv4(b: &[u8], at: usize) -> Option<Ipv4Addr> {
    array::<4>(b, at).map(Ipv4Addr::from)
}

/// IPv6 address at `at`, if it is there.
pub fn ipv6(b: &[u8], at: usize) -> Option<Ipv6Addr> {
    array::<16>(b, at).map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_there_or_not() {
        let b = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(
            (be16(&b, 7), be16(&b, 8), be16(&b, 9)),
            (Some(0x0809), None, None)
        );
        assert_eq!((be32(&b, 5), be32(&b, 6)), (Some(0x0607_0809), None));
        assert_eq!((be64(&b, 1), be64(&b, 2)), (Some(0x0203_0405_0607_0809), None));
        assert_eq!((be16(&b, usize::MAX), be16(&[], 0)), (None, None));
        assert_eq!(
            (ipv4(&b, 5), ipv6(&b, 0)),
            (Some(Ipv4Addr::new(6, 7, 8, 9)), None)
        );
    }
}
