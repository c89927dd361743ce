//! From a frame's first byte to its IP header: link layers, tags and labels.
//!
//! Knows nothing of IP itself. Lengths are checked as Zeek checks them (a header must be followed by
//! at least one byte), so that the same frames raise the same weirds.

use sensor_common::Counter;

use super::weird::{Weird, Weirds};
use crate::base::bytes::{be16, be32};

mod ppp;
mod wireless;

pub use ppp::ppp_header;

/// A capture's link type (LINKTYPE_ numbers of tcpdump.org).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback: the address family in four bytes, in the capturing host's order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP, with or without HDLC framing.
    pub const PPP: LinkType = LinkType(9);
    /// FDDI.
    pub const FDDI: LinkType = LinkType(10);
    /// PPP with HDLC framing (RFC 1662).
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// IPv4 or IPv6, without a link header.
    pub const RAW: LinkType = LinkType(101);
    /// IEEE 802.11.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// OpenBSD loopback: the address family in four bytes, network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux's "cooked" capture.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 behind a radiotap header.
    pub const RADIOTAP: LinkType = LinkType(127);
    /// PPP behind a byte that tells the direction.
    pub const PPP_WITH_DIR: LinkType = LinkType(204);
    /// MPLS, labels first.
    pub const MPLS: LinkType = LinkType(219);
    /// Linux's NFLOG messages.
    pub const NFLOG: LinkType = LinkType(239);
    /// Linux's "cooked" capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// Whether its frames are of a bus that carries no IP as such: USB, Bluetooth, CAN and the like. Other types that are
    /// not known are taken for bare IP, as Zeek takes them.
    pub fn is_no_network(self) -> bool {
        const USB: [u32; 6] = [186, 189, 220, 249, 266, 288];
        const BLUETOOTH: [u32; 8] = [187, 201, 251, 254, 255, 256, 272, 293];
        // CAN, I2C, FlexRay, MOST, LIN; D-Bus, netlink, MPEG-2 transport streams.
        const OTHERS: [u32; 9] = [190, 209, 210, 211, 212, 227, 231, 243, 253];
        USB.contains(&self.0) || BLUETOOTH.contains(&self.0) || OTHERS.contains(&self.0)
    }
}

/// EtherTypes (IEEE 802 numbers).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP.
    pub const RARP: u16 = 0x8035;
    /// A VLAN tag (IEEE 802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// MPLS (RFC 5332).
    pub const MPLS: u16 = 0x8847;
    /// Labels that the upstream router chose (RFC 5332, 3).
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    /// PPPoE in its session stage (RFC 2516).
    pub const PPPOE: u16 = 0x8864;
    /// A service VLAN tag (IEEE 802.1ad).
    pub const QINQ: u16 = 0x88a8;
    /// A backbone service tag (IEEE 802.1ah).
    pub const PBB: u16 = 0x88e7;
    /// Cisco's FabricPath.
    pub const FABRIC_PATH: u16 = 0x8903;
    /// Cisco's VN-Tag.
    pub const VNTAG: u16 = 0x8926;
    /// Cisco's time tag: six bytes of time, then the frame's own EtherType.
    pub const TTAG: u16 = 0x8988;
    /// An outer VLAN tag, before IEEE 802.1ad.
    pub const QINQ_OLD: u16 = 0x9100;

    /// That of a packet, by its IP version.
    pub fn of(ip: &[u8]) -> u16 {
        match ip.first().map(|b| b >> 4) {
            Some(4) => IPV4,
            _ => IPV6,
        }
    }
}
use ethertype as et;

/// Where the IP header is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Offset of the IP header, bytes.
    pub l3: u32,
    /// End of what the link layers say belongs to it, at most the captured length.
    pub end: u32,
    /// EtherType behind the last tag, host byte order; or the length in its place (IEEE 802.3); 0 if the link layers have
    /// neither.
    pub ethertype: u16,
    /// Outer VLAN id. Priority tags (id 0) name no VLAN and count as none, as in Zeek.
    pub vlan: Option<u16>,
    /// Innermost VLAN id, where there is more than one.
    pub inner_vlan: Option<u16>,
    /// IEEE 802.11 aggregates: offset of the next subframe, for [`next_subframe`]; 0 = none.
    pub more: u32,
    /// Weirds that do not keep the packet from being read.
    pub weirds: Weirds,
}

