//! Frames by a packet socket (`AF_PACKET`), for where there can be no program in the kernel: each is copied into a ring that the
//! kernel shares with this process, and goes through the soft datapath from there.
//!
//! One socket hears all interfaces of its network namespace, and a filter in the kernel picks those that are watched. So frames
//! come in the order in which the kernel had them, whichever interface they came by: the two directions of a connection on two
//! taps are in order. The kernel gives frames as the network stack has them, after it merged packets that came together
//! (GRO) and before the card cuts up what is sent (TSO), and without their VLAN tags; both are undone here.

mod filter;
mod frame;
mod ring;
mod segments;
mod socket;

pub use filter::MAX_INTERFACES;
pub use frame::Frames;
pub use ring::Ring;
pub use socket::Socket;
