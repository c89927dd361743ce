//! What was found of hosts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::db::Fingerprints;
use super::log::OsRow;
use super::matching::{How, Match};
use super::sight::Sight;
use crate::base::known::Known;
use crate::base::time::{MILLISECOND, MINUTE, SECOND};
use crate::event::{ConnId, OsVersion, Ts};

/// Pairs of hosts whose timestamps are remembered; with more it starts over.
const MOST_CLOCKS: usize = 1 << 13;
/// Shortest and longest time between two timestamps that tell how fast they go, ns.
const BETWEEN: std::ops::RangeInclusive<u64> = 25 * MILLISECOND..=10 * MINUTE;
/// Fewest ticks that tell it.
const LEAST_TICKS: u32 = 5;
/// Slowest and fastest clock, Hz.
const HERTZ: std::ops::RangeInclusive<f64> = 0.7..=1500.0;

/// Finds the systems of one engine's hosts.
#[derive(Debug)]
pub struct Hosts {
    all: Arc<Fingerprints>,
    known: Known,
    /// Timestamps by host and peer, and when they were seen.
    clocks: HashMap<(IpAddr, IpAddr), (u32, Ts)>,
}

/// A host's system.
#[derive(Debug)]
pub struct Found<'a> {
    all: &'a Fingerprints,
    sight: &'a Sight,
    found: Match,
    /// The event is due, not only a row.
    pub is_new: bool,
    uptime: Option<u64>,
}

impl Hosts {
    /// Without a host yet. `known`: what was logged, of all engines together.
    pub fn new(all: Arc<Fingerprints>, known: Known) -> Hosts {
        Hosts {
            all,
            known,
            clocks: HashMap::new(),
        }
    }

    /// A host sent this to a peer. None: nothing new is known of it.
    pub fn see<'a>(&'a mut self, host: IpAddr, peer: IpAddr, sight: &'a Sight, now: Ts) -> Option<Found<'a>> {
        let uptime = self.clock(host, peer, sight.ts1, now);
        let found = self.all.find(sight)?;
        let id = [
            &found.label.to_be_bytes()[..],
            &[u8::from(found.how == How::Fuzzy)],
        ]
        .concat();
        let is_new = self.known.is_new(host, &id, now);
        let is_up = uptime.is_some() && self.known.is_new(host, &[&id[..], b"up"].concat(), now);
        (is_new || is_up).then_some(Found {
            all: &self.all,
            sight,
            found,
            is_new,
            uptime,
        })
    }

    /// How long the host is up, ns, if that is known by now.
    fn clock(&mut self, host: IpAddr, peer: IpAddr, ticks: u32, now: Ts) -> Option<u64> {
        if ticks == 0 {
            return None;
        }
        if self.clocks.len() >= MOST_CLOCKS && !self.clocks.contains_key(&(host, peer)) {
            self.clocks.clear();
        }
        let (before, at) = *self.clocks.entry((host, peer)).or_insert((ticks, now));
        let (passed, ticked) = (now.saturating_sub(at), ticks.wrapping_sub(before));
        if !BETWEEN.contains(&passed) {
            if passed > *BETWEEN.end() {
                self.clocks.insert((host, peer), (ticks, now));
            }
            return None;
        }
        let hertz = f64::from(ticked) * SECOND as f64 / passed as f64;
        if ticked < LEAST_TICKS || !HERTZ.contains(&hertz) {
            return None;
        }
        Some((f64::from(ticks) / rounded(hertz) * SECOND as f64) as u64)
    }
}

/// Clocks tick in round numbers a second.
fn rounded(hertz: f64) -> f64 {
    let n = hertz as u32;
    f64::from(match n {
        0 => 1,
        1..=10 => n,
        11..=50 => (n + 3) / 5 * 5,
        51..=100 => (n + 7) / 10 * 10,
        101..=500 => (n + 33) / 50 * 50,
        _ => (n + 67) / 100 * 100,
    })
}

impl Found<'_> {
    /// As the event has it; None: it is a tool, and says nothing of a system.
    pub fn version(&self) -> Option<OsVersion<'_>> {
        let label = self.all.label(self.found.label)?;
        label.class.as_ref()?;
        Some(OsVersion {
            genre: &label.name,
            detail: &label.detail,
            dist: self.found.distance.into(),
            match_type: self.found.how.name(),
        })
    }

    /// As os.log has it.
    pub fn row<'r>(&'r self, c: &'r ConnId, host: IpAddr, is_orig: bool, now: Ts) -> Option<OsRow<'r>> {
        let label = self.all.label(self.found.label)?;
        let mtu = self.sight.mtu();
        Some(OsRow {
            ts: now,
            c,
            host,
            is_orig,
            genre: &label.name,
            detail: &label.detail,
            class: label.class.as_deref(),
            dist: self.found.distance.into(),
            match_type: self.found.how.name(),
            mtu: mtu.map(u64::from),
            link: mtu.and_then(|m| self.all.links.get(&m)).map(String::as_str),
            uptime: self.uptime.map(|ns| ns as i64),
            signature: self.sight.to_string(),
        })
    }
}
