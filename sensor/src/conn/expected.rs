//! Connections that another one announced, such as FTP's for data: whose they are is known before their
//! first byte (Zeek: Analyzer::schedule_analyzer).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::analyzer::carried::Carried;
use crate::base::time::SECOND;
use crate::event::{AnalyzerTag, ConnId, Ts};

/// How long an announcement stands.
const LIFETIME: Ts = 300 * SECOND;
/// Most announcements at a time; further ones are not remembered.
const MOST: usize = 8192;

/// Stands for any originator.
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Originator, responder and the responder's port.
pub type Ends = (IpAddr, IpAddr, u16);

/// Announcements, of all engines together: the announced connection may be another one's.
#[derive(Debug, Default)]
pub struct Expected {
    all: Arc<All>,
    /// Whose hand this is.
    me: usize,
}

#[derive(Debug, Default)]
struct All {
    hands: AtomicUsize,
    /// How many there are, so that nobody takes the lock where there is none.
    count: AtomicUsize,
    /// The same of `between`.
    prepared: AtomicUsize,
    announced: Mutex<HashMap<Ends, Announced>>,
    /// Until when connections may be announced, by who announces them and to whom they go.
    between: Mutex<HashMap<(IpAddr, IpAddr), Ts>>,
}

#[derive(Clone, Debug)]
struct Announced {
    until: Ts,
    tag: AnalyzerTag,
    by: usize,
    /// Who is told of the file that it carries.
    files: Option<Arc<Carried>>,
}

/// A hand for another engine.
impl Clone for Expected {
    fn clone(&self) -> Expected {
        Expected {
            all: self.all.clone(),
            me: self.all.hands.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }
}

impl Expected {
    /// A connection of `tag` from `orig` (any host if that is [`ANY`]) to `resp` was announced at `now`.
    pub fn announce(&self, orig: IpAddr, resp: IpAddr, port: u16, tag: AnalyzerTag, now: Ts) {
        self.announce_file((orig, resp, port), tag, now, None);
    }

    /// The same of one that carries a file, of which `files` is told.
    pub fn announce_file(&self, ends: Ends, tag: AnalyzerTag, now: Ts, files: Option<Arc<Carried>>) {
        let Ok(mut announced) = self.all.announced.lock() else {
            return;
        };
        if announced.len() >= MOST {
            // All that are over go at once: with as many announcements again before the next time.
            announced.retain(|_, a| a.until >= now);
        }
        if announced.len() < MOST || announced.contains_key(&ends) {
            let by = self.me;
            announced.insert(
                ends,
                Announced {
                    until: now + LIFETIME,
                    tag,
                    by,
                    files,
                },
            );
        }
        self.all.count.store(announced.len(), Ordering::Relaxed);
    }

    /// Connections between these two may be announced from `now` on.
    pub fn prepare(&self, orig: IpAddr, resp: IpAddr, now: Ts) {
        let Ok(mut between) = self.all.between.lock() else {
            return;
        };
        if between.len() >= MOST {
            between.retain(|_, until| *until >= now);
        }
        for ends in [(orig, resp), (resp, orig)] {
            if between.len() < MOST || between.contains_key(&ends) {
                between.insert(ends, now + LIFETIME);
            }
        }
        self.all.prepared.store(between.len(), Ordering::Relaxed);
    }

    /// Whether this connection may be announced yet, by an engine that is behind this one.
    pub fn may_come(&self, c: &ConnId, now: Ts) -> bool {
        if self.all.hands.load(Ordering::Relaxed) == 0 || self.all.prepared.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let Ok(between) = self.all.between.lock() else {
            return false;
        };
        let until = [c.orig_h, ANY].map(|orig| between.get(&(orig, c.resp_h)).copied());
        until.into_iter().flatten().any(|until| until >= now)
    }

    /// Whose analyzer is to be put on a new connection.
    pub fn find(&self, c: &ConnId, now: Ts) -> Option<AnalyzerTag> {
        self.look_up(c, now).map(|a| a.tag)
    }

    /// The same for a connection that began before its first bytes came: another engine may have been told of it only
    /// meanwhile.
    pub fn find_late(&self, c: &ConnId, now: Ts) -> Option<AnalyzerTag> {
        let found = self.look_up(c, now).filter(|a| a.by != self.me)?;
        Some(found.tag)
    }

    /// Who is told of the files that a connection carries.
    pub fn files(&self, c: &ConnId) -> Option<Arc<Carried>> {
        let all = self.all.announced.lock().ok()?;
        announcements(&all, c).find_map(|a| a.files.clone())
    }

    /// Whether nothing is announced: then nobody need say who a connection is.
    pub fn is_empty(&self) -> bool {
        self.all.count.load(Ordering::Relaxed) == 0
    }

    fn look_up(&self, c: &ConnId, now: Ts) -> Option<Announced> {
        let all = self.all.announced.lock().ok()?;
        announcements(&all, c).find(|a| a.until >= now).cloned()
    }
}

/// What was announced of a connection, by its originator and of any.
fn announcements<'a>(all: &'a HashMap<Ends, Announced>, c: &ConnId) -> impl Iterator<Item = &'a Announced> {
    let found = [c.orig_h, ANY].map(|orig| all.get(&(orig, c.resp_h, c.resp_p)));
    found.into_iter().flatten()
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
        let e = Expected::default();
        let announce = |port: usize, now| {
            // More than there are ports.
            let orig = IpAddr::from([10, 0, (port >> 16) as u8, 1]);
            e.announce(orig, conn(0).resp_h, port as u16, DATA, now);
            e.all.count.load(Ordering::Relaxed)
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

    #[test]
    fn one_from_anywhere_may_be_announced() {
        let one = Expected::default();
        let other = one.clone();
        let c = conn(7);
        one.announce(ANY, c.resp_h, 7, DATA, 5);
        one.prepare(ANY, c.resp_h, 5);
        assert_eq!((one.find(&c, 6), one.find(&conn(8), 6)), (Some(DATA), None));
        assert!(other.may_come(&c, 6));
        assert!(!other.may_come(
            &ConnId {
                resp_h: c.orig_h,
                ..c
            },
            6
        ));
    }

    #[test]
    fn between_whom_one_may_come_is_bounded_and_ends() {
        let one = Expected::default();
        let c = conn(7);
        one.prepare(c.resp_h, c.orig_h, 5);
        assert!(!one.may_come(&c, 6), "there is no other engine");
        let other = one.clone();
        assert!(one.may_come(&c, 6) && other.may_come(&c, 5 + LIFETIME));
        assert!(!other.may_come(&c, 6 + LIFETIME));
        for i in 0..MOST {
            let host = IpAddr::from([10, 1, (i >> 8) as u8, i as u8]);
            one.prepare(host, c.resp_h, 6);
            assert!(one.all.prepared.load(Ordering::Relaxed) <= MOST);
        }
    }

    #[test]
    fn what_one_engine_is_told_another_one_knows() {
        let one = Expected::default();
        let other = one.clone();
        let c = conn(7);
        one.announce(c.orig_h, c.resp_h, 7, DATA, 5);
        assert_eq!(other.find(&c, 6), Some(DATA));
        // An engine sees its own connections in order: what came before the announcement was not meant.
        assert_eq!((other.find_late(&c, 6), one.find_late(&c, 6)), (Some(DATA), None));
    }
}
