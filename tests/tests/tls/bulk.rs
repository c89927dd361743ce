//! A long transfer under TLS 1.3: the kernel counts, userspace is told next to nothing.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use sensor_tests::forwarder::{self, Faults, Forwarder, Odds, TAP};
use sensor_tests::sensor::{Finished, TempDir, read_log};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};
use serde_json::Value;

use super::{check, rows};

const NAME: &str = "bulk.example";
const PORT: u16 = 26_400;
/// Payload of one write.
const PIECE: usize = 256 * 1024;

/// Reads all there is, answers with its length and closes.
fn sink(stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    let mut io = StreamOwned::new(ServerConnection::new(config)?, stream);
    let mut total = [0; 8];
    io.read_exact(&mut total)?;
    let mut left = u64::from_be_bytes(total);
    let mut buf = vec![0; PIECE];
    while left > 0 {
        let n = io.read(&mut buf)?;
        ensure!(n > 0, "the stream ended {left} bytes early");
        left -= n as u64;
    }
    io.write_all(&total)?;
    io.conn.send_close_notify();
    io.flush()?;
    io.sock.shutdown(Shutdown::Write)?;
    std::io::copy(&mut io.sock, &mut std::io::sink())?;
    Ok(())
}

fn upload(config: Arc<ClientConfig>, bytes: u64) -> Result<()> {
    let stream = TcpStream::connect((lab::server_ip(false), PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut io = StreamOwned::new(
        ClientConnection::new(config, ServerName::try_from(NAME)?)?,
        stream,
    );
    io.write_all(&bytes.to_be_bytes())?;
    let piece = vec![0x5a; PIECE];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(PIECE as u64) as usize;
        io.write_all(&piece[..n])?;
        // So that what is measured is not how soon the sensor gets a processor to say what it wants: at first
        // that it wants no more, and later to be told of records again, after a segment that was sent again.
        io.flush()?;
        let first = left == bytes;
        std::thread::sleep(Duration::from_millis(if first { 1000 } else { 2 }));
        left -= n as u64;
    }
    io.flush()?;
    let mut answer = [0; 8];
    io.read_exact(&mut answer)?;
    ensure!(u64::from_be_bytes(answer) == bytes, "bytes went missing");
    io.conn.send_close_notify();
    io.flush()?;
    io.sock.shutdown(Shutdown::Write)?;
    std::io::copy(&mut io.sock, &mut std::io::sink())?;
    Ok(())
}

/// Events whose lengths together are all of a TLS 1.3 stream but its ChangeCipherSpec.
const RECORDS: &str = "ssl_encrypted_data,ssl_handshake_message,ssl_change_cipher_spec";

/// Bytes that the events of [`RECORDS`] tell of, by originator and responder.
fn told(events: &[Value]) -> [u64; 2] {
    let mut sum = [0; 2];
    for e in events {
        let args = &e["args"];
        let length = args["length"].as_u64().unwrap_or(0);
        let whole = match e["event"].as_str() {
            Some("ssl_encrypted_data") => 5 + length,
            // The hellos, each in a record of its own.
            Some("ssl_handshake_message") => 5 + 4 + length,
            _ => 6,
        };
        sum[!args["is_orig"].as_bool().unwrap() as usize] += whole;
    }
    sum
}

/// What two ends of TLS 1.3 need.
fn ends() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(vec![NAME.into()]).unwrap();
    let cert = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let versions = &[&rustls::version::TLS13];
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

/// Uploads `bytes` from the lab's client to its server.
fn exchange(lab: &Lab, bytes: u64) {
    let (server, client) = ends();
    let listener = lab
        .server
        .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)))
        .unwrap()
        .unwrap();
    std::thread::scope(|s| {
        s.spawn(move || sink(listener.accept().unwrap().0, Arc::new(server)).unwrap());
        lab.client
            .run(|| upload(Arc::new(client), bytes))
            .unwrap()
            .unwrap();
    });
    lab.settle().unwrap();
}

/// The options that have the events of [`RECORDS`] written to a file.
fn asking(events: &Path) -> [&str; 5] {
    [
        "--rx-only",
        "--events",
        events.to_str().unwrap(),
        "--event",
        RECORDS,
    ]
}

