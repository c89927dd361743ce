//! Addresses give way to others: `--anonymize`.
//!
//! Two addresses with a common prefix have a common prefix of the same length afterwards (Crypto-PAn), so that networks stay
//! visible. The engine works with the addresses that it sees; [`Anonymized`] stands between it and what takes its results,
//! so files, streams, the terminal and scripts all get the same other ones. Knows nothing of who they are.
//!
//! Below, a module knows only those before it: `cryptopan` (the scheme) · `key` · `ids` (unique ids) · `addresses` (which
//! address becomes which) · `dotted` (numbers in text) · `text` (addresses in text) · `anonymizer` (all of these for a thread) ·
//! `row` and `event` (as others see them) · `sink` · `refused` (what would tell addresses all the same).

mod addresses;
mod anonymizer;
mod cryptopan;
mod dotted;
mod event;
mod ids;
mod key;
mod refused;
mod row;
mod sink;
mod text;

pub use anonymizer::Anonymizer;
pub use key::{Key, KeyError};
pub use refused::tells_addresses;
pub use sink::Anonymized;

#[cfg(test)]
mod tests;
