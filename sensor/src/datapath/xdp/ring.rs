//! A worker's ring: records straight out of the memory that the kernel writes.
//!
//! Layout: kernel, `kernel/bpf/ringbuf.c`: one page with the consumer's position, one with the
//! producer's, then the data, mapped twice in a row so that no record is ever in two pieces.
#![allow(unsafe_code, reason = "the rings are memory shared with the kernel")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use sensor_common::RecordHeader;
use sensor_common::policy::MAX_RINGS;
use sensor_common::record::HEADER_LEN;

use super::abi::Bell;
use super::error::KernelError;

/// Bit of a record's length: the kernel has not written it yet.
const BUSY: u32 = 1 << 31;
/// Bit of a record's length: the kernel gave it up, to be skipped.
const DISCARDED: u32 = 1 << 30;
/// Bytes before each record: its length and flags, and the kernel's own.
const RECORD_HEAD_BYTES: u64 = 8;

/// The reader of one ring; there must be one only.
pub struct Ring {
    fd: OwnedFd,
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    mask: u64,
    /// Where the next record starts.
    at: u64,
    /// The consumer's position as last written for the kernel.
    published: u64,
    /// Bytes after which the position is written for the kernel.
    batch: u64,
    bells: Mapping,
    bell: usize,
}

struct Mapping {
    addr: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the mapping, not to a thread; the mapping is not `Sync`, so one thread at a time has it.
unsafe impl Send for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and nobody holds a reference any more.
        unsafe { libc::munmap(self.addr.as_ptr().cast(), self.len) };
    }
}

fn map(fd: RawFd, len: usize, prot: i32, offset: usize) -> Result<Mapping, KernelError> {
    // SAFETY: a new mapping of our own descriptor.
    let p = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            prot,
            libc::MAP_SHARED,
            fd,
            offset as i64,
        )
    };
    if p == libc::MAP_FAILED {
        return Err(KernelError::Sys {
            what: "cannot map a ring",
            source: io::Error::last_os_error(),
        });
    }
    let addr = NonNull::new(p.cast()).ok_or(KernelError::Missing("ring memory"))?;
    Ok(Mapping { addr, len })
}

impl Ring {
    /// `bytes` is the ring's size, `i` its number, `bells` the map of the [`Bell`]s.
    pub(super) fn new(fd: OwnedFd, bytes: u32, bells: BorrowedFd<'_>, i: u32) -> Result<Self, KernelError> {
        // SAFETY: no memory involved.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let consumer = map(fd.as_raw_fd(), page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        let producer = map(fd.as_raw_fd(), page + 2 * bytes as usize, libc::PROT_READ, page)?;
        let mut ring = Ring {
            fd,
            consumer,
            producer,
            page,
            mask: bytes as u64 - 1,
            at: 0,
            published: 0,
            batch: bytes as u64 / 32,
            bells: map(bells.as_raw_fd(), page, libc::PROT_READ | libc::PROT_WRITE, 0)?,
            bell: i as usize,
        };
        ring.at = ring.consumer_pos().load(Ordering::Relaxed);
        ring.published = ring.at;
        Ok(ring)
    }

    fn consumer_pos(&self) -> &AtomicU64 {
        // SAFETY: the mapping lives as long as `self`, its first word is aligned like the page, and this side alone writes it.
        unsafe { AtomicU64::from_ptr(self.consumer.addr.as_ptr().cast()) }
    }

    fn producer_pos(&self) -> u64 {
        // SAFETY: the mapping lives as long as `self`, and its first word is aligned like the page. The kernel writes it
        // atomically; here it is only loaded, so read-only memory will do.
        unsafe { &*self.producer.addr.as_ptr().cast::<AtomicU64>() }.load(Ordering::Acquire)
    }

    fn asleep(&self) -> &AtomicU32 {
        const { assert!(size_of::<Bell>() * MAX_RINGS as usize <= 4096) };
        // SAFETY: the map has a bell for each ring, all on the one page that is mapped as long as `self` lives; both sides
        // access the word atomically.
        unsafe {
            let bell = self.bells.addr.as_ptr().cast::<Bell>().add(self.bell);
            AtomicU32::from_ptr(&raw mut (*bell).asleep)
        }
    }

