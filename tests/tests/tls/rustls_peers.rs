//! rustls on both sides.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, Stream, SupportedProtocolVersion,
};
use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{check, rows};

const NAME: &str = "rustls.example";
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate with its key.
struct Identity {
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new(name: &str) -> Result<Identity> {
        let made = rcgen::generate_simple_self_signed(vec![name.into()])?;
        Ok(Identity {
            cert: made.cert.der().clone(),
            key: PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
        })
    }

    fn trusted(&self) -> Result<Arc<RootCertStore>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.cert.clone())?;
        Ok(Arc::new(roots))
    }
}

/// What is special about a pair of peers.
struct Case {
    version: &'static SupportedProtocolVersion,
    /// Groups of the server and of the client; empty for the library's own choice.
    groups: [&'static [&'static dyn SupportedKxGroup]; 2],
    /// Protocols offered by the server and by the client.
    alpn: [&'static [&'static str]; 2],
    client_cert: bool,
    early_data: bool,
    connections: usize,
}

const PLAIN: Case = Case {
    version: &rustls::version::TLS13,
    groups: [&[], &[]],
    alpn: [&[], &[]],
    client_cert: false,
    early_data: false,
    connections: 1,
};

const CASES: &[Case] = &[
    Case {
        connections: 2,
        ..PLAIN
    },
    Case {
        version: &rustls::version::TLS12,
        connections: 2,
        alpn: [&["h2", "http/1.1"], &["http/1.1"]],
        ..PLAIN
    },
    Case {
        alpn: [&["h2"], &["h2", "http/1.1"]],
        groups: [&[kx_group::SECP256R1], &[kx_group::SECP256R1]],
        ..PLAIN
    },
    Case {
        groups: [&[kx_group::SECP384R1], &[kx_group::X25519, kx_group::SECP384R1]],
        ..PLAIN
    },
    Case {
        version: &rustls::version::TLS12,
        groups: [&[kx_group::SECP384R1], &[]],
        client_cert: true,
        ..PLAIN
    },
    Case {
        client_cert: true,
        ..PLAIN
    },
    Case {
        early_data: true,
        connections: 2,
        ..PLAIN
    },
];

fn provider(groups: &[&'static dyn SupportedKxGroup]) -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    if !groups.is_empty() {
        provider.kx_groups = groups.to_vec();
    }
    Arc::new(provider)
}

fn names(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|n| n.as_bytes().to_vec()).collect()
}

/// Both configurations of a case.
fn configure(
    case: &Case,
    server: &Identity,
    client: &Identity,
) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>)> {
    let p = provider(case.groups[0]);
    let builder = ServerConfig::builder_with_provider(p.clone()).with_protocol_versions(&[case.version])?;
    let builder = match case.client_cert {
        true => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(client.trusted()?, p).build()?,
        ),
        false => builder.with_no_client_auth(),
    };
    let mut s = builder.with_single_cert(vec![server.cert.clone()], server.key.clone_key())?;
    s.alpn_protocols = names(case.alpn[0]);
    if case.early_data {
        s.max_early_data_size = 4096;
    }
    let p = provider(case.groups[1]);
    let verifier = WebPkiServerVerifier::builder_with_provider(server.trusted()?, p.clone()).build()?;
    let builder = ClientConfig::builder_with_provider(p)
        .with_protocol_versions(&[case.version])?
        .with_webpki_verifier(verifier);
    let mut c = match case.client_cert {
        true => builder.with_client_auth_cert(vec![client.cert.clone()], client.key.clone_key())?,
        false => builder.with_no_client_auth(),
    };
    c.alpn_protocols = names(case.alpn[1]);
    c.enable_early_data = case.early_data;
    Ok((Arc::new(s), Arc::new(c)))
}

/// Sends back one message and the early data before it, until the client ends.
fn serve(mut stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = ServerConnection::new(config)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    if let Some(mut early) = tls.early_data() {
        let mut data = Vec::new();
        early.read_to_end(&mut data)?;
    }
    let mut io = Stream::new(&mut tls, &mut stream);
    let mut buf = [0; 4096];
    let n = io.read(&mut buf)?;
    io.write_all(&buf[..n])?;
    while matches!(io.read(&mut buf), Ok(n) if n > 0) {}
    tls.send_close_notify();
    tls.complete_io(&mut stream)?;
    Ok(())
}

/// What a client's connection says of itself.
struct Report {
    kind: HandshakeKind,
    version: ProtocolVersion,
    cipher: String,
    /// None where no keys were exchanged, as in a session of TLS 1.2 that is resumed.
    group: Option<String>,
    alpn: Option<String>,
    server_cert: Vec<u8>,
    early_data: bool,
}

