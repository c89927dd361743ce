//! Bytes in, what is confirmed out.

use crate::analyzer::tried::{C, S, Trial, ber};

/// A PDU of X.224 in TPKT.
fn tpkt(pdu: &[u8]) -> Vec<u8> {
    let mut m = vec![3, 0];
    m.extend(((pdu.len() + 4) as u16).to_be_bytes());
    m.extend(pdu);
    m
}

/// Connection Request with a cookie and a request to negotiate.
fn request() -> Vec<u8> {
    let cookie = b"Cookie: mstshash=me\r\n";
    let mut p = vec![6 + cookie.len() as u8 + 8, 0xe0, 0, 0, 0, 0, 0];
    p.extend(cookie);
    p.extend([1, 0, 8, 0, 3, 0, 0, 0]);
    tpkt(&p)
}

/// Connection Confirm that selects a protocol.
fn confirm(selected: u8) -> Vec<u8> {
    tpkt(&[14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 8, 0, selected, 0, 0, 0])
}

fn block(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut b = kind.to_le_bytes().to_vec();
    b.extend((content.len() as u16 + 4).to_le_bytes());
    b.extend(content);
    b
}

/// MCS Connect Initial with blocks of settings.
fn initial(blocks: &[u8]) -> Vec<u8> {
    let mut p = vec![2, 0xf0, 0x80, 0x7f, 0x65, 0x82, 1, 0x94];
    p.extend([&ber(4, &[&[1]])[..], &ber(4, &[&[1]]), &ber(1, &[&[255]])].concat());
    p.extend([ber(0x30, &[]), ber(0x30, &[&[2, 1, 1]]), ber(0x30, &[])].concat());
    p.extend([4, 0x82, 1, 0x33]);
    p.extend([0, 1, 9, 0, 0]);
    p.extend([0, 8, 0, 16, 0, 1, 0xc0, 0]);
    p.extend(b"Duca\x80\0");
    p.extend(blocks);
    tpkt(&p)
}

/// MCS Connect Response.
fn response(blocks: &[u8]) -> Vec<u8> {
    let mut p = vec![2, 0xf0, 0x80, 0x7f, 0x66, 0x82, 1, 0x45];
    p.extend([ber(0x0a, &[&[0]]), ber(2, &[&[0]]), ber(0x30, &[&[2, 1, 1]])].concat());
    p.extend([4, 0x82, 1, 0x1f]);
    p.extend([0, 1, 9, 0]);
    p.extend([0; 9]);
    p.extend(b"McDn\x80\0");
    p.extend(blocks);
    tpkt(&p)
}

/// Security data with this certificate.
fn security(method: u8, certificate: &[u8]) -> Vec<u8> {
    let mut s = vec![method, 0, 0, 0, method, 0, 0, 0, 0x20, 0, 0, 0];
    s.extend((certificate.len() as u32).to_le_bytes());
    s.extend([7; 32]);
    s.extend(certificate);
    block(0x0c02, &s)
}

#[test]
fn settings_in_the_clear_are_rdp() {
    let core = block(0xc001, &[0; 206]);
    let t = Trial::tcp(3389).says(C, &request()).says(S, &confirm(0)).result();
    assert!(t.said.is_empty());
    let t = Trial::tcp(3389)
        .says(C, &request())
        .says(S, &confirm(0))
        .says(C, &initial(&core))
        .result();
    assert_eq!(t.services, ["rdp"]);
    let t = Trial::tcp(3389)
        .says(S, &response(&block(0x0c01, &[0; 8])))
        .result();
    assert_eq!(t.services, ["rdp"]);
    let t = Trial::tcp(3389)
        .says(C, &initial(&block(0xc001, &[0; 100])))
        .result();
    assert_eq!(t.said, ["rdp: no RDP message"]);
}

#[test]
fn it_is_known_on_any_port_by_both_sides() {
    let core = block(0xc001, &[0; 206]);
    let t = Trial::tcp(4000)
        .says(C, &request())
        .says(S, &confirm(0))
        .says(C, &initial(&core))
        .result();
    assert_eq!(t.services, ["rdp"]);
    let t = Trial::tcp(4000)
        .says(C, b"\x03\0\0\x0b")
        .says(S, &confirm(0))
        .says(C, &initial(&core))
        .result();
    assert!(t.services.is_empty());
}

#[test]
fn after_the_negotiation_the_rest_is_tls() {
    let hello = [0x16, 3, 1, 0, 5, 2, 0, 0, 1, 0];
    let t = Trial::tcp(3389).says(C, &request()).says(S, &confirm(1)).result();
    assert!(t.said.is_empty());
    let t = Trial::tcp(3389)
        .says(C, &request())
        .says(S, &confirm(1))
        .says(C, &hello)
        .result();
    assert!(t.said.iter().all(|s| s.starts_with("ssl")), "{:?}", t.said);
    assert!(
        !t.said.is_empty(),
        "the analyzer of TLS has something to say of that"
    );
}

#[test]
fn certificates_of_its_own_security_are_files() {
    let mut chain = vec![2, 0, 0, 0, 2, 0, 0, 0];
    for cert in [&b"one"[..], b"other"] {
        chain.extend((cert.len() as u32).to_le_bytes());
        chain.extend(cert);
    }
    let t = Trial::tcp(3389)
        .says(S, &response(&security(1, &chain)))
        .says(S, &[0xff; 9])
        .result();
    // What follows is encrypted, and nobody's.
    assert_eq!((t.services, t.said), (vec!["rdp"], vec!["is rdp".to_owned()]));
    assert_eq!(t.files, [("RDP", b"one".to_vec()), ("RDP", b"other".to_vec())]);
    let mut own = vec![1, 0, 0, 0];
    own.extend([0; 10]);
    own.extend([20, 0]);
    own.extend([b'R', b'S', b'A', b'1', 4, 0, 0, 0]);
    own.extend([0; 12]);
    own.extend([0, 0, 1, 0, 9]);
    let t = Trial::tcp(3389).says(S, &response(&security(1, &own))).result();
    assert_eq!(t.said, ["is rdp"]);
    let t = Trial::tcp(3389)
        .says(S, &response(&security(1, &own[..own.len() - 1])))
        .result();
    assert!(t.services.is_empty());
}

#[test]
fn what_is_wrong_is_none() {
    for wrong in [
        tpkt(&[6, 0xd0, 0, 0, 0, 0]),
        tpkt(&[14, 0xd0, 0, 0, 0, 0, 0, 9]),
        tpkt(&[14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 7, 0, 0, 0, 0, 0]),
        tpkt(&[2, 0xf0, 0x80, 0x28]),
        vec![3, 0, 0, 1],
    ] {
        let t = Trial::tcp(3389).says(C, &wrong).result();
        assert_eq!(t.said, ["rdp: no RDP message"], "{wrong:?}");
    }
    // Other PDUs, and requests without anything.
    let t = Trial::tcp(3389)
        .says(C, &tpkt(&[6, 0xe0, 0, 0, 0, 0, 0]))
        .says(C, &tpkt(&[2, 0x80]))
        .result();
    assert!(t.said.is_empty());
}
