//! How many system calls a process makes, counted by perf where it is installed.
#![allow(unsafe_code, reason = "signals, clocks and raw sockets are system calls")]

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What is counted: bpf(2), and all.
const EVENTS: [&str; 2] = ["syscalls:sys_enter_bpf", "raw_syscalls:sys_enter"];
/// How long perf takes to begin.
const BEGIN: Duration = Duration::from_millis(300);

/// System calls of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    pub bpf: u64,
    pub all: u64,
}

/// A perf that counts.
pub struct Counting(Child);

impl Counting {
    /// Begins to count those of a process and of its threads so far. None: there is no perf.
    pub fn start(pid: u32) -> Option<Self> {
        let child = Command::new("perf")
            .args(["stat", "-x,", "-e", &EVENTS.join(","), "-p", &pid.to_string()])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        std::thread::sleep(BEGIN);
        Some(Counting(child))
    }

    /// The counts so far. None: perf could not count them.
    pub fn stop(mut self) -> Option<Calls> {
        // SAFETY: kill has no memory preconditions; the child has not been waited for.
        unsafe { libc::kill(self.0.id() as i32, libc::SIGINT) };
        let mut said = String::new();
        self.0.stderr.take()?.read_to_string(&mut said).ok()?;
        self.0.wait().ok()?;
        parse(&said)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // It may have ended already: then these do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lines of count, unit, event and more.
fn parse(said: &str) -> Option<Calls> {
    let count = |event: &str| {
        let line = said.lines().find(|l| l.split(',').nth(2) == Some(event))?;
        line.split(',').next()?.parse().ok()
    };
    Some(Calls {
        bpf: count(EVENTS[0])?,
        all: count(EVENTS[1])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_perf_says_is_understood() {
        let said =
            "1203,,syscalls:sys_enter_bpf,4000123,100.00,,\n5071,,raw_syscalls:sys_enter,4000123,100.00,,\n";
        assert_eq!(parse(said), Some(Calls { bpf: 1203, all: 5071 }));
        assert_eq!(
            parse("<not supported>,,syscalls:sys_enter_bpf,0,100.00,,\n"),
            None
        );
    }
}
