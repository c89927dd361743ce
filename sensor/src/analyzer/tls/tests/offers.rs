//! What hellos of today say, a hello by hand at a time.

use super::*;

fn vec16(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u16).to_be_bytes()[..], body].concat()
}

fn vec8(body: &[u8]) -> Vec<u8> {
    [&[body.len() as u8][..], body].concat()
}

/// A record with one handshake message.
fn message(msg_type: u8, body: &[u8]) -> Vec<u8> {
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let message = [&[msg_type][..], length, body].concat();
    [&[22, 3, 3][..], &vec16(&message)].concat()
}

fn extension(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &vec16(value)].concat()
}

/// A ClientHello, or a ServerHello, with one extension; what came out.
fn hello(is_client: bool, code: u16, value: &[u8]) -> Recorder {
    let extensions = vec16(&extension(code, value));
    let (msg_type, middle) = match is_client {
        true => (1, &[0, 0, 2, 0x13, 1, 1, 0][..]),
        false => (2, &[0, 0x13, 1, 0][..]),
    };
    let body = [&[3, 3][..], &[7; 32], middle, &extensions].concat();
    let mut run = Run::new(Subscriptions::ALL);
    run.data(is_client, &message(msg_type, &body));
    run.end();
    run.out
}

/// The arguments of the event with that name, and of no second one.
fn said(out: &Recorder, event: &str) -> String {
    let start = format!("{{\"event\":\"{event}\"");
    let all: Vec<_> = out.lines.iter().filter(|l| l.starts_with(&start)).collect();
    let [one] = &all[..] else {
        panic!("{event}: {:?}", out.lines)
    };
    let (_, args) = one.split_once("\"args\":").expect("arguments");
    args.trim_end_matches('}').to_owned()
}

fn troubles(out: &Recorder) -> Vec<&String> {
    let is_trouble = |l: &&String| l.starts_with("violation") || l.starts_with("weird");
    out.lines.iter().filter(is_trouble).collect()
}

#[test]
fn each_offer_has_an_event() {
    let identities = vec16(&[&vec16(b"ab")[..], &[0, 0, 1, 0], &vec16(b""), &[0, 0, 0, 2]].concat());
    let binders = vec16(&[vec8(b"xy"), vec8(b"z")].concat());
    let shares = vec16(&[&[0x11, 0xec][..], &vec16(&[9; 5]), &[0, 29], &vec16(b"k")].concat());
    let ech = [&[0, 0, 1, 0, 3, 77][..], &vec16(b"key"), &vec16(&[5; 200])].concat();
    for (code, value, event, args) in [
        (
            13,
            vec16(&[4, 3, 8, 4]),
            "ssl_extension_signature_algorithm",
            "\"signature_algorithms\":{\"1\":{\"HashAlgorithm\":4,\"SignatureAlgorithm\":3},\
             \"2\":{\"HashAlgorithm\":8,\"SignatureAlgorithm\":4",
        ),
        (
            50,
            vec16(&[4, 3, 8, 4]),
            "ssl_extension_signature_algorithms_cert",
            "\"signature_schemes\":[1027,2052]",
        ),
        (51, shares, "ssl_extension_key_share", "\"curves\":[4588,29]"),
        (
            43,
            vec8(&[0x8a, 0x8a, 3, 4]),
            "ssl_extension_supported_versions",
            "\"versions\":[35466,772]",
        ),
        (
            45,
            vec8(&[1, 0]),
            "ssl_extension_psk_key_exchange_modes",
            "\"modes\":[1,0]",
        ),
        (
            41,
            [identities, binders].concat(),
            "ssl_extension_pre_shared_key_client_hello",
            "\"identities\":{\"1\":{\"identity\":\"6162\",\"obfuscated_ticket_age\":256},\
             \"2\":{\"identity\":\"\",\"obfuscated_ticket_age\":2}},\"binders\":[\"xy\",\"z\"]",
        ),
        (
            54,
            vec8(&[1, 2]),
            "ssl_extension_connection_id",
            "\"cid\":\"0102\"",
        ),
        (
            0xfe0d,
            ech,
            "ssl_extension_encrypted_client_hello",
            "\"kdf_id\":1,\"aead_id\":3,\"config_id\":77,\"enc\":\"6b6579\",\"payload_length\":200",
        ),
    ] {
        let out = hello(true, code, &value);
        let wanted = format!("{{\"is_client\":true,{args}");
        assert_eq!(said(&out, event), wanted);
        assert!(troubles(&out).is_empty(), "{:?}", out.lines);
        said(&out, "ssl_extension");
    }
}

