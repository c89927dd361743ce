//! What the sensor does with files: old logs, a second sensor, signals of logrotate, and outputs that take nothing.
#![allow(unsafe_code, reason = "signals, pipes and the like are system calls")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, events, lab, one_at_a_time};

/// How soon it is to end, whatever its outputs do.
const SOON: Duration = Duration::from_secs(10);
/// For what is only slow because the machine is.
const LONG: Duration = Duration::from_secs(60);

/// Runs it to its end, or kills it: exit status and standard error.
fn run_to_end(mut command: Command) -> (Option<i32>, String) {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("a process");
    let deadline = Instant::now() + LONG;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() >= deadline {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let out = child.wait_with_output().expect("its end");
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stderr).trim().to_owned(),
    )
}

/// The files in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Rows of a log in Zeek's format.
fn rows(text: &str) -> Vec<&str> {
    text.lines().filter(|l| !l.starts_with('#')).collect()
}

fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `sensor run` with Zeek's format.
fn tsv(lab: &Lab, iface: &str, logs: &Path, extra: &[&str]) -> Command {
    let mut c = lab.middle.command(binary().unwrap());
    let mut args = run_args(&[iface], logs);
    args.truncate(args.len() - 2);
    c.args(args).args(["--udp-inactivity-timeout", "0.2"]).args(extra);
    c
}

fn tell(sensor: &Sensor, signal: i32) {
    // SAFETY: no memory is touched; the child has not been waited for.
    assert_eq!(unsafe { libc::kill(sensor.pid() as i32, signal) }, 0);
}

fn pipe(path: &Path) {
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: a terminated string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

/// A capture without packets.
fn empty_capture(dir: &Path) -> PathBuf {
    let at = dir.join("empty.pcap");
    let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    pcap.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    fs::write(&at, pcap).unwrap();
    at
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_start_that_fails_leaves_logs_as_they_are() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let events = second.path().join("events");
    for file in ["conn.log", "stats.log", "events"] {
        fs::write(second.path().join(file), "of an earlier run\n").unwrap();
    }
    let sensor = Sensor::start(&lab.middle, &["m0"], first.path(), &[]).expect("a sensor");
    // No such interface, and one that has a program.
    for iface in ["nosuch0", "m0"] {
        let events = ["--events", events.to_str().unwrap()];
        let (code, said) = run_to_end(tsv(&lab, iface, second.path(), &events));
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        assert_eq!(names(second.path()), ["conn.log", "events", "stats.log"]);
        for file in names(second.path()) {
            let text = fs::read_to_string(second.path().join(file)).unwrap();
            assert_eq!(text, "of an earlier run\n");
        }
    }
    sensor.stop().unwrap();
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_log_directory_is_one_sensors() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (logs, captures) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let capture = empty_capture(captures.path());
    let read = || {
        let mut c = Command::new(binary().unwrap());
        c.arg("read").arg(&capture).arg("--log-dir").arg(logs.path());
        c
    };
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &[]).expect("a sensor");
    let before = names(logs.path());
    for command in [tsv(&lab, "m1", logs.path(), &[]), read()] {
        let (code, said) = run_to_end(command);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        assert!(
            said.contains("another sensor") && said.contains(&*logs.path().to_string_lossy()),
            "{said}"
        );
    }
    assert_eq!(names(logs.path()), before);
    // A killed one holds no lock.
    sensor.end_by(libc::SIGKILL).unwrap();
    assert_eq!(run_to_end(read()).0, Some(0));
}

