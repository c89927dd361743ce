use super::*;
use proptest::prelude::*;

/// An Ethernet header and what follows.
fn eth(t: u16, rest: &[u8]) -> Vec<u8> {
    let mut f = vec![2; 12];
    f.extend(t.to_be_bytes());
    f.extend_from_slice(rest);
    f
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const IP: &[u8] = &[0x45; 20];

fn l3(link: LinkType, f: &[u8]) -> Option<usize> {
    parse(link, f).ok().map(|l| l.l3 as usize)
}

fn weird(link: LinkType, f: &[u8]) -> (Counter, Vec<Weird>) {
    match parse(link, f) {
        Ok(_) => panic!("this leads to IP"),
        Err(e) => (e.reason, e.weirds.iter().collect()),
    }
}

#[test]
fn ethernet() {
    assert_eq!(l3(LinkType::ETHERNET, &eth(0x0800, IP)), Some(14));
    assert_eq!(l3(LinkType::ETHERNET, &eth(0x86dd, IP)), Some(14));
    assert_eq!(
        weird(LinkType::ETHERNET, &eth(0x0806, IP)),
        (Counter::NotIp, vec![])
    );
    assert_eq!(
        weird(LinkType::ETHERNET, &eth(0x6003, IP)),
        (Counter::OtherEthertype, vec![])
    );
    assert_eq!(
        weird(LinkType::ETHERNET, &eth(0x0800, &[0; 2])),
        (Counter::Truncated, vec![Weird::TruncatedEthernetFrame])
    );
    assert_eq!(
        weird(LinkType::ETHERNET, &eth(1520, IP)),
        (Counter::NotIp, vec![Weird::UndefinedEtherType])
    );
    let fabric = joined(&[&eth(0x8903, &[0; 2]), &eth(0x0800, IP)]);
    assert_eq!(l3(LinkType::ETHERNET, &fabric), Some(30));
}

#[test]
fn tags() {
    let one = eth(0x8100, &joined(&[&[0x20, 5, 8, 0], IP]));
    let l = parse(LinkType::ETHERNET, &one).unwrap();
    assert_eq!(
        (l.l3, l.vlan, l.inner_vlan, l.ethertype),
        (18, Some(5), None, 0x0800)
    );
    let three = eth(
        0x88a8,
        &joined(&[&[0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x86, 0xdd], IP]),
    );
    let l = parse(LinkType::ETHERNET, &three).unwrap();
    assert_eq!((l.l3, l.vlan, l.inner_vlan), (26, Some(1), Some(3)));
    // A priority tag names no VLAN.
    let priority = eth(0x8100, &joined(&[&[0xe0, 0, 0x81, 0, 0, 7, 8, 0], IP]));
    let l = parse(LinkType::ETHERNET, &priority).unwrap();
    assert_eq!((l.l3, l.vlan, l.inner_vlan), (22, Some(7), None));
    assert_eq!(
        weird(LinkType::ETHERNET, &eth(0x8100, &[0, 1, 0, 9, 0x42])),
        (Counter::Truncated, vec![Weird::TruncatedVlanFrame])
    );
    // A stack that only wants to be deep.
    let deep = eth(0x8100, &[0, 1, 0x81, 0].repeat(100));
    assert_eq!(weird(LinkType::ETHERNET, &deep).0, Counter::Malformed);
    let vntag = eth(0x8926, &joined(&[&[0, 0, 0, 0, 0x81, 0, 0, 9, 8, 0], IP]));
    assert_eq!(l3(LinkType::ETHERNET, &vntag), Some(24));
}

#[test]
fn labels_and_sessions() {
    let mpls = eth(0x8847, &joined(&[&[0, 0, 0, 64, 0, 0, 1, 64], IP]));
    assert_eq!(l3(LinkType::ETHERNET, &mpls), Some(22));
    let upstream = eth(0x8848, &joined(&[&[0, 0, 1, 64], IP]));
    assert_eq!(l3(LinkType::ETHERNET, &upstream), Some(18));
    assert_eq!(l3(LinkType::MPLS, &joined(&[&[0, 0, 1, 64], IP])), Some(4));
    let pbb = eth(0x88e7, &joined(&[&[0; 4], &eth(0x0800, IP)]));
    assert_eq!(l3(LinkType::ETHERNET, &pbb), Some(32));
    // PPPoE whose payload is shorter than the frame.
    let pppoe = eth(0x8864, &joined(&[&[0x11, 0, 0, 1, 0, 22, 0, 0x21], IP, &[0; 6]]));
    let l = parse(LinkType::ETHERNET, &pppoe).unwrap();
    assert_eq!((l.l3, l.end), (22, 42));
    assert!(l.weirds.iter().eq([Weird::PppoeExtraData]));
}

#[test]
fn ethernet_below_labels() {
    let below = |rest: &[u8]| {
        let f = eth(0x8847, &joined(&[&[0, 0, 1, 64], rest]));
        parse(LinkType::ETHERNET, &f).map(|l| (l.l3, l.vlan))
    };
    let word = [0, 0, 0, 9];
    assert_eq!(below(&joined(&[&word, &eth(0x0800, IP)])), Ok((36, None)));
    // Without a control word, and from a station whose address begins with zero bits.
    assert_eq!(below(&eth(0x86dd, IP)), Ok((32, None)));
    let tagged = eth(0x8100, &joined(&[&[0, 5, 8, 0], IP]));
    assert_eq!(below(&tagged), Ok((36, Some(5))));
    assert_eq!(below(&joined(&[&word, &tagged])), Ok((40, Some(5))));
    // ARP in it is no IP; what is nothing known stays what its first byte says.
    assert!(below(&joined(&[&word, &eth(0x0806, IP)])).is_err_and(|e| e.arp));
    assert_eq!(below(&[0x10; 30]), Ok((18, None)));
    assert_eq!(below(&[0]), Ok((18, None)));
}

#[test]
fn time_tags() {
    let tag = [1, 2, 3, 4, 5, 6];
    let f = eth(0x8988, &joined(&[&tag, &[8, 0], IP]));
    let l = parse(LinkType::ETHERNET, &f).unwrap();
    assert_eq!((l.l3, l.ethertype), (22, 0x0800));
    let f = eth(0x8100, &joined(&[&[0, 5, 0x89, 0x88], &tag, &[0x86, 0xdd], IP]));
    assert_eq!(l3(LinkType::ETHERNET, &f), Some(26));
    let f = eth(0x8988, &joined(&[&tag, &[0x81, 0, 0, 5, 8, 0], IP]));
    assert_eq!(parse(LinkType::ETHERNET, &f).unwrap().vlan, Some(5));
    assert_eq!(
        weird(LinkType::ETHERNET, &eth(0x8988, &[1, 2, 3, 4, 5, 6, 8, 0])),
        (Counter::Truncated, vec![Weird::TruncatedEthernetFrame])
    );
}

#[test]
fn ieee_802_3() {
    let snap = eth(28, &joined(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], IP, &[0; 9]]));
    let l = parse(LinkType::ETHERNET, &snap).unwrap();
    assert_eq!((l.l3, l.ethertype), (22, 28));
    let arp = eth(28, &joined(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 6], IP]));
    let e = parse(LinkType::ETHERNET, &arp).unwrap_err();
    assert_eq!((e.reason, e.ethertype, e.arp), (Counter::NotIp, 28, true));
    // Longer than the frame.
    assert_eq!(
        weird(LinkType::ETHERNET, &eth(45, &[0x42; 44])),
        (Counter::Truncated, vec![Weird::TruncatedEthernetFrame])
    );
    let stp = eth(38, &joined(&[&[0x42, 0x42, 3], &[0; 40]]));
    assert_eq!(weird(LinkType::ETHERNET, &stp), (Counter::NotIp, vec![]));
    let ipx = eth(38, &[0xff; 40]);
    assert_eq!(weird(LinkType::ETHERNET, &ipx), (Counter::NotIp, vec![]));
}

