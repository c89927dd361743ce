//! Frames from userspace through the program in the kernel: captures, crafted frames, and packets
//! that userspace put together out of fragments or found in tunnels.
#![allow(unsafe_code, reason = "a packet is given to the program as bytes")]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sensor_common::Packet;

use super::abi::{MAX_CAP, META_MAGIC, Meta, PACKET_LEN};
use super::error::KernelError;
use super::sys;

/// Ethernet's header: the least that the kernel runs a program over.
const MIN_FRAME: usize = 14;
/// Most that a test run takes: a page's worth and 17 fragments, less what the kernel needs.
const MAX_FRAME: usize = 68_000;
/// Most of a frame that goes along with a packet found in it: what a record has room for.
const MAX_FOUND: usize = MAX_CAP as usize - PACKET_LEN;

/// What to say about a frame beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inject {
    /// Time to take for the frame's, ns on the clock that all other frames have.
    pub ts: u64,
    /// Frame bytes on the wire, where the capture cut the frame; 0: the frame's.
    pub wire_len: u32,
    /// Number of the interface to report; 0: none.
    pub ifindex: u32,
}

/// Runs frames through the program; each thread has its own.
pub struct Injector {
    pub(super) prog: OwnedFd,
    /// The program for packets that userspace found.
    pub(super) inject: OwnedFd,
    /// Of the program's per-CPU memory: this thread's alone, see [`super::abi::SLOTS`].
    pub(super) slot: u32,
    pub(super) buf: Vec<u8>,
}

impl Injector {
    /// Runs one frame and returns the program's verdict (XDP_PASS, 2, always). Its records are in
    /// the rings when this returns.
    pub fn run(&mut self, frame: &[u8], how: &Inject) -> Result<u32, KernelError> {
        Ok(self.repeat(frame, how, 1)?.0)
    }

    /// Runs a frame as one received at `ts`.
    pub fn test_run(&mut self, frame: &[u8], ts: u64) -> Result<u32, KernelError> {
        self.run(
            frame,
            &Inject {
                ts,
                ..Default::default()
            },
        )
    }

    /// Runs a frame `n` times; also ns per run.
    pub fn repeat(&mut self, frame: &[u8], how: &Inject, n: u32) -> Result<(u32, u32), KernelError> {
        if !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
            return Err(KernelError::FrameLength(frame.len()));
        }
        self.start(how.ts, how.wire_len, how.ifindex);
        self.buf.extend_from_slice(frame);
        self.go(self.prog.as_fd(), n)
    }

    /// Counts a packet that was found in `bytes`, not seen on a wire as such: it counts in its flow and as
    /// [`sensor_common::Counter::Injected`] alone. What `bytes` has beyond `MAX_FOUND` is cut off. The
    /// offsets in the record are moved by [`PACKET_LEN`], for so much stands before the bytes.
    pub fn found(&mut self, packet: &Packet, bytes: &[u8], wire_len: u32) -> Result<(), KernelError> {
        let mut p = *packet;
        for offset in [&mut p.l3, &mut p.l4, &mut p.data] {
            *offset = offset.saturating_add(PACKET_LEN as u16);
        }
        self.start(p.ts, wire_len, 0);
        // SAFETY: a plain struct without padding (see `PACKET_LEN`), and a copy of our own.
        let head = unsafe { std::slice::from_raw_parts((&raw const p).cast::<u8>(), PACKET_LEN) };
        self.buf.extend_from_slice(head);
        self.buf
            .extend_from_slice(bytes.get(..MAX_FOUND).unwrap_or(bytes));
        self.go(self.inject.as_fd(), 1).map(drop)
    }

    /// Begins a run's bytes with the metadata.
    fn start(&mut self, ts: u64, wire_len: u32, ifindex: u32) {
        self.buf.clear();
        for word in [META_MAGIC, ts] {
            self.buf.extend(word.to_ne_bytes());
        }
        for word in [wire_len, ifindex, self.slot, 0] {
            self.buf.extend(word.to_ne_bytes());
        }
        debug_assert_eq!(self.buf.len(), size_of::<Meta>());
    }

    fn go(&self, prog: BorrowedFd<'_>, n: u32) -> Result<(u32, u32), KernelError> {
        sys::test_run(prog, &self.buf, size_of::<Meta>() as u32, n).map_err(|source| KernelError::Sys {
            what: "cannot run a frame through the program",
            source,
        })
    }
}
