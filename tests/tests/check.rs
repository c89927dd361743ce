//! `sensor check`: what it says of set-ups that are broken on purpose, and that it is what a run then meets.

use std::process::Command;

use sensor_tests::netns::Namespace;
use sensor_tests::sensor::{TempDir, binary};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};
use serde_json::Value;

/// A report: the exit status, and the items.
struct Report {
    status: Option<i32>,
    items: Vec<Value>,
}

impl Report {
    fn of(mut command: Command) -> Self {
        let out = command.arg("--json").output().expect("a process");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let report: Value = serde_json::from_str(&said)
            .unwrap_or_else(|e| panic!("{e}: {said}{}", String::from_utf8_lossy(&out.stderr)));
        Report {
            status: out.status.code(),
            items: report["items"].as_array().cloned().expect("items"),
        }
    }

    /// The item of `of` that says `text`.
    fn says(&self, of: &str, text: &str) -> &Value {
        let is = |i: &&Value| i["of"] == of && i["says"].as_str().is_some_and(|s| s.contains(text));
        self.items
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("no '{text}' of {of}: {:#?}", self.items))
    }

    fn fails(&self) -> Vec<&Value> {
        self.items.iter().filter(|i| i["level"] == "fail").collect()
    }
}

fn check(ns: &Namespace, iface: &str, logs: &TempDir) -> Command {
    let mut c = ns.command(binary().expect("a binary"));
    c.args(["check", "--iface", iface, "--log-dir"]).arg(logs.path());
    c
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_good_interface_fails_nothing() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let report = Report::of(check(&lab.middle, "m0", &logs));
    assert_eq!(report.status, Some(0), "{:#?}", report.items);
    assert!(report.fails().is_empty());
    assert_eq!(report.says("m0", "it is up")["level"], "ok");
    assert_eq!(report.says("m0", "native XDP")["level"], "ok");
    assert_eq!(
        std::fs::read_dir(logs.path()).unwrap().count(),
        0,
        "nothing was made"
    );
    // The same in words.
    let out = check(&lab.middle, "m0", &logs).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        text.lines().any(|l| l.starts_with("ok    m0: it is up")),
        "{text}"
    );
    assert!(text.ends_with(" 0 fail\n"), "{text}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_a_pattern_means_is_said() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let report = Report::of(check(&lab.middle, "any", &logs));
    assert_eq!(report.status, Some(0), "{:#?}", report.items);
    report.says(
        "interfaces",
        "2 are watched, and what else comes that any matches",
    );
    report.says("lo", "it is the loopback");
    report.says("br0", "its packets are seen on m");
    report.says("m1", "native XDP");
    let report = Report::of(check(&lab.middle, "x*", &logs));
    assert_eq!(report.status, Some(0), "{:#?}", report.items);
    assert_eq!(report.says("interfaces", "would wait for one")["level"], "warn");
    let report = Report::of(check(&lab.middle, "br0,m1", &logs));
    assert_eq!(report.status, Some(1), "{:#?}", report.items);
    report.says("interfaces", "would count twice");
    // From elsewhere, and without a program in the kernel.
    let mut c = check(&lab.client, "m0", &logs);
    c.args(["--netns", lab.middle.name(), "--datapath", "packet"]);
    let report = Report::of(c);
    assert_eq!(report.status, Some(0), "{:#?}", report.items);
    report.says("m0", "it is up");
    report.says("packet socket", "CAP_NET_RAW is there");
    let mut c = check(&lab.client, "m0", &logs);
    c.args(["--netns", "no-such-netns"]);
    Report::of(c).says("interfaces", "--netns no-such-netns: cannot open");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn an_interface_that_is_down_or_missing_fails() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    lab.middle.ip("link set m0 down").unwrap();
    let report = Report::of(check(&lab.middle, "m0", &logs));
    assert_eq!(report.status, Some(1));
    let down = report.says("m0", "it is down");
    assert_eq!(
        (down["level"].as_str(), down["mend"].as_str()),
        (Some("fail"), Some("ip link set m0 up"))
    );
    let report = Report::of(check(&lab.middle, "m7", &logs));
    assert_eq!(report.status, Some(1));
    assert_eq!(report.says("m7", "no such interface")["level"], "fail");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_is_said_of_xdp_is_what_a_run_gets() {
    let _turn = one_at_a_time();
    let usual = LabOptions::default();
    let long = LabOptions { mtu: 9000, ..usual };
    let generic = LabOptions {
        generic: true,
        ..usual
    };
    for (options, is_long) in [(usual, false), (long, true), (generic, false)] {
        let lab = Lab::new(options).expect("a lab");
        let tap = lab.taps()[0];
        let logs = TempDir::new().unwrap();
        let report = Report::of(check(&lab.middle, tap, &logs));
        assert_eq!(report.status, Some(0), "{:#?}", report.items);
        let skb = report
            .items
            .iter()
            .any(|i| i["level"] == "warn" && i["says"].as_str().is_some_and(|s| s.contains(": skb mode")));
        assert_eq!(skb, options.generic || is_long && report_lacks_buffers(&report));
        let sensor = Sensor::start(&lab.middle, &[tap], logs.path(), &["--rx-only"]).expect("a sensor");
        let ran_in_skb = sensor.stop().unwrap().stderr.contains("running in skb mode");
        assert_eq!(ran_in_skb, skb, "{options:?}: {:#?}", report.items);
    }
}

fn report_lacks_buffers(report: &Report) -> bool {
    let says = |i: &Value| {
        i["says"]
            .as_str()
            .is_some_and(|s| s.contains("frames of one buffer"))
    };
    report.items.iter().any(says)
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn another_sensor_is_found_on_the_interface_and_in_the_directory() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &[]).expect("a sensor");
    let both = check(&lab.middle, "m0", &logs);
    let report = Report::of(both);
    if report.says("kernel", "TCX")["says"] == "what is sent is seen by TCX" {
        assert_eq!(report.says("m0", "1 other TC programs")["level"], "warn");
    }
    assert_eq!(report.status, Some(1));
    assert_eq!(report.says("m0", "another XDP program")["level"], "fail");
    assert_eq!(report.says("logs", "another sensor")["level"], "fail");
    sensor.stop().unwrap().check_sums().unwrap();
    let report = Report::of(check(&lab.middle, "m0", &logs));
    assert_eq!(report.status, Some(0), "it has gone: {:#?}", report.items);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn who_may_not_is_told_so() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    // Where anybody may read it, wherever it was built.
    let bin = logs.path().join("sensor");
    std::fs::copy(binary().unwrap(), &bin).unwrap();
    let mut c = lab.middle.command("setpriv");
    c.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]);
    c.arg(&bin)
        .args(["check", "--iface", "m0", "--log-dir"])
        .arg(logs.path());
    let report = Report::of(c);
    assert_eq!(report.status, Some(1));
    let missing = report.says("rights", "missing: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON");
    assert_eq!(missing["level"], "fail");
    assert_eq!(report.says("logs", "cannot be written to")["level"], "fail");
    assert_eq!(
        report.says("m0", "it is up")["level"],
        "ok",
        "whoever asks is told of interfaces"
    );
    assert_eq!(report.fails().len(), 2, "{:#?}", report.fails());
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn settings_and_files_of_settings_are_looked_at() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let mut c = check(&lab.middle, "m0", &logs);
    c.args(["--event", "new_connection"]);
    let report = Report::of(c);
    assert_eq!(report.status, Some(1));
    assert_eq!(report.says("settings", "needs --events")["level"], "fail");
    let file = logs.path().join("sensor.toml");
    std::fs::write(
        &file,
        "[interfaces]\nnames = [\"m0\", \"m9\"]\n[flows]\nentries = 4000000000\n",
    )
    .unwrap();
    let mut c = lab.middle.command(binary().unwrap());
    c.args(["check", "--config"])
        .arg(&file)
        .arg("--log-dir")
        .arg(logs.path());
    let report = Report::of(c);
    assert_eq!(report.status, Some(1));
    report.says("m0", "it is up");
    report.says("m9", "no such interface");
    assert_eq!(report.says("memory", "the flow table takes")["level"], "fail");
    std::fs::write(&file, "[interfaces]\nname = 1\n").unwrap();
    let mut c = lab.middle.command(binary().unwrap());
    let out = c.args(["check", "--config"]).arg(&file).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
}
