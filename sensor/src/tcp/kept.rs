//! What of a direction has been handed out and not been acknowledged: a retransmission is compared with
//! it. Kept only while somebody wants to know of retransmissions that say something else.

use std::collections::BTreeMap;

/// Most pieces kept: bounds what single bytes cost.
const MAX_PIECES: usize = 4096;
/// Memory that a piece takes beside its bytes, roughly.
const PIECE_COST_BYTES: u64 = 64;

/// Delivered bytes, in the pieces in which they came.
#[derive(Debug, Default)]
pub struct Kept {
    pieces: BTreeMap<u64, Box<[u8]>>,
    bytes: u64,
}

impl Kept {
    /// Bytes of memory taken, roughly.
    pub fn memory(&self) -> u64 {
        self.bytes + PIECE_COST_BYTES * self.pieces.len() as u64
    }

    /// Remembers `bytes` at relative `seq`. Pieces come in stream order; beyond `limit` bytes of memory the
    /// oldest go.
    pub fn add(&mut self, seq: u64, bytes: &[u8], limit: u64) {
        self.bytes += bytes.len() as u64;
        if let Some(old) = self.pieces.insert(seq, bytes.into()) {
            self.bytes -= old.len() as u64;
        }
        while self.memory() > limit || self.pieces.len() > MAX_PIECES {
            self.drop_first();
        }
    }

    /// All before `seq` has been acknowledged.
    pub fn trim(&mut self, seq: u64) {
        while let Some((start, piece)) = self.pieces.first_key_value()
            && start.saturating_add(piece.len() as u64) <= seq
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, piece)) = self.pieces.pop_first() {
            self.bytes -= piece.len() as u64;
        }
    }

    /// Compares `bytes` at `seq` with the bytes that are kept. Where they differ, hands out both, a piece at a time.
    pub fn compare(&self, seq: u64, bytes: &[u8], out: &mut dyn FnMut(&[u8], &[u8])) {
        let first = self.pieces.range(..=seq).next_back().map_or(seq, |p| *p.0);
        for (start, piece) in self.pieces.range(first..) {
            if *start >= seq.saturating_add(bytes.len() as u64) {
                break;
            }
            compare(*start, piece, seq, bytes, out);
        }
    }
}

/// Hands out the overlap of `old` at `old_seq` and `new` at `new_seq`, if the two differ there.
pub fn compare(old_seq: u64, old: &[u8], new_seq: u64, new: &[u8], out: &mut dyn FnMut(&[u8], &[u8])) {
    let from = old_seq.max(new_seq);
    let to = old_seq
        .saturating_add(old.len() as u64)
        .min(new_seq.saturating_add(new.len() as u64));
    if from >= to {
        return;
    }
    let old = &old[(from - old_seq) as usize..(to - old_seq) as usize];
    let new = &new[(from - new_seq) as usize..(to - new_seq) as usize];
    if old != new {
        out(old, new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(k: &Kept, seq: u64, bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        k.compare(seq, bytes, &mut |old, new| found.push((old.into(), new.into())));
        found
    }

    fn pair(old: &[u8], new: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (old.into(), new.into())
    }

    #[test]
    fn tells_the_overlap_with_each_piece_that_differs() {
        let mut k = Kept::default();
        k.add(1, b"abcd", 1000);
        k.add(5, b"efgh", 1000);
        k.add(9, b"ijkl", 1000);
        assert_eq!(differences(&k, 3, b"cdefghij"), []);
        assert_eq!(
            differences(&k, 3, b"cDefghIJxx"),
            [pair(b"cd", b"cD"), pair(b"ijkl", b"IJxx")]
        );
        assert_eq!(differences(&k, 13, b"anything"), []);
    }

    #[test]
    fn forgets_what_was_acknowledged_in_whole_pieces() {
        let mut k = Kept::default();
        k.add(1, b"abcd", 1000);
        k.add(5, b"efgh", 1000);
        k.trim(6);
        assert_eq!(differences(&k, 1, b"XXXX"), []);
        assert_eq!(differences(&k, 5, b"Xfgh"), [pair(b"efgh", b"Xfgh")]);
        k.trim(9);
        assert_eq!(k.memory(), 0);
    }

    #[test]
    fn keeps_no_more_than_the_limit() {
        let mut k = Kept::default();
        for i in 0..100 {
            k.add(1 + 4 * i, b"abcd", 10 * (4 + PIECE_COST_BYTES));
        }
        assert_eq!(k.memory(), 10 * (4 + PIECE_COST_BYTES));
        assert_eq!(differences(&k, 397, b"abcX"), [pair(b"abcd", b"abcX")]);
        for i in 0..2 * MAX_PIECES as u64 {
            k.add(1000 + i, b"x", u64::MAX);
        }
        assert_eq!(k.memory(), MAX_PIECES as u64 * (1 + PIECE_COST_BYTES));
    }
}
