//! Datagrams in, what is confirmed out.

use crate::analyzer::tried::{C, S, Trial};

/// SYN, or SYN and ACK, padded as it is sent.
fn hello(acknowledged: u32, flags: u16, version: u16) -> Vec<u8> {
    let mut d = acknowledged.to_be_bytes().to_vec();
    d.extend([0, 64]);
    d.extend(flags.to_be_bytes());
    d.extend([0, 0, 0, 1, 4, 0xd0, 4, 0xd0]);
    d.extend([0, 0]);
    d.extend(version.to_be_bytes());
    d.resize(1232, 0);
    d
}

#[test]
fn the_answer_tells_on_any_port() {
    let syn = hello(u32::MAX, 0x1001, 1);
    let t = Trial::udp(3389).says(C, &syn).result();
    assert!(t.said.is_empty());
    for port in [3389, 4000] {
        let t = Trial::udp(port)
            .says(C, &syn)
            .says(S, &hello(1, 0x1005, 1))
            .result();
        assert_eq!(t.services, ["rdpeudp"]);
    }
    // On other ports a SYN has a size.
    let t = Trial::udp(4000)
        .says(C, &syn[..600])
        .says(S, &hello(1, 0x1005, 1))
        .result();
    assert!(t.services.is_empty());
}

#[test]
fn what_follows_has_to_fit() {
    let open = |version| {
        let t = Trial::udp(3389).says(C, &hello(u32::MAX, 0x1001, version));
        t.says(S, &hello(1, 0x1005, version))
    };
    // Version 1: an acknowledgement with a vector of one element, and with data.
    let ack = [0, 0, 0, 1, 0, 64, 0, 4, 0, 1, 9, 0];
    assert_eq!(open(1).says(C, &ack).result().services, ["rdpeudp"]);
    assert!(open(1).says(C, &ack[..11]).result().services.is_empty());
    let with_data = [&[0, 0, 0, 1, 0, 64, 0, 12, 0, 0, 0, 0][..], &[0; 8], b"data"].concat();
    assert_eq!(open(1).says(C, &with_data).result().services, ["rdpeudp"]);
    assert!(open(1).says(C, &with_data[..19]).result().services.is_empty());
    // Version 2 of the protocol: three bytes are enough.
    assert_eq!(open(0x0101).says(C, &[1, 2, 3]).result().services, ["rdpeudp"]);
    let t = open(0x0101).says(C, &[1, 2]).result();
    assert_eq!(t.said, ["is rdpeudp", "rdpeudp: no RDPEUDP datagram"]);
}

#[test]
fn without_a_version_it_is_none() {
    let t = Trial::udp(3389).says(C, &hello(u32::MAX, 1, 1)).result();
    assert_eq!(t.said, ["rdpeudp: no RDPEUDP datagram"]);
}
