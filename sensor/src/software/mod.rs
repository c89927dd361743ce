//! Software that traffic names: browsers, servers, mail programs, by what they say of themselves. Sans-I/O.
//!
//! An analyzer gives each banner that it finds ([`Found`]); [`Inventory`] takes it apart ([`version`]), raises the events of
//! software and writes software.log. Meaning is that of Zeek's software framework. Knows events and log rows, no protocol.

mod api;
pub mod events;
pub mod greeting;
mod inventory;
mod log;
#[cfg(test)]
mod tests;
pub mod version;

pub use api::{Cx, Found, Kind, Out};
pub use inventory::Inventory;
pub use log::SoftwareRow;
