//! Which flows are ignored, counted alone or watched, as the operator says it.
//!
//! Rules stand in a list, and the first that matches a flow decides. Their conditions are written as pcap filters are
//! (`expr`), taken apart into terms (`term`), each of which is one rule of the kernel's, and these become its tables
//! (`tables`). What cannot be decided when a flow begins is refused with the reason.

mod expr;
mod tables;
mod term;

use std::str::FromStr;

use sensor_common::Packet;
use sensor_common::filter::{COUNT, IGNORE, MAX_RULES, WATCH};

pub use expr::FilterError;
pub use tables::Tables;
use term::Term;

/// What becomes of the flows that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are tracked.
    Watch,
    /// They are not.
    Ignore,
    /// They are tracked, and nothing is read of what they carry.
    Count,
}

/// Rules, in their order.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    terms: Vec<(Action, Term)>,
}

impl Filter {
    /// Reads rules: `ignore EXPRESSION`, `count EXPRESSION`, `watch EXPRESSION`, or an expression alone, which has ignored what
    /// it does not match.
    pub fn new<'r>(rules: impl IntoIterator<Item = &'r str>) -> Result<Filter, FilterError> {
        let mut terms = Vec::new();
        for rule in rules {
            let (action, rest) = action(rule);
            let parsed = expr::parse(rest).map_err(|e| e.of_rule(rule))?;
            let (action, parsed) = match action {
                Some(action) => (action, parsed),
                None => (Action::Ignore, expr::Expr::Not(Box::new(parsed))),
            };
            let all = term::terms(&parsed).map_err(|e| e.of_rule(rule))?;
            terms.extend(all.into_iter().map(|t| (action, t)));
        }
        if terms.len() > MAX_RULES {
            return Err(FilterError::many(terms.len()));
        }
        Ok(Filter { terms })
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a rule asks for VLANs.
    pub fn asks_for_vlans(&self) -> bool {
        self.terms.iter().any(|(_, t)| t.asks_for_vlans())
    }

    /// The interfaces that rules speak of.
    pub fn interfaces(&self) -> Vec<&str> {
        let mut all: Vec<_> = self.terms.iter().flat_map(|(_, t)| t.interfaces()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What becomes of the flow that a packet begins, which came through no interface with a name: as the kernel's program
    /// decides by its tables.
    pub fn verdict(&self, p: &Packet) -> u32 {
        match self.terms.iter().find(|(_, t)| t.matches(p)) {
            Some((Action::Ignore, _)) => IGNORE,
            Some((Action::Count, _)) => COUNT,
            Some((Action::Watch, _)) | None => WATCH,
        }
    }

    /// The kernel's tables; `ifindex` is an interface's number, 0 if there is none.
    pub fn tables(&self, ifindex: impl Fn(&str) -> u32) -> Tables {
        Tables::new(&self.terms, ifindex)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(s: &str) -> Result<Filter, FilterError> {
        Filter::new([s])
    }
}

fn action(rule: &str) -> (Option<Action>, &str) {
    let rule = rule.trim();
    let (word, rest) = rule.split_once(char::is_whitespace).unwrap_or((rule, ""));
    let action = match word {
        "watch" => Action::Watch,
        "ignore" => Action::Ignore,
        "count" => Action::Count,
        _ => return (None, rule),
    };
    (Some(action), rest)
}

#[cfg(test)]
mod tests;