/// Every byte of both streams of the connection is one of a record that was told of.
fn check_told(events: &Path, row: &Value) {
    let events = read_log(events).unwrap();
    let streams = ["orig_bytes", "resp_bytes"].map(|c| row[c].as_u64().unwrap());
    assert_eq!(told(&events), streams, "{} events", events.len());
}

/// The share of a connection's bytes that went to userspace.
fn share(done: &Finished, row: &Value) -> f64 {
    let wire = row["orig_ip_bytes"].as_u64().unwrap() + row["resp_ip_bytes"].as_u64().unwrap();
    let copied = done.copied().unwrap();
    assert!(copied > 0);
    let share = copied as f64 / wire as f64;
    eprintln!(
        "{copied} bytes of {wire} copied to userspace, {:.4} %",
        100.0 * share
    );
    share
}

/// Uploads `bytes` past a sensor; the share of the wire's bytes that went to userspace. `records`: every record is to
/// be told of.
fn transfer(bytes: u64, records: bool) -> f64 {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events.json");
    let asked = asking(&events);
    let options = if records { &asked[..] } else { &asked[..1] };
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), options).expect("a sensor");
    let before = lab.tapped().unwrap();
    exchange(&lab, bytes);
    let after = lab.tapped().unwrap();
    let done = sensor.stop().unwrap();

    let conns = done.conns().unwrap();
    let row = rows(&conns, PORT)[0];
    check(
        row,
        "the transfer",
        &[
            ("conn_state", "SF".into()),
            ("service", "ssl".into()),
            ("missed_bytes", 0.into()),
            ("orig_pkts", (after[0] - before[0]).into()),
            ("resp_pkts", (after[1] - before[1]).into()),
        ],
    );
    assert!(row["orig_bytes"].as_u64() > Some(bytes), "{row:#}");
    let ssl = done.log("ssl.log").unwrap();
    check(
        rows(&ssl, PORT)[0],
        "the session",
        &[("version", "TLSv13".into()), ("established", true.into())],
    );
    if records {
        check_told(&events, row);
    }
    let frames: u64 = (0..2).map(|i| after[i] - before[i]).sum();
    assert_eq!(done.check_sums().unwrap().frames, frames);
    share(&done, row)
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn an_established_session_stays_in_the_kernel() {
    // What comes before the order to keep the payload arrives depends on who else wants the processors.
    let shares = (0..3).map(|_| transfer(200_000_000, false));
    let mut seen = Vec::new();
    let kept = shares.inspect(|s| seen.push(*s)).any(|s| s < 0.01);
    assert!(kept, "{seen:?} of the bytes copied");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn of_an_established_session_the_records_headers_come_up() {
    // A record of the sensor's is a sixtieth of one of TLS's.
    let shares = (0..3).map(|_| transfer(100_000_000, true));
    let mut seen = Vec::new();
    let kept = shares.inspect(|s| seen.push(*s)).any(|s| s < 0.04);
    assert!(kept, "{seen:?} of the bytes copied");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn across_a_path_that_loses_and_reorders_every_record_is_told_of() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    forwarder::prepare(&lab).expect("a lab with a tap");
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events.json");
    let sensor = Sensor::start(&lab.middle, &[TAP], logs.path(), &asking(&events)).expect("a sensor");
    let faults = Faults {
        seed: 7,
        path: Odds {
            drop: 5,
            double: 5,
            delay: 5,
        },
        tap: Odds::default(),
    };
    let forwarder = Forwarder::start(&lab, faults).expect("a forwarder");
    exchange(&lab, 10_000_000);
    forwarder.stop().unwrap();
    let done = sensor.stop().unwrap();
    let conns = done.conns().unwrap();
    let row = rows(&conns, PORT)[0];
    check(
        row,
        "the transfer",
        &[("service", "ssl".into()), ("missed_bytes", 0.into())],
    );
    assert!(row["history"].as_str().unwrap().contains('T'), "nothing was lost");
    check_told(&events, row);
    assert!(share(&done, row) < 0.5);
}

/// `cargo test -p sensor-tests --test tls -- --ignored --nocapture gigabyte`
#[test]
#[ignore = "takes a while; prints a figure"]
fn a_gigabyte_of_tls_stays_in_the_kernel() {
    if root_or_say_so("a_gigabyte_of_tls_stays_in_the_kernel") {
        let share = transfer(1_000_000_000, false);
        assert!(share < 0.01, "{share} of the bytes copied");
        transfer(1_000_000_000, true);
    }
}
