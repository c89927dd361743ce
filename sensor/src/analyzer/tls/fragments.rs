//! DTLS's handshake messages, put together from fragments in any order (RFC 6347 section 4.2.3). Knows nothing of records
//! and nothing of what is in a message.

use std::collections::BTreeMap;

/// Longest message that is put together, bytes.
pub(super) const MAX_FRAGMENTED: usize = 100_000;
/// Most that is kept of a direction's messages, bytes.
const MAX_KEPT: usize = 2 * MAX_FRAGMENTED;
/// Messages of a direction of which fragments are kept: a flight may come out of order as a whole.
const MAX_MESSAGES: usize = 8;
/// Fragments beyond holes that are kept of a message.
const MAX_WAITING: usize = 128;

/// How far a fragment's record number may be from the highest of its message so far: a flight that is sent again stays below
/// (RFC 6347 section 4.1.2.6 prefers this size for the window against replays). Zeek allows 32 from first to last.
const WINDOW: u64 = 64;

/// A fragment's record is too far away from those of the message's others; as Zeek words it.
pub(super) const OUTSIDE_WINDOW: &str = "DTLS handshake fragment sequence number outside reassembly window.";

/// Which message a fragment is of. Fragments that disagree in this are of different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) seq: u16,
    pub(super) msg_type: u8,
    /// Of the whole body, bytes.
    pub(super) length: usize,
}

/// A message of which not all is here.
#[derive(Debug)]
struct Partial {
    of: Message,
    /// Highest number of its fragments' records.
    number: u64,
    /// Its beginning. Memory follows what came, not what a header claims.
    start: Vec<u8>,
    /// What came beyond a hole, by its place. Pieces may overlap.
    waiting: BTreeMap<usize, Vec<u8>>,
    /// Bytes kept of both.
    bytes: usize,
}

/// The messages of one direction of which not all is here, the one that was added to last at the end.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    partial: Vec<Partial>,
}

impl Partial {
    /// Adds what `data` at `offset` has beyond the beginning that is here, if there is no hole between.
    fn extend(&mut self, offset: usize, data: &[u8]) {
        let known = self.start.len().checked_sub(offset);
        if let Some(new) = known.and_then(|n| data.get(n..)) {
            self.start.extend_from_slice(new);
            self.bytes += new.len();
        }
    }

    /// Adds what waits and has no hole before it any more.
    fn extend_by_waiting(&mut self) {
        while let Some(first) = self.waiting.first_entry()
            && *first.key() <= self.start.len()
        {
            let (offset, data) = first.remove_entry();
            self.bytes -= data.len();
            self.extend(offset, &data);
        }
    }

    fn wait(&mut self, offset: usize, data: &[u8]) {
        if self.waiting.len() == MAX_WAITING && !self.waiting.contains_key(&offset) {
            return;
        }
        let known = self.waiting.entry(offset).or_default();
        if let Some(more) = data.get(known.len()..) {
            known.extend_from_slice(more);
            self.bytes += more.len();
        }
    }
}

