//! Which interfaces are asked for, and which of those that there are that means. Attaches nothing and asks nobody.

use super::links::{Link, Links};
use crate::base::wildcard;
use crate::settings::InterfaceSettings;

/// What `--iface` has to say to watch all that can be watched.
const ANY: &str = "any";

/// The interfaces that are asked for: by name, which have to be there, and by pattern, which come and go.
#[derive(Clone, Debug, Default)]
pub struct Watchlist {
    names: Vec<String>,
    patterns: Vec<String>,
    any: bool,
    rx_only: bool,
}

/// What a list means on a machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Interfaces to watch: those asked for by name first.
    pub take: Vec<String>,
    /// Interfaces that a pattern matches and that are not watched, and why.
    pub leave: Vec<(String, String)>,
    /// Two that are asked for by name, of which each sees the packets of the other.
    pub twice: Option<[String; 2]>,
}

impl Watchlist {
    /// What these settings ask for.
    pub fn new(settings: &InterfaceSettings) -> Self {
        let mut list = Watchlist {
            rx_only: settings.rx_only,
            ..Watchlist::default()
        };
        for name in &settings.names {
            match name.as_str() {
                ANY => list.any = true,
                name if wildcard::is_pattern(name) => list.patterns.push(name.to_owned()),
                // Named twice is no wish for two.
                name if list.is_named(name) => {}
                name => list.names.push(name.to_owned()),
            }
        }
        list
    }

    /// Whether this one is asked for by name.
    pub fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    /// Whether others may come.
    pub fn has_patterns(&self) -> bool {
        self.any || !self.patterns.is_empty()
    }

    /// The patterns in words.
    pub fn patterns(&self) -> String {
        let mut all = self.patterns.clone();
        all.extend(self.any.then(|| ANY.to_owned()));
        all.join(", ")
    }

    /// Whether a pattern matches this name.
    fn is_matched(&self, name: &str) -> bool {
        let is = |p: &String| wildcard::matches(p.as_bytes(), name.as_bytes());
        self.patterns.iter().any(is)
    }

    /// Whether an interface is to be watched because a pattern matches it: None if none does, else perhaps why it is left
    /// out. `is_watched`: which others are watched, by index.
    pub fn look(
        &self,
        link: &Link,
        links: &Links,
        is_watched: impl Fn(u32) -> bool,
    ) -> Option<Result<(), String>> {
        let is_matched = self.is_matched(&link.name);
        if !is_matched && !self.any {
            return None;
        }
        if !link.is_ethernet {
            return Some(Err("its frames are not Ethernet's".to_owned()));
        }
        if !is_matched {
            if link.is_loopback {
                return Some(Err("it is the loopback".to_owned()));
            }
            if link.is_tunnel() {
                return Some(Err(
                    "it is a tunnel, whose packets are taken out of others".to_owned()
                ));
            }
            if !link.is_up {
                return Some(Err("it is down".to_owned()));
            }
        }
        let twin = links.twin(link.index, self.rx_only, is_watched);
        Some(match twin.and_then(|i| links.get(i)) {
            Some(twin) => Err(format!("its packets are seen on {}, too", twin.name)),
            None => Ok(()),
        })
    }

    /// What is to be watched of the interfaces that there are. A name that is none of them is taken all the same.
    pub fn choose(&self, links: &Links) -> Choice {
        let mut choice = Choice {
            take: self.names.clone(),
            ..Choice::default()
        };
        let mut watched = std::collections::HashSet::new();
        for link in self.names.iter().filter_map(|n| links.named(n)) {
            let twin = links.twin(link.index, self.rx_only, |i| watched.contains(&i));
            if let Some(twin) = twin.and_then(|i| links.get(i)) {
                choice.twice = Some([twin.name.clone(), link.name.clone()]);
            }
            watched.insert(link.index);
        }
        for link in links.by_rank() {
            if watched.contains(&link.index) {
                continue;
            }
            match self.look(link, links, |i| watched.contains(&i)) {
                Some(Ok(())) => {
                    watched.insert(link.index);
                    choice.take.push(link.name.clone());
                }
                Some(Err(why)) => choice.leave.push((link.name.clone(), why)),
                None => {}
            }
        }
        choice
    }
}

#[cfg(test)]
mod tests {
    use super::super::links::tests::{link, member, on};
    use super::*;

    fn list(names: &[&str]) -> Watchlist {
        Watchlist::new(&InterfaceSettings {
            names: names.iter().map(|n| n.to_string()).collect(),
            ..InterfaceSettings::default()
        })
    }

    fn machine() -> Links {
        let mut lo = link(1, "lo", "");
        lo.is_loopback = true;
        let mut down = link(9, "eth9", "");
        down.is_up = false;
        let mut wg = link(10, "wg0", "wireguard");
        wg.is_ethernet = false;
        [
            lo,
            member(2, "eth0", 4),
            member(3, "eth1", 4),
            link(4, "bond0", "bond"),
            on(5, "bond0.5", "vlan", 4),
            member(6, "veth1", 8),
            member(7, "veth2", 8),
            link(8, "br0", "bridge"),
            down,
            wg,
            link(11, "vxlan7", "vxlan"),
        ]
        .into_iter()
        .collect()
    }

    fn taken(names: &[&str]) -> String {
        list(names).choose(&machine()).take.join(" ")
    }

    #[test]
    fn any_is_all_that_sees_packets_of_its_own() {
        let choice = list(&["any"]).choose(&machine());
        assert_eq!(choice.take, ["bond0", "veth1", "veth2"]);
        let left: Vec<_> = choice
            .leave
            .iter()
            .map(|(n, why)| format!("{n}: {why}"))
            .collect();
        for said in [
            "lo: it is the loopback",
            "eth0: its packets are seen on bond0, too",
            "bond0.5: its packets are seen on bond0, too",
            "eth9: it is down",
            "wg0: its frames are not Ethernet's",
            "vxlan7: it is a tunnel, whose packets are taken out of others",
        ] {
            assert!(left.iter().any(|l| l == said), "{said}: {left:?}");
        }
        assert!(
            left.iter()
                .any(|l| l.starts_with("br0: its packets are seen on veth"))
        );
        assert_eq!(left.len(), 8, "{left:?}");
    }

    #[test]
    fn a_pattern_takes_what_it_matches_once() {
        assert_eq!(taken(&["eth*"]), "eth0 eth1 eth9");
        assert_eq!(taken(&["eth*", "bond?"]), "bond0 eth9");
        assert_eq!(taken(&["eth*", "bond0"]), "bond0 eth9");
        assert_eq!(taken(&["eth0", "bond*", "eth*"]), "eth0 eth1 eth9");
        assert_eq!(taken(&["bond0.*", "br*"]), "bond0.5 br0");
        assert_eq!(taken(&["lo", "w*", "x*"]), "lo");
        assert_eq!(taken(&["nosuch", "nosuch"]), "nosuch");
    }

    #[test]
    fn two_names_of_the_same_packets_are_told() {
        let twice = |names: &[&str]| list(names).choose(&machine()).twice.map(|t| t.join(" "));
        assert_eq!(twice(&["bond0", "eth0"]).as_deref(), Some("bond0 eth0"));
        assert_eq!(twice(&["eth1", "bond0.5"]).as_deref(), Some("eth1 bond0.5"));
        assert_eq!(twice(&["br0", "veth2"]).as_deref(), Some("br0 veth2"));
        assert_eq!(twice(&["eth0", "eth1"]), None);
        assert_eq!(twice(&["veth1", "veth2"]), None);
    }
}
