//! The kernel's program from userspace's side: loading, attaching, its rings, its flow table and
//! its accounting. Knows nothing of connections.
//!
//! All that a program is attached by is a file descriptor of this process, so nothing stays
//! attached when the process ends, however it ends. The one exception is the `clsact` filter of
//! kernels that lack TCX (before 6.6).

pub mod abi;
mod attach;
mod counters;
mod error;
mod ethtool;
mod features;
mod kernel;
mod ring;
mod rss;
mod run;
mod sys;
mod table;

pub use abi::{MAX_CAP, PACKET_LEN};
pub use attach::{Attached, Egress, Ethernet, Mode, ethernet};
pub use counters::Counters;
pub use error::KernelError;
pub use ethtool::{Ethtool, strips_vlan_tags};
pub use features::{XdpFeatures, tc_programs, xdp_features};
pub use kernel::{
    Kernel, KernelConfig, boot_now, boot_to_epoch, features, missing_capabilities, release, table_bytes,
};
pub use ring::Ring;
pub use rss::is_symmetric;
pub use run::{Inject, Injector};
pub use table::KernelTable;
