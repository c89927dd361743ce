//! The Internet checksum (RFC 1071), and what it covers in each protocol.

use sensor_common::Packet;
use sensor_common::decap::{VXLAN_GPE_PORT, VXLAN_LINUX_PORT, VXLAN_PORT};
use sensor_common::key::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};
use sensor_common::proto::MOBILITY;

use super::weird::Weird;
use crate::base::bytes::be16;

/// Adds `data` to a sum of 16-bit words.
fn add(mut sum: u64, data: &[u8]) -> u64 {
    let mut words = data.chunks_exact(4);
    for w in &mut words {
        sum += u32::from_be_bytes([w[0], w[1], w[2], w[3]]) as u64;
    }
    // A missing last byte counts as zero.
    let mut last = [0u8; 4];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    sum + u32::from_be_bytes(last) as u64
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Whether an IPv4 header (with its options) has a right checksum.
pub fn ipv4_header_ok(header: &[u8]) -> bool {
    fold(add(0, header)) == 0xffff
}

/// Whether the checksum of a mobility header (RFC 6275, 6.1.1) between these addresses is right.
pub fn mobility_ok(src: &[u8; 16], dst: &[u8; 16], header: &[u8]) -> bool {
    let addresses = add(add(0, src), dst);
    fold(add(addresses + MOBILITY as u64 + header.len() as u64, header)) == 0xffff
}

/// Checks the transport checksum of a packet that was captured whole; what was cut cannot be checked
/// and passes. `frame` is what `pkt`'s offsets point into; `cut` tells that it is shorter than on the
/// wire.
///
/// The pseudo-header takes the flow's addresses, which are the final ones where a routing header or a
/// home address says so (RFC 8200, 8.1).
pub fn verify(frame: &[u8], pkt: &Packet, cut: bool) -> Result<(), Weird> {
    let l3 = pkt.l3 as usize;
    let l4 = pkt.l4 as usize;
    let v6 = frame.get(l3).is_some_and(|b| b >> 4 == 6);
    let mut len = (l3 + pkt.ip_len as usize).saturating_sub(l4);
    if pkt.key.proto == IPPROTO_UDP {
        // RFC 768: UDP's own length is in the pseudo-header, and what lies beyond is not covered.
        len = len.min(8 + pkt.payload_len as usize);
    }
    let Some(segment) = frame.get(l4..l4 + len) else {
        return Ok(());
    };
    let mut sum = 0;
    if pkt.key.proto != IPPROTO_ICMP {
        // Mapped IPv4 addresses add 0xffff each, which is zero to this sum.
        sum = add(add(0, &pkt.key.a), &pkt.key.b);
        sum += pkt.key.proto as u64 + len as u64;
    }
    let weird = match pkt.key.proto {
        IPPROTO_TCP => Weird::BadTcpChecksum,
        IPPROTO_UDP => {
            if cut {
                return Ok(());
            }
            let field = be16(segment, 6);
            // RFC 768: zero means none. VXLAN transmits zero over IPv6 too (RFC 7348, 4.1).
            if field == Some(0) && (!v6 || is_vxlan(segment)) {
                return Ok(());
            }
            Weird::BadUdpChecksum
        }
        IPPROTO_ICMP | IPPROTO_ICMPV6 => Weird::BadIcmpChecksum,
        _ => return Ok(()),
    };
    if fold(add(sum, segment)) == 0xffff {
        Ok(())
    } else {
        Err(weird)
    }
}

fn is_vxlan(udp: &[u8]) -> bool {
    matches!(be16(udp, 2), Some(VXLAN_PORT | VXLAN_GPE_PORT | VXLAN_LINUX_PORT))
        && udp.get(8).is_some_and(|b| b & 8 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensor_common::FlowKey;
    use sensor_common::key::v4_mapped;

    #[test]
    fn ipv4_header() {
        // RFC 1071's example, as a well-known header.
        let mut h = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01,
            0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert!(ipv4_header_ok(&h));
        h[8] -= 1;
        assert!(!ipv4_header_ok(&h));
    }

    #[test]
    fn udp() {
        let (src, dst) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let mut f = vec![0x45; 20];
        f.extend([0, 53, 0, 54, 0, 11, 0, 0, 1, 2, 3]);
        let (key, dir) = FlowKey::new(&v4_mapped(src), &v4_mapped(dst), 53, 54, IPPROTO_UDP, false);
        let p = Packet {
            key,
            dir,
            ip_len: 31,
            payload_len: 3,
            l4: 20,
            data: 28,
            ..Packet::default()
        };
        // No checksum is a right one.
        assert_eq!(verify(&f, &p, false), Ok(()));
        // By hand: 0a00+0001+0a00+0002+11+0b + 35+36+0b + 0102+0300 = 0x1897, complement 0xe768
        f[26] = 0xe7;
        f[27] = 0x68;
        assert_eq!(verify(&f, &p, false), Ok(()));
        f[28] ^= 0x40;
        assert_eq!(verify(&f, &p, false), Err(Weird::BadUdpChecksum));
        f[28] ^= 0x40;
        // What lies beyond UDP's length is not covered.
        f.push(7);
        assert_eq!(verify(&f, &Packet { ip_len: 32, ..p }, false), Ok(()));
        // Cut: cannot be told.
        assert_eq!(verify(&f[..30], &p, true), Ok(()));
    }
}
