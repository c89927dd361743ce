//! Conversations of OpenSSL's s_client and s_server (3.0), recorded over loopback, against what they said of
//! themselves; and noise. A sample is a list of: direction (0 client), length (4 bytes, big endian), bytes.

use std::sync::Arc;

use proptest::prelude::*;

use super::Tls;
use crate::analyzer::api::{Call, Ctx, Interest, Out, Protocol, Solo, Spec};
use crate::event::log::{LogRow, Value};
use crate::event::{ConnId, Event, Subscriptions, Ts};
use crate::file::api::{Cx, IsLocal};
use crate::file::x509::Validator;
use crate::file::{self, Carrier, FileConfig, Files, News, Piece};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("samples/", $name, ".bin")).as_slice()
    };
}

mod damaged;
mod dtls;
mod offers;

use dtls::datagrams;

const STREAMS: &[&[u8]] = &[
    sample!("tls10"),
    sample!("tls11"),
    sample!("tls12-ecdhe"),
    sample!("tls12-dhe"),
    sample!("tls12-rsa"),
    sample!("tls12-psk"),
    sample!("tls12-client-cert"),
    sample!("tls12-ticket"),
    sample!("tls12-session-id"),
    sample!("tls12-alert"),
    sample!("tls13"),
    sample!("tls13-psk"),
    sample!("tls13-hrr"),
];

/// Everything that came out, one line each.
#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
    rows: Vec<String>,
    files: Option<Files>,
    ts: Ts,
}

impl Out for Recorder {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        crate::event::seen::note(ev);
        let mut line = Vec::new();
        ev.write_json(ts, &mut line);
        self.lines.push(String::from_utf8(line).unwrap());
    }
    fn log(&mut self, row: &dyn LogRow) {
        crate::catalog::held::hold(row);
        let mut values = Vec::new();
        row.values(&mut values);
        assert_eq!(values.len(), row.columns().len());
        let columns = row.columns().iter().zip(&values).skip(1);
        // Times and addresses are not of interest here, nor what is unset.
        let shown =
            columns.filter(|(c, v)| !c.name.starts_with("id.") && c.name != "uid" && **v != Value::Unset);
        let shown: Vec<_> = shown.map(|(c, v)| format!("{}={}", c.name, show(v))).collect();
        self.rows.push(format!("{} {}", row.path(), shown.join(" ")));
    }
    fn confirm(&mut self, spec: &'static Spec, _: u64) {
        self.lines.push(format!("confirm {}", spec.tag.short()));
    }
    fn violation(&mut self, spec: &'static Spec, _: u64, reason: &str) {
        self.lines
            .push(format!("violation {} {reason}", spec.tag.short()));
    }
    fn weird(&mut self, name: &'static str, addl: &str) {
        self.lines.push(format!("weird {name} {addl}"));
    }
    fn gave_up(&mut self) {
        self.lines.push("gave up".into());
    }
    fn file(&mut self, carrier: &Carrier<'_>, piece: Piece<'_>) -> News {
        let cfg = FileConfig::default();
        let mut files = self.files.take().unwrap_or_else(|| Files::new(cfg, 0));
        let is_local: IsLocal = Arc::new(|_| false);
        let mut cx = Cx {
            ts: self.ts,
            subs: &Subscriptions::ALL,
            is_local: &is_local,
            magic: None,
            out: self,
        };
        let news = files.piece(carrier, piece, &mut cx);
        self.files = Some(files);
        news
    }
}

impl file::api::Out for Recorder {
    fn event(&mut self, ts: Ts, ev: &dyn Event) {
        Out::event(self, ts, ev);
    }
    fn log(&mut self, row: &dyn LogRow) {
        Out::log(self, row);
    }
    fn weird(&mut self, _: Ts, name: &'static str, fuid: &str, addl: &str) {
        self.lines.push(format!("file weird {name} {fuid} {addl}"));
    }
}

fn show(v: &Value<'_>) -> String {
    match v {
        Value::Str(s) => s.to_string(),
        Value::Wire(s) => s.escape_ascii().to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Count(n) | Value::Time(n) => n.to_string(),
        Value::Addr(a) => a.to_string(),
        Value::List(l) => format!("[{}]", l.iter().map(show).collect::<Vec<_>>().join(",")),
        other => format!("{other:?}"),
    }
}

