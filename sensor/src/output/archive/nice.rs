//! A thread that takes what others leave.
#![allow(unsafe_code, reason = "setpriority and ioprio_set are system calls")]

/// The least there is.
const NICENESS: i32 = 19;
/// `IOPRIO_WHO_PROCESS`.
const WHO: libc::c_int = 1;
/// `IOPRIO_CLASS_BE`, the class of all threads, and the last place in it. A thread of the idle class could wait for ever.
const IO_PRIORITY: libc::c_int = 2 << 13 | 7;

/// Has the calling thread wait for all others, for processors and disks.
pub fn lower() {
    // SAFETY: no memory is involved; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO, 0, IO_PRIORITY) };
}
