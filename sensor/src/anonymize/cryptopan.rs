//! Crypto-PAn (Xu, Fan, Ammar, Moon: Prefix-Preserving IP Address Anonymization, ICNP 2002), with AES-128 as its pseudorandom
//! function, as all implementations have it.
//!
//! Bit i of an address is flipped or not by what the i bits before it say: they go, in front of a secret padding, through
//! AES, and the first bit of the result is the flip.

use aes::cipher::{BlockEncrypt as _, KeyInit as _};
use aes::{Aes128, Block};

/// Bits of the longest address.
const BITS: usize = 128;

/// The scheme with its key. An address of n bits is the n highest bits of a number, all others 0.
pub struct CryptoPan {
    cipher: Aes128,
    pad: u128,
}

impl CryptoPan {
    /// `key`: 16 bytes for AES, and 16 that the padding is made of.
    pub fn new(key: &[u8; 32]) -> CryptoPan {
        let (aes, pad) = key.split_at(16);
        let cipher = Aes128::new(Block::from_slice(aes));
        let mut pad = Block::clone_from_slice(pad);
        cipher.encrypt_block(&mut pad);
        CryptoPan {
            cipher,
            pad: u128::from_be_bytes(pad.into()),
        }
    }

    /// What goes through AES for bit `i` of `addr`.
    fn block(&self, addr: u128, i: usize) -> u128 {
        let behind = u128::MAX >> i;
        addr & !behind | self.pad & behind
    }

    /// The address that stands for one of `bits` bits, at most 128. The first n bits of it follow from the first n of `addr`.
    pub fn forth(&self, addr: u128, bits: usize) -> u128 {
        let bits = bits.min(BITS);
        let mut blocks = [Block::default(); BITS];
        for (i, block) in blocks.iter_mut().enumerate().take(bits) {
            *block = Block::from(self.block(addr, i).to_be_bytes());
        }
        // Several at a time go faster than one after the other.
        self.cipher.encrypt_blocks(&mut blocks[..bits]);
        let flip = |(i, block): (usize, &Block)| u128::from(block[0] >> 7) << (BITS - 1 - i);
        blocks[..bits]
            .iter()
            .enumerate()
            .map(flip)
            .fold(addr, |addr, flip| addr ^ flip)
    }

    /// The address for which `mapped` stands.
    pub fn back(&self, mapped: u128, bits: usize) -> u128 {
        let mut addr = mapped;
        for i in 0..bits.min(BITS) {
            // Of the bits behind i nothing goes into the block.
            let mut block = Block::from(self.block(addr, i).to_be_bytes());
            self.cipher.encrypt_block(&mut block);
            addr ^= u128::from(block[0] >> 7) << (BITS - 1 - i);
        }
        addr
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// The key of the sample that comes with the first implementation.
    const KEY: [u8; 32] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121,
        101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
    ];

    fn v4(pan: &CryptoPan, addr: &str) -> String {
        let addr: Ipv4Addr = addr.parse().expect("an address");
        let mapped = pan.forth(u128::from(addr.to_bits()) << 96, 32);
        assert_eq!(mapped << 32, 0);
        assert_eq!(pan.back(mapped, 32) >> 96, u128::from(addr.to_bits()));
        Ipv4Addr::from_bits((mapped >> 96) as u32).to_string()
    }

    fn v6(pan: &CryptoPan, addr: &str) -> String {
        let addr: Ipv6Addr = addr.parse().expect("an address");
        let mapped = pan.forth(addr.to_bits(), 128);
        assert_eq!(pan.back(mapped, 128), addr.to_bits());
        Ipv6Addr::from_bits(mapped).to_string()
    }

    #[test]
    fn the_sample_of_the_first_implementation() {
        let pan = CryptoPan::new(&KEY);
        for (addr, mapped) in [
            ("128.11.68.132", "135.242.180.132"),
            ("129.118.74.4", "134.136.186.123"),
            ("130.132.252.244", "133.68.164.234"),
            ("141.223.7.43", "141.167.8.160"),
            ("141.233.145.108", "141.129.237.235"),
            ("152.163.225.39", "151.140.114.167"),
            ("156.29.3.236", "147.225.12.42"),
            ("165.247.96.84", "162.9.99.234"),
            ("166.107.77.190", "160.132.178.185"),
            ("192.102.249.13", "252.138.62.131"),
            ("192.215.32.125", "252.43.47.189"),
            ("24.0.250.221", "100.15.198.226"),
            ("63.14.55.111", "95.9.215.7"),
            ("64.39.15.238", "0.219.7.41"),
            ("10.185.25.118", "117.161.29.118"),
        ] {
            assert_eq!(v4(&pan, addr), mapped, "{addr}");
        }
    }

    /// Of another implementation, in Go (Yawning Angel's cryptopan).
    #[test]
    fn ipv6_as_others_have_it() {
        let pan = CryptoPan::new(&KEY);
        for (addr, mapped) in [
            ("::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"),
            ("::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"),
            ("::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"),
            ("2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"),
            ("2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"),
        ] {
            assert_eq!(v6(&pan, addr), mapped, "{addr}");
        }
    }

    /// yacryptopan's own example.
    #[test]
    fn a_key_of_letters() {
        let pan = CryptoPan::new(b"32-char-str-for-AES-key-and-pad.");
        assert_eq!(v4(&pan, "192.0.2.1"), "192.0.125.244");
    }

    proptest! {
        #[test]
        fn prefixes_stay_as_long_as_they_were(key: [u8; 32], a: u128, b: u128, common in 0_u32..128) {
            let pan = CryptoPan::new(&key);
            let behind = u128::MAX >> common;
            let b = a & !behind | b & behind;
            let of = |x: u128| pan.forth(x, 128);
            prop_assert_eq!((a ^ b).leading_zeros(), (of(a) ^ of(b)).leading_zeros());
            prop_assert_eq!(pan.back(of(a), 128), a);
        }
    }
}
