//! Orders from outside while the sensor runs, by a socket in the file system that is its user's alone.
//!
//! Who connects says what is to be done as a line of JSON ([`Command`]) and gets a line of JSON ([`Reply`]); a capture
//! follows it in pieces (`capture`). Below, a module knows only those before it: `talk` (what is said) · `capture` (packets of a
//! connection) · `desk` (who may ask, and who is told).

mod capture;
mod desk;
pub mod talk;

pub use desk::{Control, Request};
pub use talk::{Command, Reply};
