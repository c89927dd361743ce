//! Memory for the flow table, the rings and reassembly, against what is free.

use std::fs;

use super::item::Item;
use crate::datapath::xdp;
use crate::live;
use crate::settings::Settings;

const OF: &str = "memory";

/// What was found, bytes.
#[derive(Debug, Default)]
pub struct Facts {
    /// Of the flow table, when it is full.
    table: u64,
    /// Of all rings.
    rings: u64,
    /// That reassembly may take at most.
    reassembly: u64,
    /// That is available; None: not to be found out.
    available: Option<u64>,
}

/// Looks at this machine, and at what these settings ask for.
pub fn look(settings: &Settings) -> Facts {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let rings = u64::from(live::workers(settings));
    Facts {
        table: xdp::table_bytes(settings.flows.entries),
        rings: rings * (u64::from(settings.rings.mib) << 20).next_power_of_two(),
        reassembly: settings.reassembly.total_mib << 20,
        available: available(&meminfo),
    }
}

/// `MemAvailable` of proc_meminfo(5), bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// What the facts mean.
pub fn items(f: &Facts) -> Vec<Item> {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let fixed = f.table.saturating_add(f.rings);
    let asks = format!(
        "the flow table takes {} MiB, the rings {} MiB",
        mib(f.table),
        mib(f.rings)
    );
    let Some(available) = f.available else {
        return vec![Item::ok(OF, format!("{asks}; what is free cannot be read"))];
    };
    let has = format!("{} MiB are free", mib(available));
    let less = "sensor run --flows N --ring-mib N --workers N   # less of them".to_owned();
    let first = match fixed {
        n if n > available => Item::fail(OF, format!("{asks}, and only {has}"), less),
        n if n > available / 2 => Item::warn(
            OF,
            format!("{asks}, which is more than half of what is free: {has}"),
            less,
        ),
        _ => Item::ok(OF, format!("{asks}, and {has}")),
    };
    let all = fixed.saturating_add(f.reassembly);
    let most = format!("reassembly may take {} MiB", mib(f.reassembly));
    let second = match all > available {
        true => Item::warn(
            OF,
            format!("{most}, for which there is no room beside that"),
            format!(
                "sensor run --reassembly-total {}   # or less",
                mib(available.saturating_sub(fixed) / 2).max(1)
            ),
        ),
        false => Item::ok(OF, most),
    };
    vec![first, second]
}

#[cfg(test)]
mod tests {
    use super::super::item::Level;
    use super::*;

    fn levels(available_mib: u64) -> [Level; 2] {
        let f = Facts {
            table: 100 << 20,
            rings: 28 << 20,
            reassembly: 512 << 20,
            available: Some(available_mib << 20),
        };
        let items = items(&f);
        [items[0].level, items[1].level]
    }

    #[test]
    fn what_is_asked_for_is_held_against_what_is_free() {
        assert_eq!(levels(4096), [Level::Ok, Level::Ok]);
        assert_eq!(levels(600), [Level::Ok, Level::Warn]);
        assert_eq!(levels(200), [Level::Warn, Level::Warn]);
        assert_eq!(levels(100), [Level::Fail, Level::Warn]);
    }

    #[test]
    fn what_is_free_is_read() {
        let text = "MemTotal:       24000000 kB\nMemFree:         100 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(available(text), Some(20_000_000 << 10));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: much\n"), None);
    }
}
