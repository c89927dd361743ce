//! What is known of types, by what files they are of.
//!
//! The names and the strengths are those of Zeek's file magic (scripts/base/frameworks/files/magic), for the answers
//! have to be the same. What can never be an answer is left. Zeek's patterns have ends of files (`$`), but it is never
//! told of one, so an empty object or array is no JSON to it; and beginnings (`^`) behind other bytes. Some types
//! always fit together with a stronger one: video/mp2p with video/mpeg, Smarty's templates with other PHP.

mod archive;
mod data;
mod media;
mod office;
mod program;
mod writing;

use super::fact::Fact;

/// Every fact, in no order.
pub(super) fn all() -> impl Iterator<Item = &'static Fact> {
    [
        archive::FACTS,
        data::FACTS,
        media::FACTS,
        office::FACTS,
        program::FACTS,
        writing::FACTS,
    ]
    .into_iter()
    .flatten()
}
