//! The scripts in `scripts/` on captures that are made here: what they tell, and that below their thresholds nothing comes.

mod packets;
mod protocols;
mod signatures;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packets::Packets;
use protocols::{certificate, client_hello, dh_params, digits, dns_query, finished, server_hello, ssh_login};
use sensor_tests::sensor::{TempDir, binary};
use serde_json::Value;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts");

/// What a script gave as rows.
struct Told(Vec<Value>);

impl Told {
    /// A column of all rows.
    fn all(&self, column: &str) -> Vec<&str> {
        self.0.iter().map(|r| r[column].as_str().unwrap()).collect()
    }

    fn notes(&self) -> Vec<&str> {
        self.all("note")
    }

    #[track_caller]
    fn nothing(&self) {
        assert!(self.0.is_empty(), "{:#?}", self.0);
    }
}

/// Gives packets to a script file. No handler may fail.
#[track_caller]
fn run(script: &Path, packets: &Packets) -> Told {
    let dir = TempDir::new().unwrap();
    let capture = dir.path().join("packets.pcap");
    packets.write(&capture);
    let mut c = Command::new(binary().unwrap());
    c.args(["script", "test"]).arg(script).arg(&capture);
    let out = c.current_dir(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    let text = String::from_utf8(out.stdout).unwrap();
    Told(text.lines().map(|l| serde_json::from_str(l).unwrap()).collect())
}

/// Gives packets, put down by `put`, to one of the scripts as it is shipped.
#[track_caller]
fn told(script: &str, put: impl FnOnce(&mut Packets)) -> Told {
    let mut packets = Packets::default();
    put(&mut packets);
    run(&Path::new(SCRIPTS).join(script), &packets)
}

/// What stands in a log when `sensor read` has given packets to a script file. Here timers are called as packets come and scripts see
/// rows of other logs, where `sensor script test` only has events.
#[track_caller]
fn log_of(script: &Path, log: &str, packets: &Packets) -> Told {
    log_with(script, log, packets, &[])
}

/// The same with further options.
#[track_caller]
fn log_with(script: &Path, log: &str, packets: &Packets, options: &[&str]) -> Told {
    let dir = TempDir::new().unwrap();
    let (capture, logs) = (dir.path().join("packets.pcap"), dir.path().join("logs"));
    packets.write(&capture);
    let mut c = Command::new(binary().unwrap());
    c.args(["read", "--quiet", "--log-format", "json", "--file-hashes", "md5"]);
    c.arg("--log-dir").arg(&logs).args(options);
    c.arg("--script").arg(script).arg(&capture);
    let out = c.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.is_empty(), "{said}");
    assert!(logs.join("conn.log").exists());
    let rows = fs::read_to_string(logs.join(log)).unwrap_or_default();
    Told(rows.lines().map(|l| serde_json::from_str(l).unwrap()).collect())
}

/// What stands in notice.log then, for one of the scripts as it is shipped, with packets put down by `put`.
#[track_caller]
fn read(script: &str, put: impl FnOnce(&mut Packets)) -> Told {
    let mut packets = Packets::default();
    put(&mut packets);
    log_of(&Path::new(SCRIPTS).join(script), "notice.log", &packets)
}

/// A copy of the scripts, in which one has another line in place of one that it has.
fn changed(script: &str, from: &str, to: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("lib")).unwrap();
    for folder in ["", "lib"] {
        for entry in fs::read_dir(Path::new(SCRIPTS).join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                fs::copy(entry.path(), dir.path().join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    let script = dir.path().join(script);
    let text = fs::read_to_string(&script).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    fs::write(&script, text.replace(from, to)).unwrap();
    (dir, script)
}

#[test]
fn each_is_in_order_and_described() {
    let described = fs::read_to_string(Path::new(SCRIPTS).join("../docs/scripting.md")).unwrap();
    let mut all = 0;
    for folder in ["", "lib"] {
        for entry in fs::read_dir(Path::new(SCRIPTS).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "lua") {
                continue;
            }
            all += 1;
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                described.contains(&format!("`{}", Path::new(folder).join(name).display())),
                "{name}"
            );
            // What others load is tried with them.
            if folder.is_empty() {
                let mut c = Command::new(binary().unwrap());
                let out = c.args(["script", "check"]).arg(&path).output().unwrap();
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            }
        }
    }
    assert_eq!(all, 10);
}

