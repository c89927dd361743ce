//! What a SYN or SYN-ACK shows of who made it.

use std::fmt;

use crate::base::bytes::{be16, be32};

/// Quirks, a bit each; names and meaning are p0f's.
pub mod quirk {
    /// What a quirk is called in a signature, in the order of the bits.
    pub const NAMES: [&str; 17] = [
        "df", "id+", "id-", "ecn", "0+", "flow", "seq-", "ack+", "ack-", "uptr+", "urgf+", "pushf+", "ts1-",
        "ts2+", "opt+", "exws", "bad",
    ];
    /// Don't fragment.
    pub const DF: u32 = 1;
    /// With that, an IP id that is not 0.
    pub const ID: u32 = 1 << 1;
    /// Without, one that is.
    pub const NO_ID: u32 = 1 << 2;
    /// Explicit congestion notification, in IP or TCP.
    pub const ECN: u32 = 1 << 3;
    /// IP's reserved flag.
    pub const RESERVED: u32 = 1 << 4;
    /// An IPv6 flow label that is not 0.
    pub const FLOW: u32 = 1 << 5;
    /// A sequence number of 0.
    pub const NO_SEQ: u32 = 1 << 6;
    /// An acknowledgement number without ACK.
    pub const ACK: u32 = 1 << 7;
    /// ACK, and none.
    pub const NO_ACK: u32 = 1 << 8;
    /// An urgent pointer without URG.
    pub const URGENT: u32 = 1 << 9;
    /// URG.
    pub const URG: u32 = 1 << 10;
    /// PSH.
    pub const PUSH: u32 = 1 << 11;
    /// The own timestamp is 0.
    pub const NO_TS1: u32 = 1 << 12;
    /// A SYN's echoed timestamp is not.
    pub const TS2: u32 = 1 << 13;
    /// Something behind the end of options.
    pub const AFTER_EOL: u32 = 1 << 14;
    /// A window scale beyond 14.
    pub const SCALE: u32 = 1 << 15;
    /// Options that are none.
    pub const BAD: u32 = 1 << 16;
}

/// TCP options that signatures name.
pub mod option {
    /// Kinds and names.
    pub const NAMES: [(u8, &str); 6] = [
        (1, "nop"),
        (2, "mss"),
        (3, "ws"),
        (4, "sok"),
        (5, "sack"),
        (8, "ts"),
    ];
    /// End of options; its name is followed by what is behind it, bytes.
    pub const EOL: u8 = 0;
}

/// Most options that a header has room for.
const MOST_OPTIONS: usize = 40;

/// The kinds of a header's options, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    kinds: [u8; MOST_OPTIONS],
    len: u8,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout {
            kinds: [0; MOST_OPTIONS],
            len: 0,
        }
    }
}

impl Layout {
    /// Adds one. False: there is no room for that many.
    pub fn push(&mut self, kind: u8) -> bool {
        let place = self.kinds.get_mut(usize::from(self.len));
        let is_room = place.is_some();
        if let Some(place) = place {
            *place = kind;
            self.len += 1;
        }
        is_room
    }

