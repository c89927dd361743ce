//! The kernel's program from userspace's side: loading, attaching, its rings, its flow table and
//! its accounting. Knows nothing of connections.
//!
//! All that a program is attached by is a file descriptor of this process, so nothing stays
//! attached when the process ends, however it ends. The one exception is the `clsact` filter of
//! kernels that lack TCX (before 6.6). With `--persist` it all stays, under names ([`Pins`]).

pub mod abi;
mod attach;
mod config;
mod counters;
mod error;
mod ethtool;
mod fds;
mod features;
mod filter;
mod keeping;
mod kept;
mod kernel;
mod pins;
mod ring;
mod rss;
mod run;
mod sys;
mod table;

pub use abi::{EndedKey, MAX_CAP, PACKET_LEN};
pub use attach::{Attached, Egress, Ethernet, Mode, ethernet};
pub use config::KernelConfig;
pub use counters::Counters;
pub use error::KernelError;
pub use ethtool::{Ethtool, strips_vlan_tags};
pub use features::{XdpFeatures, tc_programs, xdp_features};
pub use keeping::facts;
pub use kept::Left;
pub use kernel::{Kernel, boot_now, boot_to_epoch, features, missing_capabilities, release, table_bytes};
pub use pins::{Facts, KeptPart, Pins};
pub use ring::Ring;
pub use rss::is_symmetric;
pub use run::{Inject, Injector};
pub use table::KernelTable;
