//! CPU time and memory, as the system counts them.
#![allow(
    unsafe_code,
    reason = "clocks and what the allocator has taken are asked for by system calls"
)]

/// The clock of a thread's CPU time.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(libc::clockid_t);

fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `t` is a timespec to write to.
    let known = unsafe { libc::clock_gettime(clock, &raw mut t) } == 0;
    known.then(|| t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}

impl ThreadClock {
    /// That of the thread that asks.
    pub fn of_this() -> ThreadClock {
        let mut clock = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: the thread that asks lives; `clock` is one to write to. If it fails, the number stays.
        unsafe {
            libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock);
        }
        ThreadClock(clock)
    }

    /// CPU time that it has taken, ns; None: it is over.
    pub fn read(self) -> Option<u64> {
        read(self.0)
    }
}

/// CPU time that this thread has taken, ns.
pub fn of_this_thread() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

/// CPU time that the process has taken, ns.
pub fn of_process() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// Bytes that the allocator has given and not got back.
#[cfg(target_env = "gnu")]
pub fn allocated() -> u64 {
    // SAFETY: it only reads the allocator's counts.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks as u64 + info.hblkhd as u64
}

/// What the allocator has given is not known.
#[cfg(not(target_env = "gnu"))]
pub fn allocated() -> u64 {
    0
}
