//! How many files this process may open.
#![allow(unsafe_code, reason = "getrlimit and setrlimit are system calls")]

/// The soft and the hard limit.
fn limits() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes to the structure it is given and nowhere else.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    known.then_some(limit)
}

/// Number of files that this process may have open (soft limit).
pub fn open_files() -> Option<usize> {
    limits().map(|l| l.rlim_cur as usize)
}

/// Raises the soft limit to the hard limit.
pub fn raise_open_files() {
    if let Some(mut limit) = limits() {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the call reads the structure it is given. Nothing here uses select(2), which knows 1024 files only.
        // Without success everything works with fewer files.
        let _ = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
