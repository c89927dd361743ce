//! What this process may do.
#![allow(unsafe_code, reason = "getrlimit is a system call")]

use super::item::Item;
use crate::datapath::xdp;

const OF: &str = "rights";

/// What was found.
#[derive(Debug, Default)]
pub struct Facts {
    /// Capabilities that are missing; None: not to be found out.
    missing: Option<Vec<&'static str>>,
    /// Memory that may be locked, bytes; None: any.
    memlock: Option<u64>,
    /// The kernel counts BPF memory as locked: before Linux 5.11.
    counts_bpf: bool,
}

/// Looks at this process.
pub fn look() -> Facts {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes to the structure it is given and nowhere else.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } == 0;
    let release = xdp::release();
    let mut version = release.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    Facts {
        missing: xdp::missing_capabilities(),
        memlock: (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur),
        counts_bpf: (version.next(), version.next()) < (Some(5), Some(11)),
    }
}

/// What the facts mean.
pub fn items(f: &Facts) -> Vec<Item> {
    let capabilities = match f.missing.as_deref() {
        None => Item::ok(
            OF,
            "which capabilities this process has cannot be read".to_owned(),
        ),
        Some([]) => Item::ok(OF, "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are there".to_owned()),
        Some(missing) => Item::fail(
            OF,
            format!("missing: {}", missing.join(", ")),
            "setcap cap_bpf,cap_net_admin,cap_perfmon+ep $(which sensor)   # or run it as root".to_owned(),
        ),
    };
    let memlock = match f.memlock {
        Some(bytes) if f.counts_bpf => Item::warn(
            OF,
            format!(
                "{} KiB may be locked, and this kernel counts rings and tables as locked",
                bytes >> 10
            ),
            "ulimit -l unlimited   # or LimitMEMLOCK=infinity in the unit".to_owned(),
        ),
        _ => Item::ok(
            OF,
            "no limit of locked memory stands against rings and tables".to_owned(),
        ),
    };
    vec![capabilities, memlock]
}

#[cfg(test)]
mod tests {
    use super::super::item::Level;
    use super::*;

    #[test]
    fn a_missing_capability_fails() {
        let f = Facts {
            missing: Some(vec!["CAP_BPF", "CAP_PERFMON"]),
            ..Facts::default()
        };
        let items = items(&f);
        assert_eq!(items[0].level, Level::Fail);
        assert_eq!(items[0].says, "missing: CAP_BPF, CAP_PERFMON");
        assert_eq!(items[1].level, Level::Ok);
    }

    #[test]
    fn a_limit_matters_to_old_kernels_only() {
        let with = |counts_bpf| Facts {
            missing: Some(Vec::new()),
            memlock: Some(65536),
            counts_bpf,
        };
        assert_eq!(items(&with(false))[1].level, Level::Ok);
        assert_eq!(items(&with(true))[1].level, Level::Warn);
    }
}
