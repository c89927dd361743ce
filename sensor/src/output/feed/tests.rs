//! Streams of rows, and readers that come and go.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use super::*;
use crate::event::log::{Column, Value};
use crate::output::scratch::Scratch;

struct Row(u64, usize);

impl LogRow for Row {
    fn path(&self) -> &'static str {
        "numbers"
    }
    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[Column::new("n", "count"), Column::new("filler", "string")];
        COLUMNS
    }
    fn values<'a>(&'a self, out: &mut Vec<Value<'a>>) {
        out.extend([Value::Count(self.0), Value::Str("x".repeat(self.1).into())]);
    }
}

fn line(n: u64) -> String {
    format!("{{\"_path\":\"numbers\",\"_system_name\":\"tap\",\"n\":{n},\"filler\":\"\"}}")
}

fn start(target: FeedTarget, patience: &Patience) -> (Feeds, FeedOutbox) {
    let feeds =
        Feeds::start(&[target], Some("tap".into()), WhenFull::Drop, patience.clone()).expect("a thread");
    let outbox = feeds.outbox().expect("a stream");
    (feeds, outbox)
}

fn unix(path: &Path) -> FeedTarget {
    FeedTarget::Unix(path.to_owned())
}

#[test]
fn targets_are_named() {
    let of = |host: &str, port| FeedTarget::SyslogOf(host.into(), port);
    for (text, target, said) in [
        ("stdout", FeedTarget::Stdout, "stdout"),
        ("unix:/run/x:y", unix(Path::new("/run/x:y")), "unix:/run/x:y"),
        (
            "syslog:/dev/log",
            FeedTarget::Syslog("/dev/log".into()),
            "syslog:/dev/log",
        ),
        ("syslog:loghost", of("loghost", 514), "syslog:loghost:514"),
        (
            "syslog:10.0.0.1:5140",
            of("10.0.0.1", 5140),
            "syslog:10.0.0.1:5140",
        ),
        ("syslog:fd00::1", of("fd00::1", 514), "syslog:[fd00::1]:514"),
        ("syslog:[fd00::1]:99", of("fd00::1", 99), "syslog:[fd00::1]:99"),
        (
            "syslog-tcp:loghost:601",
            FeedTarget::SyslogTcp("loghost".into(), 601),
            "syslog-tcp:loghost:601",
        ),
        (
            "syslog-tcp:[fd00::1]:99",
            FeedTarget::SyslogTcp("fd00::1".into(), 99),
            "syslog-tcp:[fd00::1]:99",
        ),
    ] {
        assert_eq!(text.parse::<FeedTarget>().as_ref(), Ok(&target), "{text}");
        assert_eq!(target.to_string(), said);
        assert_eq!(said.parse(), Ok(target));
    }
    for bad in [
        "",
        "stderr",
        "unix:",
        "syslog:",
        "syslog::5",
        "syslog:h:0",
        "syslog:h:x",
        "syslog:[::1]5",
        "tcp:x",
        "syslog-tcp:loghost",
        "syslog-tcp:[fd00::1]",
    ] {
        assert_eq!(bad.parse::<FeedTarget>(), Err(NoTarget), "{bad}");
    }
}

#[test]
fn a_reader_that_comes_late_and_one_that_comes_again_get_whole_lines() {
    let dir = Scratch::new("feed-stream");
    let path = dir.path().join("socket");
    let patience = Patience::default();
    let (feeds, mut outbox) = start(unix(&path), &patience);
    outbox.row(&Row(0, 0));
    outbox.flush();
    std::thread::sleep(Duration::from_millis(100));
    let listener = UnixListener::bind(&path).expect("a socket");
    let reader = listener.accept().expect("a writer").0;
    let mut text = String::new();
    let mut reader = BufReader::new(reader);
    reader.read_line(&mut text).expect("a line");
    assert_eq!(text.trim_end(), line(0));
    // It goes, with more in its socket than it has read.
    drop(reader);
    let readers = std::thread::spawn(move || {
        let again = listener.accept().expect("a writer").0;
        let lines = BufReader::new(again).lines();
        lines.map(|l| l.expect("text")).collect::<Vec<_>>()
    });
    for n in 1..1000 {
        outbox.row(&Row(n, 0));
    }
    outbox.flush();
    drop(outbox);
    feeds.finish();
    let seen = readers.join().expect("a reader");
    assert!(!seen.is_empty());
    let last = seen.len() as u64;
    let want: Vec<_> = (1000 - last..1000).map(line).collect();
    assert_eq!(seen, want, "whole lines, without a hole between them");
}

