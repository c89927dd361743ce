//! The sensor as a process: how it refuses to start, and what is left when it ends.

use std::process::Command;

use sensor_tests::sensor::{TempDir, binary, run_args};
use sensor_tests::{Lab, LabOptions, Sensor, link, one_at_a_time};

/// Runs it to its end, which is to come at once: exit status and standard error.
fn run_to_end(mut command: Command) -> (Option<i32>, String) {
    let out = command.output().expect("a process");
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stderr).trim().to_owned(),
    )
}

const FILTERS: &str = "egress filters";

/// Whether anything is attached to the interface, in words of `ip` and of the kernel.
fn attached(lab: &Lab, ifname: &'static str) -> Vec<String> {
    let mut found = Vec::new();
    let out = Command::new("ip")
        .args(["-n", lab.middle.name(), "-d", "link", "show", "dev", ifname])
        .output()
        .expect("ip");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if text.contains("xdp") {
        found.push(text);
    }
    let filters = lab.middle.run(move || link::egress_filters(ifname)).unwrap();
    match filters.unwrap() {
        0 => {}
        n => found.push(format!("{n} {FILTERS}")),
    }
    for direction in [link::Tcx::Ingress, link::Tcx::Egress] {
        let n = lab
            .middle
            .run(move || link::tcx_programs(ifname, direction))
            .unwrap()
            .unwrap();
        if n > 0 {
            found.push(format!("{n} programs on TCX {direction:?}"));
        }
    }
    found
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn nothing_stays_attached() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGKILL] {
        let logs = TempDir::new().unwrap();
        let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &[]).expect("a sensor");
        let then = attached(&lab, "m0");
        assert_eq!(then.len(), 2, "XDP, and TCX or a filter: {then:?}");
        let done = sensor.end_by(signal).unwrap();
        if signal != libc::SIGKILL {
            assert!(done.status.success(), "{done:?}");
        }
        // A filter, which there is where there is no TCX (before Linux 6.6), stays when its process is killed, until
        // the next sensor takes it away.
        let mut stays = then;
        stays.retain(|what| signal == libc::SIGKILL && what.ends_with(FILTERS));
        // The kernel frees a killed process's links behind its back.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while attached(&lab, "m0") != stays && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(attached(&lab, "m0"), stays, "after signal {signal}");
    }
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &[]).expect("a sensor");
    let then = attached(&lab, "m0");
    assert_eq!(then.len(), 2, "{then:?}");
    assert!(!then.contains(&format!("2 {FILTERS}")), "{then:?}");
    sensor.stop().unwrap();
    assert_eq!(attached(&lab, "m0"), Vec::<String>::new());
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_service_manager_hears_when_the_sensor_watches_and_that_it_is_alive() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let path = logs.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    let told = || {
        let mut bytes = [0; 4096];
        let n = socket.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..n].to_vec()).unwrap()
    };
    let mut c = lab.middle.command(binary().unwrap());
    c.args(run_args(&["m0"], logs.path()));
    c.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "4000000");
    let sensor = Sensor::spawn(c, logs.path(), false).expect("a sensor");
    let ready = told();
    assert!(ready.contains("READY=1"), "{ready}");
    assert!(ready.contains("STATUS=watching m0"), "{ready}");
    for _ in 0..2 {
        assert_eq!(told().trim(), "WATCHDOG=1");
    }
    sensor.stop().unwrap();
    let mut last = told();
    while last.trim() == "WATCHDOG=1" {
        last = told();
    }
    assert_eq!(last.trim(), "STOPPING=1");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn refusals_are_one_clear_line() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    // A log directory is one sensor's.
    let (logs, firsts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let binary = binary().unwrap();
    let run = |iface: &str| {
        let mut c = lab.middle.command(&binary);
        c.args(run_args(&[iface], logs.path()));
        run_to_end(c)
    };

    let (code, said) = run("nosuch0");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("nosuch0") && said.lines().count() == 1, "{said}");

    // Somebody else's program: it does not matter that it is another sensor's.
    let first = Sensor::start(&lab.middle, &["m0"], firsts.path(), &[]).expect("a sensor");
    let (code, said) = run("m0");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("m0") && said.contains("XDP"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    first.stop().unwrap();

    // Root in name only.
    let mut c = lab.middle.command("setpriv");
    c.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(&binary);
    c.args(run_args(&["m0"], logs.path()));
    let (code, said) = run_to_end(c);
    assert_eq!(code, Some(2), "{said}");
    for capability in ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"] {
        assert!(said.contains(capability), "{said}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");

    let mut c = lab.middle.command(&binary);
    c.args(run_args(&["m0"], std::path::Path::new("/proc/no/logs/here")));
    let (code, said) = run_to_end(c);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("/proc/no/logs/here"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// A field of a thread's status.
fn field(status: &str, name: &str) -> String {
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    line.expect(name).trim().to_owned()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn threads_that_read_what_comes_keep_no_right_that_they_do_not_need() {
    const CAP_BPF: u64 = 1 << 39;
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &["--workers", "2"]).expect("a sensor");
    // Of threads that end meanwhile there is nothing to read.
    let workers = || -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", sensor.pid())).unwrap();
        threads
            .filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("status")).ok())
            .filter(|status| field(status, "Name").starts_with("worker-"))
            .collect()
    };
    // They get their name and confine themselves once they run.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let ready = || workers().iter().filter(|s| field(s, "Seccomp") == "2").count();
    while ready() < 2 && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let workers = workers();
    assert_eq!(workers.len(), 2);
    for status in workers {
        for set in ["CapEff", "CapPrm"] {
            let caps = u64::from_str_radix(&field(&status, set), 16).unwrap();
            assert_eq!(caps & !CAP_BPF, 0, "{set} of {status}");
        }
        assert_eq!(field(&status, "NoNewPrivs"), "1");
        assert_eq!(
            field(&status, "Seccomp"),
            "2",
            "a filter of system calls: {status}"
        );
        let blocked = u64::from_str_radix(&field(&status, "SigBlk"), 16).unwrap();
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR2] {
            let others = blocked >> (signal - 1) & 1;
            assert_eq!(others, 1, "signal {signal} is for the other threads: {status}");
        }
    }
    // With all that it still does its work.
    let listener = lab
        .server
        .run(|| std::net::TcpListener::bind((sensor_tests::lab::SERVER_V4, 8080)));
    let _listener = listener.unwrap().unwrap();
    let connect = || std::net::TcpStream::connect((sensor_tests::lab::SERVER_V4, 8080));
    drop(lab.client.run(connect).unwrap().unwrap());
    lab.settle().unwrap();
    let done = sensor.stop().unwrap();
    assert_eq!(done.conns().unwrap().len(), 1);
}
