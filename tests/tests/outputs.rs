//! What the sensor does with files: old logs, a second sensor, and outputs that take nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};

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

/// `sensor run` with Zeek's format.
fn tsv(lab: &Lab, iface: &str, logs: &Path, extra: &[&str]) -> Command {
    let mut c = lab.middle.command(binary().unwrap());
    let mut args = run_args(&[iface], logs);
    args.truncate(args.len() - 2);
    c.args(args).args(["--udp-inactivity-timeout", "0.2"]).args(extra);
    c
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
fn a_start_that_fails_leaves_logs_as_they_are() {
    if !root_or_say_so("a_start_that_fails_leaves_logs_as_they_are") {
        return;
    }
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
fn a_log_directory_is_one_sensors() {
    if !root_or_say_so("a_log_directory_is_one_sensors") {
        return;
    }
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
    for name in ["dns.log", "http.log", "dns.2026-01-02-03-04-05.log"] {
        fs::write(logs.join(name), "#separator \\x09\n#open\t2026-01-02-03-04-05\n").unwrap();
    }
    read();
    let mut want = vec![
        "conn.log".to_owned(),
        format!("conn.{first}.log"),
        "dns.2026-01-02-03-04-05.log".into(),
        "dns.2026-01-02-03-04-05-1.log".into(),
        "http.log".into(),
    ];
    want.sort();
    assert_eq!(names(&logs), want, "one that the sensor does not write stays");
    let mode = fs::metadata(logs.join("conn.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn a_pipe_for_events_that_nobody_reads_holds_nothing_up() {
    if !root_or_say_so("a_pipe_for_events_that_nobody_reads_holds_nothing_up") {
        return;
    }
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
fn outputs_that_take_nothing_cost_counted_rows_and_not_the_sensor() {
    if !root_or_say_so("outputs_that_take_nothing_cost_counted_rows_and_not_the_sensor") {
        return;
    }
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("a server");
    {
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
        let done = sensor.end_by(libc::SIGTERM).unwrap();
        let took = start.elapsed();
        assert!(took < SOON, "{took:?}\n{}", done.stderr);
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
