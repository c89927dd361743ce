//! Datagrams: OpenSSL's DTLS 1.2 as recorded, DTLS 1.3 by hand.

use super::super::Dtls;
use super::*;
use crate::analyzer::api::Start;

const SAMPLE: &[u8] = include_bytes!("../samples/dtls12.bin");

fn call<'c>(ts: Ts, c: &'c ConnId, out: &'c mut Recorder) -> Call<'c> {
    Call {
        ts,
        c,
        subs: &Subscriptions::ALL,
        out,
    }
}

/// Datagrams through the DTLS analyzer, `order` of them.
pub(super) fn datagrams<'a>(order: impl IntoIterator<Item = (bool, &'a [u8])>) -> Recorder {
    let (mut dtls, mut out, c) = (Solo::new(Dtls::new()), Recorder::default(), ConnId::sample(443));
    for (i, (is_orig, bytes)) in order.into_iter().enumerate() {
        dtls.with(call(i as Ts, &c, &mut out), |a, ctx| {
            a.datagram(is_orig, bytes, ctx)
        });
    }
    dtls.close(call(0, &c, &mut out));
    out
}

#[test]
fn dtls_is_put_together_from_fragments() {
    let out = datagrams(messages(SAMPLE));
    let row = ssl_row(&out);
    assert!(
        row.starts_with("ssl version=DTLSv12 cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 curve=x25519"),
        "{row}"
    );
    assert!(row.contains("established=true ssl_history=CvCsxknGIti"), "{row}");
    assert_eq!(out.rows.iter().filter(|r| r.starts_with("x509")).count(), 2);
}

