//! `pkt_hdr` and `raw_pkt_hdr`: a packet's headers, read from its bytes only when somebody writes them out.

use super::json::Object;

/// A packet's headers from IP up (Zeek's `pkt_hdr`).
#[derive(Clone, Copy, Debug)]
pub struct PktHdr<'a> {
    ip: &'a [u8],
}

impl<'a> PktHdr<'a> {
    /// Of the packet whose IP header starts at `ip`'s first byte; cut-off packets are fine.
    pub fn new(ip: &'a [u8]) -> PktHdr<'a> {
        PktHdr { ip }
    }

    /// The bytes, from the IP header's first.
    pub fn bytes(&self) -> &'a [u8] {
        self.ip
    }

    /// Writes the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut o = Object::new(out);
        self.fields(&mut o);
        o.end();
    }

    fn fields(&self, _o: &mut Object<'_>) {}
}

/// What a frame's link layer says (Zeek's `l2_hdr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2Hdr {
    /// Whether the link is Ethernet.
    pub ethernet: bool,
    /// Frame's length on the wire, bytes.
    pub len: u64,
    /// Bytes of it captured.
    pub cap_len: u64,
    /// Source MAC.
    pub src: Option<[u8; 6]>,
    /// Destination MAC.
    pub dst: Option<[u8; 6]>,
    /// Outer VLAN id.
    pub vlan: Option<u16>,
    /// Inner VLAN id.
    pub inner_vlan: Option<u16>,
    /// EtherType (or the length that stands in its place), host byte order.
    pub eth_type: Option<u16>,
    /// What it carries.
    pub proto: L3Proto,
}

/// What a frame carries (Zeek's `layer3_proto`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L3Proto {
    /// `L3_IPV4`.
    Ipv4,
    /// `L3_IPV6`.
    Ipv6,
    /// `L3_ARP`.
    Arp,
    /// `L3_UNKNOWN`.
    Unknown,
}

/// A frame's headers from the link layer up (Zeek's `raw_pkt_hdr`).
#[derive(Clone, Copy, Debug)]
pub struct RawPktHdr<'a> {
    /// The link layer.
    pub l2: L2Hdr,
    /// The packet, where there is IP in it.
    pub l3: Option<PktHdr<'a>>,
}

impl RawPktHdr<'_> {
    /// Writes the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut o = Object::new(out);
        if let Some(p) = &self.l3 {
            p.fields(&mut o);
        }
        o.end();
    }
}
