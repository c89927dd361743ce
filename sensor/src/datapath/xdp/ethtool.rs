//! What an interface's driver says of itself: ethtool's ioctl (`include/uapi/linux/ethtool.h`).
#![allow(unsafe_code, reason = "ioctl takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GFLAGS: u32 = 0x25;
/// `ETH_FLAG_RXVLAN`.
const RXVLAN: u32 = 1 << 8;

/// Questions to one interface, in this thread's network namespace.
pub struct Ethtool {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Ethtool {
    /// Questions to the interface of this name, which need not be there.
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

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GRINGPARAM: u32 = 0x10;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GRXRINGS: u32 = 0x2d;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
/// `ETH_SS_FEATURES`: the names of features.
const FEATURES: u32 = 4;
/// `ETH_GSTRING_LEN`.
const NAME_BYTES: usize = 32;
/// Most features that are believed.
const MAX_FEATURES: u32 = 1024;
/// `sizeof(struct ethtool_drvinfo)`, words.
const DRVINFO_WORDS: usize = 49;
/// `sizeof(struct ethtool_rxnfc)`, words.
const RXNFC_WORDS: usize = 50;

impl Ethtool {
    /// The driver's name.
    pub fn driver(&self) -> io::Result<String> {
        // The name follows the number of the question, and ends with a zero.
        let mut info = [0u32; DRVINFO_WORDS];
        info[0] = ETHTOOL_GDRVINFO;
        // SAFETY: as long as that struct, and outlives the call.
        unsafe { self.ask(info.as_mut_ptr())? };
        Ok(text(&info[1..1 + NAME_BYTES / 4]))
    }

    /// Entries of a receive ring: now, and at most.
    pub fn rx_ring(&self) -> io::Result<(u32, u32)> {
        // `struct ethtool_ringparam`: four largest sizes, then those that hold; receiving comes first.
        let mut ring = [0u32; 9];
        ring[0] = ETHTOOL_GRINGPARAM;
        // SAFETY: as long as that struct, and outlives the call.
        unsafe { self.ask(ring.as_mut_ptr())? };
        Ok((ring[5], ring[1]))
    }

    /// Queues that receive.
    pub fn rx_queues(&self) -> io::Result<u64> {
        let mut queues = [0u32; RXNFC_WORDS];
        queues[0] = ETHTOOL_GRXRINGS;
        // SAFETY: as long as `struct ethtool_rxnfc`, and outlives the call.
        unsafe { self.ask(queues.as_mut_ptr())? };
        // A 64-bit number of the machine's byte order behind two words.
        let (low, high) = (queues[2].to_ne_bytes(), queues[3].to_ne_bytes());
        let [a, b, c, d] = low;
        let [e, f, g, h] = high;
        Ok(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The features that are on, by the names that `ethtool -k` has them under in the kernel (`rx-gro`).
    pub fn features(&self) -> io::Result<Vec<String>> {
        // `struct ethtool_sset_info` with one set: its number of names comes last.
        let mut set = [0u32; 5];
        (set[0], set[2]) = (ETHTOOL_GSSET_INFO, 1 << FEATURES);
        if cfg!(target_endian = "big") {
            set.swap(2, 3);
        }
        // SAFETY: as long as that struct with one answer, and outlives the call.
        unsafe { self.ask(set.as_mut_ptr())? };
        let n = set[4];
        if n > MAX_FEATURES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut names = vec![0u32; 3 + n as usize * NAME_BYTES / 4];
        names[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, FEATURES, n]);
        // SAFETY: `struct ethtool_gstrings` with `n` names, the number that the kernel has just told, and outlives the call.
        unsafe { self.ask(names.as_mut_ptr())? };
        // `struct ethtool_gfeatures`: blocks of 32 features, each of four words, of which the third has those that are on.
        let blocks = n.div_ceil(32);
        let mut on = vec![0u32; 2 + blocks as usize * 4];
        on[..2].copy_from_slice(&[ETHTOOL_GFEATURES, blocks]);
        // SAFETY: as long as that struct with so many blocks, and outlives the call.
        unsafe { self.ask(on.as_mut_ptr())? };
        let is_on = |i: usize| on.get(2 + i / 32 * 4 + 2).is_some_and(|w| w >> (i % 32) & 1 == 1);
        let names = names[3..].chunks(NAME_BYTES / 4).enumerate();
        Ok(names
            .filter(|(i, _)| is_on(*i))
            .map(|(_, name)| text(name))
            .collect())
    }
}

/// The text in words of memory, up to its end.
fn text(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|w| w.to_ne_bytes()).take_while(|b| *b != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_asked() {
        // Every namespace has this one.
        let lo = Ethtool::of("lo").expect("a socket");
        assert!(lo.features().is_ok_and(|f| f.iter().any(|f| f == "loopback")));
        assert!(lo.rx_ring().is_err(), "it has none");
        let none = Ethtool::of("no-such-interface").expect("a socket");
        assert!(none.driver().is_err() && none.features().is_err());
    }

    #[test]
    fn a_name_ends_with_a_zero() {
        let words = [*b"rx-g", *b"ro\0x"].map(u32::from_ne_bytes);
        assert_eq!(text(&words), "rx-gro");
    }
}
