//! The UDP encapsulations; IP and GRE are tested through the soft datapath.

use super::*;
use proptest::prelude::*;

/// An IPv6 packet of these payload bytes.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
    p.extend([[0x20; 16], [0x21; 16]].concat());
    p.extend_from_slice(payload);
    p
}

fn packet(at: usize, link: LinkType) -> Found {
    Found::Packet { at, link: Some(link) }
}

#[test]
fn vxlan_needs_its_flag() {
    assert_eq!(vxlan(&[8, 0, 0, 0, 0, 0, 7, 0]), packet(8, LinkType::ETHERNET));
    assert_eq!(
        vxlan(&[0xf7, 0, 0, 0, 0, 0, 7, 0, 1]),
        Found::Violation("VXLAN 'I' flag not set")
    );
    assert_eq!(vxlan(&[8; 7]), Found::Violation("VXLAN header truncation"));
}

#[test]
fn geneve_has_options() {
    assert_eq!(
        geneve(&[0, 0, 0x65, 0x58, 0, 0, 7, 0]),
        packet(8, LinkType::ETHERNET)
    );
    let mut b = vec![2, 0, 8, 0, 0, 0, 7, 0];
    assert_eq!(geneve(&b), Found::Violation("Geneve option header truncation"));
    b.extend([0; 8]);
    assert_eq!(geneve(&b), packet(16, LinkType::RAW));
    // ARP and others are a tunnel's, and nothing to look into.
    b[2] = 9;
    assert_eq!(geneve(&b), Found::Packet { at: 16, link: None });
    b[0] |= 0x40;
    assert_eq!(geneve(&b), Found::Odd(Weird::GeneveInvalidVersion));
    assert_eq!(geneve(&b[..7]), Found::Violation("Geneve header truncation"));
}

#[test]
fn ayiya_forwards() {
    // 16 bytes of identity, 20 of signature.
    let mut b = vec![0x44, 0x52, 0x11, 41];
    b.extend([0; 39]);
    assert_eq!(ayiya(&b), Found::Violation("Truncated AYIYA"));
    b.push(0);
    assert!(looks_like_ayiya(&b));
    assert_eq!(ayiya(&b), packet(44, LinkType::RAW));
    b[2] = 0x12;
    assert!(!looks_like_ayiya(&b));
    assert_eq!(ayiya(&b), Found::Nothing);
}

#[test]
fn teredo_headers() {
    let ip = ipv6(59, &[]);
    let origin = [0; 8];
    // Four bytes of identifier, two of authentication, nonce and confirmation.
    let auth = [&[0, 1, 4, 2][..], &[9; 15]].concat();
    assert_eq!(teredo(&ip), Teredo::Ipv6(0));
    assert_eq!(teredo(&[&origin[..], &ip].concat()), Teredo::Ipv6(8));
    assert_eq!(teredo(&[&auth[..], &origin, &ip].concat()), Teredo::Ipv6(27));
    // Not in that order, and not twice.
    let bad = Teredo::Bad("Bad Teredo encapsulation", None);
    assert_eq!(teredo(&[&origin[..], &auth, &ip].concat()), bad);
    assert_eq!(teredo(&[&origin[..], &origin, &ip].concat()), bad);
    assert_eq!(teredo(&[&auth[..], &auth, &ip].concat()), bad);
    assert_eq!(teredo(&[0x45; 60]), bad);
    let name = |b: &[u8]| match teredo(b) {
        Teredo::Bad(_, name) => name,
        _ => None,
    };
    assert_eq!(name(&[0]), Some("truncated_Teredo"));
    assert_eq!(name(&origin[..7]), Some("truncated_Teredo_origin_indication"));
    assert_eq!(name(&auth[..18]), Some("truncated_Teredo_authentication"));
    assert_eq!(name(&ip[..39]), Some("truncated_IPv6_in_Teredo"));
}

#[test]
fn teredo_lengths() {
    let bubble = [&ipv6(59, &[])[..], &[1, 2]].concat();
    assert_eq!(teredo(&bubble), Teredo::OddBubble(0));
    let long = [&ipv6(17, &[0; 8])[..], &[1]].concat();
    assert_eq!(teredo(&long), Teredo::Bad("Teredo payload length", None));
    let cut = ipv6(17, &[0; 8]);
    assert!(matches!(teredo(&cut[..47]), Teredo::Bad(..)));
}

