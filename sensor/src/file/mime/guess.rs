//! A type that a file may have, and how it is chosen from several.

use std::cmp::Reverse;

/// A type that fits. The larger one is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Guess {
    /// How much it is to be preferred (the strength of Zeek's `file-mime`).
    pub strength: i16,
    /// Of the equally strong ones Zeek takes the first in the order of the alphabet.
    pub name: Reverse<&'static str>,
}

impl Guess {
    /// A type, and its strength.
    pub const fn new(name: &'static str, strength: i16) -> Self {
        Self {
            strength,
            name: Reverse(name),
        }
    }
}
