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
fn vxlan_gpe_names_what_is_inside() {
    let next = |flags: u8, n: u8| vxlan_gpe(&[flags, 0, 0, n, 0, 0, 7, 0, 1]);
    assert_eq!(next(0x0c, 1), packet(8, LinkType::RAW));
    assert_eq!(next(0x0c, 2), packet(8, LinkType::RAW));
    assert_eq!(next(0x0c, 3), packet(8, LinkType::ETHERNET));
    assert_eq!(next(0x0c, 5), packet(8, LinkType::MPLS));
    assert_eq!(next(0x0c, 9), Found::Packet { at: 8, link: None });
    // Without the flag it is VXLAN's Ethernet.
    assert_eq!(next(0x08, 1), packet(8, LinkType::ETHERNET));
    assert_eq!(next(0x0d, 1), Found::Nothing);
    assert_eq!(next(0x1c, 1), Found::Violation("VXLAN-GPE version"));
    assert_eq!(next(0x04, 1), Found::Violation("VXLAN 'I' flag not set"));
    assert_eq!(vxlan_gpe(&[0x0c; 7]), Found::Violation("VXLAN header truncation"));
    // A service header of 24 bytes, then IPv4.
    let mut b = vec![0x0c, 0, 0, 4, 0, 0, 7, 0, 0, 6, 1, 1];
    b.resize(31, 0);
    assert_eq!(vxlan_gpe(&b), Found::Violation("NSH header truncation"));
    b.push(0);
    assert_eq!(vxlan_gpe(&b), packet(32, LinkType::RAW));
    // One that has no length.
    b[9] = 0;
    assert_eq!(vxlan_gpe(&b), Found::Violation("NSH header truncation"));
}

#[test]
fn l2tp_data() {
    const PPP: &[u8] = &[0xff, 3, 0, 0x21];
    let with = |head: &[u8]| l2tp(&[head, PPP].concat());
    // Tunnel and session alone; with length; with numbers and two bytes of padding too.
    assert_eq!(with(&[0, 2, 0, 1, 0, 2]), packet(6, LinkType::PPP));
    assert_eq!(with(&[0x40, 2, 0, 12, 0, 1, 0, 2]), packet(8, LinkType::PPP));
    let all = [0x4a, 2, 0, 20, 0, 1, 0, 2, 0, 3, 0, 4, 0, 2, 0, 0];
    assert_eq!(with(&all), packet(16, LinkType::PPP));
    // Control messages, keep-alives without a frame.
    assert_eq!(with(&[0xc8, 2, 0, 16, 0, 1, 0, 2, 0, 3, 0, 4]), Found::Nothing);
    assert_eq!(l2tp(&[0, 2, 0, 1, 0, 2]), Found::Nothing);
    assert_eq!(with(&[0x40, 2, 0, 8, 0, 1, 0, 2]), Found::Nothing);
    let cut = Found::Violation("L2TP header truncation");
    for head in [&[0x40, 2, 0, 7, 0, 1, 0, 2][..], &[2, 2, 0, 1, 0, 2, 0, 9]] {
        assert_eq!(with(head), cut);
    }
    assert_eq!(l2tp(&[2, 2, 0, 1, 0, 2, 0]), cut);
    assert_eq!(l2tp(&[0]), cut);
    assert_eq!(with(&[0, 3, 0, 1, 0, 2]), Found::Violation("L2TP version"));
}

#[test]
fn gre_with_labels_and_ppp() {
    let found = |b: &[u8]| gre(&[b, &[0x45; 20]].concat());
    let ok = |at, inner| Ok(Gre { at, inner });
    for typ in [0x47, 0x48] {
        let labels = InnerType::Link(LinkType::MPLS);
        assert_eq!(found(&[0x20, 0, 0x88, typ, 0, 0, 0, 1]), ok(8, labels));
    }
    // PPTP: key and sequence number, then PPP with all of its header and with parts left out.
    let pptp = |ppp: &[u8]| found(&[&[0x30, 1, 0x88, 0x0b, 0, 24, 0, 7, 0, 0, 0, 1][..], ppp].concat());
    assert_eq!(pptp(&[0xff, 3, 0, 0x21]), ok(16, InnerType::Ip(proto::IPV4)));
    assert_eq!(pptp(&[0xff, 3, 0x21]), ok(15, InnerType::Ip(proto::IPV4)));
    assert_eq!(pptp(&[0, 0x57]), ok(14, InnerType::Ip(proto::IPV6)));
    assert_eq!(pptp(&[0x21]), ok(13, InnerType::Ip(proto::IPV4)));
    assert_eq!(pptp(&[0xc0, 0x21]), Err(Weird::NonIpInEncap));
    assert_eq!(
        gre(&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 7, 0, 0, 0, 1]),
        Err(Weird::TruncatedGre)
    );
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
    assert_eq!(geneve(&b), Found::Weird(Weird::GeneveInvalidVersion));
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
    assert_eq!(teredo(&bubble), Teredo::BubbleWithBytes(0));
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
        if let Teredo::Ipv6(at) | Teredo::BubbleWithBytes(at) = teredo(&b) {
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
