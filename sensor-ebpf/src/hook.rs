//! The two places where frames are seen, under one trait.

use core::cell::Cell;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_boot_ns, bpf_skb_load_bytes, bpf_skb_pull_data, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
};
use aya_ebpf::programs::{TcContext, XdpContext};
use sensor_common::FlowState;

use crate::abi::{META_MAGIC, Meta};
use crate::decap;
use crate::maps::{RX_PROGRAMS, Scratch, TX_PROGRAMS, opaque};
use crate::parse::{Frame, NEED_MORE, Reason};

/// Bytes to make readable when a header lies beyond what is: the largest Ethernet, IPv4 and TCP
/// headers and some room for IPv6's extensions.
const PULL: u32 = 256;
/// What is loaded at once: the kernel refuses more than 65,535 bytes.
const LOAD: u32 = 1 << 15;

/// A length, 1 to `MOST` (a power of two), that the verifier sees to be one.
#[inline(always)]
fn few<const MOST: u32>(n: u32) -> u32 {
    (opaque(n.wrapping_sub(1) as u64) as u32 & (MOST - 1)) + 1
}

/// A frame at a hook.
pub trait Hook {
    /// Bytes that stand before the frame's in a record.
    const PREFIX: usize = 0;
    type Ctx: EbpfContext;
    /// What the kernel called the program with.
    fn ctx(&self) -> &Self::Ctx;
    /// The frame as it can be read now.
    fn frame(&self) -> Frame;
    /// A frame was not parsed, for `why`: whether there is more of it than [`Hook::frame`] said, which it says from now on.
    /// Pointers are void afterwards.
    fn more(&self, why: Reason) -> bool;
    /// Copies `n` bytes (at least 1) of the frame, from its byte `from` on, to `dst`.
    ///
    /// # Safety
    /// `dst` has room for them.
    unsafe fn load(&self, from: u32, dst: *mut u8, n: u32) -> bool;
    /// Copies `n` bytes (1 to `MOST`, a power of two) of the frame, from its byte `from` on, to `dst`.
    ///
    /// # Safety
    /// `dst` has room for `MOST`.
    unsafe fn load_few<const MOST: u32>(&self, from: u32, dst: *mut u8, n: u32) -> bool;
    /// Frame bytes on the wire.
    fn wire_len(&self) -> u32;
    fn ifindex(&self) -> u32;
    /// Wire packets that the frame stands for.
    fn segs(&self) -> u32;
    /// Arrival, ns.
    fn time(&self) -> u64;
    /// Which of the per-CPU entries to use; see [`crate::abi::SLOTS`].
    fn slot(&self) -> u32;
    /// Writes those bytes.
    ///
    /// # Safety
    /// `dst` has room for them and is aligned like a word.
    unsafe fn prefix(&self, _dst: *mut u8) {}
    /// Goes on with another program ([`crate::decap`]) for good; returns only if that is not there.
    fn go_on(&self, program: u32);
    /// What concerns tunnels of a packet that its flow was updated by.
    ///
    /// # Safety
    /// `w` is this CPU's scratch, `flow` a live map value.
    unsafe fn tunnel(&self, w: *mut Scratch, flow: *const FlowState) {
        // SAFETY: the caller's word.
        unsafe { decap::of_tunnel(w, flow) };
    }
}

/// What an interface receives.
///
/// A frame may be in several pieces. How long it is with all of them a helper says; as the call costs as much as a
/// tenth of all that is done for a packet, it is not asked if the first piece has all that the IP header speaks of.
pub struct Rx<'a> {
    ctx: &'a XdpContext,
    len: Cell<u32>,
    ts: u64,
    /// If it is known to be another than `len`; otherwise 0.
    wire_len: u32,
    ifindex: u32,
    slot: u32,
}

impl<'a> Rx<'a> {
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext) -> Self {
        // SAFETY: no arguments.
        Self::at(ctx, || unsafe { bpf_ktime_get_boot_ns() })
    }

    #[inline(always)]
    fn at(ctx: &'a XdpContext, now: impl FnOnce() -> u64) -> Self {
        let mut rx = Rx {
            ctx,
            // Subtracted as the pointers that they are, not as their lower halves.
            len: Cell::new(opaque((ctx.data_end() - ctx.data()) as u64) as u32),
            ts: 0,
            wire_len: 0,
            ifindex: ctx.ingress_ifindex() as u32,
            slot: 0,
        };
        let meta = ctx.metadata();
        if meta + core::mem::size_of::<Meta>() <= ctx.metadata_end() {
            let meta = meta as *const Meta;
            // SAFETY: the comparison above; the metadata is 4-byte aligned at least, the reads are
            // of single fields.
            unsafe {
                if (&raw const (*meta).magic).read_unaligned() == META_MAGIC {
                    rx.ts = (&raw const (*meta).ts).read_unaligned();
                    rx.wire_len = (*meta).wire_len;
                    rx.ifindex = (*meta).ifindex;
                    rx.slot = (*meta).slot;
                    // What it had on the wire does not tell how much of it is here.
                    rx.measure();
                    return rx;
                }
            }
        }
        rx.ts = now();
        rx
    }

    /// Notes how long the frame is with all its pieces; whether that is longer than was known.
    #[inline(always)]
    fn measure(&self) -> bool {
        // SAFETY: a helper on a valid context.
        let len = unsafe { bpf_xdp_get_buff_len(self.ctx.ctx) } as u32;
        self.len.replace(len) < len
    }
}

