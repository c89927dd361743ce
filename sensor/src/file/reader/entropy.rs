//! How random a file's bytes are, by the tests of John Walker's `ent`, as Zeek's ENTROPY makes them.

use super::super::events::EntropyTestResult;
use super::found::Found;

/// Zeek's name of who makes them.
pub const NAME: &str = "ENTROPY";

/// Bytes that make a point of a square: three for each coordinate.
const POINT: usize = 6;
/// A coordinate's largest value.
const SIDE: u64 = (1 << 24) - 1;

/// What is counted of one file.
#[derive(Clone, Debug)]
pub struct Entropy {
    /// How often each byte came.
    counts: [u64; 256],
    first: u8,
    last: u8,
    /// Sum of the products of each byte with the one before it.
    products: u64,
    /// The bytes of the point under construction, and how many.
    point: [u8; POINT],
    have: usize,
    /// Points, and those of them in the circle's quarter.
    points: u64,
    inside: u64,
}

impl Default for Entropy {
    fn default() -> Entropy {
        Entropy {
            counts: [0; 256],
            first: 0,
            last: 0,
            products: 0,
            point: [0; POINT],
            have: 0,
            points: 0,
            inside: 0,
        }
    }
}

impl Entropy {
    pub fn bytes(&mut self, bytes: &[u8]) {
        let Some((first, _)) = bytes.split_first() else {
            return;
        };
        if self.is_empty() {
            self.first = *first;
            // A product with nothing.
            self.last = 0;
        }
        let mut last = u64::from(self.last);
        for b in bytes {
            let n = u64::from(*b);
            self.counts[usize::from(*b)] += 1;
            self.products = self.products.wrapping_add(last * n);
            last = n;
            self.point[self.have] = *b;
            self.have += 1;
            if self.have == POINT {
                self.point_done();
            }
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    fn point_done(&mut self) {
        let [a, b, c, d, e, f] = self.point.map(u64::from);
        let (x, y) = (a << 16 | b << 8 | c, d << 16 | e << 8 | f);
        self.have = 0;
        self.points += 1;
        self.inside += u64::from(x * x + y * y <= SIDE * SIDE);
    }

    fn is_empty(&self) -> bool {
        self.points == 0 && self.have == 0
    }

    /// The file is over, and all of it came. One of no bytes has no result, as in Zeek.
    pub fn end(&self, found: &mut Found) {
        if !self.is_empty() {
            found.entropy = Some(self.result());
        }
    }

    fn result(&self) -> EntropyTestResult {
        let bytes = || (0u64..).zip(self.counts);
        let count: u64 = self.counts.iter().sum();
        let total = count as f64;
        let expected = total / 256.0;
        let chance = |n: u64| n as f64 / total;
        let bits = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
        let off = |n: u64| (n as f64 - expected).powi(2) / expected;
        // Exact: what is not random at all has a variance of 0. No file is long enough for them to overflow.
        let sum = bytes().fold(0i128, |sum, (b, n)| sum + i128::from(b) * i128::from(n));
        let squares = bytes().fold(0i128, |sum, (b, n)| sum + i128::from(b * b) * i128::from(n));
        let of_all = |n: i128| {
            i128::from(count)
                .wrapping_mul(n)
                .wrapping_sub(sum.wrapping_mul(sum))
        };
        // The last byte is followed by the first one.
        let products = i128::from(self.products) + i128::from(self.last) * i128::from(self.first);
        let variance = of_all(squares);
        EntropyTestResult {
            // Of one byte alone it is 0, and not -0.
            entropy: self.counts.iter().map(|n| bits(chance(*n))).sum::<f64>() + 0.0,
            chi_square: self.counts.iter().map(|n| off(*n)).sum(),
            mean: sum as f64 / total,
            monte_carlo_pi: match self.points {
                0 => 0.0,
                points => 4.0 * self.inside as f64 / points as f64,
            },
            // Zeek's number for what cannot be said.
            serial_correlation: match variance {
                0 => -100_000.0,
                _ => of_all(products) as f64 / variance as f64,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a result against what `ent -t` says: entropy, chi-square, mean, pi and correlation.
    fn check(bytes: &[u8], ent: [f64; 5]) {
        for size in [1, 5, 7, 4096, usize::MAX] {
            let mut e = Entropy::default();
            bytes.chunks(size).for_each(|part| e.bytes(part));
            let r = e.result();
            let have = [
                r.entropy,
                r.chi_square,
                r.mean,
                r.monte_carlo_pi,
                r.serial_correlation,
            ];
            for (have, want) in have.iter().zip(ent) {
                assert!((have - want).abs() < 1e-6 * want.abs().max(1.0), "{have} {want}");
            }
        }
    }

    #[test]
    fn results_are_those_of_ent() {
        let text = b"What is sent over and over, is sent over and over again.".repeat(40);
        check(&text, [3.659273, 52251.428571, 90.571429, 4.0, -0.241575]);
        // A generator that all C libraries once had.
        let mut state = 12345u32;
        let noise: Vec<u8> = (0..60_000)
            .map(|_| {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
                (state >> 16) as u8
            })
            .collect();
        check(&noise, [7.996588, 285.175467, 127.489833, 3.1436, 0.004623]);
        check(&[0; 999], [0.0, 254745.0, 0.0, 4.0, -100_000.0]);
        check(&[0, 1, 2, 3, 4, 5], [2.584963, 250.0, 2.5, 4.0, 0.142857]);
        // Without a point there is no pi: Zeek has 0, ent nothing.
        check(&[0xff], [0.0, 255.0, 255.0, 0.0, -100_000.0]);
    }

    #[test]
    fn a_file_of_no_bytes_has_no_result() {
        let mut found = Found::default();
        let mut e = Entropy::default();
        e.bytes(b"");
        e.end(&mut found);
        assert_eq!(found.entropy, None);
    }
}
