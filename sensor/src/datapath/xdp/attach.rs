//! Attaching: XDP on what an interface receives, TC egress on what the host sends.
#![allow(unsafe_code, reason = "ioctl takes pointers")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use aya::programs::tc::{
    self, NlOptions, SchedClassifier, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions,
    TcAttachType, TcHandle,
};

use super::error::KernelError;
use super::sys;

/// The egress program, and so the filter that it is attached by where there is no TCX.
pub(super) const EGRESS_PROGRAM: &str = "sensor_tx";
/// ARPHRD_ETHER and ARPHRD_LOOPBACK: interfaces whose frames start with an Ethernet header.
const ETHERNET: [u16; 2] = [1, LOOPBACK];
const LOOPBACK: u16 = 772;

/// The priority of our filter where there is no TCX: the one that the first of an interface's filters gets.
const FILTER_PRIORITY: u16 = 49_152;

fn filter_handle() -> TcHandle {
    TcHandle::new(0, 1)
}

/// How the XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the network stack, after the skb was made.
    Skb,
}

/// How the host's own packets are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// Not at all: `rx_only`.
    Off,
    /// A TCX link (since Linux 6.6), which ends with the process.
    Tcx,
    /// A filter of the `clsact` qdisc: outlives a killed process.
    Clsact,
}

/// What was attached to an interface.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The interface's name.
    pub iface: String,
    /// The interface's number.
    pub ifindex: u32,
    /// How the XDP program runs.
    pub mode: Mode,
    /// How the host's own packets are seen.
    pub egress: Egress,
}

/// What keeps it attached.
pub(super) enum Link {
    #[allow(dead_code, reason = "closing it detaches")]
    Fd(OwnedFd),
    Filter(SchedClassifierLinkId),
}

/// An interface whose frames are Ethernet's.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet {
    /// Its number.
    pub ifindex: u32,
    /// What is sent on it is received on it.
    pub is_loopback: bool,
}

/// The interface of this name, in this thread's network namespace.
pub fn ethernet(iface: &str) -> Result<Ethernet, KernelError> {
    let none = || KernelError::NoInterface(iface.to_owned());
    let name = CString::new(iface).map_err(|_| none())?;
    if iface.is_empty() || iface.len() >= libc::IFNAMSIZ {
        return Err(none());
    }
    // SAFETY: a terminated string; a zeroed ifreq is a valid one; the socket is closed below.
    unsafe {
        let index = libc::if_nametoindex(name.as_ptr());
        if index == 0 {
            return Err(none());
        }
        let mut req: libc::ifreq = std::mem::zeroed();
        for (to, from) in req.ifr_name.iter_mut().zip(name.as_bytes()) {
            *to = *from as libc::c_char;
        }
        let sock = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let r = libc::ioctl(sock, libc::SIOCGIFHWADDR, &raw mut req);
        libc::close(sock);
        if r == 0 && !ETHERNET.contains(&req.ifr_ifru.ifru_hwaddr.sa_family) {
            return Err(KernelError::NotEthernet(iface.to_owned()));
        }
        Ok(Ethernet {
            ifindex: index,
            is_loopback: r == 0 && req.ifr_ifru.ifru_hwaddr.sa_family == LOOPBACK,
        })
    }
}

/// Attaches XDP natively, or where the driver cannot, in skb mode.
pub(super) fn xdp(
    prog: BorrowedFd<'_>,
    iface: &str,
    index: u32,
    skb: bool,
) -> Result<(OwnedFd, Mode), KernelError> {
    let error = |source: io::Error| match source.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => KernelError::Occupied(iface.to_owned()),
        Some(libc::ENODEV) => KernelError::NoInterface(iface.to_owned()),
        Some(libc::EPERM | libc::EACCES) => KernelError::Capabilities {
            missing: vec!["CAP_NET_ADMIN", "CAP_BPF"],
        },
        _ => KernelError::Attach {
            iface: iface.to_owned(),
            source,
        },
    };
    if !skb {
        match sys::link(prog, index, sys::BPF_XDP, sys::XDP_DRV_MODE) {
            Ok(fd) => return Ok((fd, Mode::Native)),
            Err(e) => match error(e) {
                KernelError::Attach { source, .. } => {
                    tracing::warn!("{iface}: no native XDP ({source}); running in skb mode");
                }
                other => return Err(other),
            },
        }
    }
    let fd = sys::link(prog, index, sys::BPF_XDP, sys::XDP_SKB_MODE).map_err(error)?;
    Ok((fd, Mode::Skb))
}

/// Attaches the egress program by TCX, or where the kernel lacks it (before 6.6), by `clsact`. `in_place`: a filter that is
/// there of an earlier run is given the program, so that no packet is met by none or by both.
pub(super) fn egress(
    prog: BorrowedFd<'_>,
    tx: &mut SchedClassifier,
    iface: &str,
    index: u32,
    in_place: bool,
) -> Result<(Link, Egress), KernelError> {
    match sys::link(prog, index, sys::BPF_TCX_EGRESS, 0) {
        Ok(fd) => return Ok((Link::Fd(fd), Egress::Tcx)),
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
        Err(source) => {
            return Err(KernelError::Attach {
                iface: iface.to_owned(),
                source,
            });
        }
    }
    let failed = |e: &dyn std::fmt::Display| KernelError::Attach {
        iface: iface.to_owned(),
        source: io::Error::other(e.to_string()),
    };
    if in_place
        && let Ok(there) = SchedClassifierLink::attached(
            iface,
            TcAttachType::Egress,
            FILTER_PRIORITY,
            filter_handle(),
            None,
        )
        && let Ok(id) = tx.attach_to_link(there)
    {
        return Ok((Link::Filter(id), Egress::Clsact));
    }
    // An error here says that the qdisc is there already, or the next step fails for the same reason.
    let _ = tc::qdisc_add_clsact(iface);
    // As no other sensor has the interface's XDP hook, a filter of ours is what a killed one left.
    if tc::qdisc_detach_program(iface, TcAttachType::Egress, EGRESS_PROGRAM).is_ok() {
        tracing::warn!("{iface}: took away the egress filter that a killed sensor had left");
    }
    let options = TcAttachOptions::Netlink(NlOptions {
        priority: FILTER_PRIORITY,
        handle: filter_handle(),
        ..NlOptions::default()
    });
    let id = tx
        .attach_with_options(iface, TcAttachType::Egress, options)
        .map_err(|e| failed(&e))?;
    Ok((Link::Filter(id), Egress::Clsact))
}

/// Takes away the egress filter that an earlier run left at an interface of this thread's network namespace. Without one, and
/// where it is a TCX link that was pinned, nothing is done.
pub(super) fn forget_egress(ifindex: u32) {
    let mut name = [0; libc::IFNAMSIZ];
    // SAFETY: the buffer has the size that the call wants; it writes a terminated string when it returns no null pointer.
    let name = unsafe {
        if libc::if_indextoname(ifindex, name.as_mut_ptr()).is_null() {
            return;
        }
        CStr::from_ptr(name.as_ptr())
    };
    if let Ok(iface) = name.to_str() {
        let _ = tc::qdisc_detach_program(iface, TcAttachType::Egress, EGRESS_PROGRAM);
    }
}
