//! Operating systems by their SYNs: this machine's own.

use std::net::IpAddr;
use std::process::Command;

use sensor_tests::lab::{CLIENT_V4, SERVER_V4};
use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn both_ends_run_linux() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let events = files.path().join("events").display().to_string();
    let args = [
        "--os-fingerprints",
        "builtin",
        "--events",
        &events,
        "--event",
        "OS_version_found",
    ];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    for _ in 0..5 {
        lab.client
            .run(|| traffic::http_get(IpAddr::V4(SERVER_V4)))
            .unwrap()
            .unwrap();
    }
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let rows = done.log("os.log").unwrap();
    for (host, is_orig) in [(CLIENT_V4, true), (SERVER_V4, false)] {
        let of = |r: &&serde_json::Value| r["host"] == host.to_string() && r["uptime"].is_null();
        let rows: Vec<_> = rows.iter().filter(of).collect();
        assert_eq!(rows.len(), 1, "once: {rows:#?}");
        let row = rows[0];
        assert_eq!(
            (&row["genre"], &row["dist"]),
            (&"Linux".into(), &0.into()),
            "{row:#}"
        );
        assert_eq!(
            (&row["is_orig"], &row["mtu"]),
            (&is_orig.into(), &1500.into()),
            "{row:#}"
        );
        assert_eq!(row["link"], "Ethernet", "{row:#}");
    }
    let events = std::fs::read_to_string(events).unwrap();
    assert_eq!(
        events.matches("\"event\":\"OS_version_found\"").count(),
        2,
        "{events}"
    );
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn fingerprints_that_are_none_are_one_line() {
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let fingerprints = files.path().join("wrong.fp");
    std::fs::write(
        &fingerprints,
        "[tcp:request]\nlabel = s:unix:a:b\nsig = nothing\n",
    )
    .unwrap();
    let mut c: Command = lab.middle.command(binary().unwrap());
    c.args(run_args(&["m0"], logs.path()))
        .arg("--os-fingerprints")
        .arg(&fingerprints);
    let out = c.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("wrong.fp:3: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
