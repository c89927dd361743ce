//! The disk that a directory is on.
#![allow(unsafe_code, reason = "statfs is a system call")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that are free for who is not root.
    pub free: u64,
    /// Type of the file system, as statfs(2) has it.
    pub kind: i64,
}

impl Disk {
    /// That of a directory; None: it cannot be found out.
    pub fn of(dir: &Path) -> Option<Disk> {
        let path = CString::new(dir.as_os_str().as_bytes()).ok()?;
        // SAFETY: all zeroes is a valid statfs; the string is terminated; the call writes to the structure and nowhere else.
        unsafe {
            let mut fs: libc::statfs = std::mem::zeroed();
            (libc::statfs(path.as_ptr(), &raw mut fs) == 0).then(|| Disk {
                free: (fs.f_bavail as u64).saturating_mul(fs.f_bsize as u64),
                kind: fs.f_type as i64,
            })
        }
    }
}
