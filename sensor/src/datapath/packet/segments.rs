//! Packets that the kernel carries as one, cut up again as they are on the wire: what it merged of what was received (GRO), and
//! what a card will cut up itself of what is sent (TSO).
//!
//! Each piece has a copy of the headers, with its own lengths, sequence number and flags. Checksums are left as they are: nobody
//! looks at them. What is none of plain TCP or UDP in IP (packets in tunnels, IPv6's extension headers) stays whole.

/// Ethertypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Most VLAN tags that are passed.
const MAX_TAGS: usize = 4;
/// TCP's flags that only the last piece has (FIN, PSH), and the one that only the first has (CWR).
const LAST_ONLY: u8 = 0x09;
const FIRST_ONLY: u8 = 0x80;

/// Where the headers of a frame are, bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Headers {
    ip: usize,
    v6: bool,
    transport: usize,
    tcp: bool,
    payload: usize,
    /// The end of the IP packet: behind it may be a trailer.
    end: usize,
}

fn word(f: &[u8], at: usize) -> Option<u16> {
    f.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn headers(f: &[u8]) -> Option<Headers> {
    let mut at = 12;
    let mut ethertype = word(f, at)?;
    for _ in 0..MAX_TAGS {
        if !TAGS.contains(&ethertype) {
            break;
        }
        at += 4;
        ethertype = word(f, at)?;
    }
    let ip = at + 2;
    let (v6, transport, proto, len) = match ethertype {
        IPV4 => {
            let first = *f.get(ip)?;
            let fragment = word(f, ip + 6)? & 0x3fff;
            if first >> 4 != 4 || fragment != 0 {
                return None;
            }
            let header = usize::from(first & 15) * 4;
            (false, ip + header, *f.get(ip + 9)?, usize::from(word(f, ip + 2)?))
        }
        IPV6 => (
            true,
            ip + 40,
            *f.get(ip + 6)?,
            match word(f, ip + 4)? {
                0 => 0,
                n => usize::from(n) + 40,
            },
        ),
        _ => return None,
    };
    // Packets of more than 64 KiB have no length.
    let end = if len == 0 { f.len() } else { f.len().min(ip + len) };
    let payload = match proto {
        TCP => transport + usize::from(*f.get(transport + 12)? >> 4) * 4,
        UDP => transport + 8,
        _ => return None,
    };
    let found = Headers {
        ip,
        v6,
        transport,
        tcp: proto == TCP,
        payload,
        end,
    };
    let shortest = if found.tcp { transport + 20 } else { transport + 8 };
    (payload >= shortest && payload < end).then_some(found)
}

/// Cuts `f` up into frames of `size` bytes of payload and gives them to `each`; `buf` is memory for one. False: it stays whole,
/// and `each` was not called.
pub fn cut(f: &[u8], size: u16, buf: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> bool {
    let Some(h) = headers(f) else { return false };
    let size = usize::from(size);
    let (Some(head), Some(payload)) = (f.get(..h.payload), f.get(h.payload..h.end)) else {
        return false;
    };
    if size == 0 || payload.len() <= size {
        return false;
    }
    let last = payload.len().div_ceil(size) - 1;
    for (n, piece) in payload.chunks(size).enumerate() {
        buf.clear();
        buf.extend_from_slice(head);
        buf.extend_from_slice(piece);
        adjust(buf, &h, n, n * size, n == last);
        each(buf);
    }
    true
}

/// Puts the fields of piece `n` into a frame: it begins `offset` bytes into the whole one's payload.
fn adjust(f: &mut [u8], h: &Headers, n: usize, offset: usize, last: bool) {
    let len = f.len();
    let mut put = |at: usize, value: u16| {
        if let Some(to) = f.get_mut(at..at + 2) {
            to.copy_from_slice(&value.to_be_bytes());
        }
    };
    match h.v6 {
        true => put(h.ip + 4, (len - h.ip - 40) as u16),
        false => put(h.ip + 2, (len - h.ip) as u16),
    }
    if !h.tcp {
        put(h.transport + 4, (len - h.transport) as u16);
    }
    if !h.v6
        && let Some(id) = word(f, h.ip + 4)
        && let Some(to) = f.get_mut(h.ip + 4..h.ip + 6)
    {
        to.copy_from_slice(&id.wrapping_add(n as u16).to_be_bytes());
    }
    if !h.tcp {
        return;
    }
    if let Some(seq) = f.get_mut(h.transport + 4..h.transport + 8)
        && let Ok(first) = <[u8; 4]>::try_from(&*seq)
    {
        let own = u32::from_be_bytes(first).wrapping_add(offset as u32);
        seq.copy_from_slice(&own.to_be_bytes());
    }
    if let Some(flags) = f.get_mut(h.transport + 13) {
        if !last {
            *flags &= !LAST_ONLY;
        }
        if n > 0 {
            *flags &= !FIRST_ONLY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame of TCP over IPv4, with a tag, whose payload counts up.
    fn tcp(payload: usize) -> Vec<u8> {
        let mut f = vec![0; 12];
        f.extend([0x81, 0x00, 0, 7, 0x08, 0x00]);
        f.extend([0x45, 0]);
        f.extend((40 + payload as u16).to_be_bytes());
        f.extend([0xff, 0xff, 0x40, 0, 64, TCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        f.extend([
            0, 80, 0, 81, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1, 0x50, 0x99, 1, 0, 0, 0, 0, 0,
        ]);
        f.extend((0..payload).map(|n| n as u8));
        f
    }

    fn pieces(f: &[u8], size: u16) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        cut(f, size, &mut Vec::new(), |p| all.push(p.to_vec()));
        all
    }

    #[test]
    fn pieces_are_as_on_the_wire() {
        let mut f = tcp(25);
        f.extend([9; 6]);
        let all = pieces(&f, 10);
        let said: Vec<_> = all
            .iter()
            .map(|p| {
                let seq = u32::from_be_bytes(p[42..46].try_into().expect("four bytes"));
                (word(p, 20), word(p, 22), seq, p[51], p[58..].to_vec())
            })
            .collect();
        let payload = |from: u8, to: u8| (from..to).collect::<Vec<u8>>();
        assert_eq!(
            said,
            [
                // CWR and ACK; ACK; ACK, PSH and FIN.
                (Some(50), Some(0xffff), 0xffff_fff0, 0x90, payload(0, 10)),
                (Some(50), Some(0), 0xffff_fffa, 0x10, payload(10, 20)),
                (Some(45), Some(1), 4, 0x19, payload(20, 25)),
            ]
        );
        assert!(all.iter().all(|p| p[12..18] == f[12..18]), "the tag is there");
    }

    #[test]
    fn datagrams_have_lengths_of_their_own() {
        let mut f = vec![0; 12];
        f.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8 + 9, UDP, 64]);
        f.extend([0; 32]);
        f.extend([0, 53, 0, 53, 0, 17, 0, 0]);
        f.extend([1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let all = pieces(&f, 4);
        let lens: Vec<_> = all.iter().map(|p| (word(p, 18), word(p, 58), p.len())).collect();
        assert_eq!(
            lens,
            [
                (Some(12), Some(12), 66),
                (Some(12), Some(12), 66),
                (Some(9), Some(9), 63)
            ]
        );
    }

    #[test]
    fn what_is_one_packet_stays_whole() {
        assert!(pieces(&tcp(25), 25).is_empty());
        assert!(pieces(&tcp(25), 0).is_empty());
        let mut fragment = tcp(25);
        fragment[24] = 0x20;
        assert!(pieces(&fragment, 10).is_empty());
        let mut gre = tcp(25);
        gre[27] = 47;
        assert!(pieces(&gre, 10).is_empty());
        assert!(pieces(&[], 10).is_empty());
    }

    proptest! {
        /// Whatever comes, all payload is there once, and nothing panics.
        #[test]
        fn any_bytes(mut f in proptest::collection::vec(any::<u8>(), 0..200), size in 1u16..60, plain: bool) {
            if plain && f.len() > 60 {
                let good = tcp(f.len() - 58);
                f[12..58].copy_from_slice(&good[12..58]);
            }
            let all = pieces(&f, size);
            if plain && f.len() > 60 && f.len() - 58 > usize::from(size) {
                let payload: Vec<u8> = all.iter().flat_map(|p| p[58..].to_vec()).collect();
                prop_assert_eq!(&payload[..], &f[58..]);
            }
            prop_assert!(all.len() <= f.len());
        }
    }
}
