//! Datagrams in, what is confirmed out.

use super::*;
use crate::analyzer::tried::{C, S, Trial, ber};

/// An INTEGER behind a tag of its place.
fn number(at: u8, n: u8) -> Vec<u8> {
    ber(0xa0 + at, &[&ber(2, &[&[n]])])
}

fn name(at: u8) -> Vec<u8> {
    let parts = ber(0x30, &[&ber(0x1b, &[b"krbtgt"]), &ber(0x1b, &[b"EXAMPLE"])]);
    let name = ber(0x30, &[&number(0, 2), &ber(0xa1, &[&parts])]);
    ber(0xa0 + at, &[&name])
}

fn encrypted(at: u8) -> Vec<u8> {
    let data = ber(
        0x30,
        &[
            &number(0, 18),
            &number(1, 2),
            &ber(0xa2, &[&ber(4, &[b"secret"])]),
        ],
    );
    ber(0xa0 + at, &[&data])
}

fn ticket(at: u8) -> Vec<u8> {
    let realm = ber(0xa1, &[&ber(0x1b, &[b"EXAMPLE"])]);
    let fields = ber(0x30, &[&number(0, 5), &realm, &name(2), &encrypted(3)]);
    ber(0xa0 + at, &[&ber(0x61, &[&fields])])
}

/// AS-REQ with these entries before authentication.
pub fn request(padata: &[u8]) -> Vec<u8> {
    let options = ber(0xa0, &[&ber(3, &[&[0, 0x40, 0, 0, 0x10]])]);
    let realm = ber(0xa2, &[&ber(0x1b, &[b"EXAMPLE"])]);
    let till = ber(0xa5, &[&ber(0x18, &[b"20370913024805Z"])]);
    let etypes = ber(0xa8, &[&ber(0x30, &[&ber(2, &[&[18]]), &ber(2, &[&[17]])])]);
    let body = ber(
        0xa4,
        &[&ber(
            0x30,
            &[&options, &realm, &name(3), &till, &number(7, 9), &etypes],
        )],
    );
    let padata = match padata.is_empty() {
        true => Vec::new(),
        false => ber(0xa3, &[&ber(0x30, &[padata])]),
    };
    let fields = ber(0x30, &[&number(1, 5), &number(2, 10), &padata, &body]);
    ber(0x6a, &[&fields])
}

fn reply() -> Vec<u8> {
    let realm = ber(0xa3, &[&ber(0x1b, &[b"EXAMPLE"])]);
    let fields = ber(
        0x30,
        &[
            &number(0, 5),
            &number(1, 11),
            &realm,
            &name(4),
            &ticket(5),
            &encrypted(6),
        ],
    );
    ber(0x6b, &[&fields])
}

/// An entry before authentication.
fn entry(kind: u8, value: &[u8]) -> Vec<u8> {
    let kind = ber(0xa1, &[&ber(2, &[&[kind]])]);
    ber(0x30, &[&kind, &ber(0xa2, &[value])])
}

fn error(code: u8, data: &[u8]) -> Vec<u8> {
    let fields = ber(
        0x30,
        &[
            &number(0, 5),
            &number(1, 30),
            &ber(0xa4, &[&ber(0x18, &[b"20370913024805Z"])]),
            &number(5, 7),
            &number(6, code),
            &name(10),
            &ber(0xac, &[data]),
        ],
    );
    ber(0x7e, &[&fields])
}

#[test]
fn requests_and_replies_are_kerberos() {
    let t = Trial::udp(88).says(C, &request(&[])).result();
    assert_eq!((t.services, t.said), (vec!["krb"], vec!["is krb".to_owned()]));
    let t = Trial::udp(88).says(S, &reply()).result();
    assert_eq!(t.services, ["krb"]);
    // On any port, if it is the first datagram.
    assert_eq!(Trial::udp(4000).says(C, &request(&[])).result().services, ["krb"]);
    assert_eq!(Trial::udp(4000).says(C, &reply()).result().services, ["krb"]);
    let t = Trial::udp(4000).says(C, b"hello").says(S, &reply()).result();
    assert!(t.services.is_empty());
}

