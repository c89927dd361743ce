//! What Zeek says of records and messages that do not fit, and how it goes on.

use super::*;

/// A record of TLS 1.2.
fn record(content_type: u8, body: &[u8]) -> Vec<u8> {
    [
        &[content_type, 3, 3][..],
        &(body.len() as u16).to_be_bytes(),
        body,
    ]
    .concat()
}

/// A record with one handshake message.
fn message(msg_type: u8, body: &[u8]) -> Vec<u8> {
    let length = &(body.len() as u32).to_be_bytes()[1..];
    record(22, &[&[msg_type][..], length, body].concat())
}

/// A ServerHello of TLS 1.2 that chooses `suite`, with these extensions.
fn server_hello(suite: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let length = (extensions.len() as u16).to_be_bytes();
    message(
        2,
        &[&[3, 3][..], &[7; 32], &[0], &suite, &[0], &length, extensions].concat(),
    )
}

/// The server's, in one piece; whatever the client said before.
fn from_server(records: &[Vec<u8>]) -> Recorder {
    let mut run = Run::new(Subscriptions::ALL);
    run.data(false, &records.concat());
    run.end();
    run.out
}

fn violations(out: &Recorder) -> Vec<&str> {
    const ALL: &str = "violation SSL ";
    const SHORT: &str = "Binpac exception: binpac exception: out_of_bound: ";
    let reasons = out.lines.iter().filter_map(|l| l.strip_prefix(ALL));
    reasons.map(|l| l.strip_prefix(SHORT).unwrap_or(l)).collect()
}

#[test]
fn reasons_count_from_the_start_of_the_structure_or_elements_of_a_list() {
    let client_hello = |rest: &[u8]| message(1, &[&[3, 3][..], &[7; 32], rest].concat());
    let extension = |value: &[u8]| client_hello(&[&[0, 0, 2, 0x13, 1, 1, 0, 0, 9][..], value].concat());
    let ecdhe = |body: &[u8]| [server_hello([0xc0, 0x2f], &[]), message(12, body)].concat();
    let dhe = |body: &[u8]| [server_hello([0, 0x33], &[]), message(12, body)].concat();
    for (bytes, reason) in [
        (message(1, &[3, 3, 1, 2, 3]), "ClientHello:gmt_unix_time: 6 > 5"),
        (message(1, &[3; 33]), "ClientHello:random_bytes: 34 > 33"),
        (client_hello(&[]), "ClientHello:session_len: 35 > 34"),
        (client_hello(&[40, 1, 2, 3]), "ClientHello:session_id: 40 > 3"),
        (client_hello(&[1, 9, 0]), "ClientHello:csuit_len: 38 > 37"),
        (
            client_hello(&[0, 0, 9, 1, 2, 3, 4, 5, 6, 7]),
            "ClientHello:csuits: 4 > 7",
        ),
        (
            client_hello(&[0, 0, 2, 0x13, 1, 2, 0]),
            "ClientHello:cmeths: 2 > 1",
        ),
        (
            client_hello(&[0, 0, 0, 1, 0, 0]),
            "ClientHello:ext_len__elem: 41 > 40",
        ),
        (extension(&[0, 0, 0]), "SSLExtension:data_len: 4 > 3"),
        (extension(&[0, 0, 0, 2, 0]), "SSLExtension: 6 > 5"),
        (
            extension(&[0, 10, 0, 3, 0, 8, 1]),
            "EllipticCurves:elliptic_curve_list: 4 > 1",
        ),
        (
            extension(&[0, 11, 0, 2, 2, 0]),
            "EcPointFormats:point_format_list: 2 > 1",
        ),
        (
            extension(&[0, 13, 0, 5, 0, 3, 4, 3, 4]),
            "SignatureAndHashAlgorithm: 2 > 1",
        ),
        (
            extension(&[0, 43, 0, 4, 3, 3, 4, 3]),
            "SupportedVersions:versions__elem: 5 > 4",
        ),
        (
            extension(&[0, 0, 0, 5, 0, 3, 0, 0, 9]),
            "ServerNameHostName:host_name: 11 > 2",
        ),
        (extension(&[0, 16, 0, 4, 0, 2, 9, 1]), "ProtocolName:name: 10 > 2"),
        (
            extension(&[0, 51, 0, 5, 0, 3, 0, 29, 0]),
            "KeyShareEntry:key_exchange_length: 4 > 3",
        ),
        (extension(&[0, 41, 0, 3, 0, 1, 9]), "PSKIdentity:length: 2 > 1"),
        (message(2, &[3]), "ServerHelloChoice:server_version1: 2 > 1"),
        (message(2, &[3, 3, 9]), "ServerHello:random_bytes: 32 > 1"),
        (message(2, &[4; 35]), "ServerHello:session_id: 4 > 0"),
        (
            message(2, &[[0x7f; 2].as_slice(), &[0; 33]].concat()),
            "ServerHello13:cipher_suite: 34 > 33",
        ),
        (
            message(11, &[0, 0, 4, 0, 0, 2, 9]),
            "X509Certificate:certificate: 5 > 4",
        ),
        (message(4, &[0; 5]), "SessionTicketHandshake:length: 6 > 5"),
        (
            ecdhe(&[3, 0, 29, 4, 1]),
            "ServerECDHParamsAndSignature:point: 7 > 4",
        ),
        (ecdhe(&[3, 0, 29, 1, 1, 4]), "SignatureAndHashAlgorithm: 2 > 1"),
        (
            ecdhe(&[3, 0, 29, 1, 1, 4, 3, 0, 9]),
            "ServerKeyExchangeSignature:signature: 13 > 4",
        ),
        (dhe(&[0, 1, 7, 0]), "DheServerKeyExchange:dh_g_length: 5 > 4"),
        (
            message(13, &[2, 1]),
            "CertificateRequest:certificate_types: 2 > 1",
        ),
        (record(21, &[2, 40, 1]), "Alert: 2 > 1"),
        (record(24, &[1, 0]), "Heartbeat:payload_length: 3 > 2"),
    ] {
        assert_eq!(violations(&from_server(&[bytes])), [reason]);
    }
}

