//! Tunnels that the kernel's program takes apart by itself, as far as [`crate::policy`] asks for it: how it and userspace
//! name them.
//!
//! A record of a packet out of such a tunnel may come up by another ring than the records of the tunnel, and before
//! them. So the program gives the tunnel its number, the number says what userspace has to know, and before the packet's
//! bytes stands the key of what it came in: whoever sees the number first can tell which tunnel it is.
#![allow(unsafe_code, reason = "a key is read from bytes")]

use crate::key::{Dir, FlowKey, IPPROTO_UDP};
use crate::proto;

/// Set in numbers ([`crate::Packet::tunnel`]) that the program gave.
pub const BY_PROGRAM: u32 = 1 << 31;
/// Bytes before those of a packet out of a tunnel, in its record: the key of the outer flow. Where the tunnel is none
/// (GRE, IP in IP) the addresses alone.
pub const PREFIX_LEN: usize = size_of::<FlowKey>();

/// VXLAN's registered UDP port (RFC 7348, 8).
pub const VXLAN_PORT: u16 = 4789;
/// VXLAN-GPE's registered UDP port (IANA).
pub const VXLAN_GPE_PORT: u16 = 4790;
/// The UDP port to which Linux sends VXLAN unless told otherwise; it is older than the registered one.
pub const VXLAN_LINUX_PORT: u16 = 8472;
/// Geneve's registered UDP port (RFC 8926, 12).
pub const GENEVE_PORT: u16 = 6081;

/// The outer key that stands before a packet in its record.
pub fn outer_key(record: &[u8]) -> Option<FlowKey> {
    let b = record.first_chunk::<PREFIX_LEN>()?;
    // SAFETY: `b` borrows as many bytes as a key has, and `read_unaligned` asks for no alignment. Any bytes are a key, as all
    // of its fields are numbers; it is copied out, so nothing refers to `record` afterwards.
    Some(unsafe { b.as_ptr().cast::<FlowKey>().read_unaligned() })
}

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// IP protocol of the first packet: UDP, IPv4, IPv6 or GRE.
    pub proto: u8,
    /// Which end of the outer key sent it.
    pub from: Dir,
}

/// The protocols, by two bits.
const PROTOS: [u8; 4] = [IPPROTO_UDP, proto::IPV4, proto::IPV6, proto::GRE];

impl Number {
    /// The number of the `count`th tunnel. It comes again after 2^28 others.
    #[inline(always)]
    pub fn of(self, count: u64) -> u32 {
        let code = match self.proto {
            proto::IPV4 => 1,
            proto::IPV6 => 2,
            proto::GRE => 3,
            _ => 0,
        };
        BY_PROGRAM | (count as u32 & 0x0fff_ffff) << 3 | code << 1 | (self.from & 1) as u32
    }

    /// What the number says; None: userspace gave it.
    #[inline(always)]
    pub fn read(id: u32) -> Option<Self> {
        (id & BY_PROGRAM != 0).then_some(Number {
            proto: PROTOS[(id >> 1 & 3) as usize],
            from: (id & 1) as Dir,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_was_put_in() {
        for proto in PROTOS {
            for from in 0..2 {
                for count in [0, 1, u32::MAX as u64, u64::MAX] {
                    let n = Number { proto, from };
                    assert_eq!(Number::read(n.of(count)), Some(n));
                }
            }
        }
        let n = Number {
            proto: IPPROTO_UDP,
            from: 0,
        };
        assert_ne!(n.of(1), n.of(2));
        assert_eq!(Number::read(7), None);
    }
}