/// A connection that is refused.
fn refused(p: &mut Packets, secs: f64, victim: u16, port: u16) {
    p.tcp(secs, (1, 40_000 + port % 1000), (victim, port))
        .segment(0, "S", b"")
        .segment(1, "RA", b"");
}

#[test]
fn who_fails_at_many_hosts_scans_addresses() {
    let hosts = |n: u16, apart: f64| {
        told("scan.lua", |p| {
            (0..n).for_each(|i| refused(p, f64::from(i) * apart, 100 + i, 80));
        })
    };
    hosts(24, 0.1).nothing();
    // In five minutes there are only 15.
    hosts(60, 20.0).nothing();
    let rows = hosts(60, 0.1);
    assert_eq!(rows.notes(), ["Scan::Address_Scan"]);
    let row = &rows.0[0];
    assert_eq!(
        row["msg"],
        "10.0.0.1 scanned at least 25 unique hosts on port 80/tcp in 0m2s"
    );
    assert_eq!(
        (&row["src"], &row["p"]),
        (&"10.0.0.1".into(), &80.into()),
        "{row:#}"
    );
    assert_eq!(row["sub"], "local");
    told("scan.lua", |p| {
        for i in 0..100 {
            refused(p, f64::from(i) * 0.1, 100, 80);
        }
    })
    .nothing();
}

#[test]
fn who_fails_at_many_ports_scans_ports() {
    let ports = |n: u16| {
        told("scan.lua", |p| {
            (0..n).for_each(|i| refused(p, f64::from(i) * 0.1, 100, 1000 + i));
        })
    };
    ports(14).nothing();
    let rows = ports(15);
    assert_eq!(rows.notes(), ["Scan::Port_Scan"]);
    let row = &rows.0[0];
    assert_eq!(
        row["msg"],
        "10.0.0.1 scanned at least 15 unique ports of host 10.0.0.100 in 0m1s"
    );
    assert_eq!(
        (&row["src"], &row["dst"]),
        (&"10.0.0.1".into(), &"10.0.0.100".into())
    );
}

#[test]
fn silence_and_resets_without_a_byte_are_failures_too() {
    let flags = |also: &[(usize, &str, &str)]| {
        told("scan.lua", |p| {
            for i in 0..25 {
                let mut talk = p.tcp(f64::from(i) * 0.1, (1, 40_000), (100 + i, 80));
                for (side, flags, payload) in also {
                    talk = talk.segment(*side, flags, payload.as_bytes());
                }
            }
            // Time goes on.
            p.udp(60.0, (1, 9), (2, 9), b"x");
        })
    };
    assert_eq!(flags(&[(0, "S", "")]).notes(), ["Scan::Address_Scan"]);
    let half_open = [(0, "S", ""), (1, "SA", ""), (0, "R", "")];
    assert_eq!(flags(&half_open).notes(), ["Scan::Address_Scan"]);
    let opened = [(0, "S", ""), (1, "SA", ""), (0, "A", ""), (0, "RA", "")];
    assert_eq!(flags(&opened).notes(), ["Scan::Address_Scan"]);
    let used = [
        (0, "S", ""),
        (1, "SA", ""),
        (0, "A", "x"),
        (1, "A", "y"),
        (0, "RA", ""),
    ];
    flags(&used).nothing();
    let aborted = [(0, "S", ""), (1, "SA", ""), (0, "A", ""), (1, "RA", "")];
    flags(&aborted).nothing();
}

#[test]
fn who_fails_to_log_in_again_and_again_guesses_passwords() {
    let logins = |n: u16, is_in: bool| {
        told("ssh-guessing.lua", |p| {
            for i in 0..n {
                let talk = p.tcp(f64::from(i), (1, 40_000 + i), (100 + i % 3, 22));
                let said = ssh_login(2, is_in).into_iter();
                said.fold(talk.begins(), |t, (side, bytes)| t.says(side, &bytes))
                    .ends();
            }
        })
    };
    logins(29, false).nothing();
    logins(40, true).nothing();
    let rows = logins(40, false);
    assert_eq!(rows.notes(), ["SSH::Password_Guessing"]);
    let row = &rows.0[0];
    assert_eq!(
        row["msg"],
        "10.0.0.1 appears to be guessing SSH passwords (seen in 30 connections)."
    );
    assert_eq!(
        row["sub"],
        "Sampled servers: 10.0.0.100, 10.0.0.101, 10.0.0.102, 10.0.0.100, 10.0.0.101"
    );
}

