//! Taking over what an earlier run left in the kernel (`--persist`).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use sensor_common::FlowState;

use super::{load, shifted};
use crate::anonymize::Anonymizer;
use crate::conn::{Estate, flow_uid, originator};
use crate::datapath::Part;
use crate::datapath::xdp::{self, EndedKey, Facts, KeptPart, Kernel, KernelError, Pins};
use crate::output::tail;
use crate::settings::{Decap, Persist, Settings};

/// The pins of a run that is to have any.
pub fn claim(settings: &Settings) -> Result<Option<Pins>, KernelError> {
    match settings.interfaces.persist {
        Persist::Off => Ok(None),
        Persist::Keep | Persist::Replace => Pins::claim(&settings.interfaces.persist_dir).map(Some),
    }
}

/// Whether what an earlier run left in `pins` does not fit what a run is to be.
pub fn differs(pins: &Pins, settings: &Settings) -> bool {
    let policy = sensor_common::Policy {
        bits: Decap::bits(&settings.interfaces.decap),
        ..sensor_common::Policy::default()
    };
    let config = xdp::KernelConfig {
        policy,
        ..load::sizes(settings)
    };
    xdp::facts(&config, 0, 0).is_ok_and(|facts| pins.check(&facts).is_err())
}

/// The settings with which what an earlier run left can be taken over.
pub fn as_left(settings: &Settings, facts: &Facts) -> Settings {
    let mut s = settings.clone();
    s.flows.entries = facts.flows;
    s.flows.half_open_share = facts.half_open_share;
    s.rings.workers = Some(facts.rings);
    s.rings.mib = facts.ring_bytes >> 20;
    s
}

/// What the workers take over.
pub struct Inheritance {
    /// One for each worker.
    pub estates: Vec<Estate>,
    /// Ended flows whose states are kept until the first worker's rows are written.
    pub kept: Vec<EndedKey>,
    /// Flows with several connections.
    pub divided: Vec<EndedKey>,
}

/// What an earlier run left; None: there was none. `dirs`: where its logs are; `anonymizer`: what gave the connections there
/// their ids.
pub fn inheritance(
    kernel: &Kernel,
    facts: &Facts,
    dirs: &[&Path],
    anonymizer: Option<&Anonymizer>,
) -> Result<Option<Inheritance>, KernelError> {
    if !kernel.takes_over() {
        return Ok(None);
    }
    let left = kernel.left()?;
    let mut table = kernel.table()?;
    let parts: HashMap<EndedKey, KeptPart> = left.parts.into_iter().collect();
    let ended: HashSet<EndedKey> = left.ended.iter().map(|(key, _)| *key).collect();
    let uid = |key: &EndedKey| {
        let hi = match (key.part, parts.get(key)) {
            (0, Some(part)) => Some(part.uid_hi),
            (0, None) => None,
            (hi, _) => Some(hi),
        };
        let uid = flow_uid(facts.seed, key.start, &key.flow, hi);
        anonymizer.map_or(uid, |a| a.uid(uid)).to_string()
    };
    let wanted = left.ended.iter().map(|(key, _)| uid(key)).collect();
    let written = tail::written(dirs, &wanted);
    let mut mine = Inheritance {
        estates: (0..facts.rings).map(|_| Estate::default()).collect(),
        kept: Vec::new(),
        divided: Vec::new(),
    };
    let mut done = Vec::new();
    for (key, state) in &left.ended {
        if written.contains(&uid(key)) {
            done.push(*key);
            continue;
        }
        let part = match key.part {
            0 => parts.get(key).map(|p| part(key, p, facts.shift)),
            uid_hi => Some(of_its_own(uid_hi, state, facts.shift)),
        };
        let state = shifted::state(*state, facts.shift);
        mine.estates[0].ended.push((key.flow, part, state));
        mine.kept.push(*key);
    }
    for (key, p) in &parts {
        let is_open = table
            .lookup(&key.flow)
            .ok()
            .flatten()
            .is_some_and(|f| f.start == key.start);
        if is_open {
            for estate in &mut mine.estates {
                estate.parts.insert(key.flow, part(key, p, facts.shift));
            }
        }
        table.is_divided(*key);
        match is_open || ended.contains(key) && !done.contains(key) {
            true => mine.divided.push(*key),
            false => done.push(*key),
        }
    }
    table.release(&done);
    Ok(Some(mine))
}

fn part(key: &EndedKey, p: &KeptPart, shift: i64) -> Part {
    let by = shift as u64;
    Part {
        flow_start: key.start.wrapping_add(by),
        uid_hi: p.uid_hi,
        start: p.start.wrapping_add(by),
        orig: p.orig as u8 & 1,
        base: p.base,
    }
}

/// Of a connection that ended in the midst of a flow, whose state is its own.
fn of_its_own(uid_hi: u64, state: &FlowState, shift: i64) -> Part {
    let orig = originator(state);
    let by = shift as u64;
    Part {
        flow_start: state.start.wrapping_add(by),
        uid_hi,
        start: state.dir[orig].first.wrapping_add(by),
        orig: orig as u8,
        base: FlowState::default(),
    }
}
