//! How soon a worker gets a processor when it has something to do.
#![allow(unsafe_code, reason = "setpriority is a system call")]

/// Niceness of workers. What comes of a long body before a worker has told the kernel to keep it is copied in vain, and
/// beside busy programs a thread of the usual niceness waits for milliseconds.
const NICENESS: i32 = -10;

/// Has the calling thread wait less than others for a processor, if that is allowed.
pub fn raise() {
    // SAFETY: no memory is involved; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}
