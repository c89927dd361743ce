//! The first bytes of a connection, kept until signatures have told which protocols it may be.

use std::sync::LazyLock;

use super::pattern::Match;
use super::{Id, RULES};

/// Bytes of both directions after which signatures look no further (Zeek's `dpd_buffer_size`). They still look at the
/// piece that goes beyond.
pub const MAX_BYTES: u64 = 1024;
/// Pieces of both directions after which signatures look no further (Zeek's `dpd_max_packets`).
pub const MAX_PIECES: u32 = 100;
/// Bytes kept per direction.
const MAX_KEPT_BYTES: usize = 2048;

// A bit per rule.
const _: () = assert!(RULES.len() <= 64);
const ALL_DECIDED: u64 = u64::MAX >> (64 - RULES.len());

/// By direction (0 orig) and first byte: a bit for each rule that cannot match a connection that begins so. Most rules are out
/// at once, without a look at what follows.
static RULED_OUT: LazyLock<[[u64; 256]; 2]> = LazyLock::new(|| {
    let out = |is_orig: bool, first: u8| {
        let rules = RULES.iter().enumerate();
        let out = rules.filter(|(_, (_, rule))| !rule.allows(is_orig, first));
        out.fold(0, |bits, (at, _)| bits | 1 << at)
    };
    [true, false].map(|is_orig| std::array::from_fn(|first| out(is_orig, first as u8)))
});

/// The bytes so far and what was made of them.
#[derive(Debug, Default)]
pub struct Probe {
    kept: [Vec<u8>; 2],
    /// What came when.
    order: Vec<Piece>,
    /// Bytes and pieces so far, kept or not.
    size: u64,
    pieces: u32,
    /// A bit for each of `RULES`.
    decided: u64,
}

/// Direction (0 orig) and how many bytes; a gap has none.
type Piece = (u8, u16);

impl Probe {
    /// Keeps what there is room for; how many bytes that were.
    pub fn push(&mut self, is_orig: bool, bytes: &[u8]) -> usize {
        let dir = usize::from(!is_orig);
        let room = MAX_KEPT_BYTES.saturating_sub(self.kept[dir].len());
        let part = bytes.get(..room).unwrap_or(bytes);
        if let Some(first) = part.first().filter(|_| self.kept[dir].is_empty()) {
            self.decided |= RULED_OUT[dir][usize::from(*first)];
        }
        self.kept[dir].extend_from_slice(part);
        if !part.is_empty() {
            self.order.push((dir as u8, part.len() as u16));
        }
        self.size += bytes.len() as u64;
        self.pieces += u32::from(!bytes.is_empty());
        part.len()
    }

    /// Bytes are missing here. At the very beginning nobody would notice.
    pub fn gap(&mut self, is_orig: bool) {
        if !self.order.is_empty() {
            self.order.push((u8::from(!is_orig), 0));
            self.pieces += 1;
        }
    }

    /// A protocol that has become possible with the last bytes. Each rule tells once.
    pub fn next_match(&mut self) -> Option<Id> {
        let mut open = ALL_DECIDED & !self.decided;
        while open != 0 {
            let at = open.trailing_zeros() as usize;
            open &= open - 1;
            let (id, rule) = RULES.get(at)?;
            let found = rule.matches(&self.kept[0], &self.kept[1]);
            self.decided |= u64::from(found != Match::More) << at;
            if found == Match::Yes {
                return Some(*id);
            }
        }
        None
    }

    /// The kept bytes in the order in which they came; `None` is a gap.
    pub fn replay(&self) -> impl Iterator<Item = (bool, Option<&[u8]>)> {
        let mut at = [0usize; 2];
        self.order.iter().map(move |&(dir, n)| {
            let is_orig = dir == 0;
            if n == 0 {
                return (is_orig, None);
            }
            let dir = usize::from(dir);
            let start = at[dir];
            at[dir] += usize::from(n);
            (is_orig, Some(self.kept[dir].get(start..at[dir]).unwrap_or(&[])))
        })
    }

    /// Nothing more can match.
    pub fn is_over(&self) -> bool {
        self.size > MAX_BYTES || self.pieces > MAX_PIECES || self.decided == ALL_DECIDED
    }

    pub fn flip(&mut self) {
        self.kept.swap(0, 1);
        for (dir, _) in &mut self.order {
            *dir ^= 1;
        }
    }
}
