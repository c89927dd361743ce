//! Unique ids. A part of a uid is a hash of the connection's ends without a secret, so whoever guesses both could tell whether he is
//! right. So a uid becomes another one, by a permutation with a key: no two become the same, and the way back is there for what scripts
//! want of connections.

use aes::cipher::{BlockEncrypt as _, KeyInit as _};
use aes::{Aes128, Block};

use crate::event::Uid;

/// The permutation: a Feistel network with AES, between the upper half of an id, 64 bits, and the lower one, 32 bits. Four
/// rounds make it look random to who sees as many ids as he likes (Luby and Rackoff 1988).
pub struct UidCipher(Aes128);

impl UidCipher {
    pub fn new(key: &[u8; 16]) -> UidCipher {
        UidCipher(Aes128::new(Block::from_slice(key)))
    }

    fn round(&self, n: u8, half: u64) -> u64 {
        let mut block = [0; 16];
        block[0] = n;
        block[8..].copy_from_slice(&half.to_be_bytes());
        let mut block = Block::from(block);
        self.0.encrypt_block(&mut block);
        block.first_chunk().map_or(0, |b| u64::from_be_bytes(*b))
    }

    pub fn forth(&self, uid: Uid) -> Uid {
        let (mut hi, mut lo) = uid.halves();
        for n in [0, 2] {
            hi ^= self.round(n, lo.into());
            lo ^= self.round(n + 1, hi) as u32;
        }
        Uid::of_halves(hi, lo)
    }

    pub fn back(&self, uid: Uid) -> Uid {
        let (mut hi, mut lo) = uid.halves();
        for n in [2, 0] {
            lo ^= self.round(n + 1, hi) as u32;
            hi ^= self.round(n, lo.into());
        }
        Uid::of_halves(hi, lo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_goes_forth_and_back() {
        let (cipher, other) = (UidCipher::new(&[1; 16]), UidCipher::new(&[2; 16]));
        for n in 0..1000 {
            let uid = Uid::new(7, n);
            let mapped = cipher.forth(uid);
            assert_eq!(cipher.back(mapped), uid);
            assert_ne!(mapped.upper_half(), uid.upper_half());
            assert_ne!(mapped, other.forth(uid));
        }
    }
}
