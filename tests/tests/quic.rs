//! QUIC between peers that are quinn, in namespaces: what quic.log, ssl.log and conn.log say against what the peers know.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, ConnectionStats, Endpoint, EndpointConfig, ServerConfig, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use sensor_tests::rows::check;
use sensor_tests::sensor::{Finished, TempDir};
use sensor_tests::{Lab, LabOptions, Sensor, events, lab, one_at_a_time};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

const NAME: &str = "quic.example";
const PATIENCE: Duration = Duration::from_secs(30);
const DRAFT_29: u32 = 0xff00_001d;
const V1: u32 = 1;

/// How a pair of peers goes about it.
#[derive(Clone, Copy)]
struct Case {
    v6: bool,
    port: u16,
    /// Versions of the server, and the client's.
    versions: (&'static [u32], u32),
    /// Whether the server first wants its token back.
    retries: bool,
    /// Connections, one after another; those after the first begin with early data if they may.
    connections: usize,
    /// Bytes that the server sends on each.
    size: usize,
    /// Whether the peers hide what tells their packets from others' (RFC 9287).
    greases: bool,
}

const PLAIN: Case = Case {
    v6: false,
    port: 443,
    versions: (&[V1], V1),
    retries: false,
    connections: 1,
    size: 100,
    greases: false,
};

impl Case {
    fn config(&self) -> EndpointConfig {
        let mut config = EndpointConfig::default();
        config.grease_quic_bit(self.greases);
        config
    }
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Configurations that trust each other.
fn configurations(version: u32) -> Result<(ServerConfig, ClientConfig)> {
    let made = rcgen::generate_simple_self_signed(vec![NAME.into()])?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let versions = &[&rustls::version::TLS13];
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    server.alpn_protocols = vec![b"hq-test".to_vec()];
    server.max_early_data_size = u32::MAX;
    let mut client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"hq-test".to_vec(), b"h3".to_vec()];
    client.enable_early_data = true;
    let mut transport = TransportConfig::default();
    // A frame is a packet, so that numbers can be compared.
    transport
        .enable_segmentation_offload(false)
        .mtu_discovery_config(None);
    let transport = Arc::new(transport);
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server)?));
    server.transport_config(transport.clone());
    let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?));
    client.transport_config(transport).version(version);
    Ok((server, client))
}

/// Answers a byte with `case.size` of them.
async fn serve(endpoint: &Endpoint, case: Case) -> Result<()> {
    while let Some(incoming) = endpoint.accept().await {
        if case.retries && !incoming.remote_address_validated() {
            incoming.retry()?;
            continue;
        }
        let Ok(connection) = incoming.await else { continue };
        let (mut send, mut recv) = connection.accept_bi().await?;
        recv.read_to_end(10).await?;
        send.write_all(&vec![7; case.size]).await?;
        send.finish()?;
        connection.closed().await;
    }
    Ok(())
}

/// One connection of the client's. Its own count of what went over the wire, and its port.
async fn fetch(
    config: ClientConfig,
    to: SocketAddr,
    early: bool,
    case: Case,
) -> Result<(ConnectionStats, u16)> {
    let any: SocketAddr = (lab::client_ip(case.v6), 0).into();
    let socket = std::net::UdpSocket::bind(any)?;
    let mut endpoint = Endpoint::new(case.config(), None, socket, Arc::new(quinn::TokioRuntime))?;
    endpoint.set_default_client_config(config);
    let port = endpoint.local_addr()?.port();
    let connecting = endpoint.connect(to, NAME)?;
    let connection = match early {
        true => connecting.into_0rtt().ok().context("no early data")?.0,
        false => match connecting.await {
            Ok(connection) => connection,
            // Nothing is known of a connection that never was.
            Err(_) => return Ok((ConnectionStats::default(), port)),
        },
    };
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(b"?").await?;
    send.finish()?;
    let came = recv.read_to_end(case.size + 1).await?;
    ensure!(came.len() == case.size);
    connection.close(VarInt::from_u32(0), b"done");
    endpoint.wait_idle().await;
    Ok((connection.stats(), port))
}

