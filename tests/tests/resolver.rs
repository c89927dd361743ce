//! The sensor's own lookups, from a DNS server that answers, changes, loses and fails.
#![allow(unsafe_code, reason = "signals are system calls")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use sensor_tests::daemon::Daemon;
use sensor_tests::lab::{CLIENT_V4, SERVER_V4};
use sensor_tests::netns::Namespace;
use sensor_tests::sensor::{TempDir, binary, read_log};
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

/// Prints each event, and what becomes of each lookup; `end` when all is told.
const SCRIPT: &str = r#"
local out = open("seen.txt")
local function text(t) return table.concat(t, ",") end
for _, e in ipairs { "valid", "unverified", "new_name", "lost_name" } do
  on("dns_mapping_" .. e, function(dm)
    print(out, e, dm.req_host or dm.req_addr, dm.valid, dm.hostname, text(dm.addrs))
  end)
end
on("dns_mapping_altered", function(dm, old, new)
  print(out, "altered", dm.req_host or dm.req_addr, dm.valid, dm.hostname, text(dm.addrs), text(old), text(new))
end)
local asked = { "same.example", "alter.example", "lose.example", "new.example", "192.0.2.1", "192.0.2.4", "192.0.2.6" }
on("zeek_init", function()
  local left = #asked
  for _, what in ipairs(asked) do
    lookup(what, function(got, why)
      print(out, "got", what, type(got) == "table" and text(got) or got or why)
      left = left - 1
      if left == 0 then schedule(0.3, function() print(out, "end") end) end
    end)
  end
end)
"#;

/// Lines that were added since, in order of the alphabet, as answers come in any order.
fn lines(seen: &Path, from: usize) -> Vec<String> {
    let text = fs::read_to_string(seen).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().skip(from).map(|l| l.replace('\t', " ")).collect();
    lines.sort();
    lines
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn answers_are_compared_with_those_before_a_restart() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let before = "192.0.2.1 same.example\n192.0.2.2 alter.example\n192.0.2.3 alter.example\n192.0.2.4 lose.example\n\
                  192.0.2.6 six.example\n";
    let after = "192.0.2.1 same.example\n192.0.2.3 alter.example\n2001:db8::3 alter.example\n192.0.2.5 new.example\n\
                 192.0.2.6 seven.example\n";
    let dns = Dns::start(&lab.middle, files.path(), before);
    let script = files.path().join("main.lua");
    fs::write(&script, SCRIPT).unwrap();
    let seen = logs.path().join("scripts/seen.txt");
    let mut from = 0;
    let mut run = || {
        let events = files.path().join("events");
        let _ = fs::remove_file(&events);
        let mut args = ASKS.to_vec();
        let (script, events_to) = (script.display().to_string(), events.display().to_string());
        args.extend([
            "--script",
            &script,
            "--events",
            &events_to,
            "--event",
            "dns_mapping_*",
        ]);
        let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
        until("all is told", || lines(&seen, from).iter().any(|l| l == "end"));
        let status = fs::read_dir(format!("/proc/{}/task", sensor.pid())).unwrap();
        let status = status.filter_map(|t| fs::read_to_string(t.ok()?.path().join("status")).ok());
        let resolver: Vec<_> = status.filter(|s| s.starts_with("Name:\tresolver")).collect();
        assert!(
            resolver.len() == 1 && resolver[0].contains("Seccomp:\t2"),
            "it reads what servers send: {resolver:?}"
        );
        sensor.stop().unwrap();
        let told = lines(&seen, from);
        from += told.len();
        let (got, mut told): (Vec<_>, Vec<_>) = told.into_iter().partition(|l| l.starts_with("got "));
        told.retain(|l| l != "end");
        let raised = raised(&events);
        assert_eq!(raised.len(), told.len(), "{raised:#?}");
        (got, told)
    };

    let (got, told) = run();
    let expected = [
        "got 192.0.2.1 same.example",
        "got 192.0.2.4 lose.example",
        "got 192.0.2.6 six.example",
        "got alter.example 192.0.2.2,192.0.2.3",
        "got lose.example 192.0.2.4",
        "got new.example none",
        "got same.example 192.0.2.1",
    ];
    assert_eq!(got, expected);
    assert!(told.is_empty(), "nothing was known: {told:?}");

    dns.change(after);
    let (got, told) = run();
    let expected = [
        "got 192.0.2.1 same.example",
        "got 192.0.2.4 none",
        "got 192.0.2.6 seven.example",
        "got alter.example 192.0.2.3,2001:db8::3",
        "got lose.example none",
        "got new.example 192.0.2.5",
        "got same.example 192.0.2.1",
    ];
    assert_eq!(got, expected);
    let expected = [
        "altered 192.0.2.6 true seven.example   ",
        "altered alter.example true alter.example 192.0.2.3,2001:db8::3 192.0.2.2 2001:db8::3",
        "lost_name 192.0.2.4 true lose.example ",
        "lost_name lose.example true lose.example 192.0.2.4",
        "new_name new.example true new.example 192.0.2.5",
        "valid 192.0.2.1 true same.example ",
        "valid same.example true same.example 192.0.2.1",
    ];
    assert_eq!(told, expected);

    // It does not answer; what was lost is not missed.
    dns.signal(libc::SIGSTOP);
    let (got, told) = run();
    assert!(
        got.len() == 7 && got.iter().all(|l| l.ends_with(" unanswered")),
        "{got:?}"
    );
    let expected = [
        "unverified 192.0.2.1 true same.example ",
        "unverified 192.0.2.6 true seven.example ",
        "unverified alter.example true alter.example 192.0.2.3,2001:db8::3",
        "unverified new.example true new.example 192.0.2.5",
        "unverified same.example true same.example 192.0.2.1",
    ];
    assert_eq!(told, expected);

    // And again, where it was known until then.
    dns.signal(libc::SIGCONT);
    let (_, told) = run();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.iter().all(|l| l.starts_with("valid ")), "{told:?}");

    // A damaged file is said, and begun anew.
    let file = logs.path().join("resolver/dns_cache");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 8, "{text}");
    fs::write(&file, text.replace("same.example", "same example").as_bytes()).unwrap();
    let (_, told) = run();
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn an_answer_that_changes_during_a_run_is_told() {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let (logs, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let dns = Dns::start(&lab.middle, files.path(), "192.0.2.1 a.example\n");
    let script = files.path().join("main.lua");
    let text = r#"
        local out = open("seen.txt")
        for _, e in ipairs { "valid", "new_name", "lost_name", "altered" } do
          local n = 0
          on("dns_mapping_" .. e, function() n = n + 1 if n == 1 then print(out, e) end end)
        end
        on("zeek_init", function() every(0.05, function() lookup("a.example", function() end) end) end)
    "#;
    fs::write(&script, text).unwrap();
    let script = script.display().to_string();
    let mut args = ASKS.to_vec();
    args.extend(["--script", &script]);
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &args).expect("a sensor");
    let seen = logs.path().join("scripts/seen.txt");
    let is_told = |what: &str| until(what, || lines(&seen, 0).iter().any(|l| l == what));
    is_told("valid");
    dns.change("192.0.2.9 a.example\n");
    is_told("altered");
    dns.change("");
    is_told("lost_name");
    dns.change("192.0.2.1 a.example\n");
    is_told("new_name");
    sensor.stop().unwrap();
    // For as long as an answer holds nobody is asked again.
    let before = dns.daemon.text().len();
    let kept = ["--resolver", "127.0.0.1:5353", "--script", &script];
    let sensor = Sensor::start(&lab.middle, &["m0"], logs.path(), &kept).expect("a sensor");
    std::thread::sleep(Duration::from_secs(1));
    sensor.stop().unwrap();
    assert_eq!(dns.daemon.text().len(), before);
}

