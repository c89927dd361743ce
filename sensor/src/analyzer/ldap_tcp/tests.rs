//! Bytes in, what is confirmed out.

use super::*;
use crate::analyzer::tried::{C, S, Trial, ber};

fn message(op: u8, parts: &[&[u8]]) -> Vec<u8> {
    ber(0x30, &[&ber(2, &[&[1]]), &ber(0x60 | op, parts)])
}

fn bind(authentication: &[u8]) -> Vec<u8> {
    message(0, &[&ber(2, &[&[3]]), &ber(4, &[b"cn=me"]), authentication])
}

/// An answer, with what follows its result.
fn answer(op: u8, code: u8, more: &[u8]) -> Vec<u8> {
    message(op, &[&ber(10, &[&[code]]), &ber(4, &[]), &ber(4, &[]), more])
}

fn search(filter: &[u8]) -> Vec<u8> {
    let number = |n| ber(2, &[&[n]]);
    let kind = |n| ber(10, &[&[n]]);
    let parts = [
        ber(4, &[b"dc=example"]),
        kind(2),
        kind(0),
        number(0),
        number(0),
        ber(1, &[&[0]]),
        filter.to_vec(),
        ber(0x30, &[&ber(4, &[b"cn"])]),
    ];
    message(3, &[&parts.concat()])
}

fn equals() -> Vec<u8> {
    ber(0xa3, &[&ber(4, &[b"cn"]), &ber(4, &[b"me"])])
}

#[test]
fn a_whole_message_is_ldap_however_it_is_cut() {
    let m = bind(&ber(0x80, &[b"secret"]));
    for cut in 0..m.len() {
        let t = Trial::tcp(389).says(C, &m[..cut]).says(C, &m[cut..]).result();
        assert_eq!(
            (t.services, t.said),
            (vec!["ldap_tcp"], vec!["is ldap_tcp".to_owned()])
        );
        let t = Trial::tcp(389).says(C, &m[..cut]).result();
        assert!(t.said.is_empty());
    }
    let t = Trial::tcp(4000).says(C, &m).says(S, &answer(1, 0, &[])).result();
    assert_eq!(t.services, ["ldap_tcp"]);
    let t = Trial::tcp(389).partial().says(S, &answer(5, 0, &[])).result();
    assert_eq!(t.services, ["ldap_tcp"]);
}