/// What a sensor said of connections, what their client knows of each, and the folder that the logs are in.
type Past = (Finished, Vec<(ConnectionStats, u16)>, TempDir);

/// All connections of a case past a sensor.
fn past(case: Case) -> Result<Past> {
    let lab = Lab::new(LabOptions::default())?;
    let logs = TempDir::new()?;
    let stream = logs.path().join("events");
    let at: SocketAddr = (lab::server_ip(case.v6), case.port).into();
    let (server, client) = configurations(case.versions.1)?;
    let options = [
        "--rx-only",
        "--tls-fingerprints",
        "--event",
        "QUIC::*,ssl_client_hello",
    ];
    let options = [&options[..], &["--events", stream.to_str().context("a path")?]].concat();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options)?;
    let (ready, is_ready) = channel();
    let (over, is_over) = tokio::sync::oneshot::channel::<()>();
    let stats = std::thread::scope(|s| -> Result<_> {
        let serving = s.spawn(|| {
            lab.server.run(|| -> Result<()> {
                runtime()?.block_on(async {
                    let mut config = case.config();
                    config.supported_versions(case.versions.0.to_vec());
                    let socket = std::net::UdpSocket::bind(at)?;
                    let endpoint =
                        Endpoint::new(config, Some(server), socket, Arc::new(quinn::TokioRuntime))?;
                    ready.send(())?;
                    tokio::select! {
                        served = serve(&endpoint, case) => served,
                        _ = is_over => Ok(()),
                    }
                })
            })?
        });
        is_ready.recv_timeout(PATIENCE)?;
        let stats = lab.client.run(|| -> Result<_> {
            runtime()?.block_on(async {
                let mut all = Vec::new();
                for n in 0..case.connections {
                    let one = fetch(client.clone(), at, n > 0, case);
                    all.push(tokio::time::timeout(PATIENCE, one).await??);
                }
                Ok(all)
            })
        })?;
        let _ = over.send(());
        serving.join().expect("the server")?;
        stats
    })?;
    lab.settle()?;
    let done = sensor.stop()?;
    events::note(&std::fs::read_to_string(stream)?);
    Ok((done, stats, logs))
}

/// The rows of a log that are of the connection from this port.
fn rows_of(done: &Finished, log: &str, port: u16) -> Vec<Value> {
    let rows = done.log(log).unwrap_or_default();
    rows.into_iter().filter(|r| r["id.orig_p"] == port).collect()
}