/// The events of a stream.
fn raised(stream: &Path) -> Vec<serde_json::Value> {
    read_log(stream).unwrap_or_default()
}

/// Runs `sensor read` in the namespace.
fn read(ns: &Namespace, args: &[&str]) -> Output {
    let mut c = ns.command(binary().unwrap());
    c.arg("read").args(args).output().unwrap()
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn reading_waits_for_answers_at_its_end() {
    let _turn = one_at_a_time();
    let ns = Namespace::new("names").unwrap();
    let files = TempDir::new().unwrap();
    let dns = Dns::start(&ns, files.path(), "192.0.2.1 a.example\n");
    let at = |name: &str| files.path().join(name).display().to_string();
    let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    pcap.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    fs::write(at("empty.pcap"), pcap).unwrap();
    let text = r#"
        on("zeek_init", function()
          lookup("a.example", function(got, why)
            print(got and got[1] or why)
            lookup("192.0.2.1", function(name, why) print(name or why) end)
          end)
        end)
        on("zeek_done", function()
          print("done")
          lookup("b.example", function(got, why) print("late", got == nil) end)
        end)
        on("dns_mapping_valid", function(dm) print("valid", dm.req_host or dm.req_addr) end)
        on("dns_mapping_unverified", function(dm) print("unverified", dm.req_host or dm.req_addr) end)
    "#;
    fs::write(at("main.lua"), text).unwrap();
    let (pcap, script, logs) = (at("empty.pcap"), at("main.lua"), at("logs"));
    let mut args = ASKS.to_vec();
    args.extend([&*pcap, "--script", &script, "--log-dir", &logs]);
    let said = || {
        let out = read(&ns, &args);
        assert!(out.status.success(), "{out:?}");
        let text = String::from_utf8(out.stdout).unwrap();
        // What comes at once may be told at once, and its events after that.
        let (before, after) = text.split_once("done\n").expect("the end");
        assert_eq!(after, "late\ttrue\n", "{text}");
        let mut lines: Vec<_> = before.lines().map(|l| l.replace('\t', " ")).collect();
        lines.sort();
        lines
    };
    assert_eq!(said(), ["192.0.2.1", "a.example"]);
    assert_eq!(
        said(),
        ["192.0.2.1", "a.example", "valid 192.0.2.1", "valid a.example"]
    );
    dns.signal(libc::SIGSTOP);
    let begin = Instant::now();
    let expected = [
        "unanswered",
        "unanswered",
        "unverified 192.0.2.1",
        "unverified a.example",
    ];
    assert_eq!(said(), expected);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    dns.signal(libc::SIGCONT);
    // Nobody is there to be asked.
    let out = read(
        &ns,
        &[
            &pcap,
            "--script",
            &script,
            "--log-dir",
            &logs,
            "--resolver",
            "127.0.0.1:1",
        ],
    );
    assert!(out.status.success(), "{out:?}");
    assert!(
        String::from_utf8_lossy(&out.stdout).starts_with("unanswered\n"),
        "{out:?}"
    );
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
