//! The ring of a packet socket: blocks of frames in memory that the kernel shares (`TPACKET_V3`, packet_mmap in the kernel's
//! documentation). A block is the kernel's until it hands it over, and is given back when its frames are read.
#![allow(unsafe_code, reason = "memory that is shared with the kernel")]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `TP_STATUS_USER`: a block is ours. 0: it is the kernel's.
const OURS: u32 = 1;
/// `TP_STATUS_VLAN_VALID`, `TP_STATUS_VLAN_TPID_VALID`.
const HAS_TAG: u32 = 1 << 4;
const HAS_TAG_KIND: u32 = 1 << 6;
const USUAL_TAG_KIND: u16 = 0x8100;
/// In `struct tpacket_block_desc`: the status, the number of frames, and where the first of them is.
const STATUS: usize = 8;
const COUNT: usize = 12;
const FIRST: usize = 16;
/// In `struct tpacket3_hdr`: where the next frame is from this one, its time in two words, how much of it there is, its length
/// on the wire, its status, where it begins from here, and its tag in two words.
const NEXT: usize = 0;
const SECONDS: usize = 4;
const NANOSECONDS: usize = 8;
const CAPTURED: usize = 12;
const LENGTH: usize = 16;
const FRAME_STATUS: usize = 20;
const MAC: usize = 24;
const TCI: usize = 32;
const TPID: usize = 36;
/// `struct virtio_net_hdr`, which stands before the frame: the kind of its segments, and their size.
const ABOUT_SEGMENTS: usize = 10;
const KIND: usize = 1;
const SIZE: usize = 4;
/// `VIRTIO_NET_HDR_GSO_*`: those that are cut up at each so many bytes of payload.
const TCPV4: u8 = 1;
const TCPV6: u8 = 4;
const UDP_L4: u8 = 5;
const ECN: u8 = 0x80;

/// A frame as the kernel left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'r> {
    /// The wall clock's time, ns since the epoch.
    pub ns: u64,
    pub data: &'r [u8],
    /// Its length, bytes.
    pub wire_len: u32,
    /// The VLAN tag that was taken off it: its kind and its contents.
    pub vlan: Option<(u16, u16)>,
    /// Bytes of payload in each of the packets that it stands for; None: it is one.
    pub segment: Option<u16>,
}

/// The ring, which one thread reads.
pub struct Ring {
    socket: OwnedFd,
    memory: NonNull<u8>,
    block: usize,
    blocks: usize,
    /// The block that comes next.
    at: usize,
    read: u64,
}

