//! The sensor at its limits: a signal at the first moment, a full flow table, full rings, a full disk.
#![allow(unsafe_code, reason = "signals, pipes and the like are system calls")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sensor_tests::raw::{ACK, Crafter, Ends, FIN, PacketSocket, SYN, c, s};
use sensor_tests::sensor::TempDir;
use sensor_tests::traffic::{self, Server, port};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time};

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_signal_at_the_first_moment_is_obeyed() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    for _ in 0..5 {
        let logs = TempDir::new().unwrap();
        let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &[]).expect("a sensor");
        sensor.stop().expect("exit status 0").check_sums().unwrap();
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_full_flow_table_leaves_known_flows_exact() {
    const FLOWS: u64 = 64;
    const NEW: u16 = 300;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let crafter = Crafter::new(&lab).expect("packet sockets");
    let logs = TempDir::new().unwrap();
    let options = ["--rx-only", "--flows", "64", "--half-open-share", "100"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    let ends = |client_port| Ends {
        v6: false,
        client_port,
        server_port: 80,
    };
    let known = ends(42_000);
    crafter
        .play(
            &known,
            &[
                c(SYN, 0, 0, 0),
                s(SYN | ACK, 0, 1, 0),
                c(ACK, 1, 1, 0),
                c(ACK, 1, 1, 100),
            ],
        )
        .unwrap();
    for i in 0..NEW {
        crafter.play(&ends(43_000 + i), &[c(SYN, 0, 0, 0)]).unwrap();
    }
    crafter
        .play(
            &known,
            &[
                s(ACK, 1, 101, 300),
                c(ACK, 101, 301, 0),
                c(FIN | ACK, 101, 301, 0),
                s(FIN | ACK, 301, 102, 0),
                c(ACK, 102, 302, 0),
            ],
        )
        .unwrap();
    // It is said once a second.
    assert!(sensor.says("flow table"), "{}", sensor.stderr());
    let done = sensor.stop().unwrap();
    assert_eq!(done.check_sums().unwrap().frames, 9 + u64::from(NEW));
    assert!(
        done.stderr
            .lines()
            .any(|l| l.contains("flow table") && l.contains("full")),
        "{}",
        done.stderr
    );
    let rows = done.conns().unwrap();
    let row = rows
        .iter()
        .find(|r| r["id.orig_p"] == 42_000)
        .expect("the known flow's row");
    for (column, value) in [
        ("orig_pkts", 6),
        ("resp_pkts", 3),
        ("orig_bytes", 100),
        ("resp_bytes", 300),
    ] {
        assert_eq!(row[column], value, "{column} in {row:#}");
    }
    assert_eq!(row["conn_state"], "SF", "{row:#}");
    assert!(
        rows.len() as u64 <= FLOWS && rows.len() > 1,
        "{} rows",
        rows.len()
    );
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_syn_flood_leaves_room_for_real_connections() {
    const FLOOD: u32 = 40_000;
    const BYTES: u64 = 20_000;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    // Room for a twentieth of the flood, and rings that it fills.
    let options = ["--rx-only", "--flows", "4096", "--ring-mib", "1"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    let ends = Ends {
        v6: false,
        client_port: 42_000,
        server_port: 80,
    };
    let mut syn = ends.frame(&c(SYN, 0, 0, 0)).unwrap();
    let flood = lab.client.run(|| PacketSocket::open("c0")).unwrap().unwrap();
    let over = AtomicBool::new(false);
    let ports: Vec<u16> = std::thread::scope(|s| {
        s.spawn(|| {
            for i in 0..FLOOD {
                // 198.18.0.0/15 is for benchmarks; the checksum is wrong, so nobody answers.
                let [_, b, c, d] = i.to_be_bytes();
                syn[26..30].copy_from_slice(&[198, 18 + b, c, d]);
                flood.send(&syn).unwrap();
            }
            over.store(true, Ordering::Release);
        });
        let mut ports = Vec::new();
        while ports.len() < 20 || !over.load(Ordering::Acquire) {
            let one = || traffic::download(lab::server_ip(false), BYTES);
            ports.push(lab.client.run(one).unwrap().unwrap());
        }
        ports
    });
    // It is said once a second.
    assert!(sensor.says("--half-open-share"), "{}", sensor.stderr());
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    assert!(done.stderr.contains(" 0 table full"), "{}", done.stderr);
    let rows = done.conns().unwrap();
    for port in &ports {
        let mut of = rows
            .iter()
            .filter(|r| r["id.orig_p"] == *port && r["id.orig_h"] == lab::client_ip(false).to_string());
        let row = of
            .next()
            .unwrap_or_else(|| panic!("no row of port {port} in {} rows", rows.len()));
        assert_eq!(row["conn_state"], "SF", "{row:#}");
        assert_eq!(row["resp_bytes"], BYTES, "{row:#}");
        assert!(
            row["history"].as_str().is_some_and(|h| h.starts_with("ShA")),
            "{row:#}"
        );
    }
    // Each SYN has its row, or is counted as one that has none.
    let (gave_way, untold) = done.half_open().unwrap();
    let flooded = rows.iter().filter(|r| r["conn_state"] == "S0").count() as u64;
    assert_eq!(flooded + untold, u64::from(FLOOD), "{}", done.stderr);
    let counted = rows
        .iter()
        .filter(|r| r["conn_state"] == "S0" && r["orig_pkts"] == 1)
        .count() as u64;
    assert!(
        counted > flooded / 10 * 9,
        "{counted} of {flooded} rows have their packet"
    );
    assert!(gave_way > 30_000 && untold <= gave_way, "{}", done.stderr);
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_sensor_that_is_held_up_loses_payload_and_no_state() {
    const BYTES: u64 = 8_000_000;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    // Of which an eighth takes a few thousand headers: more than retransmissions on a busy machine bring.
    let options = ["--rx-only", "--ring-mib", "8"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    // SAFETY: kill has no memory preconditions; the child has not been waited for.
    let signal = |signal| unsafe { libc::kill(sensor.pid() as i32, signal) };
    signal(libc::SIGSTOP);
    let mut transfers = Vec::new();
    for v6 in [false, true] {
        let ip = lab::server_ip(v6);
        let ports = lab
            .client
            .run(|| anyhow::Ok([traffic::download(ip, BYTES)?, traffic::upload(ip, BYTES)?]))
            .unwrap()
            .unwrap();
        transfers.extend([(ports[0], 8, BYTES), (ports[1], BYTES, 8)]);
    }
    signal(libc::SIGCONT);
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    assert!(!done.stderr.contains(" 0 lost"), "{}", done.stderr);
    let rows = done.conns().unwrap();
    assert_eq!(rows.len(), transfers.len(), "{rows:#?}");
    for (port, orig, resp) in transfers {
        let row = rows.iter().find(|r| r["id.orig_p"] == port).expect("a row");
        assert_eq!(row["conn_state"], "SF", "{row:#}");
        assert_eq!(
            (&row["orig_bytes"], &row["resp_bytes"]),
            (&orig.into(), &resp.into()),
            "{row:#}"
        );
    }
}

/// Sets the largest size that a process may write a file to; None lifts it.
fn limit_files(pid: u32, bytes: Option<u64>) {
    let limit = libc::rlimit {
        rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the new limit lives through the call, no old one is asked for.
    let rc = unsafe {
        libc::prlimit(
            pid as i32,
            libc::RLIMIT_FSIZE,
            &raw const limit,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_full_disk_leaves_no_half_line_and_ends() {
    const ROWS: usize = 60;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).expect("a sensor");
    let refusals = || {
        lab.client
            .run(|| (0..ROWS).try_for_each(|_| traffic::refused(lab::server_ip(false))))
            .unwrap()
            .unwrap();
    };
    // In the middle of a line, whatever its length.
    limit_files(sensor.pid(), Some(4099));
    refusals();
    // Rows come when connections end, seconds later, and the complaint with them.
    assert!(sensor.says("conn.log"), "{}", sensor.stderr());
    let on_disk = std::fs::metadata(logs.path().join("conn.log")).map_or(0, |m| m.len());
    assert!(on_disk <= 4099);
    limit_files(sensor.pid(), None);
    refusals();
    let done = sensor.end_by(libc::SIGTERM).unwrap();
    // Fails on a half line.
    let rows = done.conns().unwrap();
    assert!(
        rows.len() >= ROWS,
        "{} rows: none after there was space again?",
        rows.len()
    );
    assert!(rows.iter().all(|r| r["id.resp_p"] == port::REFUSED));
    done.check_sums().unwrap();
}

/// The reading end of a new FIFO, opened so that nobody waits for anybody.
fn fifo(path: &std::path::Path) -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt;
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: a NUL-terminated string that outlives the call.
    let rc = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
    std::fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .unwrap()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_reader_of_events_that_does_not_read_holds_up_nothing() {
    const BYTES: u64 = 6_000_000;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events");
    let reader = fifo(&events);
    let options = [
        "--rx-only",
        "--tcp-close-delay",
        "0.2",
        "--contents",
        "both",
        "--events",
        events.to_str().unwrap(),
        "--event",
        "tcp_contents,tcp_packet",
    ];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    let download = || traffic::download(lab::server_ip(false), BYTES);
    lab.client.run(download).unwrap().unwrap();
    // Nobody has read a byte, and the row is there all the same: packets, timers and logs go on.
    let deadline = Instant::now() + Duration::from_secs(30);
    let rows = || sensor_tests::sensor::read_log(&logs.path().join("conn.log")).unwrap_or_default();
    while rows().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    let rows = rows();
    assert_eq!(rows.len(), 1, "the connection's row");
    assert_eq!(rows[0]["resp_bytes"], BYTES);
    assert_eq!(rows[0]["missed_bytes"], 0, "{:#}", rows[0]);
    // From here on somebody reads to the end.
    let reading = std::thread::spawn(move || {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open; only its flags change.
        unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, 0) };
        let mut text = String::new();
        (&reader).read_to_string(&mut text).map(|_| text)
    });
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    assert!(done.stderr.contains(" 0 lost"), "{}", done.stderr);
    let (mut seen, mut missing) = (0, 0);
    for line in reading.join().unwrap().unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        match event["event"].as_str() {
            Some("events_dropped") => missing += event["args"]["count"].as_u64().unwrap(),
            _ => seen += 1,
        }
    }
    assert!(
        seen > 0 && missing > 0,
        "{seen} events, {missing} said to be missing"
    );
    let stats = done.log("stats.log").unwrap();
    let sums = stats
        .iter()
        .rfind(|r| r["iface"].is_null() && r["worker"].is_null());
    let last = sums.expect("a row");
    assert_eq!(last["events_dropped"], missing, "{last:#}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_reader_of_events_that_never_reads_does_not_keep_the_sensor() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events");
    let reader = fifo(&events);
    let options = [
        "--rx-only",
        "--contents",
        "both",
        "--events",
        events.to_str().unwrap(),
    ];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    lab.client
        .run(|| traffic::download(lab::server_ip(false), 2_000_000))
        .unwrap()
        .unwrap();
    let done = sensor.end_by(libc::SIGTERM).unwrap();
    // It ends in order; that events were lost is said, and is a failure.
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stderr.contains("does not read"), "{}", done.stderr);
    done.check_sums().unwrap();
    assert_eq!(done.conns().unwrap().len(), 1);
    drop(reader);
}

/// A pager that was left open, a terminal stopped by Ctrl-S, a pipe to something that hangs.
#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_standard_output_that_nobody_reads_holds_up_nothing() {
    const CONNECTIONS: usize = 2000;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let mut command = lab.middle.command(sensor_tests::sensor::binary().unwrap());
    command
        .args(sensor_tests::sensor::run_args(&lab.taps(), logs.path()))
        .arg("--rx-only")
        .stdout(std::process::Stdio::piped());
    let sensor = Sensor::spawn(command, logs.path(), false).expect("a sensor");
    // Their lines are more than a pipe holds.
    let refused = || (0..CONNECTIONS).try_for_each(|_| traffic::refused(lab::server_ip(false)));
    lab.client.run(refused).unwrap().unwrap();
    let rows = || sensor_tests::sensor::read_log(&logs.path().join("conn.log")).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(60);
    while rows().len() < CONNECTIONS && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(rows().len(), CONNECTIONS);
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    assert!(done.stderr.contains("not printed"), "{}", done.stderr);
}

/// Far more than a direction may send unacknowledged (10 MiB), in one that nobody wants: what the kernel kept is replayed in
/// large pieces.
#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_long_transfer_that_stays_below_is_accounted_with_and_without_loss() {
    const SEGMENTS: u32 = 20_000;
    const LEN: u32 = 1448;
    const BURST: u32 = 64;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let crafter = Crafter::new(&lab).expect("packet sockets");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &["--rx-only"]).expect("a sensor");
    for (client_port, lost) in [(43_000, None), (43_001, Some(SEGMENTS / 2))] {
        let ends = Ends {
            v6: false,
            client_port,
            server_port: 7777,
        };
        let open = [
            c(SYN, 0, 0, 0),
            s(SYN | ACK, 0, 1, 0),
            c(ACK, 1, 1, 0),
            c(ACK, 1, 1, 100),
        ];
        crafter.play(&ends, &open).unwrap();
        for n in 0..SEGMENTS {
            if Some(n) != lost {
                crafter
                    .send(&ends, &s(ACK, 1 + n * LEN, 101, LEN as usize))
                    .unwrap();
            }
            if n % BURST == BURST - 1 || n == SEGMENTS - 1 {
                std::thread::sleep(Duration::from_millis(1));
                crafter.play(&ends, &[c(ACK, 101, 1 + (n + 1) * LEN, 0)]).unwrap();
            }
        }
        let end = 1 + SEGMENTS * LEN;
        let close = [
            s(FIN | ACK, end, 101, 0),
            c(FIN | ACK, 101, end + 1, 0),
            s(ACK, end + 1, 102, 0),
        ];
        crafter.play(&ends, &close).unwrap();
    }
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    done.check_sums().unwrap();
    let conns = done.conns().unwrap();
    for (client_port, missed, history) in [(43_000, 0, "ShADdfFa"), (43_001, LEN, "ShADdgfFa")] {
        let mut rows = conns.iter().filter(|r| r["id.orig_p"] == client_port);
        let row = rows.next().expect("a row");
        assert!(rows.next().is_none(), "one row");
        assert_eq!(row["missed_bytes"], missed, "{row:#}");
        assert_eq!(row["resp_bytes"], SEGMENTS * LEN, "{row:#}");
        assert_eq!(row["conn_state"], "SF", "{row:#}");
        assert_eq!(row["history"], history, "{row:#}");
    }
    let weirds = done.log("weird.log").unwrap_or_default();
    assert!(weirds.is_empty(), "{weirds:#?}");
}
