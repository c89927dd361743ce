//! Numbers that stand in a row in text, as addresses are written: `192.0.2.1`, `192,0,2,1,4,1`, `192-0-2-1`.

/// Most numbers of which anything is known.
const MOST: usize = 24;

/// A row of decimal numbers with the same character between each two.
pub struct Numbers {
    /// How many there are.
    pub count: usize,
    /// The last ones, the very last at the end of `len`: where each begins, and what it is, if that is below 256.
    last: [(usize, Option<u8>); MOST],
    len: usize,
    /// Where the row ends.
    pub end: usize,
}

impl Numbers {
    /// The row that begins at `at`, where there is a digit.
    pub fn of(text: &[u8], at: usize, between: u8) -> Numbers {
        let mut all = Numbers {
            count: 0,
            last: [(0, None); MOST],
            len: 0,
            end: at,
        };
        let mut next = at;
        loop {
            let digits = text[next..].iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return all;
            }
            all.add(next, octet(&text[next..next + digits]));
            all.end = next + digits;
            if text.get(all.end) != Some(&between) {
                return all;
            }
            next = all.end + 1;
        }
    }

    fn add(&mut self, at: usize, n: Option<u8>) {
        if self.len == MOST {
            self.last.rotate_left(1);
            self.len -= 1;
        }
        self.last[self.len] = (at, n);
        self.len += 1;
        self.count += 1;
    }

    /// The last `n` of them, all below 256, and where they begin; None: there are fewer, or one is larger.
    pub fn tail<const N: usize>(&self) -> Option<(usize, [u8; N])> {
        let from = self.len.checked_sub(N)?;
        let mut octets = [0; N];
        for (to, (_, n)) in octets.iter_mut().zip(&self.last[from..self.len]) {
            *to = (*n)?;
        }
        Some((self.last.get(from)?.0, octets))
    }

    /// All of them, if there are `N` and all are below 256.
    pub fn all<const N: usize>(&self) -> Option<[u8; N]> {
        (self.count == N).then(|| self.tail::<N>())?.map(|(_, all)| all)
    }

    /// Where the last `n` begin, and those of them, first to last, that are below 256 without a larger one behind them.
    pub fn end_of_at_most(&self, n: usize) -> (usize, &[(usize, Option<u8>)]) {
        let mut from = self.len.saturating_sub(n);
        if let Some(large) = self.last[from..self.len].iter().rposition(|(_, n)| n.is_none()) {
            from += large + 1;
        }
        let found = &self.last[from..self.len];
        (found.first().map_or(self.end, |f| f.0), found)
    }

    /// The first four, all below 256, of a row no longer than is remembered.
    pub fn first_four(&self) -> Option<[u8; 4]> {
        let mut octets = [0; 4];
        for (to, (_, n)) in octets.iter_mut().zip(self.last[..self.len].get(..4)?) {
            *to = (*n)?;
        }
        Some(octets)
    }

    /// Where number `n` ends: the one before the next.
    pub fn end_of(&self, n: usize) -> usize {
        match self.last[..self.len].get(n + 1) {
            Some((next, _)) => next - 1,
            None => self.end,
        }
    }
}

/// A number below 256 of up to three digits.
fn octet(digits: &[u8]) -> Option<u8> {
    if digits.len() > 3 {
        return None;
    }
    let n = digits.iter().fold(0_u16, |n, d| n * 10 + u16::from(d - b'0'));
    u8::try_from(n).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_numbers() {
        let n = Numbers::of(b"x10.0.256.007.1 ", 1, b'.');
        assert_eq!((n.count, n.end), (5, 15));
        assert_eq!(n.tail::<2>(), Some((10, [7, 1])));
        assert_eq!(n.tail::<3>(), None);
        assert_eq!(n.end_of_at_most(4).1, [(10, Some(7)), (14, Some(1))]);
        assert_eq!(n.end_of(1), 5);
        assert_eq!(Numbers::of(b"1.2.3.4.", 0, b'.').all::<4>(), Some([1, 2, 3, 4]));
        assert_eq!(Numbers::of(b"1.2.3.4", 0, b',').count, 1);
        let long = "1,".repeat(1000) + "2,3";
        let n = Numbers::of(long.as_bytes(), 0, b',');
        assert_eq!((n.count, n.tail::<2>()), (1002, Some((2000, [2, 3]))));
        assert_eq!(n.end_of_at_most(100).1.len(), MOST);
    }
}
