//! Events of lookups of the sensor's own, from the seeds' core page (`event.bif`).

use super::page::events;

events! {
    /// Events of lookups of the sensor's own, from the seeds' core page (`event.bif`).
    page 3 "lookup" of "core";

    /// A lookup of the sensor's own gave other addresses than before.
    /// `dm`: the answer; `old_addrs`: those gone; `new_addrs`: those new.
    DnsMappingAltered "dns_mapping_altered" (
        dm: dns_mapping, old_addrs: addr_set, new_addrs: addr_set
    ) not_yet;

    /// A lookup of the sensor's own gave no name where it had.
    /// `dm`: the earlier answer.
    DnsMappingLostName "dns_mapping_lost_name" (dm: dns_mapping) not_yet;

    /// A lookup of the sensor's own gave a name where it had not.
    /// `dm`: the earlier answer.
    DnsMappingNewName "dns_mapping_new_name" (dm: dns_mapping) not_yet;

    /// A lookup of the sensor's own was not answered where it had been.
    /// `dm`: the earlier answer.
    DnsMappingUnverified "dns_mapping_unverified" (dm: dns_mapping) not_yet;

    /// A lookup of the sensor's own gave what it gave before.
    /// `dm`: the answer.
    DnsMappingValid "dns_mapping_valid" (dm: dns_mapping) not_yet;
}
