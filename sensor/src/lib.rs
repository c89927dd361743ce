//! The sensor's userspace as a library.
//!
//! Data flows down this list and never up; a module knows only those before it:
//! [`packet`] (headers, captures) · [`datapath`] (xdp, soft) · [`event`] (events as types, log rows) ·
//! [`analyzer`] (protocols in a stream) · [`conn`] (table, timers, TCP) · [`output`] (logs, stream) ·
//! [`catalog`] (what all of these declare) · [`offline`] (all of these behind a handler of events) · [`cli`].

pub mod analyzer;
pub mod catalog;
pub mod cli;
pub mod conn;
pub mod datapath;
pub mod event;
pub mod offline;
pub mod output;
pub mod packet;
pub mod tcp;