#[test]
fn teredo_by_its_looks() {
    let mut ip = ipv6(59, &[]);
    assert!(!looks_like_teredo(&ip));
    ip[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
    assert!(looks_like_teredo(&ip));
    assert!(!looks_like_teredo(&ip[..39]));
    ip.copy_within(8..12, 24);
    ip[8] = 0xfe;
    assert!(looks_like_teredo(&ip));
    let other = ipv6(59, &[]);
    assert!(looks_like_teredo(&[&[0; 8][..], &other].concat()));
    let auth = [&[0, 1, 4, 2][..], &[9; 15]].concat();
    assert!(looks_like_teredo(&[&auth[..], &[0; 8], &other].concat()));
    assert!(!looks_like_teredo(&[&auth[..], &other].concat()));
    assert!(!looks_like_teredo(&[0; 100]));
}

#[test]
fn gtp_headers() {
    let ip = ipv6(59, &[]);
    let with = |flags: u8, message: u8, rest: &[u8]| {
        let header = [flags, message, 0, 0, 0, 0, 0, 1];
        gtpv1(&[&header[..], rest].concat())
    };
    assert_eq!(with(0x30, 255, &ip), Gtp::Packet(8));
    assert_eq!(
        with(0x32, 255, &[&[0, 1, 0, 0], &ip[..]].concat()),
        Gtp::Packet(12)
    );
    // Two extension headers of four bytes and eight.
    let exts = [&[0, 1, 0, 0x85, 1, 0, 0, 0xc0, 2, 0, 0, 0, 0, 0, 0, 0], &ip[..]].concat();
    assert_eq!(with(0x34, 255, &exts), Gtp::Packet(24));
    assert_eq!(with(0x34, 255, &exts[..15]), Gtp::Bad(GTP_CUT));
    assert_eq!(with(0x34, 255, &[0, 1, 0, 0x85, 0, 0, 0, 0]), Gtp::Bad(GTP_CUT));
    assert_eq!(with(0x32, 255, &[0; 3]), Gtp::Bad(GTP_CUT));
    assert_eq!(gtpv1(&[0x30; 7]), Gtp::Bad(GTP_CUT));
    assert_eq!(with(0x50, 255, &ip), Gtp::Bad("GTPv1 bad Version"));
    assert_eq!(with(0x20, 255, &ip), Gtp::Other);
    assert_eq!(with(0x30, 16, &ip), Gtp::Other);
    assert_eq!(with(0x30, 255, &ip[..19]), Gtp::Bad("Truncated GTPv1"));
    assert_eq!(with(0x30, 255, &[0; 20]), Gtp::Bad("non-IP packet in GTPv1"));
    let long = [&ip[..], &[0]].concat();
    assert_eq!(with(0x30, 255, &long), Gtp::Bad("GTPv1 payload length"));
}

proptest! {
    /// Whatever comes, what is pointed to is there.
    #[test]
    fn nothing_points_beyond(mut b in proptest::collection::vec(any::<u8>(), 0..120), first in 0u8..8) {
        if let Some(x) = b.first_mut() {
            *x = [0x00, 0x08, 0x20, 0x30, 0x34, 0x44, 0x60, 0x10][first as usize];
        }
        for f in [vxlan(&b), geneve(&b), ayiya(&b)] {
            if let Found::Packet { at, .. } = f {
                prop_assert!(at <= b.len());
            }
        }
        if let Teredo::Ipv6(at) | Teredo::OddBubble(at) = teredo(&b) {
            prop_assert!(at + 40 <= b.len());
        }
        if let Gtp::Packet(at) = gtpv1(&b) {
            prop_assert!(at + 20 <= b.len());
        }
        if let Ok(g) = gre(&b) {
            prop_assert!(g.at <= b.len());
        }
        let _ = (looks_like_teredo(&b), looks_like_ayiya(&b), check_ip(4, &b), check_ip(41, &b));
    }
}