#[test]
fn what_a_server_chooses_has_an_event() {
    let timestamp = |n: u8| {
        let log = [&[0][..], &[n; 32], &[0, 0, 1, 0x8b, 0, 0, 0, n], &vec16(b"")].concat();
        vec16(&[&log[..], &[4, 3], &vec16(b"sig")].concat())
    };
    let stamps = vec16(&timestamp(1));
    for (code, value, event, args) in [
        (
            51,
            vec![0, 29, 0, 1, 9],
            "ssl_extension_key_share",
            "\"curves\":[29]",
        ),
        // A retry request.
        (
            51,
            vec![0x11, 0xec],
            "ssl_extension_key_share",
            "\"curves\":[4588]",
        ),
        (
            43,
            vec![3, 4],
            "ssl_extension_supported_versions",
            "\"versions\":[772]",
        ),
        (
            41,
            vec![0, 2],
            "ssl_extension_pre_shared_key_server_hello",
            "\"selected_identity\":2",
        ),
        (
            18,
            stamps,
            "ssl_extension_signed_certificate_timestamp",
            &format!(
                "\"version\":0,\"logid\":\"{}\",\"timestamp\":1696512081921,\
                 \"signature_and_hashalgorithm\":{{\"HashAlgorithm\":4,\"SignatureAlgorithm\":3}},\"signature\":\"736967\"",
                "01".repeat(32)
            ),
        ),
    ] {
        let out = hello(false, code, &value);
        assert_eq!(said(&out, event), format!("{{\"is_client\":false,{args}"));
        assert!(troubles(&out).is_empty(), "{:?}", out.lines);
    }
    let two = hello(false, 18, &vec16(&[timestamp(1), timestamp(2)].concat()));
    let stamps = two
        .lines
        .iter()
        .filter(|l| l.contains("_certificate_timestamp\""));
    assert_eq!(stamps.count(), 2);
    // What is sent back for an encrypted hello is no such hello.
    let out = hello(false, 0xfe0d, &[0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(troubles(&out).is_empty() && !out.lines.iter().any(|l| l.contains("encrypted_client")));
}

#[test]
fn what_zeek_8_does_not_read_is_no_violation_where_it_does_not_fit() {
    for (code, value) in [
        (0xfe0d, vec![0, 0, 1, 0, 3, 77, 0]),
        (0xfe0d, vec![0, 0, 1, 0, 3, 77, 0, 2, 1]),
        (0xfe0d, vec![0, 0, 1, 0, 3, 77, 0, 0, 0]),
        (0xfe0d, vec![0, 0, 1, 0, 3, 77, 0, 0, 0, 1]),
        // The hello inside is not seen outside.
        (0xfe0d, vec![1]),
        (50, vec![0]),
        (50, vec![0, 4, 4, 3]),
    ] {
        let out = hello(true, code, &value);
        assert!(troubles(&out).is_empty(), "{value:?}: {:?}", out.lines);
        let mut lines = out.lines.iter();
        assert!(!lines.any(|l| l.contains("encrypted_client_hello\"") || l.contains("algorithms_cert\"")));
        assert!(said(&out, "ssl_extension").contains(&format!("\"code\":{code},")));
        said(&out, "ssl_client_hello");
    }
}

#[test]
fn extensions_that_nobody_reads_are_no_violations() {
    // Compressed certificates, delegated credentials, record size limit, a ticket request, application settings, grease, and
    // one that nobody has defined.
    for code in [27, 34, 28, 58, 17513, 0x0a0a, 0xffff] {
        for value in [&[][..], &[0], &[0xff; 300]] {
            let out = hello(true, code, value);
            assert!(troubles(&out).is_empty(), "{code}: {:?}", out.lines);
            assert!(said(&out, "ssl_extension").contains(&format!("\"code\":{code},")));
        }
    }
}

#[test]
fn messages_that_are_encrypted_in_every_version_are_strangers_in_the_clear() {
    // EndOfEarlyData, EncryptedExtensions, KeyUpdate and CompressedCertificate, of which TLS 1.2 has none.
    for msg_type in [5, 8, 24, 25] {
        let mut run = Run::new(Subscriptions::ALL);
        run.data(false, &message(msg_type, &[0; 9]));
        let wanted = format!("violation SSL unknown handshake message ({msg_type}) from responder");
        assert_eq!(troubles(&run.out), [&wanted]);
        assert!(said(&run.out, "ssl_handshake_message").contains(&format!("\"msg_type\":{msg_type},")));
    }
}

#[test]
fn the_row_has_what_hellos_say_on_request() {
    let vec = |code: u16, value: Vec<u8>| extension(code, &value);
    let client = [
        vec(10, vec16(&[0x11, 0xec, 0, 29])),
        vec(11, vec8(&[0])),
        vec(16, vec16(&[vec8(b"h2"), vec8(b"http/1.1")].concat())),
        vec(13, vec16(&[4, 3, 8, 4])),
        vec(43, vec8(&[3, 4, 3, 3])),
        vec(45, vec8(&[1])),
        vec(51, vec16(&[0, 29, 0, 1, 9])),
        vec(
            0xfe0d,
            [&[0, 0, 1, 0, 3, 77][..], &vec16(b"key"), &vec16(&[5; 20])].concat(),
        ),
    ]
    .concat();
    let server = [vec(43, vec![3, 4]), vec(51, vec![0, 29, 0, 1, 9])].concat();
    let client = [
        &[3, 3][..],
        &[7; 32],
        &[0, 0, 4, 0x13, 1, 0x13, 2, 1, 0],
        &vec16(&client),
    ]
    .concat();
    let server = [&[3, 3][..], &[7; 32], &[0, 0x13, 1, 0], &vec16(&server)].concat();
    let ticket = [&[0, 0, 2, 88][..], &vec16(b"ticket")].concat();
    let row = |shared: &crate::analyzer::tls::SharedTls| {
        let mut run = Run::new(Subscriptions::NONE);
        run.tls = Solo::new(Tls::with(shared));
        run.data(true, &message(1, &client));
        run.data(false, &[message(2, &server), message(4, &ticket)].concat());
        run.end();
        ssl_row(&run.out).to_owned()
    };
    let with = row(&everything());
    let (_, offers) = with.split_once(" server_version=").expect("what hellos say");
    assert_eq!(
        offers,
        "771 client_version=771 client_ciphers=[4865,4866] ssl_client_exts=[10,11,16,13,43,45,51,65037] \
         ssl_server_exts=[43,51] ticket_lifetime_hint=600 point_formats=[0] client_curves=[4588,29] \
         orig_alpn=[h2,http/1.1] client_supported_versions=[772,771] server_supported_version=772 \
         psk_key_exchange_modes=[1] client_key_share_groups=[29] server_key_share_group=29 client_comp_methods=[0] \
         sigalgs=[3,4] hashalgs=[4,8] ech_kdf_id=1 ech_aead_id=3"
    );
    assert!(!row(&Default::default()).contains("server_version"));
    let mut run = Run::new(Subscriptions::NONE);
    run.tls = Solo::new(Tls::with(&everything()));
    messages(super::STREAMS[3])
        .into_iter()
        .for_each(|(is_orig, bytes)| run.data(is_orig, bytes));
    run.end();
    let dhe = ssl_row(&run.out);
    assert!(dhe.contains(" dh_param_size=2048 "), "{dhe}");
}

#[test]
fn a_row_has_some_extensions_however_many_hellos_there_are() {
    let extensions = vec16(&extension(0xff, &[]).repeat(200));
    let hello = message(
        1,
        &[&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat(),
    );
    let mut run = Run::new(Subscriptions::NONE);
    run.tls = Solo::new(Tls::with(&everything()));
    run.data(true, &hello.repeat(3));
    run.end();
    let row = ssl_row(&run.out);
    assert_eq!(
        row.split_once("ssl_client_exts=")
            .map(|(_, l)| l.matches("255").count()),
        Some(256)
    );
}