/// Why a frame does not lead to an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotIp {
    /// NotIp, OtherEthertype, Truncated or Malformed.
    pub reason: Counter,
    /// The weirds found on the way; the last one is the reason.
    pub weirds: Weirds,
    /// As in [`Link`], as far as it was read.
    pub ethertype: u16,
    /// As in [`Link`], as far as it was read.
    pub vlan: Option<u16>,
    /// As in [`Link`], as far as it was read.
    pub inner_vlan: Option<u16>,
    /// It is ARP or RARP.
    pub arp: bool,
}

/// Finds the IP header of a frame.
#[inline]
pub fn parse(link: LinkType, data: &[u8]) -> Result<Link, NotIp> {
    // Nearly all frames are this: Ethernet and IP.
    if link == LinkType::ETHERNET
        && data.len() > 16
        && let Some(t @ (et::IPV4 | et::IPV6)) = be16(data, 12)
    {
        return Ok(Link {
            l3: 14,
            end: data.len() as u32,
            ethertype: t,
            ..Link::default()
        });
    }
    let mut w = Walk {
        data,
        at: 0,
        end: data.len(),
        arp: false,
        out: Link::default(),
    };
    match w.walk(link) {
        Ok(()) => {
            // Offsets in records have 16 bits; no real chain of link headers is as long.
            if w.at > 0x7fff {
                return Err(w.fail(Stop::new(Counter::Malformed, None)));
            }
            w.out.l3 = w.at as u32;
            w.out.end = w.end as u32;
            Ok(w.out)
        }
        Err(stop) => Err(w.fail(stop)),
    }
}

/// The next packet of an IEEE 802.11 aggregate; `at` is [`Link::more`] of the one before.
pub fn next_subframe(data: &[u8], at: u32) -> Result<Link, NotIp> {
    let mut w = Walk {
        data,
        at: at as usize,
        end: data.len(),
        arp: false,
        out: Link::default(),
    };
    match w.subframe() {
        Ok(()) if w.at <= 0x7fff => {
            w.out.l3 = w.at as u32;
            w.out.end = w.end as u32;
            Ok(w.out)
        }
        Ok(()) => Err(w.fail(Stop::new(Counter::Malformed, None))),
        Err(stop) => Err(w.fail(stop)),
    }
}

/// Why the walk ended without an IP header.
struct Stop {
    reason: Counter,
    weird: Option<Weird>,
}

impl Stop {
    fn new(reason: Counter, weird: Option<Weird>) -> Self {
        Stop { reason, weird }
    }
}

fn truncated<T>(w: Weird) -> Result<T, Stop> {
    Err(Stop::new(Counter::Truncated, Some(w)))
}

fn malformed<T>(w: Weird) -> Result<T, Stop> {
    Err(Stop::new(Counter::Malformed, Some(w)))
}

fn not_ip<T>() -> Result<T, Stop> {
    Err(Stop::new(Counter::NotIp, None))
}

/// Whether it is an EtherType that customers' frames have. Other values are as likely to be bytes of something else.
fn is_in_frames(t: u16) -> bool {
    matches!(
        t,
        et::IPV4
            | et::IPV6
            | et::ARP
            | et::RARP
            | et::VLAN
            | et::QINQ
            | et::QINQ_OLD
            | et::MPLS
            | et::MPLS_UPSTREAM
            | et::PPPOE
            | et::PBB
            | et::TTAG
    )
}

/// What an EtherType or a protocol number leads to.
enum Next {
    Ip,
    EtherType(u16),
    /// A length stands in the EtherType's place, and LLC follows.
    Llc,
    Ethernet,
    Ppp(u16),
}

/// Most layers in one frame (Zeek: PacketAnalyzer::max_depth); a stack this deep was made to be deep.
const MAX_LAYERS: usize = 100;

struct Walk<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
    /// See [`NotIp::arp`].
    arp: bool,
    out: Link,
}