#[test]
fn what_lasts_is_told_at_each_step() {
    let lasting = |secs: f64| {
        read("long-connections.lua", |p| {
            let mut talk = p.tcp(0.0, (1, 40_000), (2, 443)).begins();
            for _ in 0..(secs / 100.0) as u32 {
                talk = talk.waits(100.0).says(0, b"still here");
            }
            talk.ends();
            p.tcp(0.0, (3, 40_000), (2, 443)).begins().ends();
            p.udp(secs + 60.0, (1, 9), (2, 9), b"x");
        })
    };
    lasting(500.0).nothing();
    let rows = lasting(2000.0);
    // In a capture a timer's time comes with the next packet.
    let open = "10.0.0.1 -> 10.0.0.2:443/tcp is open for";
    assert_eq!(
        rows.all("msg"),
        [format!("{open} 11m40s"), format!("{open} 31m40s")]
    );
    // What was over before time went on.
    read("long-connections.lua", |p| {
        for (secs, host) in [(0.0, 1), (5000.0, 3), (5002.0, 3)] {
            p.udp(secs, (host, 9), (2, 9), b"x");
        }
    })
    .nothing();
}

#[test]
fn equal_intervals_are_beacons() {
    let every = |n: u16, interval: fn(u16) -> f64, port: u16| {
        told("beacon.lua", |p| {
            let mut at = 0.0;
            for i in 0..n {
                p.udp(at, (1, 30_000 + i), (2, port), b"orders?");
                // Others are between.
                p.udp(at + 3.0, (5 + i, 30_000), (2, port), b"once");
                at += interval(i);
            }
        })
    };
    let minute: fn(u16) -> f64 = |i| 60.0 + f64::from(i % 3);
    every(20, minute, 7777).nothing();
    every(30, |i| [20.0, 100.0][usize::from(i % 2)], 7777).nothing();
    every(30, |_| 4.0, 7777).nothing();
    every(30, minute, 123).nothing();
    let rows = every(21, minute, 7777);
    assert_eq!(rows.notes(), ["Beacon::Regular_Connections"]);
    assert_eq!(
        rows.0[0]["msg"],
        "10.0.0.1 connects to 10.0.0.2:7777/udp every 61 s"
    );
}

#[test]
fn many_long_random_names_of_a_domain_are_a_tunnel() {
    let names = |n: u64, name: fn(u64) -> String| {
        read("dns-tunnel.lua", |p| {
            for i in 0..n {
                let query = dns_query(&name(i));
                p.udp(i as f64, (1, 30_000 + i as u16), (2, 53), &query);
                // What is cut short, or no DNS at all.
                let cut = i as usize % query.len();
                p.udp(i as f64 + 0.5, (3, 30_000), (2, 53), &query[..cut]);
                p.udp(i as f64 + 0.6, (3, 30_000), (2, 53), &[0xff; 100][..cut]);
            }
        })
    };
    let random: fn(u64) -> String = |i| format!("{}.{}.Evil.example", digits(i, 30), digits(i + 1000, 12));
    names(49, random).nothing();
    names(200, |i| format!("www{i}.evil.example")).nothing();
    names(200, |i| format!("{}{i}.evil.example", "a".repeat(40))).nothing();
    names(200, |i| format!("abcdefghijklmnopqrst{i}.evil.example")).nothing();
    names(200, |i| format!("{}.in-addr.arpa", digits(i, 40))).nothing();
    names(200, |_| format!("{}.evil.example", digits(7, 40))).nothing();
    let rows = names(200, random);
    assert_eq!(rows.notes(), ["DNS::Tunnel"]);
    assert_eq!(
        rows.0[0]["msg"],
        "10.0.0.1 asked for 50 long random names of evil.example"
    );
}

/// A connection with so many bytes of payload; how many it has with headers.
fn sends(p: &mut Packets, secs: f64, ends: (u16, u16), bytes: usize) -> u64 {
    let port = 40_000 + secs as u16;
    let talk = p.tcp(secs, (ends.0, port), (ends.1, 80));
    talk.begins().says(0, &vec![0x61; bytes]).ends();
    8 * 40 + bytes as u64
}