impl<'a> Rx<'a> {
    /// In a program after the first one, which has noted the time.
    #[inline(always)]
    pub fn again(ctx: &'a XdpContext) -> Self {
        let rx = Self::at(ctx, || 0);
        rx.measure();
        rx
    }
}

impl Hook for Rx<'_> {
    type Ctx = XdpContext;
    #[inline(always)]
    fn ctx(&self) -> &XdpContext {
        self.ctx
    }
    #[inline(always)]
    fn frame(&self) -> Frame {
        Frame {
            data: self.ctx.data(),
            end: self.ctx.data_end(),
            len: self.len.get() as usize,
            wire: self.wire_len() as usize,
        }
    }
    #[inline(always)]
    fn more(&self, _: Reason) -> bool {
        self.measure()
    }
    #[inline(always)]
    unsafe fn load(&self, from: u32, dst: *mut u8, n: u32) -> bool {
        // Opaque: what is compared is then what is subtracted from, which old verifiers could not know.
        let n = opaque(n as u64);
        // SAFETY: the caller's word for `dst`.
        unsafe {
            if n <= LOAD as u64 {
                return bpf_xdp_load_bytes(self.ctx.ctx, from, dst.cast(), n as u32) == 0;
            }
            let (next, rest) = (dst.add(LOAD as usize), (n - LOAD as u64) as u32);
            bpf_xdp_load_bytes(self.ctx.ctx, from, dst.cast(), LOAD) == 0
                && bpf_xdp_load_bytes(self.ctx.ctx, from + LOAD, next.cast(), rest) == 0
        }
    }
    #[inline(always)]
    unsafe fn load_few<const MOST: u32>(&self, from: u32, dst: *mut u8, n: u32) -> bool {
        // SAFETY: the caller's word for `dst`.
        unsafe { bpf_xdp_load_bytes(self.ctx.ctx, from, dst.cast(), few::<MOST>(n)) == 0 }
    }
    #[inline(always)]
    fn wire_len(&self) -> u32 {
        if self.wire_len != 0 {
            self.wire_len
        } else {
            self.len.get()
        }
    }
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.ifindex
    }
    #[inline(always)]
    fn segs(&self) -> u32 {
        1
    }
    #[inline(always)]
    fn time(&self) -> u64 {
        self.ts
    }
    #[inline(always)]
    fn slot(&self) -> u32 {
        self.slot
    }
    #[inline(always)]
    fn go_on(&self, program: u32) {
        // SAFETY: a valid context.
        let _ = unsafe { RX_PROGRAMS.tail_call(self.ctx, program) };
    }
}

/// What the host sends.
pub struct Tx<'a> {
    ctx: &'a TcContext,
    ts: u64,
}

impl<'a> Tx<'a> {
    #[inline(always)]
    pub fn new(ctx: &'a TcContext) -> Self {
        // SAFETY: no arguments.
        let ts = unsafe { bpf_ktime_get_boot_ns() };
        Tx { ctx, ts }
    }

    /// See [`Rx::again`].
    #[inline(always)]
    pub fn again(ctx: &'a TcContext) -> Self {
        Tx { ctx, ts: 0 }
    }
}

impl Hook for Tx<'_> {
    type Ctx = TcContext;
    #[inline(always)]
    fn ctx(&self) -> &TcContext {
        self.ctx
    }
    #[inline(always)]
    fn frame(&self) -> Frame {
        Frame {
            data: self.ctx.data(),
            end: self.ctx.data_end(),
            len: self.ctx.len() as usize,
            wire: self.ctx.len() as usize,
        }
    }
    #[inline(always)]
    fn more(&self, why: Reason) -> bool {
        let len = self.ctx.len();
        let n = if PULL < len { PULL } else { len };
        // SAFETY: a valid context.
        why == NEED_MORE && unsafe { bpf_skb_pull_data(self.ctx.skb.skb, n) == 0 }
    }
    #[inline(always)]
    unsafe fn load(&self, from: u32, dst: *mut u8, n: u32) -> bool {
        // SAFETY: the caller's word for `dst`.
        unsafe { bpf_skb_load_bytes(self.ctx.skb.skb.cast(), from, dst.cast(), n) == 0 }
    }
    #[inline(always)]
    unsafe fn load_few<const MOST: u32>(&self, from: u32, dst: *mut u8, n: u32) -> bool {
        // SAFETY: the caller's word for `dst`.
        unsafe { bpf_skb_load_bytes(self.ctx.skb.skb.cast(), from, dst.cast(), few::<MOST>(n)) == 0 }
    }
    #[inline(always)]
    fn wire_len(&self) -> u32 {
        self.ctx.len()
    }
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: a valid context.
        unsafe { (*self.ctx.skb.skb).ifindex }
    }
    #[inline(always)]
    fn segs(&self) -> u32 {
        // SAFETY: a valid context.
        let n = unsafe { (*self.ctx.skb.skb).gso_segs };
        if n == 0 { 1 } else { n }
    }
    #[inline(always)]
    fn time(&self) -> u64 {
        self.ts
    }
    #[inline(always)]
    fn slot(&self) -> u32 {
        0
    }
    #[inline(always)]
    fn go_on(&self, program: u32) {
        // SAFETY: a valid context.
        let _ = unsafe { TX_PROGRAMS.tail_call(self.ctx, program) };
    }
}
