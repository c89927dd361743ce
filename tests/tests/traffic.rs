//! The testbed itself, without a sensor: every kind of traffic does what it is named for.

use std::time::Duration;

use sensor_tests::raw::{self, Crafter, Ends};
use sensor_tests::traffic::{self, Server, TlsClient, TlsVersion};
use sensor_tests::{Lab, LabOptions, Vlan, lab, link, root_or_say_so};

#[test]
fn every_kind_of_traffic_flows() {
    if !root_or_say_so("every_kind_of_traffic_flows") {
        return;
    }
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
fn counters_count_the_traffic_and_nothing_else() {
    if !root_or_say_so("counters_count_the_traffic_and_nothing_else") {
        return;
    }
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let read = |dev: &'static str| lab.middle.run(move || link::stats(dev)).unwrap().unwrap();
    let before = (read("m0"), read("m1"));
    let t = lab
        .client
        .run(|| traffic::upload(lab::server_ip(true), 5_000_000))
        .unwrap()
        .unwrap();
    let after = (read("m0"), read("m1"));
    assert_eq!(after.0.rx_packets - before.0.rx_packets, t.segs_out);
    assert_eq!(after.1.rx_packets - before.1.rx_packets, t.segs_in);
}

#[test]
fn crafted_segments_cross_and_nobody_answers() {
    if !root_or_say_so("crafted_segments_cross_and_nobody_answers") {
        return;
    }
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let crafter = Crafter::new(&lab).expect("packet sockets");
    let read = |dev: &'static str| lab.middle.run(move || link::stats(dev)).unwrap().unwrap();
    let before = (read("m0"), read("m1"));
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
    let after = (read("m0"), read("m1"));
    assert_eq!(after.0.rx_packets - before.0.rx_packets, 4);
    assert_eq!(after.1.rx_packets - before.1.rx_packets, 2);
}
