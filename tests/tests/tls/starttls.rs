//! TLS that begins in mid-stream: s_client's STARTTLS dialogues, with a server that knows its lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sensor_tests::openssl::{self, Ciphers, Report, Then};
use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time};

use super::{check, rows};

/// A protocol as s_client calls it, its port, and what the server says: first, and then for each text that it waits
/// for.
struct Dialogue {
    name: &'static str,
    port: u16,
    greeting: &'static [u8],
    steps: &'static [(&'static [u8], &'static [u8])],
}

const DIALOGUES: &[Dialogue] = &[
    Dialogue {
        name: "smtp",
        port: 25,
        greeting: b"220 mail.example ESMTP\r\n",
        steps: &[
            (b"\r\n", b"250-mail.example\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"),
            (b"STARTTLS\r\n", b"220 Go ahead\r\n"),
        ],
    },
    Dialogue {
        name: "pop3",
        port: 110,
        greeting: b"+OK ready\r\n",
        steps: &[(b"STLS\r\n", b"+OK begin\r\n")],
    },
    Dialogue {
        name: "imap",
        port: 143,
        greeting: b"* OK IMAP4rev1 ready\r\n",
        steps: &[
            (
                b"CAPABILITY\r\n",
                b"* CAPABILITY IMAP4rev1 STARTTLS\r\n. OK done\r\n",
            ),
            (b"STARTTLS\r\n", b". OK begin\r\n"),
        ],
    },
    Dialogue {
        name: "ftp",
        port: 21,
        greeting: b"220 ftp.example ready\r\n",
        steps: &[(b"AUTH TLS\r\n", b"234 AUTH TLS OK\r\n")],
    },
    Dialogue {
        name: "xmpp",
        port: 5222,
        greeting: b"",
        steps: &[
            (
                b"version='1.0'>",
                b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams' version='1.0'><stream:features>\
                  <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls></stream:features>",
            ),
            (b"/>", b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        ],
    },
    Dialogue {
        name: "postgres",
        port: 5432,
        greeting: b"",
        // SSLRequest.
        steps: &[(&[0, 0, 0, 8, 4, 210, 22, 47], b"S")],
    },
    Dialogue {
        name: "ldap",
        port: 389,
        greeting: b"",
        // An extended request for StartTLS; success (RFC 4511 section 4.14).
        steps: &[(
            b"1.3.6.1.4.1.1466.20037",
            &[0x30, 12, 2, 1, 1, 0x78, 7, 10, 1, 0, 4, 0, 4, 0],
        )],
    },
    Dialogue {
        name: "nntp",
        port: 119,
        greeting: b"200 news.example ready\r\n",
        steps: &[
            (b"CAPABILITIES\r\n", b"101 list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"),
            (b"STARTTLS\r\n", b"382 continue\r\n"),
        ],
    },
];

/// Says the server's part, then sends one line back through TLS, turned around.
fn serve(mut stream: TcpStream, dialogue: &Dialogue, config: Arc<ServerConfig>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(dialogue.greeting)?;
    for (until, answer) in dialogue.steps {
        let mut heard = Vec::new();
        while !heard.ends_with(until) {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            heard.push(byte[0]);
            ensure!(heard.len() < 4096, "the client does not say {until:?}");
        }
        stream.write_all(answer)?;
    }
    let mut io = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
    let mut line = String::new();
    io.read_line(&mut line)?;
    let turned: String = line.trim_end().chars().rev().collect();
    writeln!(io.get_mut(), "{turned}")?;
    io.get_mut().flush()?;
    // Until the client is done.
    let _ = io.read_to_end(&mut Vec::new());
    Ok(())
}

fn run_dialogue(lab: &Lab, dialogue: &Dialogue, config: &Arc<ServerConfig>) -> Result<Report> {
    let port = dialogue.port;
    let listener = lab
        .server
        .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))??;
    std::thread::scope(|s| {
        s.spawn(|| serve(listener.accept()?.0, dialogue, config.clone()));
        let args = ["-starttls", dialogue.name, "-servername", "starttls.example"];
        openssl::connect(
            &lab.client,
            (lab::server_ip(false), port),
            None,
            &args,
            Then::Talk,
        )
    })
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn tls_is_found_after_starttls() {
    let _turn = one_at_a_time();
    let made = rcgen::generate_simple_self_signed(vec!["starttls.example".into()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).expect("a sensor");
    let mut seen = Vec::new();
    for dialogue in DIALOGUES {
        let report = run_dialogue(&lab, dialogue, &config);
        seen.push((
            dialogue,
            report.unwrap_or_else(|e| panic!("{}: {e:#}", dialogue.name)),
        ));
    }
    let done = sensor.stop().unwrap();
    let (ssl, conns) = (done.log("ssl.log").unwrap(), done.conns().unwrap());
    let ciphers = Ciphers::new().unwrap();
    for (dialogue, report) in seen {
        let rows = rows(&ssl, dialogue.port);
        assert_eq!(rows.len(), 1, "rows for {}", dialogue.name);
        let cipher = ciphers
            .standard(report.cipher.as_deref().unwrap_or(""))
            .expect("a suite");
        check(
            rows[0],
            dialogue.name,
            &[
                ("version", "TLSv13".into()),
                ("cipher", cipher.into()),
                ("server_name", "starttls.example".into()),
                ("established", true.into()),
            ],
        );
        assert_eq!(report.version.as_deref(), Some("TLSv1.3"));
        let conn = super::rows(&conns, dialogue.port)[0];
        let services = conn["service"]
            .as_str()
            .unwrap_or("")
            .split(',')
            .collect::<Vec<_>>();
        assert!(services.contains(&"ssl"), "{services:?} of {}", dialogue.name);
        if ["smtp", "ftp"].contains(&dialogue.name) {
            assert!(services.contains(&dialogue.name), "{services:?}");
        }
    }
}
