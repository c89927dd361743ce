//! Frames from userspace through the program in the kernel: captures, crafted frames, and packets
//! that userspace put together out of fragments or found in tunnels.

use std::os::fd::{AsFd, OwnedFd};

use super::abi::{META_INJECTED, META_MAGIC, Meta};
use super::error::Error;
use super::sys;

/// Ethernet's header: the least that the kernel runs a program over.
const MIN_FRAME: usize = 14;
/// Most that a test run takes: a page's worth and 17 fragments, less what the kernel needs.
const MAX_FRAME: usize = 68_000;

/// What to say about a frame beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inject {
    /// Time to take for the frame's, ns on the clock that all other frames have.
    pub ts: u64,
    /// Not seen on a wire: counts in its flow and as [`sensor_common::Counter::Injected`] alone.
    pub injected: bool,
    /// IP bytes to count instead of the IP header's (the sum over the fragments); 0: the header's.
    pub ip_len: u32,
    /// Frame bytes on the wire, where the capture cut the frame; 0: the frame's.
    pub wire_len: u32,
    pub ifindex: u32,
    /// See [`sensor_common::Packet::tunnel`].
    pub tunnel: u32,
}

/// Runs frames through the program; each thread has its own.
pub struct Injector {
    pub(super) prog: OwnedFd,
    pub(super) buf: Vec<u8>,
}

impl Injector {
    /// Runs one frame and returns the program's verdict (XDP_PASS, 2, always). Its records are in
    /// the rings when this returns.
    pub fn run(&mut self, frame: &[u8], how: &Inject) -> Result<u32, Error> {
        Ok(self.repeat(frame, how, 1)?.0)
    }

    /// Runs a frame as one received at `ts`.
    pub fn test_run(&mut self, frame: &[u8], ts: u64) -> Result<u32, Error> {
        self.run(
            frame,
            &Inject {
                ts,
                ..Default::default()
            },
        )
    }

    /// Runs a frame `n` times; also ns per run.
    pub fn repeat(&mut self, frame: &[u8], how: &Inject, n: u32) -> Result<(u32, u32), Error> {
        if !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
            return Err(Error::FrameLength(frame.len()));
        }
        let meta = Meta {
            magic: META_MAGIC,
            tunnel: how.tunnel,
            ts: how.ts,
            flags: if how.injected { META_INJECTED } else { 0 },
            ip_len: how.ip_len,
            wire_len: how.wire_len,
            ifindex: how.ifindex,
        };
        self.buf.clear();
        self.buf.extend(meta.magic.to_ne_bytes());
        self.buf.extend(meta.tunnel.to_ne_bytes());
        self.buf.extend(meta.ts.to_ne_bytes());
        for word in [meta.flags, meta.ip_len, meta.wire_len, meta.ifindex] {
            self.buf.extend(word.to_ne_bytes());
        }
        debug_assert_eq!(self.buf.len(), size_of::<Meta>());
        self.buf.extend_from_slice(frame);
        sys::test_run(self.prog.as_fd(), &self.buf, size_of::<Meta>() as u32, n).map_err(|source| {
            Error::Sys {
                what: "cannot run a frame through the program",
                source,
            }
        })
    }

    /// Runs a frame `n` times as if received now, without metadata; ns per run.
    pub fn measure(&mut self, frame: &[u8], n: u32) -> Result<u32, Error> {
        sys::test_run(self.prog.as_fd(), frame, 0, n)
            .map(|(_, ns)| ns)
            .map_err(|source| Error::Sys {
                what: "cannot run a frame through the program",
                source,
            })
    }
}
