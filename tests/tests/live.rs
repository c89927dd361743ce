//! The sensor under real traffic: what its rows say against what the sockets and interfaces counted.

use std::time::Duration;

use sensor_tests::rows::{check, row};
use sensor_tests::sensor::{Finished, TempDir};
use sensor_tests::traffic::{self, Server, TlsClient, TlsVersion, port};
use sensor_tests::{Lab, LabOptions, Sensor, Vlan, lab, link, one_at_a_time};

/// Bytes of the big transfer: 1 GB, or `SENSOR_TEST_BYTES`.
fn big() -> u64 {
    std::env::var("SENSOR_TEST_BYTES")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(1_000_000_000)
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn two_interfaces_see_real_traffic_as_it_was() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let vlan = Vlan::new(&lab).expect("a VLAN");
    let server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).expect("a sensor");
    let before = lab.tapped().unwrap();

    struct Seen {
        tls: Vec<u16>,
        http: u16,
        vlan: u16,
        udp: u16,
        reset_by_client: u16,
        reset_by_server: u16,
        half_close: u16,
        open: Vec<std::net::TcpStream>,
    }
    let all = |v6: bool| {
        let ip = lab::server_ip(v6);
        let mut tls = Vec::new();
        for version in [TlsVersion::V12, TlsVersion::V13] {
            tls.push(TlsClient::new(&server.certificate, version)?.exchange(ip)?);
        }
        traffic::ping(ip, 56)?;
        traffic::refused(ip)?;
        traffic::unanswered_syn(lab::dark_ip(v6), 9999, Duration::from_millis(100))?;
        anyhow::Ok(Seen {
            tls,
            http: traffic::http_get(ip)?,
            vlan: traffic::http_get(lab::vlan_server_ip(v6))?,
            udp: traffic::udp_exchange(ip, 300)?,
            reset_by_client: traffic::reset_by_client(ip)?,
            reset_by_server: traffic::reset_by_server(ip)?,
            half_close: traffic::half_close(ip)?,
            open: vec![
                traffic::opened_then_closed(ip, false)?,
                traffic::opened_then_closed(ip, true)?,
                traffic::server_closes_first(ip)?,
            ],
        })
    };
    let seen = [false, true].map(|v6| lab.client.run(|| all(v6)).unwrap().unwrap());
    lab.settle().unwrap();
    let after = lab.tapped().unwrap();
    let done = sensor.stop().unwrap();
    drop(vlan);

    let sums = done.check_sums().unwrap();
    let received: u64 = after.iter().sum::<u64>() - before.iter().sum::<u64>();
    assert_eq!(
        sums.frames, received,
        "frames the sensor saw, and the interfaces received"
    );
    let rows = done.conns().unwrap();
    for (v6, seen) in [false, true].into_iter().zip(&seen) {
        let ip = lab::server_ip(v6);
        let headers = if v6 { 48 } else { 28 };
        for &p in &seen.tls {
            check(
                row(&rows, ip, p),
                &[("conn_state", "SF".into()), ("id.resp_p", 443.into())],
            );
        }
        for (ip, p) in [(ip, seen.http), (lab::vlan_server_ip(v6), seen.vlan)] {
            let r = row(&rows, ip, p);
            check(r, &[("conn_state", "SF".into()), ("missed_bytes", 0.into())]);
            assert!(r["resp_bytes"].as_u64() > Some(2000), "{r:#}");
        }
        check(
            row(&rows, ip, seen.udp),
            &[
                ("proto", "udp".into()),
                ("conn_state", "SF".into()),
                ("history", "Dd".into()),
                ("orig_bytes", 300.into()),
                ("resp_bytes", 300.into()),
                ("orig_pkts", 1.into()),
                ("resp_pkts", 1.into()),
                ("orig_ip_bytes", (300 + headers).into()),
                ("resp_ip_bytes", (300 + headers).into()),
            ],
        );
        let ping = rows
            .iter()
            .find(|r| r["proto"] == "icmp" && r["id.resp_h"] == ip.to_string())
            .expect("a row for the ping");
        check(
            ping,
            &[
                ("conn_state", "OTH".into()),
                ("id.orig_p", if v6 { 128 } else { 8 }.into()),
                ("id.resp_p", if v6 { 129 } else { 0 }.into()),
                ("orig_bytes", 56.into()),
                ("resp_bytes", 56.into()),
                ("orig_pkts", 1.into()),
                ("resp_pkts", 1.into()),
                ("ip_proto", if v6 { 58 } else { 1 }.into()),
            ],
        );
        let by_port = |resp_h: std::net::IpAddr, p: u16| {
            rows.iter()
                .find(|r| r["id.resp_p"] == p && r["id.resp_h"] == resp_h.to_string())
                .unwrap_or_else(|| panic!("no row to port {p}"))
        };
        check(
            by_port(ip, port::REFUSED),
            &[("conn_state", "REJ".into()), ("history", "Sr".into())],
        );
        check(
            by_port(lab::dark_ip(v6), 9999),
            &[
                ("conn_state", "S0".into()),
                ("history", "S".into()),
                ("orig_pkts", 1.into()),
            ],
        );
        check(
            row(&rows, ip, seen.reset_by_client),
            &[("conn_state", "RSTO".into()), ("orig_bytes", 500.into())],
        );
        check(
            row(&rows, ip, seen.reset_by_server),
            &[("conn_state", "RSTR".into()), ("resp_bytes", 1000.into())],
        );
        let r = row(&rows, ip, seen.half_close);
        check(r, &[("conn_state", "SF".into()), ("resp_bytes", 4000.into())]);
        let history = r["history"].as_str().expect("a history");
        assert!(history.find('F') < history.find('d'), "{history}");
        for (stream, state) in seen.open.iter().zip(["S1", "S2", "S3"]) {
            let p = stream.local_addr().unwrap().port();
            check(row(&rows, ip, p), &[("conn_state", state.into())]);
        }
    }
}

