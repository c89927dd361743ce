//! Names of hosts in the list of networks that are local. Who looks them up puts their addresses in their place.

use std::net::IpAddr;

use crate::base::host_name::is_host_name;

/// Whether an entry of a list of networks is a host's name: with a dot in it, so that no word that was written by mistake is looked up.
/// A name of one label has the dot at its end.
fn is_host(entry: &str) -> bool {
    entry.contains('.') && is_host_name(entry)
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|e| !e.is_empty())
}

/// The names of hosts in a list of networks.
pub fn names(list: &str) -> Vec<&str> {
    entries(list).filter(|e| is_host(e)).collect()
}

/// The list with a host's addresses in place of its name.
pub fn with(list: &str, addrs: impl Fn(&str) -> Vec<IpAddr>) -> String {
    let all = entries(list).flat_map(|e| match is_host(e) {
        true => addrs(e).iter().map(IpAddr::to_string).collect(),
        false => vec![e.to_owned()],
    });
    all.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_way_to_their_addresses() {
        let list = "10.0.0.0/8, vpn.example,fd00::/8,, gw. ,192.0.2.300,ten,10.1";
        assert_eq!(names(list), ["vpn.example", "gw."]);
        let addrs = |name: &str| match name {
            "gw." => vec![],
            _ => vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([0; 16])],
        };
        let with = with(list, addrs);
        assert_eq!(with, "10.0.0.0/8,192.0.2.1,::,fd00::/8,192.0.2.300,ten,10.1");
        assert!(names("").is_empty());
    }
}
