//! Long bodies: the kernel counts, userspace is told next to nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use sensor_tests::sensor::Finished;
use sensor_tests::{lab, one_at_a_time, root_or_say_so};

use super::{Web, logged};

/// The port of [`pausing`].
const PORT: u16 = 8000;

/// Answers every request on one connection with a body of `size` bytes, of which the rest waits for a while behind the
/// first: what is measured is then not how soon the sensor gets a processor.
fn pausing(listener: &TcpListener, size: usize) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let body = vec![b'x'; size];
    let (first, rest) = body.split_at(8192);
    let mut request = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? > 0 {
        request.push(byte[0]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
            stream.write_all(first)?;
            std::thread::sleep(Duration::from_millis(50));
            stream.write_all(rest)?;
        }
    }
    Ok(())
}

/// Asks `count` times for what [`pausing`] has.
fn ask(size: usize, count: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((lab::server_ip(false), PORT))?;
    let mut reply = vec![0; size];
    for _ in 0..count {
        stream.write_all(b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n")?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        stream.read_exact(&mut reply)?;
    }
    Ok(())
}

/// Downloads files of `size` bytes, `count` of them over one connection; the share of the wire's bytes that went to
/// userspace.
fn download(size: u64, count: usize, options: &[&str]) -> f64 {
    let mut web = Web::new("keepalive_requests 100000;", options).unwrap();
    let file = std::fs::File::create(web.dir.path().join("www/long.bin")).unwrap();
    file.set_len(size).unwrap();
    let url = Web::url("/long.bin");
    let mut args = vec!["--output", "/dev/null", "--limit-rate", "400M"];
    args.push(&url);
    for _ in 1..count {
        args.extend(["--output", "/dev/null", &url]);
    }
    web.fetch(&args).unwrap();
    check(&web.stop().unwrap(), size, count)
}

/// Every body has its row, exact to the byte. The share of the wire's bytes that went to userspace.
fn check(done: &Finished, size: u64, count: usize) -> f64 {
    let rows = logged(done).unwrap();
    assert_eq!(rows.len(), count);
    for row in rows.values() {
        assert_eq!(row["response_body_len"].as_u64(), Some(size), "{row:#}");
        assert_eq!(row["status_code"], 200);
    }
    let files = done.log("files.log").unwrap();
    assert_eq!(files.len(), count);
    for f in &files {
        assert_eq!(f["seen_bytes"].as_u64(), Some(size), "{f:#}");
        assert_eq!(
            (&f["missing_bytes"], &f["total_bytes"]),
            (&0.into(), &size.into())
        );
    }
    let conns = done.conns().unwrap();
    let row = conns
        .iter()
        .find(|r| r["service"] == "http")
        .expect("a connection");
    assert_eq!(
        (&row["missed_bytes"], &row["conn_state"]),
        (&0.into(), &"SF".into())
    );
    let wire = row["orig_ip_bytes"].as_u64().unwrap() + row["resp_ip_bytes"].as_u64().unwrap();
    let share = done.copied().unwrap() as f64 / wire as f64;
    eprintln!("{count} x {size}: {:.4} % of {wire} bytes copied", 100.0 * share);
    share
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_long_body_stays_in_the_kernel() {
    if !root_or_say_so("a long body") {
        return;
    }
    let _turn = one_at_a_time();
    // What comes before the order to keep the payload arrives depends on who else wants the processors.
    let best = (0..3).map(|_| download(200_000_000, 1, &[])).fold(1.0, f64::min);
    assert!(best < 0.01, "{best}");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn bodies_on_one_connection_stay_in_the_kernel_each() {
    if !root_or_say_so("bodies") {
        return;
    }
    let _turn = one_at_a_time();
    let (size, count) = (5_000_000, 20);
    let mut web = Web::new("", &[]).unwrap();
    let listener = web
        .lab
        .server
        .run(|| TcpListener::bind((lab::server_ip(false), PORT)));
    let listener = listener.unwrap().unwrap();
    let server = std::thread::spawn(move || pausing(&listener, size));
    web.lab.client.run(|| ask(size, count)).unwrap().unwrap();
    server.join().unwrap().unwrap();
    let share = check(&web.stop().unwrap(), size as u64, count);
    assert!(share < 0.01, "{share}");
}

#[test]
#[ignore = "a gigabyte each, for a figure"]
fn gigabyte() {
    let _turn = one_at_a_time();
    assert!(download(1_000_000_000, 1, &[]) < 0.01);
    assert!(download(5_000_000, 200, &[]) < 0.01);
    // With digests every byte is read.
    assert!(download(1_000_000_000, 1, &["--file-hashes", "md5"]) > 0.9);
}
