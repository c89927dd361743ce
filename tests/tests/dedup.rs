//! `--dedup`: where a sensor gets packets twice, its rows and counts are those of one that gets them once.

use anyhow::Result;
use sensor_tests::lab::{dark_ip, server_ip};
use sensor_tests::rows::plain;
use sensor_tests::sensor::{Finished, TempDir};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;

const LOGS: [&str; 4] = ["conn.log", "http.log", "files.log", "weird.log"];

/// Traffic of many kinds.
fn all_kinds() -> Result<()> {
    [false, true]
        .into_iter()
        .try_for_each(|v6| traffic::of_many_kinds(server_ip(v6), dark_ip(v6), 400_000))
}

/// Compares the rows. Letters of a history are in no order: of what two directions send at the same moment the two sensors hear
/// in an order of their own.
fn compare(once: &Finished, twice: &Finished, what: &str) {
    let rows = |of: &Finished, log| -> Vec<String> {
        let mut rows = plain(of, log);
        for row in &mut rows {
            let mut value: Value = serde_json::from_str(row).expect("a row");
            if let Some(Value::String(history)) = value.get_mut("history") {
                let mut letters: Vec<_> = history.chars().collect();
                letters.sort_unstable();
                *history = letters.into_iter().collect();
            }
            *row = value.to_string();
        }
        rows
    };
    for log in LOGS {
        let (expected, got) = (rows(once, log), rows(twice, log));
        let without = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|r| !b.contains(r)).cloned().collect()
        };
        let (more, less) = (without(&got, &expected), without(&expected, &got));
        assert!(
            more.is_empty() && less.is_empty(),
            "{what}, {log}: {more:#?} instead of {less:#?}"
        );
        assert_eq!(got.len(), expected.len(), "{what}, {log}");
    }
}

/// How often a sensor says that a packet was a copy.
fn duplicates(done: &Finished) -> u64 {
    let line = done
        .stderr
        .lines()
        .find(|l| l.trim_start().starts_with("frames "));
    let parts = line.into_iter().flat_map(|l| l.split(" + "));
    let found = parts.filter_map(|p| p.split_once(" duplicates")?.0.trim().parse::<u64>().ok());
    found.sum()
}

/// What a bridge passes on is received on one port and sent on the other: each packet comes twice, through two programs.
#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_passes_two_taps_counts_once() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let dirs = [(); 3].map(|()| TempDir::new().unwrap());
    let start = |i: usize, more: &[&str]| {
        let more = [&["--conn-tcp-stats", "--l2-columns", "--ring-mib", "64"], more].concat();
        Sensor::start(&lab.middle, &lab.taps(), dirs[i].path(), &more).expect("a sensor")
    };
    // A second is beyond what a machine that is busy with other tests may take between two copies.
    let by_xdp = start(0, &["--dedup=1000"]);
    let by_packet = start(1, &["--datapath", "packet", "--dedup=1000"]);
    let once = start(2, &["--datapath", "packet", "--rx-only"]);
    for s in [&by_xdp, &by_packet] {
        assert!(!s.stderr().contains("seen twice"), "{}", s.stderr());
    }
    lab.client.run(all_kinds).unwrap().expect("traffic");
    lab.settle().unwrap();
    let [by_xdp, by_packet, once] = [by_xdp, by_packet, once].map(|s| s.stop().unwrap());
    let frames = once.check_sums().unwrap().frames;
    assert!(frames > 500 && duplicates(&once) == 0, "{}", once.stderr);
    for (twice, what) in [(&by_xdp, "xdp"), (&by_packet, "packet")] {
        let sums = twice.check_sums().unwrap();
        assert_eq!(
            (sums.frames, duplicates(twice)),
            (2 * frames, frames),
            "{what}: {}",
            twice.stderr
        );
        compare(&once, twice, what);
        assert!(!twice.stderr.contains("came twice"), "{what}: {}", twice.stderr);
        let stats = twice.log("stats.log").unwrap().pop().expect("a row of sums");
        assert!(!stats.to_string().contains("\"twice\":1"), "{stats}");
    }
}

/// Without the option all is as it was: each packet counts as often as it comes.
#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn without_it_what_passes_two_taps_counts_twice() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &[]).expect("a sensor");
    assert!(sensor.stderr().contains("--dedup"), "{}", sensor.stderr());
    lab.client
        .run(|| traffic::udp_exchange(server_ip(false), 500))
        .unwrap()
        .expect("traffic");
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    assert_eq!(duplicates(&done), 0);
    let rows = done.log("conn.log").unwrap();
    assert!(
        rows.iter().any(|r| r["orig_pkts"] == 2 && r["resp_pkts"] == 2),
        "{rows:#?}"
    );
}
