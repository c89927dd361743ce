//! Interfaces that are asked for by pattern, that see the same packets, or that are in another network namespace.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sensor_tests::lab::{CLIENT_MAC, CLIENT_V4, SERVER_MAC, SERVER_V4, server_ip};
use sensor_tests::netns::Namespace;
use sensor_tests::sensor::{Finished, TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, lacks, link, one_at_a_time};

/// A link between client and middle, as a container's would be: `x0` is the middle's end.
fn come(lab: &Lab) {
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

/// Echo requests to the middle that conn.log has.
fn pings(done: &Finished) -> u64 {
    let rows = done.conns().unwrap();
    let echo = rows
        .iter()
        .filter(|r| r["id.resp_h"] == "10.99.0.2" && r["id.orig_p"] == 8);
    echo.map(|r| r["orig_pkts"].as_u64().unwrap()).sum()
}

/// Waits until the sensor has said `text` so often.
fn says_times(sensor: &Sensor, text: &str, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while sensor.stderr().matches(text).count() < times {
        assert!(Instant::now() < deadline, "{}", sensor.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How a run ends that is refused: its exit status, and what it says, a line.
fn refused(ns: &Namespace, ifaces: &[&str], logs: &TempDir) -> String {
    let mut c = ns.command(binary().unwrap());
    let out = c.args(run_args(ifaces, logs.path())).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_a_pattern_matches_is_watched_when_it_comes() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["x*,y?"], logs.path(), &[]).expect("a sensor");
    assert!(sensor.says("no interface is watched"), "{}", sensor.stderr());
    for times in 1..=3 {
        come(&lab);
        says_times(&sensor, "interfaces watched from now on: x0", times);
        ping(&lab);
        if times < 3 {
            lab.middle.ip("link del x0\n").unwrap();
            says_times(&sensor, "interfaces no longer there: x0", times);
        }
    }
    // One that has an end elsewhere and does not match.
    lab.middle
        .ip("link add z0 type bridge\nlink set z0 up\n")
        .unwrap();
    lab.middle
        .ip("link add y0 type bridge\nlink set y0 up\n")
        .unwrap();
    says_times(&sensor, "interfaces watched from now on: y0", 1);
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    assert_eq!(pings(&done), 3);
    assert!(
        !done.stderr.contains("z0") && !done.stderr.contains("m0"),
        "{}",
        done.stderr
    );
    let stats = done.log("stats.log").unwrap();
    let sums = stats
        .iter()
        .rfind(|r| r["iface"].is_null() && r["worker"].is_null());
    assert_eq!(sums.unwrap()["gone"], 2);
    let ifaces: Vec<_> = stats.iter().filter_map(|r| r["iface"].as_str()).collect();
    assert!(ifaces.contains(&"x0") && ifaces.contains(&"y0"), "{ifaces:?}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_bridge_gives_way_to_a_port_that_joins_it() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    lab.middle
        .ip("link add b9 type bridge\nlink set b9 up\naddr add 10.99.0.2/24 dev b9\n")
        .unwrap();
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["b?", "x*"], logs.path(), &[]).expect("a sensor");
    assert!(
        sensor.stderr().contains("watching b9 with"),
        "{}",
        sensor.stderr()
    );
    for times in 1..=2 {
        come(&lab);
        says_times(&sensor, "interfaces watched from now on: x0", times);
        // As a container's: it joins when it is there.
        lab.middle
            .ip("addr del 10.99.0.2/24 dev x0\nlink set x0 master b9\n")
            .unwrap();
        says_times(
            &sensor,
            "not watched: b9 (its packets are seen on x0, too)",
            times,
        );
        ping(&lab);
        lab.middle.ip("link del x0\n").unwrap();
        says_times(&sensor, "interfaces watched from now on: b9", times);
    }
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    assert_eq!(pings(&done), 2);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn any_is_what_sees_packets_of_its_own() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    lab.middle.ip("link add d0 type bridge\n").unwrap();
    let logs = TempDir::new().unwrap();
    let _server = Server::start(&lab.server).expect("a server");
    let sensor = Sensor::start(&lab.middle, &["any"], logs.path(), &["--rx-only"]).expect("a sensor");
    let said = sensor.stderr();
    assert!(said.contains("watching m0, m1 with"), "{said}");
    for left in [
        "lo (it is the loopback)",
        "d0 (it is down)",
        "br0 (its packets are seen on m",
    ] {
        assert!(said.contains(left), "{left}: {said}");
    }
    assert!(!said.contains("twice"), "{said}");
    let before = lab.tapped().unwrap();
    let ip = server_ip(false);
    let port = lab.client.run(move || traffic::http_get(ip)).unwrap().unwrap();
    lab.settle().unwrap();
    let after = lab.tapped().unwrap();
    lab.middle.ip("link set d0 up\n").unwrap();
    assert!(
        sensor.says("interfaces watched from now on: d0"),
        "{}",
        sensor.stderr()
    );
    let done = sensor.stop().unwrap();
    let frames = done.check_sums().unwrap().frames;
    assert_eq!(frames, after.iter().sum::<u64>() - before.iter().sum::<u64>());
    let rows = done.conns().unwrap();
    assert!(
        rows.iter()
            .any(|r| r["id.orig_p"] == port && r["conn_state"] == "SF")
    );
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn two_ports_of_a_bridge_see_what_passes_twice() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["m?"], logs.path(), &[]).expect("a sensor");
    assert!(sensor.stderr().contains("seen twice"), "{}", sensor.stderr());
    sensor.stop().unwrap();
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn many_that_come_and_go_are_said_in_few_lines() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["v*"], logs.path(), &["--exit-when-gone"]).expect("a sensor");
    const MANY: usize = 100;
    let all = |what: &dyn Fn(usize) -> String| {
        let lines: Vec<String> = (0..MANY).map(what).collect();
        lab.middle.ip(&lines.join("\n")).unwrap();
    };
    all(&|n| format!("link add v{n} type bridge\nlink set v{n} up"));
    all(&|n| format!("link del v{n}"));
    lab.middle.ip("link add vlast type bridge\n").unwrap();
    says_times(&sensor, "vlast", 1);
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let lines = done.stderr.lines().filter(|l| l.contains("interfaces ")).count();
    assert!(lines < MANY / 2, "{lines}: {}", done.stderr);
    let stats = done.log("stats.log").unwrap();
    let ifaces: Vec<_> = stats.iter().filter_map(|r| r["iface"].as_str()).collect();
    assert_eq!(ifaces.last(), Some(&"vlast"), "those that are gone have no row");
}

/// The server's two ports in a bond.
fn bonded(lab: &Lab) -> bool {
    let mac = |m: [u8; 6]| m.map(|b| format!("{b:02x}")).join(":");
    if lacks(
        "bond",
        lab.server
            .ip("link add bond0 type bond mode active-backup miimon 10"),
    ) {
        return false;
    }
    lab.middle
        .ip(&format!(
            "link add m2 type veth peer name s1 netns {}\nlink set m2 master br0 up",
            lab.server.name()
        ))
        .unwrap();
    lab.server
        .ip(&format!(
            "addr flush dev s0
             link set s0 down
             link set s1 down
             link set bond0 address {} arp off
             link set s0 master bond0
             link set s1 master bond0
             link set bond0 up
             addr add {SERVER_V4}/24 dev bond0
             neigh add {CLIENT_V4} lladdr {} dev bond0 nud permanent",
            mac(SERVER_MAC),
            mac(CLIENT_MAC)
        ))
        .unwrap();
    let offloads = || {
        link::set_offloads("s1", false)?;
        link::set_offloads("bond0", false)
    };
    lab.server.run(offloads).unwrap().unwrap();
    true
}

/// What `dev` received and sent while a sensor watched and a client sent and fetched something; with what the sensor left.
fn counted(lab: &Lab, dev: &'static str, ifaces: &[&str], ip: IpAddr) -> (u64, Finished) {
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.server, ifaces, logs.path(), &["--conn-tcp-stats"]).expect("a sensor");
    let count = || {
        let s = lab.server.run(move || link::stats(dev)).unwrap().unwrap();
        s.rx_packets + s.tx_packets
    };
    let before = count();
    let transfers = || anyhow::Ok((traffic::upload(ip, 1_000_000)?, traffic::download(ip, 1_000_000)?));
    lab.client.run(transfers).unwrap().unwrap();
    lab.settle().unwrap();
    let counted = count() - before;
    let done = sensor.stop().unwrap();
    for r in done.conns().unwrap().iter().filter(|r| r["proto"] == "tcp") {
        // Of what is seen twice every packet is.
        let again = |side: &str| r[format!("{side}_rexmit_pkts")].as_u64().unwrap();
        assert!(
            again("orig") + again("resp") < 50,
            "something was seen twice: {r:#}"
        );
        assert_eq!(r["conn_state"], "SF", "{r:#}");
    }
    (counted, done)
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_bond_and_its_members_count_once() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    if !bonded(&lab) {
        return;
    }
    let logs = TempDir::new().unwrap();
    let said = refused(&lab.server, &["bond0", "s1"], &logs);
    assert!(
        said.contains("bond0") && said.contains("s1") && said.contains("twice"),
        "{said}"
    );
    let (frames, done) = counted(&lab, "bond0", &["s*,bond*"], server_ip(false));
    assert!(done.stderr.contains("watching bond0 with"), "{}", done.stderr);
    assert!(
        done.stderr.contains("s1 (its packets are seen on bond0, too)"),
        "{}",
        done.stderr
    );
    assert_eq!(done.check_sums().unwrap().frames, frames);
    // The members by themselves see the same.
    let (frames, done) = counted(&lab, "bond0", &["s?"], server_ip(false));
    assert!(done.stderr.contains("watching s0, s1 with"), "{}", done.stderr);
    assert_eq!(done.check_sums().unwrap().frames, frames);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_vlan_device_and_the_one_below_count_once() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    for (ns, dev, me) in [(&lab.client, "c0", 1), (&lab.server, "s0", 2)] {
        ns.run(move || link::set_vlan_offload(dev, false))
            .unwrap()
            .unwrap();
        let made = ns.ip(&format!(
            "link add v7 link {dev} type vlan id 7
             link set v7 arp on up
             addr add 10.99.7.{me}/24 dev v7"
        ));
        if lacks("VLAN device", made) {
            return;
        }
        ns.run(|| link::set_offloads("v7", false)).unwrap().unwrap();
    }
    let ip: IpAddr = "10.99.7.2".parse().unwrap();
    let logs = TempDir::new().unwrap();
    let said = refused(&lab.server, &["v7", "s0"], &logs);
    assert!(
        said.contains("v7") && said.contains("s0") && said.contains("twice"),
        "{said}"
    );
    // Below, all is seen, with tags.
    let (frames, done) = counted(&lab, "s0", &["s0,v*"], ip);
    assert!(done.stderr.contains("watching s0 with"), "{}", done.stderr);
    assert_eq!(done.check_sums().unwrap().frames, frames);
    // The device by itself: its own, without.
    let (frames, done) = counted(&lab, "v7", &["v7"], ip);
    assert!(done.stderr.contains("running in skb mode"), "{}", done.stderr);
    assert_eq!(done.check_sums().unwrap().frames, frames);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_macvlan_device_and_the_one_below_count_once() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let made = lab.server.ip(
        "link add v0 link s0 address 02:00:00:00:00:07 type macvlan mode bridge
         link set v0 arp off up
         addr add 10.99.7.2/24 dev v0",
    );
    if lacks("macvlan", made) {
        return;
    }
    let client = CLIENT_MAC.map(|b| format!("{b:02x}")).join(":");
    lab.server
        .ip(&format!(
            "neigh add 10.99.7.1 lladdr {client} dev v0 nud permanent"
        ))
        .unwrap();
    lab.client
        .ip("addr add 10.99.7.1/24 dev c0
             neigh add 10.99.7.2 lladdr 02:00:00:00:00:07 dev c0 nud permanent")
        .unwrap();
    let ip: IpAddr = "10.99.7.2".parse().unwrap();
    let logs = TempDir::new().unwrap();
    let said = refused(&lab.server, &["v0", "s0"], &logs);
    assert!(
        said.contains("v0") && said.contains("s0") && said.contains("twice"),
        "{said}"
    );
    let (frames, done) = counted(&lab, "s0", &["s0,v*"], ip);
    assert!(done.stderr.contains("watching s0 with"), "{}", done.stderr);
    assert_eq!(done.check_sums().unwrap().frames, frames);
    // By itself it merges what it sends, so that its own count is none of the wire's.
    let (_, done) = counted(&lab, "v0", &["v0"], ip);
    done.check_sums().unwrap();
}

/// What is at `path` of the numbers.
fn get(port: u16, path: &str) -> String {
    let mut s = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    write!(s, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    s.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn interfaces_of_another_network_namespace() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let outside = Namespace::new("outside").expect("a namespace");
    let by_path = Path::new("/run/netns").join(lab.middle.name());
    for (netns, port) in [(lab.middle.name(), 9471), (by_path.to_str().unwrap(), 9472)] {
        let logs = TempDir::new().unwrap();
        let mut c = outside.command(binary().unwrap());
        c.args(run_args(&["m0", "x*"], logs.path()));
        c.args([
            "--quiet",
            "--netns",
            netns,
            "--metrics",
            &format!("127.0.0.1:{port}"),
        ]);
        let sensor = Sensor::spawn(c, logs.path(), false).expect("a sensor");
        // It has come where the sensor is not, and later.
        come(&lab);
        assert!(
            sensor.says("interfaces watched from now on: x0"),
            "{}",
            sensor.stderr()
        );
        ping(&lab);
        // Whoever asks is answered where the sensor is; with yes, once it has looked around.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = outside.run(move || get(port, "/readyz")).unwrap();
            if answer.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(Instant::now() < deadline, "{answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
        lab.middle.ip("link del x0\n").unwrap();
        assert!(
            sensor.says("interfaces no longer there: x0"),
            "{}",
            sensor.stderr()
        );
        let done = sensor.stop().unwrap();
        done.check_sums().unwrap();
        assert_eq!(pings(&done), 1);
    }
    let mut c = Command::new(binary().unwrap());
    let out = c
        .args(["run", "-i", "m0", "--netns", "no-such-netns", "--log-dir"])
        .arg(TempDir::new().unwrap().path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("--netns no-such-netns: cannot open"), "{said}");
}
