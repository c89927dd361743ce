//! The kernel: its release, what the programs need of it, how it runs them, and its clock.

use std::fs;
use std::path::Path;

use super::item::Item;
use crate::datapath::xdp;

const OF: &str = "kernel";
/// Clocks that are read without a system call and without a slow device.
const FAST_CLOCKS: [&str; 4] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
];

/// What was found.
#[derive(Debug, Default)]
pub struct Facts {
    /// `uname -r`.
    release: String,
    /// What the programs need, since which Linux, and whether it is there; None: not to be found out.
    features: Vec<(&'static str, &'static str, Option<bool>)>,
    /// It describes its types.
    btf: bool,
    /// /proc/sys/net/core/bpf_jit_enable; None: not to be read, as in a container.
    jit: Option<u32>,
    /// The clock source; None: not to be read.
    clock: Option<String>,
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|t| t.trim().to_owned())
}

/// Looks at this machine.
pub fn look() -> Facts {
    Facts {
        release: xdp::release(),
        features: xdp::features(),
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        jit: read("/proc/sys/net/core/bpf_jit_enable").and_then(|t| t.parse().ok()),
        clock: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

/// Major and minor version of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What the facts mean.
pub fn items(f: &Facts) -> Vec<Item> {
    let mut items = Vec::new();
    let release = &f.release;
    let newer = |than: &str| format!("apt install linux-image-amd64   # or another kernel, {than} or later");
    for (name, since, there) in &f.features {
        // What cannot be asked is told by the version; distributions bring features to older kernels.
        let told = there.or_else(|| Some(version(release)? >= version(since)?));
        items.push(match told {
            Some(true) => Item::ok(OF, format!("Linux {release} has {name}")),
            _ => Item::fail(
                OF,
                format!("Linux {release} lacks {name}, which came with {since}"),
                newer(since),
            ),
        });
    }
    items.push(match version(release) >= Some((6, 6)) {
        true => Item::ok(OF, "what is sent is seen by TCX".to_owned()),
        false => Item::ok(
            OF,
            "no TCX (before Linux 6.6): what is sent is seen by a clsact filter, which outlives a killed sensor".to_owned(),
        ),
    });
    items.push(match f.btf {
        true => Item::ok(OF, "it describes its types (BTF)".to_owned()),
        false => Item::warn(
            OF,
            "it does not describe its types (BTF): diagnostics have fewer names".to_owned(),
            "grep CONFIG_DEBUG_INFO_BTF /boot/config-$(uname -r)   # a kernel built with it".to_owned(),
        ),
    });
    items.push(match f.jit {
        Some(0) => Item::warn(
            OF,
            "BPF programs are interpreted: each packet costs several times as much".to_owned(),
            "sysctl -w net.core.bpf_jit_enable=1".to_owned(),
        ),
        Some(_) => Item::ok(OF, "BPF programs are compiled (JIT)".to_owned()),
        None => Item::ok(
            OF,
            "whether BPF programs are compiled (JIT) cannot be read here".to_owned(),
        ),
    });
    items.push(match f.clock.as_deref() {
        Some(clock) if FAST_CLOCKS.contains(&clock) => Item::ok(OF, format!("the clock source is {clock}")),
        Some(clock) => Item::warn(
            OF,
            format!("the clock source is {clock}: each time stamp costs up to a microsecond"),
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource".to_owned(),
        ),
        None => Item::ok(OF, "the clock source cannot be read here".to_owned()),
    });
    items
}

#[cfg(test)]
mod tests {
    use super::super::item::Level;
    use super::*;

    fn facts() -> Facts {
        Facts {
            release: "6.12.9-amd64".to_owned(),
            features: vec![
                ("the BPF ring buffer", "5.8", Some(true)),
                ("multi-buffer XDP", "5.18", None),
            ],
            btf: true,
            jit: Some(1),
            clock: Some("tsc".to_owned()),
        }
    }

    fn worst(f: &Facts) -> Item {
        items(f).into_iter().max_by_key(|i| i.level).expect("items")
    }

    #[test]
    fn a_kernel_of_today_is_well() {
        assert_eq!(worst(&facts()).level, Level::Ok);
        let unknown = Facts {
            jit: None,
            clock: None,
            ..facts()
        };
        assert_eq!(
            worst(&unknown).level,
            Level::Ok,
            "what cannot be found out is no fault"
        );
    }

    #[test]
    fn an_old_kernel_fails() {
        let old = Facts {
            release: "5.10.0-30-amd64".to_owned(),
            ..facts()
        };
        assert!(worst(&old).says.contains("lacks multi-buffer XDP"));
        assert_eq!(worst(&old).level, Level::Fail);
        let backported = Facts {
            features: vec![("multi-buffer XDP", "5.18", Some(true))],
            ..old
        };
        assert_eq!(
            worst(&backported).level,
            Level::Ok,
            "it has what the version does not tell"
        );
    }

    #[test]
    fn what_is_slow_is_warned_of() {
        let interpreted = Facts {
            jit: Some(0),
            ..facts()
        };
        assert_eq!(
            worst(&interpreted).mend.as_deref(),
            Some("sysctl -w net.core.bpf_jit_enable=1")
        );
        let slow = Facts {
            clock: Some("hpet".to_owned()),
            ..facts()
        };
        assert!(worst(&slow).says.contains("hpet") && worst(&slow).level == Level::Warn);
    }
}
