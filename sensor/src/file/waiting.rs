//! Pieces of a file that wait for what comes before them.

use std::collections::BTreeMap;

/// What a piece counts for beside its bytes, about what a block of its own takes.
const OVERHEAD: u64 = 64;
/// Beyond so many bytes of a file, what waits is kept only for who reads all of it. What a type is known by is at its
/// start, and so is what is read of files because of their types: certificates, programs' headers.
const BEGINNING: u64 = 128 << 10;

/// Some bytes of a file, in whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// They themselves.
    Bytes(&'a [u8]),
    /// So many that are not at hand.
    Unseen(u64),
}

impl<'a> Data<'a> {
    pub fn len(self) -> u64 {
        match self {
            Data::Bytes(bytes) => bytes.len() as u64,
            Data::Unseen(len) => len,
        }
    }

    /// Without the first `n`.
    pub fn skip(self, n: u64) -> Data<'a> {
        match self {
            Data::Bytes(bytes) => Data::Bytes(bytes.get(n as usize..).unwrap_or(&[])),
            Data::Unseen(len) => Data::Unseen(len.saturating_sub(n)),
        }
    }

    /// The first `n`.
    pub fn first(self, n: u64) -> Data<'a> {
        match self {
            Data::Bytes(bytes) => Data::Bytes(bytes.get(..n as usize).unwrap_or(bytes)),
            Data::Unseen(len) => Data::Unseen(len.min(n)),
        }
    }
}

/// A block that waits; `bytes` is None of what is not at hand.
#[derive(Debug)]
pub struct Block {
    len: u64,
    bytes: Option<Vec<u8>>,
    /// Pieces that it was made of.
    pieces: u64,
}

impl Block {
    pub fn data(&self) -> Data<'_> {
        match &self.bytes {
            Some(bytes) => Data::Bytes(bytes),
            None => Data::Unseen(self.len),
        }
    }
}

/// The blocks of one file, by offset. They do not overlap: what came first stays. A piece that follows on a block of its
/// kind is added to it.
#[derive(Debug, Default)]
pub struct Waiting {
    blocks: BTreeMap<u64, Block>,
    memory: u64,
    counted: u64,
}

impl Waiting {
    /// Memory that they take, bytes.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Memory that they would take if all of their bytes were kept.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// Where the last block ends.
    pub fn top(&self) -> Option<u64> {
        self.blocks.last_key_value().map(|(at, b)| at + b.len)
    }

    /// Where the first block begins.
    pub fn first(&self) -> Option<u64> {
        self.blocks.first_key_value().map(|(at, _)| *at)
    }

    /// Takes off the first block if it begins at `at`.
    pub fn take(&mut self, at: u64) -> Option<Block> {
        let first = self.blocks.first_entry().filter(|e| *e.key() == at)?;
        let block = first.remove();
        self.memory -= block.memory();
        self.counted -= block.counted();
        Some(block)
    }

    /// Keeps what of `data` at `at` is not there yet. It does not reach beyond the last offset there is. `all_read`:
    /// somebody may read all of the file.
    pub fn insert(&mut self, mut at: u64, mut data: Data<'_>, all_read: bool) {
        if at >= BEGINNING && !all_read {
            data = Data::Unseen(data.len());
        }
        // What lies before `at` may reach into it.
        if let Some((start, b)) = self.blocks.range(..=at).next_back() {
            let known = (start + b.len).saturating_sub(at);
            data = data.skip(known);
            at = at.saturating_add(known);
        }
        while data.len() > 0 {
            let next = self.blocks.range(at..).next().map(|(start, b)| (*start, b.len));
            let free = next.map_or(u64::MAX, |(start, _)| start - at);
            self.keep(at, data.first(free));
            let Some((start, len)) = next else { return };
            let behind = start - at + len;
            data = data.skip(behind);
            at += behind;
        }
    }

