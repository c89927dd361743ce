//! A DNS server to ask.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The port that they have (RFC 1035).
const PORT: u16 = 53;

/// A DNS server; in text `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsServer(pub SocketAddr);

/// A text that names no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be ADDRESS or ADDRESS:PORT, such as 192.0.2.53, 127.0.0.1:5353 or [::1]:5353")]
pub struct DnsServerError;

impl FromStr for DnsServer {
    type Err = DnsServerError;

    fn from_str(s: &str) -> Result<Self, DnsServerError> {
        let addr = s.parse::<IpAddr>().map(|a| SocketAddr::new(a, PORT));
        let addr = addr.or_else(|_| s.parse()).map_err(|_| DnsServerError)?;
        match addr.port() {
            0 => Err(DnsServerError),
            _ => Ok(DnsServer(addr)),
        }
    }
}

impl TryFrom<String> for DnsServer {
    type Error = DnsServerError;

    fn try_from(s: String) -> Result<Self, DnsServerError> {
        s.parse()
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.port() {
            PORT => self.0.ip().fmt(f),
            _ => self.0.fmt(f),
        }
    }
}

impl From<DnsServer> for String {
    fn from(s: DnsServer) -> String {
        s.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_reads_as_it_is_written() {
        for text in ["192.0.2.53", "127.0.0.1:5353", "::1", "[2001:db8::1]:5353"] {
            let server: DnsServer = text.parse().expect(text);
            assert_eq!(server.to_string(), text);
        }
        let usual: DnsServer = "[::1]:53".parse().expect("a server");
        assert_eq!(usual.to_string(), "::1");
        for text in [
            "",
            "dns.example",
            "53",
            "127.0.0.1:0",
            "127.0.0.1:",
            "[::1]",
            "udp://1.1.1.1",
        ] {
            assert_eq!(text.parse::<DnsServer>(), Err(DnsServerError), "{text}");
        }
    }
}
