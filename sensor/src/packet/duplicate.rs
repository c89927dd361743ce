//! Packets that are captured twice, as where several taps or mirror ports give a sensor the same traffic.
//!
//! A packet that is sent again has another IP id, and comes later. The same one on another link differs in what routers change:
//! TTL or hop limit, DSCP and ECN, the header's checksum; and in all that is not IP. What is remembered is a keyed hash, in a
//! table of a fixed size in which later packets take the place of earlier ones: so nobody can aim at a place or fill memory.
//! The kernel's program does the same (`sensor-ebpf/src/dedup.rs`), with the same memory and another hash.
#![allow(
    unsafe_code,
    reason = "the memory is shared by the CPUs in the BPF program, which has it by pointer"
)]

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use sensor_common::dedup::{Places, is_again, set};

use crate::base::bytes::be16;

/// The packets of the last moments.
#[derive(Clone, Debug)]
pub struct Recent {
    sets: Box<[Places]>,
    window: u64,
    hasher: RandomState,
}

impl Recent {
    /// Remembers packets for `window` ns, as many as there is room for in so many sets (a power of two).
    pub fn new(sets: u32, window: u64) -> Recent {
        Recent {
            sets: vec![Places::default(); sets.next_power_of_two() as usize].into(),
            window,
            hasher: RandomState::default(),
        }
    }

    /// Whether this packet, from its IP header on, came within the window before `ts`; else it is remembered from now on. What
    /// stands behind the packet's length does not matter.
    pub fn is_again(&mut self, ip: &[u8], ts: u64) -> bool {
        let Some(hash) = self.hash(ip) else { return false };
        let at = set(hash, self.sets.len() as u32);
        let Some(places) = self.sets.get_mut(at as usize) else {
            return false;
        };
        // SAFETY: an exclusive reference.
        unsafe { is_again(places, hash, ts, self.window) }
    }

    /// None: it is no IP packet.
    fn hash(&self, ip: &[u8]) -> Option<u64> {
        let mut h = self.hasher.build_hasher();
        let ip = match ip.first()? >> 4 {
            4 => {
                let ip = up_to(ip, be16(ip, 2)?.into());
                h.write_u8(*ip.first()?);
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
        for (first, same) in [
            (V4.to_vec(), &[1, 8, 10, 11, 24][..]),
            (v6(), &[0, 1, 2, 3, 7][..]),
        ] {
            for at in 0..first.len() {
                let mut recent = Recent::new(16, 100);
                assert!(!recent.is_again(&first, 1000));
                let mut second = first.clone();
                second[at] ^= 0x08;
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
        let mut recent = Recent::new(16, 100);
        assert!(!recent.is_again(V4, 1000) && recent.is_again(V4, 1100));
        assert!(!recent.is_again(V4, 1101), "counted from the first");
        assert!(recent.is_again(V4, 1050), "clocks of taps differ");
        assert!(!recent.is_again(V4, 500));
    }

    proptest! {
        #[test]
        fn noise_does_no_harm(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..50)) {
            let mut recent = Recent::new(4, 100);
            for p in &packets {
                recent.is_again(p, 5);
            }
        }
    }
}