#[test]
fn a_transfer_has_its_rows_and_stays_in_the_kernel() {
    let _turn = one_at_a_time();
    for (v6, port, greases) in [(false, 443, false), (true, 8443, false), (false, 443, true)] {
        let case = Case {
            greases,
            v6,
            port,
            size: 5_000_000,
            ..PLAIN
        };
        let (done, stats, _logs) = past(case).unwrap();
        let [(stats, from)] = stats[..] else {
            panic!("one connection")
        };
        let server: IpAddr = lab::server_ip(v6);
        let [conn] = &rows_of(&done, "conn.log", from)[..] else {
            panic!("one row")
        };
        let headers = 8 + if v6 { 40 } else { 20 };
        let size = |s: &quinn::UdpStats| s.bytes + headers * s.datagrams;
        check(
            conn,
            &[
                ("service", json!("quic,ssl")),
                ("id.resp_h", json!(server.to_string())),
                ("orig_pkts", json!(stats.udp_tx.datagrams)),
                ("orig_bytes", json!(stats.udp_tx.bytes)),
                ("orig_ip_bytes", json!(size(&stats.udp_tx))),
            ],
        );
        // What comes after the client has gone it does not count.
        assert!(
            conn["resp_pkts"].as_u64() >= Some(stats.udp_rx.datagrams),
            "{conn:#}"
        );
        let [quic] = &rows_of(&done, "quic.log", from)[..] else {
            panic!("one row")
        };
        check(
            quic,
            &[
                ("version", json!("1")),
                ("server_name", json!(NAME)),
                ("client_protocol", json!("hq-test")),
            ],
        );
        let history = quic["history"].as_str().expect("a history");
        assert!(history.starts_with("IS"), "{history}");
        let count = |letter: char| history.chars().filter(|c| *c == letter).count();
        // A server may hide its first packets, too, or some of them (RFC 9287).
        let is_whole = count('i') > 0 && count('s') == 1 && count('h') > 0;
        assert!(greases || is_whole, "{history}");
        let [ssl] = &rows_of(&done, "ssl.log", from)[..] else {
            panic!("one row")
        };
        check(ssl, &[("server_name", json!(NAME))]);
        if !greases {
            check(ssl, &[("version", json!("TLSv13")), ("ssl_history", json!("Cs"))]);
        }
        assert!(
            ssl["ja4"].as_str().is_some_and(|ja4| ja4.starts_with("q13d")),
            "{ssl:#}"
        );
        let copied = done.copied().unwrap();
        assert!(
            copied < 300_000,
            "{copied} bytes of {}",
            done.frame_bytes().unwrap()
        );
        done.check_sums().unwrap();
    }
}

#[test]
fn a_retry_is_a_row_of_its_own() {
    let _turn = one_at_a_time();
    let (done, stats, _logs) = past(Case {
        retries: true,
        ..PLAIN
    })
    .unwrap();
    let rows = rows_of(&done, "quic.log", stats[0].1);
    let [retried, row] = &rows[..] else {
        panic!("{rows:#?}")
    };
    check(
        retried,
        &[("history", json!("ISr")), ("server_name", json!(NAME))],
    );
    assert_ne!(retried["client_initial_dcid"], row["client_initial_dcid"]);
    assert!(
        row["history"]
            .as_str()
            .is_some_and(|h| h.starts_with("IS") && h.contains("is")),
        "{row:#}"
    );
    assert_eq!(rows_of(&done, "ssl.log", stats[0].1).len(), 1);
}

#[test]
fn drafts_are_read_and_a_version_that_nobody_has_is_negotiated() {
    let _turn = one_at_a_time();
    let draft = Case {
        versions: (&[DRAFT_29, V1], DRAFT_29),
        port: 4433,
        ..PLAIN
    };
    let (done, stats, _logs) = past(draft).unwrap();
    let [row] = &rows_of(&done, "quic.log", stats[0].1)[..] else {
        panic!("one row")
    };
    check(
        row,
        &[("version", json!("draft-29")), ("server_name", json!(NAME))],
    );
    let (done, stats, _logs) = past(Case {
        versions: (&[V1], DRAFT_29),
        ..PLAIN
    })
    .unwrap();
    let [row] = &rows_of(&done, "quic.log", stats[0].1)[..] else {
        panic!("one row")
    };
    check(row, &[("version", json!("draft-29")), ("history", json!("ISu"))]);
}

#[test]
fn early_data_is_in_the_history() {
    let _turn = one_at_a_time();
    let (done, stats, _logs) = past(Case {
        connections: 2,
        ..PLAIN
    })
    .unwrap();
    let history = |n: usize| {
        let rows = rows_of(&done, "quic.log", stats[n].1);
        rows[0]["history"].as_str().expect("a history").to_owned()
    };
    assert!(!history(0).contains('Z'), "{}", history(0));
    assert!(history(1).starts_with("ISZ"), "{}", history(1));
    let resumed = |n: usize| rows_of(&done, "ssl.log", stats[n].1)[0]["resumed"].clone();
    assert_eq!([resumed(0), resumed(1)], [json!(false), json!(true)]);
}
