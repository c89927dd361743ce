//! A download over HTTP: the kernel counts its body, and userspace reads on behind it.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Result, ensure};
use sensor_tests::rows::{check, row};
use sensor_tests::sensor::TempDir;
use sensor_tests::{Lab, LabOptions, Sensor, lab, one_at_a_time, root_or_say_so};

const PORT: u16 = 26_500;
/// Payload of one write.
const PIECE: u64 = 256 * 1024;
const CONNECT: &[u8] = b"CONNECT there:25 HTTP/1.1\r\n\r\n";
const CONNECTED: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n220 there\r\n";
const HELLO: &[u8] = b"EHLO here\r\n";
const GET: &[u8] = b"GET /body HTTP/1.1\r\nHost: there\r\n\r\n";

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
struct Body {
    bytes: u64,
    /// In chunks of so many bytes.
    chunk: Option<u64>,
}

impl Body {
    fn head(self) -> String {
        match self.chunk {
            None => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", self.bytes),
            Some(_) => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        }
    }
}

/// What a body is made of: it looks like replies.
static LIKE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let like = b"HTTP/1.1 200 OK\r\n\r\n".iter();
    like.copied().cycle().take(PIECE as usize).collect()
});

/// Writes `n` bytes of a body.
fn bulk(to: &mut impl Write, mut n: u64) -> Result<()> {
    while n > 0 {
        let now = n.min(PIECE);
        to.write_all(&LIKE[..now as usize])?;
        n -= now;
    }
    Ok(())
}

/// Takes a request's head.
fn request(from: &mut impl BufRead) -> Result<()> {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        ensure!(from.read_line(&mut line)? > 0, "it ended");
    }
    Ok(())
}

/// The server: a body, then a tunnel to a mail server. Returns how many bytes it sent.
fn serve(stream: TcpStream, body: Body) -> Result<u64> {
    let mut from = BufReader::new(stream.try_clone()?);
    // What stands around a chunk goes with it, and does not wait to be acknowledged.
    stream.set_nodelay(true)?;
    let mut to = BufWriter::with_capacity(PIECE as usize, Counted(stream, 0));
    request(&mut from)?;
    to.write_all(body.head().as_bytes())?;
    let chunk = body.chunk.unwrap_or(body.bytes);
    let mut left = body.bytes;
    while left > 0 {
        let n = chunk.min(left);
        if body.chunk.is_some() {
            to.write_all(format!("{n:x}\r\n").as_bytes())?;
        }
        let first = if left == body.bytes { n.min(PIECE) } else { 0 };
        bulk(&mut to, first)?;
        if first > 0 {
            to.flush()?;
            // So that what is measured is not how soon the sensor gets a processor to say what it wants.
            std::thread::sleep(Duration::from_millis(1000));
        }
        bulk(&mut to, n - first)?;
        if body.chunk.is_some() {
            to.write_all(b"\r\n")?;
        }
        left -= n;
    }
    if body.chunk.is_some() {
        to.write_all(b"0\r\n\r\n")?;
    }
    to.flush()?;
    request(&mut from)?;
    to.write_all(CONNECTED)?;
    to.flush()?;
    let mut hello = String::new();
    from.read_line(&mut hello)?;
    to.write_all(b"250 there\r\n")?;
    to.flush()?;
    to.get_ref().0.shutdown(Shutdown::Write)?;
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok(to.get_ref().1)
}

