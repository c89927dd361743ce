//! The sensor's userspace as a library.
//!
//! Data flows down this list and never up; a module knows only those before it:
//! [`base`] (numbers in bytes, time) · [`packet`] (headers, captures) · [`datapath`] (xdp, soft) · [`event`] (events as types, log rows) ·
//! [`mod@file`] (files that traffic carries) · [`software`] (what software says of itself) ·
//! [`signature`] (Zeek's signatures) ·
//! [`analyzer`] (protocols in a stream) · [`conn`] (table, timers, TCP) · [`catalog`] (what all of these declare) ·
//! [`offline`] (all of these behind a handler of events) · [`anonymize`] (stand-ins for addresses) ·
//! `messages` (what the sensor itself has to say) · [`output`] (logs, stream) · [`settings`] (what a run is asked for) ·
//! `resolver` (the sensor's own lookups of names) · `script` (what users program) ·
//! `live` (all of these on interfaces) · `preflight` (whether that would work) · `cli`.
//!
//! `live`, `preflight`, `messages` and the datapath in the kernel are there with the feature `live`, the commands with `cli`. Both are
//! on unless they are switched off; without them captures can be read, and neither aya nor clap is built.
#![warn(missing_docs)]

pub mod analyzer;
pub mod anonymize;
pub mod base;
pub mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
pub mod conn;
pub mod datapath;
pub mod event;
pub mod file;
pub mod filter;
#[cfg(feature = "live")]
pub mod live;
#[cfg(feature = "live")]
pub mod messages;
pub mod offline;
pub mod os;
pub mod output;
pub mod packet;
#[cfg(feature = "live")]
pub mod preflight;
pub mod profile;
#[cfg(feature = "script")]
mod resolver;
#[cfg(feature = "script")]
mod script;
pub mod settings;
pub mod signature;
pub mod software;
pub mod tcp;
