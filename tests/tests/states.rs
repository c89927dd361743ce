//! All thirteen values of conn_state, by crafted segments, with history, packets and bytes.

use std::process::Command;

use sensor_tests::raw::{ACK, Crafter, Ends, FIN, RST, SYN, Segment, Side, c, s};
use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};

struct Case {
    state: &'static str,
    history: &'static str,
    /// Payload bytes of originator and responder, where conn.log is to have them.
    bytes: Option<(u64, u64)>,
    segments: &'static [Segment],
}

const fn case(
    state: &'static str,
    history: &'static str,
    bytes: Option<(u64, u64)>,
    segments: &'static [Segment],
) -> Case {
    Case {
        state,
        history,
        bytes,
        segments,
    }
}

/// The client is the originator in all of them: the server's port is a well-known one, which decides
/// where no SYN was seen.
const CASES: [Case; 13] = [
    case("S0", "S", None, &[c(SYN, 0, 0, 0)]),
    case(
        "S1",
        "ShADad",
        Some((100, 200)),
        &[
            c(SYN, 0, 0, 0),
            s(SYN | ACK, 0, 1, 0),
            c(ACK, 1, 1, 0),
            c(ACK, 1, 1, 100),
            s(ACK, 1, 101, 0),
            s(ACK, 1, 101, 200),
            c(ACK, 101, 201, 0),
        ],
    ),
    case(
        "SF",
        "ShADadFf",
        Some((100, 200)),
        &[
            c(SYN, 0, 0, 0),
            s(SYN | ACK, 0, 1, 0),
            c(ACK, 1, 1, 0),
            c(ACK, 1, 1, 100),
            s(ACK, 1, 101, 0),
            s(ACK, 1, 101, 200),
            c(ACK, 101, 201, 0),
            c(FIN | ACK, 101, 201, 0),
            s(FIN | ACK, 201, 102, 0),
            c(ACK, 102, 202, 0),
        ],
    ),
    case(
        "REJ",
        "Sr",
        Some((0, 0)),
        &[c(SYN, 0, 0, 0), s(RST | ACK, 0, 1, 0)],
    ),
    case(
        "S2",
        "ShAFa",
        None,
        &[
            c(SYN, 0, 0, 0),
            s(SYN | ACK, 0, 1, 0),
            c(ACK, 1, 1, 0),
            c(FIN | ACK, 1, 1, 0),
            s(ACK, 1, 2, 0),
        ],
    ),
    case(
        "S3",
        "ShAf",
        None,
        &[
            c(SYN, 0, 0, 0),
            s(SYN | ACK, 0, 1, 0),
            c(ACK, 1, 1, 0),
            s(FIN | ACK, 1, 1, 0),
            c(ACK, 1, 2, 0),
        ],
    ),
    case(
        "RSTO",
        "ShADR",
        Some((50, 0)),
        &[
            c(SYN, 0, 0, 0),
            s(SYN | ACK, 0, 1, 0),
            c(ACK, 1, 1, 0),
            c(ACK, 1, 1, 50),
            c(RST | ACK, 51, 1, 0),
        ],
    ),
    case(
        "RSTR",
        "ShADr",
        Some((50, 0)),
        &[
            c(SYN, 0, 0, 0),
            s(SYN | ACK, 0, 1, 0),
            c(ACK, 1, 1, 0),
            c(ACK, 1, 1, 50),
            s(RST | ACK, 1, 51, 0),
        ],
    ),
    case("RSTOS0", "SR", None, &[c(SYN, 0, 0, 0), c(RST, 1, 0, 0)]),
    case(
        "RSTRH",
        "^hr",
        None,
        &[s(SYN | ACK, 0, 1, 0), s(RST | ACK, 1, 1, 0)],
    ),
    case("SH", "SF", None, &[c(SYN, 0, 0, 0), c(FIN, 1, 0, 0)]),
    case(
        "SHR",
        "^hf",
        None,
        &[s(SYN | ACK, 0, 1, 0), s(FIN | ACK, 1, 1, 0)],
    ),
    case("OTH", "Da", None, &[c(ACK, 1, 1, 10), s(ACK, 1, 11, 0)]),
];

/// The client's port of a case.
fn port(case: usize) -> u16 {
    41_000 + case as u16
}

/// `extra`: the sensor's options.
fn thirteen_states(generic: bool, extra: &[&str]) {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions {
        generic,
        ..Default::default()
    })
    .expect("a lab");
    let crafter = Crafter::new(&lab).expect("packet sockets");
    let logs = TempDir::new().unwrap();
    let options = [&["--rx-only"], extra].concat();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    let shown = Command::new("ip")
        .args(["-n", lab.middle.name(), "link", "show", "dev", lab.taps()[0]])
        .output()
        .expect("ip");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(
        shown.contains("xdpgeneric"),
        generic || extra.contains(&"--skb-mode"),
        "{shown}"
    );
    assert!(shown.contains("xdp"), "{shown}");
    // The fallback is said in one line an interface; what was asked for is no fallback.
    let said = sensor.stderr();
    let lines = said.lines().filter(|l| l.contains("no native XDP")).count();
    assert_eq!(lines, if generic { 2 } else { 0 }, "{said}");
    let mut sent = 0;
    for v6 in [false, true] {
        for (i, case) in CASES.iter().enumerate() {
            let ends = Ends {
                v6,
                client_port: port(i),
                server_port: 80,
            };
            crafter.play(&ends, case.segments).unwrap();
            sent += case.segments.len() as u64;
        }
    }
    let done = sensor.stop().unwrap();
    assert_eq!(done.check_sums().unwrap().frames, sent);
    let rows = done.conns().unwrap();
    assert_eq!(rows.len(), 2 * CASES.len(), "one row a connection: {rows:#?}");

    let mut wrong = Vec::new();
    for v6 in [false, true] {
        for (i, case) in CASES.iter().enumerate() {
            let ends = Ends {
                v6,
                client_port: port(i),
                server_port: 80,
            };
            let (client, server) = ends.ips();
            let Some(row) = rows
                .iter()
                .find(|r| r["id.orig_p"] == port(i) && r["id.orig_h"] == client.to_string())
            else {
                wrong.push(format!("{} (IPv6 {v6}): no row", case.state));
                continue;
            };
            let sum = |side: Side| {
                let of = case.segments.iter().filter(|g| g.from == side);
                (of.clone().count() as u64, of.map(|g| ends.ip_len(g)).sum::<u64>())
            };
            let (orig, resp) = (sum(Side::Client), sum(Side::Server));
            let mut want = serde_json::json!({
                "id.resp_h": server.to_string(),
                "id.resp_p": 80,
                "proto": "tcp",
                "conn_state": case.state,
                "history": case.history,
                "orig_pkts": orig.0,
                "orig_ip_bytes": orig.1,
                "resp_pkts": resp.0,
                "resp_ip_bytes": resp.1,
                "missed_bytes": 0,
                "ip_proto": 6,
            });
            if let Some((o, r)) = case.bytes {
                want["orig_bytes"] = o.into();
                want["resp_bytes"] = r.into();
            }
            for (column, value) in want.as_object().expect("an object") {
                if row[column] != *value {
                    wrong.push(format!(
                        "{} (IPv6 {v6}): {column} is {} instead of {value}",
                        case.state, row[column]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn thirteen_states_with_native_xdp() {
    thirteen_states(false, &[]);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn thirteen_states_where_the_driver_knows_no_xdp() {
    thirteen_states(true, &[]);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn thirteen_states_in_skb_mode_by_choice() {
    thirteen_states(false, &["--skb-mode"]);
}