/// A stream, and how many bytes were written to it.
struct Counted(TcpStream, u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.0.write(bytes)?;
        self.1 += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// The client. `sent`: bytes of the reply with the body.
fn download(sent: u64) -> Result<u16> {
    let mut stream = TcpStream::connect((lab::server_ip(false), PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(GET)?;
    let got = std::io::copy(&mut (&stream).take(sent), &mut std::io::sink())?;
    ensure!(got == sent, "the reply ended early");
    stream.write_all(CONNECT)?;
    let mut answer = vec![0; CONNECTED.len()];
    stream.read_exact(&mut answer)?;
    stream.write_all(HELLO)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    ensure!(rest.starts_with(b"250"), "no answer");
    Ok(stream.local_addr()?.port())
}

/// Bytes of the reply with the body.
fn reply_len(body: Body) -> u64 {
    let around = body.chunk.map_or(0, |chunk| {
        let (whole, rest) = (body.bytes / chunk, body.bytes % chunk);
        let around = |n: u64| format!("{n:x}").len() as u64 + 4;
        whole * around(chunk) + if rest > 0 { around(rest) } else { 0 } + 5
    });
    body.head().len() as u64 + body.bytes + around
}

/// Downloads past a sensor; the share of the wire's bytes that went to userspace.
fn transfer(body: Body) -> f64 {
    let _turn = one_at_a_time();
    let lab = Lab::new(LabOptions::default()).expect("a lab");
    let logs = TempDir::new().unwrap();
    // What comes up of short chunks is all of them: rings that have room for it, however slow the sensor was built.
    let options = ["--rx-only", "--ring-mib", "64"];
    let sensor = Sensor::start(&lab.middle, &lab.taps(), logs.path(), &options).expect("a sensor");
    let before = lab.tapped().unwrap();
    let listener = lab
        .server
        .run(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)))
        .unwrap()
        .unwrap();
    let (sent, port) = std::thread::scope(|s| {
        let server = s.spawn(move || serve(listener.accept().unwrap().0, body).unwrap());
        let port = lab.client.run(|| download(reply_len(body))).unwrap().unwrap();
        (server.join().unwrap(), port)
    });
    lab.settle().unwrap();
    let after = lab.tapped().unwrap();
    let done = sensor.stop().unwrap();

    let conns = done.conns().unwrap();
    let row = row(&conns, lab::server_ip(false), port);
    check(
        row,
        &[
            ("conn_state", "SF".into()),
            // What follows the body was read.
            ("service", "http,smtp".into()),
            ("missed_bytes", 0.into()),
            ("orig_bytes", (GET.len() + CONNECT.len() + HELLO.len()).into()),
            ("resp_bytes", sent.into()),
            ("orig_pkts", (after[0] - before[0]).into()),
            ("resp_pkts", (after[1] - before[1]).into()),
        ],
    );
    let frames: u64 = (0..2).map(|i| after[i] - before[i]).sum();
    assert_eq!(done.check_sums().unwrap().frames, frames);
    let wire = row["orig_ip_bytes"].as_u64().unwrap() + row["resp_ip_bytes"].as_u64().unwrap();
    let copied = done.copied().unwrap();
    assert!(copied > 0);
    let share = copied as f64 / wire as f64;
    eprintln!(
        "{body:?}: {copied} bytes of {wire} copied to userspace, {:.4} %",
        100.0 * share
    );
    share
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_body_stays_in_the_kernel_and_what_follows_it_is_read() {
    // What comes before the order to keep the payload arrives depends on who else wants the processors.
    let body = Body {
        bytes: 200_000_000,
        chunk: None,
    };
    let shares = (0..3).map(|_| transfer(body));
    let mut seen = Vec::new();
    let kept = shares.inspect(|s| seen.push(*s)).any(|s| s < 0.01);
    assert!(kept, "{seen:?} of the bytes copied");
}

#[test]
#[cfg_attr(not(root), ignore = "needs root")]
fn a_body_in_chunks_is_read_to_its_end() {
    for chunk in [1000, 30_000, 1 << 20] {
        transfer(Body {
            bytes: 20_000_000,
            chunk: Some(chunk),
        });
    }
}

/// `cargo test -p sensor-tests --test skipped -- --ignored --nocapture gigabytes`
#[test]
#[ignore = "takes a while; prints a figure"]
fn gigabytes_of_a_body_stay_in_the_kernel() {
    if root_or_say_so("gigabytes_of_a_body_stay_in_the_kernel") {
        // More than one order is for.
        let bytes = 3_000_000_000;
        assert!(transfer(Body { bytes, chunk: None }) < 0.01);
        let chunk = Some(64 << 20);
        transfer(Body { bytes, chunk });
    }
}
