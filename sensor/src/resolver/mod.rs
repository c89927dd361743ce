//! The sensor's own lookups of names and addresses, for scripts and for the local networks.
//!
//! Whoever wants to know asks over a channel and is answered over another ([`Asker`]); nobody waits who reads traffic. A thread of its
//! own ([`work`]) asks the DNS servers, with the crate hickory-resolver, and keeps what was last answered, over restarts in a file. Each
//! later answer is compared with the one before, and what came of that is an event (`dns_mapping_*`). Knows nothing of scripts,
//! connections or packets.
//!
//! Below, a module knows only those before it: `query` (what is asked) · `mapping` (what is known of it, and how that changes) · `file`
//! (what is known, as lines) · `known` (all of it, within bounds) · `ask` (question and answer) · `local` (names among local networks) · `servers` (asking) · `work` (the thread).

mod ask;
#[cfg(feature = "live")]
mod file;
#[cfg(feature = "live")]
mod known;
#[cfg(feature = "live")]
pub mod local;
mod mapping;
mod query;
#[cfg(feature = "live")]
mod servers;
#[cfg(feature = "live")]
mod work;

pub use ask::{Answer, Asker, Got, Question};
pub use mapping::{Change, Found};
pub use query::Query;
#[cfg(feature = "live")]
pub use work::{Resolver, ResolverPlan};