    /// Writes the consumer's position for the kernel.
    fn publish(&mut self) {
        if self.published != self.at {
            self.published = self.at;
            self.consumer_pos().store(self.at, Ordering::Release);
        }
    }

    /// The next record and the bytes behind its header; None if there is none yet. The kernel gets the room of earlier records
    /// back from time to time, and at once when there is no record.
    #[allow(clippy::should_implement_trait, reason = "what is returned borrows from self")]
    pub fn next(&mut self) -> Option<(&RecordHeader, &[u8])> {
        loop {
            if self.at - self.published >= self.batch {
                self.publish();
            }
            if self.at >= self.producer_pos() {
                self.publish();
                return None;
            }
            // SAFETY: below the producer's position.
            let (head, len) = unsafe { self.head() };
            if len & BUSY != 0 {
                self.publish();
                return None;
            }
            let body = (len & !(BUSY | DISCARDED)) as u64;
            self.at += RECORD_HEAD_BYTES + body.next_multiple_of(8);
            if len & DISCARDED != 0 || body < HEADER_LEN as u64 {
                continue;
            }
            // SAFETY: the record is committed, complete, aligned and in one piece; the kernel does
            // not touch it until the consumer's position passes it, which needs `&mut self`.
            return unsafe {
                let header = &*head.add(RECORD_HEAD_BYTES as usize).cast::<RecordHeader>();
                let n = header.body_len().min(body as usize - HEADER_LEN);
                let data = std::slice::from_raw_parts(head.add(RECORD_HEAD_BYTES as usize + HEADER_LEN), n);
                Some((header, data))
            };
        }
    }

    /// The head of the next record, and its length with flags.
    ///
    /// # Safety
    /// The kernel has begun the record: the producer's position is beyond it.
    unsafe fn head(&self) -> (*mut u8, u32) {
        let offset = self.page + (self.at & self.mask) as usize;
        // SAFETY: below the producer's position, so a record's head is there, within the mapping, which has the ring twice in
        // a row.
        let head = unsafe { self.producer.addr.as_ptr().add(offset) };
        // SAFETY: heads are 8-byte aligned; the kernel writes this word atomically when it commits the record.
        let len = unsafe { &*head.cast::<AtomicU32>() }.load(Ordering::Acquire);
        (head, len)
    }

    /// The time of the packet whose record is next, ns since boot; None if there is no record yet, or one that was given up.
    pub fn next_time(&self) -> Option<u64> {
        if self.at >= self.producer_pos() {
            return None;
        }
        // SAFETY: below the producer's position.
        let (head, len) = unsafe { self.head() };
        if len & (BUSY | DISCARDED) != 0 || (len as usize) < HEADER_LEN {
            return None;
        }
        // SAFETY: the record is committed, has a header, and is the kernel's again only when the consumer's position passes
        // it, which needs `&mut self`.
        let header = unsafe { &*head.add(RECORD_HEAD_BYTES as usize).cast::<RecordHeader>() };
        Some(header.pkt.ts)
    }

    /// Bytes that wait to be read, with the ring's own bytes for each record.
    pub fn taken(&self) -> u64 {
        self.producer_pos() - self.at
    }

    /// Bytes of all records returned so far, with the ring's own bytes for each.
    pub fn consumed(&self) -> u64 {
        self.at
    }

    /// Waits at most `timeout` for a record; true if there may be one. A caller that reads often need not wait: it is not
    /// woken, and records come all the same.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        self.asleep().store(1, Ordering::SeqCst);
        // Reserved before the kernel looked whether we sleep; `Stats::wake` has the other half.
        fence(Ordering::SeqCst);
        let there = if self.at < self.producer_pos() {
            Ok(true)
        } else {
            self.poll(timeout)
        };
        self.asleep().store(0, Ordering::Relaxed);
        there
    }

    fn poll(&self, timeout: Duration) -> io::Result<bool> {
        let mut p = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let ms = timeout.as_millis().min(i32::MAX as u128) as i32;
        // SAFETY: the call writes to the one pollfd that it is given, which outlives it.
        let n = unsafe { libc::poll(&raw mut p, 1, ms) };
        if n < 0 {
            let e = io::Error::last_os_error();
            if e.kind() == io::ErrorKind::Interrupted {
                return Ok(false);
            }
            return Err(e);
        }
        Ok(n > 0)
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
