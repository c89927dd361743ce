//! Bytes in, what is confirmed out.

use super::*;
use crate::analyzer::tried::{C, S, Trial};

const VERSION: &[u8] = b"RFB 003.008\n";

/// To the end of the handshake, by VNC's authentication.
fn handshake() -> Trial {
    let mut init = vec![0; 20];
    init.extend([0, 0, 0, 2, b'm', b'e']);
    Trial::tcp(5900)
        .says(S, VERSION)
        .says(C, VERSION)
        .says(S, &[2, 1, 2])
        .says(C, &[2])
        .says(S, &[7; 16])
        .says(C, &[8; 16])
        .says(S, &[0; 4])
        .says(C, &[1])
        .says(S, &init)
}

#[test]
fn the_clients_version_tells() {
    let t = Trial::tcp(5900).says(S, VERSION).result();
    assert!(t.services.is_empty());
    let t = Trial::tcp(5900).says(S, VERSION).says(C, VERSION).result();
    assert_eq!(t.services, ["rfb"]);
    let t = Trial::tcp(5900)
        .says(S, VERSION)
        .says(C, b"RFB 003x008\n")
        .result();
    assert_eq!(t.said, ["rfb: no RFB message"]);
    assert!(t.services.is_empty());
}

#[test]
fn after_the_handshake_the_servers_pixels_are_not_read() {
    let t = handshake().says(S, &[0xff; 5000]).result();
    assert_eq!((t.services, t.said), (vec!["rfb"], vec!["is rfb".to_owned()]));
    assert_eq!(t.wanted, [Interest::Everything, Interest::Nothing]);
}

#[test]
fn a_message_nobody_knows_takes_it_back() {
    let known = [
        &[0; 20][..],
        &[2, 0, 0, 1, 0, 0, 0, 5],
        &[3; 10],
        &[4; 8],
        &[5; 6],
        &[6, 0, 0, 0, 0, 0, 0, 1, b'x'],
    ];
    let t = handshake().says(C, &known.concat()).result();
    assert_eq!(t.services, ["rfb"]);
    let t = handshake().says(C, &[255, 0]).result();
    assert_eq!(t.said, ["is rfb", "rfb: no RFB message"]);
    assert!(t.services.is_empty());
    let t = handshake().says(C, &[6, 0, 0, 0, 0, 1, 0, 0]).result();
    assert!(t.services.is_empty(), "a text longer than any");
    let t = Trial::tcp(5900)
        .says(S, VERSION)
        .says(C, VERSION)
        .says(S, &[1, 19])
        .says(C, &[19])
        .result();
    assert_eq!(t.said, ["is rfb", "rfb: unknown RFB security type"]);
}

#[test]
fn nobody_speaks_before_its_turn() {
    let old = b"RFB 003.003\n";
    let t = Trial::tcp(5900).says(S, old).says(C, old).says(C, &[1]).result();
    assert_eq!(t.said, ["is rfb", "rfb: no RFB message"]);
    let t = Trial::tcp(5900)
        .says(S, old)
        .says(C, old)
        .says(S, &[0, 0, 0, 1])
        .says(C, &[1])
        .result();
    assert_eq!(t.services, ["rfb"]);
}