#[test]
fn the_operations() {
    let change = ber(
        0x30,
        &[
            &ber(10, &[&[2]]),
            &ber(0x30, &[&ber(4, &[b"cn"]), &ber(0x31, &[&ber(4, &[b"me"])])]),
        ],
    );
    let changes = |change: &[u8]| message(6, &[&ber(4, &[b"dc=x"]), &ber(0x30, &[change])]);
    for good in [
        search(&equals()),
        search(&ber(0xa0, &[&equals(), &ber(0x87, &[b"cn"])])),
        search(&ber(0xa2, &[&equals()])),
        search(&ber(
            0xa4,
            &[&ber(4, &[b"cn"]), &ber(0x30, &[&ber(0x80, &[b"m"])])],
        )),
        changes(&change),
        // Changes are not looked at.
        changes(&ber(0x30, &[&ber(10, &[&[9]])])),
        message(4, &[&ber(4, &[b"dc=x"]), &ber(0x30, &[])]),
        message(2, &[]),
        message(8, &[b"anything"]),
        message(23, &[&ber(0x80, &[b"1.3.6.1.4.1.4203.1.11.3"])]),
        answer(24, 0, &ber(0x8b, &[b"u:me"])),
    ] {
        assert_eq!(
            Trial::tcp(389).says(C, &good).result().said,
            ["is ldap_tcp"],
            "{good:?}"
        );
    }
    for bad in [
        search(&ber(0x30, &[])),
        search(&ber(
            0xa4,
            &[&ber(4, &[b"cn"]), &ber(0x30, &[&ber(0x85, &[b"m"])])],
        )),
        message(6, &[&ber(2, &[&[1]])]),
        message(17, &[]),
        bind(&ber(4, &[b"secret"])),
        answer(24, 0, &ber(0x81, &[b"x"])),
        ber(0x30, &[&ber(10, &[&[1]]), &ber(0x62, &[])]),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let t = Trial::tcp(389).says(C, &message(2, &[])).says(C, &bad).result();
        assert_eq!(t.said, ["is ldap_tcp", "ldap_tcp: no LDAP message"], "{bad:?}");
        assert!(t.services.is_empty());
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| (0..depth).fold(equals(), |filter, _| ber(0xa2, &[&filter]));
    assert_eq!(
        Trial::tcp(389).says(C, &search(&nested(20))).result().services,
        ["ldap_tcp"]
    );
    assert!(
        Trial::tcp(389)
            .says(C, &search(&nested(21)))
            .result()
            .services
            .is_empty()
    );
    let deep = |depth| (0..depth).fold(ber(5, &[]), |value, _| ber(0x30, &[&value]));
    let entry = |value: &[u8]| message(4, &[&ber(4, &[b"dc=x"]), value]);
    assert_eq!(
        Trial::tcp(389).says(S, &entry(&deep(32))).result().services,
        ["ldap_tcp"]
    );
    assert!(
        Trial::tcp(389)
            .says(S, &entry(&deep(33)))
            .result()
            .services
            .is_empty()
    );
}

#[test]
fn tokens_of_sasl_and_sicily_are_not_looked_into() {
    let token = b"NTLMSSP\0\x09\0\0\0";
    let alone = |name: &[u8], more: &[u8]| bind(&ber(0xa3, &[&ber(4, &[name]), more]));
    let sasl = |name: &[u8], token: &[u8]| alone(name, &ber(4, &[token]));
    let oid = ber(6, &[&[0x2b, 6, 1, 5, 5, 2]]);
    for good in [
        sasl(b"NTLM", token),
        sasl(b"GSS-SPNEGO", token),
        sasl(b"GSS-SPNEGO", &ber(0x60, &[&oid, b"anything"])),
        sasl(b"GSS-SPNEGO", &ber(0xa1, &[b"anything"])),
        sasl(b"GSSAPI", b"anything"),
        // A length that is too long.
        alone(b"GSSAPI", &[4, 99, 1]),
        alone(b"GSS-SPNEGO", &[4, 99, 0xa1, 0]),
        alone(b"GSSAPI", &[]),
        bind(&ber(0x8a, &[token])),
    ] {
        let t = Trial::tcp(389).says(C, &good).result();
        assert_eq!(t.said, ["is ldap_tcp"], "{good:?}");
    }
    for bad in [
        sasl(b"GSS-SPNEGO", b"nothing"),
        sasl(b"GSS-SPNEGO", &ber(0x60, &[&ber(6, &[&[0x2a, 3]])])),
        alone(b"GSS-SPNEGO", &[]),
        alone(b"GSS-SPNEGO", &ber(2, &[token])),
        bind(&ber(0x8a, &[b"nothing"])),
    ] {
        let t = Trial::tcp(389).says(C, &bad).result();
        assert_eq!(t.said, ["ldap_tcp: no LDAP message"], "{bad:?}");
    }
    // The server's.
    let t = Trial::tcp(389)
        .says(C, &sasl(b"GSSAPI", &[5, 4, 0]))
        .says(S, &answer(1, 14, &ber(0x87, &[&[4, 4, 0]])))
        .result();
    assert_eq!(t.said, ["is ldap_tcp"]);
}

#[test]
fn a_mechanism_holds_until_another_one_is_named() {
    let scram = bind(&ber(0xa3, &[&ber(4, &[b"SCRAM-SHA-256"])]));
    let simple = bind(&ber(0x80, &[b"secret"]));
    let wrapped = b"\0\0\0\x04abcd";
    let t = Trial::tcp(389).says(C, &scram).says(C, &simple);
    let t = t.says(S, &answer(1, 0, &[])).says(C, wrapped).result();
    assert_eq!(t.said, ["is ldap_tcp"]);
    // Without one, nothing is wrapped.
    let t = Trial::tcp(389).says(C, &simple);
    let t = t.says(S, &answer(1, 0, &[])).says(C, wrapped).result();
    assert_eq!(t.said, ["is ldap_tcp", "ldap_tcp: no LDAP message"]);
}

#[test]
fn after_authentication_messages_may_be_wrapped() {
    let sasl = bind(&ber(0xa3, &[&ber(4, &[b"GSSAPI"]), &ber(4, &[&[5, 4, 0]])]));
    let bound = || Trial::tcp(389).says(C, &sasl).says(S, &answer(1, 0, &[]));
    let wrapped = |flags: u8, inside: &[u8]| {
        let mut m = ((16 + inside.len()) as u32).to_be_bytes().to_vec();
        m.extend([5, 4, flags, 0xff, 0, 0, 0, 0]);
        m.extend([0; 8]);
        m.extend(inside);
        m
    };
    let none = ["is ldap_tcp"];
    // In the clear, sealed, signed, and in another layer.
    assert_eq!(bound().says(C, &search(&equals())).result().said, none);
    assert_eq!(bound().says(C, &wrapped(2, b"sealed")).result().said, none);
    assert_eq!(
        bound().says(C, &wrapped(0, &search(&equals()))).result().said,
        none
    );
    assert_eq!(bound().says(C, b"\0\0\0\x04abcd\0\0\0\x01e").result().said, none);
    // Signed, and no message.
    let t = bound().says(C, &wrapped(0, b"no message")).result();
    assert!(!t.services.contains(&"ldap_tcp"));
}

#[test]
fn after_starttls_the_rest_is_tls() {
    let asks = message(23, &[&ber(0x80, &[b"1.3.6.1.4.1.1466.20037"])]);
    let hello = [0x16, 3, 1, 0, 5, 2, 0, 0, 1, 0];
    let t = Trial::tcp(389)
        .says(C, &asks)
        .says(S, &answer(24, 0, &[]))
        .says(C, &hello)
        .result();
    assert_eq!(t.said[0], "is ldap_tcp");
    assert!(
        t.said.len() > 1 && t.said[1..].iter().all(|s| s.starts_with("ssl")),
        "{:?}",
        t.said
    );
    // Refused.
    let t = Trial::tcp(389)
        .says(C, &asks)
        .says(S, &answer(24, 2, &[]))
        .says(C, &hello)
        .result();
    assert_eq!(t.said, ["is ldap_tcp", "ldap_tcp: no LDAP message"]);
}

#[test]
fn long_messages_and_long_conversations_cost_no_more() {
    let mut long = ber(0x30, &[&[0; 200]]);
    long[2..4].copy_from_slice(&[0xff, 0xff]);
    let mut t = Trial::tcp(389).says(C, &message(2, &[])).says(S, &long);
    for _ in 0..70 {
        t = t.says(S, &[0; 1000]);
    }
    let t = t.result();
    assert_eq!(t.services, ["ldap_tcp"]);
    assert_eq!(t.wanted, [Interest::Nothing; 2]);
}