#[test]
fn who_sends_most_is_first_whatever_else_there_is() {
    // All within one list's time.
    let mut p = Packets::default();
    for n in 0..100 {
        sends(&mut p, 0.4 * f64::from(n), (100 + n, 300 + n), 10);
    }
    let mut exact = [0, 0];
    // Two that send much, to somebody else each time.
    for n in 0..50 {
        for (i, bytes) in [1000, 500].into_iter().enumerate() {
            let ends = (1 + i as u16, 1000 + 2 * n + i as u16);
            exact[i] += sends(&mut p, 45.0 + f64::from(n), ends, bytes);
        }
    }
    let rows = run(&Path::new(SCRIPTS).join("top-talkers.lua"), &p);
    assert_eq!(rows.0.len(), 10, "{:#?}", rows.0);
    for (i, row) in rows.0[..2].iter().enumerate() {
        assert_eq!(row["host"], format!("10.0.0.{}", i + 1));
        assert_eq!((&row["bytes"], &row["most_error"]), (&exact[i].into(), &0.into()));
    }

    let (_dir, script) = changed("top-talkers.lua", "counters = 1000", "counters = 12");
    let few = run(&script, &p);
    for (i, row) in few.0[..2].iter().enumerate() {
        assert_eq!(row["host"], format!("10.0.0.{}", i + 1));
        let [bytes, error, total] = ["bytes", "most_error", "total"].map(|c| row[c].as_u64().unwrap());
        assert!(
            bytes > exact[i] && bytes - error <= exact[i] && error <= 2 * total / 12,
            "{row:#}"
        );
    }
}

#[test]
fn the_smallest_counter_gives_way_and_no_other() {
    let (_dir, script) = changed("top-talkers.lua", "counters = 1000", "counters = 4");
    let mut p = Packets::default();
    let mut grown = sends(&mut p, 0.0, (1, 2), 10);
    sends(&mut p, 1.0, (3, 4), 100);
    grown += sends(&mut p, 2.0, (1, 2), 1000);
    // By now those that were the smallest are not.
    sends(&mut p, 3.0, (5, 6), 10);
    let rows = run(&script, &p);
    assert_eq!(rows.all("host"), ["10.0.0.1", "10.0.0.2", "10.0.0.5", "10.0.0.6"]);
    let told = |row: &Value| (row["bytes"].as_u64(), row["most_error"].as_u64());
    assert!(rows.0[..2].iter().all(|r| told(r) == (Some(grown), Some(0))));
    let smallest = 8 * 40 + 100;
    assert_eq!(told(&rows.0[2]), (Some(smallest + 8 * 40 + 10), Some(smallest)));
}

#[test]
fn weak_cryptography_is_told_once_a_server() {
    let served = |messages: &[Vec<u8>]| {
        told("tls.lua", |p| {
            for i in 0..3_u16 {
                let talk = p.tcp(f64::from(i), (1, 40_000 + i), (2, 443)).begins();
                let talk = talk.says(0, &client_hello("www.example"));
                messages.iter().fold(talk, |t, m| t.says(1, m)).ends();
            }
        })
    };
    served(&[server_hello(0x0303, 0x002f)]).nothing();
    served(&[server_hello(0x0303, 0x0033), dh_params(256)]).nothing();
    let old = served(&[server_hello(0x0300, 0x0005)]);
    assert_eq!(old.notes(), ["SSL::Old_Version", "SSL::Weak_Cipher"]);
    assert_eq!(
        old.all("msg"),
        [
            "Host uses protocol version SSLv30 which is lower than the safe minimum TLSv10",
            "Host established connection using unsafe cipher suite TLS_RSA_WITH_RC4_128_SHA",
        ]
    );
    let short = served(&[server_hello(0x0303, 0x0033), dh_params(128)]);
    assert_eq!(
        short.all("msg"),
        ["Host uses weak DH parameters with 1024 key bits"]
    );
}

