//! What is known of a name or an address, and what it means that a later answer is another one.
//!
//! The events are those of Zeek's internal resolver, with the meaning that its documentation gives them. (Zeek's code says
//! `dns_mapping_valid` where an answer came after failures, and nothing where an answer came again.)

use std::net::IpAddr;

use super::query::Query;
use crate::event::{
    DnsMapping, DnsMappingAltered, DnsMappingLostName, DnsMappingNewName, DnsMappingUnverified,
    DnsMappingValid, Event, Ts,
};

/// Most addresses of a name that are kept, the lowest ones.
pub const MAX_ADDRS: usize = 256;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Of a name: its addresses, at least one, in order, each once.
    Addrs(Vec<IpAddr>),
    /// Of an address: its name.
    Name(String),
}

impl Found {
    /// Addresses in order, each once; None: there are none.
    pub fn addrs(mut addrs: Vec<IpAddr>) -> Option<Found> {
        addrs.sort_unstable();
        addrs.dedup();
        addrs.truncate(MAX_ADDRS);
        (!addrs.is_empty()).then_some(Found::Addrs(addrs))
    }

    /// The addresses that were found.
    pub fn as_addrs(&self) -> &[IpAddr] {
        match self {
            Found::Addrs(addrs) => addrs,
            Found::Name(_) => &[],
        }
    }
}

/// What is known of a name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What was asked.
    pub query: Query,
    /// When: ns since the epoch, by the wall clock.
    pub at: Ts,
    /// What was found; None: nothing, or there was no answer.
    pub found: Option<Found>,
}

impl Mapping {
    fn as_record(&self) -> DnsMapping<'_> {
        let (req_host, req_addr) = match &self.query {
            Query::Name(name) => (Some(&**name), None),
            Query::Addr(addr) => (None, Some(*addr)),
        };
        let (hostname, addrs): (_, &[IpAddr]) = match (&self.found, &self.query) {
            // As in Zeek: the name of addresses is the one that was asked for.
            (Some(Found::Addrs(addrs)), Query::Name(name)) => (Some(&**name), addrs),
            (Some(Found::Name(name)), _) => (Some(name.as_str()), &[]),
            _ => (None, &[]),
        };
        DnsMapping {
            creation_time: self.at,
            req_host,
            req_addr,
            valid: self.found.is_some(),
            hostname,
            addrs,
        }
    }
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This is the answer.
    Found(Found),
    /// There is nothing of this name or address.
    Empty,
    /// Nobody answered, or with a failure.
    Unanswered,
}

/// What came of the question for the addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Family {
    /// These.
    Addrs(Vec<IpAddr>),
    /// There are none.
    Empty,
    /// There is no such name at all.
    NoName,
    /// Nobody answered, or with a failure.
    Unanswered,
}

impl Family {
    /// What came of both; `known`: the addresses of the name so far. Where nobody told of one family, it is as it was.
    pub fn both(v4: Family, v6: Family, known: &[IpAddr]) -> Outcome {
        let has = |which: fn(&Family) -> bool| which(&v4) || which(&v6);
        // Who has the name out of a file of hosts, or a server that errs, may say so of one family and not of the other.
        if !has(|f| matches!(f, Family::Addrs(_))) {
            if has(|f| *f == Family::NoName) {
                return Outcome::Empty;
            }
            if has(|f| *f == Family::Unanswered) {
                return Outcome::Unanswered;
            }
        }
        let of = |family: Family, is_of: fn(&IpAddr) -> bool| match family {
            Family::Addrs(addrs) => addrs,
            Family::Unanswered => known.iter().copied().filter(is_of).collect(),
            Family::Empty | Family::NoName => Vec::new(),
        };
        let mut addrs = of(v4, IpAddr::is_ipv4);
        addrs.extend(of(v6, IpAddr::is_ipv6));
        Found::addrs(addrs).map_or(Outcome::Empty, Outcome::Found)
    }
}

/// How an answer differs from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Not at all (dns_mapping_valid).
    Valid,
    /// There is none, and there was (dns_mapping_unverified).
    Unverified,
    /// There is one, and there was none (dns_mapping_new_name).
    NewName,
    /// It is that there is nothing, and there was something (dns_mapping_lost_name).
    LostName,
    /// It is another one (dns_mapping_altered). Of a name: addresses that are gone, and that are new.
    Altered {
        /// Those that are gone.
        old: Vec<IpAddr>,
        /// Those that are new.
        new: Vec<IpAddr>,
    },
}

