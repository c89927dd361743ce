//! A matcher on a connection, what it may say, and what becomes of that.

use super::{IGNORE_VIOLATIONS_AFTER, Inner, ftp, http, smtp, ssh};
use crate::analyzer::{Ctx, dns};
use crate::event::{AnalyzerTag, Ts};

/// A matcher at work.
#[derive(Debug)]
pub struct Slot {
    pub tag: AnalyzerTag,
    pub matcher: Matcher,
    pub confirmed: bool,
    /// Zeek takes a matcher off once the packet in which it failed is through.
    pub failed: Option<Ts>,
    /// It has handed over to an inner stream.
    pub done: bool,
}

#[derive(Debug)]
pub enum Matcher {
    Http(Box<http::Http>),
    Ssh(Box<ssh::Ssh>),
    Smtp(Box<smtp::Smtp>),
    Ftp(Box<ftp::Ftp>),
    /// With TCP's framing, orig and resp.
    Dns(Box<(dns::Dns, [dns::Frames; 2])>),
    /// By direction: whether it has turned the flow round.
    Ntp([bool; 2]),
    Syslog,
    Quic,
}

/// Where a matcher hands over: the last `len` of the bytes it was given, and all after them, are an inner
/// stream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    pub inner: Inner,
    /// In WebSocket's frames.
    pub framed: bool,
    pub len: usize,
}

impl Tail {
    pub fn new(inner: Inner, rest: &[u8]) -> Self {
        Tail {
            inner,
            framed: false,
            len: rest.len(),
        }
    }

    /// The one of two that begins first.
    pub fn earlier(a: Option<Tail>, b: Option<Tail>) -> Option<Tail> {
        match (a, b) {
            (Some(x), Some(y)) if y.len > x.len => b,
            (None, _) => b,
            _ => a,
        }
    }
}

/// The confirmed services in order; there is room for one more than can be confirmed at once in practice.
#[derive(Debug, Default)]
pub struct Services([Option<AnalyzerTag>; 4]);

impl Services {
    /// In the order of confirmation.
    pub fn iter(&self) -> impl Iterator<Item = AnalyzerTag> + '_ {
        self.0.iter().flatten().copied()
    }

    pub fn add(&mut self, tag: AnalyzerTag) {
        if self.0.contains(&Some(tag)) {
            return;
        }
        if let Some(free) = self.0.iter_mut().find(|s| s.is_none()) {
            *free = Some(tag);
        }
    }

    pub fn remove(&mut self, tag: AnalyzerTag) {
        if let Some(at) = self.0.iter().position(|s| *s == Some(tag)) {
            self.0[at..].rotate_left(1);
            self.0[3] = None;
        }
    }
}

/// What a matcher may say while it reads.
pub struct Said<'a, 'c> {
    pub ctx: &'a mut Ctx<'c>,
    pub services: &'a mut Services,
    pub tag: AnalyzerTag,
    pub confirmed: &'a mut bool,
    pub failed: &'a mut Option<Ts>,
    /// Violations of incomplete connections mean nothing.
    pub mute: bool,
    pub late: bool,
}

impl Said<'_, '_> {
    pub fn confirm(&mut self) {
        if !std::mem::replace(self.confirmed, true) {
            self.ctx.out.confirm(self.tag);
            // What failed a moment before is no service any more.
            if self.failed.is_none() {
                self.services.add(self.tag);
            }
        }
    }

    pub fn is_confirmed(&self) -> bool {
        *self.confirmed
    }

    pub fn violation(&mut self, reason: &str) {
        if self.mute {
            return;
        }
        self.ctx.out.violation(self.tag, reason);
        if !self.late {
            self.services.remove(self.tag);
            self.failed.get_or_insert(self.ctx.ts);
        }
    }
}

impl Slot {
    pub fn new(tag: AnalyzerTag, netbios: bool) -> Option<Slot> {
        let matcher = match tag {
            AnalyzerTag::Http => Matcher::Http(Box::new(http::Http::new())),
            AnalyzerTag::Ssh => Matcher::Ssh(Box::new(ssh::Ssh::new())),
            AnalyzerTag::Smtp => Matcher::Smtp(Box::new(smtp::Smtp::new())),
            AnalyzerTag::Ftp => Matcher::Ftp(Box::new(ftp::Ftp::new())),
            AnalyzerTag::Dns => {
                let frames = [dns::Frames::default(), dns::Frames::default()];
                Matcher::Dns(Box::new((dns::Dns::new(netbios), frames)))
            }
            AnalyzerTag::Ntp => Matcher::Ntp([false; 2]),
            AnalyzerTag::Syslog => Matcher::Syslog,
            AnalyzerTag::Quic => Matcher::Quic,
            _ => return None,
        };
        Some(Slot {
            tag,
            matcher,
            confirmed: false,
            failed: None,
            done: false,
        })
    }

    /// Bytes of one direction are missing here.
    pub fn gap(&mut self, is_orig: bool) {
        match &mut self.matcher {
            Matcher::Http(m) => m.gap(is_orig),
            Matcher::Ssh(m) => m.gap(),
            Matcher::Smtp(m) => m.gap(),
            Matcher::Dns(_) => self.done = true,
            Matcher::Ftp(_) | Matcher::Ntp(_) | Matcher::Syslog | Matcher::Quic => {}
        }
    }

    pub fn wants_more(&self, is_orig: bool, bytes: u64) -> bool {
        if self.done || self.failed.is_some() {
            return false;
        }
        match &self.matcher {
            Matcher::Http(m) => m.wants_more(is_orig, bytes),
            Matcher::Ssh(m) => m.wants_more(is_orig),
            Matcher::Smtp(m) => m.wants_more(is_orig) && bytes <= IGNORE_VIOLATIONS_AFTER,
            // Data connections may be announced at any time.
            Matcher::Ftp(_) if self.confirmed => true,
            Matcher::Ftp(_) | Matcher::Ntp(_) => bytes <= IGNORE_VIOLATIONS_AFTER,
            // Every message is logged.
            Matcher::Dns(_) => true,
            Matcher::Syslog | Matcher::Quic => !self.confirmed,
        }
    }
}
