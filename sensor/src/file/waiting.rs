//! Pieces of a file that wait for what comes before them.

use std::collections::BTreeMap;

/// What a block takes beside its bytes, about.
const OVERHEAD: u64 = 64;

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
}

impl Block {
    pub fn data(&self) -> Data<'_> {
        match &self.bytes {
            Some(bytes) => Data::Bytes(bytes),
            None => Data::Unseen(self.len),
        }
    }
}

/// The blocks of one file, by offset. They do not overlap: what came first stays.
#[derive(Debug, Default)]
pub struct Waiting {
    blocks: BTreeMap<u64, Block>,
    memory: u64,
}

impl Waiting {
    /// Memory that they take, bytes.
    pub fn memory(&self) -> u64 {
        self.memory
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
        Some(block)
    }

    /// Keeps what of `data` at `at` is not there yet. It does not reach beyond the last offset there is.
    pub fn insert(&mut self, mut at: u64, mut data: Data<'_>) {
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
        let block = Block {
            len: data.len(),
            bytes: match data {
                Data::Bytes(bytes) => Some(bytes.to_vec()),
                Data::Unseen(_) => None,
            },
        };
        self.memory += block.memory();
        self.blocks.insert(at, block);
    }
}

impl Block {
    fn memory(&self) -> u64 {
        OVERHEAD + self.bytes.as_ref().map_or(0, |b| b.len() as u64)
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
        w.insert(10, Data::Bytes(b"abc"));
        w.insert(20, Data::Bytes(b"xyz"));
        w.insert(8, Data::Bytes(b"01234567890123456789"));
        let want = [
            (8, &b"01"[..]),
            (10, b"abc"),
            (13, b"5678901"),
            (20, b"xyz"),
            (23, b"56789"),
        ];
        assert_eq!(all(&w), want.map(|(at, b)| (at, b.to_vec())));
        w.insert(9, Data::Bytes(b"-----"));
        w.insert(11, Data::Unseen(3));
        assert_eq!(w.blocks.len(), want.len());
        assert_eq!((w.first(), w.top()), (Some(8), Some(28)));
        while let Some(at) = w.first() {
            assert!(w.take(at).is_some());
        }
        assert_eq!(w.memory(), 0);
    }
}
