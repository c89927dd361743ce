//! The tables of rules in the kernel: see [`sensor_common::filter`].

use sensor_common::filter::{HALVES, PORTS, PROTOCOLS, VLANS};

/// Most networks that rules speak of, in both halves.
const MAX_NETS: u32 = 1 << 14;
/// Most interfaces.
const MAX_INTERFACES: u32 = 1 << 10;
const BOTH: u32 = HALVES as u32;

/// The tables' entries.
pub(super) const SIZES: [(&str, u32); 5] = [
    ("FILTER_NETS", MAX_NETS),
    ("FILTER_PORTS", BOTH * PORTS),
    ("FILTER_PROTOCOLS", BOTH * PROTOCOLS),
    ("FILTER_VLANS", BOTH * VLANS),
    ("FILTER_INTERFACES", MAX_INTERFACES),
];