    /// All of them.
    pub fn all(&self) -> &[u8] {
        self.kinds.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// With ACK.
    pub is_answer: bool,
    /// IPv6.
    pub is_v6: bool,
    /// Time to live, or hop limit, as it arrived.
    pub ttl: u8,
    /// Bytes of IP options.
    pub ip_options: u8,
    /// Of both headers.
    pub headers: u16,
    /// 0: none was said.
    pub mss: u16,
    /// As on the wire, bytes.
    pub window: u16,
    /// 0 also where none was said.
    pub scale: u8,
    /// TCP's options.
    pub layout: Layout,
    /// Bytes behind the end of options.
    pub padding: u8,
    /// A bit for each, by the place in `quirk::NAMES`.
    pub quirks: u32,
    /// With payload.
    pub has_payload: bool,
    /// The own timestamp; 0: none.
    pub ts1: u32,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const URG: u8 = 32;
const ECE_CWR: u8 = 0xc0;

impl Sight {
    /// Of a packet from its IP header on, whose TCP header is at `l4`; None: it is none that tells anything, or not all of its
    /// headers are at hand.
    pub fn of(ip: &[u8], l4: usize, has_payload: bool) -> Option<Sight> {
        let tcp = ip.get(l4..)?;
        let fixed = tcp.get(..20)?;
        let flags = fixed[13];
        if flags & (SYN | FIN | RST) != SYN {
            return None;
        }
        let header = usize::from(fixed[12] >> 4) * 4;
        let mut s = Sight {
            is_answer: flags & ACK != 0,
            window: be16(fixed, 14)?,
            has_payload,
            headers: u16::try_from(l4 + header).ok()?,
            ..Sight::default()
        };
        match ip.first()? >> 4 {
            4 => s.of_v4(ip)?,
            6 => s.of_v6(ip)?,
            _ => return None,
        }
        let quirks = [
            (quirk::ECN, flags & ECE_CWR != 0),
            (quirk::NO_SEQ, be32(fixed, 4)? == 0),
            (quirk::NO_ACK, s.is_answer && be32(fixed, 8)? == 0),
            (quirk::ACK, !s.is_answer && be32(fixed, 8)? != 0),
            (quirk::URG, flags & URG != 0),
            (quirk::URGENT, flags & URG == 0 && be16(fixed, 18)? != 0),
            (quirk::PUSH, flags & PSH != 0),
        ];
        s.add(&quirks);
        s.options(tcp.get(20..header)?);
        Some(s)
    }

    fn add(&mut self, quirks: &[(u32, bool)]) {
        for (bit, _) in quirks.iter().filter(|(_, is)| *is) {
            self.quirks |= bit;
        }
    }

    fn of_v4(&mut self, ip: &[u8]) -> Option<()> {
        self.ttl = *ip.get(8)?;
        self.ip_options = ((ip.first()? & 15) * 4).checked_sub(20)?;
        let (id, flags) = (be16(ip, 4)?, *ip.get(6)?);
        let df = flags & 0x40 != 0;
        self.add(&[
            (quirk::DF, df),
            (quirk::ID, df && id != 0),
            (quirk::NO_ID, !df && id == 0),
            (quirk::RESERVED, flags & 0x80 != 0),
            (quirk::ECN, ip.get(1)? & 3 != 0),
        ]);
        Some(())
    }

    fn of_v6(&mut self, ip: &[u8]) -> Option<()> {
        self.is_v6 = true;
        self.ttl = *ip.get(7)?;
        let first = be32(ip, 0)?;
        self.add(&[
            (quirk::FLOW, first & 0xf_ffff != 0),
            (quirk::ECN, first >> 20 & 3 != 0),
        ]);
        Some(())
    }

    fn options(&mut self, mut rest: &[u8]) {
        while let Some((&kind, after)) = rest.split_first() {
            if !self.layout.push(kind) {
                break;
            }
            match kind {
                option::EOL => {
                    self.padding = after.len() as u8;
                    self.add(&[(quirk::AFTER_EOL, after.iter().any(|b| *b != 0))]);
                    break;
                }
                1 => rest = after,
                _ => {
                    let len = after.first().copied().map_or(0, usize::from);
                    let Some((whole, after)) = (len >= 2).then(|| rest.split_at_checked(len)).flatten()
                    else {
                        self.quirks |= quirk::BAD;
                        break;
                    };
                    self.option(kind, whole);
                    rest = after;
                }
            }
        }
    }

    fn option(&mut self, kind: u8, whole: &[u8]) {
        match (kind, whole.len()) {
            (2, 4) => self.mss = be16(whole, 2).unwrap_or(0),
            (3, 3) => {
                self.scale = whole.get(2).copied().unwrap_or(0);
                self.add(&[(quirk::SCALE, self.scale > 14)]);
            }
            (4, 2) | (5, 10..=34) => {}
            (8, 10) => {
                self.ts1 = be32(whole, 2).unwrap_or(0);
                let is_echo = be32(whole, 6).unwrap_or(0) != 0;
                self.add(&[
                    (quirk::NO_TS1, self.ts1 == 0),
                    (quirk::TS2, !self.is_answer && is_echo),
                ]);
            }
            (2 | 3 | 4 | 5 | 8, _) => self.quirks |= quirk::BAD,
            _ => {}
        }
    }

    /// Hops from the next higher usual beginning.
    pub fn guessed_distance(&self) -> u8 {
        let first = [32, 64, 128, 255].into_iter().find(|ttl| self.ttl <= *ttl);
        first.unwrap_or(255) - self.ttl
    }

    /// The window as a multiple of what systems count it in: how many, and whether that is the MTU.
    pub fn multiple(&self) -> Option<(u16, bool)> {
        let (window, mss) = (u32::from(self.window), u32::from(self.mss));
        if window == 0 || mss < 100 {
            return None;
        }
        // Twelve bytes are the timestamps'; 1500 what most links carry, 40 and 60 the headers.
        let with_ts = (self.ts1 != 0).then_some(mss - 12);
        let v6 = |n: u32| self.is_v6.then_some(n);
        let units = [
            (Some(mss), false),
            (with_ts, false),
            (Some(1460), false),
            (Some(1448), false),
            (v6(1440), false),
            (v6(1428), false),
            (Some(mss + 40), true),
            (Some(mss + u32::from(self.headers)), true),
            (v6(mss + 60), true),
            (Some(1500), true),
        ];
        let fits = units
            .into_iter()
            .find_map(|(unit, is_mtu)| unit.filter(|u| window % u == 0).map(|u| (window / u, is_mtu)));
        fits.map(|(n, is_mtu)| (n as u16, is_mtu))
    }

    /// The largest packet on its way, as far as it says, bytes.
    pub fn mtu(&self) -> Option<u16> {
        let headers = if self.is_v6 { 60 } else { 40 };
        (self.mss > 0).then(|| self.mss.saturating_add(headers))
    }
}

/// As a signature of p0f would have it, for who wants to add one.
impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, ttl, far) = (if self.is_v6 { 6 } else { 4 }, self.ttl, self.guessed_distance());
        write!(f, "{version}:{ttl}+{far}:{}:{}:", self.ip_options, self.mss)?;
        match self.multiple() {
            Some((n, false)) => write!(f, "mss*{n}")?,
            Some((n, true)) => write!(f, "mtu*{n}")?,
            None => write!(f, "{}", self.window)?,
        }
        write!(f, ",{}:", self.scale)?;
        for (i, kind) in self.layout.all().iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match option::NAMES.iter().find(|(k, _)| k == kind) {
                Some((_, name)) => f.write_str(name)?,
                None if *kind == option::EOL => write!(f, "eol+{}", self.padding)?,
                None => write!(f, "?{kind}")?,
            }
        }
        f.write_str(":")?;
        let quirks = quirk::NAMES
            .iter()
            .enumerate()
            .filter(|(i, _)| self.quirks >> i & 1 != 0);
        for (n, (_, name)) in quirks.enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{name}")?;
        }
        f.write_str(if self.has_payload { ":+" } else { ":0" })
    }
}
