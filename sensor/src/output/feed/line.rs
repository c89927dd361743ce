//! The way of a stream's lines to their reader, who may go and come again.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use super::target::FeedTarget;

/// Facility daemon, severity informational (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 3 * 8 + 6;

/// How long another machine is waited for, to open a connection and to take what is written to it.
const TCP_PATIENCE: Duration = Duration::from_secs(10);

/// What the reader took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes that need not be written again.
    pub bytes: usize,
    /// Whole lines.
    pub lines: u64,
}

/// Why not all of it was taken.
#[derive(Debug)]
pub enum Failure {
    /// The last of the bytes taken are a line that no datagram can hold.
    TooLong,
    /// There is no reader.
    Gone(io::Error),
}

/// The way to a target, open or not.
#[derive(Debug)]
pub struct Line {
    target: FeedTarget,
    /// What a message of syslog begins with.
    prefix: Vec<u8>,
    way: Option<Way>,
}

#[derive(Debug)]
enum Way {
    Stdout,
    Stream(UnixStream),
    Datagrams(UnixDatagram),
    Udp(UdpSocket),
    /// Each message stands after its length.
    Tcp(TcpStream),
}

impl Line {
    /// To `target`. `system`: the sensor's name.
    pub fn new(target: FeedTarget, system: Option<&str>) -> Line {
        let pid = std::process::id();
        let prefix = match &target {
            FeedTarget::Stdout | FeedTarget::Unix(_) => String::new(),
            FeedTarget::Syslog(_) => format!("<{PRIORITY}>sensor[{pid}]: "),
            FeedTarget::SyslogOf(..) | FeedTarget::SyslogTcp(..) => {
                // A name is printable ASCII without spaces; the time is the receiver's.
                let is_name =
                    |s: &&str| !s.is_empty() && s.len() <= 255 && s.bytes().all(|b| b.is_ascii_graphic());
                let host = system.filter(is_name).unwrap_or("-");
                format!("<{PRIORITY}>1 - {host} sensor {pid} - - ")
            }
        };
        Line {
            target,
            prefix: prefix.into_bytes(),
            way: None,
        }
    }

    /// Where it leads to.
    pub fn target(&self) -> &FeedTarget {
        &self.target
    }

    /// Writes lines. Those that were not taken are to be written again.
    pub fn write(&mut self, lines: &[u8]) -> (Taken, Option<Failure>) {
        let way = match &mut self.way {
            Some(way) => way,
            none => match open(&self.target) {
                Ok(way) => none.insert(way),
                Err(e) => return (Taken::default(), Some(Failure::Gone(e))),
            },
        };
        let (taken, failed) = match way {
            Way::Stdout => stream(&mut io::stdout().lock(), lines),
            Way::Stream(s) => stream(s, lines),
            Way::Datagrams(s) => datagrams(|b| s.send(b), &self.prefix, lines),
            Way::Udp(s) => datagrams(|b| s.send(b), &self.prefix, lines),
            Way::Tcp(s) => match is_closed(s) {
                Ok(false) => messages(s, &self.prefix, lines),
                Ok(true) => gone(io::ErrorKind::ConnectionReset.into()),
                Err(e) => gone(e),
            },
        };
        if matches!(failed, Some(Failure::Gone(_))) {
            self.way = None;
        }
        (taken, failed)
    }
}

fn open(target: &FeedTarget) -> io::Result<Way> {
    match target {
        FeedTarget::Stdout => Ok(Way::Stdout),
        FeedTarget::Unix(path) | FeedTarget::Syslog(path) => unix(path),
        FeedTarget::SyslogOf(host, port) => first_of(host, *port, udp),
        FeedTarget::SyslogTcp(host, port) => first_of(host, *port, tcp),
    }
}

