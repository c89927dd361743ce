//! Another network namespace: what is asked of interfaces there is asked by a thread that has entered it for the moment. Files,
//! and what listens or sends, stay in the namespace that the sensor was started in.
#![allow(unsafe_code, reason = "setns is a system call")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Where `ip netns` has names for namespaces.
const NAMED: &str = "/run/netns";
/// This thread's.
const OWN: &str = "/proc/thread-self/ns/net";

/// Why a namespace cannot be entered.
#[derive(Debug, thiserror::Error)]
#[error("--netns {name}: {why}")]
pub struct NetnsError {
    name: String,
    why: String,
}

/// A network namespace beside the sensor's own, or that one itself.
#[derive(Debug, Default)]
pub struct Netns(Option<Inside>);

#[derive(Debug)]
struct Inside {
    there: File,
    own: File,
}

impl Netns {
    /// The namespace of this name as `ip netns` has it, or of this path (`/proc/PID/ns/net`); None: the sensor's own. It is
    /// entered once to see that this is allowed.
    pub fn open(name: Option<&str>) -> Result<Self, NetnsError> {
        let Some(name) = name else {
            return Ok(Netns(None));
        };
        let path = path(name);
        let error = |why: String| NetnsError {
            name: name.to_owned(),
            why,
        };
        let there = File::open(&path).map_err(|e| error(format!("cannot open {}: {e}", path.display())))?;
        let own = File::open(OWN).map_err(|e| error(format!("cannot open {OWN}: {e}")))?;
        let netns = Netns(Some(Inside { there, own }));
        let entered = netns.enter().map(drop);
        entered.map_err(|e| match e.raw_os_error() {
            Some(libc::EINVAL) => error(format!("{} is no network namespace", path.display())),
            Some(libc::EPERM) => error("not privileged to enter it: CAP_SYS_ADMIN".to_owned()),
            _ => error(e.to_string()),
        })?;
        Ok(netns)
    }

    /// Has this thread be in it until the answer is dropped.
    pub fn enter(&self) -> io::Result<Entered<'_>> {
        if let Some(inside) = &self.0 {
            set(&inside.there)?;
        }
        Ok(Entered(self))
    }
}

/// A thread in a namespace.
pub struct Entered<'n>(&'n Netns);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // It was in there before, so it may be there.
        if let Some(inside) = &self.0.0
            && let Err(e) = set(&inside.own)
        {
            tracing::error!("cannot go back to the network namespace that the sensor was started in: {e}");
        }
    }
}

fn path(name: &str) -> PathBuf {
    match name.contains('/') {
        true => name.into(),
        false => Path::new(NAMED).join(name),
    }
}

fn set(to: &File) -> io::Result<()> {
    // SAFETY: no memory is involved; the descriptor is open. Only this thread changes its namespace.
    match unsafe { libc::setns(to.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_ip_netns_and_a_path_a_path() {
        assert_eq!(path("blue"), Path::new("/run/netns/blue"));
        assert_eq!(path("/proc/7/ns/net"), Path::new("/proc/7/ns/net"));
        assert_eq!(path("./x"), Path::new("./x"));
    }

    #[test]
    fn what_is_none_is_said() {
        let said = |name| Netns::open(Some(name)).expect_err(name).to_string();
        assert!(
            said("no-such-netns").contains("--netns no-such-netns: cannot open /run/netns/no-such-netns")
        );
        assert!(Netns::open(None).is_ok_and(|n| n.enter().is_ok()));
    }
}
