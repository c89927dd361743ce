//! What is known of one type: a name, how much it is to be preferred, and how a file of it begins.

use super::guess::Guess;
use super::look::{self, Part};

/// A type, and one way in which a file of it begins.
pub(super) struct Fact {
    pub guess: Guess,
    look: Look,
}

enum Look {
    /// With these bytes, so many bytes into the file.
    At(usize, &'static [u8]),
    /// With these parts.
    Parts(&'static [Part]),
    /// As a zip archive whose first file says the type's name, and these parts.
    Packed(&'static [Part]),
    /// With what a function says.
    Test(fn(&[u8]) -> bool),
}

impl Fact {
    /// Whether a file that begins with `head` is of this type.
    pub fn fits(&self, head: &[u8]) -> bool {
        match self.look {
            Look::At(at, bytes) => head.get(at..).is_some_and(|b| b.starts_with(bytes)),
            Look::Parts(parts) => look::fits(parts, head),
            Look::Packed(parts) => {
                let says = look::after(PACKED, head);
                let behind = says.and_then(|b| b.strip_prefix(self.guess.name().as_bytes()));
                behind.is_some_and(|b| look::fits(parts, b))
            }
            Look::Test(test) => test(head),
        }
    }

    /// Whether a file of this type may begin with `byte`.
    pub fn may_begin(&self, byte: u8) -> bool {
        match self.look {
            Look::At(0, bytes) => bytes.first() == Some(&byte),
            Look::At(..) | Look::Test(_) => true,
            Look::Parts(parts) => look::may_begin(parts, byte),
            Look::Packed(_) => look::may_begin(PACKED, byte),
        }
    }
}

/// A type whose files begin with `bytes`.
pub(super) const fn begins(name: &'static str, strength: i32, bytes: &'static [u8]) -> Fact {
    at(name, strength, 0, bytes)
}

/// A type whose files have `bytes` at `at`.
pub(super) const fn at(name: &'static str, strength: i32, at: usize, bytes: &'static [u8]) -> Fact {
    Fact {
        guess: Guess::new(name, strength),
        look: Look::At(at, bytes),
    }
}

/// A type whose files begin with `parts`.
pub(super) const fn parts(name: &'static str, strength: i32, parts: &'static [Part]) -> Fact {
    Fact {
        guess: Guess::new(name, strength),
        look: Look::Parts(parts),
    }
}

/// What stands in a zip archive before what its first file says: the file is named mimetype, and stored as it is.
const PACKED: &[Part] = &[
    Part::Is(b"PK\x03\x04"),
    Part::Skip(22),
    Part::Is(b"\x08\0\0\0mimetype"),
];

/// A type whose files are zip archives, the first file in them says its name, and `parts` follow.
pub(super) const fn packed(name: &'static str, strength: i32, parts: &'static [Part]) -> Fact {
    Fact {
        guess: Guess::new(name, strength),
        look: Look::Packed(parts),
    }
}

/// A type whose files a function knows.
pub(super) const fn test(name: &'static str, strength: i32, test: fn(&[u8]) -> bool) -> Fact {
    Fact {
        guess: Guess::new(name, strength),
        look: Look::Test(test),
    }
}

/// A digit.
pub(super) fn is_digit(b: &u8) -> bool {
    b.is_ascii_digit()
}
