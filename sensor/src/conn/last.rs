//! The last header of an IPv6 packet that is of no connection.

use sensor_common::proto::{AH, DSTOPTS, FRAGMENT, HOPOPTS, ROUTING};

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
    use sensor_common::proto::{ESP, MOBILITY};

    #[test]
    fn follows_the_chain() {
        let mut ip6 = vec![0x60, 0, 0, 0, 0, 0, DSTOPTS];
        ip6.resize(40, 0);
        // Two units of eight bytes, then hop-by-hop, then mobility.
        ip6.extend([HOPOPTS, 1]);
        ip6.resize(56, 0);
        ip6.extend([MOBILITY, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(last_header(&ip6), Some(MOBILITY));
        for cut in 0..57 {
            assert!(!matches!(last_header(&ip6[..cut]), Some(MOBILITY | ESP)));
        }
        assert_eq!(last_header(&[0x45; 60]), None);
    }
}
