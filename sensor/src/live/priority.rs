//! How soon a worker gets a processor when it has something to do.
#![allow(unsafe_code, reason = "setpriority and prctl are system calls")]

/// Niceness of workers. What comes of a long body before a worker has told the kernel to keep it is copied in vain, and
/// beside busy programs a thread of the usual niceness waits for milliseconds.
const NICENESS: i32 = -10;

/// How much longer than asked for the calling thread may sleep, ns. The kernel's usual 50 us are more than a short nap.
const SLACK: libc::c_ulong = 1000;

/// Has the calling thread wait less than others for a processor, if that is allowed, and sleep no longer than it asks for.
pub fn raise() {
    // SAFETY: no memory is involved; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK) };
}
