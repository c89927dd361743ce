//! Bytes in, what is confirmed out.

use super::*;
use crate::analyzer::tried::{C, S, Trial, ber};

/// A message in NetBIOS' frame.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut m = (message.len() as u32).to_be_bytes().to_vec();
    m.extend(message);
    m
}

/// A message of SMB 2: command, status, number, tree.
fn smb2(command: u8, status: u32, number: u8, tree: u8, body: &[u8]) -> Vec<u8> {
    let mut m = vec![0xfe, b'S', b'M', b'B', 64, 0, 0, 0];
    m.extend(status.to_le_bytes());
    m.extend([command, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    m.extend([number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, tree, 0, 0, 0]);
    m.extend([0; 24]);
    m.extend(body);
    framed(&m)
}

/// A message of SMB 1, on tree 1 with number 1.
fn smb1(command: u8, body: &[u8]) -> Vec<u8> {
    let mut m = vec![0xff, b'S', b'M', b'B', command, 0, 0, 0, 0, 0, 0, 0];
    m.extend([0; 12]);
    m.extend([1, 0, 0, 0, 0, 0, 1, 0]);
    m.extend(body);
    framed(&m)
}

const ECHO: &[u8] = &[4, 0, 0, 0];
const NTLM: &[u8] = b"NTLMSSP\0\x09\0\0\0";

fn echo() -> Vec<u8> {
    smb2(13, 0, 1, 0, ECHO)
}

/// A PDU of DCE/RPC.
fn rpc() -> Vec<u8> {
    let mut p = vec![5, 0, 2, 3, 0x10, 0, 0, 0, 24, 0, 0, 0, 1, 0, 0, 0];
    p.extend([0; 8]);
    p
}

/// SESSION_SETUP with a token.
fn session_setup(token: &[u8]) -> Vec<u8> {
    let mut body = vec![25, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0];
    body.extend((token.len() as u16).to_le_bytes());
    body.extend([0; 8]);
    body.extend(token);
    smb2(1, 0, 1, 0, &body)
}

/// WRITE to file 7.
fn write(tree: u8, data: &[u8]) -> Vec<u8> {
    let mut body = vec![49, 0, 112, 0];
    body.extend((data.len() as u32).to_le_bytes());
    body.extend([0; 8]);
    body.extend([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    body.extend([0; 16]);
    body.extend(data);
    smb2(9, 0, 5, tree, &body)
}

/// TREE_CONNECT's answer: tree 3 is of this kind.
fn connected(kind: u8) -> Vec<u8> {
    let mut body = vec![16, 0, kind, 0];
    body.extend([0; 12]);
    smb2(3, 0, 2, 3, &body)
}

#[test]
fn three_pieces_make_it_sure_on_any_port() {
    for port in [445, 139, 4000] {
        let t = Trial::tcp(port).says(C, &echo()).says(S, &echo()).result();
        assert!(t.services.is_empty());
        let t = Trial::tcp(port)
            .says(C, &echo())
            .says(S, &echo())
            .says(C, &echo())
            .result();
        assert_eq!(
            (t.services, t.said),
            (vec!["smb"], vec!["is smb".to_owned()]),
            "{port}"
        );
    }
    // In pieces of one message, and in mid-stream.
    let m = echo();
    let t = Trial::tcp(445)
        .partial()
        .says(C, &m[..20])
        .says(C, &m[20..30])
        .says(C, &m[30..])
        .result();
    assert_eq!(t.services, ["smb"]);
    // What comes before a piece that begins with a message does not count.
    let t = Trial::tcp(139)
        .says(C, &[0x81, 0, 0, 68])
        .says(C, &m)
        .says(C, &m)
        .result();
    assert!(t.services.is_empty());
}

#[test]
fn tokens_are_ntlms_or_gssapis() {
    let t = Trial::tcp(445).says(C, &session_setup(NTLM)).result();
    assert_eq!(t.services, ["ntlm"]);
    let spnego = ber(0xa1, &[&ber(0x30, &[&ber(0xa2, &[&ber(4, &[NTLM])])])]);
    let t = Trial::tcp(445).says(C, &session_setup(&spnego)).result();
    assert_eq!(t.services, ["gssapi", "ntlm"]);
    let t = Trial::tcp(445).says(C, &session_setup(b"broken token")).result();
    assert_eq!(t.said, ["gssapi: no GSS-API token"]);
}

#[test]
fn pipes_carry_dce_rpc() {
    let t = Trial::tcp(445)
        .says(S, &connected(2))
        .says(C, &write(3, &rpc()))
        .result();
    assert_eq!(t.services, ["dce_rpc"]);
    // In two writes, of one file.
    let pdu = rpc();
    let t = Trial::tcp(445)
        .says(S, &connected(2))
        .says(C, &write(3, &pdu[..10]))
        .says(C, &write(3, &pdu[10..]))
        .result();
    assert_eq!(t.said, ["is dce_rpc", "is smb"]);
    // On a disk it is a file's content.
    let t = Trial::tcp(445)
        .says(S, &connected(1))
        .says(C, &write(3, &pdu))
        .result();
    assert!(t.services.is_empty());
    // A control code says it of any file, and a name of its tree.
    let mut ioctl = vec![57, 0, 0, 0, 0x17, 0xc0, 0x11, 0];
    ioctl.extend([9; 16]);
    ioctl.extend([120, 0, 0, 0, pdu.len() as u8, 0, 0, 0]);
    ioctl.extend([0; 24]);
    ioctl.extend(&pdu);
    assert_eq!(
        Trial::tcp(445)
            .says(C, &smb2(11, 0, 4, 9, &ioctl))
            .result()
            .services,
        ["dce_rpc"]
    );
    let mut create = vec![57, 0];
    create.extend([0; 42]);
    create.extend([120, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    create.extend(b"s\0a\0m\0r\0");
    let t = Trial::tcp(445)
        .says(C, &smb2(5, 0, 4, 9, &create))
        .says(C, &write(9, &pdu))
        .result();
    assert_eq!(t.services, ["dce_rpc"]);
}

#[test]
fn answers_are_those_of_their_requests() {
    let mut read = vec![49, 0, 0, 0, 0, 4, 0, 0];
    read.extend([0; 8]);
    read.extend([7; 16]);
    read.extend([0; 17]);
    let pdu = rpc();
    let mut answer = vec![17, 0, 80, 0, pdu.len() as u8, 0, 0, 0];
    answer.extend([0; 8]);
    answer.extend(&pdu);
    let asked = Trial::tcp(445)
        .says(S, &connected(2))
        .says(C, &smb2(8, 0, 5, 3, &read));
    assert_eq!(
        asked.says(S, &smb2(8, 0, 5, 0, &answer)).result().services,
        ["dce_rpc", "smb"]
    );
    // Nobody asked for that one.
    let t = Trial::tcp(445)
        .says(S, &connected(2))
        .says(S, &smb2(8, 0, 6, 0, &answer))
        .result();
    assert!(t.services.is_empty());
    // An error has no data.
    let error = [9, 0, 0, 0, 0, 0, 0, 0, 0];
    let t = Trial::tcp(445)
        .says(S, &smb2(8, 0xc000_0022, 6, 0, &error))
        .result();
    assert!(t.said.is_empty());
}

#[test]
fn broken_messages_take_it_back() {
    let sure = || Trial::tcp(445).says(C, &echo()).says(C, &echo()).says(C, &echo());
    for broken in [
        smb2(13, 0, 1, 0, &[4, 0]),
        session_setup(NTLM)[..80].to_vec(),
        smb1(0x73, &[0x0b, 0xff, 0, 0, 0]),
        smb1(0x72, &[0, 9, 0, 1]),
    ] {
        let mut broken = broken;
        let len = (broken.len() - 4) as u8;
        broken[3] = len;
        let t = sure().says(C, &broken).says(C, &echo()).result();
        assert_eq!(t.said, ["is smb", "smb: no SMB message"], "{broken:?}");
        assert!(t.services.is_empty());
    }
    // In a connection with a gap that is no violation, and the next message goes on.
    let t = sure()
        .misses(S, 9)
        .says(C, &smb2(13, 0, 1, 0, &[4, 0]))
        .says(C, &session_setup(NTLM))
        .result();
    assert_eq!(t.services, ["ntlm", "smb"]);
}

#[test]
fn times_of_smb1_are_as_long_as_in_zeek() {
    let sure = || Trial::tcp(445).says(C, &echo()).says(C, &echo()).says(C, &echo());
    // Answers to QUERY_INFORMATION, and to NEGOTIATE of LAN Manager's dialects with a key of eight bytes.
    let information = |len| vec![0; len];
    let negotiated = |len| {
        let mut body = vec![0; len];
        (body[0], body[31]) = (0x0d, 8);
        body
    };
    for (command, whole, short) in [
        (8, information(25), information(24)),
        (0x72, negotiated(45), negotiated(44)),
    ] {
        let t = sure().says(S, &smb1(command, &whole)).result();
        assert_eq!(t.said, ["is smb"], "{command}");
        let t = sure().says(S, &smb1(command, &short)).result();
        assert_eq!(t.said, ["is smb", "smb: no SMB message"], "{command}");
    }
}

#[test]
fn messages_may_be_chained() {
    let mut first = echo();
    first[24..28].copy_from_slice(&72u32.to_le_bytes());
    first.extend([0; 4]);
    let second = session_setup(NTLM);
    let both = framed(&[&first[4..], &second[4..]].concat());
    assert_eq!(Trial::tcp(445).says(C, &both).result().services, ["ntlm"]);
    let mut short = both.clone();
    short[24] = 60;
    assert_eq!(
        Trial::tcp(445).says(C, &short).result().said,
        ["smb: no SMB message"]
    );
}

#[test]
fn chains_of_smb1_are_bounded() {
    // LOGOFF_ANDX that leads to itself.
    let t = Trial::tcp(445)
        .says(C, &smb1(0x74, &[2, 0x74, 0, 0, 0, 0, 0]))
        .result();
    assert_eq!(t.said, ["smb_andx_offset_not_advancing", "gave up"]);
    // One behind the other.
    let mut chain = Vec::new();
    for n in 1..=20u8 {
        chain.extend([2, 0x74, 0, 32 + 7 * n, 0, 0, 0]);
    }
    let t = Trial::tcp(445).says(C, &smb1(0x74, &chain)).result();
    assert!(
        t.said
            .iter()
            .all(|s| s == "smb_andx_depth_exceeded" || s == "gave up"),
        "{:?}",
        t.said
    );
    assert_eq!(t.said.len(), 4);
}

#[test]
fn smb1_carries_the_same() {
    // NEGOTIATE's answer with a token, SESSION_SETUP with one.
    let mut negotiated = vec![0x11, 0, 0];
    negotiated.extend([0; 17]);
    negotiated.extend([0, 0, 0, 0x80]);
    negotiated.extend([0; 11]);
    negotiated.extend([16 + NTLM.len() as u8, 0]);
    negotiated.extend([0; 16]);
    negotiated.extend(NTLM);
    assert_eq!(
        Trial::tcp(445)
            .says(S, &smb1(0x72, &negotiated))
            .result()
            .services,
        ["ntlm"]
    );
    let mut setup = vec![0x0c, 0xff, 0, 0, 0];
    setup.extend([0; 10]);
    setup.extend([NTLM.len() as u8, 0]);
    setup.extend([0; 10]);
    setup.extend(NTLM);
    setup.extend(b"Unix\0Samba\0");
    assert_eq!(
        Trial::tcp(445).says(C, &smb1(0x73, &setup)).result().services,
        ["ntlm"]
    );
    // A transaction on a pipe, and its answer.
    let pdu = rpc();
    let mut asks = vec![16];
    asks.extend([0; 18]);
    asks.extend([0, 0, 0, 0, pdu.len() as u8, 0, 71, 0]);
    asks.extend([0, 0, 0, 0]);
    asks.extend(b"\\PIPE\\\0");
    asks.push(0);
    asks.extend(&pdu);
    let t = Trial::tcp(445).says(C, &smb1(0x25, &asks)).result();
    assert_eq!(t.services, ["dce_rpc"]);
    let mut answer = vec![10];
    answer.extend([0; 6]);
    answer.extend([0, 0, 0, 0, 0, 0, pdu.len() as u8, 0, 56, 0, 0, 0]);
    answer.extend([0, 0, 0, 0, 0]);
    answer.extend(&pdu);
    // A question without data: the answer's is of the pipe all the same.
    let t = Trial::tcp(445)
        .says(C, &smb1(0x25, &asks[..39]))
        .says(S, &smb1(0x25, &answer))
        .result();
    assert_eq!(t.services, ["dce_rpc"]);
    // TREE_CONNECT_ANDX to IPC$, and WRITE_ANDX on it.
    let tree = [2, 0xff, 0, 0, 0, 0, 0, b'I', b'P', b'C', 0];
    let mut write = vec![12, 0xff, 0, 0, 0];
    write.extend([0; 14]);
    write.extend([0, 0, pdu.len() as u8, 0, 59, 0, 0, 0]);
    write.extend(&pdu);
    let t = Trial::tcp(445)
        .says(S, &smb1(0x75, &tree))
        .says(C, &smb1(0x2f, &write))
        .result();
    assert_eq!(t.services, ["dce_rpc"]);
}

#[test]
fn contents_of_files_are_passed_over() {
    // As much as others look at, too.
    let much = echo().repeat(60);
    let sure = || Trial::tcp(445).says(C, &much).says(C, &echo()).says(C, &echo());
    let long = write(1, &[0; 60_000]);
    let t = sure().says(C, &long[..1400]).result();
    assert_eq!(
        t.wanted,
        [Interest::Skip(long.len() as u64 - 1400), Interest::Everything]
    );
    // Behind it reading goes on.
    let rest = long.len() as u64 - 1400;
    let t = sure()
        .says(C, &long[..1400])
        .misses(C, rest)
        .says(C, &session_setup(NTLM))
        .result();
    assert_eq!(t.services, ["ntlm", "smb"]);
    let t = sure().says(C, &long).says(C, &session_setup(NTLM)).result();
    assert_eq!(t.services, ["ntlm", "smb"]);
    // A pipe's are not.
    let t = sure()
        .says(S, &connected(2))
        .says(C, &write(3, &[0; 60_000])[..1400])
        .result();
    assert_eq!(t.wanted, [Interest::Everything; 2]);
}

#[test]
fn after_all_has_come_or_enough_was_read_nothing_is() {
    let mut t = Trial::tcp(445)
        .says(C, &session_setup(NTLM))
        .says(S, &connected(2))
        .says(C, &write(3, &rpc()));
    for _ in 0..11 {
        t = t.says(C, &write(3, &[0; 1000]));
    }
    assert_eq!(t.result().wanted, [Interest::Nothing; 2]);
    let mut t = Trial::tcp(445);
    for _ in 0..70 {
        t = t.says(C, &[7; 1000]);
    }
    assert_eq!(t.result().wanted, [Interest::Nothing; 2]);
}