    fn keep(&mut self, at: u64, data: Data<'_>) {
        if data.len() == 0 {
            return;
        }
        self.counted += OVERHEAD + data.len();
        self.memory += OVERHEAD;
        if let Data::Bytes(bytes) = data {
            self.memory += bytes.len() as u64;
        }
        let before = self.blocks.range_mut(..at).next_back();
        let before = before.filter(|(start, before)| **start + before.len == at);
        if !before.is_some_and(|(_, before)| before.append(data)) {
            self.blocks.insert(at, Block::new(data));
        }
    }
}

impl Block {
    fn new(data: Data<'_>) -> Block {
        Block {
            len: data.len(),
            bytes: match data {
                Data::Bytes(bytes) => Some(bytes.to_vec()),
                Data::Unseen(_) => None,
            },
            pieces: 1,
        }
    }

    /// Adds a piece that follows on it. False: it is of another kind.
    fn append(&mut self, data: Data<'_>) -> bool {
        match (&mut self.bytes, data) {
            (Some(all), Data::Bytes(bytes)) => all.extend_from_slice(bytes),
            (None, Data::Unseen(_)) => {}
            _ => return false,
        }
        self.len += data.len();
        self.pieces += 1;
        true
    }

    fn memory(&self) -> u64 {
        OVERHEAD * self.pieces + self.bytes.as_ref().map_or(0, |b| b.len() as u64)
    }

    fn counted(&self) -> u64 {
        OVERHEAD * self.pieces + self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks, each with its offset.
    fn all(w: &Waiting) -> Vec<(u64, Vec<u8>)> {
        let bytes = |b: &Block| b.bytes.clone().unwrap_or_default();
        w.blocks.iter().map(|(at, b)| (*at, bytes(b))).collect()
    }

    #[test]
    fn what_came_first_stays() {
        let mut w = Waiting::default();
        w.insert(10, Data::Bytes(b"abc"), false);
        w.insert(20, Data::Bytes(b"xyz"), false);
        w.insert(8, Data::Bytes(b"01234567890123456789"), false);
        // 01, abc, 5678901, xyz, 56789.
        let want = [(8, &b"01"[..]), (10, b"abc5678901"), (20, b"xyz56789")];
        assert_eq!(all(&w), want.map(|(at, b)| (at, b.to_vec())));
        w.insert(9, Data::Bytes(b"-----"), false);
        w.insert(11, Data::Unseen(3), false);
        assert_eq!(w.blocks.len(), want.len());
        assert_eq!((w.first(), w.top()), (Some(8), Some(28)));
        while let Some(at) = w.first() {
            assert!(w.take(at).is_some());
        }
        assert_eq!((w.memory(), w.counted()), (0, 0));
    }

    #[test]
    fn bytes_far_from_the_start_are_kept_for_who_reads_all() {
        let mut w = Waiting::default();
        w.insert(BEGINNING - 10, Data::Bytes(&[0; 10]), false);
        w.insert(BEGINNING, Data::Bytes(&[0; 1000]), false);
        assert_eq!(
            (w.memory(), w.counted()),
            (2 * OVERHEAD + 10, 2 * OVERHEAD + 1010)
        );
        assert_eq!(w.blocks[&BEGINNING].data(), Data::Unseen(1000));
        w.insert(2 * BEGINNING, Data::Bytes(&[0; 1000]), true);
        assert_eq!(w.memory(), 3 * OVERHEAD + 1010);
    }

    #[test]
    fn pieces_that_follow_on_each_other_are_one_block() {
        let mut w = Waiting::default();
        for piece in [&b"ab"[..], b"cd", b"ef"] {
            w.insert(w.top().unwrap_or(1), Data::Bytes(piece), false);
        }
        w.insert(7, Data::Unseen(10), false);
        w.insert(17, Data::Unseen(10), false);
        assert_eq!((w.memory(), w.counted()), (5 * OVERHEAD + 6, 5 * OVERHEAD + 26));
        assert_eq!(w.take(1).map(|b| b.data().len()), Some(6));
        assert_eq!(w.take(7).map(|b| b.data().len()), Some(20));
        assert_eq!((w.memory(), w.counted()), (0, 0));
    }
}
