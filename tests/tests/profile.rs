//! The profile of a live run.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sensor_tests::lab::SERVER_V4;
use sensor_tests::sensor::TempDir;
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, events, one_at_a_time};

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn threads_parts_handlers_and_maps_have_rows() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let at = |name: &str| files.path().join(name).display().to_string();
    let script = "on('http_request', function(c) for i = 1, 1000 do end end)";
    std::fs::write(at("busy.lua"), script).unwrap();
    let options = [
        ("--script", at("busy.lua")),
        ("--events", at("events")),
        ("--event", "profiling_update,load_sample".to_owned()),
    ];
    let mut args: Vec<&str> = options.iter().flat_map(|(o, v)| [*o, v]).collect();
    args.extend([
        "--profile",
        "0.5",
        "--profile-expensive",
        "2",
        "--load-sample",
        "5",
    ]);
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        lab.client
            .run(|| traffic::http_get(IpAddr::V4(SERVER_V4)))
            .unwrap()
            .unwrap();
    }
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let rows = done.log("prof.log").unwrap();
    let all = |kind: &str, name: &str| {
        let is = |r: &&serde_json::Value| {
            r["kind"] == kind && r["name"].as_str().is_some_and(|n| n.starts_with(name))
        };
        rows.iter().filter(is).cloned().collect::<Vec<_>>()
    };
    let cpu =
        |kind: &str, name: &str| -> f64 { all(kind, name).iter().filter_map(|r| r["cpu"].as_f64()).sum() };
    for (kind, name) in [
        ("process", "cpu"),
        ("thread", "worker-0"),
        ("thread", "main"),
        ("thread", "scripts"),
        ("part", "engine"),
        ("part", "analyzers"),
        ("analyzer", "HTTP"),
        ("handler", "http_request "),
    ] {
        assert!(cpu(kind, name) > 0.0, "{kind} {name}: {rows:#?}");
    }
    assert!(cpu("thread", "worker-0") <= cpu("process", "cpu"));
    let flows = all("map", "FLOWS");
    let memory = flows.iter().filter_map(|r| r["memory"].as_u64()).max();
    assert!(memory.is_some_and(|bytes| bytes > 1 << 20), "{flows:#?}");
    let events = std::fs::read_to_string(at("events")).unwrap();
    events::note(&events);
    let updates: Vec<_> = events
        .lines()
        .filter(|l| l.contains("\"profiling_update\""))
        .collect();
    assert!(updates.len() >= 4, "{updates:#?}");
    assert!(
        updates.iter().any(|u| u.contains("\"expensive\":false")),
        "{updates:#?}"
    );
    assert!(
        updates.last().is_some_and(|u| u.contains("\"expensive\":true")),
        "{updates:#?}"
    );
    assert!(
        events.contains("\"load_sample\"") && events.contains("\"HTTP\""),
        "{events}"
    );
}
