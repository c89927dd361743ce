//! pcapng: sections, interfaces, packets (draft-ietf-opsawg-pcapng).

use pcap_parser::OptionCode;
use pcap_parser::nom;
use pcap_parser::pcapng::{
    InterfaceDescriptionBlock, parse_enhancedpacketblock_be, parse_enhancedpacketblock_le,
    parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le, parse_sectionheaderblock,
};

use super::located::{LocateError, Located, MAX_PACKET, TOO_LONG};
use super::source::Source;
use crate::base::time::SECOND;
use crate::packet::link::LinkType;

/// Longest block that must be looked at as a whole: a packet with its header and options.
const MAX_BLOCK: usize = MAX_PACKET + 65_536;
/// Most interfaces in a section.
const MAX_INTERFACES: usize = 65_536;
const CUT_BLOCK: &str = "ends in the midst of a block";

/// A pcapng interface: what it takes to read its packets.
#[derive(Clone, Copy)]
pub(super) struct Interface {
    link: LinkType,
    snaplen: u32,
    /// Time stamp units per second.
    units: u64,
    /// Added to time stamps, seconds.
    offset: i64,
}

// pcapng block types (draft-ietf-opsawg-pcapng, 4).
pub(super) const SHB_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const SHB: u32 = 0x0a0d_0d0a;
const IDB: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const EPB: u32 = 6;

pub(super) fn next_ng(
    source: &mut Source,
    big_endian: &mut bool,
    interfaces: &mut Vec<Interface>,
) -> Result<Option<Located>, LocateError> {
    loop {
        if !source.skip_rest()? {
            return Err(LocateError::Damaged(CUT_BLOCK));
        }
        if !source.fill(12)? {
            return if source.bytes().is_empty() {
                Ok(None)
            } else {
                Err(LocateError::Damaged(CUT_BLOCK))
            };
        }
        let b = source.bytes();
        if b[..4] == SHB_MAGIC {
            // Byte-order magic; a section has its own order and its own interfaces.
            *big_endian = match b[8..12] {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return Err(LocateError::Damaged("a section of unknown byte order")),
            };
            interfaces.clear();
        }
        let u32_at = |b: &[u8], at: usize| number(b, at, *big_endian);
        let (typ, len) = (u32_at(b, 0), u32_at(b, 4) as usize);
        if len < 12 || len % 4 != 0 {
            return Err(LocateError::Damaged("a block of impossible length"));
        }
        if !matches!(typ, SHB | IDB | PACKET | SIMPLE | EPB) {
            // Names, statistics, secrets, comments: may be long and are of no interest.
            if !source.skip(len as u64)? {
                return Err(LocateError::Damaged(CUT_BLOCK));
            }
            continue;
        }
        if len > MAX_BLOCK {
            return Err(LocateError::Damaged(TOO_LONG));
        }
        if !source.fill(len)? {
            return Err(LocateError::Damaged(CUT_BLOCK));
        }
        let block = &source.bytes()[..len];
        if u32_at(block, len - 4) as usize != len {
            return Err(LocateError::Damaged("a block whose two lengths differ"));
        }
        let found = match typ {
            SHB => {
                parsed(parse_sectionheaderblock(block), "a broken section header")?;
                None
            }
            IDB => {
                let parse = if *big_endian {
                    parse_interfacedescriptionblock_be
                } else {
                    parse_interfacedescriptionblock_le
                };
                let idb = parsed(parse(block), "a broken interface description")?;
                if interfaces.len() >= MAX_INTERFACES {
                    return Err(LocateError::Damaged("too many interfaces"));
                }
                interfaces.push(interface(&idb, *big_endian));
                None
            }
            EPB => {
                let parse = if *big_endian {
                    parse_enhancedpacketblock_be
                } else {
                    parse_enhancedpacketblock_le
                };
                let p = parsed(parse(block), "a broken packet block")?;
                let stamp = (p.ts_high as u64) << 32 | p.ts_low as u64;
                Some((p.if_id, Some(stamp), p.caplen, p.origlen, 28))
            }
            PACKET if len >= 32 => {
                // Obsolete, but in old captures: interface (16 bits), drops, time, lengths.
                let id = if *big_endian {
                    u16::from_be_bytes([block[8], block[9]])
                } else {
                    u16::from_le_bytes([block[8], block[9]])
                };
                let stamp = (u32_at(block, 12) as u64) << 32 | u32_at(block, 16) as u64;
                Some((id as u32, Some(stamp), u32_at(block, 20), u32_at(block, 24), 28))
            }
            SIMPLE if len >= 16 => {
                // No captured length: the original one, cut by the interface's and the block's.
                let wire = u32_at(block, 8);
                let snap = interfaces.first().map_or(0, |i| i.snaplen);
                let cap = if snap > 0 { wire.min(snap) } else { wire };
                Some((0, None, cap.min(len as u32 - 16), wire, 12))
            }
            _ => return Err(LocateError::Damaged("a packet block too short for its header")),
        };
        let start = source.start;
        if let Some((id, stamp, cap, wire_len, header)) = found {
            let Some(i) = interfaces.get(id as usize) else {
                return Err(LocateError::Damaged(
                    "a packet of an interface that was not described",
                ));
            };
            let cap = cap as usize;
            if cap > MAX_PACKET {
                return Err(LocateError::Damaged(TOO_LONG));
            }
            if header + cap + 4 > len {
                return Err(LocateError::Damaged("a packet longer than its block"));
            }
            let found = Located {
                ts: stamp.map_or(0, |s| nanoseconds(s, i)),
                link: i.link,
                wire_len,
                iface: id,
                at: start + header,
                len: cap,
            };
            source.consume(len);
            return Ok(Some(found));
        }
        source.consume(len);
    }
}