/// The way to the first of a host's addresses that there is one to.
fn first_of(host: &str, port: u16, to: fn(SocketAddr) -> io::Result<Way>) -> io::Result<Way> {
    let mut last = io::ErrorKind::NotFound.into();
    for at in (host, port).to_socket_addrs()? {
        match to(at) {
            Ok(way) => return Ok(way),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn udp(at: SocketAddr) -> io::Result<Way> {
    let own: IpAddr = match at {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0))?;
    socket.connect(at)?;
    Ok(Way::Udp(socket))
}

fn tcp(at: SocketAddr) -> io::Result<Way> {
    let stream = TcpStream::connect_timeout(&at, TCP_PATIENCE)?;
    // A machine that is gone says nothing.
    stream.set_write_timeout(Some(TCP_PATIENCE))?;
    Ok(Way::Tcp(stream))
}

fn gone(e: io::Error) -> (Taken, Option<Failure>) {
    (Taken::default(), Some(Failure::Gone(e)))
}

/// Whether the reader has closed the connection: what is written then is lost without an error. It has nothing to say else.
fn is_closed(s: &TcpStream) -> io::Result<bool> {
    s.set_nonblocking(true)?;
    let closed = match (&*s).read(&mut [0; 512]) {
        Ok(n) => Ok(n == 0),
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(false),
        Err(e) => Err(e),
    };
    s.set_nonblocking(false)?;
    closed
}

/// Writes each line as a message of syslog, without its end, after its length. A line of which only a part was written is to be
/// written again.
fn messages(to: &mut impl io::Write, prefix: &[u8], lines: &[u8]) -> (Taken, Option<Failure>) {
    let mut text = Vec::with_capacity(lines.len() * 2);
    // Where each message ends, and its line.
    let mut ends = Vec::new();
    let mut from = 0;
    for line in lines.split_inclusive(|b| *b == b'\n') {
        let message = line.strip_suffix(b"\n").unwrap_or(line);
        // Writing to a Vec cannot fail.
        let _ = write!(text, "{} ", prefix.len() + message.len());
        text.extend_from_slice(prefix);
        text.extend_from_slice(message);
        from += line.len();
        ends.push((text.len(), from));
    }
    let mut done = 0;
    let failed = loop {
        match text.get(done..) {
            None | Some([]) => break None,
            Some(rest) => match to.write(rest) {
                Ok(0) => break Some(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Some(e),
            },
        }
    };
    let whole = ends.partition_point(|(end, _)| *end <= done);
    let taken = Taken {
        bytes: ends
            .get(..whole)
            .and_then(<[_]>::last)
            .map_or(0, |(_, from)| *from),
        lines: whole as u64,
    };
    (taken, failed.map(Failure::Gone))
}

/// Either kind of socket.
fn unix(path: &Path) -> io::Result<Way> {
    match UnixStream::connect(path) {
        Err(e) if e.raw_os_error() == Some(libc::EPROTOTYPE) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            Ok(Way::Datagrams(socket))
        }
        stream => stream.map(Way::Stream),
    }
}

/// Writes to a stream. What a reader that went had of a line the next one gets in whole.
fn stream(to: &mut impl io::Write, lines: &[u8]) -> (Taken, Option<Failure>) {
    let mut done = 0;
    let failed = loop {
        match lines.get(done..) {
            None | Some([]) => break to.flush().err(),
            Some(rest) => match to.write(rest) {
                Ok(0) => break Some(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Some(e),
            },
        }
    };
    let whole = lines.get(..done).unwrap_or(lines);
    let bytes = whole.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let n = whole.iter().filter(|b| **b == b'\n').count();
    let taken = Taken {
        bytes,
        lines: n as u64,
    };
    (taken, failed.map(Failure::Gone))
}

/// Sends each line as a datagram, without its end.
fn datagrams(
    mut send: impl FnMut(&[u8]) -> io::Result<usize>,
    prefix: &[u8],
    lines: &[u8],
) -> (Taken, Option<Failure>) {
    let mut taken = Taken::default();
    let mut datagram = Vec::new();
    for line in lines.split_inclusive(|b| *b == b'\n') {
        datagram.clear();
        let _ = datagram.write_all(prefix);
        let _ = datagram.write_all(line.strip_suffix(b"\n").unwrap_or(line));
        let sent = loop {
            match send(&datagram) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                sent => break sent,
            }
        };
        match sent {
            Ok(_) => {
                taken.bytes += line.len();
                taken.lines += 1;
            }
            Err(e) if e.raw_os_error() == Some(libc::EMSGSIZE) => {
                taken.bytes += line.len();
                return (taken, Some(Failure::TooLong));
            }
            Err(e) => return (taken, Some(Failure::Gone(e))),
        }
    }
    (taken, None)
}
