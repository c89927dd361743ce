//! Scripts: the sensor programmed by its users, in Lua.
//!
//! One interpreter has all scripts and is given events one after the other, in the order of their time. What its handlers
//! want is what is raised, down to the kernel's policy. Handlers change nothing while they run: what they give (rows, events, orders) is
//! put down ([`out`]) and carried out when they have returned. Below, a module knows only those before it: `wire` (events as
//! bytes) · `out` · `units`, `files`, `lookups`, `weirds`, `state` (what the functions for scripts share) · `conn`, `values` (to Lua and back) · `filters` (rows of
//! logs) · `api` (these functions) · `host` (the interpreter).

mod api;
pub mod at_once;
mod conn;
mod files;
mod filters;
mod host;
mod lookups;
mod out;
mod state;
mod units;
mod values;
mod weirds;
pub mod wire;

pub use host::{Host, ScriptError};
pub use out::{Asked, Carrier, Out};
pub use state::{Plan, Role};
