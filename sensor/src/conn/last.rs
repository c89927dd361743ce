//! The last header of an IPv6 packet that is of no connection.

/// RFC 4303.
pub const IPPROTO_ESP: u8 = 50;
/// RFC 6275, 6.1.
pub const IPPROTO_MOBILITY: u8 = 135;

const HOPOPTS: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AH: u8 = 51;
const DSTOPTS: u8 = 60;

/// What the chain of headers ends with; None where the packet is cut before, or is not IPv6.
pub fn last_header(ip: &[u8]) -> Option<u8> {
    if ip.first()? >> 4 != 6 {
        return None;
    }
    let mut next = *ip.get(6)?;
    let mut at = 40;
    // Each header takes eight bytes or more, so this ends with the packet.
    loop {
        let len = match next {
            HOPOPTS | ROUTING | DSTOPTS => 8 + 8 * *ip.get(at + 1)? as usize,
            AH => 8 + 4 * *ip.get(at + 1)? as usize,
            FRAGMENT => 8,
            _ => return Some(next),
        };
        next = *ip.get(at)?;
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_chain() {
        let mut ip6 = vec![0x60, 0, 0, 0, 0, 0, DSTOPTS];
        ip6.resize(40, 0);
        // Two units of eight bytes, then hop-by-hop, then mobility.
        ip6.extend([HOPOPTS, 1]);
        ip6.resize(56, 0);
        ip6.extend([IPPROTO_MOBILITY, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(last_header(&ip6), Some(IPPROTO_MOBILITY));
        for cut in 0..57 {
            assert!(!matches!(
                last_header(&ip6[..cut]),
                Some(IPPROTO_MOBILITY | IPPROTO_ESP)
            ));
        }
        assert_eq!(last_header(&[0x45; 60]), None);
    }
}
