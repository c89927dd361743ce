//! Addresses that others stand for, live: no result has the lab's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use sensor_tests::lab::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};
use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;

fn key(dir: &Path) -> String {
    let path = dir.join("key");
    std::fs::write(&path, [7; 32]).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// What it prints is an event, too.
const SCRIPT: &str = "on('new_connection', function(c) print('seen', c.orig_h, c.resp_h, c) end)";

fn no_result_has_the_labs_addresses(datapath: &str) {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let at = |name: &str| files.path().join(name).display().to_string();
    let (key, events, script, socket) = (key(files.path()), at("events"), at("seen.lua"), at("socket"));
    std::fs::write(&script, SCRIPT).unwrap();
    let args = [
        "--datapath",
        datapath,
        "--anonymize",
        &key,
        "--events",
        &events,
        "--event",
        "*,anonymization_mapping",
        "--script",
        &script,
        "--control",
        &socket,
    ];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    for host in [SERVER_V4.into(), SERVER_V6.into()] {
        lab.client.run(|| traffic::http_get(host)).unwrap().unwrap();
    }
    lab.settle().unwrap();
    let mut pcap = Command::new(binary().unwrap());
    pcap.args(["pcap", "CtPZjS20MLrsMUOJi2", "--control", &socket]);
    let refused = pcap.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("--anonymize"),
        "{said}"
    );
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();

    let conns = done.conns().unwrap();
    let events = std::fs::read_to_string(&events).unwrap();
    let (told, others): (Vec<_>, Vec<_>) = events
        .lines()
        .partition(|l| l.contains("\"event\":\"anonymization_mapping\""));
    let told: Vec<Value> = told.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mapped = |addr: String| {
        let mut of = told.iter().filter(|l| l["args"]["orig"] == addr);
        let mapped = of.next().expect("it is told")["args"]["mapped"].clone();
        assert!(of.next().is_none(), "{addr} is told once");
        mapped
    };
    for (orig, resp) in [
        (CLIENT_V4.to_string(), SERVER_V4.to_string()),
        (CLIENT_V6.to_string(), SERVER_V6.to_string()),
    ] {
        let (orig, resp) = (mapped(orig), mapped(resp));
        let row = conns
            .iter()
            .find(|r| r["id.orig_h"] == orig && r["id.resp_h"] == resp && r["service"] == "http");
        let row = row.unwrap_or_else(|| panic!("{orig} {resp}: {conns:#?}"));
        assert_eq!(row["local_orig"], true, "by the address that it has");
    }
    let mut all = others.join("\n");
    assert!(all.contains("\"event\":\"connection_state_remove\""));
    for file in std::fs::read_dir(logs.path()).unwrap() {
        all += &std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
    }
    assert!(all.contains("print_hook"), "the script has seen them");
    for addr in [
        CLIENT_V4.to_string(),
        SERVER_V4.to_string(),
        CLIENT_V6.to_string(),
        SERVER_V6.to_string(),
    ] {
        let left = all.lines().find(|l| l.contains(&addr));
        assert_eq!(left, None, "{addr}");
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn no_result_has_the_labs_addresses_by_the_kernels_program() {
    no_result_has_the_labs_addresses("xdp");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn no_result_has_the_labs_addresses_by_a_packet_socket() {
    no_result_has_the_labs_addresses("packet");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_would_tell_addresses_is_refused_in_one_line() {
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let key = key(files.path());
    let script = files.path().join("told.lua");
    std::fs::write(&script, "on('tcp_packet', function() end)").unwrap();
    let script = script.display().to_string();
    for (args, expected) in [
        (
            &["--anonymize", &key, "--community-id"][..],
            "--community-id does not go with --anonymize",
        ),
        (
            &["--anonymize", &key, "--packet-history", "1"],
            "--packet-history does not go with",
        ),
        (
            &["--anonymize", &key, "--script", &script],
            "the event tcp_packet does not go with --anonymize",
        ),
        (&["--anonymize", &script], "is open to others than its owner"),
        (
            &["--anonymize", "/no/such/key"],
            "cannot read the key /no/such/key of --anonymize",
        ),
    ] {
        let mut c: Command = lab.middle.command(binary().unwrap());
        c.args(run_args(&["m0"], logs.path())).args(args);
        let out = c.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
