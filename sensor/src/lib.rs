//! The sensor's userspace as a library.
//!
//! Data flows down this list and never up; a module knows only those before it:
//! [`base`] (numbers in bytes, time) · [`packet`] (headers, captures) · [`datapath`] (xdp, soft) · [`event`] (every event as a type) ·
//! [`analyzer`] (protocols in a stream) · [`conn`] (table, timers, TCP) · [`offline`] (all of these behind a handler of events) ·
//! [`output`] (logs, stream) · [`cli`].
pub mod analyzer;
pub mod base;
pub mod cli;
pub mod conn;
pub mod datapath;
pub mod event;
pub mod offline;
pub mod output;
pub mod packet;
pub mod tcp;