#[test]
fn other_link_types() {
    assert_eq!(l3(LinkType::RAW, IP), Some(0));
    assert_eq!(l3(LinkType(228), IP), Some(0));
    assert_eq!(l3(LinkType::NULL, &joined(&[&[2, 0, 0, 0], IP])), Some(4));
    assert_eq!(l3(LinkType::NULL, &joined(&[&[0, 0, 0, 30], IP])), Some(4));
    assert_eq!(l3(LinkType::LOOP, &joined(&[&[0, 0, 0, 24], IP])), Some(4));
    assert_eq!(
        l3(LinkType::LINUX_SLL, &joined(&[&[0; 14], &[8, 0], IP])),
        Some(16)
    );
    assert_eq!(
        l3(LinkType::LINUX_SLL2, &joined(&[&[0x86, 0xdd], &[0; 18], IP])),
        Some(20)
    );
    assert_eq!(l3(LinkType::PPP, &joined(&[&[0xff, 3, 0, 0x21], IP])), Some(4));
    assert_eq!(l3(LinkType::PPP, &joined(&[&[0, 0x57], IP])), Some(2));
    assert_eq!(l3(LinkType::PPP, &joined(&[&[0x21], IP])), Some(1));
    assert_eq!(l3(LinkType::PPP, &joined(&[&[0xff, 3, 0x57], IP])), Some(3));
    let labelled = joined(&[&[2, 0x83, 0, 0, 1, 64], IP]);
    assert_eq!(l3(LinkType::PPP, &labelled), Some(6));
    assert_eq!(
        l3(LinkType::PPP_WITH_DIR, &joined(&[&[1, 0xff, 3, 0, 0x21], IP])),
        Some(5)
    );
    assert_eq!(
        l3(LinkType::PPP_HDLC, &joined(&[&[0x0f, 0, 0, 0x21], IP])),
        Some(4)
    );
    let nflog = |len: u8| joined(&[&[2, 0, 0, 0, len, 0, 1, 0, 7, 0, 0, 0, 24, 0, 9, 0], IP]);
    assert_eq!(l3(LinkType::NFLOG, &nflog(6)), Some(16));
    assert_eq!(
        weird(LinkType::NFLOG, &nflog(3)),
        (Counter::Malformed, vec![Weird::NflogBadTlvLen])
    );
    assert_eq!(
        weird(LinkType::NFLOG, &nflog(200)),
        (Counter::Malformed, vec![Weird::NflogBadTlvLen])
    );
}

