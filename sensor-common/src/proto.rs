//! IANA's protocol numbers beside those of the tracked protocols ([`crate::key`]), and EtherTypes in tunnels.

/// IP in IP (RFC 2003).
pub const IPV4: u8 = 4;
/// IPv6 in IP (RFC 4213).
pub const IPV6: u8 = 41;
/// Generic routing encapsulation (RFC 2784).
pub const GRE: u8 = 47;

/// EtherType (IEEE) of transparent Ethernet bridging, in GRE and Geneve.
pub const TEB: u16 = 0x6558;
/// EtherType of ERSPAN types I and II, in GRE.
pub const ERSPAN: u16 = 0x88be;
/// EtherType of ERSPAN type III, in GRE.
pub const ERSPAN_III: u16 = 0x22eb;

/// IPv6's hop-by-hop options (RFC 8200, 4.3).
pub const HOPOPTS: u8 = 0;
/// IPv6's routing header (RFC 8200, 4.4).
pub const ROUTING: u8 = 43;
/// IPv6's fragment header (RFC 8200, 4.5).
pub const FRAGMENT: u8 = 44;
/// IPv6's destination options (RFC 8200, 4.6).
pub const DSTOPTS: u8 = 60;
/// Encapsulating security payload (RFC 4303): what follows cannot be read.
pub const ESP: u8 = 50;
/// Authentication header (RFC 4302).
pub const AH: u8 = 51;
/// Mobility header (RFC 6275, 6.1).
pub const MOBILITY: u8 = 135;
/// Nothing follows.
pub const NO_NEXT: u8 = 59;
