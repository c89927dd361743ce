//! The socket: what it hears, and what the kernel counts of it.
#![allow(unsafe_code, reason = "socket options and mmap take pointers")]

use std::collections::BTreeMap;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use super::filter;
use super::ring::Ring;

/// `TPACKET_V3`.
const VERSION: libc::c_int = 2;
/// A block of frames is handed over when it is full, or after this time, ms.
const HAND_OVER_MS: u32 = 4;
/// Size of a block, bytes: it has room for the largest frame that segmentation offload makes.
const BLOCK_BYTES: usize = 1 << 20;
/// What the kernel wants to hear of frames, which in blocks may have any length.
const FRAME_BYTES: u32 = 2048;

/// A packet socket, and which interfaces it hears.
pub struct Socket {
    socket: OwnedFd,
    /// By index; true: also what is sent.
    heard: BTreeMap<u32, bool>,
    dropped: u64,
}

impl Socket {
    /// A socket in this thread's network namespace that hears nothing yet, and its ring of some `bytes`.
    pub fn open(bytes: usize) -> io::Result<(Self, Ring)> {
        // SAFETY: no memory involved; the descriptor is ours alone. Without a protocol nothing is received.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let me = Socket {
            socket,
            heard: BTreeMap::new(),
            dropped: 0,
        };
        me.set(libc::PACKET_VERSION, &VERSION)?;
        // Each frame comes with what is to be known of its segments.
        me.set(libc::PACKET_VNET_HDR, &1)?;
        me.apply()?;
        let block = BLOCK_BYTES.min(bytes / 2);
        let blocks = (bytes / block).max(2);
        let request = libc::tpacket_req3 {
            tp_block_size: block as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: (block / FRAME_BYTES as usize * blocks) as u32,
            tp_retire_blk_tov: HAND_OVER_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        me.set(libc::PACKET_RX_RING, &request)?;
        let ring = Ring::map(me.socket.try_clone()?, block, blocks)?;
        // SAFETY: all zeros is a valid address; it outlives the call, and its length is told.
        unsafe {
            let mut all: libc::sockaddr_ll = zeroed();
            all.sll_family = libc::AF_PACKET as u16;
            all.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
            let len = size_of::<libc::sockaddr_ll>() as u32;
            if libc::bind(me.socket.as_raw_fd(), (&raw const all).cast(), len) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok((me, ring))
    }

    /// Longest time for which a frame stays in a block that is not full.
    pub const HAND_OVER: Duration = Duration::from_millis(HAND_OVER_MS as u64);

    /// Hears this interface, too; `sent`: also what is sent on it. False: there is no room for more.
    pub fn hear(&mut self, ifindex: u32, sent: bool) -> io::Result<bool> {
        if self.heard.len() >= filter::MAX_INTERFACES {
            return Ok(false);
        }
        self.heard.insert(ifindex, sent);
        self.apply().map(|()| true)
    }

    /// Hears it no longer.
    pub fn forget(&mut self, ifindex: u32) -> io::Result<()> {
        self.heard.remove(&ifindex);
        self.apply()
    }

    /// Hears nothing any more.
    pub fn end(&mut self) -> io::Result<()> {
        self.heard.clear();
        self.apply()
    }

    /// Frames so far for which the ring had no room.
    pub fn dropped(&mut self) -> io::Result<u64> {
        let mut stats = libc::tpacket_stats_v3 {
            tp_packets: 0,
            tp_drops: 0,
            tp_freeze_q_cnt: 0,
        };
        let mut len = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: both outlive the call, which writes no more than it is told that there is room for.
        let r = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut len,
            )
        };
        if r != 0 {
            return Err(io::Error::last_os_error());
        }
        // The kernel's count begins anew with each question.
        self.dropped += u64::from(stats.tp_drops);
        Ok(self.dropped)
    }

    /// Gives the kernel the filter for what is heard, in the place of the one before.
    fn apply(&self) -> io::Result<()> {
        let mut program = filter::program(&self.heard);
        let program = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        self.option(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    fn set<T>(&self, option: libc::c_int, value: &T) -> io::Result<()> {
        self.option(libc::SOL_PACKET, option, value)
    }

    fn option<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the value outlives the call, which reads as much as it has; what it points to does, too.
        let r = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                (value as *const T).cast(),
                len,
            )
        };
        match r {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