// SAFETY: the memory is the ring's alone on this side, and nothing of it is bound to a thread.
unsafe impl Send for Ring {}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`, with this length; no frame is borrowed any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.block * self.blocks) };
    }
}

impl Ring {
    /// Maps the ring that `socket` has.
    pub(super) fn map(socket: OwnedFd, block: usize, blocks: usize) -> io::Result<Self> {
        let len = block * blocks;
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Ring {
            socket,
            memory: NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            block,
            blocks,
            at: 0,
            read: 0,
        })
    }

    /// Reads the next block if the kernel has handed it over, gives its frames to `each`, and gives it back. How many there
    /// were; None: the next block is the kernel's.
    pub fn block(&mut self, mut each: impl FnMut(&Raw<'_>)) -> Option<u32> {
        // SAFETY: `at` is below `blocks`, so the block lies in the mapping; its status is a word that the kernel writes, too,
        // at an address that is a multiple of four.
        let (status, bytes) = unsafe {
            let block = self.memory.add(self.at * self.block);
            (AtomicU32::from_ptr(block.add(STATUS).cast().as_ptr()), block)
        };
        if status.load(Ordering::Acquire) & OURS == 0 {
            return None;
        }
        // SAFETY: the kernel writes nothing to a block that it has handed over, and the slice ends before it gets it back.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.as_ptr(), self.block) };
        let count = frames(bytes, |raw| {
            self.read += raw.data.len() as u64;
            each(raw);
        });
        status.store(0, Ordering::Release);
        self.at = (self.at + 1) % self.blocks;
        Some(count)
    }

    /// Bytes of frames that were read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Bytes of the blocks that the kernel has handed over and nobody has read; of many, what is known at a glance.
    pub fn taken(&self) -> u64 {
        let ours = |n: usize| {
            let at = (self.at + n) % self.blocks * self.block + STATUS;
            // SAFETY: as in `block`.
            let status = unsafe { AtomicU32::from_ptr(self.memory.add(at).cast().as_ptr()) };
            status.load(Ordering::Relaxed) & OURS != 0
        };
        let blocks = (0..self.blocks).take_while(|n| ours(*n)).count();
        (blocks * self.block) as u64
    }

    /// Waits for a block, no longer than `most`.
    pub fn wait(&self, most: Duration) -> io::Result<()> {
        let mut poll = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd, which outlives the call.
        let r = unsafe { libc::poll(&raw mut poll, 1, most.as_millis() as libc::c_int) };
        let e = io::Error::last_os_error();
        match r {
            // An interface went down, which the socket says once.
            _ if r >= 0 || e.kind() == io::ErrorKind::Interrupted => Ok(()),
            _ => Err(e),
        }
    }
}

fn word(b: &[u8], at: usize) -> Option<u32> {
    b.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn half(b: &[u8], at: usize) -> Option<u16> {
    b.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// Gives the frames of a block to `each`; how many there were.
fn frames<'b>(block: &'b [u8], mut each: impl FnMut(&Raw<'b>)) -> u32 {
    let (Some(count), Some(first)) = (word(block, COUNT), word(block, FIRST)) else {
        return 0;
    };
    let mut at = first as usize;
    for n in 0..count {
        let Some((raw, next)) = block.get(at..).and_then(frame) else {
            return n;
        };
        each(&raw);
        at += next as usize;
    }
    count
}

/// The frame at the start of `b`, and where the next one is.
fn frame(b: &[u8]) -> Option<(Raw<'_>, u32)> {
    let mac = usize::from(half(b, MAC)?);
    let captured = word(b, CAPTURED)? as usize;
    let status = word(b, FRAME_STATUS)?;
    let vlan = if status & HAS_TAG != 0 {
        let kind = if status & HAS_TAG_KIND != 0 {
            half(b, TPID)?
        } else {
            USUAL_TAG_KIND
        };
        Some((kind, word(b, TCI)? as u16))
    } else {
        None
    };
    let about = b.get(mac.checked_sub(ABOUT_SEGMENTS)?..mac)?;
    let segment = match about.get(KIND)? & !ECN {
        TCPV4 | TCPV6 | UDP_L4 => half(about, SIZE),
        _ => None,
    };
    let raw = Raw {
        ns: u64::from(word(b, SECONDS)?) * crate::base::time::SECOND + u64::from(word(b, NANOSECONDS)?),
        data: b.get(mac..mac.checked_add(captured)?)?,
        wire_len: word(b, LENGTH)?,
        vlan,
        segment,
    };
    Some((raw, word(b, NEXT)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of one frame.
    fn block(data: &[u8], status: u32, about: [u8; ABOUT_SEGMENTS]) -> Vec<u8> {
        let mut b = vec![0; 48];
        let mut put = |at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
        put(COUNT, &1_u32.to_ne_bytes());
        put(FIRST, &48_u32.to_ne_bytes());
        let mut f = vec![0; 80];
        let mut put = |at: usize, bytes: &[u8]| f[at..at + bytes.len()].copy_from_slice(bytes);
        put(SECONDS, &7_u32.to_ne_bytes());
        put(NANOSECONDS, &9_u32.to_ne_bytes());
        put(CAPTURED, &(data.len() as u32).to_ne_bytes());
        put(LENGTH, &1500_u32.to_ne_bytes());
        put(FRAME_STATUS, &status.to_ne_bytes());
        put(MAC, &80_u16.to_ne_bytes());
        put(TCI, &0x2007_u32.to_ne_bytes());
        put(TPID, &0x88a8_u16.to_ne_bytes());
        put(80 - ABOUT_SEGMENTS, &about);
        [b, f, data.to_vec()].concat()
    }

    fn read(block: &[u8]) -> Vec<Raw<'_>> {
        let mut all = Vec::new();
        frames(block, |r| all.push(*r));
        all
    }

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!(std::mem::offset_of!(libc::tpacket3_hdr, tp_mac), MAC);
        assert_eq!(std::mem::offset_of!(libc::tpacket3_hdr, tp_status), FRAME_STATUS);
        assert_eq!(std::mem::offset_of!(libc::tpacket_block_desc, hdr), STATUS);
    }

    #[test]
    fn a_frame_says_what_the_kernel_did_to_it() {
        let whole = Raw {
            ns: 7_000_000_009,
            data: &[1; 60],
            wire_len: 1500,
            vlan: None,
            segment: None,
        };
        assert_eq!(read(&block(&[1; 60], 1, [0; 10])), [whole]);
        let mut about = [0; 10];
        about[KIND] = TCPV4 | ECN;
        // Behind flags, kind and the length of the headers.
        about[4..6].copy_from_slice(&1448_u16.to_ne_bytes());
        let merged = Raw {
            vlan: Some((0x8100, 0x2007)),
            segment: Some(1448),
            ..whole
        };
        assert_eq!(read(&block(&[1; 60], HAS_TAG, about)), [merged]);
        let tagged = Raw {
            vlan: Some((0x88a8, 0x2007)),
            ..whole
        };
        let both = HAS_TAG | HAS_TAG_KIND;
        assert_eq!(read(&block(&[1; 60], both, [0; 10])), [tagged]);
    }

    #[test]
    fn a_block_that_cannot_be_is_left() {
        let good = block(&[1; 60], 1, [0; 10]);
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_empty(), "{cut}");
        }
        let mut far = good.clone();
        far[FIRST..FIRST + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert!(read(&far).is_empty());
        let mut many = good;
        many[COUNT..COUNT + 4].copy_from_slice(&3_u32.to_ne_bytes());
        // The next one is this one again: no more than it says.
        assert_eq!(read(&many).len(), 3);
    }
}
