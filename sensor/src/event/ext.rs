//! IPv6 extension headers as `exts` of `pkt_hdr` shows them (RFC 8200, 4302, 4303, 6275).

use std::net::IpAddr;

use sensor_common::proto::{AH, DSTOPTS, ESP, FRAGMENT, HOPOPTS, MOBILITY, NO_NEXT, ROUTING};

use super::json::{self, Object};
use crate::base::bytes::{be16, be32, be64, ipv6};
use crate::packet::ip::ext::{ExtHeader, ExtHeaders, IPV6_HEADER};

/// Writes the array of `packet`'s extension headers, the first of type `nxt`; gives the protocol after
/// them and where it starts. Ends at a header that is not all there, and after one that hides what follows.
pub(super) fn chain(out: &mut Vec<u8>, packet: &[u8], nxt: u8) -> (u8, usize) {
    let mut headers = ExtHeaders::new(packet, nxt);
    let mut end = headers.place();
    out.push(b'[');
    while let Some(ExtHeader {
        id,
        at,
        bytes: Some(h),
        ..
    }) = headers.next()
    {
        if at > IPV6_HEADER {
            out.push(b',');
        }
        let mut o = Object::new(out);
        o.count("id", id);
        // Every header written has the bytes it needs, so a None here only leaves fields out.
        let _ = header(&mut o, id, h);
        o.end();
        end = headers.place();
        match id {
            ESP => end.0 = NO_NEXT,
            FRAGMENT | MOBILITY => {}
            _ => continue,
        }
        break;
    }
    out.push(b']');
    end
}

/// Writes the field that a header of type `id` has besides it; `h` is at least eight bytes.
fn header(o: &mut Object<'_>, id: u8, h: &[u8]) -> Option<()> {
    match id {
        HOPOPTS | DSTOPTS => {
            let mut x = Object::new(o.key(if id == HOPOPTS { "hopopts" } else { "dstopts" }));
            x.count("nxt", h[0]).count("len", h[1]);
            options(x.key("options"), h.get(2..)?);
            x.end();
        }
        ROUTING => {
            let mut x = Object::new(o.key("routing"));
            x.count("nxt", h[0])
                .count("len", h[1])
                .count("rtype", h[2])
                .count("segleft", h[3]);
            json::zeek_bytes(x.key("data"), h.get(4..)?);
            x.end();
        }
        FRAGMENT => {
            let off = be16(h, 2)?;
            let mut x = Object::new(o.key("fragment"));
            x.count("nxt", h[0])
                .count("rsv1", h[1])
                .count("offset", off >> 3)
                .count("rsv2", off >> 1 & 3);
            x.bool("more", off & 1 != 0).count("id", be32(h, 4)?);
            x.end();
        }
        AH => {
            let mut x = Object::new(o.key("ah"));
            x.count("nxt", h[0])
                .count("len", h[1])
                .count("rsv", be16(h, 2)?)
                .count("spi", be32(h, 4)?);
            if let Some(seq) = be32(h, 8) {
                x.count("seq", seq);
                json::zeek_bytes(x.key("data"), h.get(12..)?);
            }
            x.end();
        }
        ESP => {
            let mut x = Object::new(o.key("esp"));
            x.count("spi", be32(h, 0)?).count("seq", be32(h, 4)?);
            x.end();
        }
        _ => {
            let mut x = Object::new(o.key("mobility"));
            x.count("nxt", h[0])
                .count("len", h[1])
                .count("mh_type", h[2])
                .count("rsv", h[3]);
            x.count("chksum", be16(h, 4)?);
            let mut msg = Object::new(x.key("msg"));
            msg.count("id", h[2]);
            let _ = mobility(&mut msg, h[2], h.get(6..)?);
            msg.end();
            x.end();
        }
    }
    Some(())
}

