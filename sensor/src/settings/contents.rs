//! Whose payload is wanted as tcp_contents: `orig`, `resp` or `both`, perhaps of some ports only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::conn::Contents;

/// Whose payload is wanted; in text `orig`, `resp` or `both`, optionally with `:PORT,PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WantedContents {
    /// The originator's.
    pub orig: bool,
    /// The responder's.
    pub resp: bool,
    /// Responder ports; empty: all.
    pub ports: Vec<u16>,
}

/// A text that does not say whose payload is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// It does not begin with `orig`, `resp` or `both`.
    #[error("must be orig, resp or both, optionally :PORT,PORT")]
    Whose,
    /// It has something that is no port where a port belongs.
    #[error("'{0}' is not a port")]
    Port(String),
}

impl FromStr for WantedContents {
    type Err = ContentsError;

    fn from_str(s: &str) -> Result<Self, ContentsError> {
        let (whose, ports) = s.split_once(':').unwrap_or((s, ""));
        let (orig, resp) = match whose {
            "orig" => (true, false),
            "resp" => (false, true),
            "both" => (true, true),
            _ => return Err(ContentsError::Whose),
        };
        let ports = ports
            .split(',')
            .filter(|p| !p.is_empty())
            .map(|p| p.parse().map_err(|_| ContentsError::Port(p.to_owned())))
            .collect::<Result<_, _>>()?;
        Ok(WantedContents { orig, resp, ports })
    }
}

impl TryFrom<String> for WantedContents {
    type Error = ContentsError;

    fn try_from(s: String) -> Result<Self, ContentsError> {
        s.parse()
    }
}

impl fmt::Display for WantedContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.orig, self.resp) {
            (true, true) => "both",
            (true, false) => "orig",
            _ => "resp",
        })?;
        for (i, port) in self.ports.iter().enumerate() {
            write!(f, "{}{port}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl From<WantedContents> for String {
    fn from(c: WantedContents) -> String {
        c.to_string()
    }
}

impl From<&WantedContents> for Contents {
    fn from(c: &WantedContents) -> Contents {
        Contents {
            orig: c.orig,
            resp: c.resp,
            ports: c.ports.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        for text in ["orig", "resp", "both", "both:80", "orig:80,8080"] {
            let c: WantedContents = text.parse().expect(text);
            assert_eq!(c.to_string(), text);
        }
        assert_eq!("all".parse::<WantedContents>(), Err(ContentsError::Whose));
        assert_eq!(
            "both:http".parse::<WantedContents>(),
            Err(ContentsError::Port("http".into()))
        );
    }
}
