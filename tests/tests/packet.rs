//! `--datapath packet`: a packet socket in the place of the program in the kernel. What it says of traffic is what the program
//! says of the same traffic.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use sensor_tests::lab::{dark_ip, server_ip, vlan_server_ip};
use sensor_tests::rows::{check, plain, row};
use sensor_tests::sensor::{Finished, TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server};
use sensor_tests::vlan::Vlan;
use sensor_tests::{Lab, LabOptions, Sensor, link, one_at_a_time};

const PACKET: [&str; 2] = ["--datapath", "packet"];

/// Traffic of many kinds.
fn all_kinds() -> Result<()> {
    for v6 in [false, true] {
        let ip = server_ip(v6);
        traffic::of_many_kinds(ip, dark_ip(v6), 2_000_000)?;
        traffic::reset_by_server(ip)?;
    }
    traffic::http_get(vlan_server_ip(false))?;
    Ok(())
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn it_says_what_the_program_says() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _vlan = Vlan::new(&lab).expect("a VLAN");
    let _server = Server::start(&lab.server).expect("a server");
    let (of_xdp, of_packet) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let more = [
        "--rx-only",
        "--vlan-columns",
        "--conn-tcp-stats",
        "--l2-columns",
        "--workers",
        "1",
    ];
    let xdp = Sensor::start(&lab.middle, &lab.taps(), of_xdp.path(), &more).expect("a sensor");
    let both = [&more[..], &PACKET].concat();
    let packet = Sensor::start(&lab.middle, &lab.taps(), of_packet.path(), &both).expect("a sensor");
    assert!(
        packet.stderr().contains("every packet is copied"),
        "{}",
        packet.stderr()
    );
    lab.client.run(all_kinds).unwrap().expect("traffic");
    lab.settle().unwrap();
    let (xdp, packet) = (xdp.stop().unwrap(), packet.stop().unwrap());
    let frames = |done: &Finished| {
        let sums = done.check_sums().unwrap();
        (sums.frames, sums.payload)
    };
    for log in ["conn.log", "http.log", "weird.log", "files.log"] {
        let (expected, got) = (plain(&xdp, log), plain(&packet, log));
        assert_eq!(got.len(), expected.len(), "{log}: {got:#?}\n{expected:#?}");
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(got, expected, "{log}");
        }
    }
    assert!(
        plain(&packet, "conn.log")
            .iter()
            .any(|r| r.contains("\"vlan\":7"))
    );
    // The program has packets put together out of fragments in its second sum, too.
    assert_eq!(frames(&packet).0, frames(&xdp).0);
    assert!(!packet.stderr.contains("missed"), "{}", packet.stderr);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_the_kernel_carries_as_one_is_counted_as_on_the_wire() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions {
        offload: true,
        ..LabOptions::default()
    })
    .expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let more = [&PACKET[..], &["--conn-tcp-stats"]].concat();
    let sensor = Sensor::start(&lab.server, &["s0"], logs.path(), &more).expect("a sensor");
    const BYTES: u64 = 3_000_000;
    let mut ports = Vec::new();
    for v6 in [false, true] {
        let ip = server_ip(v6);
        let both = move || anyhow::Ok((traffic::upload(ip, BYTES)?, traffic::download(ip, BYTES)?));
        ports.push((ip, lab.client.run(both).unwrap().unwrap()));
    }
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let rows = done.conns().unwrap();
    for (ip, (up, down)) in ports {
        // What a packet has besides its payload: options with timestamps.
        let (mss, head) = if ip.is_ipv4() { (1448, 52) } else { (1428, 72) };
        for (port, side) in [(up, "orig"), (down, "resp")] {
            let r = row(&rows, ip, port);
            check(
                r,
                &[
                    ("conn_state", "SF".into()),
                    ("missed_bytes", 0.into()),
                    (&format!("{side}_bytes"), BYTES.into()),
                ],
            );
            let of = |what: &str| r[format!("{side}_{what}")].as_u64().unwrap();
            let packets = of("pkts");
            assert!(packets >= BYTES / mss, "{r:#}");
            // SYN has more options. The sender may have thought some lost; what only came late counts as sent again, too.
            let more = of("ip_bytes").checked_sub(BYTES + packets * head);
            let most = of("rexmit_bytes") + 2 * 20;
            assert!(more.is_some_and(|more| more <= most), "{r:#}");
        }
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn the_loopback_is_seen_once() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let _server = Server::start(&lab.server).expect("a server");
    lab.server
        .run(|| link::set_offloads("lo", false))
        .unwrap()
        .unwrap();
    let logs = TempDir::new().unwrap();
    let more = [&PACKET[..], &["--metrics", "127.0.0.1:9473"]].concat();
    let sensor = Sensor::start(&lab.server, &["lo"], logs.path(), &more).expect("a sensor");
    let counted = || lab.server.run(|| link::stats("lo")).unwrap().unwrap().rx_packets;
    let before = counted();
    let port = lab.server.run(move || traffic::http_get(here)).unwrap().unwrap();
    lab.settle().unwrap();
    // The numbers are those of a run with the program; who asks is seen, too.
    let numbers = || {
        let mut s = TcpStream::connect(("127.0.0.1", 9473)).unwrap();
        write!(s, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut page = String::new();
        s.read_to_string(&mut page).unwrap();
        page
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut page = String::new();
    let entries = |page: &str| {
        let line = page
            .lines()
            .find_map(|l| l.strip_prefix("sensor_flow_table_entries "));
        line.is_some_and(|n| n != "0")
    };
    while !entries(&page) {
        assert!(Instant::now() < deadline, "{page}");
        std::thread::sleep(Duration::from_millis(200));
        page = lab.server.run(numbers).unwrap();
    }
    assert!(page.contains("\nsensor_frames_tracked_total "), "{page}");
    lab.settle().unwrap();
    let frames = counted() - before;
    let done = sensor.stop().unwrap();
    assert_eq!(done.check_sums().unwrap().frames, frames);
    let rows = done.conns().unwrap();
    check(
        row(&rows, here, port),
        &[("conn_state", "SF".into()), ("service", "http".into())],
    );
}

/// Sends the sensor a signal by its name.
fn signal(name: &str, to: &Sensor) {
    let sent = Command::new("kill").args([name, &to.pid().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn what_finds_no_room_is_counted() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let more = [&PACKET[..], &["--rx-only", "--ring-mib", "1"]].concat();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &more).expect("a sensor");
    let before = lab.tapped().unwrap();
    signal("-STOP", &sensor);
    let ip = server_ip(false);
    let sent = lab.client.run(move || traffic::upload(ip, 5_000_000)).unwrap();
    signal("-CONT", &sensor);
    sent.unwrap();
    assert!(sensor.says("frames missed"), "{}", sensor.stderr());
    lab.settle().unwrap();
    let frames = lab.tapped().unwrap().iter().sum::<u64>() - before.iter().sum::<u64>();
    let done = sensor.stop().unwrap();
    assert_eq!(done.check_sums().unwrap().frames, frames, "{}", done.stderr);
    assert!(done.stderr.contains(" missed\n"), "{}", done.stderr);
    let stats = done.log("stats.log").unwrap();
    let sums = stats
        .iter()
        .rfind(|r| r["iface"].is_null() && r["worker"].is_null())
        .unwrap();
    assert!(sums["untracked"].to_string().contains("missed="), "{sums}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn it_needs_no_right_but_one_and_is_named_where_the_program_cannot_be() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let with = |rights: &str, more: &[&str]| {
        let mut c: Command = lab.middle.command("setpriv");
        let sets = ["--bounding-set", "--inh-caps"].map(|s| format!("{s}=-all{rights}"));
        c.args(sets).arg(binary().unwrap());
        c.args(run_args(&["m?"], logs.path()))
            .args(["--rx-only", "--quiet"])
            .args(more);
        c
    };
    let said = |mut c: Command| {
        let out = c.output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{out:?}");
        let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    };
    let refused = said(with(",+net_raw", &[]));
    assert!(
        refused.contains("CAP_BPF") && refused.contains("--datapath packet"),
        "{refused}"
    );
    let refused = said(with("", &PACKET));
    assert!(
        refused.contains("CAP_NET_RAW") && !refused.contains("--datapath"),
        "{refused}"
    );
    let sensor = Sensor::spawn(with(",+net_raw", &PACKET), logs.path(), false).expect("a sensor");
    let _server = Server::start(&lab.server).expect("a server");
    let ip = server_ip(false);
    let port = lab.client.run(move || traffic::http_get(ip)).unwrap().unwrap();
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    check(
        row(&done.conns().unwrap(), ip, port),
        &[("conn_state", "SF".into())],
    );
}
