//! Packets that are captured twice, as where several taps or mirror ports give a sensor the same traffic.
//!
//! A packet that is sent again has another IP id, and comes later. The same one on another link differs in what routers change:
//! TTL or hop limit, DSCP and ECN, the header's checksum; and in all that is not IP. What is remembered is a keyed hash, in a
//! table of a fixed size in which later packets take the place of earlier ones: so nobody can aim at a place or fill memory.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use crate::base::bytes::be16;

/// A packet that was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Never 0 if there is one.
    hash: u64,
    ts: u64,
}

/// The packets of the last moments.
#[derive(Clone, Debug)]
pub struct Recent {
    places: Box<[Place]>,
    window: u64,
    hasher: RandomState,
}

impl Recent {
    /// Remembers at most `2^bits` packets, 16 bytes each, for `window` ns.
    pub fn new(bits: u32, window: u64) -> Recent {
        Recent {
            places: vec![Place::default(); 1 << bits.min(24)].into(),
            window,
            hasher: RandomState::default(),
        }
    }

    /// Whether this packet, from its IP header on, came within the window before `ts`; else it is remembered from now on. What
    /// stands behind the packet's length does not matter.
    pub fn is_again(&mut self, ip: &[u8], ts: u64) -> bool {
        let Some(hash) = self.hash(ip) else { return false };
        let at = (hash >> 32) as usize & (self.places.len() - 1);
        let Some(place) = self.places.get_mut(at) else {
            return false;
        };
        if place.hash == hash && ts.abs_diff(place.ts) <= self.window {
            return true;
        }
        *place = Place { hash, ts };
        false
    }

    /// None: it is no IP packet.
    fn hash(&self, ip: &[u8]) -> Option<u64> {
        let mut h = self.hasher.build_hasher();
        let ip = match ip.first()? >> 4 {
            4 => {
                let ip = up_to(ip, be16(ip, 2)?.into());
                h.write(ip.get(2..8)?);
                h.write_u8(*ip.get(9)?);
                ip.get(12..)?
            }
            6 => {
                let ip = up_to(ip, usize::from(be16(ip, 4)?) + 40);
                h.write(ip.get(4..7)?);
                ip.get(8..)?
            }
            _ => return None,
        };
        h.write(ip);
        Some(h.finish() | 1)
    }
}

/// A length of 0 says nothing.
fn up_to(ip: &[u8], len: usize) -> &[u8] {
    ip.get(..len).filter(|_| len > 0).unwrap_or(ip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: &[u8] = &[
        0x45, 0, 0, 24, 0, 7, 0, 0, 64, 17, 9, 9, 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4, 0xee,
    ];

    fn v6() -> Vec<u8> {
        let mut p = vec![0x60, 0, 0, 0, 0, 4, 17, 64];
        p.extend([7; 36]);
        p
    }

    #[test]
    fn what_routers_change_makes_no_other_packet() {
        for (first, same) in [(V4.to_vec(), &[1, 8, 10, 11, 24][..]), (v6(), &[1, 2, 3, 7][..])] {
            for at in 1..first.len() {
                let mut recent = Recent::new(4, 100);
                assert!(!recent.is_again(&first, 1000));
                let mut second = first.clone();
                second[at] ^= 0x40;
                // Not a longer packet than there is.
                let len = matches!((first[0] >> 4, at), (4, 2 | 3) | (6, 4 | 5));
                if !len {
                    assert_eq!(recent.is_again(&second, 1000), same.contains(&at), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn it_is_one_only_for_a_while() {
        let mut recent = Recent::new(4, 100);
        assert!(!recent.is_again(V4, 1000) && recent.is_again(V4, 1100));
        assert!(!recent.is_again(V4, 1101), "counted from the first");
        assert!(recent.is_again(V4, 1050), "clocks of taps differ");
        assert!(!recent.is_again(V4, 500));
    }

    proptest! {
        #[test]
        fn noise_does_no_harm(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..50)) {
            let mut recent = Recent::new(2, 100);
            for p in &packets {
                recent.is_again(p, 5);
            }
        }
    }
}
