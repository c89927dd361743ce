//! Software that is found: its events and its row.

use super::api::{Cx, Found};
use super::events::{
    Software, SoftwareParseError, SoftwareUnparsedVersionFound, SoftwareVersion, SoftwareVersionFound,
};
use super::log::SoftwareRow;
use super::version::{self, Described};
use crate::base::known::Known;
use crate::event::{Subscriptions, Ts};

/// See the module.
#[derive(Debug)]
pub struct Inventory {
    known: Known,
}

impl Inventory {
    /// That of an engine, which knows what was logged.
    pub fn new(known: Known) -> Inventory {
        Inventory { known }
    }

    /// Software named itself.
    pub fn found(&mut self, found: &Found<'_>, cx: &mut Cx<'_>) {
        let told = is_wanted(cx.subs);
        let is_new = (cx.is_local)(found.host) && self.known.is_new(found.host, found.banner, cx.ts);
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

    /// What was logged.
    #[cfg(test)]
    pub(super) fn known(&self) -> &Known {
        &self.known
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
