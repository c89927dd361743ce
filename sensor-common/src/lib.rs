//! What crosses between the kernel and userspace, and the code that both sides share.
//!
//! `no_std`, no allocation: this crate is compiled into the BPF program and into the sensor. The
//! module [`flow`] holds the one function that updates a flow's state from a packet's header
//! fields; both datapaths call it and nothing else does that job.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod atomic;
pub mod counters;
pub mod decap;
pub mod dedup;
pub mod filter;
pub mod flow;
pub mod follow;
pub mod key;
pub mod packet;
pub mod policy;
pub mod proto;
pub mod record;
pub mod skip;

pub use counters::Counter;
pub use flow::{DirState, FlowState};
pub use key::FlowKey;
pub use packet::Packet;
pub use policy::Policy;
pub use record::RecordHeader;
