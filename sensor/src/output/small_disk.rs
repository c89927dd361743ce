//! A disk that is soon full, for tests.
#![allow(unsafe_code, reason = "a mount namespace is made by system calls")]

use std::ffi::CString;
use std::path::Path;

/// Mounts a small tmpfs on `dir`, seen by this thread alone; false without the right to.
pub fn small_disk(dir: &Path) -> bool {
    let c = |s: &str| CString::new(s).expect("no NUL");
    let (tmpfs, root, opts) = (c("tmpfs"), c("/"), c("size=128k"));
    let at = c(dir.to_str().expect("text"));
    // SAFETY: plain system calls on strings that outlive them; the new mount namespace is this thread's.
    unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                tmpfs.as_ptr(),
                root.as_ptr(),
                std::ptr::null(),
                private,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                tmpfs.as_ptr(),
                at.as_ptr(),
                tmpfs.as_ptr(),
                0,
                opts.as_ptr().cast(),
            ) == 0
    }
}
