//! Events of lookups of the sensor's own, from the seeds' core page (`event.bif`).

use super::page::events;

events! {
    /// Events of lookups of the sensor's own, from the seeds' core page (`event.bif`).
    page 3 "lookup" of "core";

    /// A lookup of the sensor's own gave something else than before.
    /// `dm`: the answer; `old_addrs`: addresses that are gone; `new_addrs`: those that are new; both are empty where the name of an
    /// address is another one.
    DnsMappingAltered "dns_mapping_altered" (
        dm: dns_mapping, old_addrs: addr_set, new_addrs: addr_set
    );

    /// A lookup of the sensor's own found nothing where it had.
    /// `dm`: the earlier answer.
    DnsMappingLostName "dns_mapping_lost_name" (dm: dns_mapping);

    /// A lookup of the sensor's own found something where it had not, or had not been answered.
    /// `dm`: the answer.
    DnsMappingNewName "dns_mapping_new_name" (dm: dns_mapping);

    /// A lookup of the sensor's own was not answered, or with a failure, where it had been.
    /// `dm`: the earlier answer.
    DnsMappingUnverified "dns_mapping_unverified" (dm: dns_mapping);

    /// A lookup of the sensor's own gave what it gave before.
    /// `dm`: the answer.
    DnsMappingValid "dns_mapping_valid" (dm: dns_mapping);
}
