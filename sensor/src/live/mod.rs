//! The sensor on interfaces: the kernel's program, a worker thread per ring, and what watches over them.
//!
//! [`run()`] is the command's live run, with log files, event stream and terminal; [`watch`] hands events to handlers of a
//! program's own. Below, a module knows only those before it: `clock` (times of day) · `shifted` (the kernel's times) · `turn`
//! (what a worker has at hand) · `orders` (what workers are asked for), `history`, `recorder` (packets for who asks) · `slow` (frames taken apart in userspace) · `drain` (records off the ring) · `netns` · `links`,
//! `watchlist` (which interfaces are meant) · `netlink`, `news`, `traffic`, `interfaces` · `histogram` · `metrics` · `worker` · `sweep` · `load` (the program, as settings ask for it),
//! `packets` (a packet socket instead), `source` (either) · `scripts`, `status`, `outputs`, `signals` ·
//! `export` (numbers for who asks) · `socket_file`, `control` (orders from outside), `reload` · `run`, `handlers` and `replay`. Nothing here knows a command line.

mod clock;
mod confine;
pub mod control;
mod costs;
mod drain;
mod duties;
mod export;
mod handlers;
mod histogram;
mod history;
mod interfaces;
pub(crate) mod links;
mod load;
mod loaded;
pub mod metrics;
mod names;
pub(crate) mod netlink;
pub(crate) mod netns;
mod news;
mod notify;
mod orders;
mod outputs;
mod packets;
mod persist;
mod priority;
mod recorder;
mod reload;
pub mod replay;
mod run;
mod scripts;
mod shifted;
mod signals;
mod slow;
mod socket_file;
mod source;
mod status;
mod sweep;
mod takeover;
mod traffic;
mod turn;
pub(crate) mod watchlist;
mod worker;

pub use handlers::{LiveError, watch};
pub use load::workers;
pub use reload::Again;
pub use run::{Failed, detach, run};
