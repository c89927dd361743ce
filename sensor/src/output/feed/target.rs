//! Where streams of rows can go, and what that is called.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a stream of rows goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedTarget {
    /// Standard output.
    Stdout,
    /// A Unix socket, of streams or of datagrams: a line is one.
    Unix(PathBuf),
    /// The syslog of this machine, by its socket.
    Syslog(PathBuf),
    /// The syslog of another one, by UDP: its name or address, and the port.
    SyslogOf(String, u16),
    /// The same by TCP, each message after its length (RFC 6587, section 3.4.1).
    SyslogTcp(String, u16),
}

/// Text that names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rows go to stdout, unix:PATH, syslog:PATH, syslog:HOST, syslog:HOST:PORT or syslog-tcp:HOST:PORT")]
pub struct NoTarget;

/// The port of syslog over UDP (RFC 5426, section 3.3).
const SYSLOG_PORT: u16 = 514;

impl FromStr for FeedTarget {
    type Err = NoTarget;

    fn from_str(s: &str) -> Result<FeedTarget, NoTarget> {
        if s == "stdout" {
            return Ok(FeedTarget::Stdout);
        }
        match s
            .split_once(':')
            .filter(|(_, at)| !at.is_empty())
            .ok_or(NoTarget)?
        {
            ("unix", path) => Ok(FeedTarget::Unix(path.into())),
            ("syslog", path) if path.starts_with('/') => Ok(FeedTarget::Syslog(path.into())),
            ("syslog", host) => {
                let (host, port) = host_and_port(host, Some(SYSLOG_PORT))?;
                Ok(FeedTarget::SyslogOf(host, port))
            }
            // There is no usual port.
            ("syslog-tcp", host) => {
                let (host, port) = host_and_port(host, None)?;
                Ok(FeedTarget::SyslogTcp(host, port))
            }
            _ => Err(NoTarget),
        }
    }
}

/// `HOST:PORT`, or an IPv6 address in brackets before a port. Where there is a usual port, it may be left out, and the brackets.
fn host_and_port(s: &str, usual: Option<u16>) -> Result<(String, u16), NoTarget> {
    let port = |text: &str| text.parse().ok().filter(|p| *p != 0).ok_or(NoTarget);
    let (host, port) = match s.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, usual.ok_or(NoTarget)?),
        Some((host, rest)) => (host, port(rest.strip_prefix(':').ok_or(NoTarget)?)?),
        None => match s.split_once(':') {
            Some((host, rest)) if !rest.contains(':') => (host, port(rest)?),
            _ => (s, usual.ok_or(NoTarget)?),
        },
    };
    match host.is_empty() {
        true => Err(NoTarget),
        false => Ok((host.to_owned(), port)),
    }
}

impl fmt::Display for FeedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeedTarget::Stdout => f.write_str("stdout"),
            FeedTarget::Unix(path) => write!(f, "unix:{}", path.display()),
            FeedTarget::Syslog(path) => write!(f, "syslog:{}", path.display()),
            FeedTarget::SyslogOf(host, port) => write!(f, "syslog:{}:{port}", Host(host)),
            FeedTarget::SyslogTcp(host, port) => write!(f, "syslog-tcp:{}:{port}", Host(host)),
        }
    }
}

/// A name or an address before a port.
struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.contains(':') {
            true => write!(f, "[{}]", self.0),
            false => f.write_str(self.0),
        }
    }
}

impl Serialize for FeedTarget {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FeedTarget {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<FeedTarget, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
