//! Bytes to packets: capture files, link layers, IP and transport headers, fragments.
//!
//! Everything here looks at bytes that an attacker wrote. Nothing in it knows of flows,
//! connections or logs; what Zeek would call a "weird" is reported as a [`weird::Weird`].

pub mod capture;
pub mod checksum;
pub mod defrag;
pub mod duplicate;
pub mod ip;
pub mod link;
pub mod tunnel;
pub mod weird;

pub use capture::{Capture, CaptureError, Frame};
pub use link::LinkType;
pub use weird::{Weird, Weirds};

/// The bytes of `frame` that are `p`'s transport payload, as far as captured. They end where the IP length and, for UDP,
/// UDP's own length (RFC 768) say; an IP length of 0 is ignored.
pub(crate) fn payload<'f>(p: &sensor_common::Packet, frame: &'f [u8]) -> &'f [u8] {
    let end = match p.ip_len {
        0 => frame.len(),
        n => frame.len().min(p.l3 as usize + n as usize),
    };
    let end = end.min((p.data as usize).saturating_add(p.payload_len as usize));
    frame.get(p.data as usize..end).unwrap_or_default()
}