/// Writes a mobility message's field; `m` starts after the checksum (RFC 6275 section 6.1). Nothing is
/// written unless all of its fixed part is there.
fn mobility(o: &mut Object<'_>, mh_type: u8, m: &[u8]) -> Option<()> {
    let (name, fixed) = match mh_type {
        0 => ("brr", 2),
        1 => ("hoti", 10),
        2 => ("coti", 10),
        3 => ("hot", 18),
        4 => ("cot", 18),
        5 => ("bu", 6),
        6 => ("back", 6),
        7 => ("be", 18),
        _ => return None,
    };
    let rest = m.get(fixed..)?;
    let word = be16(m, 0)?;
    let mut x = Object::new(o.key(name));
    match mh_type {
        0 => {
            x.count("rsv", word);
        }
        1 | 2 => {
            x.count("rsv", word).count("cookie", be64(m, 2)?);
        }
        3 | 4 => {
            x.count("nonce_idx", word)
                .count("cookie", be64(m, 2)?)
                .count("token", be64(m, 10)?);
        }
        5 => {
            let flags = be16(m, 2)?;
            x.count("seq", word);
            for (name, bit) in [("a", 0x8000), ("h", 0x4000), ("l", 0x2000), ("k", 0x1000)] {
                x.bool(name, flags & bit != 0);
            }
            x.count("life", be16(m, 4)?);
        }
        6 => {
            x.count("status", m[0]).bool("k", m[1] & 0x80 != 0);
            x.count("seq", be16(m, 2)?).count("life", be16(m, 4)?);
        }
        _ => {
            x.count("status", m[0]).addr("hoa", IpAddr::V6(ipv6(m, 2)?));
        }
    }
    options(x.key("options"), rest);
    x.end();
    Some(())
}

/// Writes an options area: type, length, value, and single bytes of type 0 as padding.
fn options(out: &mut Vec<u8>, mut b: &[u8]) {
    let mut first = true;
    out.push(b'[');
    // A last byte alone is no option for Zeek, even if it is padding.
    while let [otype, len, ..] = *b {
        let (len, data, next) = if otype == 0 {
            (0, &[][..], 1)
        } else {
            let Some(data) = b.get(2..2 + usize::from(len)) else {
                break;
            };
            (len, data, 2 + usize::from(len))
        };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        let mut o = Object::new(out);
        o.count("otype", otype).count("len", len);
        json::zeek_bytes(o.key("data"), data);
        o.end();
        b = b.get(next..).unwrap_or_default();
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(nxt: u8, exts: &[u8]) -> (String, u8, usize) {
        let mut packet = vec![0; 40];
        packet.extend_from_slice(exts);
        let mut out = Vec::new();
        let (proto, at) = chain(&mut out, &packet, nxt);
        (String::from_utf8(out).expect("text"), proto, at)
    }

    #[test]
    fn options_routing_and_what_follows() {
        let (s, proto, at) = shown(
            0,
            &[43, 0, 1, 4, 0, 0, 0, 0, 17, 0, 4, 2, b' ', b'"', 0xff, b'\\'],
        );
        assert_eq!(
            s,
            r#"[{"id":0,"hopopts":{"nxt":43,"len":0,"options":[{"otype":1,"len":4,"data":"\\x00\\x00\\x00\\x00"}]}},"#
                .to_owned()
                + r#"{"id":43,"routing":{"nxt":17,"len":0,"rtype":4,"segleft":2,"data":" \"\\xff\\"}}]"#
        );
        assert_eq!((proto, at), (17, 56));
    }

    #[test]
    fn a_mobility_message_and_a_cut_one() {
        let mut be = vec![59, 2, 7, 0, 0xb0, 0xd8, 1, 0, 0x20, 1];
        be.resize(24, 0);
        assert_eq!(
            shown(135, &be).0,
            r#"[{"id":135,"mobility":{"nxt":59,"len":2,"mh_type":7,"rsv":0,"chksum":45272,"#.to_owned()
                + r#""msg":{"id":7,"be":{"status":1,"hoa":"2001::","options":[]}}}}]"#
        );
        assert_eq!(shown(135, &be[..23]).0, "[]");
        assert_eq!(shown(51, &[58, 0, 0, 0, 0, 0, 0, 9]).1, 58);
        assert_eq!(shown(50, &[0; 8]).1, NO_NEXT);
    }
}
