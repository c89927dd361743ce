//! What `--datapath packet` needs, which has no program in the kernel.

use std::fs;

use super::item::Item;

const OF: &str = "packet socket";
/// `CAP_NET_RAW`, a bit of `CapEff`.
const NET_RAW: u32 = 13;

/// Looks at this process; None: it is not to be found out.
pub fn look() -> Option<bool> {
    may(&fs::read_to_string("/proc/self/status").ok()?)
}

fn may(status: &str) -> Option<bool> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"))?;
    let have = u64::from_str_radix(line.trim(), 16).ok()?;
    Some(have >> NET_RAW & 1 == 1)
}

/// What that means.
pub fn items(may: Option<bool>) -> Vec<Item> {
    let right = match may {
        Some(true) => Item::ok(OF, "CAP_NET_RAW is there".to_owned()),
        None => Item::ok(
            OF,
            "which capabilities this process has cannot be read".to_owned(),
        ),
        Some(false) => Item::fail(
            OF,
            "missing: CAP_NET_RAW".to_owned(),
            "setcap cap_net_raw+ep $(which sensor)   # or run it as root".to_owned(),
        ),
    };
    let cost = Item::warn(
        OF,
        "every packet is copied and counted by one thread, which costs several times what the program in the kernel does"
            .to_owned(),
        "sensor check --datapath xdp   # whether that would work".to_owned(),
    );
    vec![right, cost]
}

#[cfg(test)]
mod tests {
    use super::super::item::Level;
    use super::*;

    #[test]
    fn one_capability_is_needed() {
        assert_eq!(may("Name:\tx\nCapEff:\t0000000000002000\n"), Some(true));
        assert_eq!(may("CapEff:\t0000000000001000\n"), Some(false));
        assert_eq!(may("CapEff:\tx\n"), None);
        assert_eq!(items(Some(false))[0].level, Level::Fail);
        assert!(items(Some(true)).iter().all(|i| i.level < Level::Fail));
    }
}