impl Fragments {
    /// Takes a fragment, which must lie within its message, and gives the message when nothing of it is missing. A
    /// message that comes again is given again. What there is no room for is dropped: a message that did not get through
    /// is sent again. `number` is its record's.
    pub(super) fn add(
        &mut self,
        number: u64,
        of: Message,
        offset: usize,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, &'static str> {
        if data.is_empty() || of.length > MAX_FRAGMENTED {
            return Ok(None);
        }
        let mut p = match self.partial.iter().position(|p| p.of == of) {
            Some(at) => self.partial.remove(at),
            None => Partial {
                of,
                number,
                start: Vec::new(),
                waiting: BTreeMap::new(),
                bytes: 0,
            },
        };
        if p.number.abs_diff(number) >= WINDOW {
            return Err(OUTSIDE_WINDOW);
        }
        p.number = p.number.max(number);
        // The older ones make room.
        let room = |f: &Fragments| {
            let others: usize = f.partial.iter().map(|p| p.bytes).sum();
            f.partial.len() < MAX_MESSAGES && others + p.bytes + data.len() <= MAX_KEPT
        };
        while !room(self) && !self.partial.is_empty() {
            self.partial.remove(0);
        }
        if offset <= p.start.len() {
            p.extend(offset, data);
            p.extend_by_waiting();
        } else if room(self) {
            p.wait(offset, data);
        }
        if p.start.len() >= of.length {
            return Ok(Some(p.start));
        }
        self.partial.push(p);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(length: usize) -> (Message, Vec<u8>) {
        let of = Message {
            seq: 1,
            msg_type: 11,
            length,
        };
        (of, (0..length).map(|n| (n * 7) as u8).collect())
    }

    fn kept(f: &Fragments) -> usize {
        let pieces = |p: &Partial| p.start.len() + p.waiting.values().map(Vec::len).sum::<usize>();
        for p in &f.partial {
            assert_eq!(p.bytes, pieces(p));
            assert!(p.waiting.len() <= MAX_WAITING);
        }
        assert!(f.partial.len() <= MAX_MESSAGES);
        f.partial.iter().map(pieces).sum()
    }

    proptest! {
        /// Cut anywhere, in any order, with pieces that overlap and come twice.
        #[test]
        fn the_order_of_fragments_does_not_matter(
            length in 1usize..300,
            extra in proptest::collection::vec((0usize..300, 1usize..300), 0..20),
            cut in 1usize..300,
            keys in proptest::collection::vec(any::<u32>(), 330),
        ) {
            let (of, body) = message(length);
            let whole = (0..length).step_by(cut).map(|at| (at, cut));
            let mut pieces: Vec<_> = whole.chain(extra.into_iter().filter(|e| e.0 < length)).zip(&keys).collect();
            pieces.sort_by_key(|(_, key)| **key);
            pieces.truncate(MAX_WAITING);
            let mut f = Fragments::default();
            let mut seen = vec![false; length];
            let mut given = 0;
            for (number, ((at, n), _)) in pieces.into_iter().enumerate() {
                let end = (at + n).min(length);
                seen[at..end].fill(true);
                let out = f.add(number as u64, of, at, &body[at..end]).unwrap();
                prop_assert_eq!(out.is_some(), seen.iter().all(|s| *s));
                if let Some(out) = out {
                    prop_assert_eq!(&out, &body);
                    seen.fill(false);
                    given += 1;
                }
                kept(&f);
            }
            prop_assert!(given > 0 || length.div_ceil(cut) > MAX_WAITING || !seen.iter().all(|s| *s));
        }
    }

    #[test]
    fn messages_may_be_interleaved() {
        let (one, body) = message(40);
        let other = Message { seq: 2, ..one };
        let mut f = Fragments::default();
        assert_eq!(f.add(4, other, 20, &body[20..]), Ok(None));
        assert_eq!(f.add(3, one, 20, &body[20..]), Ok(None));
        assert_eq!(f.add(2, other, 0, &body[..20]), Ok(Some(body.clone())));
        assert_eq!(f.add(1, one, 0, &body[..20]), Ok(Some(body)));
        assert_eq!(kept(&f), 0);
    }

    #[test]
    fn record_numbers_of_a_message_are_not_far_apart() {
        let (of, body) = message(40);
        for (number, whole) in [
            (0, false),
            (999, true),
            (937, true),
            (936, false),
            (1063, true),
            (1064, false),
            (u64::MAX, false),
        ] {
            let mut f = Fragments::default();
            assert_eq!(f.add(1000, of, 20, &body[20..]), Ok(None));
            let out = f.add(number, of, 0, &body[..20]);
            let expected = if whole {
                Ok(Some(body.clone()))
            } else {
                Err(OUTSIDE_WINDOW)
            };
            assert_eq!(out, expected, "{number}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut f = Fragments::default();
        for n in 0..20_000usize {
            // More messages than are kept, or fewer.
            let of = Message {
                seq: (n % (2 + n / 1000)) as u16,
                msg_type: 11,
                length: 90_000,
            };
            let at = 1 + n * 7919 % 88_000;
            assert_eq!(f.add(0, of, at, &[0; 1000]), Ok(None));
            if n % 500 == 0 {
                assert!(kept(&f) <= MAX_KEPT);
            }
        }
        // There is room for a new message all the same.
        let (of, body) = message(100);
        assert_eq!(f.add(0, of, 50, &body[50..]), Ok(None));
        assert_eq!(f.add(0, of, 0, &body[..50]), Ok(Some(body)));
    }
}