#[test]
fn old_logs_are_kept_under_the_time_of_their_begin() {
    let dir = TempDir::new().unwrap();
    let logs = dir.path().join("logs");
    let capture = empty_capture(dir.path());
    let read = || {
        let mut c = Command::new(binary().unwrap());
        c.arg("read").arg(&capture).arg("--log-dir").arg(&logs);
        assert_eq!(run_to_end(c), (Some(0), String::new()));
    };
    let opened = || {
        let text = fs::read_to_string(logs.join("conn.log")).unwrap();
        let line = |name: &str| {
            let found = text.lines().find_map(|l| l.strip_prefix(name));
            found.expect("a line").trim().to_owned()
        };
        let (open, close) = (line("#open"), line("#close"));
        assert!(open <= close, "{text}");
        open
    };
    let date = || {
        let out = Command::new("date").args(["-u", "+%Y-%m-%d-%H-%M-%S"]).output();
        String::from_utf8(out.unwrap().stdout).unwrap().trim().to_owned()
    };
    let before = date();
    read();
    let first = opened();
    // Read from a capture or not, these are the times of the run.
    assert!(before <= first && first <= date(), "{before} {first}");
    for name in ["dns.log", "mine.log", "dns.2026-01-02-03-04-05.log"] {
        fs::write(logs.join(name), "#separator \\x09\n#open\t2026-01-02-03-04-05\n").unwrap();
    }
    read();
    let mut want = vec![
        "conn.log".to_owned(),
        format!("conn.{first}.log"),
        "dns.2026-01-02-03-04-05.log".into(),
        "dns.2026-01-02-03-04-05-1.log".into(),
        "mine.log".into(),
    ];
    want.sort();
    assert_eq!(names(&logs), want, "one that the sensor does not write stays");
    let mode = fs::metadata(logs.join("conn.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn logs_that_logrotate_moves_lose_no_row() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let events = logs.path().join("events");
    let extra = [
        "--quiet",
        "--events",
        events.to_str().unwrap(),
        "--event",
        "connection_state_remove",
    ];
    let sensor = Sensor::spawn(tsv(&lab, "m0", logs.path(), &extra), logs.path(), false).expect("a sensor");
    let conn = logs.path().join("conn.log");
    let text = |p: &Path| fs::read_to_string(p).unwrap_or_default();
    let mut ports = Vec::new();
    let mut exchange = |n: usize| {
        for _ in 0..n {
            let port = 40_000 + ports.len() as u16;
            let done = lab
                .client
                .run(|| traffic::udp_exchange_from(lab::server_ip(false), 300, port));
            ports.push(done.unwrap().unwrap());
        }
    };
    let mut old = Vec::new();
    for signal in [libc::SIGUSR1, libc::SIGHUP] {
        exchange(20);
        wait_for("a row", || !rows(&text(&conn)).is_empty());
        // While rows come.
        let moved = logs.path().join(format!("conn.log.{signal}"));
        fs::rename(&conn, &moved).unwrap();
        fs::rename(&events, logs.path().join(format!("events.{signal}"))).unwrap();
        exchange(20);
        tell(&sensor, signal);
        wait_for("a new log", || conn.exists());
        wait_for("its header", || text(&conn).contains("\n#types\t"));
        old.push(moved);
    }
    exchange(5);
    sensor.stop().unwrap();
    let mut seen = Vec::new();
    for file in old.iter().chain([&conn]) {
        let text = text(file);
        assert!(text.starts_with("#separator \\x09\n"), "{text}");
        assert!(text.lines().last().unwrap().starts_with("#close\t"), "{text}");
        for (name, n) in [("#open\t", 1), ("#close\t", 1), ("#fields\t", 1)] {
            assert_eq!(text.lines().filter(|l| l.starts_with(name)).count(), n, "{text}");
        }
        let rows = rows(&text);
        assert!(!rows.is_empty(), "{}", file.display());
        let udp = rows.iter().map(|r| r.split('\t').collect::<Vec<_>>());
        let udp = udp.filter(|f| f[6] == "udp" && f[4] == lab::server_ip(false).to_string());
        seen.extend(udp.map(|f| f[3].parse::<u16>().unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, ports, "each exchange has one row");
    let streams = names(logs.path()).into_iter().filter(|n| n.starts_with("events"));
    let streams: Vec<_> = streams.map(|n| text(&logs.path().join(n))).collect();
    assert_eq!(streams.len(), 3);
    for port in ports {
        let line = format!("\"orig_p\":{port},");
        let n: usize = streams.iter().map(|s| s.matches(&line).count()).sum();
        assert_eq!(n, 1, "port {port}");
    }
}

/// A pseudo-terminal: its master, and its slave.
fn terminal() -> (fs::File, fs::File) {
    use std::os::fd::FromRawFd;
    let (mut master, mut slave) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: two descriptors are written; nothing else is given. They are this function's, and then the files'.
    unsafe {
        assert_eq!(
            libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()),
            0
        );
        libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
        (fs::File::from_raw_fd(master), fs::File::from_raw_fd(slave))
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_terminal_that_hangs_up_ends_the_sensor_in_order() {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let (master, slave) = terminal();
    let mut c = tsv(&lab, "m0", logs.path(), &["--quiet"]);
    c.stdin(slave).stdout(Stdio::null()).stderr(Stdio::piped());
    // SAFETY: two system calls, which may be made between fork and exec.
    unsafe {
        c.pre_exec(|| {
            libc::setsid();
            match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let mut child = c.spawn().unwrap();
    // The slave is open in the command, too.
    drop(c);
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    let mut ready = [0; 1024];
    while !said.contains("sensor: ready") {
        let n = stderr.read(&mut ready).unwrap();
        assert!(n > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&ready[..n]));
    }
    // With its terminal there, SIGHUP is as SIGUSR1.
    let moved = logs.path().join("moved");
    fs::rename(logs.path().join("conn.log"), &moved).unwrap();
    // SAFETY: no memory is touched; the child has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGHUP) };
    wait_for("a new log", || logs.path().join("conn.log").exists());
    assert!(child.try_wait().unwrap().is_none());
    drop(master);
    let start = Instant::now();
    wait_for("an end", || child.try_wait().unwrap().is_some());
    assert!(start.elapsed() < SOON);
    let status = child.wait().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("frames "), "{said}");
    let text = fs::read_to_string(logs.path().join("conn.log")).unwrap();
    assert!(text.contains("\n#close\t"), "{text}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_pipe_for_events_that_nobody_reads_holds_nothing_up() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    for read in [false, true] {
        let logs = TempDir::new().unwrap();
        let events = logs.path().join("events");
        pipe(&events);
        let options = [
            "--events",
            events.to_str().unwrap(),
            "--event",
            "bro_init,bro_done",
        ];
        let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &options).expect("a sensor");
        assert_eq!(
            sensor.stderr().matches("nobody reads").count(),
            1,
            "{}",
            sensor.stderr()
        );
        let reader = read.then(|| std::thread::spawn(move || fs::read_to_string(events).unwrap()));
        let start = Instant::now();
        let done = sensor.end_by(libc::SIGTERM).unwrap();
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        match reader {
            Some(reader) => {
                let text = reader.join().unwrap();
                events::note(&text);
                assert!(text.contains("bro_init") && text.contains("bro_done"), "{text}");
                assert_eq!(done.status.code(), Some(0), "{}", done.stderr);
            }
            None => {
                assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
                assert!(done.stderr.contains("last 2 events are lost"), "{}", done.stderr);
            }
        }
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn outputs_that_take_nothing_cost_counted_rows_and_not_the_sensor() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    for signals in [1, 2] {
        let logs = TempDir::new().unwrap();
        // Opening it waits for ever, as a frozen file system would.
        pipe(&logs.path().join("conn.log"));
        let (_unread, mut stdout) = std::io::pipe().unwrap();
        // No room is left in it.
        let full = vec![b'\n'; 65536];
        std::io::Write::write_all(&mut stdout, &full).unwrap();
        let mut c = tsv(&lab, "m0", logs.path(), &[]);
        c.stdout(stdout);
        let sensor = Sensor::spawn(c, logs.path(), false).expect("a sensor");
        for _ in 0..7 {
            lab.client
                .run(|| traffic::udp_exchange(lab::server_ip(false), 300))
                .unwrap()
                .unwrap();
        }
        std::thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        if signals == 2 {
            tell(&sensor, libc::SIGTERM);
            std::thread::sleep(Duration::from_secs(1));
        }
        let done = sensor.end_by(libc::SIGTERM).unwrap();
        let took = start.elapsed();
        let limit = if signals == 2 {
            Duration::from_secs(4)
        } else {
            SOON
        };
        assert!(took < limit, "{took:?}\n{}", done.stderr);
        assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
        let number = |what: &str| {
            let line = done
                .stderr
                .lines()
                .find(|l| l.contains(what))
                .expect(&done.stderr);
            let words = line.split_whitespace();
            words.filter_map(|w| w.parse::<u64>().ok()).next().expect(line)
        };
        // The exchanges' rows in conn.log, and one in stats.log. Other packets may have been there as well.
        assert!(number(" log rows are lost") >= 8, "{}", done.stderr);
        assert!(number(" rows were not printed") >= 7, "{}", done.stderr);
        done.check_sums().unwrap();
    }
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_standard_error_that_nobody_reads_does_not_keep_the_sensor() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    let logs = TempDir::new().unwrap();
    let (_unread, mut stderr) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut stderr, &vec![b'\n'; 65536]).unwrap();
    let mut c = tsv(&lab, "m0", logs.path(), &["-v"]);
    let mut sensor = c.stdin(Stdio::null()).stderr(stderr).spawn().unwrap();
    let conn = logs.path().join("conn.log");
    let rows = || {
        fs::read_to_string(&conn)
            .unwrap_or_default()
            .lines()
            .filter(|l| !l.starts_with('#'))
            .count()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    // It says that it is ready to nobody; its log is there when it is.
    while !conn.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    while rows() == 0 && Instant::now() < deadline {
        lab.client
            .run(|| traffic::refused(lab::server_ip(false)))
            .unwrap()
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(rows() > 0);
    let start = Instant::now();
    // SAFETY: kill has no memory preconditions; the child has not been waited for.
    unsafe { libc::kill(sensor.id() as i32, libc::SIGTERM) };
    while sensor.try_wait().unwrap().is_none() && start.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(10));
    }
    let status = sensor.try_wait().unwrap();
    if status.is_none() {
        sensor.kill().unwrap();
        sensor.wait().unwrap();
    }
    assert!(status.is_some_and(|s| s.success()), "{status:?}");
    assert!(fs::read_to_string(&conn).unwrap().contains("#close"));
}