impl Walk<'_> {
    #[cold]
    fn fail(&self, s: Stop) -> NotIp {
        let mut weirds = self.out.weirds;
        if let Some(w) = s.weird {
            weirds.push(w);
        }
        NotIp {
            reason: s.reason,
            weirds,
            ethertype: self.out.ethertype,
            vlan: self.out.vlan,
            inner_vlan: self.out.inner_vlan,
            arp: self.arp,
        }
    }

    /// An EtherType that leads nowhere. Those that certainly carry no IP are told from those that may (tunnels
    /// unknown here), as the kernel program tells them: ARP, RARP, MAC control, slow protocols (LACP), EAPOL,
    /// LLDP, loopback.
    fn other(&mut self, t: u16) -> Stop {
        self.arp = matches!(t, et::ARP | et::RARP);
        let reason = match t {
            et::ARP | et::RARP | 0x8808 | 0x8809 | 0x888e | 0x88cc | 0x9000 => Counter::NotIp,
            _ => Counter::OtherEthertype,
        };
        Stop::new(reason, None)
    }

    /// The bytes that no layer has taken yet.
    fn rest(&self) -> &[u8] {
        self.data.get(self.at..self.end).unwrap_or(&[])
    }

    /// The bytes that no layer has taken yet, if there are more than `n`: the length of a header.
    fn beyond(&self, n: usize, w: Weird) -> Result<&[u8], Stop> {
        let r = self.rest();
        if n >= r.len() { truncated(w) } else { Ok(r) }
    }

    fn walk(&mut self, link: LinkType) -> Result<(), Stop> {
        let mut next = self.root(link)?;
        for _ in 0..MAX_LAYERS {
            next = match next {
                Next::Ip => return Ok(()),
                Next::Ethernet => self.ethernet()?,
                Next::EtherType(t) => self.ethertype(t)?,
                Next::Llc => self.ieee802_3()?,
                Next::Ppp(p) => self.ppp_protocol(p)?,
            };
        }
        malformed(Weird::MaxDepthExceeded)
    }

    /// The link type's own header. What is unknown is taken for bare IP, as Zeek takes it.
    fn root(&mut self, link: LinkType) -> Result<Next, Stop> {
        match link {
            LinkType::ETHERNET => Ok(Next::Ethernet),
            LinkType::NULL => self.null(false),
            LinkType::LOOP => self.null(true),
            LinkType::LINUX_SLL => {
                // 14 bytes of type, address; then the protocol.
                let t = self.beyond(16, Weird::TruncatedSllHeader).map(|r| be16(r, 14))?;
                self.at += 16;
                Ok(Next::EtherType(t.unwrap_or(0)))
            }
            LinkType::LINUX_SLL2 => {
                let t = self.beyond(20, Weird::TruncatedSll2Header).map(|r| be16(r, 0))?;
                self.at += 20;
                Ok(Next::EtherType(t.unwrap_or(0)))
            }
            LinkType::PPP => self.ppp(),
            LinkType::PPP_WITH_DIR => {
                // One byte of direction.
                self.at += 1;
                self.ppp()
            }
            LinkType::PPP_HDLC => {
                let p = self
                    .beyond(4, Weird::TruncatedPppSerialHeader)
                    .map(|r| be16(r, 2))?;
                self.at += 4;
                Ok(Next::Ppp(p.unwrap_or(0)))
            }
            LinkType::MPLS => self.mpls(),
            LinkType::NFLOG => self.nflog(),
            LinkType::FDDI => {
                // 13 bytes of FDDI, 8 of LLC and SNAP.
                self.beyond(21, Weird::FddiFailed)?;
                self.at += 21;
                Ok(Next::Ip)
            }
            LinkType::RADIOTAP => {
                let r = self.beyond(3, Weird::TruncatedRadiotapHeader)?;
                let len = u16::from_le_bytes([r[2], r[3]]) as usize;
                self.beyond(len, Weird::TruncatedRadiotapHeader)?;
                self.at += len;
                self.ieee802_11()
            }
            LinkType::IEEE802_11 => self.ieee802_11(),
            other if other.is_no_network() => Err(Stop::new(Counter::NotIp, None)),
            _ => Ok(Next::Ip),
        }
    }

    fn ethernet(&mut self) -> Result<Next, Stop> {
        let mut r = self.beyond(16, Weird::TruncatedEthernetFrame)?;
        let mut skip = 14;
        if be16(r, 12) == Some(et::FABRIC_PATH) {
            // Cisco FabricPath: 16 bytes before the frame proper.
            r = self
                .beyond(30, Weird::TruncatedLinkHeaderCfp)?
                .get(16..)
                .unwrap_or(&[]);
            skip += 16;
        }
        let t = be16(r, 12).unwrap_or(0);
        self.at += skip;
        self.out.ethertype = t;
        match t {
            1536.. => Ok(Next::EtherType(t)),
            0..=1500 if self.rest().len() < t as usize => truncated(Weird::TruncatedEthernetFrame),
            0..=1500 => Ok(Next::Llc),
            _ => Err(Stop::new(Counter::NotIp, Some(Weird::UndefinedEtherType))),
        }
    }

    fn ethertype(&mut self, t: u16) -> Result<Next, Stop> {
        match t {
            et::IPV4 | et::IPV6 => Ok(Next::Ip),
            et::VLAN | et::QINQ | et::QINQ_OLD => self.vlan(),
            et::MPLS | et::MPLS_UPSTREAM => self.mpls(),
            et::TTAG => self.ttag(),
            et::PPPOE => self.pppoe(),
            et::PBB => {
                // I-TAG of four bytes, then the customer's Ethernet frame.
                self.beyond(18, Weird::TruncatedPbbHeader)?;
                self.at += 4;
                Ok(Next::Ethernet)
            }
            et::VNTAG => {
                let r = self.beyond(6, Weird::TruncatedVntagHeader)?;
                let t = be16(r, 4).unwrap_or(0);
                self.at += 6;
                match t {
                    et::VLAN | et::QINQ | et::QINQ_OLD => Ok(Next::EtherType(t)),
                    // Zeek takes a VLAN tag here and nothing else.
                    _ => Err(Stop::new(Counter::OtherEthertype, None)),
                }
            }
            _ => Err(self.other(t)),
        }
    }

    fn vlan(&mut self) -> Result<Next, Stop> {
        let r = self.beyond(4, Weird::TruncatedVlanHeader)?;
        let (id, t) = (be16(r, 0).unwrap_or(0) & 0xfff, be16(r, 2).unwrap_or(0));
        let id = (id != 0).then_some(id);
        if self.out.vlan.is_none() {
            self.out.vlan = id;
        } else {
            self.out.inner_vlan = id;
        }
        self.at += 4;
        match t {
            1536.. => {
                self.out.ethertype = t;
                Ok(Next::EtherType(t))
            }
            // Zeek does not hold the length against what is there.
            0..=1500 if self.rest().len() < 2 => truncated(Weird::TruncatedVlanFrame),
            0..=1500 => Ok(Next::Llc),
            _ => Err(Stop::new(Counter::NotIp, Some(Weird::UndefinedVlanProtocol))),
        }
    }

    /// IEEE 802.3: LLC, perhaps with SNAP. What is beyond the length before it is padding, and IP's own length
    /// tells as much.
    fn ieee802_3(&mut self) -> Result<Next, Stop> {
        let r = self.rest();
        match r {
            [0xaa, 0xaa, ..] => {
                let Some(control) = r.get(2) else {
                    return truncated(Weird::TruncatedSnapLlcHeader);
                };
                let llc = if control & 3 == 3 { 3 } else { 4 };
                let (Some(oui), Some(t)) = (be32(r, llc), be16(r, llc + 3)) else {
                    return truncated(Weird::TruncatedSnapHeader);
                };
                self.at += llc + 5;
                match (oui >> 8, t) {
                    // Encapsulated Ethernet only.
                    (0, et::IPV4 | et::IPV6) => Ok(Next::Ip),
                    (0, _) => Err(self.other(t)),
                    _ => not_ip(),
                }
            }
            // Novell's raw IPX.
            [0xff, 0xff, ..] => not_ip(),
            _ => match r.get(2) {
                Some(c) if c & 3 == 3 || r.len() > 3 => not_ip(),
                _ => truncated(Weird::TruncatedLlcHeader),
            },
        }
    }

    fn mpls(&mut self) -> Result<Next, Stop> {
        loop {
            // RFC 3032, 2.1: bit 23 of an entry marks the bottom of the stack.
            let bottom = self.beyond(4, Weird::TruncatedLinkHeader)?[2] & 1 != 0;
            self.at += 4;
            if bottom {
                return Ok(self.below_labels());
            }
        }
    }

    /// What the labels are for stands nowhere but in the routers. IP says its version first, and pseudowires keep
    /// clear of 4 and 6 there (RFC 4385, 3; RFC 4928, 3): with a control word, whose first four bits are zero, or as
    /// an Ethernet frame alone (RFC 4448, 4), which must then show by its EtherType.
    fn below_labels(&mut self) -> Next {
        const CONTROL_WORD: usize = 4;
        let r = self.rest();
        let is_frame = |at: usize| be16(r, at + 12).is_some_and(is_in_frames);
        match r.first().map_or(0, |b| b >> 4) {
            4 | 6 => Next::Ip,
            _ if is_frame(0) => Next::Ethernet,
            0 if is_frame(CONTROL_WORD) => {
                self.at += CONTROL_WORD;
                Next::Ethernet
            }
            _ => Next::Ip,
        }
    }

    fn ttag(&mut self) -> Result<Next, Stop> {
        let t = be16(self.beyond(8, Weird::TruncatedEthernetFrame)?, 6).unwrap_or(0);
        self.at += 8;
        match t {
            1536.. => {
                self.out.ethertype = t;
                Ok(Next::EtherType(t))
            }
            0..=1500 => Ok(Next::Llc),
            _ => Err(Stop::new(Counter::NotIp, Some(Weird::UndefinedEtherType))),
        }
    }

    fn pppoe(&mut self) -> Result<Next, Stop> {
        // RFC 2516, 4: six bytes, the last two the length; then PPP's protocol.
        let r = self.beyond(8, Weird::TruncatedPppoeHeader)?;
        let (len, p, left) = (
            be16(r, 4).unwrap_or(0) as usize,
            be16(r, 6).unwrap_or(0),
            r.len() - 6,
        );
        if len < left {
            self.out.weirds.push(Weird::PppoeExtraData);
        } else if len > left {
            self.out.weirds.push(Weird::PppoeTruncatedPayload);
        }
        self.at += 8;
        self.end = self.end.min(self.at + len.saturating_sub(2));
        match p {
            0x0021 | 0x0057 => Ok(Next::Ip),
            _ => not_ip(),
        }
    }

    fn ppp(&mut self) -> Result<Next, Stop> {
        let r = self.beyond(2, Weird::TruncatedPppHeader)?;
        if r.starts_with(&ppp::FRAMING) {
            self.beyond(4, Weird::TruncatedPppHdlcHeader)?;
        }
        let Some((skip, p)) = ppp_header(r) else {
            return truncated(Weird::TruncatedPppHeader);
        };
        self.at += skip;
        Ok(Next::Ppp(p))
    }

    fn ppp_protocol(&mut self, p: u16) -> Result<Next, Stop> {
        match p {
            0x0021 | 0x0057 => Ok(Next::Ip),
            // RFC 3032, 4.1, and labels that the upstream router chose.
            0x0281 | 0x0283 => self.mpls(),
            _ => not_ip(),
        }
    }

    /// BSD loopback: an address family, in the capturing host's order or (`net`) the network's.
    fn null(&mut self, net: bool) -> Result<Next, Stop> {
        let r = self.beyond(4, Weird::NullFailed)?;
        let le = u32::from_le_bytes([r[0], r[1], r[2], r[3]]);
        self.at += 4;
        // The order of DLT_NULL is not written down in the file either: take what makes sense.
        let family = if net || le > 0xffff { le.swap_bytes() } else { le };
        match family {
            // AF_INET; AF_INET6 of the BSDs and macOS, and Linux's.
            2 | 10 | 24 | 28 | 30 => Ok(Next::Ip),
            _ => not_ip(),
        }
    }

    fn nflog(&mut self) -> Result<Next, Stop> {
        let r = self.beyond(4, Weird::TruncatedNflogHeader)?;
        let (family, version) = (r[0], r[1]);
        if version != 0 {
            return malformed(Weird::UnknownNflogVersion);
        }
        self.at += 4;
        loop {
            let r = self.beyond(4, Weird::NflogNoPayload)?;
            // In the byte order of the host that captured; it is taken for little-endian.
            let (len, typ) = (u16::from_le_bytes([r[0], r[1]]), u16::from_le_bytes([r[2], r[3]]));
            if typ == 9 {
                // NFULA_PAYLOAD
                self.at += 4;
                break;
            }
            let skip = (len as usize).next_multiple_of(4);
            if len < 4 || skip > r.len() {
                return malformed(Weird::NflogBadTlvLen);
            }
            self.at += skip;
        }
        match family {
            2 | 10 => Ok(Next::Ip),
            _ => not_ip(),
        }
    }
}

#[cfg(test)]
mod tests;
