//! Handshake messages out of CRYPTO frames in any order (RFC 9000, section 19.6). Knows no packet and nothing of what is in a
//! message but its length.

/// Longest message, bytes with its header (RFC 8446, section 5.1, as Zeek has it).
const MAX_MESSAGE: usize = (1 << 14) + 256;
/// Type and three bytes of length.
const HEADER: usize = 4;
/// Pieces with holes between them that are kept. Clients shuffle some dozen of them.
const MAX_PIECES: usize = 128;

/// One direction's bytes, from the first that no message has taken.
#[derive(Debug, Default)]
pub struct Crypto {
    /// How many bytes came before those that are kept.
    taken: u64,
    /// What came, with zeros in the holes.
    bytes: Vec<u8>,
    /// Where there is something, in order and with holes between.
    pieces: Vec<(usize, usize)>,
}

/// More than is kept, or than a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch;

impl Crypto {
    /// Takes a piece at its place. What is here already stays as it is.
    pub fn add(&mut self, offset: u64, data: &[u8]) -> Result<(), TooMuch> {
        let skip = self.taken.saturating_sub(offset);
        let Some(data) = usize::try_from(skip).ok().and_then(|n| data.get(n..)) else {
            return Ok(());
        };
        let from = offset.max(self.taken) - self.taken;
        let from = usize::try_from(from).map_err(|_| TooMuch)?;
        let to = from
            .checked_add(data.len())
            .filter(|to| *to <= MAX_MESSAGE)
            .ok_or(TooMuch)?;
        if data.is_empty() {
            return Ok(());
        }
        // Those that the new one touches become one with it.
        let first = self.pieces.partition_point(|p| p.1 < from);
        let last = self.pieces.partition_point(|p| p.0 <= to);
        if first == last && self.pieces.len() == MAX_PIECES {
            return Err(TooMuch);
        }
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
        let mut at = from;
        let known: Vec<(usize, usize)> = self.pieces.get(first..last).unwrap_or(&[]).to_vec();
        for (start, end) in known.iter().copied().chain([(to, to)]) {
            self.copy(from, data, at, start.min(to));
            at = at.max(end);
        }
        let start = known.first().map_or(from, |p| p.0.min(from));
        let end = known.last().map_or(to, |p| p.1.max(to));
        self.pieces.splice(first..last, [(start, end)]);
        Ok(())
    }

    /// The part of `data`, which begins at `from`, that goes to `at..to`.
    fn copy(&mut self, from: usize, data: &[u8], at: usize, to: usize) {
        if let (true, Some(into), Some(data)) = (
            at < to,
            self.bytes.get_mut(at..to),
            data.get(at.saturating_sub(from)..to.saturating_sub(from)),
        ) {
            into.copy_from_slice(data);
        }
    }

    /// The next message, if all of it is here.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, TooMuch> {
        let here = match self.pieces.first() {
            Some((0, end)) => *end,
            _ => return Ok(None),
        };
        let Some([_, a, b, c]) = self.bytes.get(..here).and_then(|b| b.first_chunk::<HEADER>()) else {
            return Ok(None);
        };
        let len = HEADER + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
        if len > MAX_MESSAGE {
            return Err(TooMuch);
        }
        if len > here {
            return Ok(None);
        }
        let rest = self.bytes.split_off(len);
        let message = std::mem::replace(&mut self.bytes, rest);
        self.taken = self.taken.saturating_add(len as u64);
        self.pieces.retain_mut(|(start, end)| {
            (*start, *end) = (start.saturating_sub(len), end.saturating_sub(len));
            start < end
        });
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(len: usize) -> Vec<u8> {
        let mut m = vec![1, 0, (len >> 8) as u8, len as u8];
        m.extend((0..len).map(|n| (n * 7) as u8));
        m
    }

    #[test]
    fn messages_come_out_whole_and_in_order() {
        let mut c = Crypto::default();
        let all = [message(10), message(3)].concat();
        assert_eq!(c.next(), Ok(None));
        assert_eq!(c.add(5, &all[5..]), Ok(()));
        assert_eq!(c.next(), Ok(None));
        assert_eq!(c.add(0, &all[..8]), Ok(()));
        assert_eq!(c.next(), Ok(Some(message(10))));
        assert_eq!(c.next(), Ok(Some(message(3))));
        // Sent again.
        assert_eq!(c.add(0, &all), Ok(()));
        assert_eq!((c.next(), c.bytes.len()), (Ok(None), 0));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let mut c = Crypto::default();
        assert_eq!(c.add(MAX_MESSAGE as u64, b"x"), Err(TooMuch));
        assert_eq!(c.add(u64::MAX, b"x"), Err(TooMuch));
        for n in 0..MAX_PIECES as u64 {
            assert_eq!(c.add(2 * n, b"x"), Ok(()));
        }
        assert_eq!(c.add(9999, b"x"), Err(TooMuch));
        assert_eq!(c.add(1, b"x"), Ok(()));
        let mut c = Crypto::default();
        assert_eq!(c.add(0, &[1, 1, 0, 0]), Ok(()));
        assert_eq!(c.next(), Err(TooMuch));
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_gives_the_message(
            len in 1..600usize,
            cuts in proptest::collection::vec((0..600usize, 1..90usize), 0..60),
        ) {
            let whole = message(len);
            let mut c = Crypto::default();
            let mut covered = vec![false; whole.len()];
            for (at, n) in cuts {
                let at = at.min(whole.len());
                let end = (at + n).min(whole.len());
                c.add(at as u64, &whole[at..end]).expect("room");
                covered[at..end].fill(true);
                let done = covered.iter().all(|c| *c);
                prop_assert_eq!(c.clone_next(), done.then(|| whole.clone()));
            }
            c.add(0, &whole).expect("room");
            prop_assert_eq!(c.next(), Ok(Some(whole)));
        }
    }

    impl Crypto {
        /// The next message, without taking it.
        fn clone_next(&self) -> Option<Vec<u8>> {
            let mut c = Crypto {
                taken: self.taken,
                bytes: self.bytes.clone(),
                pieces: self.pieces.clone(),
            };
            c.next().expect("short enough")
        }
    }
}
