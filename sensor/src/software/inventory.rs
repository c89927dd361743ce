//! The software that one worker has found.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;

use super::api::{Cx, Found};
use super::events::{
    Software, SoftwareParseError, SoftwareUnparsedVersionFound, SoftwareVersion, SoftwareVersionFound,
};
use super::log::SoftwareRow;
use super::version::{self, Described};
use crate::base::daily::Daily;
use crate::event::{Subscriptions, Ts};

/// Banners remembered, each of one host; some 50 bytes each.
const MOST_LOGGED: usize = 1 << 18;

/// See the module.
#[derive(Debug)]
pub struct Inventory {
    /// The banners with these hashes that were logged for a host within a day (Zeek: the expiry of
    /// Software::tracked_software). The hash has a key of its own in each run, so nobody finds two banners of the same hash.
    logged: Daily<(IpAddr, u64)>,
    hasher: RandomState,
}

impl Default for Inventory {
    fn default() -> Inventory {
        Inventory::with_room(MOST_LOGGED)
    }
}

impl Inventory {
    /// Without software yet, and with room for so many banners.
    pub(super) fn with_room(room: usize) -> Inventory {
        Inventory {
            logged: Daily::with_room(room),
            hasher: RandomState::new(),
        }
    }

    /// Software named itself.
    pub fn found(&mut self, found: &Found<'_>, cx: &mut Cx<'_>) {
        let told = is_wanted(cx.subs);
        let is_new = (cx.is_local)(found.host) && self.is_new(found, cx.ts);
        if !told && !is_new {
            return;
        }
        let described = version::parse(found.banner);
        if told {
            tell(found, &described, cx);
        }
        if is_new {
            cx.out.log(&row(found, &described, cx.ts));
        }
    }

    /// Banners that are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.logged.remembered()
    }

    /// Whether software.log does not have this banner of this host yet, or not for a day. Remembers it.
    fn is_new(&mut self, found: &Found<'_>, now: Ts) -> bool {
        let key = (found.host, self.hasher.hash_one(found.banner));
        self.logged.is_new(key, now)
    }
}

/// Whether somebody wants to be told of software.
fn is_wanted(subs: &Subscriptions) -> bool {
    subs.wants(SoftwareUnparsedVersionFound::KIND)
        || subs.wants(SoftwareVersionFound::KIND)
        || subs.wants(SoftwareParseError::KIND)
}

/// Raises the events of a banner.
fn tell(found: &Found<'_>, described: &Described, cx: &mut Cx<'_>) {
    let (c, host) = (found.c, found.host);
    let banner = &*version::shown(found.banner);
    if cx.subs.wants(SoftwareUnparsedVersionFound::KIND) {
        let ev = SoftwareUnparsedVersionFound { c, host, str: banner };
        cx.out.event(cx.ts, &ev);
    }
    if !described.is_complete() {
        if cx.subs.wants(SoftwareParseError::KIND) {
            let descr = banner;
            cx.out.event(cx.ts, &SoftwareParseError { c, host, descr });
        }
        return;
    }
    if cx.subs.wants(SoftwareVersionFound::KIND) {
        let name = version::shown(&described.name);
        let addl = described.version.addl.as_deref().map(version::shown);
        let [major, minor, minor2, minor3] = described.version.numbers;
        let s = Software {
            name: &name,
            version: SoftwareVersion {
                major,
                minor,
                minor2,
                minor3,
                addl: addl.as_deref(),
            },
        };
        let descr = banner;
        cx.out.event(cx.ts, &SoftwareVersionFound { c, host, s, descr });
    }
}

fn row<'a>(found: &Found<'a>, described: &'a Described, ts: Ts) -> SoftwareRow<'a> {
    let [major, minor, minor2, minor3] = described.version.numbers;
    SoftwareRow {
        ts,
        host: found.host,
        host_p: found.host_p,
        software_type: found.kind.as_str(),
        name: &described.name,
        major,
        minor,
        minor2,
        minor3,
        addl: described.version.addl.as_deref(),
        unparsed_version: found.banner,
    }
}
