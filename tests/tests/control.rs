//! Orders to a running sensor: a connection's packets, its settings read again, its logs rotated.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sensor_tests::lab::SERVER_V4;
use sensor_tests::sensor::{TempDir, binary, read_log};
use sensor_tests::traffic::{self, Server, port};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;

const SERVER: IpAddr = IpAddr::V4(SERVER_V4);
const PATIENCE: Duration = Duration::from_secs(60);

/// `sensor` with these arguments, at the socket.
fn order(socket: &Path, args: &[&str]) -> Output {
    let mut c = Command::new(binary().unwrap());
    c.args(args).arg("--control").arg(socket);
    c.output().unwrap()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// The first row of a log that has what is looked for, once it is there.
fn row_of(log: &Path, is: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = read_log(log).unwrap_or_default();
        if let Some(row) = rows.into_iter().find(&is) {
            return row;
        }
        assert!(Instant::now() < deadline, "no such row in {}", log.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the sensor makes of a capture: its only connection.
fn read(capture: &Path) -> Value {
    let logs = TempDir::new().unwrap();
    let mut c = Command::new(binary().unwrap());
    c.arg("read")
        .arg(capture)
        .args(["--log-format", "json", "--quiet"]);
    let out = c.arg("--log-dir").arg(logs.path()).output().unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let mut rows = read_log(&logs.path().join("conn.log")).unwrap();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows.remove(0)
}

fn packets_are_kept(datapath: &str) {
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let socket = files.path().join("socket");
    let socket_arg = socket.display().to_string();
    let args = [
        "--control",
        &socket_arg,
        "--packet-history",
        "1",
        "--datapath",
        datapath,
    ];
    let args = [&args[..], &["--tcp-close-delay", "0.2"]].concat();
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let from = lab.client.run(|| traffic::http_get(SERVER)).unwrap().unwrap();
    lab.client.run(|| traffic::http_get(SERVER)).unwrap().unwrap();
    let row = row_of(&logs.path().join("conn.log"), |r| r["id.orig_p"] == from);
    let uid = row["uid"].as_str().unwrap();
    // It is over by now.
    let capture = files.path().join("conn.pcap");
    let out = order(&socket, &["pcap", uid, "--write", &capture.display().to_string()]);
    assert!(out.status.success(), "{}", said(&out));
    let again = read(&capture);
    // Readers of captures take no nanoseconds.
    let ts = |row: &Value| row["ts"].as_f64().unwrap();
    assert!((ts(&again) - ts(&row)).abs() < 1e-5, "{again:#} and {row:#}");
    for column in [
        "id.orig_h",
        "id.orig_p",
        "id.resp_p",
        "service",
        "conn_state",
        "orig_bytes",
        "resp_bytes",
    ] {
        assert_eq!(again[column], row[column], "{column} in {again:#} and {row:#}");
    }
    assert_eq!(again["service"], "http");

    // Nobody reads what this one carries: there are its headers.
    let mut stream = lab
        .client
        .run(|| TcpStream::connect((SERVER, port::SINK)))
        .unwrap()
        .unwrap();
    let port = stream.local_addr().unwrap().port();
    stream.write_all(b"one").unwrap();
    let out = order(&socket, &["pcap", "CAAAAAAAAAAAA"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert_eq!(said(&out).lines().count(), 1, "{}", said(&out));
    drop(stream);
    lab.settle().unwrap();
    let row = row_of(&logs.path().join("conn.log"), |r| r["id.orig_p"] == port);
    let out = order(&socket, &["pcap", row["uid"].as_str().unwrap(), "--past"]);
    assert!(out.stdout.len() > 24 + 4 * 60, "{}", said(&out));

    // A megabyte of others' packets later nothing is left of it.
    lab.client
        .run(|| (0..200).try_for_each(|_| traffic::http_get(SERVER).map(drop)))
        .unwrap()
        .unwrap();
    lab.client
        .run(|| (0..60).try_for_each(|n| traffic::udp_exchange_from(SERVER, 60_000, 20_000 + n).map(drop)))
        .unwrap()
        .unwrap();
    lab.settle().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let out = order(&socket, &["pcap", uid]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("is kept any more"), "{}", said(&out));

    let done = sensor.stop().unwrap();
    assert!(!socket.exists(), "it goes with the sensor");
    done.check_sums().unwrap();
    let out = order(&socket, &["reload"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert_eq!(said(&out).lines().count(), 1, "{}", said(&out));
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn packets_of_a_connection_that_is_over_are_kept() {
    let _turn = one_at_a_time();
    packets_are_kept("xdp");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn packets_are_kept_off_a_packet_socket_too() {
    let _turn = one_at_a_time();
    packets_are_kept("packet");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn an_open_connection_is_followed_to_its_end() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (socket, events) = (files.path().join("socket"), files.path().join("events"));
    let args = [
        "--control",
        &socket.display().to_string(),
        "--tcp-close-delay",
        "0.2",
        "--events",
        &events.display().to_string(),
        "--event",
        "new_connection",
    ];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    let connect = || TcpStream::connect((SERVER, port::HTTP));
    let mut stream = lab.client.run(connect).unwrap().unwrap();
    let port = stream.local_addr().unwrap().port();
    let event = row_of(&events, |e| e.to_string().contains(&format!("\"orig_p\":{port}")));
    let text = event.to_string();
    let (_, uid) = text.split_once("\"uid\":\"").expect("an id");
    let (uid, _) = uid.split_once('"').expect("its end");

    let capture = files.path().join("conn.pcap");
    let mut c = Command::new(binary().unwrap());
    c.args(["pcap", uid])
        .arg("--control")
        .arg(&socket)
        .arg("--write")
        .arg(&capture);
    let follower = c.stderr(Stdio::piped()).spawn().unwrap();
    // As soon as there is a file it is followed.
    let deadline = Instant::now() + PATIENCE;
    while std::fs::metadata(&capture).map_or(0, |m| m.len()) < 24 {
        assert!(Instant::now() < deadline, "not followed");
        std::thread::sleep(Duration::from_millis(20));
    }
    let request = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    drop(stream);
    lab.client.run(|| traffic::http_get(SERVER)).unwrap().unwrap();
    let out = follower.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", said(&out));
    let again = read(&capture);
    assert_eq!(again["resp_bytes"], answer.len(), "{again:#}");
    assert_eq!(again["orig_bytes"], request.len(), "{again:#}");
    assert_eq!(
        again["id.orig_p"], port,
        "of the other connection there is nothing"
    );
    sensor.stop().unwrap();
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn settings_are_read_again_and_logs_rotated() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (socket, config) = (files.path().join("socket"), files.path().join("sensor.toml"));
    let signatures = files.path().join("words.sig");
    std::fs::write(&signatures, "").unwrap();
    let write = |more: &str| {
        let (socket, signatures) = (socket.display(), signatures.display());
        let text = format!("control.socket = \"{socket}\"\nsignatures.files = [\"{signatures}\"]\n{more}\n");
        std::fs::write(&config, text).unwrap();
    };
    write("logs.local_nets = \"192.0.2.0/24\"");
    let config_arg = config.display().to_string();
    let args = ["--config", &config_arg, "--tcp-close-delay", "0.2"];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    let local = || {
        let from = lab.client.run(|| traffic::http_get(SERVER)).unwrap().unwrap();
        row_of(&logs.path().join("conn.log"), |r| r["id.orig_p"] == from)["local_resp"].clone()
    };
    assert_eq!(local(), false);
    // The client finds the socket by the settings.
    let ask = |what: &str| {
        let mut c = Command::new(binary().unwrap());
        c.args([what, "--config", &config_arg]).output().unwrap()
    };
    write(&format!(
        "logs.local_nets = \"{SERVER}/32\"\nlogs.rotate_mib = 1\nflows.entries = 77\narchive.keep_days = 3"
    ));
    let out = ask("reload");
    assert!(out.status.success(), "{}", said(&out));
    let text = said(&out);
    assert!(
        text.contains("hold from here on: logs.local_nets, logs.rotate_mib"),
        "{text}"
    );
    assert!(
        text.contains("with the next start: flows.entries, archive.keep_days"),
        "{text}"
    );
    let deadline = Instant::now() + PATIENCE;
    while local() != true {
        assert!(Instant::now() < deadline, "the network is not local");
    }
    // The same once more is no news.
    let out = ask("reload");
    assert!(!said(&out).contains("hold from here on"), "{}", said(&out));
    // Signatures are those of the start; with a mistake in them there would be none.
    assert!(!said(&out).contains("words.sig"), "{}", said(&out));
    std::fs::write(&signatures, "signature a { payload /a/ }").unwrap();
    let out = ask("reload");
    assert!(out.status.success(), "{}", said(&out));
    assert!(
        said(&out).contains("until the next start: ") && said(&out).contains("words.sig"),
        "{}",
        said(&out)
    );
    std::fs::write(&signatures, "signature a {").unwrap();
    let out = order(&socket, &["reload"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("words.sig:1: "), "{}", said(&out));
    std::fs::write(&signatures, "").unwrap();
    let sound = "logs.rotate_mib = 1";
    write("logs.local_nets = \"nonsense\"");
    // Who asks finds the mistake, and so does the sensor.
    let out = ask("reload");
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    let out = order(&socket, &["reload"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("stay as they are"), "{}", said(&out));
    assert_eq!(local(), true);

    write(sound);
    let rotated = || {
        let names = std::fs::read_dir(logs.path()).unwrap();
        let names = names.map(|n| n.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n.starts_with("conn.2")).count()
    };
    assert_eq!(rotated(), 0);
    assert!(ask("rotate").status.success());
    let deadline = Instant::now() + PATIENCE;
    while rotated() == 0 {
        assert!(Instant::now() < deadline, "not rotated");
        std::thread::sleep(Duration::from_millis(20));
    }
    sensor.stop().unwrap();
}