fn parsed<T, E>(r: Result<(&[u8], T), nom::Err<E>>, what: &'static str) -> Result<T, LocateError> {
    r.map(|(_, t)| t).map_err(|_| LocateError::Damaged(what))
}

/// The 32-bit number at `at`, which the caller knows to be there; 0 otherwise.
#[inline]
fn number(b: &[u8], at: usize, big_endian: bool) -> u32 {
    match b.get(at..at + 4) {
        Some(s) if big_endian => u32::from_be_bytes([s[0], s[1], s[2], s[3]]),
        Some(s) => u32::from_le_bytes([s[0], s[1], s[2], s[3]]),
        None => 0,
    }
}

fn interface(idb: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Interface {
    let mut i = Interface {
        link: LinkType(idb.linktype.0 as u32 & 0xffff),
        snaplen: idb.snaplen,
        units: 1_000_000,
        offset: 0,
    };
    for o in &idb.options {
        match (o.code, o.value()) {
            // Power of ten, or of two if the high bit is set. What does not fit in 64 bits is no
            // resolution of any clock.
            (OptionCode::IfTsresol, [r, ..]) => {
                let power = (r & 0x7f) as u32;
                let units = if r & 0x80 != 0 {
                    1u64.checked_shl(power)
                } else {
                    10u64.checked_pow(power)
                };
                i.units = units.unwrap_or(1_000_000);
            }
            (OptionCode::IfTsoffset, &[a, b, c, d, e, f, g, h, ..]) => {
                let raw = [a, b, c, d, e, f, g, h];
                i.offset = if big_endian {
                    i64::from_be_bytes(raw)
                } else {
                    i64::from_le_bytes(raw)
                };
            }
            _ => {}
        }
    }
    i
}

/// Latest time stamp that is believed, ns since the epoch: the year 2262. Deadlines can be added to it without overflow.
const LATEST_NS: i128 = i64::MAX as i128;

/// A pcapng time stamp in nanoseconds since the epoch; what lies before it or beyond [`LATEST_NS`] is cut.
fn nanoseconds(stamp: u64, i: &Interface) -> u64 {
    let ns = match i.units {
        1_000_000 => stamp as u128 * 1000,
        SECOND => stamp as u128,
        units => stamp as u128 * SECOND as u128 / units as u128,
    };
    let ns = ns as i128 + i.offset as i128 * SECOND as i128;
    ns.clamp(0, LATEST_NS) as u64
}
