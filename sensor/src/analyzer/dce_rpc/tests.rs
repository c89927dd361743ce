//! Bytes in, what is confirmed out.

use super::*;
use crate::analyzer::tried::{C, S, Trial};

/// A PDU: type, flags, call, body, and the token of a provider.
fn pdu(kind: u8, flags: u8, call: u32, body: &[u8], token: Option<(u8, &[u8])>) -> Vec<u8> {
    let (auth, len) = match token {
        Some((provider, token)) => {
            let mut auth = vec![provider, 2, 0, 0, 0, 0, 0, 0];
            auth.extend(token);
            (auth, token.len())
        }
        None => (Vec::new(), 0),
    };
    let mut p = vec![5, 0, kind, flags, 0x10, 0, 0, 0];
    p.extend(((16 + body.len() + auth.len()) as u16).to_le_bytes());
    p.extend((len as u16).to_le_bytes());
    p.extend(call.to_le_bytes());
    p.extend(body);
    p.extend(auth);
    p
}

/// The body of a bind with one context and one transfer syntax.
fn bind() -> Vec<u8> {
    let mut b = vec![0; 8];
    b.extend([1, 0, 0, 0]);
    b.extend([0, 0, 1, 0]);
    b.extend([7; 40]);
    b
}

const NTLM: &[u8] = b"NTLMSSP\0\x09\0\0\0";

#[test]
fn a_whole_pdu_is_dce_rpc_on_any_port() {
    let bind = pdu(11, 3, 1, &bind(), None);
    for port in [135, 4000] {
        for cut in 0..bind.len() {
            let t = Trial::tcp(port)
                .says(C, &bind[..cut])
                .says(C, &bind[cut..])
                .result();
            assert_eq!(t.services, ["dce_rpc"], "{port} {cut}");
        }
        let t = Trial::tcp(port).says(C, &bind[..bind.len() - 1]).result();
        assert!(t.services.is_empty());
    }
    // In mid-stream, and of the responder.
    let t = Trial::tcp(4000)
        .partial()
        .says(S, &pdu(2, 3, 1, &[0; 8], None))
        .result();
    assert_eq!(t.services, ["dce_rpc"]);
}

#[test]
fn tokens_are_their_providers() {
    let with = |provider| pdu(11, 3, 1, &bind(), Some((provider, NTLM)));
    let t = Trial::tcp(135).says(C, &with(10)).result();
    assert_eq!(t.services, ["dce_rpc", "ntlm"]);
    assert_eq!(t.said, ["is ntlm", "is dce_rpc"]);
    let t = Trial::tcp(135).says(C, &with(9)).result();
    assert_eq!(t.said, ["gssapi: no GSS-API token", "is dce_rpc"]);
    let t = Trial::tcp(135)
        .says(C, &with(0x44))
        .says(C, &with(0x10))
        .says(C, &with(1))
        .result();
    assert_eq!(
        t.said,
        [
            "netlogon_dce_rpc_auth_type 68",
            "is dce_rpc",
            "unknown_dce_rpc_auth_type 1"
        ]
    );
}

#[test]
fn what_is_none_is_told_and_takes_nothing_away() {
    let good = pdu(0, 3, 1, &[0; 8], None);
    let mut other = good.clone();
    other[0] = 4;
    let t = Trial::tcp(135)
        .says(C, &good)
        .says(C, &other)
        .says(C, &good)
        .result();
    assert_eq!(t.services, ["dce_rpc"]);
    assert_eq!(t.said, ["is dce_rpc", "dce_rpc: no DCE/RPC PDU"]);
    // A length below the header's, a token as long as there are numbers for, and a body too short for what it is.
    let mut short = good.clone();
    short[8] = 15;
    let mut long = good.clone();
    long[10..12].copy_from_slice(&[0xff, 0xff]);
    for none in [
        short,
        long,
        pdu(0, 3, 1, &[0; 7], None),
        pdu(11, 3, 1, &bind()[..30], None),
    ] {
        let t = Trial::tcp(135).says(C, &none).result();
        assert_eq!(t.said, ["dce_rpc: no DCE/RPC PDU"]);
        assert!(t.services.is_empty());
    }
}

#[test]
fn fragments_are_bounded() {
    // Their number,
    let mut t = Trial::tcp(135);
    for call in 0..30 {
        t = t.says(C, &pdu(0, 1, call, &[0; 8], None));
    }
    assert_eq!(
        t.result().said,
        ["is dce_rpc", "too_many_dce_rpc_msgs_in_reassembly"]
    );
    // told for each that comes in the same piece,
    let all: Vec<u8> = (0..25).flat_map(|call| pdu(0, 1, call, &[], None)).collect();
    let t = Trial::tcp(135).says(C, &all).says(C, &all).result();
    assert_eq!(
        t.said
            .iter()
            .filter(|s| *s == "too_many_dce_rpc_msgs_in_reassembly")
            .count(),
        5
    );
    // their bytes,
    let t = Trial::tcp(135)
        .says(C, &pdu(0, 1, 1, &[0; 5000], None))
        .says(C, &pdu(0, 0, 1, &[0; 12_000], None))
        .says(C, &pdu(0, 0, 1, &[0; 13_001], None))
        .result();
    assert_eq!(t.said, ["is dce_rpc", "too_much_dce_rpc_fragment_data"]);
    // and their beginnings.
    let first = pdu(0, 1, 1, &[0; 8], None);
    let t = Trial::tcp(135)
        .says(C, &first)
        .says(C, &first)
        .says(C, &first)
        .result();
    assert_eq!(
        t.said,
        ["is dce_rpc", "multiple_first_fragments_in_dce_rpc_reassembly"]
    );
    // A whole one is no trouble.
    let t = Trial::tcp(135)
        .says(C, &pdu(0, 1, 1, &[0; 4], None))
        .says(C, &pdu(0, 2, 1, &[0; 4], None))
        .says(C, &first)
        .result();
    assert_eq!(t.said, ["is dce_rpc"]);
}

#[test]
fn after_enough_bytes_nothing_is_read() {
    let mut t = Trial::tcp(135);
    for _ in 0..70 {
        t = t.says(S, &pdu(2, 3, 1, &[0; 1000], None));
    }
    let t = t.result();
    assert_eq!(
        (t.services, t.wanted),
        (vec!["dce_rpc"], vec![Interest::Nothing; 2])
    );
}

#[test]
fn the_first_bytes_decide_early() {
    assert_eq!(first_bytes(&[]), Match::More);
    assert_eq!(first_bytes(&[5]), Match::More);
    assert_eq!(first_bytes(&[5, 0, 0x14]), Match::No);
    assert_eq!(first_bytes(&[5, 1, 0x13]), Match::Yes);
    assert_eq!(first_bytes(b"G"), Match::No);
}