/// The row of a transfer has exactly the packets that the interfaces counted.
fn transfer(options: LabOptions, bytes: u64) {
    let _turn = one_at_a_time();
    let lab = Lab::new(options).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let extra = ["--rx-only", "--capture-loss", "1"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &extra).expect("a sensor");
    let before = lab.tapped().unwrap();
    let ip = lab::server_ip(false);
    let port = lab.client.run(|| traffic::upload(ip, bytes)).unwrap().unwrap();
    lab.settle().unwrap();
    let after = lab.tapped().unwrap();
    let done = sensor.stop().unwrap();
    let rows = done.conns().unwrap();
    let r = row(&rows, ip, port);
    check(
        r,
        &[
            ("conn_state", "SF".into()),
            ("orig_bytes", bytes.into()),
            ("resp_bytes", 8.into()),
            ("orig_pkts", (after[0] - before[0]).into()),
            ("resp_pkts", (after[1] - before[1]).into()),
        ],
    );
    let loss = done.log("capture_loss.log").unwrap();
    let sum = |column: &str| loss.iter().filter_map(|r| r[column].as_u64()).sum::<u64>();
    let acks = sum("acks");
    // Nearly each of the server's packets acknowledges something. Most stay in the kernel, and their number is a guess, too
    // large where they get rarer.
    let answers = after[1] - before[1];
    assert!(
        (answers / 2..=answers * 3).contains(&acks),
        "{acks} acknowledgements in {answers} packets"
    );
    // What is sent again may come up after its acknowledgement, which another CPU handles.
    if !r["history"].to_string().contains('T') {
        check(r, &[("missed_bytes", 0.into())]);
        assert_eq!(sum("gaps"), 0);
    }
    let frames = (after[0] - before[0]) + (after[1] - before[1]);
    assert_eq!(done.check_sums().unwrap().frames, frames);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_big_transfer_is_counted_to_the_packet() {
    transfer(LabOptions::default(), big());
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_transfer_in_jumbo_frames_is_counted_to_the_packet() {
    let options = LabOptions {
        mtu: 9000,
        ..Default::default()
    };
    transfer(options, 50_000_000);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_transfer_under_generic_xdp_is_counted_to_the_packet() {
    let options = LabOptions {
        generic: true,
        ..Default::default()
    };
    transfer(options, 50_000_000);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_hosts_own_interface_shows_both_directions() {
    let _turn = one_at_a_time();
    // With segmentation offload: what the host sends is many wire packets at a time.
    let lab = Lab::new(LabOptions {
        offload: true,
        ..Default::default()
    })
    .expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.server, &["s0"], logs.path(), &[]).expect("a sensor");
    let counted = || {
        lab.server
            .run(|| anyhow::Ok((link::stats("s0")?.rx_packets, link::sent("s0")?)))
            .unwrap()
            .unwrap()
    };
    let (received, sent) = counted();
    const BYTES: u64 = 20_000_000;
    let mut transfers = Vec::new();
    for v6 in [false, true] {
        let ip = lab::server_ip(v6);
        let (down, up) = lab
            .client
            .run(|| anyhow::Ok((traffic::download(ip, BYTES)?, traffic::upload(ip, BYTES)?)))
            .unwrap()
            .unwrap();
        transfers.push((ip, down, 8, BYTES));
        transfers.push((ip, up, BYTES, 8));
    }
    lab.settle().unwrap();
    let (received_then, sent_then) = counted();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let rows = done.conns().unwrap();
    for (ip, port, orig, resp) in transfers {
        let want = [
            ("conn_state", "SF".into()),
            ("orig_bytes", orig.into()),
            ("resp_bytes", resp.into()),
        ];
        check(row(&rows, ip, port), &want);
    }
    // Not by connection: what a socket in TIME_WAIT or none at all answers to a late packet no socket
    // counts.
    let sum = |column: &str| -> u64 { rows.iter().filter_map(|r| r[column].as_u64()).sum() };
    let packets = sent_then.0 - sent.0;
    assert_eq!(sum("orig_pkts"), received_then - received, "{rows:#?}");
    assert_eq!(sum("resp_pkts"), packets, "{rows:#?}");
    const ETHERNET: u64 = 14;
    let bytes = sent_then.1 - sent.1 - packets * ETHERNET;
    assert_eq!(sum("resp_ip_bytes"), bytes, "{rows:#?}");
}

/// Connections that make a load.
const ENOUGH: usize = 50;

/// Short connections from two threads and a long one, until told to stop; the client ports of those
/// that had ended by then.
fn load(lab: &Lab, run: impl FnOnce() -> Finished) -> (Vec<u16>, Finished) {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    let stop = AtomicBool::new(false);
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                lab.client.run(|| {
                    while !stop.load(Ordering::Relaxed) {
                        if let Ok(p) = traffic::http_get(lab::server_ip(false)) {
                            ended.lock().unwrap().push(p);
                        }
                    }
                })
            });
        }
        s.spawn(|| {
            lab.client.run(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = traffic::upload(lab::server_ip(true), 5_000_000);
                }
            })
        });
        let started = std::time::Instant::now();
        let enough = || ended.lock().unwrap().len() > ENOUGH && started.elapsed() > Duration::from_secs(2);
        while !enough() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(50));
        }
        // What has ended now was over before the sensor was told to end.
        let before = ended.lock().unwrap().clone();
        let done = run();
        stop.store(true, Ordering::Relaxed);
        (before, done)
    })
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn sigterm_in_mid_load_loses_no_row() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).expect("a sensor");
    let (ended, done) = load(&lab, || sensor.stop().unwrap());
    let sums = done.check_sums().unwrap();
    assert!(ended.len() > ENOUGH, "only {} connections", ended.len());
    assert!(sums.payload > 0 && sums.frames > sums.payload);
    // Every line of the log is whole, or this fails.
    let rows = done.conns().unwrap();
    let have: std::collections::HashSet<u64> = rows
        .iter()
        .filter(|r| r["id.resp_p"] == port::HTTP)
        .filter_map(|r| r["id.orig_p"].as_u64())
        .collect();
    let lost: Vec<_> = ended.iter().filter(|p| !have.contains(&u64::from(**p))).collect();
    assert!(
        lost.is_empty(),
        "{} of {} rows lost: {lost:?}",
        lost.len(),
        ended.len()
    );
    let packets: u64 = rows
        .iter()
        .flat_map(|r| [r["orig_pkts"].as_u64(), r["resp_pkts"].as_u64()])
        .flatten()
        .sum();
    assert_eq!(packets, sums.frames, "the rows' packets are the frames");
}
