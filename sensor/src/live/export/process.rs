//! What the kernel says of this process: `/proc/self`.
#![allow(unsafe_code, reason = "sysconf is a system call")]

use std::fs;

/// What it says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time, seconds.
    pub cpu: f64,
    /// Memory in RAM, bytes.
    pub resident: u64,
    /// Address space, bytes.
    pub virtual_memory: u64,
    /// Descriptors that are open.
    pub fds: u64,
    /// When it started, seconds since the epoch.
    pub start: f64,
}

fn sysconf(name: libc::c_int, usual: u64) -> u64 {
    // SAFETY: no memory involved.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|v| *v > 0).unwrap_or(usual)
}

impl Process {
    /// Of this process, now; what cannot be read is 0.
    pub fn now() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let fds = fs::read_dir("/proc/self/fd").map_or(0, |d| d.count() as u64);
        Process {
            // The directory itself is open while it is read.
            fds: fds.saturating_sub(1),
            ..Self::of(
                &text("/proc/self/stat"),
                &text("/proc/stat"),
                sysconf(libc::_SC_CLK_TCK, 100) as f64,
                sysconf(libc::_SC_PAGESIZE, 4096),
            )
        }
    }

    /// Of proc_pid_stat(5) and proc_stat(5); `tick`: clock ticks of a second, `page`: bytes of a page.
    fn of(stat: &str, system: &str, tick: f64, page: u64) -> Self {
        // The name of the program stands in parentheses and may have any of them itself; fields are counted from behind it.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // By their numbers in the manual page; the first one here is the third there.
        let field = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
        let boot = system.lines().find_map(|l| l.strip_prefix("btime "));
        let boot: f64 = boot.and_then(|b| b.trim().parse().ok()).unwrap_or(0.0);
        Process {
            cpu: (field(14) + field(15)) as f64 / tick,
            resident: field(24) * page,
            virtual_memory: field(23),
            fds: 0,
            start: boot + field(22) as f64 / tick,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 1000 40960 5 18446744073709551615 1 1";
        let p = Process::of(stat, "cpu 1 2\nbtime 1700000000\n", 100.0, 4096);
        let expected = Process {
            cpu: 2.0,
            resident: 5 * 4096,
            virtual_memory: 40960,
            fds: 0,
            start: 1_700_000_010.0,
        };
        assert_eq!(p, expected);
        assert_eq!(Process::of("", "", 100.0, 4096), Process::default());
        assert!(Process::now().resident > 0 && Process::now().fds > 0);
    }
}
