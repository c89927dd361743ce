//! Packets in; rows, events and what is odd out.

use proptest::prelude::*;

use super::*;
use crate::analyzer::WorkerShared;
use crate::analyzer::api::{Call, Out, Solo};
use crate::analyzer::tree::Tree;
use crate::event::log::{LogRow, write_json};
use crate::event::{ConnId, Subscriptions};

/// Who speaks: the client, which is the originator, or the server.
const C: bool = true;
const S: bool = false;

/// What came out.
#[derive(Default)]
struct Heard {
    /// Without the connection.
    rows: Vec<String>,
    /// Names and arguments.
    events: Vec<String>,
    /// Violations, weirds and limits.
    odd: Vec<String>,
    confirmed: bool,
}

impl Out for Heard {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        let line = String::from_utf8(line).expect("text");
        let (_, args) = line.split_once("\"args\":").expect("arguments");
        let args = args.strip_suffix('}').expect("closed");
        self.events.push(format!("{} {args}", ev.info().name));
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut line = Vec::new();
        write_json(&mut line, row, &mut Vec::new());
        let line = String::from_utf8(line).expect("text");
        let (_, line) = line.split_once("\"id.resp_p\":22,").expect("a connection");
        self.rows.push(line.trim_end_matches('}').to_owned());
    }
    fn confirm(&mut self, _: &'static Spec, _: u64) {
        self.confirmed = true;
    }
    fn violation(&mut self, _: &'static Spec, _: u64, reason: &str) {
        self.odd.push(reason.to_owned());
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.odd.push(format!("{name}: {addl}"));
    }
    fn gave_up(&mut self) {
        self.odd.push("gave up".to_owned());
    }
    fn is_local(&self, addr: std::net::IpAddr) -> bool {
        addr == std::net::IpAddr::from([10, 0, 0, 1])
    }
}

impl Heard {
    /// The events of a name, without it.
    fn of(&self, name: &str) -> Vec<&str> {
        let named = self.events.iter().filter_map(|e| e.strip_prefix(name));
        named.filter_map(|args| args.strip_prefix(' ')).collect()
    }

    /// The only row.
    fn row(&self) -> &str {
        let [row] = &self.rows[..] else {
            panic!("{:?}", self.rows);
        };
        row
    }
}

/// A connection under test.
struct Talk {
    solo: Solo<Ssh>,
    c: ConnId,
    subs: Subscriptions,
    heard: Heard,
}

impl Talk {
    fn with(config: SshConfig, subs: Subscriptions) -> Talk {
        Talk {
            solo: Solo::new(Ssh::new(&Start::default(), &config)),
            c: ConnId {
                orig_h: [10, 0, 0, 1].into(),
                ..ConnId::sample(22)
            },
            subs,
            heard: Heard::default(),
        }
    }

    /// With all events.
    fn new() -> Talk {
        Talk::with(SshConfig::default(), Subscriptions::ALL)
    }

