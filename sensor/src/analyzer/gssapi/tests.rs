//! Tokens in, what is confirmed out. They come in LDAP, which carries them as they are.

use crate::analyzer::tried::{C, Trial, Tried, ber};

/// A token in a BindRequest.
fn in_ldap(token: &[u8]) -> Vec<u8> {
    let sasl = ber(0xa3, &[&ber(4, &[b"GSSAPI"]), &ber(4, &[token])]);
    let bind = ber(0x60, &[&ber(2, &[&[3]]), &ber(4, &[]), &sasl]);
    ber(0x30, &[&ber(2, &[&[1]]), &bind])
}

fn heard(tokens: &[&[u8]]) -> Tried {
    let trial = Trial::tcp(389);
    tokens
        .iter()
        .fold(trial, |t, token| t.says(C, &in_ldap(token)))
        .result()
}

/// NegTokenInit with a mechanism's token.
fn init(token: &[u8]) -> Vec<u8> {
    let mechanisms = ber(0xa0, &[&ber(0x30, &[&ber(6, &[&[0x2a, 3]])])]);
    let fields = ber(0x30, &[&mechanisms, &ber(0xa2, &[&ber(4, &[token])])]);
    ber(
        0x60,
        &[&ber(6, &[&[0x2b, 6, 1, 5, 5, 2]]), &ber(0xa0, &[&fields])],
    )
}

/// AP-REP of Kerberos.
fn krb() -> Vec<u8> {
    let number = |at: u8, n: u8| ber(0xa0 + at, &[&ber(2, &[&[n]])]);
    let data = ber(0x30, &[&number(0, 18), &ber(0xa2, &[&ber(4, &[b"secret"])])]);
    let fields = ber(0x30, &[&number(0, 5), &number(1, 15), &ber(0xa2, &[&data])]);
    ber(0x6f, &[&fields])
}

#[test]
fn tokens_of_ntlm_and_kerberos_are_theirs() {
    let t = heard(&[&init(b"NTLMSSP\0\x09\0\0\0")]);
    assert_eq!(t.services, ["gssapi", "ldap_tcp", "ntlm"]);
    assert_eq!(t.said, ["is ntlm", "is gssapi", "is ldap_tcp"]);
    assert_eq!(heard(&[&init(&krb())]).services, ["gssapi", "krb", "ldap_tcp"]);
    let with_oid = ber(0x60, &[&ber(6, &[&[0x2a, 3]]), &[2, 0], &krb()]);
    assert_eq!(heard(&[&init(&with_oid)]).services, ["gssapi", "krb", "ldap_tcp"]);
}

#[test]
fn what_kerberos_does_not_take_is_its_own_affair() {
    let t = heard(&[&init(&krb()[..20])]);
    assert_eq!(t.services, ["gssapi", "ldap_tcp"]);
    assert_eq!(t.said, ["krb: no Kerberos message", "is gssapi", "is ldap_tcp"]);
}

#[test]
fn a_broken_token_takes_the_service_back_and_reading_goes_on() {
    let broken = ber(0xa1, &[&ber(0x30, &[&ber(0xa9, &[])])]);
    let t = heard(&[&init(b"x"), &broken, &init(&krb())]);
    // It is confirmed once; what it carries is read all the same.
    assert_eq!(t.services, ["krb", "ldap_tcp"]);
    assert!(t.said.contains(&"gssapi: no GSS-API token".to_owned()));
    // Tokens of signatures are none that negotiate.
    assert_eq!(
        heard(&[&[4, 4, 1, 2, 3], &[5, 4, 9]]).services,
        ["gssapi", "ldap_tcp"]
    );
}