#[test]
fn wireless() {
    let llc: &[u8] = &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let data = joined(&[&[8, 1], &[0; 22], llc, IP]);
    assert_eq!(l3(LinkType::IEEE802_11, &data), Some(32));
    let radio = joined(&[&[0, 0, 9, 0, 0, 0, 0, 0, 0], &data]);
    assert_eq!(l3(LinkType::RADIOTAP, &radio), Some(41));
    let beacon = joined(&[&[0x80, 0], &[0; 40]]);
    assert_eq!(weird(LinkType::IEEE802_11, &beacon), (Counter::NotIp, vec![]));
    // Two packets in one frame, the first padded to a multiple of four.
    let sub = joined(&[&[0; 12], &[0, 29], llc, IP, &[0; 1]]);
    let two = joined(&[&[0x88, 1], &[0; 22], &[0x80, 0], &sub, &[0; 1], &sub]);
    let first = parse(LinkType::IEEE802_11, &two).unwrap();
    assert_eq!((first.l3, first.end, first.more), (48, 69, 70));
    let second = next_subframe(&two, first.more).unwrap();
    assert_eq!((second.l3, second.end, second.more), (92, 113, 0));
}

proptest! {
    /// What is found lies in the frame, whatever that is.
    #[test]
    fn never_panics(link in prop::sample::select(vec![0u32, 1, 9, 10, 50, 101, 105, 108, 113, 127, 204, 219, 239, 276]),
                    types in proptest::collection::vec(prop::sample::select(vec![0x8100u16, 0x88a8, 0x8847, 0x8864, 0x88e7, 0x8926, 0x0800, 40, 0x8903]), 0..4),
                    mut b in proptest::collection::vec(any::<u8>(), 0..150)) {
        let mut at = 12;
        for t in types {
            if let Some(v) = b.get_mut(at..at + 2) {
                v.copy_from_slice(&t.to_be_bytes());
            }
            at += 4;
        }
        let mut l = parse(LinkType(link), &b);
        for _ in 0..200 {
            match l {
                Ok(ok) => {
                    prop_assert!(ok.end as usize <= b.len());
                    if ok.more == 0 { break; }
                    prop_assert!(ok.more > ok.l3);
                    l = next_subframe(&b, ok.more);
                }
                Err(_) => break,
            }
        }
    }
}
