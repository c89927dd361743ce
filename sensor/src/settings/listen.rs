//! Where the numbers of a run are served: an address of this machine or the path of a socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a path of a socket begins with in text.
const UNIX: &str = "unix:";

/// Where to listen; in text `ADDRESS:PORT`, or `unix:` and an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A text that says nowhere to listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be ADDRESS:PORT, such as 127.0.0.1:9477 or [::1]:9477, or unix:/PATH")]
pub struct ListenError;

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(s: &str) -> Result<Self, ListenError> {
        match s.strip_prefix(UNIX) {
            Some(path) if path.starts_with('/') => Ok(Listen::Unix(path.into())),
            Some(_) => Err(ListenError),
            None => s.parse().map(Listen::Tcp).map_err(|_| ListenError),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(s: String) -> Result<Self, ListenError> {
        s.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(addr) => addr.fmt(f),
            Listen::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl From<Listen> for String {
    fn from(l: Listen) -> String {
        l.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_is_written() {
        for text in ["127.0.0.1:9477", "[::1]:9477", "unix:/run/sensor/metrics.sock"] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.to_string(), text);
        }
        for text in [
            "",
            "9477",
            ":9477",
            "localhost:9477",
            "unix:",
            "unix:metrics.sock",
            "127.0.0.1",
        ] {
            assert_eq!(text.parse::<Listen>(), Err(ListenError), "{text}");
        }
    }
}
