//! What places are called.

use super::place::{MOST, PARTS};
use crate::analyzer::Id;

const _: () = assert!(PARTS.len() + Id::ALL.len() <= MOST, "a place is a bit of a word");

/// The name of a place.
pub fn name(place: usize) -> &'static str {
    match PARTS.get(place) {
        Some(name) => name,
        None => Id::ALL
            .get(place - PARTS.len())
            .map_or("", |id| id.spec().tag.short()),
    }
}