fn messages(mut sample: &[u8]) -> Vec<(bool, &[u8])> {
    let mut out = Vec::new();
    while let [dir, a, b, c, d, rest @ ..] = sample {
        let (bytes, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        out.push((*dir == 0, bytes));
        sample = rest;
    }
    out
}

struct Run {
    tls: Solo<Tls>,
    out: Recorder,
    subs: Subscriptions,
}

impl Run {
    fn new(subs: Subscriptions) -> Run {
        Run {
            tls: Solo::new(Tls::new()),
            out: Recorder::default(),
            subs,
        }
    }

    fn called<T>(&mut self, f: impl FnOnce(&mut Solo<Tls>, Call<'_>) -> T) -> T {
        let c = ConnId::sample(443);
        let call = Call {
            ts: 7_000_000_000,
            c: &c,
            subs: &self.subs,
            out: &mut self.out,
        };
        f(&mut self.tls, call)
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Tls, &mut Ctx<'_>) -> T) -> T {
        self.called(|tls, call| tls.with(call, f))
    }

    fn data(&mut self, is_orig: bool, bytes: &[u8]) {
        self.with(|tls, ctx| tls.data(is_orig, bytes, ctx));
    }

    fn end(&mut self) {
        self.called(Solo::close);
    }
}

/// A whole stream, each message cut after `piece` bytes again and again.
fn stream(sample: &[u8], piece: usize) -> Recorder {
    let mut run = Run::new(Subscriptions::ALL);
    for (is_orig, bytes) in messages(sample) {
        bytes.chunks(piece).for_each(|b| run.data(is_orig, b));
    }
    run.end();
    run.out
}

fn ssl_row(out: &Recorder) -> &str {
    let rows: Vec<_> = out.rows.iter().filter(|r| r.starts_with("ssl ")).collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0]
}

/// The row without its fingerprints, which change when the samples are made anew.
fn row_of(sample: &[u8]) -> String {
    let out = stream(sample, usize::MAX);
    let fields = ssl_row(&out).split(' ').skip(1);
    fields
        .filter(|f| !f.contains("_fps="))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn rows_say_what_openssl_said() {
    const ECDHE: &str = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
    assert_eq!(
        row_of(sample!("tls10")),
        "version=TLSv10 cipher=TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA curve=x25519 resumed=false established=true ssl_history=CsxknGIti"
    );
    assert_eq!(
        row_of(sample!("tls12-ecdhe")),
        format!(
            "version=TLSv12 cipher={ECDHE} curve=x25519 server_name=www.example.org resumed=false next_protocol=h2 established=true ssl_history=CsxknGIti sni_matches_cert=true"
        )
    );
    assert_eq!(
        row_of(sample!("tls12-dhe")),
        "version=TLSv12 cipher=TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 server_name=other.example.com resumed=false established=true ssl_history=CsxknGIti sni_matches_cert=false"
    );
    assert_eq!(
        row_of(sample!("tls12-session-id")),
        format!("version=TLSv12 cipher={ECDHE} resumed=true established=true ssl_history=CsiI")
    );
    assert_eq!(
        row_of(sample!("tls12-alert")),
        "resumed=false last_alert=handshake_failure established=false ssl_history=Cl"
    );
    assert_eq!(
        row_of(sample!("tls13")),
        "version=TLSv13 cipher=TLS_AES_256_GCM_SHA384 curve=x25519 server_name=example.org resumed=false established=true ssl_history=CsiI"
    );
    assert_eq!(
        row_of(sample!("tls13-hrr")),
        "version=TLSv13 cipher=TLS_AES_256_GCM_SHA384 curve=secp384r1 resumed=false established=true ssl_history=CjiICs"
    );
}

#[test]
fn names_keep_their_bytes() {
    let mut sample = sample!("tls12-ecdhe").to_vec();
    let replace = |sample: &mut Vec<u8>, old: &[u8], new: &[u8]| {
        while let Some(at) = sample.windows(old.len()).position(|w| w == old) {
            sample.splice(at..at + old.len(), new.iter().copied());
        }
    };
    replace(&mut sample, b"www.example.org", b"w\n\t.\xffxample\0org");
    replace(&mut sample, b"\x02h2", b"\x02\n2");
    let row = row_of(&sample);
    for column in [r"server_name=w\n\t.\xffxample\x00org ", r"next_protocol=\n2 "] {
        assert!(row.contains(column), "{row} lacks {column}");
    }
}

#[test]
fn resumption_is_told_by_ticket_session_id_and_psk() {
    for resumed in [
        sample!("tls12-ticket"),
        sample!("tls12-session-id"),
        sample!("tls13-psk"),
    ] {
        assert!(
            row_of(resumed).contains("resumed=true established=true"),
            "{}",
            row_of(resumed)
        );
    }
}

#[test]
fn both_chains_are_in_the_row_and_in_x509_log() {
    let out = stream(sample!("tls12-client-cert"), usize::MAX);
    let certs: Vec<_> = out.rows.iter().filter(|r| r.starts_with("x509 ")).collect();
    // Leaf and authority of each side; the authority in each role is a row of its own.
    assert_eq!(certs.len(), 4, "{certs:#?}");
    assert!(
        certs[0].contains("certificate.curve=secp384r1") && certs[0].contains("certificate.key_length=384")
    );
    assert!(
        certs[0].contains("san.dns=[ec.example.org]")
            && certs[0].ends_with("host_cert=true client_cert=false")
    );
    assert!(certs[1].contains("basic_constraints.ca=true basic_constraints.path_len=1 host_cert=false"));
    assert!(certs[2].contains("certificate.key_alg=ED25519") && certs[2].ends_with("client_cert=true"));
    let row = ssl_row(&out);
    assert!(row.contains("ssl_history=CsxkrnXGYIti"), "{row}");
    for (column, cert) in [
        ("cert_chain_fps=[", certs[0]),
        ("client_cert_chain_fps=[", certs[2]),
    ] {
        let fp = cert
            .split("fingerprint=")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        assert!(row.contains(&format!(" {column}{fp},")), "{row}");
    }
}

/// A certificate handshake message, in a record, that holds `der` alone.
fn certificate_record(der: &[u8]) -> Vec<u8> {
    let n = |extra: usize| ((der.len() + extra) as u32).to_be_bytes();
    let (record, message, list, cert) = (n(10), n(6), n(3), n(0));
    let mut out = vec![22, 3, 3];
    out.extend(&record[2..]);
    out.push(11);
    [message, list, cert].iter().for_each(|l| out.extend(&l[1..]));
    out.extend(der);
    out
}

/// A handshake message in a record.
fn message_record(msg_type: u8, body: &[u8]) -> Vec<u8> {
    let (record, message) = (
        (body.len() as u16 + 4).to_be_bytes(),
        (body.len() as u32).to_be_bytes(),
    );
    [&[22, 3, 3][..], &record, &[msg_type], &message[1..], body].concat()
}

#[test]
fn raw_public_keys_are_no_certificates() {
    // Client's and server's certificate types in the ServerHello; the Certificate messages of both; and whether that
    // is a violation.
    let key = |n: u8| [&[0, 0, n][..], &vec![0x30; n.into()]].concat();
    let certificate = [0, 0, 0];
    for (types, client, server, wrong) in [
        (Some([2, 2]), key(91), key(91), false),
        (Some([0, 2]), certificate.to_vec(), key(44), false),
        (Some([2, 0]), key(44), certificate.to_vec(), false),
        (Some([0, 1]), certificate.to_vec(), vec![3, 0, 20, 9], false),
        (Some([0, 2]), certificate.to_vec(), vec![0, 0, 9, 1], true),
        (Some([0, 0]), certificate.to_vec(), key(91), true),
        (None, certificate.to_vec(), key(91), true),
    ] {
        let extensions = types.map_or(vec![], |[c, s]| vec![0, 10, 0, 19, 0, 1, c, 0, 20, 0, 1, s]);
        let hello = [&[3, 3][..], &[9; 32], &[0, 0xc0, 0x2b, 0], &extensions].concat();
        let mut run = Run::new(Subscriptions::ALL);
        run.data(false, &message_record(2, &hello));
        run.data(false, &message_record(11, &server));
        run.data(true, &message_record(11, &client));
        let violated = run.out.lines.iter().any(|l| l.starts_with("violation"));
        assert_eq!(violated, wrong, "{types:?} {:?}", run.out.lines);
        assert!(run.out.rows.iter().all(|r| !r.starts_with("x509")));
        assert!(run.out.lines.iter().all(|l| !l.contains("\"file_")));
        run.end();
        let history = if wrong { "s" } else { "sxX" };
        assert!(
            ssl_row(&run.out).contains(&format!("ssl_history={history}")),
            "{}",
            ssl_row(&run.out)
        );
    }
}

#[test]
fn a_weird_of_a_certificate_is_one_of_its_file() {
    let mut lines = Vec::new();
    // A certificate that is none, and one of which the alternative names cannot be read.
    let mut unreadable = include_bytes!("../../file/x509/sample.der").to_vec();
    let at = unreadable.windows(4).position(|w| w == b"\x82\x0d*.").unwrap();
    unreadable[at + 1] = 0x7d;
    for der in [&b"none"[..], &unreadable] {
        let mut run = Run::new(Subscriptions::ALL);
        run.data(false, &certificate_record(der));
        let new = run.out.lines.iter().position(|l| l.contains("\"file_sniff\""));
        let gone = run
            .out
            .lines
            .iter()
            .position(|l| l.contains("\"file_state_remove\""));
        let between = &run.out.lines[new.unwrap() + 1..gone.unwrap()];
        lines.extend(between.iter().filter(|l| !l.contains("\"event\"")).cloned());
    }
    let [none, unreadable] = &lines[..] else {
        panic!("{lines:#?}")
    };
    assert!(none.starts_with("file weird x509_cert_parse_error F"), "{none}");
    assert!(
        unreadable.starts_with("file weird x509_san_parse_error F"),
        "{unreadable}"
    );
}

#[test]
fn a_certificate_is_logged_once_for_all_connections() {
    let mut files = None;
    let mut logged = Vec::new();
    for _ in 0..2 {
        let mut run = Run::new(Subscriptions::NONE);
        run.out.files = files;
        for (is_orig, bytes) in messages(sample!("tls12-rsa")) {
            run.data(is_orig, bytes);
        }
        logged.push(run.out.rows.iter().filter(|r| r.starts_with("x509")).count());
        assert!(ssl_row(&run.out).contains("established=true"));
        files = run.out.files;
    }
    assert_eq!(logged, [2, 0]);
}

#[test]
fn events_come_in_zeeks_order() {
    let out = stream(sample!("tls12-ecdhe"), usize::MAX);
    let names = out.lines.iter().map(|l| match l.strip_prefix("{\"event\":\"") {
        Some(l) => l.split('"').next().unwrap(),
        None => l,
    });
    let mut names: Vec<_> = names.filter(|n| !n.starts_with("ssl_extension")).collect();
    names.dedup();
    let file = [
        "file_new",
        "file_over_new_connection",
        "file_sniff",
        "file_state_remove",
    ];
    let mut want = vec![
        "confirm SSL",
        "ssl_client_hello",
        "ssl_handshake_message",
        "ssl_server_hello",
    ];
    want.push("ssl_handshake_message");
    want.extend(file);
    want.extend(file);
    want.extend([
        "ssl_handshake_message",
        "ssl_server_curve",
        "ssl_handshake_message",
    ]);
    want.extend([
        "ssl_change_cipher_spec",
        "ssl_encrypted_data",
        "ssl_session_ticket_handshake",
    ]);
    want.extend([
        "ssl_handshake_message",
        "ssl_change_cipher_spec",
        "ssl_established",
        "ssl_encrypted_data",
    ]);
    assert_eq!(names, want);
}

#[test]
fn splitting_the_stream_changes_nothing() {
    for sample in STREAMS {
        let whole = stream(sample, usize::MAX);
        for piece in [1, 2, 3, 4, 5, 7, 11, 100] {
            let split = stream(sample, piece);
            assert_eq!(split.lines, whole.lines);
            assert_eq!(split.rows, whole.rows);
        }
    }
}

#[test]
fn nothing_more_is_wanted_once_established_unless_somebody_asks_for_encrypted_data() {
    for (subs, wanted) in [
        (Subscriptions::NONE, Interest::Nothing),
        (
            Subscriptions::NONE.with(super::events::SslEncryptedData::KIND),
            Interest::Marks,
        ),
    ] {
        for sample in [sample!("tls12-rsa"), sample!("tls13")] {
            let mut run = Run::new(subs);
            for (is_orig, bytes) in messages(sample) {
                assert_ne!(
                    (run.tls.interest(is_orig), wanted),
                    (Interest::Nothing, Interest::Marks)
                );
                run.data(is_orig, bytes);
            }
            assert_eq!([true, false].map(|d| run.tls.interest(d)), [wanted; 2]);
        }
    }
}

#[test]
fn roles_the_wrong_way_round_are_seen() {
    let mut run = Run::new(Subscriptions::ALL);
    for (is_client, bytes) in messages(sample!("tls12-rsa")) {
        run.data(!is_client, bytes);
    }
    assert!(
        ssl_row(&run.out).contains("ssl_history=^CsxnGIti"),
        "{}",
        ssl_row(&run.out)
    );
    let hello = run
        .out
        .lines
        .iter()
        .find(|l| l.contains("ssl_handshake_message"))
        .unwrap();
    assert!(hello.contains("\"is_orig\":true"));
}

#[test]
fn flipping_the_connection_keeps_the_client() {
    let mut run = Run::new(Subscriptions::ALL);
    for (i, (is_client, bytes)) in messages(sample!("tls12-rsa")).into_iter().enumerate() {
        if i == 1 {
            run.tls.analyzer.flip();
        }
        run.data(is_client != (i >= 1), bytes);
    }
    assert!(
        ssl_row(&run.out).contains("established=true ssl_history=CsxnGIti"),
        "{}",
        ssl_row(&run.out)
    );
}

#[test]
fn a_gap_ends_the_analysis_and_the_row_is_still_written() {
    let all = messages(sample!("tls12-rsa"));
    let mut run = Run::new(Subscriptions::ALL);
    run.data(all[0].0, all[0].1);
    run.with(|tls, ctx| tls.gap(false, 100, ctx));
    let events = run.out.lines.len();
    run.data(all[1].0, all[1].1);
    assert_eq!(run.out.lines.len(), events);
    assert_eq!(run.tls.interest(true), Interest::Nothing);
    run.end();
    assert!(ssl_row(&run.out).ends_with("established=false ssl_history=C"));
}

#[test]
fn other_protocols_are_violations_with_zeeks_words() {
    for (bytes, reason) in [
        (
            &b"SSH-2.0-x"[..],
            "Invalid version in TLS connection. Version: 21320",
        ),
        (
            &[0x16, 3, 1, 0, 0, 0x16, 0, 0, 0, 0],
            "Invalid version late in TLS connection. Packet reported version: 0",
        ),
        (
            &[0x40, 3, 1, 0, 0],
            "Invalid type in TLS connection. Version: 769, Type: 64",
        ),
        (
            &[25, 3, 1, 0, 1, 0],
            "unknown SSL record type (25) from originator",
        ),
        (
            &[0x80, 1, 9, 8, 7],
            "Invalid headers in SSL connection. Head1: 1, head2: 9, head3: 8",
        ),
        (
            &[22, 3, 3, 0, 4, 99, 0, 0, 0],
            "unknown handshake message (99) from originator",
        ),
        (
            &[22, 3, 3, 0, 7, 11, 0, 0, 3, 0, 0, 9],
            "Binpac exception: binpac exception: out_of_bound: Certificate: 12 > 3",
        ),
    ] {
        let mut run = Run::new(Subscriptions::ALL);
        run.data(true, bytes);
        let want = format!("violation SSL {reason}");
        assert!(run.out.lines.contains(&want), "{want}: {:?}", run.out.lines);
    }
}

#[test]
fn bounds_hold() {
    // A ClientHello that claims 64 KiB and one byte.
    let mut run = Run::new(Subscriptions::ALL);
    run.data(true, &[22, 3, 1, 0, 4, 1, 1, 0, 1]);
    assert_eq!(run.out.lines, ["weird tls_handshake_message_too_long 65537"]);
    assert_eq!(run.tls.interest(true), Interest::Nothing);
    // Seventeen certificates.
    let body = [[0, 0, 1, 0x30]; 17].concat();
    let mut record = vec![
        22,
        3,
        1,
        0,
        (body.len() + 7) as u8,
        11,
        0,
        0,
        (body.len() + 3) as u8,
    ];
    record.extend([0, 0, body.len() as u8]);
    record.extend(body);
    let mut run = Run::new(Subscriptions::ALL);
    run.data(false, &record);
    assert_eq!(
        run.out.lines.iter().filter(|l| l.contains("file_new")).count(),
        super::MAX_CERTS
    );
    assert!(
        run.out
            .lines
            .contains(&"weird tls_too_many_certificates 17".to_owned())
    );
}

#[test]
fn bounds_are_the_settings() {
    let settings = super::TlsConfig {
        max_message: 40,
        max_certs: 1,
        ..super::TlsConfig::default()
    };
    let shared = super::TlsShared::new(settings);
    // A ClientHello of 41 bytes, and two empty certificates in eight times as many.
    let certs = [&[11, 0, 0, 11, 0, 0, 8][..], &[0, 0, 1, 0x30].repeat(2)].concat();
    for (message, weird) in [
        (vec![1, 0, 0, 41], "weird tls_handshake_message_too_long 41"),
        (vec![11, 0, 1, 65], "weird tls_handshake_message_too_long 321"),
        (certs, "weird tls_too_many_certificates 2"),
    ] {
        let mut run = Run::new(Subscriptions::ALL);
        run.tls = Solo::new(Tls::with(&shared));
        let mut record = vec![22, 3, 1, 0, message.len() as u8];
        record.extend(message);
        run.data(true, &record);
        assert!(run.out.lines.contains(&weird.to_owned()), "{:?}", run.out.lines);
        assert_eq!(run.tls.interest(true), Interest::Nothing);
    }
}

/// A ClientHello with one extension of this type and value; the events of it.
fn hello_with_extension(code: u16, value: &[u8]) -> Vec<String> {
    let mut body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    body.extend((value.len() as u16 + 4).to_be_bytes());
    body.extend(code.to_be_bytes());
    body.extend((value.len() as u16).to_be_bytes());
    body.extend(value);
    let mut record = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    record.extend(body);
    let mut run = Run::new(Subscriptions::ALL);
    run.data(true, &record);
    run.out.lines
}

#[test]
fn extensions_without_an_event_must_fit_their_lengths_too() {
    let timestamp = [&[0, 0x33, 0, 0x31, 0][..], &[1; 40], &[0, 0, 4, 3, 0, 2, 9, 9]].concat();
    let sound: [(u16, &[u8]); 4] = [
        (18, &timestamp),
        (41, &[0, 8, 0, 2, 5, 5, 0, 0, 0, 0, 0, 3, 2, 6, 6]),
        (54, &[2, 0xaa, 0xbb]),
        (51, &[0, 6, 0, 29, 0, 2, 1, 2]),
    ];
    for (code, value) in sound {
        let violations = |v: &[u8]| {
            let lines = hello_with_extension(code, v);
            lines.iter().filter(|l| l.starts_with("violation")).count()
        };
        assert_eq!(violations(value), 0, "{code}");
        for n in 1..value.len() {
            assert_eq!(violations(&value[..n]), 1, "{code} cut after {n}");
        }
    }
}

#[test]
fn sslv2_is_read_to_its_keys() {
    let mut run = Run::new(Subscriptions::ALL);
    let mut hello = vec![0x80, 9 + 3 + 16, 1, 0, 2, 0, 3, 0, 0, 0, 16, 7, 0, 0xc0];
    hello.extend([5; 16]);
    run.data(true, &hello);
    let mut server = vec![0x80, 11 + 3 + 4, 4, 0, 1, 0, 2, 0, 0, 0, 3, 0, 4, 7, 0, 0xc0];
    server.extend([9; 4]);
    run.data(false, &server);
    run.data(true, &[0x80, 10 + 1, 2, 7, 0, 0xc0, 0, 0, 0, 1, 0, 0, 0xee]);
    assert_eq!(
        ssl_row(&run.out),
        "ssl version=SSLv2 cipher=SSLv20_CK_DES_192_EDE3_CBC_WITH_MD5 resumed=false established=true ssl_history=Cs"
    );
}

#[test]
fn heartbeats_in_the_clear_are_shown() {
    let mut run = Run::new(Subscriptions::ALL);
    run.data(true, &[24, 3, 2, 0, 4, 1, 0x40, 0, 0xab]);
    let line = run.out.lines.last().unwrap();
    assert!(
        line.ends_with(
            r#""args":{"is_orig":true,"length":4,"heartbeat_type":1,"payload_length":16384,"payload":"ab"}}"#
        ),
        "{line}"
    );
}

/// All that can be asked for.
fn everything() -> super::SharedTls {
    static ONE: std::sync::OnceLock<super::SharedTls> = std::sync::OnceLock::new();
    let make = || {
        super::TlsShared::new(super::TlsConfig {
            extras: super::Extras {
                subjects: true,
                fingerprints: true,
                offers: true,
            },
            validator: Some(std::sync::Arc::new(Validator::with_public_roots())),
            ..super::TlsConfig::default()
        })
    };
    ONE.get_or_init(make).clone()
}

#[test]
fn columns_on_request_are_those_of_the_row() {
    let shared = everything();
    for sample in STREAMS {
        let mut run = Run::new(Subscriptions::NONE);
        run.tls = Solo::new(Tls::with(&shared));
        messages(sample).iter().for_each(|(d, b)| run.data(*d, b));
        run.end();
        let row = ssl_row(&run.out);
        assert!(row.contains(" ja3=") && row.contains(" ja4=t"), "{row}");
        let shown = row.contains(" cert_chain_fps=[");
        for column in [" subject=", " issuer=", " validation_status="] {
            assert_eq!(row.contains(column), shown, "{column} {row}");
        }
    }
}

proptest! {
    #[test]
    fn noise_does_no_harm(pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20)) {
        let mut run = Run::new(Subscriptions::ALL);
        for (is_orig, bytes) in &pieces {
            run.data(*is_orig, bytes);
        }
        run.end();
        datagrams(pieces.iter().map(|(d, b)| (*d, b.as_slice())));
    }

    /// Real conversations with bytes changed, cut at random: deeper states than noise reaches.
    #[test]
    fn damage_does_no_harm(
        which in 0..STREAMS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        piece in 1usize..2000,
    ) {
        let all = messages(STREAMS[which]);
        let mut bytes: Vec<u8> = all.iter().flat_map(|m| m.1).copied().collect();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut run = Run::new(Subscriptions::ALL);
        run.tls = Solo::new(Tls::with(&everything()));
        let mut rest = bytes.as_slice();
        for (is_orig, m) in all {
            let (head, tail) = rest.split_at(m.len());
            head.chunks(piece).for_each(|b| run.data(is_orig, b));
            rest = tail;
        }
        run.end();
    }

    #[test]
    fn damaged_datagrams_do_no_harm(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let all = messages(sample!("dtls12"));
        let mut owned: Vec<(bool, Vec<u8>)> = all.iter().map(|(d, b)| (*d, b.to_vec())).collect();
        for (at, value) in damage {
            let n = owned.len();
            let bytes = &mut owned[at.index(n)].1;
            let i = at.index(bytes.len().min(64));
            bytes[i] = value;
        }
        datagrams(owned.iter().map(|(d, b)| (*d, b.as_slice())));
    }

    /// Where a stream is cut makes no difference, noise or not.
    #[test]
    fn random_cuts_change_nothing(which in 0..STREAMS.len(), cuts in prop::collection::vec(1usize..400, 1..40)) {
        let whole = stream(STREAMS[which], usize::MAX);
        let mut run = Run::new(Subscriptions::ALL);
        let mut cuts = cuts.iter().cycle();
        for (is_orig, mut bytes) in messages(STREAMS[which]) {
            while !bytes.is_empty() {
                let n = (*cuts.next().unwrap()).min(bytes.len());
                run.data(is_orig, &bytes[..n]);
                bytes = &bytes[n..];
            }
        }
        run.end();
        prop_assert_eq!(run.out.lines, whole.lines);
        prop_assert_eq!(run.out.rows, whole.rows);
    }
}
