//! Connections that another one announced, such as FTP's for data: whose they are is known before their
//! first byte (Zeek: Analyzer::schedule_analyzer).

use std::collections::HashMap;
use std::net::IpAddr;

use crate::base::time::SECOND;
use crate::event::{AnalyzerTag, ConnId, Ts};

/// How long an announcement stands.
const LIFETIME: Ts = 300 * SECOND;
/// Most announcements at a time; further ones are not remembered.
const MOST: usize = 8192;

/// Originator, responder and the responder's port.
type Ends = (IpAddr, IpAddr, u16);

/// Announcements and until when they stand.
#[derive(Debug, Default)]
pub struct Expected(HashMap<Ends, (Ts, AnalyzerTag)>);

impl Expected {
    /// A connection of `tag` from `orig` to `resp` was announced at `now`.
    pub fn announce(&mut self, orig: IpAddr, resp: IpAddr, port: u16, tag: AnalyzerTag, now: Ts) {
        if self.0.len() >= MOST {
            // All that are over go at once: with as many announcements again before the next time.
            self.0.retain(|_, e| e.0 >= now);
        }
        let ends = (orig, resp, port);
        if self.0.len() < MOST || self.0.contains_key(&ends) {
            self.0.insert(ends, (now + LIFETIME, tag));
        }
    }

    /// Whose analyzer is to be put on a new connection.
    pub fn find(&self, c: &ConnId, now: Ts) -> Option<AnalyzerTag> {
        let (until, tag) = self.0.get(&(c.orig_h, c.resp_h, c.resp_p))?;
        (*until >= now).then_some(*tag)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Proto, Uid};

    const DATA: AnalyzerTag = AnalyzerTag::new("Analyzer::ANALYZER_FTP_DATA", "ftp-data");

    fn conn(port: u16) -> ConnId {
        ConnId {
            uid: Uid::new(1, 1),
            orig_h: IpAddr::from([10, 0, 0, 1]),
            resp_h: IpAddr::from([10, 0, 0, 2]),
            orig_p: 20,
            resp_p: port,
            proto: Proto::Tcp,
            start: 0,
        }
    }

    #[test]
    fn announcements_are_bounded_and_end() {
        let mut e = Expected::default();
        let mut announce = |port: usize, now| {
            // More than there are ports.
            let orig = IpAddr::from([10, 0, (port >> 16) as u8, 1]);
            e.announce(orig, conn(0).resp_h, port as u16, DATA, now);
            e.0.len()
        };
        for i in 0..MOST + 10 {
            assert!(announce(i, 5) <= MOST);
        }
        assert_eq!(announce(MOST + 20, 6 + LIFETIME), 1, "the others are over");
        assert_eq!(e.find(&conn(7), 7 + LIFETIME), None);
        let port = (MOST + 20) as u16;
        assert_eq!(e.find(&conn(port), 7 + LIFETIME), Some(DATA));
        assert_eq!(e.find(&conn(port), 7 + 2 * LIFETIME), None);
    }
}
