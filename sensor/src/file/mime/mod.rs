//! Which type a file has, by its first bytes, with the answers of Zeek's file magic: its names, and of several types
//! that fit the one that it holds for the strongest. Knows nothing of where a file comes from.
//!
//! Libraries that do the same were left, as their names and what they prefer differ: see `facts`, which has what is
//! known of types, most of it as bytes at places. Markup (`markup`) and other text (`text`) need a look of their own.
//! Everything is read a bounded number of times, whatever the bytes are.

mod fact;
mod facts;
mod guess;
mod look;
mod markup;
#[cfg(test)]
mod tests;
mod text;

pub use guess::Guess;

use fact::Fact;
use std::cmp::Reverse;
use std::sync::LazyLock;

/// How many bytes of a file's beginning are looked at (Zeek's `default_file_bof_buffer_size`).
pub const LOOKED_AT: usize = 4096;

/// Who knows further types of files.
pub trait Magic {
    /// The type of a file that begins with `head`, no more than [`LOOKED_AT`] bytes of it.
    fn guess(&mut self, head: &[u8]) -> Option<Guess>;
}

/// The type of a file that begins with `head`, under Zeek's name, or `None` when it is unknown. No more than
/// [`LOOKED_AT`] bytes are looked at.
pub fn of(head: &[u8]) -> Option<Guess> {
    let head = head.get(..LOOKED_AT).unwrap_or(head);
    let first = *head.first()?;
    let read = markup::of(head).max(text::of(head));
    let facts = FACTS.get(usize::from(first))?;
    let fact = facts
        .iter()
        .take_while(|fact| Some(fact.guess) > read)
        .find(|fact| fact.fits(head));
    fact.map(|fact| fact.guess).max(read)
}

/// For each byte the facts of files that may begin with it, the better ones first.
static FACTS: LazyLock<[Vec<&'static Fact>; 256]> = LazyLock::new(|| {
    let mut all: Vec<&Fact> = facts::all().collect();
    all.sort_by_key(|fact| Reverse(fact.guess));
    std::array::from_fn(|byte| {
        let byte = u8::try_from(byte).unwrap_or_default();
        all.iter().copied().filter(|fact| fact.may_begin(byte)).collect()
    })
});