/// That an answer was compared with the one before: an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the event tells of: the new mapping, or the old one where there is no new one.
    pub mapping: Mapping,
    /// How they differ.
    pub how: How,
}

impl Change {
    /// Shows the event.
    pub fn with<R>(&self, then: impl FnOnce(&dyn Event) -> R) -> R {
        let dm = &self.mapping.as_record();
        match &self.how {
            How::Valid => then(&DnsMappingValid { dm }),
            How::Unverified => then(&DnsMappingUnverified { dm }),
            How::NewName => then(&DnsMappingNewName { dm }),
            How::LostName => then(&DnsMappingLostName { dm }),
            How::Altered { old, new } => then(&DnsMappingAltered {
                dm,
                old_addrs: old,
                new_addrs: new,
            }),
        }
    }
}

#[cfg(test)]
impl Change {
    /// `a.example` has an address more.
    pub fn sample() -> Change {
        let addrs = vec![IpAddr::from([192, 0, 2, 1])];
        let query = Query::Name("a.example".into());
        Change {
            mapping: Mapping {
                query,
                at: 5_000_000_000,
                found: Found::addrs(addrs.clone()),
            },
            how: How::Altered {
                old: Vec::new(),
                new: addrs,
            },
        }
    }
}

/// What is known after an outcome, where `before` was known; and what that changes, if anything was known.
pub fn compare(
    before: Option<Mapping>,
    query: &Query,
    at: Ts,
    outcome: Outcome,
) -> (Mapping, Option<Change>) {
    let new = |found| Mapping {
        query: query.clone(),
        at,
        found,
    };
    let Some(before) = before else {
        return match outcome {
            Outcome::Found(found) => (new(Some(found)), None),
            Outcome::Empty | Outcome::Unanswered => (new(None), None),
        };
    };
    let changed = |mapping: &Mapping, how| {
        let mapping = mapping.clone();
        Some(Change { mapping, how })
    };
    match (&before.found, outcome) {
        (None, Outcome::Found(found)) => {
            let now = new(Some(found));
            let change = changed(&now, How::NewName);
            (now, change)
        }
        (None, Outcome::Empty | Outcome::Unanswered) => (new(None), None),
        (Some(old), Outcome::Found(found)) => {
            let how = match *old == found {
                true => How::Valid,
                false => How::Altered {
                    old: without(old.as_addrs(), found.as_addrs()),
                    new: without(found.as_addrs(), old.as_addrs()),
                },
            };
            let now = new(Some(found));
            let change = changed(&now, how);
            (now, change)
        }
        (Some(_), Outcome::Empty) => {
            let change = changed(&before, How::LostName);
            (new(None), change)
        }
        // What was known is kept: nobody has said that it is wrong.
        (Some(_), Outcome::Unanswered) => {
            let change = changed(&before, How::Unverified);
            (before, change)
        }
    }
}

