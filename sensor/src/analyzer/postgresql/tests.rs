//! Bytes in, what is confirmed out.

use super::*;
use crate::analyzer::tried::{C, S, Trial};

const ASKS_TLS: &[u8] = &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

fn startup_of(parameters: &[u8]) -> Vec<u8> {
    let mut m = ((9 + parameters.len()) as u32).to_be_bytes().to_vec();
    m.extend([0, 3, 0, 0]);
    m.extend(parameters);
    m.push(0);
    m
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut m = vec![kind];
    m.extend(((body.len() + 4) as u32).to_be_bytes());
    m.extend(body);
    m
}

fn begun() -> Vec<u8> {
    startup_of(b"user\0me\0database\0it\0")
}

#[test]
fn a_startup_message_tells_however_it_is_cut() {
    let m = begun();
    for cut in 0..m.len() {
        let t = Trial::tcp(5432).says(C, &m[..cut]).says(C, &m[cut..]).result();
        assert_eq!(
            (t.services, t.said),
            (vec!["postgresql"], vec!["is postgresql".to_owned()]),
            "{cut}"
        );
    }
    let ready = message(b'R', &[0, 0, 0, 0]);
    assert_eq!(
        Trial::tcp(4000).says(C, &m).says(S, &ready).result().services,
        ["postgresql"]
    );
    assert!(Trial::tcp(4000).says(C, &m).result().services.is_empty());
}

#[test]
fn the_answer_to_a_request_for_tls_tells() {
    let hello = [0x16, 3, 1, 0, 5, 2, 0, 0, 1, 0];
    for port in [5432, 4000] {
        let t = Trial::tcp(port).says(C, ASKS_TLS).says(S, b"S").result();
        assert_eq!(t.services, ["postgresql"]);
        let t = Trial::tcp(port)
            .says(C, ASKS_TLS)
            .says(S, b"S")
            .says(C, &hello)
            .result();
        assert!(
            t.said.len() > 1 && t.said[1..].iter().all(|s| s.starts_with("ssl")),
            "{:?}",
            t.said
        );
        let t = Trial::tcp(port)
            .says(C, ASKS_TLS)
            .says(S, b"N")
            .says(C, &begun())
            .result();
        assert_eq!(t.said, ["is postgresql"]);
    }
    let t = Trial::tcp(5432).says(C, ASKS_TLS).says(S, b"E").result();
    assert_eq!(t.said, ["postgresql: no PostgreSQL message"]);
}

#[test]
fn sides_may_be_early() {
    let ready = message(b'R', &[0, 0, 0, 0]);
    let t = Trial::tcp(5432).says(S, &ready).says(C, &begun()).result();
    assert_eq!(t.said, ["is postgresql"]);
    let t = Trial::tcp(5432)
        .says(S, b"R\0\0\0\x03")
        .says(C, &begun())
        .result();
    assert!(t.services.is_empty());
    let early = [ASKS_TLS, &begun()].concat();
    assert_eq!(
        Trial::tcp(5432).says(C, &early).says(S, b"N").result().said,
        ["is postgresql"]
    );
    let t = Trial::tcp(5432).says(S, &[0; 20_000]).result();
    assert_eq!(t.said, ["postgresql: no PostgreSQL message"]);
}

#[test]
fn broken_messages_take_it_back() {
    let started = || Trial::tcp(5432).says(C, &begun());
    for (kind, body) in [
        (b'K', &[0; 8][..]),
        (b'E', b"SFATAL\0C28P01\0\0"),
        (b'N', b"Mhello\0\0"),
        (b'R', &[0, 0, 0, 5, 1, 2, 3, 4]),
        (b'S', b"server_version\x0016\0"),
        (b'D', &[0, 1, 0, 0, 0, 1, 9]),
        (b'Z', b"I"),
        (b'T', b"not read"),
    ] {
        assert_eq!(
            started().says(S, &message(kind, body)).result().services,
            ["postgresql"],
            "{kind}"
        );
    }
    for (kind, body) in [
        (b'K', &[0; 7][..]),
        (b'E', b"SFATAL\0C28P01\0"),
        (b'N', b"Mhello\0\0x"),
        (b'R', &[0, 0, 0, 13]),
        (b'R', &[0, 0, 0, 0, 1]),
        (b'S', b"server version\x0016\0"),
        (b'D', &[0]),
        (b'Z', b"X"),
    ] {
        let t = started().says(S, &message(kind, body)).result();
        assert_eq!(
            t.said,
            ["is postgresql", "postgresql: no PostgreSQL message"],
            "{kind}"
        );
    }
    assert_eq!(
        started().says(C, &message(b'Q', b"select 1\0")).result().services,
        ["postgresql"]
    );
    assert!(
        started()
            .says(C, &message(b'Q', b"select\0 1\0"))
            .result()
            .services
            .is_empty()
    );
    assert!(
        started()
            .says(C, &message(b'X', b"x"))
            .result()
            .services
            .is_empty()
    );
    assert!(started().says(C, b"Q\0\0\0\x03").result().services.is_empty());
}

#[test]
fn what_is_no_startup_message_is_none() {
    let mut other_version = begun();
    other_version[5] = 2;
    for none in [
        other_version,
        startup_of(b"user\0\0"),
        startup_of(b"us er\0me\0"),
        startup_of(b"user\0me"),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let t = Trial::tcp(5432).says(C, &none).says(C, &[0; 20]).result();
        assert!(!t.services.contains(&"postgresql"), "{none:?}");
        assert_eq!(
            t.said
                .iter()
                .filter(|s| **s == "postgresql: no PostgreSQL message")
                .count(),
            1
        );
    }
}

#[test]
fn signatures_decide_early() {
    assert_eq!(tls_request(&[0, 0, 0, 9]), Match::No);
    assert_eq!(startup(&[0, 0, 0, 9, 0, 3]), Match::More);
    assert_eq!(startup(b"GET /"), Match::No);
    assert_eq!(
        startup(&[&[0, 0, 2, 0, 0, 3, 0][..], &[b'x'; 300]].concat()),
        Match::No
    );
    assert_eq!(reply(b"R\0\x01"), Match::No);
    assert_eq!(reply(b"R\0\0\0\x08"), Match::Yes);
}
