//! What an interface's driver says of itself: ethtool's ioctl (`include/uapi/linux/ethtool.h`).
#![allow(unsafe_code, reason = "ioctl takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GFLAGS: u32 = 0x25;
/// `ETH_FLAG_RXVLAN`.
const RXVLAN: u32 = 1 << 8;

/// Questions to one interface.
pub struct Ethtool {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Ethtool {
    pub fn of(iface: &str) -> io::Result<Self> {
        let mut name = [0; libc::IFNAMSIZ];
        // The last byte ends it.
        for (to, from) in name.iter_mut().zip(iface.bytes().take(libc::IFNAMSIZ - 1)) {
            *to = from as libc::c_char;
        }
        // SAFETY: no memory involved; the descriptor is ours alone.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Ethtool { socket, name })
    }

    /// Asks what `data` begins with the number of; the answer is written there.
    ///
    /// # Safety
    /// `data` is as long as that question's struct with its answer.
    pub unsafe fn ask<T>(&self, data: *mut T) -> io::Result<()> {
        // SAFETY: all zeroes is a valid ifreq.
        let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
        req.ifr_name = self.name;
        req.ifr_ifru.ifru_data = data.cast();
        // SAFETY: the contract above, which the caller keeps.
        match unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut req) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether the driver takes VLAN tags off what it receives and hands them over beside the frame, where no XDP program
/// sees them. False also where it cannot be found out.
pub fn strips_vlan_tags(iface: &str) -> bool {
    // `struct ethtool_value`.
    let mut value = [ETHTOOL_GFLAGS, 0];
    // SAFETY: `value` has two words, like that struct, and outlives the call.
    let asked = Ethtool::of(iface).and_then(|e| unsafe { e.ask(value.as_mut_ptr()) });
    asked.is_ok() && value[1] & RXVLAN != 0
}