#[test]
fn dtls_fragments_may_be_repeated_and_swapped() {
    let all = messages(SAMPLE);
    let plain = datagrams(all.iter().copied());
    let certs = |out: &Recorder| {
        out.rows
            .iter()
            .filter(|r| r.starts_with("x509"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(!certs(&plain).is_empty());
    // Swap neighbours that come from the server, one pair at a time.
    for i in 0..all.len() - 1 {
        if all[i].0 || all[i + 1].0 {
            continue;
        }
        let mut swapped = all.clone();
        swapped.swap(i, i + 1);
        let out = datagrams(swapped);
        assert!(out.lines.iter().all(|l| !l.starts_with("violation")), "{i}");
    }
    let twice = datagrams(all.iter().flat_map(|m| [*m, *m]));
    assert_eq!(certs(&twice), certs(&plain));
}

/// A datagram with one whole message as datagrams with a fragment each, of at most `size` bytes; all in records of the
/// same number, which says nothing.
fn fragments(whole: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (head, body) = whole.split_at(25);
    let parts = body.chunks(size).enumerate();
    parts
        .map(|(i, part)| {
            let mut f = [head, part].concat();
            f[11..13].copy_from_slice(&(12 + part.len() as u16).to_be_bytes());
            f[19..22].copy_from_slice(&((i * size) as u32).to_be_bytes()[1..]);
            f[22..25].copy_from_slice(&(part.len() as u32).to_be_bytes()[1..]);
            f
        })
        .collect()
}

#[test]
fn fragments_of_a_hello_are_put_together_in_any_order() {
    let all = messages(SAMPLE);
    let plain = datagrams(all.iter().copied());
    const ORDERS: [fn(&mut Vec<Vec<u8>>); 4] = [
        |_| {},
        |f| f.reverse(),
        |f| f.rotate_left(1),
        // All but the first come twice.
        |f| {
            let again = f.clone();
            f.splice(1..1, again.into_iter().skip(1).rev());
        },
    ];
    for size in [2, 7, 40, 100] {
        for order in ORDERS {
            let mut pieces = fragments(all[2].1, size);
            order(&mut pieces);
            let hello = pieces.iter().map(|f| (true, f.as_slice()));
            let before = all[..2].iter().copied();
            let out = datagrams(before.chain(hello).chain(all[3..].iter().copied()));
            assert_eq!(ssl_row(&out), ssl_row(&plain), "{size}");
            assert!(out.lines.iter().all(|l| !l.starts_with("violation")));
        }
    }
}

/// A DTLS record in the clear with one whole handshake message.
fn dtls_message(number: u8, msg_type: u8, body: &[u8]) -> Vec<u8> {
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let message = [&[msg_type][..], length, &[0, number], &[0; 3], length, body].concat();
    let head = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, number];
    [&head[..], &(message.len() as u16).to_be_bytes(), &message].concat()
}

/// Hellos of DTLS 1.3 (RFC 9147), whose group is x25519 unless the server's is another; extension bodies are short.
fn dtls13_hellos(random: [u8; 32], server_share: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let extensions = |list: &[(u8, &[u8])]| {
        let each = list
            .iter()
            .map(|(code, v)| [&[0, *code, 0, v.len() as u8][..], v].concat());
        let all = each.collect::<Vec<_>>().concat();
        [&(all.len() as u16).to_be_bytes()[..], &all].concat()
    };
    let client = [
        &[0xfe, 0xfd][..],
        &[7; 32],
        // Neither session id nor cookie; one suite, no compression.
        &[0, 0, 0, 2, 0x13, 1, 1, 0],
        &extensions(&[
            (43, &[2, 0xfe, 0xfc]),
            (51, &[0, 6, 0, 29, 0, 2, 1, 2]),
            (54, &[2, 0xaa, 0xbb]),
        ]),
    ];
    let server = [
        &[0xfe, 0xfd][..],
        &random,
        &[0, 0x13, 1, 0],
        &extensions(&[(43, &[0xfe, 0xfc]), (51, server_share)]),
    ];
    (client.concat(), server.concat())
}

#[test]
fn dtls_1_3_is_read_to_its_first_records_under_encryption() {
    let (client, server) = dtls13_hellos([9; 32], &[0, 29, 0, 2, 3, 4]);
    let hellos = [
        (true, dtls_message(0, 1, &client)),
        (false, dtls_message(0, 2, &server)),
    ];
    // Sequence number of two bytes and a length; one byte and none; and a connection id of unknown length.
    for unified in [
        &[0x2e, 1, 2, 0, 3, 9, 9, 9][..],
        &[0x22, 1, 9, 9, 9],
        &[0x36, 0xaa, 0xbb, 9],
    ] {
        let mut order = hellos.to_vec();
        order.extend([
            (false, unified.to_vec()),
            (true, unified.to_vec()),
            (true, unified.to_vec()),
        ]);
        let out = datagrams(order.iter().map(|(d, b)| (*d, b.as_slice())));
        assert_eq!(
            ssl_row(&out),
            "ssl version=DTLSv13 cipher=TLS_AES_128_GCM_SHA256 curve=x25519 resumed=false established=true ssl_history=Cs"
        );
        let count = |what: &str| out.lines.iter().filter(|l| l.contains(what)).count();
        assert_eq!((count("ssl_established"), count("ssl_encrypted_data")), (1, 3));
        assert_eq!(count("violation"), 0, "{:?}", out.lines);
    }
}

#[test]
fn a_retry_request_of_dtls_1_3_has_its_letter_and_the_last_group_counts() {
    const RETRY: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
        0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ];
    let (client, retry) = dtls13_hellos(RETRY, &[0, 24]);
    let (_, server) = dtls13_hellos([9; 32], &[0, 23, 0, 2, 3, 4]);
    let order = [
        (true, dtls_message(0, 1, &client)),
        (false, dtls_message(0, 2, &retry)),
        (true, dtls_message(1, 1, &client)),
        (false, dtls_message(1, 2, &server)),
    ];
    let out = datagrams(order.iter().map(|(d, b)| (*d, b.as_slice())));
    let row = ssl_row(&out);
    assert!(
        row.contains("curve=secp256r1") && row.ends_with("established=false ssl_history=CjCs"),
        "{row}"
    );
}

/// A hello's body with one extension, the connection id (RFC 9146), and what comes between random and extensions.
fn hello_with_id(middle: &[u8], id: &[u8]) -> Vec<u8> {
    let n = id.len() as u8;
    [
        &[0xfe, 0xfd][..],
        &[7; 32],
        middle,
        &[0, 5 + n, 0, 54, 0, 1 + n, n],
        id,
    ]
    .concat()
}

#[test]
fn records_with_connection_ids_are_read() {
    let client = hello_with_id(&[0, 0, 0, 2, 0xc0, 0x2b, 1, 0], b"client");
    let server = hello_with_id(&[0, 0xc0, 0x2b, 0], b"s");
    let changed = [20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1];
    let protected = |id: &[u8], length: u8| {
        let head = [25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1];
        [&head[..], id, &[0, length], &vec![9; length.into()]].concat()
    };
    // The id in a record is the one that its receiver asked for.
    let (to_server, to_client) = (protected(b"s", 3), protected(b"client", 4));
    let twice = [&to_server[..], &to_server].concat();
    let hellos = [
        (true, dtls_message(0, 1, &client)),
        (false, dtls_message(0, 2, &server)),
    ];
    for (known, lengths) in [(2, [4, 3, 3]), (0, [12, 23, 0])] {
        let mut all = hellos[..known].to_vec();
        for side in [true, false] {
            all.push((side, changed.to_vec()));
        }
        all.extend([(false, to_client.clone()), (true, twice.clone())]);
        let out = datagrams(all.iter().map(|(d, b)| (*d, b.as_slice())));
        let said: Vec<_> = out
            .lines
            .iter()
            .filter(|l| l.contains("ssl_encrypted_data"))
            .collect();
        let of = |n: &&u64| **n > 0;
        assert_eq!(said.len(), lengths.iter().filter(of).count());
        for (line, length) in said.iter().zip(lengths) {
            assert!(
                line.contains("\"content_type\":25") && line.contains(&format!("\"length\":{length}")),
                "{line}"
            );
        }
        assert!(
            out.lines.iter().all(|l| !l.starts_with("violation")),
            "{:?}",
            out.lines
        );
        assert!(ssl_row(&out).contains("established=true"), "{}", ssl_row(&out));
    }
}

#[test]
fn several_messages_of_a_dtls_record_are_read() {
    let (client, _) = dtls13_hellos([9; 32], &[0, 29]);
    let mut record = dtls_message(0, 1, &client);
    let second = dtls_message(1, 16, &[1, 2, 3]);
    record.extend(&second[13..]);
    let length = (record.len() - 13) as u16;
    record[11..13].copy_from_slice(&length.to_be_bytes());
    let out = datagrams([(true, record.as_slice())]);
    assert!(ssl_row(&out).ends_with("ssl_history=CG"), "{}", ssl_row(&out));
}

#[test]
fn datagrams_of_others_before_the_hello_count() {
    let shared = super::super::SharedTls::default();
    let hello = messages(SAMPLE)[0];
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[0; 20]].concat();
    for (bytes, strange) in [
        (hello.1, false),
        (&stun, false),
        (&[0x80; 12], false),
        (&[0x80; 13], true),
    ] {
        assert_eq!(Dtls::is_stranger(bytes), strange);
    }
    for (strangers, read) in [(0, true), (10, true), (11, false)] {
        let start = Start {
            strangers,
            ..Start::default()
        };
        let (mut dtls, mut out, c) = (
            Solo::new(<Dtls as Protocol>::new(&start, &shared)),
            Recorder::default(),
            ConnId::sample(443),
        );
        dtls.with(call(0, &c, &mut out), |a, ctx| a.datagram(true, hello.1, ctx));
        assert_eq!(dtls.holds(), read, "{strangers}");
        // One more than ten in a row ends it.
        dtls.with(call(0, &c, &mut out), |a, ctx| a.datagram(true, &[0x80; 40], ctx));
        let over = dtls.interest(true) == Interest::Nothing;
        assert_eq!(over, !read || strangers == 10);
    }
}

#[test]
fn a_fragment_of_too_long_a_message_is_refused() {
    let mut fragment = dtls_message(1, 11, &[0; 8]);
    // The message's length.
    fragment[14..17].copy_from_slice(&[1, 0x86, 0xa1]);
    let out = datagrams([(false, fragment.as_slice())]);
    let reason = "violation DTLS DTLS record length 100001 larger than allowed maximum.";
    assert_eq!(out.lines, [reason]);
}
