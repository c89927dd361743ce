//! Every event by name: what lists of events, their patterns and the kernel's policy are made of.

use std::str::FromStr;

use sensor_common::policy;

use super::PAGES;
use crate::base::wildcard::{is_pattern, matches};
use crate::event::{AnonymizationMapping, Info, Kind, NewEvent, Subscriptions};

/// Every event, page by page.
pub fn events() -> impl Iterator<Item = &'static Info> {
    PAGES.iter().flat_map(|p| p.events)
}

/// Every event in the order of docs/events.md: the seeds' pages one after the other, the names on each in order.
pub fn listed() -> Vec<&'static Info> {
    let group = |e: &Info| {
        let of = |group: &str| PAGES.iter().position(|p| p.group == group);
        PAGES
            .iter()
            .find(|p| p.number as usize == e.kind.page())
            .and_then(|p| of(p.group))
    };
    let mut all: Vec<_> = events().collect();
    all.sort_by_key(|e| (group(e), e.name));
    all
}

/// The event of that name, the seeds' or Zeek's newer one.
pub fn named(name: &str) -> Option<&'static Info> {
    events().find(|e| e.is_named(name))
}

impl Kind {
    /// What is to be said of the event; None if no page has it.
    pub fn info(self) -> Option<&'static Info> {
        let page = PAGES.iter().find(|p| p.number as usize == self.page())?;
        page.events.get(self.index())
    }
}

impl Subscriptions {
    /// Every event there is.
    pub const ALL: Subscriptions = all();

    /// The events in the set, page by page.
    pub fn iter(self) -> impl Iterator<Item = &'static Info> {
        events().filter(move |e| self.wants(e.kind))
    }
}

const fn all() -> Subscriptions {
    let (mut all, mut page) = (Subscriptions::NONE, 0);
    while page < PAGES.len() {
        let mut event = 0;
        while event < PAGES[page].events.len() {
            all = all.with(PAGES[page].events[event].kind);
            event += 1;
        }
        page += 1;
    }
    all
}

/// A name in a list of events that is no event, or a pattern that no event matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown event '{name}'{}", suggestion(.near))]
pub struct UnknownEvent {
    /// The name or pattern, as it was given.
    pub name: String,
    /// Events with a similar name, the most similar first.
    pub near: Vec<&'static str>,
}

fn suggestion(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        [more @ .., last] => format!("; did you mean {} or {last}?", more.join(", ")),
    }
}

impl UnknownEvent {
    /// Least likeness of a name that is suggested, from 0 (nothing in common) to 1 (the same).
    const MIN_LIKENESS: f64 = 0.6;
    /// Most names that are suggested.
    const MAX_SUGGESTIONS: usize = 3;

    /// That there is none of this name.
    pub fn of(name: &str) -> Self {
        let wanted = name.to_lowercase();
        let like = |n: &str| strsim::normalized_damerau_levenshtein(&n.to_lowercase(), &wanted);
        let mut near: Vec<(f64, &'static str)> = events()
            .map(|e| (like(e.name), e.name))
            .filter(|(likeness, _)| *likeness >= Self::MIN_LIKENESS)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        UnknownEvent {
            name: name.to_owned(),
            near: near
                .into_iter()
                .take(Self::MAX_SUGGESTIONS)
                .map(|(_, n)| n)
                .collect(),
        }
    }
}

/// Events that must be named, and are not among all: the event about events (`new_event`), which would double the stream,
/// and that which tells what others hide (`anonymization_mapping`).
pub const NAMED_ONLY: [Kind; 2] = [NewEvent::KIND, AnonymizationMapping::KIND];

/// The events that a pattern matches, by either of their names, but for those that must be named.
fn matched(pattern: &str) -> Subscriptions {
    let is = |name: &str| matches(pattern.as_bytes(), name.as_bytes());
    events()
        .filter(|e| !NAMED_ONLY.contains(&e.kind))
        .filter(|e| is(e.name) || e.newer_name().is_some_and(|n| is(&n)))
        .map(|e| e.kind)
        .collect()
}

/// Names and patterns separated by commas; blanks around them do not matter.
impl FromStr for Subscriptions {
    type Err = UnknownEvent;

    fn from_str(list: &str) -> Result<Subscriptions, UnknownEvent> {
        let mut all = Subscriptions::NONE;
        for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let found = match named(name) {
                Some(info) => Subscriptions::NONE.with(info.kind),
                None if is_pattern(name) => matched(name),
                None => Subscriptions::NONE,
            };
            if !found.any() {
                return Err(UnknownEvent::of(name));
            }
            all = all.union(found);
        }
        Ok(all)
    }
}

/// The forwarding bits ([`sensor_common::policy`]) that `subs` needs; `contents`: streams are to be delivered.
pub fn policy_bits(subs: &Subscriptions, contents: bool) -> u32 {
    let needed = subs.iter().fold(0, |bits, e| bits | e.needs);
    // Analyzers need payload whoever listens.
    let base = policy::PAYLOAD;
    base | needed | if contents { policy::PAYLOAD } else { 0 }
}
