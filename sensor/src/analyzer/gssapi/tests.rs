//! Tokens in, what is confirmed out. They come in DCE/RPC, which carries them as they are.

use crate::analyzer::tried::{C, Trial, Tried, ber};

/// A token at the end of a request.
fn in_rpc(token: &[u8]) -> Vec<u8> {
    let mut pdu = vec![5, 0, 0, 3, 0x10, 0, 0, 0];
    pdu.extend((32 + token.len() as u16).to_le_bytes());
    pdu.extend((token.len() as u16).to_le_bytes());
    pdu.extend([1, 0, 0, 0]);
    pdu.extend([0; 8]);
    pdu.extend([9, 2, 0, 0, 0, 0, 0, 0]);
    pdu.extend(token);
    pdu
}

fn heard(tokens: &[&[u8]]) -> Tried {
    let trial = Trial::tcp(135);
    tokens
        .iter()
        .fold(trial, |t, token| t.says(C, &in_rpc(token)))
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

/// A message of Kerberos as GSS-API has it.
fn with_oid(message: &[u8]) -> Vec<u8> {
    ber(0x60, &[&ber(6, &[&[0x2a, 3]]), &[2, 0], message])
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
    assert_eq!(t.services, ["dce_rpc", "gssapi", "ntlm"]);
    assert_eq!(t.said, ["is ntlm", "is gssapi", "is dce_rpc"]);
    let t = heard(&[&init(&with_oid(&krb()))]);
    assert_eq!(t.services, ["dce_rpc", "gssapi", "krb"]);
    // As such Kerberos' messages are not looked at.
    for bare in [krb(), ber(0x6e, &[b"broken"])] {
        assert_eq!(heard(&[&init(&bare)]).said, ["is gssapi", "is dce_rpc"]);
    }
}

#[test]
fn what_kerberos_does_not_take_is_its_own_affair() {
    let broken = init(&with_oid(&krb()[..20]));
    let t = heard(&[&broken]);
    assert_eq!(t.services, ["dce_rpc", "gssapi"]);
    assert_eq!(t.said, ["krb: no Kerberos message", "is gssapi", "is dce_rpc"]);
    // In an incomplete connection, too, where others keep quiet.
    let t = Trial::tcp(135).partial().says(C, &in_rpc(&broken)).result();
    assert_eq!(t.said, ["krb: no Kerberos message", "is gssapi", "is dce_rpc"]);
}

#[test]
fn a_broken_token_takes_the_service_back_and_reading_goes_on() {
    let broken = ber(0xa1, &[&ber(0x30, &[&ber(0xa9, &[])])]);
    let t = heard(&[&init(b"x"), &broken, &init(&with_oid(&krb()))]);
    // It is confirmed once; what it carries is read all the same.
    assert_eq!(t.services, ["dce_rpc", "krb"]);
    assert!(t.said.contains(&"gssapi: no GSS-API token".to_owned()));
    // Tokens of signatures are none that negotiate.
    assert_eq!(
        heard(&[&[4, 4, 1, 2, 3], &[5, 4, 9]]).services,
        ["dce_rpc", "gssapi"]
    );
}
