//! Bytes in, what is confirmed out.

use crate::analyzer::tried::{C, S, Trial, ber};

/// A message behind its length: KRB-ERROR, which needs little.
fn message() -> Vec<u8> {
    let number = |at: u8, n: u8| ber(0xa0 + at, &[&ber(2, &[&[n]])]);
    let body = ber(
        0x7e,
        &[&ber(0x30, &[&number(0, 5), &number(1, 30), &number(6, 68)])],
    );
    let mut all = (body.len() as u32).to_be_bytes().to_vec();
    all.extend(body);
    all
}

#[test]
fn messages_come_behind_their_length_however_they_are_cut() {
    let m = message();
    for port in [88, 4000] {
        for cut in 0..m.len() {
            let t = Trial::tcp(port).says(S, &m[..cut]).says(S, &m[cut..]).result();
            assert_eq!(t.services, ["krb_tcp"], "{port} {cut}");
        }
        assert_eq!(Trial::tcp(port).says(C, &m).result().services, ["krb_tcp"]);
    }
}

#[test]
fn a_broken_message_takes_it_back() {
    let mut broken = message();
    broken[4] = 0x61;
    let t = Trial::tcp(88)
        .says(S, &message())
        .says(S, &broken)
        .says(S, &message())
        .result();
    assert!(t.services.is_empty());
    assert_eq!(t.said, ["is krb_tcp", "krb_tcp: no Kerberos message"]);
}

#[test]
fn without_its_beginning_it_is_not_read() {
    assert!(
        Trial::tcp(88)
            .partial()
            .says(S, &message())
            .result()
            .services
            .is_empty()
    );
}

#[test]
fn a_message_too_long_says_nothing() {
    let mut long = vec![0, 2, 0, 0];
    long.extend(&message()[4..]);
    let t = Trial::tcp(88).says(C, &long).says(C, &[0; 70_000]).result();
    assert!(t.said.is_empty());
}
