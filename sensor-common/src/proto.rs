//! IANA's protocol numbers beside those of the tracked protocols ([`crate::key`]), and EtherTypes in tunnels.

/// IP in IP (RFC 2003).
pub const IPV4: u8 = 4;
/// IPv6 in IP (RFC 4213).
pub const IPV6: u8 = 41;
/// RFC 2784.
pub const GRE: u8 = 47;

/// EtherTypes in GRE and Geneve (IEEE): transparent Ethernet bridging, ERSPAN types I and II, ERSPAN type III.
pub const TEB: u16 = 0x6558;
pub const ERSPAN: u16 = 0x88be;
pub const ERSPAN_III: u16 = 0x22eb;

/// IPv6 extension headers (RFC 8200, 4).
pub const HOPOPTS: u8 = 0;
pub const ROUTING: u8 = 43;
pub const FRAGMENT: u8 = 44;
pub const DSTOPTS: u8 = 60;
/// RFC 4303. What follows cannot be read.
pub const ESP: u8 = 50;
/// RFC 4302.
pub const AH: u8 = 51;
/// RFC 6275, 6.1.
pub const MOBILITY: u8 = 135;
/// Nothing follows.
pub const NO_NEXT: u8 = 59;
