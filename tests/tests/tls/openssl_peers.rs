//! OpenSSL on both sides.

use sensor_tests::openssl::{self, Ciphers, Pki, Report, SERVER_NAME, Server, Then};
use sensor_tests::sensor::{TempDir, read_log};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time};
use serde_json::{Value, json};

use super::{check, rows};

/// Which certificate the server has; names of files in [`Pki`].
type Cert = Option<&'static str>;
const RSA: Cert = Some("rsa");
const EC: Cert = Some("ec");
const BIG: Cert = Some("big");

/// One server and its connections.
struct Case {
    cert: Cert,
    /// Options of both.
    both: &'static str,
    server: &'static str,
    /// Options of the client, for each connection. `=FILE` is a file of the test's own.
    clients: &'static [&'static str],
    then: Then,
    /// What must be in the histories.
    history: &'static str,
}

const fn talk(
    cert: Cert,
    both: &'static str,
    server: &'static str,
    clients: &'static [&'static str],
    history: &'static str,
) -> Case {
    Case {
        cert,
        both,
        server,
        clients,
        then: Then::Talk,
        history,
    }
}

const fn fail(cert: Cert, server: &'static str, clients: &'static [&'static str]) -> Case {
    Case {
        then: Then::Fail,
        ..talk(cert, "", server, clients, "C")
    }
}

/// What a full handshake before TLS 1.3 looks like.
const FULL: &str = "CsxknGIti";
/// Over datagrams the server has the client show that it is where it says.
const COOKIE: &str = "CvCsxknGIti";
const SAVE: &str = "-sess_out =session";
const USE: &str = "-sess_in =session";
const NAMED: &str = "-servername peer.example";

const CASES: &[Case] = &[
    // Versions.
    talk(RSA, "-tls1 -cipher ALL:@SECLEVEL=0", "", &[NAMED], FULL),
    talk(RSA, "-tls1_1 -cipher ALL:@SECLEVEL=0", "", &[""], FULL),
    talk(RSA, "-tls1_2", "", &[NAMED, "-servername other.example"], FULL),
    talk(RSA, "-tls1_3", "", &[NAMED], "Cs"),
    talk(EC, "", "-tls1_2", &[""], FULL),
    // Key exchanges and groups.
    talk(
        RSA,
        "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
        "-groups P-384",
        &[""],
        FULL,
    ),
    talk(
        EC,
        "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
        "-groups X448:P-256",
        &["-groups X448:X25519:P-256"],
        FULL,
    ),
    talk(
        EC,
        "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384",
        "-groups P-521:P-256",
        &[""],
        FULL,
    ),
    talk(RSA, "-tls1_2 -cipher DHE-RSA-AES256-GCM-SHA384", "", &[""], FULL),
    talk(RSA, "-tls1_2 -cipher AES128-SHA", "", &[""], "CsxnGIti"),
    talk(
        None,
        "-tls1_2 -cipher ADH-AES128-SHA:@SECLEVEL=0",
        "-nocert",
        &[""],
        "CsknGIti",
    ),
    talk(
        None,
        "-tls1_2 -cipher AECDH-AES256-SHA:@SECLEVEL=0",
        "-nocert",
        &[""],
        "CsknGIti",
    ),
    talk(
        EC,
        "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
        "",
        &["-groups P-256"],
        "Cs",
    ),
    talk(
        EC,
        "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256",
        "",
        &["-groups ffdhe2048"],
        "Cs",
    ),
    talk(EC, "-tls1_3", "-groups P-384", &["-groups X25519:P-384"], "Cj"),
    // Pre-shared keys.
    talk(
        None,
        "-tls1_2 -psk 0102030405 -cipher PSK-AES128-CBC-SHA256",
        "-nocert",
        &[""],
        "CsnGIti",
    ),
    talk(
        None,
        "-tls1_2 -psk 0102030405 -cipher DHE-PSK-AES128-GCM-SHA256",
        "-nocert -psk_hint x",
        &[""],
        "CsknGIti",
    ),
    talk(
        None,
        "-tls1_2 -psk 0102030405 -cipher ECDHE-PSK-AES128-CBC-SHA",
        "-nocert",
        &[""],
        "CsknGIti",
    ),
    talk(
        RSA,
        "-tls1_2 -psk 0102030405 -cipher RSA-PSK-AES128-GCM-SHA256",
        "-psk_hint hint",
        &[""],
        FULL,
    ),
    talk(None, "-tls1_3 -psk 0102030405", "-nocert", &[""], "Cs"),
    // A client's certificate.
    talk(
        RSA,
        "-tls1_2",
        "-Verify 3 -CAfile =ca.pem",
        &["-cert =client.pem -key =client.key"],
        "CsxkrnXGYI",
    ),
    talk(RSA, "-tls1_2", "-verify 3 -CAfile =ca.pem", &[""], "CsxkrnXGI"),
    talk(
        RSA,
        "-tls1_3",
        "-Verify 3 -CAfile =ca.pem",
        &["-cert =client.pem -key =client.key"],
        "Cs",
    ),
    // Extensions.
    talk(
        RSA,
        "-tls1_2",
        "-alpn http/1.1",
        &["-alpn h2,http/1.1", "-alpn http/1.1", ""],
        FULL,
    ),
    talk(RSA, "-tls1_3", "-alpn h2", &["-alpn h2,http/1.1"], "Cs"),
    talk(EC, "-tls1_2", "-status_file =ocsp.resp", &["-status", ""], "Csx"),
    // Resumption.
    talk(RSA, "-tls1_2", "", &[SAVE, USE], "Cs"),
    talk(RSA, "-tls1_2", "-no_ticket", &[SAVE, USE], "Cs"),
    talk(RSA, "-tls1_3", "", &[SAVE, USE], "Cs"),
    // A chain of several records.
    talk(BIG, "-tls1_2", "", &[""], FULL),
    Case {
        then: Then::Renegotiate,
        ..talk(RSA, "-tls1_2", "-client_renegotiation", &[""], FULL)
    },
    // Alerts.
    fail(RSA, "-tls1_3", &["-tls1_2"]),
    fail(EC, "-tls1_2", &["-cipher AES128-SHA"]),
    fail(
        RSA,
        "-tls1_2 -servername a.example -servername_fatal -cert2 =ec.pem -key2 =ec.key",
        &["-servername b.example"],
    ),
    fail(RSA, "-tls1_2", &["-CAfile =client.pem -verify_return_error"]),
    fail(RSA, "-tls1_2 -Verify 3 -CAfile =ca.pem", &[""]),
    // Datagrams.
    talk(RSA, "-dtls1 -cipher ALL:@SECLEVEL=0", "", &[NAMED], COOKIE),
    talk(RSA, "-dtls1_2", "", &[NAMED], COOKIE),
    talk(RSA, "-dtls1_2", "-listen", &[""], "CvC"),
    talk(EC, "-dtls1_2 -mtu 300", "", &[NAMED], COOKIE),
    talk(BIG, "-dtls1_2 -mtu 1400", "", &[""], COOKIE),
    talk(
        EC,
        "-dtls1_2",
        "-Verify 3 -CAfile =ca.pem",
        &["-cert =client.pem -key =client.key"],
        "CvCsxkrnXGYI",
    ),
    talk(
        None,
        "-dtls1_2 -psk 0102030405 -cipher PSK-AES128-CCM8",
        "-nocert",
        &[""],
        "CvCsnGIti",
    ),
];

/// Server ports count up from here.
const FIRST_PORT: u16 = 24_400;

/// What a connection was, as its peers said.
struct Seen {
    port: u16,
    case: &'static Case,
    client: &'static str,
    report: Report,
}

impl Seen {
    fn datagrams(&self) -> bool {
        self.case.both.contains("-dtls")
    }

    /// From TLS 1.3 on certificates and most extensions of the server are under encryption.
    fn is_tls13(&self) -> bool {
        self.report.version.as_deref() == Some("TLSv1.3")
    }

    /// The curve as ssl.log names it.
    fn curve(&self) -> Value {
        let mut words = self.report.temp_key.as_deref().unwrap_or("").split(", ");
        let name = match (words.next(), words.next()) {
            (Some("ECDH"), Some("prime256v1")) => "secp256r1",
            (Some("ECDH"), Some(name)) => name,
            (Some("X25519"), _) => "x25519",
            (Some("X448"), _) => "x448",
            (Some("DH"), Some("2048 bits")) if self.is_tls13() => "ffdhe2048",
            _ => return Value::Null,
        };
        name.into()
    }
}

/// A number of bytes that no record and no datagram holds.
const BIG_NAMES: usize = 1500;

/// Options out of a line; `=FILE` becomes a path.
fn options(line: &str, pki: &Pki) -> Vec<String> {
    let word = |w: &str| w.strip_prefix('=').map_or_else(|| w.to_owned(), |f| pki.file(f));
    line.split_whitespace().map(word).collect()
}

fn run_case(lab: &Lab, pki: &Pki, port: u16, case: &'static Case) -> anyhow::Result<Vec<Seen>> {
    let mut args = options(case.both, pki);
    if let Some(name) = case.cert {
        args.extend(options(
            &format!("-cert ={name}.pem -key ={name}.key -cert_chain =chain.pem"),
            pki,
        ));
    }
    args.extend(options(case.server, pki));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut server = Server::start(&lab.server, port, &args)?;
    let mut seen = Vec::new();
    for client in case.clients {
        let args = options(&format!("{} {client}", case.both), pki);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let at = (lab::server_ip(port % 2 == 1), port);
        let report = openssl::connect(&lab.client, at, Some(&mut server), &args, case.then)?;
        seen.push(Seen {
            port,
            case,
            client,
            report,
        });
    }
    Ok(seen)
}

/// Alerts by the names of the registry.
fn alert(number: u16) -> &'static str {
    match number {
        40 => "handshake_failure",
        48 => "unknown_ca",
        70 => "protocol_version",
        112 => "unrecognized_name",
        116 => "certificate_required",
        _ => "one that this test does not expect",
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn ssl_log_says_what_openssl_says() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let files = TempDir::new().unwrap();
    let pki = Pki::new(files.path()).expect("certificates");
    pki.issue_with_names("big", BIG_NAMES).expect("a big certificate");
    pki.ocsp_response("ec").expect("an OCSP response");
    let ciphers = Ciphers::new().unwrap();
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events.jsonl");
    let wanted = "ssl_established,ssl_stapled_ocsp,ssl_alert,ssl_session_ticket_handshake";
    let ca = pki.file("ca.pem");
    let options = [
        "--rx-only",
        "--events",
        events.to_str().unwrap(),
        "--event",
        wanted,
        "--tls-fingerprints",
        "--tls-subjects",
        "--validate-certs",
        "--ca-file",
        &ca,
    ];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    let mut seen = Vec::new();
    for (port, case) in (FIRST_PORT..).zip(CASES) {
        let done = run_case(&lab, &pki, port, case);
        seen.extend(done.unwrap_or_else(|e| panic!("{} | {}: {e:#}", case.both, case.server)));
    }
    let done = sensor.stop().unwrap();

    let ssl = done.log("ssl.log").unwrap();
    let conns = done.conns().unwrap();
    assert_eq!(ssl.len(), seen.len(), "a row for each connection");
    let mut known = std::collections::HashMap::new();
    let mut chain = |pems: &[String]| -> Value {
        let mut fp = |pem: &String| {
            let fp = known
                .entry(pem.clone())
                .or_insert_with(|| openssl::fingerprint(pem).unwrap());
            Value::from(fp.as_str())
        };
        pems.iter().map(&mut fp).collect()
    };
    for (port, case) in (FIRST_PORT..).zip(CASES) {
        let rows = rows(&ssl, port);
        let seen: Vec<_> = seen.iter().filter(|s| s.port == port).collect();
        assert_eq!(rows.len(), seen.len());
        for (row, s) in rows.into_iter().zip(seen) {
            let what = format!(
                "{} | {} | {}\n{}",
                case.both, case.server, s.client, s.report.text
            );
            let r = &s.report;
            if let Some(version) = &r.version {
                let version = version.replace("v1.", "v1");
                let version = if version.ends_with("v1") {
                    version + "0"
                } else {
                    version
                };
                // Zeek writes one word in another way.
                let cipher = ciphers.standard(r.cipher.as_deref().unwrap_or(""));
                let cipher = cipher.map(|c| c.replace("_anon_", "_ANON_"));
                check(
                    row,
                    &what,
                    &[("version", version.into()), ("cipher", cipher.into())],
                );
                check(row, &what, &[("curve", s.curve())]);
            }
            let clear = !s.is_tls13() && r.established;
            let fps = match clear && !r.resumed && !r.chain.is_empty() {
                true => chain(&r.chain),
                false => Value::Null,
            };
            let named = s.client.split_once("-servername ").map(|(_, name)| name);
            let own = |fps: &Value| named.filter(|_| !fps.is_null()).map(|n| n == SERVER_NAME);
            if case.then != Then::Fail {
                check(
                    row,
                    &what,
                    &[("sni_matches_cert", own(&fps).into()), ("cert_chain_fps", fps)],
                );
            }
            let client_cert = clear && s.client.contains("client.pem");
            let client_fps = match (clear && !r.chain.is_empty() && !r.resumed, client_cert) {
                (_, true) => chain(&[pki.read("client.pem").unwrap()]),
                (true, false) => json!([]),
                _ => Value::Null,
            };
            if case.then != Then::Fail {
                check(row, &what, &[("client_cert_chain_fps", client_fps)]);
            }
            check(
                row,
                &what,
                &[
                    ("server_name", named.into()),
                    ("resumed", r.resumed.into()),
                    ("established", r.established.into()),
                    ("next_protocol", r.alpn.clone().filter(|_| clear).into()),
                    ("last_alert", r.alert.map(alert).into()),
                ],
            );
            if case.then != Then::Fail {
                // The authority that signed all of them is the one that is trusted.
                let server = !row["cert_chain_fps"].is_null() && row["cert_chain_fps"] != json!([]);
                check(
                    row,
                    &what,
                    &[
                        ("validation_status", Some("ok").filter(|_| server).into()),
                        (
                            "issuer",
                            Some("CN=Testbed CA,O=Testbed").filter(|_| server).into(),
                        ),
                        (
                            "client_subject",
                            Some("CN=client.example,O=Peers\\, Inc.")
                                .filter(|_| client_cert)
                                .into(),
                        ),
                    ],
                );
                let ja4 = row["ja4"].as_str().unwrap_or("");
                assert!(ja4.starts_with(if s.datagrams() { 'd' } else { 't' }), "{ja4}");
                assert!(row["ja3"].is_string() && row["ja3s"].is_string(), "{row:#}");
            }
            let history = row["ssl_history"].as_str().unwrap_or("");
            assert!(history.starts_with(case.history), "{history} of {what}");
            let conn = conns
                .iter()
                .find(|c| c["uid"] == row["uid"])
                .expect("its connection");
            let service = if s.datagrams() { "dtls" } else { "ssl" };
            check(
                conn,
                &what,
                &[("service", service.into()), ("missed_bytes", 0.into())],
            );
        }
    }

    let resumed = ssl.iter().filter(|r| r["resumed"] == true).count();
    assert_eq!(resumed, 4, "three ways of resuming, and a key shared before");
    let events = read_log(&events).unwrap();
    let named = |name: &str| events.iter().filter(|e| e["event"] == name).collect::<Vec<_>>();
    let established = seen.iter().filter(|s| s.report.established).count();
    assert_eq!(named("ssl_established").len(), established);
    let response: String = std::fs::read(pki.file("ocsp.resp"))
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let stapled = named("ssl_stapled_ocsp");
    assert_eq!(stapled.len(), 1);
    assert_eq!(stapled[0]["args"]["response"], *response);
    x509_rows(&done.log("x509.log").unwrap(), &pki);
}

/// The certificates as `openssl x509` reads them.
fn x509_rows(log: &[Value], pki: &Pki) {
    for name in ["rsa", "ec", "big", "client", "ca"] {
        let pem = pki.read(&format!("{name}.pem")).unwrap();
        let fp = openssl::fingerprint(&pem).unwrap();
        let row = log
            .iter()
            .find(|r| r["fingerprint"] == *fp)
            .expect("a row of x509.log");
        let field = |option: &str| {
            let said = openssl::run(&["x509", "-noout", option, "-nameopt", "RFC2253"], &pem).unwrap();
            said.trim().split_once('=').unwrap().1.to_owned()
        };
        check(
            row,
            name,
            &[
                ("certificate.subject", field("-subject").into()),
                ("certificate.issuer", field("-issuer").into()),
                ("certificate.serial", field("-serial").into()),
                ("certificate.sig_alg", "ecdsa-with-SHA256".into()),
                ("host_cert", (name != "ca").into()),
                ("client_cert", (name == "client").into()),
            ],
        );
    }
}
