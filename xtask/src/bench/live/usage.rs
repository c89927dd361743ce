//! CPU time as the kernel counts it: of the machine, and of one process.
#![allow(unsafe_code, reason = "signals, clocks and raw sockets are system calls")]

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// CPUs that other work may keep busy without a word about it.
pub const QUIET: f64 = 0.1;

/// What a process took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// CPU seconds of its threads.
    pub cpu: f64,
    /// How often one of them was switched to or away from: by its own will or not.
    pub switches: u64,
}

impl Own {
    /// What came since `before`.
    pub fn since(self, before: Own) -> Own {
        Own {
            cpu: self.cpu - before.cpu,
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// Seconds that all CPUs together have been busy since the machine started, interrupts included: work done
/// for a packet may be charged to nobody.
pub fn machine() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let all = stat.lines().next().context("/proc/stat is empty")?;
    busy(all).context("/proc/stat")
}

/// `cpu user nice system idle iowait irq softirq steal ...`, see proc_stat(5).
fn busy(line: &str) -> Option<f64> {
    let n: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map_while(|n| n.parse().ok())
        .collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = n[..] else {
        return None;
    };
    // SAFETY: sysconf has no preconditions.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Some((user + nice + system + irq + softirq + steal) as f64 / ticks as f64)
}

/// A thread of a process.
#[derive(Clone, Debug)]
pub struct Thread {
    pub id: String,
    pub name: String,
    /// As in proc_pid_stat(5): R runs or waits for a CPU, S sleeps, T is stopped.
    pub state: char,
    /// CPU seconds.
    pub cpu: f64,
}

/// All threads of a process, as far as they live.
pub fn threads(pid: u32) -> Result<Vec<Thread>> {
    let mut threads = Vec::new();
    for dir in thread_dirs(pid)? {
        // A thread may end while it is looked at.
        let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        // `id (name) state ...`, where the name may have anything in it.
        let stat = text("stat");
        if let Some((head, rest)) = stat.rsplit_once(") ")
            && let Some((id, name)) = head.split_once(" (")
        {
            threads.push(Thread {
                id: id.to_owned(),
                name: name.to_owned(),
                state: rest.chars().next().unwrap_or('?'),
                cpu: cpu(&text("schedstat")),
            });
        }
    }
    Ok(threads)
}

/// What all threads of a process have taken, as far as they live.
pub fn process(pid: u32) -> Result<Own> {
    let mut own = Own::default();
    for dir in thread_dirs(pid)? {
        let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        own.cpu += cpu(&text("schedstat"));
        own.switches += switches(&text("status"));
    }
    Ok(own)
}

fn thread_dirs(pid: u32) -> Result<Vec<PathBuf>> {
    let threads = format!("/proc/{pid}/task");
    let dirs = std::fs::read_dir(&threads).with_context(|| format!("{threads}: it has ended"))?;
    Ok(dirs.map(|d| Ok(d?.path())).collect::<std::io::Result<_>>()?)
}

/// Seconds from a thread's schedstat, which begins with ns on a CPU.
fn cpu(schedstat: &str) -> f64 {
    let ns = schedstat.split_whitespace().next();
    ns.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) as f64 / 1e9
}

/// CPU seconds of this thread.
pub fn thread_cpu() -> f64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time lives through the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// The sum of the two lines about context switches in a thread's status.
fn switches(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|l| {
            l.split_once("voluntary_ctxt_switches:")?
                .1
                .trim()
                .parse::<u64>()
                .ok()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        // SAFETY: sysconf has no preconditions.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        let line = "cpu  1 20 300 9000 8000 4000 50000 600000 0 0";
        assert_eq!(busy(line), Some(654_321.0 / ticks));
        assert_eq!(busy("cpu 1 2 3"), None);
    }

    #[test]
    fn threads_have_names_and_take_time() {
        let named = std::thread::Builder::new().name("a (b) c".to_owned());
        let thread = named.spawn(|| {
            let all = threads(std::process::id()).unwrap();
            all.into_iter().find(|t| t.name == "a (b) c").unwrap()
        });
        let thread = thread.unwrap().join().unwrap();
        assert!(thread.state == 'R' && thread.cpu < 10.0, "{thread:?}");
        assert_eq!(cpu("1500000000 20 3\n"), 1.5);
    }

    #[test]
    fn both_kinds_of_switches_count() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(switches(status), 42);
    }
}
