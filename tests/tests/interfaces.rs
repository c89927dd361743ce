//! Interfaces that go away while they are watched, and come back.

use std::net::{IpAddr, Ipv4Addr};

use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time, traffic};
use serde_json::Value;

/// A second link between client and middle: `x0` is the middle's end.
fn link(lab: &Lab) {
    let make = format!(
        "link add x0 type veth peer name x1 netns {}\naddr add 10.99.0.2/24 dev x0\nlink set x0 up\n",
        lab.client.name()
    );
    lab.middle.ip(&make).unwrap();
    lab.client
        .ip("addr add 10.99.0.1/24 dev x1\nlink set x1 up\n")
        .unwrap();
}

fn ping(lab: &Lab) {
    let to = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2));
    lab.client.run(move || traffic::ping(to, 56)).unwrap().unwrap();
}

/// stats.log's last row of an interface.
fn last_of<'r>(rows: &'r [Value], iface: &str) -> &'r Value {
    rows.iter()
        .rfind(|r| r["iface"] == iface)
        .expect("a row of the interface")
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn an_interface_that_comes_back_is_watched_again() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    link(&lab);
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events.json");
    let more = [
        "--event",
        "reporter_warning",
        "--events",
        events.to_str().unwrap(),
    ];
    let sensor = Sensor::start(&lab.middle, &["m0", "x0"], logs.path(), &more).expect("a sensor");
    ping(&lab);
    lab.middle.ip("link del x0\n").unwrap();
    assert!(sensor.says("x0: the interface is gone"), "{}", sensor.stderr());
    link(&lab);
    assert!(sensor.says("x0: the interface is back"), "{}", sensor.stderr());
    ping(&lab);
    // Somebody makes another one in no time.
    lab.middle.ip("link del x0\n").unwrap();
    link(&lab);
    let done = loop {
        if sensor.stderr().matches("x0: the interface is back").count() == 2 {
            ping(&lab);
            break sensor.stop().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    done.check_sums().unwrap();
    let rows = done.conns().unwrap();
    let echo: Vec<_> = rows
        .iter()
        .filter(|r| r["id.resp_h"] == "10.99.0.2" && r["id.orig_p"] == 8)
        .collect();
    // One flow to the sensor, or several if it took its time.
    let packets: u64 = echo.iter().map(|r| r["orig_pkts"].as_u64().unwrap()).sum();
    assert_eq!(packets, 3, "{echo:?}");
    let stats = done.log("stats.log").unwrap();
    assert_eq!(last_of(&stats, "x0")["gone"], 2);
    assert_eq!(last_of(&stats, "m0")["gone"], 0);
    let sums = stats
        .iter()
        .rfind(|r| r["iface"].is_null() && r["worker"].is_null());
    assert_eq!(sums.unwrap()["gone"], 2);
    assert!(
        stats
            .iter()
            .any(|r| !r["worker"].is_null() && r["ring_peak"].as_u64() > Some(0)),
        "{stats:?}"
    );
    let told = std::fs::read_to_string(&events).unwrap();
    assert_eq!(told.matches("the interface is gone").count(), 2, "{told}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn it_can_end_instead() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    link(&lab);
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["x0"], logs.path(), &["--exit-when-gone"]).expect("a sensor");
    ping(&lab);
    lab.middle.ip("link del x0\n").unwrap();
    assert!(sensor.says("--exit-when-gone"), "{}", sensor.stderr());
    // Already on its way; the signal says nothing new.
    let done = sensor.end_by(libc::SIGTERM).unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
    assert!(
        done.conns()
            .unwrap()
            .iter()
            .any(|r| r["id.resp_h"] == "10.99.0.2")
    );
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn one_that_is_down_is_said() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    link(&lab);
    lab.middle.ip("link set x0 down\n").unwrap();
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["x0"], logs.path(), &[]).expect("a sensor");
    assert!(sensor.says("x0: the interface is down"), "{}", sensor.stderr());
    lab.middle.ip("link set x0 up\n").unwrap();
    assert!(sensor.says("x0: the interface is up"), "{}", sensor.stderr());
    sensor.stop().unwrap();
}
