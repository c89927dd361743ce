//! The interfaces of a machine, and which of them see the same packets: a bond and its members, a VLAN device and the device
//! below it, a bridge and its ports. Watching both would count what passes them twice.

use std::collections::{HashMap, HashSet};

use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK`: interfaces whose frames start with an Ethernet header.
const ETHERNET: [u16; 2] = [1, 772];
/// Kinds whose packets are those of a device below, one by one.
const STACKED: [&str; 5] = ["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"];
/// Kinds whose packets are in those of other devices, of Ethernet.
const TUNNELS: [&str; 6] = ["vxlan", "geneve", "gretap", "ip6gretap", "erspan", "ip6erspan"];
/// Kinds that stand for their members to the host, which sees what their members see.
const MASTERS: [&str; 4] = ["bond", "team", "bridge", "vrf"];

/// An interface, as far as it matters for what is watched.
#[derive(Clone, Debug, Default)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub is_up: bool,
    pub is_ethernet: bool,
    pub is_loopback: bool,
    /// In the kernel's words; empty for a card.
    pub kind: String,
    /// The bond, bridge and the like that it is a member of.
    master: Option<u32>,
    /// The device below it, or a veth's other end; in this namespace.
    lower: Option<u32>,
}

impl Link {
    /// What the kernel says of it.
    pub fn of(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Link {
            index: message.header.index,
            is_up: flags.contains(LinkFlags::Up),
            is_loopback: flags.contains(LinkFlags::Loopback),
            is_ethernet: ETHERNET.contains(&message.header.link_layer_type.into()),
            ..Link::default()
        };
        let mut elsewhere = false;
        for a in &message.attributes {
            match a {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Controller(i) => link.master = Some(*i).filter(|i| *i != 0),
                LinkAttribute::Link(i) => link.lower = Some(*i).filter(|i| *i != 0),
                LinkAttribute::LinkNetNsId(_) => elsewhere = true,
                LinkAttribute::LinkInfo(infos) => {
                    for info in infos {
                        if let LinkInfo::Kind(kind) = info {
                            link.kind = kind.to_string();
                        }
                    }
                }
                _ => {}
            }
        }
        if elsewhere {
            link.lower = None;
        }
        link
    }

    /// A VLAN device and the like: the device below it.
    pub fn below(&self) -> Option<u32> {
        self.lower.filter(|_| self.is_stacked())
    }

    /// Whether its packets are in those of other devices.
    pub fn is_tunnel(&self) -> bool {
        TUNNELS.contains(&self.kind.as_str())
    }

    fn is_stacked(&self) -> bool {
        STACKED.contains(&self.kind.as_str())
    }

    /// A bond comes before its members, as it stands for those that come later, too; what is stacked after what it stands
    /// on; a bridge, which sees only what is for the host, after its ports.
    pub fn rank(&self) -> u32 {
        match self.kind.as_str() {
            "bond" | "team" => 0,
            "bridge" | "vrf" => 3,
            _ if self.is_stacked() => 2,
            _ => 1,
        }
    }
}

/// All interfaces of a network namespace.
#[derive(Debug, Default)]
pub struct Links {
    all: HashMap<u32, Link>,
    names: HashMap<String, u32>,
    /// By device: its members, and what is stacked on it.
    above: HashMap<u32, HashSet<u32>>,
    members: HashMap<u32, HashSet<u32>>,
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(all: I) -> Self {
        let mut links = Links::default();
        all.into_iter().for_each(|l| links.insert(l));
        links
    }
}

impl Links {
    /// The interface of this index.
    pub fn get(&self, index: u32) -> Option<&Link> {
        self.all.get(&index)
    }

    /// The interface of this name.
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.names.get(name).and_then(|i| self.get(*i))
    }

    /// All of them, in the order in which they are to be taken where not all can be.
    pub fn by_rank(&self) -> Vec<&Link> {
        let mut all: Vec<_> = self.all.values().collect();
        all.sort_by_key(|l| (l.rank(), l.index));
        all
    }

    /// Adds one, or puts it in the place of what was known of it.
    pub fn insert(&mut self, link: Link) {
        self.remove(link.index);
        if let Some(below) = link.below() {
            self.above.entry(below).or_default().insert(link.index);
        }
        if let Some(master) = link.master {
            self.members.entry(master).or_default().insert(link.index);
        }
        self.names.insert(link.name.clone(), link.index);
        self.all.insert(link.index, link);
    }

    /// Forgets one that is gone.
    pub fn remove(&mut self, index: u32) -> Option<Link> {
        let link = self.all.remove(&index)?;
        if self.names.get(&link.name) == Some(&index) {
            self.names.remove(&link.name);
        }
        for (of, map) in [(link.lower, &mut self.above), (link.master, &mut self.members)] {
            let Some(of) = of else { continue };
            if let Some(set) = map.get_mut(&of) {
                set.remove(&index);
                if set.is_empty() {
                    map.remove(&of);
                }
            }
        }
        Some(link)
    }

    /// Whether two of these are ports of one bridge.
    pub fn share_a_bridge(&self, of: impl Iterator<Item = u32>) -> bool {
        let mut bridges = HashSet::new();
        of.filter_map(|i| self.get(i)?.master)
            .filter(|m| self.get(*m).is_some_and(|l| l.kind == "bridge"))
            .any(|m| !bridges.insert(m))
    }

    /// One of those that are watched whose packets this one sees, too. With `rx_only`, of what they receive.
    pub fn twin(&self, index: u32, rx_only: bool, is_watched: impl Fn(u32) -> bool) -> Option<u32> {
        // What one end of a veth sends the other receives.
        let link = self.get(index)?;
        if link.kind == "veth" && !rx_only {
            let peer = link.lower.filter(|p| is_watched(*p));
            if peer.is_some() {
                return peer;
            }
        }
        self.reach(index, Self::up, &is_watched)
            .or_else(|| self.reach(index, Self::down, &is_watched))
    }

    /// The first watched one that packets of this one come to, step by step.
    fn reach(
        &self,
        from: u32,
        step: fn(&Self, u32, &mut Vec<u32>),
        is_watched: &impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let (mut seen, mut next) = (HashSet::from([from]), Vec::new());
        step(self, from, &mut next);
        while let Some(i) = next.pop() {
            if is_watched(i) {
                return Some(i);
            }
            if seen.insert(i) {
                step(self, i, &mut next);
            }
        }
        None
    }

    /// Towards the host.
    fn up(&self, index: u32, to: &mut Vec<u32>) {
        let Some(link) = self.get(index) else { return };
        let master = link.master.filter(|m| self.is_master(*m));
        to.extend(master);
        to.extend(self.above.get(&index).into_iter().flatten());
    }

    /// Towards the wire.
    fn down(&self, index: u32, to: &mut Vec<u32>) {
        let Some(link) = self.get(index) else { return };
        to.extend(link.below());
        if self.is_master(index) {
            to.extend(self.members.get(&index).into_iter().flatten());
        }
    }

    fn is_master(&self, index: u32) -> bool {
        self.get(index)
            .is_some_and(|l| MASTERS.contains(&l.kind.as_str()))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn link(index: u32, name: &str, kind: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            is_up: true,
            is_ethernet: true,
            kind: kind.to_owned(),
            ..Link::default()
        }
    }

    pub fn member(index: u32, name: &str, master: u32) -> Link {
        Link {
            master: Some(master),
            ..link(index, name, "")
        }
    }

    pub fn on(index: u32, name: &str, kind: &str, lower: u32) -> Link {
        Link {
            lower: Some(lower),
            ..link(index, name, kind)
        }
    }

    #[test]
    fn the_ends_of_a_veth_see_the_same_if_both_directions_are_watched() {
        let links: Links = [on(1, "a", "veth", 2), on(2, "b", "veth", 1)]
            .into_iter()
            .collect();
        assert_eq!(links.twin(1, false, |i| i == 2), Some(2));
        assert_eq!(links.twin(1, true, |i| i == 2), None);
    }

    #[test]
    fn a_member_that_leaves_is_on_its_own() {
        let mut links: Links = [link(1, "bond0", "bond"), member(2, "a", 1)]
            .into_iter()
            .collect();
        assert_eq!(links.twin(2, true, |i| i == 1), Some(1));
        assert_eq!(links.twin(1, true, |i| i == 2), Some(2));
        links.insert(link(2, "a", ""));
        assert_eq!(links.twin(2, true, |i| i == 1), None);
        assert_eq!(links.twin(1, true, |i| i == 2), None);
        // A new name, and the old one is free.
        links.insert(link(2, "b", ""));
        assert!(links.named("a").is_none());
        links.remove(2);
        assert!(links.get(2).is_none() && links.named("b").is_none());
    }

    #[test]
    fn ports_of_one_bridge() {
        let links: Links = [
            link(1, "br0", "bridge"),
            link(2, "br1", "bridge"),
            member(3, "a", 1),
            member(4, "b", 1),
            member(5, "c", 2),
        ]
        .into_iter()
        .collect();
        assert!(links.share_a_bridge([3, 5, 4].into_iter()));
        assert!(!links.share_a_bridge([3, 5, 9].into_iter()));
    }

    #[test]
    fn a_circle_ends() {
        let links: Links = [on(1, "a", "macvlan", 2), on(2, "b", "macvlan", 1)]
            .into_iter()
            .collect();
        assert_eq!(links.twin(1, true, |_| false), None);
    }
}
