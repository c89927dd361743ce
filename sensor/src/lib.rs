//! The sensor's userspace as a library.
//!
//! Data flows down this list and never up; a module knows only those before it:
//! [`packet`] (headers, captures) · [`datapath`] (xdp, soft) · [`event`] (every event as a type) ·
//! [`analyzer`] (protocols in a stream) · [`conn`] (table, timers, TCP) · [`offline`] (all of these behind a handler of events) ·
//! [`messages`] (what the sensor itself has to say) · [`output`] (logs, stream) · [`settings`] (what a run is asked for) · [`live`] (all of these on
//! interfaces) · [`cli`].
pub mod analyzer;
pub mod cli;
pub mod conn;
pub mod datapath;
pub mod event;
pub mod live;
pub mod messages;
pub mod offline;
pub mod output;
pub mod packet;
pub mod settings;
pub mod tcp;
