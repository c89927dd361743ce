//! TCP options, and what a SYN says (Zeek: build_syn_packet_val, ParseTCPOptions).

use super::machine::Segment;
use crate::event::SynPacket;

const EOL: u8 = 0;
const NOP: u8 = 1;

/// The options of a TCP header: (kind, length) each, in order, up to the first that does not fit.
pub fn parse_options(header: &[u8]) -> impl Iterator<Item = (u8, u8)> + '_ {
    options(header).map(|(kind, whole)| (kind, whole.len() as u8))
}

/// Each option with all its bytes.
fn options(header: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = header.get(20..).unwrap_or_default();
    std::iter::from_fn(move || {
        let kind = *rest.first()?;
        let len = if kind <= NOP { 1 } else { *rest.get(1)? as usize };
        if len == 0 {
            return None;
        }
        let (whole, after) = rest.split_at_checked(len)?;
        rest = if kind == EOL { &[] } else { after };
        Some((kind, whole))
    })
}

fn be32(b: &[u8]) -> u64 {
    b.iter().take(4).fold(0, |n, x| n << 8 | *x as u64)
}

/// The fields of `connection_SYN_packet`.
pub fn syn_packet(is_orig: bool, seg: &Segment<'_>) -> SynPacket {
    let ip = seg.frame.get(seg.rec.pkt.l3 as usize..).unwrap_or_default();
    let v4 = ip.first().is_some_and(|b| b >> 4 == 4);
    let byte = |i: usize| ip.get(i).copied().unwrap_or(0);
    let mut pkt = SynPacket {
        is_orig,
        df: v4 && byte(6) & 0x40 != 0,
        ttl: if v4 { byte(8) } else { byte(7) } as u64,
        size: seg.rec.pkt.ip_len as u64,
        win_size: seg.rec.pkt.window as u64,
        win_scale: -1,
        mss: 0,
        sack_ok: false,
        tsval: None,
        tsecr: None,
    };
    for (kind, o) in options(seg.tcp_header()) {
        match (kind, o.len()) {
            (2, 4..) => pkt.mss = (o[2] as u64) << 8 | o[3] as u64,
            (3, 3..) => pkt.win_scale = o[2] as i64,
            (4, _) => pkt.sack_ok = true,
            (8, 10..) => {
                pkt.tsval = Some(be32(&o[2..]));
                pkt.tsecr = Some(be32(&o[6..]));
            }
            _ => {}
        }
    }
    pkt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stop_at_the_first_that_does_not_fit() {
        let mut h = vec![0u8; 20];
        h.extend([2, 4, 5, 0xb4, 1, 3, 3, 7, 8, 10, 1]);
        assert_eq!(parse_options(&h).collect::<Vec<_>>(), [(2, 4), (1, 1), (3, 3)]);
        h.truncate(20);
        h.extend([0, 2, 4, 0, 0]);
        assert_eq!(parse_options(&h).collect::<Vec<_>>(), [(0, 1)]);
        assert_eq!(parse_options(&[0; 3]).count(), 0);
    }
}
