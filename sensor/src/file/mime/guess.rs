//! A type that a file may have, and how it is chosen from several.

use std::cmp::Reverse;

/// A type that fits. The larger one is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guess {
    /// How much it is to be preferred (the strength of Zeek's `file-mime`).
    strength: i32,
    /// Of the equally strong ones Zeek takes the first in the order of the alphabet.
    name: Reverse<&'static str>,
}

impl Guess {
    /// A type, and its strength.
    pub const fn new(name: &'static str, strength: i32) -> Self {
        Self {
            strength,
            name: Reverse(name),
        }
    }

    /// The type's name.
    pub const fn name(self) -> &'static str {
        self.name.0
    }
}
