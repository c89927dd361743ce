//! The sensor's own lookups, from a DNS server that answers, changes, loses and fails.
#![allow(unsafe_code, reason = "signals are system calls")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sensor_tests::daemon::Daemon;
use sensor_tests::lab::{CLIENT_V4, SERVER_V4};
use sensor_tests::netns::Namespace;
use sensor_tests::sensor::{TempDir, read_log};
use sensor_tests::traffic::{self, Server};
use sensor_tests::{Lab, LabOptions, Sensor, one_at_a_time};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PORT: u16 = 5353;
const AT: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);
/// The options that have the sensor ask it, and ask again each time.
const ASKS: [&str; 6] = [
    "--resolver",
    "127.0.0.1:5353",
    "--dns-timeout",
    "1",
    "--dns-ttl-min",
    "0",
];

/// dnsmasq in a namespace, with the hosts of a file. It knows no other names in `example`, and of no other addresses.
struct Dns {
    daemon: Daemon,
    hosts: PathBuf,
}

impl Dns {
    fn start(ns: &Namespace, dir: &Path, hosts: &str) -> Dns {
        let file = dir.join("hosts");
        fs::write(&file, hosts).unwrap();
        let mut command = ns.command("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--log-facility=-",
            "--user=root",
            "--pid-file=",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            "--local=/example/",
            "--local=/in-addr.arpa/",
        ]);
        command.arg(format!("--port={PORT}"));
        command.arg(format!("--addn-hosts={}", file.display()));
        let daemon = Daemon::start(ns, command, AT, &dir.join("dnsmasq.log")).expect("dnsmasq");
        Dns { daemon, hosts: file }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: kill has no memory preconditions; the child has not been waited for.
        assert_eq!(unsafe { libc::kill(self.daemon.pid() as i32, signal) }, 0);
    }

    /// Has it know these hosts instead.
    fn change(&self, hosts: &str) {
        let read = format!("read {}", self.hosts.display());
        let times = |d: &Daemon| d.text().matches(&read).count();
        let before = times(&self.daemon);
        fs::write(&self.hosts, hosts).unwrap();
        self.signal(libc::SIGHUP);
        until("dnsmasq reads its hosts", || times(&self.daemon) > before);
    }
}

fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The events of a stream.
fn raised(stream: &Path) -> Vec<serde_json::Value> {
    read_log(stream).unwrap_or_default()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn hosts_are_local_by_their_names() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let _server = Server::start(&lab.server).expect("servers");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let dns = Dns::start(&lab.middle, files.path(), &format!("{CLIENT_V4} gw.example\n"));
    let events_to = files.path().join("events").display().to_string();
    let nets = ["--local-nets", "gw.example, 192.0.2.0/24"];
    let mut args = ASKS.to_vec();
    args.extend(nets);
    args.extend([
        "--events",
        &events_to,
        "--event",
        "dns_mapping_*",
        "--tcp-close-delay",
        "0.2",
    ]);
    let start = || Sensor::start(&lab.middle, &["m0"], logs.path(), &args);
    let get = || {
        lab.client
            .run(|| traffic::http_get(SERVER_V4.into()))
            .unwrap()
            .unwrap()
    };
    let is_local = |rows: &[serde_json::Value], port: u16| {
        let row = rows.iter().find(|r| r["id.orig_p"] == port).expect("a row");
        (row["local_orig"] == true, row["local_resp"] == true)
    };
    let names = || -> Vec<_> {
        let raised = self::raised(Path::new(&events_to));
        raised
            .iter()
            .map(|e| e["event"].as_str().unwrap().to_owned())
            .collect()
    };

    let sensor = start().expect("a sensor");
    let first = get();
    let has_row = || {
        let rows = read_log(&logs.path().join("conn.log")).unwrap_or_default();
        rows.iter().any(|r| r["id.orig_p"] == first)
    };
    until("the first connection has its row", has_row);
    dns.change(&format!("{SERVER_V4} gw.example\n"));
    // SAFETY: kill has no memory preconditions; the child has not been waited for.
    assert_eq!(unsafe { libc::kill(sensor.pid() as i32, libc::SIGHUP) }, 0);
    until("the name has another address", || {
        names() == ["dns_mapping_altered"]
    });
    // A turn of the workers.
    std::thread::sleep(Duration::from_millis(200));
    let second = get();
    lab.settle().unwrap();
    let rows = sensor.stop().unwrap().conns().unwrap();
    assert_eq!(is_local(&rows, first), (true, false));
    assert_eq!(is_local(&rows, second), (false, true));

    // A restart knows it, also when there is no answer.
    fs::remove_file(&events_to).unwrap();
    start().expect("a sensor").stop().unwrap();
    assert_eq!(names(), ["dns_mapping_valid"]);
    dns.signal(libc::SIGSTOP);
    fs::remove_file(&events_to).unwrap();
    let sensor = start().expect("a sensor");
    assert!(
        sensor.stderr().contains("no DNS server answers for gw.example"),
        "{}",
        sensor.stderr()
    );
    let third = get();
    lab.settle().unwrap();
    let rows = sensor.stop().unwrap().conns().unwrap();
    assert_eq!(is_local(&rows, third), (false, true));
    assert_eq!(names(), ["dns_mapping_unverified"]);

    // A name of which nothing is known is refused.
    fs::remove_file(logs.path().join("resolver/dns_cache")).unwrap();
    let e = start().err().map(|e| format!("{e:#}")).expect("no start");
    assert!(
        e.contains("--local-nets: gw.example is not known: no DNS server answers"),
        "{e}"
    );
    dns.signal(libc::SIGCONT);
    dns.change("");
    let e = start().err().map(|e| format!("{e:#}")).expect("no start");
    assert!(
        e.contains("--local-nets: gw.example has no address, as DNS says"),
        "{e}"
    );
}
