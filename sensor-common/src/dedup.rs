//! Packets that come twice, as where several taps or mirror ports give a sensor the same traffic. Here is the memory of
//! those of the last moments, and the hash that the BPF program knows them by; what of a packet is hashed is said where it
//! is done.
#![allow(
    unsafe_code,
    reason = "places are map values that other CPUs write at the same time"
)]

/// How many packets are remembered, in sets of [`WAYS`].
pub const SETS: u32 = 1 << 15;
/// Places that a packet may have.
pub const WAYS: usize = 4;

/// A packet that was seen. Two CPUs may write one at the same time, and then one half of it may be of either: so it is only
/// one if both halves agree.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The packet's hash, which is never 0, XOR `ts`.
    check: u64,
    /// When it came, ns.
    ts: u64,
}

/// A set of places: a cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Places([Place; WAYS]);

/// Which of `sets` sets (a power of two) is a packet's.
#[inline(always)]
pub fn set(hash: u64, sets: u32) -> u32 {
    (hash >> 32) as u32 & (sets - 1)
}

/// Whether a packet of this hash, which is not 0, came within `window` ns before or after `ts`; if not, it takes the place of
/// the oldest one in its set. Its time is that of its first copy, so it is not put off for ever.
///
/// Two CPUs that get the two copies at once may both find nothing, and a place may be overwritten within the window: then a
/// copy is counted like a packet of its own. Nothing makes a packet that came once a copy, but that its hash is another's.
///
/// # Safety
/// `at` is valid for reads and writes; others may be doing this at the same time.
#[inline(always)]
pub unsafe fn is_again(at: *mut Places, hash: u64, ts: u64, window: u64) -> bool {
    let first = at.cast::<Place>();
    let (mut oldest, mut since) = (first, u64::MAX);
    for i in 0..WAYS {
        // SAFETY: the caller's word. Volatile: each half is read once.
        let (place, check, seen) = unsafe {
            let p = first.add(i);
            (
                p,
                (&raw const (*p).check).read_volatile(),
                (&raw const (*p).ts).read_volatile(),
            )
        };
        if check ^ seen == hash && ts.abs_diff(seen) <= window {
            return true;
        }
        if seen < since {
            (oldest, since) = (place, seen);
        }
    }
    // SAFETY: as above.
    unsafe {
        (&raw mut (*oldest).check).write_volatile(hash ^ ts);
        (&raw mut (*oldest).ts).write_volatile(ts);
    }
    false
}

/// Most bytes of a packet that are hashed.
pub const MOST: usize = 2048;
/// As many from its start are summed up twice: all headers, most often.
pub const TWICE: usize = 128;
/// Pairs of words in the hash's key.
pub const KEY_PAIRS: usize = MOST / 8 + 1;

/// A keyed hash of pairs of words, after NH (UMAC, RFC 4418, 5.2; without its truncations, which take more instructions and
/// are not needed where sums wrap at 64 bits). Two inputs that were chosen without knowing the key have the same first sum with a
/// probability of 2^-32, and where they differ in what is summed up twice, both with 2^-64. It is a few instructions a word. SipHash
/// has some thirty, and other fast hashes rest on a multiplication with a wide result, which BPF has not.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    first: u64,
    second: u64,
}

impl Sum {
    /// For an input of so many bytes, of which the last pair is filled up with zeros.
    #[inline(always)]
    pub fn of(len: u32) -> Sum {
        Sum {
            first: len as u64,
            second: 0,
        }
    }

    /// Adds a pair of the input, with the pair at the same place of the key.
    #[inline(always)]
    pub fn add(&mut self, pair: [u32; 2], key: [u32; 2]) {
        self.first = self.first.wrapping_add(product(pair, key));
    }

    /// Adds it to the second sum, with the key's next pair.
    #[inline(always)]
    pub fn add_twice(&mut self, pair: [u32; 2], next: [u32; 2]) {
        self.second = self.second.wrapping_add(product(pair, next));
    }

    /// The hash, which is never 0.
    #[inline(always)]
    pub fn hash(self) -> u64 {
        mix(mix(self.first) ^ self.second) | 1
    }
}

#[inline(always)]
fn product(pair: [u32; 2], key: [u32; 2]) -> u64 {
    let [low, high] = [0, 1].map(|i| pair[i] as u64 + key[i] as u64);
    low.wrapping_mul(high)
}

/// Every bit of the result depends on every bit of `v` (MurmurHash3's last step).
#[inline(always)]
fn mix(mut v: u64) -> u64 {
    v ^= v >> 33;
    v = v.wrapping_mul(0xff51_afd7_ed55_8ccd);
    v ^= v >> 33;
    v = v.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    v ^ v >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(word: u64) -> [u32; 2] {
        [word as u32, (word >> 32) as u32]
    }

    fn key() -> [[u32; 2]; KEY_PAIRS] {
        let mut v = 7;
        [(); KEY_PAIRS].map(|()| {
            v = mix(v + 1);
            pair(v)
        })
    }

    fn hash(bytes: &[u8]) -> u64 {
        let key = key();
        let mut sum = Sum::of(bytes.len() as u32);
        for (i, word) in bytes.chunks(8).enumerate() {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            let pair = pair(u64::from_le_bytes(whole));
            sum.add(pair, key[i]);
            if i < TWICE / 8 {
                sum.add_twice(pair, key[i + 1]);
            }
        }
        sum.hash()
    }

    #[test]
    fn every_bit_counts_and_so_does_the_length() {
        let bytes: [u8; 160] = core::array::from_fn(|i| i as u8);
        let first = hash(&bytes);
        for bit in 0..8 * bytes.len() {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(&other), first, "bit {bit}");
            // What hashes that only multiply cannot tell.
            other[(bit / 8 + 8) % 160] ^= 0x80;
            assert_ne!(hash(&other), first, "bit {bit}");
        }
        assert_ne!(hash(&[0; 8]), hash(&[0; 7]));
        assert_ne!(
            hash(&[1, 0, 0, 0, 0, 0, 0, 0, 2]),
            hash(&[2, 0, 0, 0, 0, 0, 0, 0, 1])
        );
    }

    fn again(at: &mut Places, hash: u64, ts: u64) -> bool {
        // SAFETY: an exclusive reference.
        unsafe { is_again(at, hash, ts, 100) }
    }

    #[test]
    fn a_set_remembers_the_newest() {
        let mut at = Places::default();
        for n in 1..=4 {
            assert!(!again(&mut at, n, 1000 + n));
        }
        assert!((1..=4).all(|n| again(&mut at, n, 1010)));
        assert!(!again(&mut at, 5, 1011), "in the place of 1");
        assert!((2..=5).all(|n| again(&mut at, n, 1012)));
        assert!(!again(&mut at, 1, 1013), "in the place of 2");
        assert!(!again(&mut at, 2, 1013));
    }

    /// Whatever one CPU writes between another's two halves.
    #[test]
    fn halves_of_two_packets_are_none() {
        let mut torn = Places::default();
        torn.0[0] = Place {
            check: 5 ^ 1000,
            ts: 1001,
        };
        for hash in [5, 5 ^ 1000, 7] {
            let mut at = torn;
            assert!(!again(&mut at, hash, 1002));
        }
    }

    #[test]
    fn empty_places_are_no_packet() {
        assert!((1..100).all(|hash| !again(&mut Places::default(), hash, 0)));
    }
}