    fn call<R>(&mut self, work: impl FnOnce(&mut Ssh, &mut Ctx<'_>) -> R) -> R {
        let call = Call {
            ts: 0,
            c: &self.c,
            subs: &self.subs,
            out: &mut self.heard,
        };
        self.solo.with(call, work)
    }

    /// A packet.
    fn says(&mut self, is_orig: bool, bytes: &[u8]) -> &mut Talk {
        self.call(|a, ctx| a.data(is_orig, bytes, ctx));
        self
    }

    /// Packets of encrypted bytes, each so long.
    fn encrypted(&mut self, is_orig: bool, lengths: &[usize]) -> &mut Talk {
        for n in lengths {
            self.says(is_orig, &vec![0xee; *n]);
        }
        self
    }

    /// Both versions.
    fn versions(&mut self) -> &mut Talk {
        self.says(S, b"SSH-2.0-server\r\n").says(C, b"SSH-2.0-client\r\n")
    }

    /// All up to NEWKEYS of both.
    fn keys(&mut self) -> &mut Talk {
        for (is_orig, bytes) in handshake() {
            self.says(is_orig, &bytes);
        }
        self
    }

    /// Whether bytes of the directions are wanted.
    fn wants(&self) -> bool {
        let wanted = [C, S].map(|is_orig| self.solo.interest(is_orig));
        assert_eq!(wanted[0], wanted[1]);
        wanted[0] != Interest::Nothing
    }

    /// The end of the connection.
    fn ends(&mut self) -> &Heard {
        let call = Call {
            ts: 0,
            c: &self.c,
            subs: &self.subs,
            out: &mut self.heard,
        };
        self.solo.close(call);
        assert!(self.solo.analyzer.is_settled());
        &self.heard
    }
}

/// A packet of version 2 around a message, with four bytes of padding.
fn packet(message: &[u8]) -> Vec<u8> {
    let len = message.len() as u32 + 5;
    [&len.to_be_bytes(), &[4][..], message, &[0; 4]].concat()
}

/// A packet of version 1 around a message.
fn packet_of_1(message: &[u8]) -> Vec<u8> {
    let len = message.len() as u32 + 4;
    let padding = vec![0; 8 - len as usize % 8];
    [&len.to_be_bytes(), &padding[..], message, &[0; 4]].concat()
}

fn string(s: &[u8]) -> Vec<u8> {
    [&(s.len() as u32).to_be_bytes(), s].concat()
}

/// A message of a type and strings.
fn message(kind: u8, strings: &[&[u8]]) -> Vec<u8> {
    let strings: Vec<u8> = strings.iter().flat_map(|s| string(s)).collect();
    [&[kind][..], &strings].concat()
}

/// A KEXINIT with ten lists.
fn kex_init(lists: [&str; 10]) -> Vec<u8> {
    let lists = lists.map(str::as_bytes);
    let [_, lists @ ..] = &message(0, &lists)[..] else {
        return vec![];
    };
    packet(&[&[20], &[0xcc; 16][..], lists, &[0; 5]].concat())
}

/// One whose lists for both directions are the same.
fn offers(kex: &str, key: &str, cipher: &str, mac: &str, compression: &str) -> Vec<u8> {
    kex_init([
        kex,
        key,
        cipher,
        cipher,
        mac,
        mac,
        compression,
        compression,
        "",
        "",
    ])
}

const NEWKEYS: &[u8] = b"\0\0\0\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0";

/// All up to NEWKEYS of both sides.
fn handshake() -> Vec<(bool, Vec<u8>)> {
    vec![
        (S, b"SSH-2.0-server\r\n".to_vec()),
        (C, b"SSH-2.0-client\r\n".to_vec()),
        (
            C,
            offers(
                "curve25519-sha256,ecdh-sha2-nistp256",
                "ssh-ed25519,ssh-rsa",
                "aes128-ctr",
                "hmac-sha1",
                "none",
            ),
        ),
        (
            S,
            offers(
                "ecdh-sha2-nistp256,curve25519-sha256",
                "ssh-rsa",
                "aes256-ctr,aes128-ctr",
                "hmac-sha1",
                "zlib,none",
            ),
        ),
        (C, packet(&message(30, &[b"q of c"]))),
        (S, packet(&message(31, &[b"the key", b"q of s", b"signed"]))),
        (S, NEWKEYS.to_vec()),
        (C, NEWKEYS.to_vec()),
    ]
}

const ROW: &str = "\"direction\":\"OUTBOUND\",\"client\":\"SSH-2.0-client\",\"server\":\"SSH-2.0-server\",\
                   \"cipher_alg\":\"aes128-ctr\",\"mac_alg\":\"hmac-sha1\",\"compression_alg\":\"none\",\
                   \"kex_alg\":\"curve25519-sha256\",\"host_key_alg\":\"ssh-rsa\",\
                   \"host_key\":\"ed:eb:07:33:dc:a4:58:39:54:97:3a:7f:e7:48:32:98\"";

/// The row of a connection on which keys were exchanged.
fn row(auth: &str) -> String {
    format!("\"version\":2,{auth},{ROW}")
}

#[test]
fn a_password_is_right_at_the_second_attempt() {
    let mut t = Talk::new();
    // A service, the methods that the server has, a wrong password and a right one.
    t.keys().encrypted(C, &[44]).encrypted(S, &[44]);
    t.encrypted(C, &[68]).encrypted(S, &[60]);
    t.encrypted(C, &[148]).encrypted(S, &[60]);
    assert!(t.heard.rows.is_empty());
    t.encrypted(C, &[148]).encrypted(S, &[28]);
    let written = row("\"auth_success\":true,\"auth_attempts\":2");
    assert_eq!(t.heard.row(), written);
    let h = t.encrypted(S, &[60, 28, 28]).ends();
    assert_eq!(h.row(), written);
    assert!(h.confirmed && h.odd.is_empty());
    let of_auth = h.events.iter().filter(|e| e.starts_with("ssh_auth"));
    assert_eq!(
        of_auth.collect::<Vec<_>>(),
        [
            "ssh_auth_attempted {\"authenticated\":false}",
            "ssh_auth_attempted {\"authenticated\":true}",
            "ssh_auth_successful {\"auth_method_none\":false}",
            "ssh_auth_result {\"result\":true,\"auth_attempts\":2}",
        ]
    );
}

#[test]
fn the_row_is_the_same_if_nobody_wants_events_and_nothing_is_read_behind_it() {
    let mut t = Talk::with(SshConfig::default(), Subscriptions::default());
    t.keys().encrypted(C, &[44, 68]).encrypted(S, &[44, 60, 60]);
    assert!(t.wants() && !t.solo.analyzer.is_settled());
    t.encrypted(S, &[28]);
    assert!(!t.wants() && t.solo.analyzer.is_settled());
    assert_eq!(t.ends().row(), row("\"auth_success\":true,\"auth_attempts\":2"));
    // Who wants each packet has them to the end.
    let subs = Subscriptions::default().with(SshEncryptedPacket::KIND);
    let mut t = Talk::with(SshConfig::default(), subs);
    t.keys().encrypted(C, &[44]).encrypted(S, &[44, 28]);
    assert!(t.wants());
    t.encrypted(S, &[1000]);
    let last = t.ends().events.last();
    assert_eq!(
        last.map(String::as_str),
        Some("ssh_encrypted_packet {\"orig\":false,\"len\":1000}")
    );
}

#[test]
fn a_key_is_right_at_once() {
    let mut t = Talk::new();
    t.keys().encrypted(C, &[44]).encrypted(S, &[44]);
    // Methods, then the server takes the offered key, then success.
    t.encrypted(C, &[68]).encrypted(S, &[60]);
    t.encrypted(C, &[500]).encrypted(S, &[476]);
    t.encrypted(C, &[1000]).encrypted(S, &[28]);
    assert_eq!(t.ends().row(), row("\"auth_success\":true,\"auth_attempts\":1"));
}

#[test]
fn nobody_asks() {
    let mut t = Talk::new();
    t.keys().encrypted(C, &[44]).encrypted(S, &[44, 28]);
    let h = t.ends();
    assert_eq!(h.row(), row("\"auth_success\":true,\"auth_attempts\":1"));
    assert_eq!(h.of("ssh_auth_successful"), ["{\"auth_method_none\":true}"]);
}

#[test]
fn failure_is_known_at_the_end() {
    let mut t = Talk::new();
    // A banner comes before the methods.
    t.keys().encrypted(C, &[44]).encrypted(S, &[44, 400]);
    t.encrypted(S, &[60, 60, 60]);
    assert!(t.heard.rows.is_empty());
    let h = t.ends();
    assert_eq!(h.row(), row("\"auth_success\":false,\"auth_attempts\":2"));
    assert_eq!(h.of("ssh_auth_failed"), ["{}"]);
    assert_eq!(
        h.of("ssh_auth_result"),
        ["{\"result\":false,\"auth_attempts\":2}"]
    );
}

#[test]
fn what_the_server_sends_first_says_nothing() {
    // Extensions come with NEWKEYS and behind it.
    let mut t = Talk::new();
    let (mut talk, mut with_more) = (handshake(), NEWKEYS.to_vec());
    with_more.extend([0xee; 36]);
    talk[6].1 = with_more;
    for (is_orig, bytes) in talk {
        t.says(is_orig, &bytes);
    }
    t.encrypted(S, &[100]).encrypted(C, &[44]).encrypted(S, &[44, 28]);
    assert_eq!(
        t.heard.of("ssh_encrypted_packet"),
        [
            "{\"orig\":false,\"len\":36}",
            "{\"orig\":false,\"len\":100}",
            "{\"orig\":true,\"len\":44}",
            "{\"orig\":false,\"len\":44}",
            "{\"orig\":false,\"len\":28}",
        ]
    );
    assert_eq!(t.ends().row(), row("\"auth_success\":true,\"auth_attempts\":1"));
}

#[test]
fn compression_hides_lengths() {
    let auth: Subscriptions = Subscriptions::default().with(SshAuthAttempted::KIND);
    for (subs, asked) in [(auth, true), (Subscriptions::default(), false)] {
        let mut t = Talk::with(SshConfig::default(), subs);
        t.versions();
        for is_orig in [C, S] {
            t.says(
                is_orig,
                &offers("diffie-hellman-group14-sha1", "k", "c", "m", "zlib"),
            );
        }
        t.says(C, NEWKEYS).says(S, NEWKEYS);
        assert_eq!(t.wants(), asked);
        t.encrypted(C, &[44]).encrypted(S, &[44, 60, 60]);
        let h = t.ends();
        assert!(
            h.row().starts_with("\"version\":2,\"auth_attempts\":0,"),
            "{}",
            h.row()
        );
        assert_eq!(h.of("ssh_auth_attempted").len(), usize::from(asked));
    }
}

#[test]
fn an_authentication_that_is_not_recognised_is_given_up() {
    let mut t = Talk::with(SshConfig::default(), Subscriptions::default());
    t.keys().encrypted(C, &[44]).encrypted(S, &[44, 60]);
    let packets = auth::WITHIN as usize / 1000;
    t.encrypted(C, &vec![1000; packets]);
    assert!(t.wants());
    t.encrypted(C, &[1000]);
    assert!(!t.wants() && !t.solo.analyzer.is_settled());
    assert_eq!(t.encrypted(S, &[60]).ends().row(), row("\"auth_attempts\":0"));
}

#[test]
fn each_side_says_what_it_has() {
    let mut t = Talk::new();
    let h = t.keys().ends();
    let [client, server] = h.of("ssh_capabilities")[..] else {
        panic!("{:?}", h.events);
    };
    assert_eq!(
        client,
        "{\"cookie\":\"cccccccccccccccccccccccccccccccc\",\"capabilities\":{\
         \"kex_algorithms\":[\"curve25519-sha256\",\"ecdh-sha2-nistp256\"],\
         \"server_host_key_algorithms\":[\"ssh-ed25519\",\"ssh-rsa\"],\
         \"encryption_algorithms\":{\"client_to_server\":[\"aes128-ctr\"],\"server_to_client\":[\"aes128-ctr\"]},\
         \"mac_algorithms\":{\"client_to_server\":[\"hmac-sha1\"],\"server_to_client\":[\"hmac-sha1\"]},\
         \"compression_algorithms\":{\"client_to_server\":[\"none\"],\"server_to_client\":[\"none\"]},\
         \"is_server\":false}}"
    );
    assert!(server.ends_with("\"is_server\":true}}"));
    let others: Vec<_> = h.events.iter().filter(|e| !e.contains("capabilities")).collect();
    assert_eq!(
        others,
        [
            "ssh_server_version {\"version\":\"SSH-2.0-server\"}",
            "ssh_client_version {\"version\":\"SSH-2.0-client\"}",
            "ssh2_ecc_key {\"is_orig\":true,\"q\":\"71206f662063\"}",
            "ssh2_ecc_init {\"is_orig\":true}",
            "ssh_server_host_key {\"hash\":\"ed:eb:07:33:dc:a4:58:39:54:97:3a:7f:e7:48:32:98\"}",
            "ssh2_server_host_key {\"key\":\"746865206b6579\"}",
            "ssh2_ecc_key {\"is_orig\":false,\"q\":\"71206f662073\"}",
        ]
    );
    let records: Vec<_> = [SshCapabilities::KIND]
        .iter()
        .filter_map(|k| k.info().map(|i| i.args))
        .collect();
    assert_eq!(records[0][2], ("capabilities", "SSH::Capabilities"));
}

#[test]
fn directions_may_differ_and_languages_are_rare() {
    let mut t = Talk::new();
    t.versions();
    let client = kex_init(["a", "k", "c1,c2", "d1", "m", "m", "none", "none", "en", ""]);
    let server = kex_init(["a", "k", "c2", "d1", "m", "x", "none", "none", "", ""]);
    t.says(S, &server).says(C, &client);
    let h = t.ends();
    let row = h.row();
    assert!(
        row.contains("\"cipher_alg\":\"To server: c2, to client: d1\""),
        "{row}"
    );
    assert!(
        row.contains("\"mac_alg\":\"To server: m, to client: Algorithm negotiation failed\""),
        "{row}"
    );
    let [server, client] = h.of("ssh_capabilities")[..] else {
        panic!("{:?}", h.events);
    };
    assert!(
        client.contains("\"languages\":{\"client_to_server\":[\"en\"]}"),
        "{client}"
    );
    assert!(!server.contains("languages"), "{server}");
    assert_eq!(h.odd, ["ssh_unknown_kex_algorithm: a"]);
}

#[test]
fn only_directions_in_or_out_of_the_local_network_have_a_name() {
    for (orig, resp, shown) in [
        ([10, 0, 0, 1], [192, 0, 2, 2], Some("OUTBOUND")),
        ([192, 0, 2, 2], [10, 0, 0, 1], Some("INBOUND")),
        ([10, 0, 0, 1], [10, 0, 0, 1], None),
        ([192, 0, 2, 2], [192, 0, 2, 3], None),
    ] {
        let mut t = Talk::new();
        (t.c.orig_h, t.c.resp_h) = (orig.into(), resp.into());
        let row = t.versions().ends().row().to_owned();
        assert_eq!(row.contains("direction"), shown.is_some(), "{row}");
        assert!(shown.is_none_or(|shown| row.contains(shown)), "{row}");
    }
}

#[test]
fn key_exchanges_differ_in_their_messages() {
    /// An algorithm, then messages with their strings and who sends each; then events.
    type Exchange<'a> = (&'a str, &'a [(bool, u8, &'a [&'a [u8]])], &'a [&'a str]);
    let exchanges: [Exchange<'_>; 6] = [
        (
            "diffie-hellman-group14-sha256",
            &[(C, 30, &[b"e"]), (S, 31, &[b"key", b"f", b"s"])],
            &[
                "ssh2_dh_gex_init {\"is_orig\":true}",
                "ssh_server_host_key {\"hash\":\"3c:6e:0b:8a:9c:15:22:4a:82:28:b9:a9:8c:a1:53:1d\"}",
                "ssh2_server_host_key {\"key\":\"6b6579\"}",
            ],
        ),
        (
            "diffie-hellman-group-exchange-sha256",
            &[
                (C, 34, &[]),
                (S, 31, &[b"p", b"g"]),
                (C, 32, &[b"e"]),
                (S, 33, &[b"key", b"f", b"s"]),
            ],
            &[
                "ssh2_dh_server_params {\"p\":\"70\",\"q\":\"67\"}",
                "ssh2_dh_gex_init {\"is_orig\":true}",
                "ssh_server_host_key {\"hash\":\"3c:6e:0b:8a:9c:15:22:4a:82:28:b9:a9:8c:a1:53:1d\"}",
                "ssh2_server_host_key {\"key\":\"6b6579\"}",
            ],
        ),
        (
            "mlkem768x25519-sha256",
            &[(C, 30, &[b"q"])],
            &[
                "ssh2_ecc_key {\"is_orig\":true,\"q\":\"71\"}",
                "ssh2_ecc_init {\"is_orig\":true}",
            ],
        ),
        (
            "gss-group1-sha1-x",
            &[
                (C, 30, &[b"token", b"e"]),
                (S, 31, &[b"token"]),
                (S, 41, &[b"p", b"g"]),
                (S, 33, &[b"key"]),
            ],
            &[
                "ssh2_gss_init {\"is_orig\":true}",
                "ssh2_dh_server_params {\"p\":\"70\",\"q\":\"67\"}",
                "ssh_server_host_key {\"hash\":\"3c:6e:0b:8a:9c:15:22:4a:82:28:b9:a9:8c:a1:53:1d\"}",
                "ssh2_server_host_key {\"key\":\"6b6579\"}",
            ],
        ),
        (
            "rsa2048-sha256",
            &[
                (S, 30, &[b"key", b"t"]),
                (C, 31, &[b"secret"]),
                (S, 32, &[b"signed"]),
            ],
            &["ssh2_rsa_secret {\"is_orig\":true}"],
        ),
        ("ecdh-sha2-nistp521", &[], &[]),
    ];
    for (algorithm, messages, events) in exchanges {
        let mut t = Talk::new();
        t.versions();
        for is_orig in [C, S] {
            t.says(is_orig, &offers(algorithm, "k", "c", "m", "none"));
        }
        t.heard.events.clear();
        for (is_orig, kind, strings) in messages {
            t.says(*is_orig, &packet(&message(*kind, strings)));
        }
        t.says(S, NEWKEYS).says(C, NEWKEYS);
        let h = t.ends();
        assert_eq!(h.events, events, "{algorithm}");
        assert!(h.odd.is_empty() && h.confirmed, "{algorithm} {:?}", h.odd);
    }
}

#[test]
fn gss_says_why_it_failed() {
    let mut t = Talk::new();
    t.versions();
    for is_orig in [C, S] {
        t.says(is_orig, &offers("gss-gex-sha1-x", "k", "c", "m", "none"));
    }
    let error = [
        b"\x22\0\0\0\x07\0\0\0\x08",
        &message(0, &[b"no ticket", b"en"])[1..],
    ]
    .concat();
    let h = t.says(S, &packet(&error)).ends();
    assert_eq!(
        h.of("ssh2_gss_error"),
        ["{\"major_status\":7,\"minor_status\":8,\"err_msg\":\"no ticket\"}"]
    );
}

#[test]
fn what_cannot_be_read_is_a_violation_in_the_words_of_zeeks_parser() {
    let reason = |reason: &str| format!("Binpac exception: binpac exception: {reason}");
    let ecc = offers("ecdh-sha2-nistp256", "k", "c", "m", "none");
    let short = &ecc[..ecc.len() - 9];
    let cases: [(&[Vec<u8>], &str); 6] = [
        // Before a key exchange is agreed on, all is taken for KEXINIT.
        (
            &[packet(&message(1, &[b"bye"]))],
            "out_of_bound: SSH2_KEXINIT:cookie: 16 > 7",
        ),
        (
            &[packet(&[&[20; 17][..], &[0, 0, 0, 9, b'a']].concat())],
            "out_of_bound: ssh_string:val: 13 > 5",
        ),
        (
            &[packet(&short[5..])],
            "out_of_bound: SSH2_KEXINIT:reserved: 5 > 0",
        ),
        (
            &[ecc.clone(), packet(&message(1, &[b"bye"]))],
            "invalid index for case: SSH2_Key_Exchange_ECC_Message: 1",
        ),
        (
            &[ecc.clone(), packet(&message(31, &[b"key"]))],
            "out_of_bound: ssh_string:len: 4 > 0",
        ),
        (
            &[b"\0\0\0\x02\x14\x01".to_vec()],
            "out_of_bound: SSH2_Message: -20 > 0",
        ),
    ];
    for (packets, why) in cases {
        let mut t = Talk::new();
        t.versions().says(C, &ecc);
        for packet in packets {
            t.says(S, packet);
        }
        assert!(!t.wants());
        let h = t.says(S, NEWKEYS).ends();
        assert_eq!(h.odd, [reason(why)]);
        assert!(h.row().starts_with("\"version\":2,") && !h.confirmed);
    }
}

#[test]
fn version_1_shows_a_key_and_no_algorithms() {
    let number = |bits: u16, bytes: &[u8]| [&bits.to_be_bytes(), bytes].concat();
    let key = |modulus: &[u8]| {
        let bits = 8 * modulus.len() as u16;
        [&[0; 4], &number(6, &[35])[..], &number(bits, modulus)].concat()
    };
    let public_key = [&[2], &[7; 8][..], &key(b"of session"), &key(b"of host"), &[0; 12]].concat();
    let session_key = [&[3], &[1; 20][..]].concat();
    let mut t = Talk::new();
    t.says(S, b"SSH-1.99-server\n").says(C, b"SSH-1.5-client\n");
    t.says(S, &packet_of_1(&public_key))
        .says(C, &packet_of_1(&session_key));
    t.encrypted(C, &[44]).encrypted(S, &[44, 28, 60, 60]);
    let h = t.ends();
    // MD5 of "of host#".
    assert_eq!(
        h.row(),
        "\"version\":1,\"auth_attempts\":0,\"direction\":\"OUTBOUND\",\"client\":\"SSH-1.5-client\",\
         \"server\":\"SSH-1.99-server\",\"host_key\":\"8a:1d:c7:cd:1d:23:53:64:68:1c:49:40:00:84:91:e1\""
    );
    assert!(h.confirmed && h.odd.is_empty());
    assert_eq!(
        h.of("ssh1_server_host_key"),
        ["{\"modulus\":\"6f6620686f7374\",\"exponent\":\"23\"}"]
    );
    assert_eq!(h.of("ssh_encrypted_packet").len(), 5);
    // Nothing behind it is of use, unless somebody wants the packets.
    let mut t = Talk::with(SshConfig::default(), Subscriptions::default());
    t.says(S, b"SSH-1.5-server\n").says(C, b"SSH-1.5-client\n");
    t.says(S, &packet_of_1(&public_key));
    assert!(t.wants());
    t.says(C, &packet_of_1(&session_key));
    assert!(!t.wants());
    // A key that ends too early, and another message.
    for (message, why) in [
        (&public_key[..20], "out_of_bound: ssh1_mp_int:val: 12 > 4"),
        (&[4][..], "invalid index for case: SSH1_Message: 4"),
    ] {
        let mut t = Talk::new();
        t.says(S, b"SSH-1.5-server\n").says(C, b"SSH-1.5-client\n");
        let h = t.says(S, &packet_of_1(message)).ends();
        assert_eq!(h.odd, [format!("Binpac exception: binpac exception: {why}")]);
    }
}

#[test]
fn versions_must_agree() {
    for (server, client, version, odd) in [
        ("SSH-2.0-s", "SSH-2.0-c", "2", ""),
        ("SSH-1.99-s", "SSH-2.0-c", "2", ""),
        ("SSH-1.99-s", "SSH-1.99-c", "2", ""),
        ("SSH-1.5-s", "SSH-1.99-c", "1", ""),
        ("SSH-1.5-s", "SSH-1.5-c", "1", ""),
        ("SSH-1.5-s", "SSH-2.0-c", "", "SSH_version_mismatch"),
        ("SSH-2.0-s", "SSH-1.5-c", "", "SSH_version_mismatch"),
        ("SSH-3.0-s", "SSH-2.0-c", "", ""),
        ("SSH-", "SSH-2.0-c", "", "SSH_cannot_determine_version"),
    ] {
        let mut t = Talk::new();
        t.says(S, format!("{server}\r\n").as_bytes());
        let h = t.says(C, format!("{client}\r\n").as_bytes()).ends();
        let shown = format!("\"version\":{version},");
        assert_eq!(h.row().starts_with(&shown), !version.is_empty(), "{}", h.row());
        let odd = (!odd.is_empty()).then(|| format!("{odd}: {server} vs {client}"));
        assert_eq!(h.odd, odd.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn one_side_alone_is_a_row_and_no_version_is_none() {
    let mut t = Talk::new();
    t.says(C, b"SSH-2.0-client\r\n");
    assert!(!t.heard.confirmed);
    assert_eq!(
        t.ends().row(),
        "\"auth_attempts\":0,\"direction\":\"OUTBOUND\",\"client\":\"SSH-2.0-client\""
    );
    let mut t = Talk::new();
    assert!(t.says(C, b"GET / HTTP/1.0\r\n").ends().rows.is_empty());
    let mut t = Talk::new();
    assert!(t.says(S, b"220 hello\r\n").ends().rows.is_empty());
}

#[test]
fn a_client_that_does_not_wait_is_read_twice_and_has_one_row() {
    let (c, subs, shared) = (Talk::new().c, Subscriptions::default(), WorkerShared::default());
    let mut out = Heard::default();
    let mut tree = Tree::new(true, c.orig_p, c.resp_p, &shared);
    // By its port, then by both versions.
    let eager = [&b"SSH-2.0-client\r\n"[..], &offers("a", "k", "c", "m", "none")].concat();
    for (ts, is_orig, bytes) in [(0, C, &eager[..]), (1, S, b"SSH-2.0-server\r\n")] {
        let (c, subs, out) = (&c, &subs, &mut out);
        tree.stream(is_orig, bytes, &shared, &mut Call { ts, c, subs, out });
    }
    tree.close(&mut Call {
        ts: 2,
        c: &c,
        subs: &subs,
        out: &mut out,
    });
    assert_eq!(
        out.odd,
        vec![format!("Binpac exception: binpac exception: {NO_VERSION}"); 2]
    );
    assert_eq!(
        out.row(),
        "\"version\":2,\"auth_attempts\":0,\"direction\":\"OUTBOUND\",\"client\":\"SSH-2.0-client\",\
         \"server\":\"SSH-2.0-server\""
    );
    assert!(!out.confirmed);
}

#[test]
fn a_server_may_talk_first() {
    let mut t = Talk::new();
    let h = t.says(S, b"Hello\r\n\na [b]\r\nSSH-2.0-s\xff\r\n").ends();
    assert_eq!(
        h.of("ssh_server_pre_banner_data"),
        ["{\"data\":\"Hello\"}", "{\"data\":\"\"}", "{\"data\":\"a \"}"]
    );
    assert_eq!(h.of("ssh_server_version"), ["{\"version\":\"SSH-2.0-s\\\\xff\"}"]);
    assert!(h.row().contains("\"server\":\"SSH-2.0-s\\\\xff\""), "{}", h.row());
}

#[test]
fn lists_are_read_to_their_hundredth_name() {
    let many = |n: usize, last: &str| {
        let names: Vec<_> = (1..n).map(|i| format!("a{i}")).collect();
        format!("{},{last}", names.join(","))
    };
    let (fits, too_many) = (many(100, "ecdh-sha2-nistp256"), many(101, "common"));
    let mut t = Talk::new();
    t.versions().says(
        C,
        &kex_init([
            &fits, &too_many, &too_many, "c", "m", &too_many, "none", "none", &too_many, "",
        ]),
    );
    t.says(S, &offers("ecdh-sha2-nistp256", "common", "common", "m", "none"));
    let h = t.ends();
    let weird = |list: &str| format!("SSH_max_kexinit_{list}_exceeded: 101 > 100");
    let mut odd = Vec::new();
    for list in [
        "hostkey_algorithms",
        "encryption_algorithms",
        "mac_algorithms",
        "languages",
    ] {
        odd.extend([weird(list), "gave up".to_owned()]);
    }
    assert_eq!(h.odd, odd);
    assert!(
        h.row()
            .contains("\"kex_alg\":\"ecdh-sha2-nistp256\",\"host_key_alg\":\"Algorithm negotiation failed\"")
    );
}

#[test]
fn a_packet_and_a_string_may_not_be_too_long() {
    let mut t = Talk::new();
    let h = t.versions().says(S, b"\x01\0\0\0").ends();
    assert_eq!(
        h.odd,
        ["SSH_max_packet_length_exceeded: 16777216 > 8388608", "gave up"]
    );
    let mut t = Talk::new();
    let message = [&[20; 17][..], &[0x01, 0, 0, 0, b'a']].concat();
    let h = t.versions().says(S, &packet(&message)).ends();
    assert_eq!(
        h.odd,
        [
            "SSH_max_string_length_exceeded: 16777216 > 2097152",
            "gave up",
            "Binpac exception: binpac exception: out_of_bound: ssh_string:val: 2097156 > 5"
        ]
    );
}

#[test]
fn of_a_packet_that_is_too_long_to_be_kept_nothing_is_known() {
    let mut t = Talk::new();
    let long = vec![b'a'; 300_000];
    t.versions()
        .says(C, &packet(&[&[20; 17][..], &string(&long)].concat()));
    assert!(t.wants());
    let h = t.says(C, NEWKEYS).says(S, NEWKEYS).ends();
    assert!(h.odd.is_empty() && h.confirmed);
}

#[test]
fn behind_a_gap_nothing_is_read() {
    let mut t = Talk::new();
    t.keys().encrypted(C, &[44]).encrypted(S, &[44, 60, 60]);
    t.call(|a, ctx| a.gap(C, 10, ctx));
    assert!(!t.wants());
    let h = t.encrypted(S, &[60, 28]).ends();
    assert_eq!(h.row(), row("\"auth_success\":false,\"auth_attempts\":1"));
    let mut t = Talk::new();
    t.versions().call(|a, ctx| a.gap(S, 10, ctx));
    let h = t.says(C, NEWKEYS).ends();
    assert!(!h.confirmed && h.row().starts_with("\"version\":2,"));
}

#[test]
fn hassh_is_a_hash_of_four_lists() {
    // Published for OpenSSH 7.6 (https://github.com/salesforce/hassh).
    let lists = [
        "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
         diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
         diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1,ext-info-c",
        "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com",
        "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,\
         hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,\
         hmac-sha2-256,hmac-sha2-512,hmac-sha1",
        "none,zlib@openssh.com,zlib",
    ];
    let [kex, cipher, mac, compression] = lists;
    let mut t = Talk::with(SshConfig { hassh: true }, Subscriptions::default());
    t.versions();
    t.says(
        C,
        &kex_init([kex, "k", cipher, "x", mac, "x", compression, "x", "", ""]),
    );
    t.says(S, &kex_init(["a", "k", "x", "b", "x", "c", "x", "d", "", ""]));
    let h = t.ends();
    // The server's is MD5 of "a;b;c;d".
    assert!(
        h.row().ends_with(
            "\"hassh\":\"06046964c022c6407d15a27b12a6a4fb\",\"hassh_server\":\"845425be4f77f4097e014a6591497010\""
        ),
        "{}",
        h.row()
    );
    let mut t = Talk::new();
    assert!(!t.keys().ends().row().contains("hassh"));
}

/// All but the lengths of encrypted packets does not depend on how the bytes are cut.
fn heard_in_pieces(cut: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> (String, Vec<String>) {
    let mut t = Talk::new();
    for (is_orig, bytes) in handshake() {
        for piece in cut(&bytes) {
            t.says(is_orig, &piece);
        }
    }
    let h = t.ends();
    assert!(h.odd.is_empty() && h.confirmed);
    (h.row().to_owned(), h.events.clone())
}

#[test]
fn packets_may_be_cut_anywhere() {
    let whole = heard_in_pieces(|bytes| vec![bytes.to_vec()]);
    let longest = handshake().iter().map(|(_, b)| b.len()).max().unwrap_or(0);
    for at in 1..longest {
        let cut = |bytes: &[u8]| {
            let (a, b) = bytes.split_at(at.min(bytes.len()));
            vec![a.to_vec(), b.to_vec()]
        };
        assert_eq!(heard_in_pieces(cut), whole, "{at}");
    }
    let bytewise = |bytes: &[u8]| bytes.iter().map(|b| vec![*b]).collect();
    assert_eq!(heard_in_pieces(bytewise), whole);
    // All that a side says without waiting in one packet.
    let mut t = Talk::new();
    let [first, second]: [Vec<u8>; 2] = [S, C].map(|side| {
        let own = handshake().into_iter().filter(|(is_orig, _)| *is_orig == side);
        own.take(1).flat_map(|(_, bytes)| bytes).collect()
    });
    t.says(S, &first);
    let rest: Vec<u8> = handshake()
        .iter()
        .filter(|m| m.0 == C)
        .skip(1)
        .take(1)
        .flat_map(|m| m.1.clone())
        .collect();
    t.says(C, &[second, rest].concat());
    assert_eq!(t.heard.of("ssh_capabilities").len(), 1);
}

proptest! {
    #[test]
    fn noise_never_panics(
        version: bool,
        talk in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..8),
    ) {
        let mut t = Talk::with(SshConfig { hassh: true }, Subscriptions::ALL);
        match version {
            true => t.says(S, b"SSH-1.5-s\n").says(C, b"SSH-1.5-c\n"),
            false => t.versions(),
        };
        for (is_orig, bytes) in &talk {
            t.says(*is_orig, &packet(bytes)).says(*is_orig, bytes);
        }
        prop_assert_eq!(t.ends().rows.len(), 1);
    }

    #[test]
    fn a_damaged_handshake_never_panics(at in 0usize..800, byte: u8) {
        let mut t = Talk::with(SshConfig { hassh: true }, Subscriptions::ALL);
        let mut left = at;
        for (is_orig, mut bytes) in handshake() {
            if let Some(damaged) = bytes.get_mut(left) {
                *damaged = byte;
            }
            left = left.wrapping_sub(bytes.len());
            t.says(is_orig, &bytes);
        }
        prop_assert!(t.ends().rows.len() <= 1);
    }
}
