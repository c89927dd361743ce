//! The client side. All functions connect from the current namespace: call them in [`crate::netns::Namespace::run`].

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use socket2::SockRef;

use super::port;

const PATIENCE: Duration = Duration::from_secs(20);

/// Connects, with time-outs that keep a broken test from hanging.
pub(super) fn connect(ip: IpAddr, port: u16) -> Result<TcpStream> {
    let addr = SocketAddr::new(ip, port);
    let stream =
        TcpStream::connect_timeout(&addr, PATIENCE).with_context(|| format!("cannot connect to {addr}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One HTTP request and its answer; returns the client's port.
pub fn http_get(server: IpAddr) -> Result<u16> {
    let mut stream = connect(server, port::HTTP)?;
    let me = stream.local_addr()?.port();
    stream.write_all(
        b"GET /index.html HTTP/1.1\r\nHost: testbed.example\r\nUser-Agent: testbed\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200 OK"), "no HTTP answer");
    Ok(me)
}

/// A datagram there and back; returns the client's port.
pub fn udp_exchange(server: IpAddr, bytes: usize) -> Result<u16> {
    udp_exchange_from(server, bytes, 0)
}

/// As [`udp_exchange`], from a port that the caller chooses: the kernel's choice may repeat, and
/// whether that is the same connection then depends on the time between.
pub fn udp_exchange_from(server: IpAddr, bytes: usize, port: u16) -> Result<u16> {
    let any: IpAddr = if server.is_ipv6() {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect((server, port::UDP_ECHO))?;
    socket.send(&vec![b'u'; bytes])?;
    let mut buf = vec![0; bytes + 1];
    let n = socket.recv(&mut buf).context("no UDP answer")?;
    ensure!(n == bytes, "UDP answer of {n} bytes instead of {bytes}");
    Ok(socket.local_addr()?.port())
}

/// A connection to a port where nobody listens.
pub fn refused(server: IpAddr) -> Result<()> {
    match TcpStream::connect_timeout(&SocketAddr::new(server, port::REFUSED), PATIENCE) {
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        Err(e) => Err(e).context("instead of a refusal"),
        Ok(_) => bail!("the connection was not refused"),
    }
}

/// One SYN that nobody answers; returns after `wait`, before the kernel repeats it if `wait` is
/// below a second.
pub fn unanswered_syn(dark: IpAddr, port: u16, wait: Duration) -> Result<()> {
    match TcpStream::connect_timeout(&SocketAddr::new(dark, port), wait) {
        Err(e) if e.kind() == std::io::ErrorKind::TimedOut => Ok(()),
        Err(e) => Err(e).context("instead of silence"),
        Ok(_) => bail!("somebody answered"),
    }
}

/// Sends a request and resets the connection instead of closing it; returns the client's port.
pub fn reset_by_client(server: IpAddr) -> Result<u16> {
    let mut stream = connect(server, port::HOLD)?;
    stream.write_all(&[b'c'; 500])?;
    // Until it is acknowledged; a reset would discard it.
    std::thread::sleep(Duration::from_millis(30));
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(stream.local_addr()?.port())
}

/// Has the server answer with a few bytes and a reset; returns the client's port.
pub fn reset_by_server(server: IpAddr) -> Result<u16> {
    let mut stream = connect(server, port::RESET)?;
    stream.write_all(b"reset me")?;
    let mut got = Vec::new();
    match stream.read_to_end(&mut got) {
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        other => bail!("{other:?} instead of a reset"),
    }
    Ok(stream.local_addr()?.port())
}

/// Closes its own direction, then reads an answer to the end; returns the client's port.
pub fn half_close(server: IpAddr) -> Result<u16> {
    let mut stream = connect(server, port::HALF_CLOSE)?;
    let me = stream.local_addr()?.port();
    stream.write_all(b"and that is all I have to say")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.len() == 4000,
        "{} bytes after the half-close",
        answer.len()
    );
    Ok(me)
}

/// Opens a connection that stays open as long as the returned stream; `close` ends the client's
/// direction only.
pub fn opened_then_closed(server: IpAddr, close: bool) -> Result<TcpStream> {
    let stream = connect(server, port::HOLD)?;
    if close {
        stream.shutdown(Shutdown::Write)?;
    }
    Ok(stream)
}

/// A connection whose server closes its direction while the client leaves its own open.
pub fn server_closes_first(server: IpAddr) -> Result<TcpStream> {
    let mut stream = connect(server, port::CLOSES_FIRST)?;
    ensure!(stream.read(&mut [0; 1])? == 0, "data instead of an end");
    Ok(stream)
}

/// Sends `bytes` to the server; returns the client's port.
pub fn upload(server: IpAddr, bytes: u64) -> Result<u16> {
    let mut stream = connect(server, port::SINK)?;
    send_bytes(&mut stream, bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    ensure!(u64::from_be_bytes(count) == bytes, "bytes went missing");
    finish(stream)
}

/// Has the server send `bytes`; returns the client's port.
pub fn download(server: IpAddr, bytes: u64) -> Result<u16> {
    let mut stream = connect(server, port::SOURCE)?;
    stream.write_all(&bytes.to_be_bytes())?;
    let mut buf = vec![0; 256 * 1024];
    let mut left = bytes;
    while left > 0 {
        let n = stream.read(&mut buf)?;
        ensure!(n > 0, "the stream ended {left} bytes early");
        left = left.checked_sub(n as u64).context("too many bytes")?;
    }
    finish(stream)
}

/// Closes both directions and waits for the last acknowledgement; returns the client's port.
fn finish(mut stream: TcpStream) -> Result<u16> {
    let client_port = stream.local_addr()?.port();
    ensure!(stream.read(&mut [0; 1])? == 0, "data after the end");
    // Already done in one of the cases.
    let _ = stream.shutdown(Shutdown::Write);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = tcp_state(&stream)?;
        // Both sides' FINs acknowledged: TIME_WAIT shows as CLOSE on the socket.
        if state == TCP_CLOSE {
            return Ok(client_port);
        }
        ensure!(
            Instant::now() < deadline,
            "the connection did not close, state {state}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// linux/tcp.h, TCP_CLOSE.
const TCP_CLOSE: u8 = 7;

/// The first byte of struct tcp_info (linux/tcp.h).
fn tcp_state(stream: &TcpStream) -> Result<u8> {
    let mut state = 0u8;
    let mut len = 1 as libc::socklen_t;
    // SAFETY: the buffer has the length that is passed.
    let rc = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &mut len,
        )
    };
    ensure!(
        rc == 0 && len == 1,
        "TCP_INFO: {}",
        std::io::Error::last_os_error()
    );
    Ok(state)
}

/// Writes `bytes` bytes in large pieces.
pub(super) fn send_bytes(stream: &mut TcpStream, bytes: u64) -> std::io::Result<()> {
    let piece = vec![0x5a; 256 * 1024];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(piece.len() as u64) as usize;
        stream.write_all(&piece[..n])?;
        left -= n as u64;
    }
    Ok(())
}
