//! Bytes to packets: capture files, link layers, IP and transport headers, fragments.
//!
//! Everything here looks at bytes that an attacker wrote. Nothing in it knows of flows,
//! connections or logs; what Zeek would call a "weird" is reported as a [`weird::Weird`].
#![warn(missing_docs)]

pub mod capture;
pub mod checksum;
pub mod defrag;
pub mod ip;
pub mod link;
pub mod tunnel;
pub mod weird;

pub use capture::{Capture, CaptureError, Frame};
pub use link::LinkType;
pub use weird::{Weird, Weirds};

/// What of `frame` is `p`'s transport payload: as much as is counted, UDP's own length (RFC 768) included. An IP length
/// of 0 says nothing.
pub(crate) fn payload<'f>(p: &sensor_common::Packet, frame: &'f [u8]) -> &'f [u8] {
    let end = match p.ip_len {
        0 => frame.len(),
        n => frame.len().min(p.l3 as usize + n as usize),
    };
    let end = end.min((p.data as usize).saturating_add(p.payload_len as usize));
    frame.get(p.data as usize..end).unwrap_or_default()
}
