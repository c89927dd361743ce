//! The testbed itself, without a sensor: every kind of traffic does what it is named for.
#![allow(unsafe_code, reason = "signals, pipes and the like are system calls")]

use std::time::Duration;

use sensor_tests::raw::{self, Crafter, Ends};
use sensor_tests::traffic::{self, Server, TlsClient, TlsVersion};
use sensor_tests::{Lab, LabOptions, Vlan, lab, one_at_a_time};

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn every_kind_of_traffic_flows() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _vlan = Vlan::new(&lab).expect("a VLAN");
    let server = Server::start(&lab.server).expect("a server");
    for v6 in [false, true] {
        let ip = lab::server_ip(v6);
        lab.client
            .run(|| {
                for version in [TlsVersion::V12, TlsVersion::V13] {
                    let tls = TlsClient::new(&server.certificate, version)?;
                    tls.exchange(ip)?;
                }
                traffic::http_get(ip)?;
                traffic::http_get(lab::vlan_server_ip(v6))?;
                traffic::udp_exchange(ip, 300)?;
                traffic::ping(ip, 56)?;
                traffic::refused(ip)?;
                traffic::unanswered_syn(lab::dark_ip(v6), 9999, Duration::from_millis(100))?;
                traffic::reset_by_client(ip)?;
                traffic::reset_by_server(ip)?;
                traffic::half_close(ip)?;
                drop(traffic::opened_then_closed(ip, true)?);
                drop(traffic::server_closes_first(ip)?);
                anyhow::Ok(())
            })
            .unwrap()
            .unwrap();
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn counters_count_the_traffic_and_nothing_else() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let before = lab.tapped().unwrap();
    // Of these the number of packets is known; TCP's depends on how busy the machine is.
    const EACH: u64 = 50;
    lab.client
        .run(|| {
            for v6 in [false, true] {
                for _ in 0..EACH {
                    traffic::udp_exchange(lab::server_ip(v6), 1000)?;
                    traffic::ping(lab::server_ip(v6), 56)?;
                }
            }
            anyhow::Ok(())
        })
        .unwrap()
        .unwrap();
    let after = lab.tapped().unwrap();
    for i in 0..2 {
        assert_eq!(after[i] - before[i], 4 * EACH);
    }
}

fn crafted(generic: bool) {
    let lab = Lab::new(LabOptions {
        generic,
        ..Default::default()
    })
    .expect("a lab");
    let crafter = Crafter::new(&lab).expect("packet sockets");
    let before = lab.tapped().unwrap();
    for v6 in [false, true] {
        let ends = Ends {
            v6,
            client_port: 40_000,
            server_port: 80,
        };
        let script = [
            raw::c(raw::SYN, 0, 0, 0),
            raw::s(raw::SYN | raw::ACK, 0, 1, 0),
            raw::c(raw::ACK, 1, 1, 10),
        ];
        crafter.play(&ends, &script).unwrap();
    }
    let after = lab.tapped().unwrap();
    assert_eq!(after[0] - before[0], 4);
    assert_eq!(after[1] - before[1], 2);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn crafted_segments_cross_and_nobody_answers() {
    let _turn = one_at_a_time();
    crafted(false);
    crafted(true);
}

/// Not a test: what [`a_signal_removes_the_lab`] runs and ends.
#[test]
#[ignore = "a part of a_signal_removes_the_lab"]
fn hold_a_lab() {
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    println!("\nlab {}", lab.middle.name());
    std::thread::sleep(Duration::from_secs(20));
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_signal_removes_the_lab() {
    use std::io::{BufRead, BufReader};
    let _turn = one_at_a_time();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hold_a_lab", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let name = out
        .lines()
        .map_while(Result::ok)
        .find_map(|l| l.strip_prefix("lab ").map(str::to_owned));
    // SAFETY: kill has no memory preconditions; the child has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let status = child.wait().unwrap();
    let name = name.expect("the child made a lab");
    assert_eq!(status.code(), Some(128 + libc::SIGINT));
    assert!(!std::path::Path::new("/run/netns").join(name).exists());
}