/// Those of `all` that are not among `others`; both are in order.
fn without(all: &[IpAddr], others: &[IpAddr]) -> Vec<IpAddr> {
    let is_gone = |a: &&IpAddr| others.binary_search(a).is_err();
    all.iter().filter(is_gone).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<IpAddr> {
        let all = text.split(' ').filter(|t| !t.is_empty());
        all.map(|t| t.parse().expect("an address")).collect()
    }

    fn found(text: &str) -> Outcome {
        Found::addrs(ips(text)).map_or(Outcome::Empty, Outcome::Found)
    }

    /// What each of these answers changes, one after the other, as JSON.
    fn told(query: &str, outcomes: Vec<Outcome>) -> Vec<String> {
        let query = Query::of(query).expect("a query");
        let (mut known, mut told) = (None, Vec::new());
        for (n, outcome) in (1..).zip(outcomes) {
            let (now, change) = compare(known, &query, n * 1_000_000_000, outcome);
            known = Some(now);
            told.push(change.map_or_else(String::new, |c| {
                c.with(|ev| {
                    crate::event::seen::note(ev);
                    let mut json = Vec::new();
                    ev.write_json(0, &mut json);
                    let json = String::from_utf8(json).expect("text");
                    let (_, args) = json.trim_end().split_once("\"args\":").expect("arguments");
                    format!("{} {}", ev.info().name, args.strip_suffix('}').expect("its end"))
                })
            }));
        }
        told
    }

    #[test]
    fn each_event_says_what_the_seeds_say() {
        let of = |at: u64, addrs: &str| {
            format!(
                r#""dm":{{"creation_time":{at}.000000,"req_host":"a.example","valid":true,"hostname":"a.example","addrs":[{addrs}]}}"#
            )
        };
        let (one, two) = (r#""192.0.2.1""#, r#""192.0.2.1","2001:db8::1""#);
        let three = r#""192.0.2.3","2001:db8::1""#;
        let all = told(
            "a.example",
            vec![
                Outcome::Unanswered,
                Outcome::Empty,
                found("192.0.2.1"),
                found("192.0.2.1"),
                found("2001:db8::1 192.0.2.1"),
                found("2001:db8::1 192.0.2.3"),
                Outcome::Unanswered,
                Outcome::Unanswered,
                Outcome::Empty,
                Outcome::Empty,
                Outcome::Unanswered,
                found("192.0.2.1"),
            ],
        );
        let expected = [
            // Nothing was known, and then nothing again.
            String::new(),
            String::new(),
            format!("dns_mapping_new_name {{{}}}", of(3, one)),
            format!("dns_mapping_valid {{{}}}", of(4, one)),
            format!(
                r#"dns_mapping_altered {{{},"old_addrs":[],"new_addrs":["2001:db8::1"]}}"#,
                of(5, two)
            ),
            format!(
                r#"dns_mapping_altered {{{},"old_addrs":["192.0.2.1"],"new_addrs":["192.0.2.3"]}}"#,
                of(6, three)
            ),
            // The old result, twice, as it is still known.
            format!("dns_mapping_unverified {{{}}}", of(6, three)),
            format!("dns_mapping_unverified {{{}}}", of(6, three)),
            format!("dns_mapping_lost_name {{{}}}", of(6, three)),
            String::new(),
            String::new(),
            format!("dns_mapping_new_name {{{}}}", of(12, one)),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn names_of_addresses_change_too() {
        let name = |n: &str| Outcome::Found(Found::Name(n.to_owned()));
        let all = told(
            "192.0.2.7",
            vec![
                name("a.example"),
                name("a.example"),
                name("b.example"),
                Outcome::Empty,
            ],
        );
        let of = |at: u64, name: &str| {
            format!(
                r#""dm":{{"creation_time":{at}.000000,"req_addr":"192.0.2.7","valid":true,"hostname":"{name}","addrs":[]}}"#
            )
        };
        let expected = [
            String::new(),
            format!("dns_mapping_valid {{{}}}", of(2, "a.example")),
            format!(
                r#"dns_mapping_altered {{{},"old_addrs":[],"new_addrs":[]}}"#,
                of(3, "b.example")
            ),
            format!("dns_mapping_lost_name {{{}}}", of(3, "b.example")),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_family_of_which_nobody_tells_is_as_it_was() {
        let known = ips("192.0.2.1 2001:db8::1");
        let v4 = || Family::Addrs(ips("192.0.2.9"));
        let both = |a, b| Family::both(a, b, &known);
        assert_eq!(
            both(v4(), Family::Unanswered),
            found("192.0.2.9 2001:db8::1"),
            "what is known of the other family stays"
        );
        assert_eq!(both(v4(), Family::Empty), found("192.0.2.9"));
        assert_eq!(both(Family::Empty, Family::Empty), Outcome::Empty);
        // One that has none says nothing of the other.
        assert_eq!(both(Family::Empty, Family::Unanswered), Outcome::Unanswered);
        assert_eq!(both(Family::NoName, Family::Unanswered), Outcome::Empty);
        assert_eq!(both(v4(), Family::NoName), found("192.0.2.9"));
        assert_eq!(both(Family::Unanswered, Family::Unanswered), Outcome::Unanswered);
        let nothing_known = Family::both(v4(), Family::Unanswered, &[]);
        assert_eq!(nothing_known, found("192.0.2.9"));
    }

    #[test]
    fn addresses_are_bounded_and_in_order() {
        let many = (0..1000_u32)
            .rev()
            .map(|n| IpAddr::from(n.to_be_bytes()))
            .collect();
        let Some(Found::Addrs(kept)) = Found::addrs(many) else {
            panic!("there are some")
        };
        assert_eq!(kept.len(), MAX_ADDRS);
        assert_eq!(kept[0], IpAddr::from([0, 0, 0, 0]));
        assert_eq!(Found::addrs(Vec::new()), None);
    }
}