#[test]
fn what_is_broken_is_no_kerberos() {
    let whole = request(&[]);
    // Only a list's end may be missing.
    for len in (0..18).chain([whole.len() - 1]) {
        let t = Trial::udp(88).says(C, &whole[..len]).result();
        assert!(t.services.is_empty(), "{len}");
        assert_eq!(t.said, ["krb: no Kerberos message"], "{len}");
    }
    // A message's tag is of the application's class, and constructed.
    for tag in [0x0a, 0x4a, 0x8a, 0xea] {
        let mut other = whole.clone();
        other[0] = tag;
        let t = Trial::udp(88).says(C, &other).result();
        assert_eq!(t.said, ["krb: no Kerberos message"], "{tag:x}");
    }
    // Once it was Kerberos, too; what comes behind it is not read.
    let t = Trial::udp(88)
        .says(C, &whole)
        .says(S, &whole[..20])
        .says(S, &reply())
        .result();
    assert!(t.services.is_empty());
    assert_eq!(t.said, ["is krb", "krb: no Kerberos message"]);
}

#[test]
fn after_enough_bytes_nothing_can_change() {
    let mut t = Trial::udp(88);
    for _ in 0..200 {
        t = t.says(C, &request(&[]));
    }
    assert_eq!(t.result().wanted, [Interest::Nothing; 2]);
}

#[test]
fn errors_are_read_up_to_their_data() {
    let padata = ber(0x30, &[&entry(19, &ber(4, &[b"anything at all"]))]);
    let t = Trial::udp(88).says(S, &error(25, &padata)).result();
    assert_eq!(t.services, ["krb"]);
    // Of other errors the data is anything.
    assert_eq!(Trial::udp(88).says(S, &error(6, b"x")).result().services, ["krb"]);
    assert!(
        Trial::udp(88)
            .says(S, &error(25, b"x"))
            .result()
            .services
            .is_empty()
    );
}

#[test]
fn the_kinds_of_data_before_authentication() {
    let stamp = ber(
        4,
        &[&ber(0x30, &[&number(0, 18), &ber(0xa2, &[&ber(4, &[b"now"])])])],
    );
    // Zeek reads a SEQUENCE where an OCTET STRING is around it: only headers count.
    let salt = ber(4, &[b"salt"]);
    let other = ber(4, &[b"whatever"]);
    let all = [entry(2, &stamp[2..]), entry(3, &salt), entry(149, &other)].concat();
    assert_eq!(Trial::udp(88).says(C, &request(&all)).result().services, ["krb"]);
    let broken = [entry(3, &salt), entry(149, &[4, 50, 1])].concat();
    assert!(
        Trial::udp(88)
            .says(C, &request(&broken))
            .result()
            .services
            .is_empty()
    );
}

#[test]
fn certificates_of_pkinit_are_files() {
    let oid = ber(6, &[&[0x2a, 3]]);
    let signed = ber(
        0x30,
        &[
            &ber(2, &[&[3]]),
            &ber(0x31, &[]),
            &ber(0x30, &[b"content"]),
            &ber(0xa0, &[b"a certificate"]),
        ],
    );
    let info = ber(0x30, &[&oid, &ber(0xa0, &[&signed])]);
    let asked = ber(4, &[&ber(0x30, &[&ber(0x80, &[&info])])]);
    let t = Trial::udp(88).says(C, &request(&entry(16, &asked))).result();
    assert_eq!(t.services, ["krb"]);
    assert_eq!(t.files, [("KRB", b"a certificate".to_vec())]);
}

#[test]
fn an_inner_request_tells_although_the_rest_is_broken() {
    let options = ber(0xa2, &[&ber(3, &[&[0, 0, 0, 0, 0]])]);
    let fields = ber(
        0x30,
        &[&number(0, 5), &number(1, 14), &options, &ticket(3), &encrypted(4)],
    );
    let inner = ber(0x6e, &[&fields]);
    let mut whole = request(&entry(1, &ber(4, &[&inner])));
    assert_eq!(Trial::udp(88).says(C, &whole).result().services, ["krb"]);
    whole.truncate(whole.len() - 3);
    let t = Trial::udp(88).says(C, &whole).result();
    assert!(t.services.is_empty());
}

#[test]
fn beginnings_have_lengths_of_one_to_four_octets() {
    assert!(begins(&request(&[])));
    assert!(begins(
        b"\x6c\x84\0\0\x01\x30\x84\0\0\x01\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0c"
    ));
    assert!(!begins(
        b"\x6c\x84\0\n\x01\x30\x84\0\0\x01\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0c"
    ));
    assert!(!begins(
        b"\x6b\x30\x30\x30\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0c"
    ));
    assert!(!begins(b"\x30\x30"));
}