#[test]
fn what_comes_with_an_unreadable_record_is_dropped_and_the_next_is_read() {
    let mut run = Run::new(Subscriptions::ALL);
    let alert = [record(21, &[2, 40, 1]), record(21, &[1, 0])].concat();
    run.data(false, &alert);
    run.data(false, &record(21, &[2, 70]));
    let shown = run.out.lines.iter().map(|l| match l.find("\"desc\":") {
        Some(at) => &l[at..],
        None => l,
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "\"desc\":40}}",
            "violation SSL Binpac exception: binpac exception: out_of_bound: Alert: 2 > 1",
            "\"desc\":70}}"
        ]
    );
    assert!(ssl_row(&run.out).contains("last_alert=handshake_failure established=false ssl_history=l"));
}

#[test]
fn an_sslv2_record_shorter_than_its_header_does_not_fit() {
    let mut run = Run::new(Subscriptions::ALL);
    run.data(true, &[0x80, 1, 1, 3, 1]);
    assert_eq!(violations(&run.out), ["SSLRecord:rec: 3 > 5"]);
}

#[test]
fn the_bytes_of_a_change_cipher_spec_are_messages_each() {
    let count = |out: &Recorder, name: &str| out.lines.iter().filter(|l| l.contains(name)).count();
    // From the first on all is encrypted, but in TLS 1.3, where that begins with application data.
    let tls12 = from_server(&[server_hello([0, 0x2f], &[]), record(20, &[1, 1, 1])]);
    let tls13 = from_server(&[
        server_hello([0x13, 1], &[0, 43, 0, 2, 3, 4]),
        record(20, &[1, 1, 1]),
    ]);
    for (out, events, history) in [(tls12, [1, 1], "si"), (tls13, [3, 0], "siii")] {
        let names = ["ssl_change_cipher_spec", "ssl_encrypted_data"];
        assert_eq!(names.map(|n| count(&out, n)), events);
        assert!(ssl_row(&out).ends_with(history), "{}", ssl_row(&out));
    }
}

#[test]
fn an_odd_list_of_suites_ends_with_its_last_whole_one() {
    // The odd byte is the number of compression methods that follow.
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 3, 0x13, 1, 1, 0]].concat();
    let mut run = Run::new(Subscriptions::ALL);
    run.data(true, &message(1, &body));
    assert_eq!(violations(&run.out), [""; 0]);
    assert!(run.out.lines.iter().any(|l| l.contains("\"ciphers\":[4865]")));
}

#[test]
fn a_violation_counts_unless_it_comes_late() {
    let hello = |run: &mut Run| {
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
        run.data(true, &message(1, &body));
        assert!(run.tls.holds());
    };
    let mut early = Run::new(Subscriptions::ALL);
    hello(&mut early);
    early.data(false, &record(99, &[1]));
    assert!(!early.tls.holds());
    // Eleven kilobytes in.
    let mut late = Run::new(Subscriptions::ALL);
    hello(&mut late);
    late.data(false, &server_hello([0, 0x2f], &[]));
    late.data(false, &record(23, &[0; 11 * 1024]));
    late.data(false, &record(25, &[1]));
    assert_eq!(
        violations(&late.out),
        ["unknown SSL record type (25) from responder"]
    );
    assert!(late.tls.holds());
}

#[test]
fn application_data_in_the_clear_is_told_once() {
    let data = record(23, &[1, 2]);
    let out = from_server(&[data.clone(), server_hello([0, 0x2f], &[]), data.clone(), data]);
    let weirds = out.lines.iter().filter(|l| l.starts_with("weird"));
    // The first is encrypted: it may be TLS 1.3's, no version is known yet.
    assert_eq!(weirds.count(), 0);
    let data = record(23, &[1, 2]);
    let out = from_server(&[server_hello([0, 0x2f], &[]), data.clone(), data]);
    let weirds = out.lines.iter().filter(|l| l.starts_with("weird"));
    assert_eq!(weirds.collect::<Vec<_>>(), ["weird ssl_early_application_data "]);
}

#[test]
fn a_thousand_violations_are_enough() {
    let out = from_server(&vec![record(25, &[1]); 1200]);
    assert_eq!(violations(&out).len(), 1000);
    let weirds = out.lines.iter().filter(|l| l.starts_with("weird"));
    assert_eq!(
        weirds.collect::<Vec<_>>(),
        ["weird too_many_analyzer_violations "]
    );
}