#[test]
fn a_datagram_is_a_line() {
    let dir = Scratch::new("feed-datagrams");
    let path = dir.path().join("socket");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = udp.local_addr().expect("an address").port();
    let mut bytes = [0; 1024];
    for target in [
        unix(&path),
        FeedTarget::Syslog(path.clone()),
        FeedTarget::SyslogOf("127.0.0.1".into(), port),
    ] {
        let is_udp = matches!(target, FeedTarget::SyslogOf(..));
        let patience = Patience::default();
        let (feeds, mut outbox) = start(target.clone(), &patience);
        outbox.row(&Row(1, 0));
        // No datagram is so long.
        outbox.row(&Row(2, 1 << 20));
        outbox.row(&Row(3, 0));
        drop(outbox);
        let pid = std::process::id();
        let prefix = match &target {
            FeedTarget::Syslog(_) => format!("<30>sensor[{pid}]: "),
            FeedTarget::SyslogOf(..) => format!("<30>1 - tap sensor {pid} - - "),
            _ => String::new(),
        };
        for n in [1, 3] {
            let len = if is_udp {
                udp.recv(&mut bytes)
            } else {
                socket.recv(&mut bytes)
            };
            let text = String::from_utf8_lossy(&bytes[..len.expect("a datagram")]).into_owned();
            assert_eq!(text, format!("{prefix}{}", line(n)));
        }
        while feeds.lost() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(feeds.lost(), 1);
        feeds.finish();
    }
}

/// The messages that a connection brings, each after its length.
fn framed(from: TcpStream) -> Vec<String> {
    let mut from = BufReader::new(from);
    let mut messages = Vec::new();
    loop {
        let mut len = Vec::new();
        from.read_until(b' ', &mut len).expect("a length");
        let Some(digits) = len.strip_suffix(b" ") else {
            return messages;
        };
        let len = String::from_utf8_lossy(digits).parse().expect("a number");
        let mut message = vec![0; len];
        from.read_exact(&mut message).expect("a message");
        messages.push(String::from_utf8(message).expect("text"));
    }
}

#[test]
fn syslog_over_tcp_has_each_message_after_its_length_and_comes_again() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = free.local_addr().expect("an address");
    drop(free);
    let patience = Patience::default();
    let (feeds, mut outbox) = start(FeedTarget::SyslogTcp("127.0.0.1".into(), at.port()), &patience);
    outbox.row(&Row(0, 0));
    outbox.row(&Row(1, 0));
    outbox.flush();
    std::thread::sleep(Duration::from_millis(100));
    // It comes late, goes, and comes again.
    let listener = TcpListener::bind(at).expect("the port");
    let mut first = BufReader::new(listener.accept().expect("a writer").0);
    let pid = std::process::id();
    let message = |n: u64| format!("<30>1 - tap sensor {pid} - - {}", line(n));
    for n in 0..2 {
        let want = format!("{} {}", message(n).len(), message(n));
        let mut have = vec![0; want.len()];
        first.read_exact(&mut have).expect("a message");
        assert_eq!(String::from_utf8_lossy(&have), want);
    }
    drop(first);
    let again = std::thread::spawn(move || framed(listener.accept().expect("a writer").0));
    std::thread::sleep(Duration::from_millis(100));
    for n in 2..1000 {
        outbox.row(&Row(n, 0));
    }
    drop(outbox);
    assert_eq!(feeds.finish(), 0);
    let want: Vec<_> = (2..1000).map(message).collect();
    assert_eq!(again.join().expect("a reader"), want, "it had closed before");
}

#[test]
fn a_syslog_that_does_not_read_costs_rows_and_they_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let patience = Patience::default();
    let (feeds, mut outbox) = start(FeedTarget::SyslogTcp("127.0.0.1".into(), port), &patience);
    for n in 0..200_000 {
        outbox.row(&Row(n, 1000));
    }
    outbox.flush();
    let lost = feeds.lost();
    assert!(lost > 50_000 && lost < 200_000, "{lost}");
    patience.begin();
    patience.end();
    drop(outbox);
    assert!(feeds.finish() > lost);
}

/// 200 MB are more than queue and socket hold.
#[test]
fn a_reader_that_does_not_read_costs_lines_and_holds_up_nobody() {
    let dir = Scratch::new("feed-stuck");
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).expect("a socket");
    let patience = Patience::default();
    let (feeds, mut outbox) = start(unix(&path), &patience);
    for n in 0..200_000 {
        outbox.row(&Row(n, 1000));
    }
    outbox.flush();
    let lost = feeds.lost();
    assert!(lost > 50_000 && lost < 200_000, "{lost}");
    patience.begin();
    patience.end();
    drop(outbox);
    feeds.finish();
    assert!(fs::metadata(&path).is_ok());
}

#[test]
fn who_reads_captures_waits_for_a_slow_reader_and_not_for_one_that_is_gone() {
    let dir = Scratch::new("feed-wait");
    let path = dir.path().join("socket");
    let read = |rows: u64| {
        let feeds =
            Feeds::start(&[unix(&path)], None, WhenFull::Wait, Patience::default()).expect("a thread");
        let mut outbox = feeds.outbox().expect("a stream");
        for n in 0..rows {
            outbox.row(&Row(n, 1000));
        }
        drop(outbox);
        feeds.finish()
    };
    assert_eq!(read(1000), 1000, "there is none");
    let listener = UnixListener::bind(&path).expect("a socket");
    let reader = std::thread::spawn(move || {
        let reader = listener.accept().expect("a writer").0;
        std::thread::sleep(Duration::from_millis(500));
        BufReader::new(reader).lines().count()
    });
    assert_eq!(read(100_000), 0);
    assert_eq!(reader.join().expect("a reader"), 100_000);
}
