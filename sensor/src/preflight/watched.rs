//! Which interfaces a run would watch: what patterns mean here, what is left out, and what would count twice.

use super::interface;
use super::item::Item;
use crate::live::links::Links;
use crate::live::netlink::links;
use crate::live::netns::Netns;
use crate::live::watchlist::{Choice, Watchlist};
use crate::settings::{InterfaceSettings, LiveDatapath};

/// The group that these answers are of.
const OF: &str = "interfaces";

/// What there is to say of all of them, and of each.
pub fn items(settings: &InterfaceSettings) -> Vec<Item> {
    let netns = match Netns::open(settings.netns.as_deref()) {
        Ok(netns) => netns,
        Err(e) => return vec![Item::fail(OF, e.to_string(), "ip netns list".to_owned())],
    };
    let _inside = netns.enter();
    let links = match links() {
        Ok(links) => links,
        Err(e) => {
            let said = format!("the interfaces cannot be asked for: {e}");
            return vec![Item::fail(OF, said, "ip -br link".to_owned())];
        }
    };
    let watchlist = Watchlist::new(settings);
    let choice = watchlist.choose(&links);
    let mut items = chosen(&watchlist, &choice);
    for name in &choice.take {
        items.extend(interface::items(name, &interface::look(name), settings));
        if settings.datapath == LiveDatapath::Xdp {
            items.extend(stands_on(name, &links));
        }
    }
    items
}

/// What patterns mean.
fn chosen(watchlist: &Watchlist, choice: &Choice) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some([a, b]) = &choice.twice {
        let said = format!("what passes {a} passes {b}, too, and would count twice");
        items.push(Item::fail(OF, said, format!("sensor run --iface {a}   # or {b}")));
    }
    if !watchlist.has_patterns() {
        return items;
    }
    let patterns = watchlist.patterns();
    items.push(match choice.take.len() {
        0 => Item::warn(
            OF,
            format!("none that is there is meant by {patterns}: the sensor would wait for one"),
            "ip -br link   # lists them".to_owned(),
        ),
        n => Item::ok(
            OF,
            format!("{n} are watched, and what else comes that {patterns} matches"),
        ),
    });
    for (name, why) in &choice.leave {
        items.push(Item::ok(name, format!("it is not watched: {why}")));
    }
    items
}

/// What there is to say of a device that stands on others.
fn stands_on(name: &str, links: &Links) -> Option<Item> {
    let link = links.named(name)?;
    if link.kind == "bond" {
        return Some(Item::ok(
            name,
            "it is a bond: its members run the program, also those that join it later".to_owned(),
        ));
    }
    let below = &links.get(link.below()?)?.name;
    Some(Item::warn(
        name,
        format!(
            "it stands on {below} ({}): the program runs in skb mode, and what {below} has merged is seen merged",
            link.kind
        ),
        format!("sensor run --iface {below} --vlan-columns   # sees the same packets, and all others"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::item::Level;
    use super::*;
    use crate::live::links::tests::{link, on};

    fn list(name: &str) -> Watchlist {
        Watchlist::new(&InterfaceSettings {
            names: vec![name.to_owned()],
            ..InterfaceSettings::default()
        })
    }

    #[test]
    fn a_pattern_without_an_interface_is_a_warning() {
        let items = chosen(&list("x*"), &Choice::default());
        assert_eq!(items[0].level, Level::Warn);
        assert!(items[0].says.contains("x*"), "{items:?}");
        assert!(chosen(&list("x"), &Choice::default()).is_empty());
    }

    #[test]
    fn what_counts_twice_fails() {
        let choice = Choice {
            twice: Some(["bond0".to_owned(), "eth0".to_owned()]),
            ..Choice::default()
        };
        assert_eq!(chosen(&list("x"), &choice)[0].level, Level::Fail);
    }

    #[test]
    fn a_vlan_device_names_the_one_below() {
        let links: Links = [link(1, "eth0", ""), on(2, "eth0.5", "vlan", 1)]
            .into_iter()
            .collect();
        assert!(stands_on("eth0", &links).is_none());
        let item = stands_on("eth0.5", &links).expect("an answer");
        assert_eq!(item.level, Level::Warn);
        assert!(item.mend.is_some_and(|m| m.contains("--iface eth0 ")));
    }
}