#[test]
fn certificates_are_told_that_are_not_valid_or_will_soon_not_be() {
    // The captures are of November 14, 2023.
    let valid = |from: (i32, u8, u8), to: (i32, u8, u8)| {
        let mut params = rcgen::CertificateParams::new(vec!["www.example".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        read("tls.lua", |p| {
            for i in 0..2 {
                let talk = p.tcp(f64::from(i), (1, 40_000 + i), (2, 443)).begins();
                let hello = [server_hello(0x0303, 0x002f), certificate(&der)].concat();
                let talk = talk.says(0, &client_hello("www.example")).says(1, &hello);
                talk.says(0, &finished()).says(1, &finished()).ends();
            }
        })
    };
    valid((2020, 1, 1), (2030, 1, 1)).nothing();
    valid((2020, 1, 1), (2023, 12, 15)).nothing();
    for (from, to, note, msg) in [
        (
            (2020, 1, 1),
            (2021, 2, 3),
            "SSL::Certificate_Expired",
            " expired at 2021-02-03",
        ),
        (
            (2020, 1, 1),
            (2023, 12, 1),
            "SSL::Certificate_Expires_Soon",
            " is going to expire at 2023-12-01",
        ),
        (
            (2024, 2, 29),
            (2030, 1, 1),
            "SSL::Certificate_Not_Valid_Yet",
            " isn't valid until 2024-02-29",
        ),
    ] {
        let rows = valid(from, to);
        assert_eq!(rows.notes(), [note]);
        assert!(
            rows.0[0]["msg"].as_str().unwrap().ends_with(msg),
            "{:#?}",
            rows.0[0]
        );
        assert_eq!(rows.0[0]["id.resp_h"], "10.0.0.2");
    }
}

#[test]
fn what_somebody_has_named_is_found() {
    let (dir, script) = changed("intel.lua", "{ \"intel.dat\" }", "{ \"own.dat\" }");
    let named = "#fields\tindicator\tindicator_type\tmeta.source\n\
                 10.0.0.66\tIntel::ADDR\tlist\n10.0.1.0/24\tIntel::SUBNET\tlist\n\
                 evil.example\tIntel::DOMAIN\tlist\nBadBot/1.0\tIntel::SOFTWARE\tlist\n\
                 900150983cd24fb0d6963f7d28e17f72\tIntel::FILE_HASH\tlist\n";
    fs::write(dir.path().join("own.dat"), named).unwrap();
    let mut p = Packets::default();
    let request = |host: &str, agent: &str| {
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n\r\n").into_bytes()
    };
    let (bad, good) = (
        request("evil.example:8080", "BadBot/1.0"),
        request("www.example", "Browser"),
    );
    p.tcp(0.0, (1, 40_000), (2, 80))
        .begins()
        .says(0, &bad)
        .says(1, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        .says(0, &good)
        .ends();
    p.tcp(1.0, (1, 40_001), (66, 81)).begins().ends();
    // Asked by a SYN alone, which may be forged.
    p.tcp(2.0, (66, 40_002), (1, 81)).segment(0, "S", b"");
    p.udp(3.0, (256, 9), (1, 9), b"from the network");
    for name in ["EVIL.example", "www.example"] {
        let port = 40_003 + name.len() as u16;
        let hello = client_hello(&name.to_lowercase());
        p.tcp(4.0, (1, port), (2, 443)).begins().says(0, &hello).ends();
        p.udp(5.0, (1, port), (2, 53), &dns_query(name));
    }
    let rows = log_of(&script, "intel.log", &p);
    let mut found: Vec<_> = rows
        .all("seen.where")
        .into_iter()
        .zip(rows.all("seen.indicator"))
        .collect();
    found.sort_unstable();
    let expected = [
        ("Conn::IN_ORIG", "10.0.1.0"),
        ("Conn::IN_RESP", "10.0.0.66"),
        ("DNS::IN_REQUEST", "evil.example"),
        ("Files::IN_HASH", "900150983cd24fb0d6963f7d28e17f72"),
        ("HTTP::IN_HOST_HEADER", "evil.example"),
        ("HTTP::IN_USER_AGENT_HEADER", "BadBot/1.0"),
        ("SSL::IN_SERVER_NAME", "evil.example"),
    ];
    assert_eq!(found, expected, "{:#?}", rows.0);
}

#[test]
fn with_the_other_logs_there_is_one_of_notices() {
    let scan = |n: u16| {
        read("scan.lua", |p| {
            (0..n).for_each(|i| refused(p, f64::from(i) * 0.1, 100 + i, 80));
        })
    };
    scan(24).nothing();
    assert_eq!(scan(30).notes(), ["Scan::Address_Scan"]);
}
