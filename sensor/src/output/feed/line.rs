//! The way of a stream's lines to their reader, who may go and come again.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use super::target::FeedTarget;

/// Facility daemon, severity informational (RFC 5424, section 6.2.1).
const PRIORITY: u8 = 3 * 8 + 6;

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
    /// What a datagram of syslog begins with.
    prefix: Vec<u8>,
    way: Option<Way>,
}

#[derive(Debug)]
enum Way {
    Stdout,
    Stream(UnixStream),
    Datagrams(UnixDatagram),
    Udp(UdpSocket),
}

impl Line {
    /// To `target`. `system`: the sensor's name.
    pub fn new(target: FeedTarget, system: Option<&str>) -> Line {
        let pid = std::process::id();
        let prefix = match &target {
            FeedTarget::Stdout | FeedTarget::Unix(_) => String::new(),
            FeedTarget::Syslog(_) => format!("<{PRIORITY}>sensor[{pid}]: "),
            FeedTarget::SyslogOf(..) => {
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
        FeedTarget::SyslogOf(host, port) => {
            let mut last = io::ErrorKind::NotFound.into();
            for at in (host.as_str(), *port).to_socket_addrs()? {
                let own: IpAddr = match at {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                match UdpSocket::bind((own, 0)).and_then(|s| s.connect(at).map(|()| s)) {
                    Ok(socket) => return Ok(Way::Udp(socket)),
                    Err(e) => last = e,
                }
            }
            Err(last)
        }
    }
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
