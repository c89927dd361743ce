//! Small protocols over UDP, spoken by dnsmasq, udhcpc, chronyd and logger: what the logs say against what these say.

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::time::Duration;

use sensor_tests::daemon::Daemon;
use sensor_tests::lab::{CLIENT_V4, SERVER_V4};
use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time, root_or_say_so};
use serde_json::Value;

fn ran(command: &mut Command) -> Output {
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {said}");
    out
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_lease_is_one_row_of_what_the_server_has_in_its_file() {
    if !root_or_say_so("dhcp") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    // A server asks whether somebody has the address already.
    lab.client.ip("link set c0 arp on").unwrap();
    lab.server.ip("link set s0 arp on").unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let leases = dir.path().join("leases");
    let mut command = lab.server.command("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--no-ping",
        "--log-facility=-",
        "--user=root",
        "--pid-file=",
        "--interface=s0",
        "--domain=example.net",
        "--dhcp-range=10.77.0.100,10.77.0.150,1h",
        "--dhcp-authoritative",
    ]);
    command.arg(format!("--dhcp-leasefile={}", leases.display()));
    let _server = Daemon::start(
        &lab.server,
        command,
        (SERVER_V4.into(), 53),
        &dir.path().join("dnsmasq.log"),
    )
    .unwrap();
    let options = ["--rx-only", "--workers", "4"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).unwrap();
    let ask = |more: &[&str]| {
        let mut c = lab.client.command("busybox");
        c.args([
            "udhcpc",
            "-f",
            "-q",
            "-n",
            "-i",
            "c0",
            "-s",
            "/bin/true",
            "-x",
            "hostname:box",
        ]);
        ran(c.args(["-F", "box.example.net"]).args(more));
    };
    // Replies to the address that is given, and to everybody.
    ask(&["-r", "10.77.0.120"]);
    ask(&["-r", "10.77.0.120", "-B"]);
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let leases = std::fs::read_to_string(&leases).unwrap();
    let lease: Vec<_> = leases.split_whitespace().collect();
    let rows = done.log("dhcp.log").unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in &rows {
        assert_eq!(
            (&row["mac"], &row["assigned_addr"]),
            (&lease[1].into(), &lease[2].into())
        );
        assert_eq!(row["host_name"], "box");
        assert_eq!(row["client_fqdn"], "box.example.net");
        assert_eq!(row["client_addr"], lease[2]);
        assert_eq!(row["server_addr"], SERVER_V4.to_string());
        assert_eq!(row["requested_addr"], "10.77.0.120");
        assert_eq!(
            (&row["domain"], &row["lease_time"]),
            (&"example.net".into(), &3600.0.into())
        );
        let types: Value = ["DISCOVER", "OFFER", "REQUEST", "ACK"][..].into();
        assert_eq!(row["msg_types"], types);
        assert_eq!(row["uids"].as_array().map(Vec::len), Some(2), "{row}");
    }
    let conns = done.log("conn.log").unwrap();
    let services: Vec<_> = conns.iter().filter(|c| c["service"] == "dhcp").collect();
    // The client's questions are one connection, the two servers' answers one each.
    assert_eq!(services.len(), 3, "{conns:?}");
    assert_eq!(done.log("weird.log").map_or(0, |rows| rows.len()), 0);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn chrony_has_a_row_for_each_question_and_answer() {
    if !root_or_say_so("ntp") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let (dir, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let conf = dir.path().join("server.conf");
    let text = format!(
        "local stratum 5\nallow all\ncmdport 0\nbindcmdaddress /\npidfile {}/pid\n",
        dir.path().display()
    );
    std::fs::write(&conf, text).unwrap();
    let mut command = lab.server.command("chronyd");
    // Without control of the clock.
    command.args(["-x", "-d", "-u", "root", "-f"]).arg(&conf);
    let _server = Daemon::start_udp(&lab.server, command, 123, &dir.path().join("chronyd.log")).unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).unwrap();
    let client = dir.path().join("client");
    std::fs::create_dir(&client).unwrap();
    ran(lab
        .client
        .command("chronyd")
        .args(["-x", "-Q", "-u", "root", "-t", "20"])
        .args([
            format!("server {SERVER_V4} iburst maxsamples 4"),
            "cmdport 0".into(),
            "bindcmdaddress /".into(),
            format!("pidfile {}/pid", client.display()),
            format!("logdir {}", client.display()),
            "log rawmeasurements".into(),
        ]));
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();

    let said = std::fs::read_to_string(client.join("measurements.log")).unwrap();
    let measured: Vec<Vec<&str>> = said
        .lines()
        .filter(|l| l.contains(&SERVER_V4.to_string()))
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert!(measured.len() >= 3, "{said}");
    let rows = done.log("ntp.log").unwrap();
    let of_mode = |mode: u64| rows.iter().filter(move |r| r["mode"] == mode).collect::<Vec<_>>();
    let (asked, answered) = (of_mode(3), of_mode(4));
    assert_eq!(
        (asked.len(), answered.len()),
        (measured.len(), measured.len()),
        "{said}"
    );
    for (row, line) in answered.iter().zip(&measured) {
        // Column 5 is the server's stratum, the fourth from the end its reference in hex.
        assert_eq!(row["stratum"].to_string(), line[4]);
        let reference: u32 = u32::from_str_radix(line[line.len() - 4], 16).unwrap();
        assert_eq!(row["ref_id"], std::net::Ipv4Addr::from(reference).to_string());
        assert_eq!((&row["version"], &row["num_exts"]), (&4.into(), &0.into()));
    }
    for (question, answer) in asked.iter().zip(&answered) {
        assert_eq!(question["id.orig_h"], CLIENT_V4.to_string());
        assert_eq!(question["xmt_time"], answer["org_time"]);
        let time = |column: &str| answer[column].as_f64().unwrap();
        assert!(time("rec_time") <= time("xmt_time"));
        assert!((time("xmt_time") - time("ts")).abs() < 5.0, "{answer}");
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_logger_sends_is_what_syslog_log_has() {
    if !root_or_say_so("syslog") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).unwrap();
    let logs = TempDir::new().unwrap();
    let hears = lab
        .server
        .run(|| UdpSocket::bind((SERVER_V4, 514)))
        .unwrap()
        .unwrap();
    hears.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).unwrap();
    let mut heard = Vec::new();
    for (form, priority) in [
        ("--rfc3164", "local3.warning"),
        ("--rfc5424", "mail.emerg"),
        ("--rfc3164", "auth.debug"),
    ] {
        let mut c = lab.client.command("logger");
        c.args([
            "-d",
            "-n",
            &SERVER_V4.to_string(),
            form,
            "-p",
            priority,
            "-t",
            "test",
        ]);
        ran(c.arg("a message with a tab\tand an umlaut: \u{e4}"));
        let mut bytes = [0; 2048];
        let (n, _) = hears.recv_from(&mut bytes).unwrap();
        heard.push(String::from_utf8_lossy(&bytes[..n]).into_owned());
    }
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    let mut rows = done.log("syslog.log").unwrap();
    rows.sort_by(|a, b| a["ts"].as_f64().partial_cmp(&b["ts"].as_f64()).unwrap());
    let names = [
        ("LOCAL3", "WARNING", "<156>"),
        ("MAIL", "EMERG", "<16>"),
        ("AUTH", "DEBUG", "<39>"),
    ];
    assert_eq!((rows.len(), heard.len()), (names.len(), names.len()));
    for ((row, heard), (facility, severity, priority)) in rows.iter().zip(&heard).zip(names) {
        assert_eq!(
            (&row["facility"], &row["severity"]),
            (&facility.into(), &severity.into())
        );
        let message = row["message"].as_str().unwrap();
        assert_eq!(&format!("{priority}{message}"), heard);
        assert_eq!(row["proto"], "udp");
    }
    let conns = done.log("conn.log").unwrap();
    assert!(conns.iter().all(|c| c["service"] == "syslog"), "{conns:?}");
}