fn connect(case: &Case, config: Arc<ClientConfig>, port: u16) -> Result<Report> {
    let mut stream = TcpStream::connect((lab::server_ip(false), port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = ClientConnection::new(config, ServerName::try_from(NAME)?)?;
    let mut early = false;
    if let (true, Some(mut data)) = (case.early_data, tls.early_data()) {
        data.write_all(b"early")?;
        early = true;
    }
    let mut io = Stream::new(&mut tls, &mut stream);
    io.write_all(b"a message")?;
    let mut buf = [0; 64];
    let n = io.read(&mut buf)?;
    ensure!(&buf[..n] == b"a message", "an odd answer");
    let report = Report {
        kind: tls.handshake_kind().context("no handshake")?,
        version: tls.protocol_version().context("no version")?,
        cipher: format!("{:?}", tls.negotiated_cipher_suite().context("no suite")?.suite()),
        group: tls
            .negotiated_key_exchange_group()
            .map(|g| format!("{:?}", g.name()).to_ascii_lowercase()),
        alpn: tls
            .alpn_protocol()
            .map(|p| String::from_utf8_lossy(p).into_owned()),
        server_cert: tls
            .peer_certificates()
            .and_then(|c| c.first())
            .map_or_else(Vec::new, |c| c.to_vec()),
        early_data: early && tls.is_early_data_accepted(),
    };
    tls.send_close_notify();
    tls.complete_io(&mut stream)?;
    stream.shutdown(Shutdown::Write)?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(report)
}

/// A server that takes so many connections, one after the other, and what the client says of them.
fn run_case(lab: &Lab, port: u16, case: &Case, server: &Identity, client: &Identity) -> Result<Vec<Report>> {
    let (s, c) = configure(case, server, client)?;
    let listener = lab
        .server
        .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))??;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..case.connections {
                let (stream, _) = listener.accept().expect("a client");
                serve(stream, s.clone()).expect("a session");
            }
        });
        let one = |_| lab.client.run(|| connect(case, c.clone(), port))?;
        (0..case.connections).map(one).collect()
    })
}

fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn ssl_log_says_what_rustls_says() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (server, client) = (
        Identity::new(NAME).unwrap(),
        Identity::new("client.example").unwrap(),
    );
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).expect("a sensor");
    const FIRST_PORT: u16 = 25_400;
    let mut seen = Vec::new();
    for (port, case) in (FIRST_PORT..).zip(CASES) {
        let reports = run_case(&lab, port, case, &server, &client);
        seen.push((
            port,
            case,
            reports.unwrap_or_else(|e| panic!("port {port}: {e:#}")),
        ));
    }
    let done = sensor.stop().unwrap();
    let ssl = done.log("ssl.log").unwrap();
    let conns = done.conns().unwrap();
    let (mut resumed, mut retried, mut early) = (0, 0, 0);
    for (port, case, reports) in &seen {
        let rows = rows(&ssl, *port);
        assert_eq!(rows.len(), reports.len(), "rows to port {port}");
        for (row, r) in rows.into_iter().zip(reports) {
            let is_13 = r.version == ProtocolVersion::TLSv1_3;
            let again = r.kind == HandshakeKind::Resumed;
            let fps = |shown: bool, der: &[u8]| match shown && !is_13 && !again {
                true => json!([fingerprint(der)]),
                false => Value::Null,
            };
            let client_fps = match case.client_cert {
                true => fps(true, &client.cert),
                false if !is_13 && !again => json!([]),
                false => Value::Null,
            };
            let clear = !is_13 && !again;
            check(
                row,
                &format!("port {port}, {:?}", r.kind),
                &[
                    ("version", if is_13 { "TLSv13" } else { "TLSv12" }.into()),
                    ("cipher", r.cipher.replace("TLS13_", "TLS_").into()),
                    ("curve", r.group.clone().into()),
                    ("server_name", NAME.into()),
                    ("resumed", again.into()),
                    ("established", true.into()),
                    ("next_protocol", r.alpn.clone().filter(|_| !is_13).into()),
                    ("cert_chain_fps", fps(true, &r.server_cert)),
                    ("client_cert_chain_fps", client_fps),
                    ("sni_matches_cert", if clear { true.into() } else { Value::Null }),
                    ("last_alert", Value::Null),
                ],
            );
            let history = row["ssl_history"].as_str().unwrap_or("");
            let retry = r.kind == HandshakeKind::FullWithHelloRetryRequest;
            assert_eq!(history.contains('j'), retry, "{history}");
            let conn = conns
                .iter()
                .find(|c| c["uid"] == row["uid"])
                .expect("its connection");
            check(
                conn,
                "",
                &[("service", "ssl".into()), ("conn_state", "SF".into())],
            );
            resumed += u32::from(again);
            retried += u32::from(retry);
            early += u32::from(r.early_data);
        }
    }
    assert_eq!(
        (resumed, retried, early),
        (3, 1, 1),
        "what the peers were to do, they did"
    );
}
