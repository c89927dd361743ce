//! What the numbers in settings may be, for the command line and for whatever else fills them.

use std::fmt::Debug;
use std::ops::{RangeBounds, RangeFrom, RangeInclusive};

use super::Settings;

/// Worker threads.
pub const WORKERS: RangeInclusive<i64> = 1..=8;
/// Size of a ring, MiB.
pub const RING_MIB: RangeInclusive<i64> = 1..=1024;
/// Memory for the packets that came to a worker last, MiB; 0: they are not kept.
pub const PACKET_HISTORY: RangeInclusive<i64> = 0..=4096;
/// Entries of the flow table.
pub const FLOWS: RangeFrom<i64> = 1..;
/// How much of the flow table half-open flows may take, percent.
pub const HALF_OPEN_SHARE: RangeInclusive<i64> = 1..=100;
/// Memory of reassembly per direction, KiB.
pub const REASSEMBLY_LIMIT: RangeInclusive<u64> = 1..=1 << 30;
/// Memory of reassembly in all, MiB.
pub const REASSEMBLY_TOTAL: RangeInclusive<u64> = 1..=1 << 20;
/// Largest part of a file that is written, MiB.
pub const EXTRACT_LIMIT: RangeInclusive<u64> = 1..=1 << 20;
/// Most that is written, all files together, MiB.
pub const EXTRACT_TOTAL: RangeInclusive<u64> = 1..=1 << 30;
/// Size of a log at which it is rotated, MiB; 0: at none.
pub const LOG_ROTATE_SIZE: RangeInclusive<u64> = 0..=1 << 30;
/// Days for which old logs are kept; 0: it does not matter.
pub const LOG_KEEP_DAYS: RangeInclusive<u64> = 0..=36_500;
/// How much of old logs is kept, or of their disk free, MiB; 0: it does not matter.
pub const LOG_KEEP_MIB: RangeInclusive<u64> = 0..=1 << 40;
/// Time in which a packet that comes again is the same one, milliseconds; 0: none is.
pub const DEDUP: RangeInclusive<u64> = 0..=1000;
/// One of so many flows is tracked.
pub const SAMPLE: RangeInclusive<i64> = 1..=1_000_000;
/// One of so many rounds of the profile is an expensive one.
pub const PROFILE_EXPENSIVE: RangeInclusive<u64> = 1..=1_000_000;
/// One of so many packets is looked at.
pub const LOAD_SAMPLE: RangeInclusive<i64> = 1..=1_000_000_000;
/// Memory of all scripts, MiB.
pub const SCRIPT_MEMORY: RangeInclusive<i64> = 8..=65_536;
/// Instructions of a call.
pub const SCRIPT_STEPS: RangeInclusive<u64> = 100_000..=1 << 40;
/// Failures of a handler.
pub const SCRIPT_FAILURES: RangeInclusive<i64> = 1..=1_000_000;
/// Names and addresses that are known at most.
pub const DNS_ENTRIES: RangeInclusive<i64> = 1..=1 << 20;
/// Lookups at a time.
pub const DNS_LOOKUPS: RangeInclusive<i64> = 1..=1000;
/// How long an answer of a DNS server may hold, seconds.
pub const DNS_TTL: RangeInclusive<i64> = 0..=604_800;
/// Longest TLS handshake message, KiB.
pub const TLS_MAX_MESSAGE: RangeInclusive<i64> = 1..=2048;
/// Certificates of one message.
pub const TLS_MAX_CERTS: RangeInclusive<i64> = 1..=1000;

/// A number that is too small or too large.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} must be in {bounds}")]
pub struct OutOfBounds {
    /// The command line's option for it.
    pub option: &'static str,
    /// What it may be.
    pub bounds: String,
}

fn check<T, B>(option: &'static str, value: T, bounds: B) -> Result<(), OutOfBounds>
where
    T: PartialOrd,
    B: RangeBounds<T> + Debug,
{
    if bounds.contains(&value) {
        return Ok(());
    }
    let bounds = format!("{bounds:?}");
    Err(OutOfBounds { option, bounds })
}

impl Settings {
    /// Whether all numbers are what they may be. Times are looked at when the engine's configuration is made of them.
    pub(super) fn check_bounds(&self) -> Result<(), OutOfBounds> {
        if let Some(n) = self.rings.workers {
            check("--workers", n.into(), WORKERS)?;
        }
        check("--packet-history", self.rings.history_mib.into(), PACKET_HISTORY)?;
        check(
            "--profile-expensive",
            self.profile.expensive_every,
            PROFILE_EXPENSIVE,
        )?;
        check("--load-sample", self.profile.load_sample.into(), LOAD_SAMPLE)?;
        check("--script-memory", self.scripts.memory_mib.into(), SCRIPT_MEMORY)?;
        check("--script-steps", self.scripts.steps, SCRIPT_STEPS)?;
        check("--script-failures", self.scripts.failures.into(), SCRIPT_FAILURES)?;
        let dns = &self.resolver;
        check("--dns-entries", dns.entries.into(), DNS_ENTRIES)?;
        check("--dns-lookups", dns.lookups.into(), DNS_LOOKUPS)?;
        check("--dns-ttl-min", dns.ttl_min.into(), DNS_TTL)?;
        check("--dns-ttl-max", dns.ttl_max.into(), DNS_TTL)?;
        check("--ring-mib", self.rings.mib.into(), RING_MIB)?;
        check("--flows", self.flows.entries.into(), FLOWS)?;
        let share = self.flows.half_open_share;
        check("--half-open-share", share.into(), HALF_OPEN_SHARE)?;
        check("--reassembly-limit", self.reassembly.limit_kib, REASSEMBLY_LIMIT)?;
        check("--reassembly-total", self.reassembly.total_mib, REASSEMBLY_TOTAL)?;
        check("--extract-limit", self.files.extract_limit_mib, EXTRACT_LIMIT)?;
        check("--extract-total", self.files.extract_total_mib, EXTRACT_TOTAL)?;
        check("--log-rotate-size", self.logs.rotate_mib, LOG_ROTATE_SIZE)?;
        let old = &self.archive;
        check("--log-keep-days", old.keep_days, LOG_KEEP_DAYS)?;
        check("--log-keep-mib", old.keep_mib, LOG_KEEP_MIB)?;
        check("--log-min-free-mib", old.min_free_mib, LOG_KEEP_MIB)?;
        check("--dedup", self.dedup_ms, DEDUP)?;
        check("--sample", self.filter.sample.into(), SAMPLE)?;
        let message = self.tls.max_message_kib;
        check("--tls-max-message", message.into(), TLS_MAX_MESSAGE)?;
        check("--tls-max-certs", self.tls.max_certs.into(), TLS_MAX_CERTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_its_bounds_is_refused() {
        assert_eq!(Settings::default().check_bounds(), Ok(()));
        let refused = |set: fn(&mut Settings)| {
            let mut s = Settings::default();
            set(&mut s);
            s.engine(0).err().map(|e| e.to_string())
        };
        assert_eq!(
            refused(|s| s.rings.workers = Some(0)).as_deref(),
            Some("--workers must be in 1..=8")
        );
        assert_eq!(
            refused(|s| s.flows.entries = 0).as_deref(),
            Some("--flows must be in 1..")
        );
        assert!(refused(|s| s.reassembly.total_mib = 0).is_some());
        assert!(refused(|s| s.tls.max_certs = 1001).is_some());
        assert!(refused(|s| s.files.extract_limit_mib = 0).is_some());
        assert!(refused(|s| s.files.timeout = -1.0).is_some());
    }
}
