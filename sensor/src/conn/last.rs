//! The last header of an IPv6 packet that is of no connection.

use sensor_common::proto::{ESP, MOBILITY};

use crate::packet::ip::ext::{ExtHeaders, is_extension};

/// What the chain of headers ends with; None where the packet is cut before, or is not IPv6.
pub fn last_header(ip: &[u8]) -> Option<u8> {
    if ip.first()? >> 4 != 6 {
        return None;
    }
    // Where the capture cut even IPv6's own header, what that names is known all the same; etherparse reads it whole only.
    let mut headers = ExtHeaders::new(ip, *ip.get(6)?);
    // Behind these two nothing can be read, or nothing is looked for; they end the chain even where they are cut.
    let ends = |id| matches!(id, ESP | MOBILITY);
    while !ends(headers.place().0) && headers.next().is_some() {}
    let (id, _) = headers.place();
    (ends(id) || !is_extension(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensor_common::proto::{DSTOPTS, HOPOPTS};

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
