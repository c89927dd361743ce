//! The sensor in the kernel: counts every packet in its flow and forwards what teaches userspace
//! something. Never drops, delays or changes a frame. What a packet does to a flow is decided by
//! [`sensor_common::flow::update`], here as in userspace.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

#[path = "../../sensor/src/datapath/xdp/abi.rs"]
mod abi;
mod control;
mod decap;
mod dedup;
mod emit;
mod fetch;
mod filter;
mod floor;
mod half;
mod hook;
mod inject;
mod maps;
mod parse;

use aya_ebpf::bindings::{BPF_NOEXIST, TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use aya_log_ebpf::warn;
use sensor_common::filter::{COUNT, IGNORE, LEAVE_OUT};
use sensor_common::flow::{COUNT_ONLY, update, why};
use sensor_common::follow::follow;
use sensor_common::policy::{ALL_FRAMES, DECAP, DECAP_UDP, FILTER, RECORDS, VLAN_AWARE};
use sensor_common::{Counter, FlowState, Packet, RecordHeader};

use hook::{Hook, Rx, Tx};
use maps::{FLOWS, Scratch, Stats, opaque, policy};
use parse::{NEED_MORE, PARSED, Reason, parse};

/// What an interface receives.
#[xdp(frags)]
pub fn sensor_rx(ctx: XdpContext) -> u32 {
    see(&Rx::new(&ctx));
    XDP_PASS
}

/// What [`sensor_rx`] goes on with if a frame may be of a tunnel that is to be taken apart here: a program of its own, or
/// the verifier would have to walk all of it at once.
// Called by the macro's function of the same name. As a function of its own it would have a name that depends on where it
// was compiled.
#[xdp(frags)]
#[inline(always)]
pub fn decap_rx(ctx: XdpContext) -> u32 {
    decap::outer(&Rx::again(&ctx));
    XDP_PASS
}

/// What [`decap_rx`] goes on with if there is a packet in the frame.
#[xdp(frags)]
pub fn inside_rx(ctx: XdpContext) -> u32 {
    decap::inner(&Rx::again(&ctx));
    XDP_PASS
}

/// As [`decap_rx`], of what the host sends.
#[classifier]
#[inline(always)]
pub fn decap_tx(ctx: TcContext) -> i32 {
    decap::outer(&Tx::again(&ctx));
    TC_ACT_UNSPEC
}

/// As [`inside_rx`], of what the host sends.
#[classifier]
pub fn inside_tx(ctx: TcContext) -> i32 {
    decap::inner(&Tx::again(&ctx));
    TC_ACT_UNSPEC
}

/// What the host sends.
#[classifier]
pub fn sensor_tx(ctx: TcContext) -> i32 {
    see(&Tx::new(&ctx));
    TC_ACT_UNSPEC
}

/// Never attached: run by userspace to change flow entries without racing the counters in them. Returns how many
/// orders were refused.
#[xdp]
pub fn control(ctx: XdpContext) -> u32 {
    control::run(&ctx)
}

/// Never attached: run by userspace to read or end many flow entries at once.
#[xdp]
pub fn fetch(ctx: XdpContext) -> u32 {
    fetch::run(&ctx);
    XDP_PASS
}

/// Never attached: run by userspace over packets that it found in what [`sensor_rx`] and [`sensor_tx`] did not parse.
#[xdp(frags)]
pub fn inject(ctx: XdpContext) -> u32 {
    inject::run(&Rx::new(&ctx));
    XDP_PASS
}

/// Never attached, and loaded by `cargo xtask bench xdp` alone.
#[xdp(frags)]
pub fn floor_rx(ctx: XdpContext) -> u32 {
    floor::run(&Rx::new(&ctx));
    XDP_PASS
}

/// Does with a frame all there is to do.
#[inline(always)]
fn see<H: Hook>(hook: &H) {
    let (Some(stats), Some(w)) = (Stats::get(hook.slot()), Scratch::get(hook.slot())) else {
        return;
    };
    let segs = hook.segs();
    let vlans = policy!(bits) & VLAN_AWARE != 0;
    // SAFETY: this CPU's scratch for the slot, which nothing else uses meanwhile.
    unsafe {
        (*w).pkt = Packet {
            ts: hook.time(),
            segs,
            ..Default::default()
        };
        // Once more at most, and by the same code.
        let mut tries = opaque(1);
        loop {
            let why = parse(hook.frame(), w, vlans).err().unwrap_or(PARSED);
            Scratch::because(w, why);
            if why == PARSED || tries == 0 || !hook.more(why) {
                break;
            }
            tries = 0;
        }
    }
    let w = Scratch::forget(w);
    // SAFETY: as above.
    let (pkt, parsed) = unsafe { (&mut (*w).pkt, Scratch::reason(w) == PARSED) };
    let mut bytes = hook.wire_len() as u64;
    if parsed && segs > 1 {
        // Each segment but the first has headers of its own on the wire.
        pkt.ip_len += (segs - 1) * (pkt.data as u32 - pkt.l3 as u32);
        bytes += (segs - 1) as u64 * pkt.data as u64;
    }
    stats.add(Counter::Frames, segs as u64);
    stats.add(Counter::FrameBytes, bytes);
    // SAFETY: as above.
    if policy!(dedup) != 0 && unsafe { dedup::is_again(hook, w) } {
        return stats.add(Counter::Duplicate, segs as u64);
    }
    let w = Scratch::forget(w);
    // SAFETY: as above.
    let pkt = unsafe { &(*w).pkt };
    let bits = policy!(bits);
    if bits & DECAP != 0 {
        // SAFETY: as above.
        unsafe {
            (*w).found.at = 0;
            if decap::may_be(pkt, Scratch::reason(w), bits) {
                hook.go_on(decap::OUTER);
            }
        }
    }
    // SAFETY: as above.
    unsafe {
        if parsed {
            if let Some(flow) = find(hook, stats, w) {
                stats.add(Counter::Tracked, segs as u64);
                track(hook, stats, w, flow);
                return half::begun(w, hook.slot());
            }
            // Said here and not in `find`, which two programs have: a macro's code that is in two
            // places becomes a function, with a name that depends on where it was compiled.
            if Scratch::reason(w) == Counter::TableFull as Reason && stats.may_say_full() {
                warn!(
                    hook.ctx(),
                    "the flow table is full: new flows are counted, not tracked"
                );
            }
        } else if Scratch::reason(w) == NEED_MORE {
            Scratch::because(w, Counter::Truncated as Reason);
        }
        untracked(hook, stats, w);
    }
}

/// Counts a parsed packet in its flow and forwards it as the flow's state says.
#[inline(always)]
fn track<H: Hook>(hook: &H, stats: Stats, w: *mut Scratch, flow: *mut FlowState) {
    let w = Scratch::forget(w);
    // SAFETY: a live map value, valid until the program returns, and this CPU's scratch.
    unsafe { (*w).out = update(flow, &(*w).pkt, policy!(bits)) };
    if policy!(bits) & DECAP != 0 {
        // SAFETY: as above.
        unsafe { hook.tunnel(Scratch::forget(w), flow) };
    }
    let w = Scratch::forget(w);
    // SAFETY: as above.
    unsafe {
        if (*flow).half != 0 {
            half::sensor_half_packet(hook.slot());
        }
    }
    let w = Scratch::forget(w);
    // SAFETY: as above; the loads have room for what they copy.
    unsafe {
        if policy!(bits) & RECORDS != 0 && (*w).out.why & why::RECORDS != 0 {
            let data = (*w).pkt.data as u32;
            let load = |from: u32, to, n| hook.load_few::<8>(data + from, to, n);
            follow(flow, &(*w).pkt, &raw mut (*w).out, &raw mut (*w).marks, load);
        }
    }
    let w = Scratch::forget(w);
    // SAFETY: as above.
    let (pkt, out) = unsafe { (&(*w).pkt, &mut (*w).out) };
    let segs = pkt.segs as u64;
    // SAFETY: a live map value.
    let ring = || unsafe { emit::ring_in(flow) };
    // SAFETY: as above.
    unsafe { (*w).tight = 0 };
    if out.why & why::HAS_PAYLOAD != 0 {
        stats.add(Counter::Payload, segs);
        // SAFETY: as above.
        if out.with_payload() && unsafe { emit::is_tight(w, ring()) } {
            // That a direction is followed no longer is said once, so `why::UNSHED` goes up without payload.
            out.why = out.why & !(why::PAYLOAD | why::ALL) | why::SHED;
            // SAFETY: as above.
            unsafe { (*w).tight = 1 };
            if !out.goes_up() {
                stats.ring_lost(ring());
            }
        }
    }
    let w = Scratch::forget(w);
    // SAFETY: as above.
    let (pkt, out, marks) = unsafe { (&(*w).pkt, &(*w).out, &(*w).marks) };
    let mut sent = false;
    if out.goes_up() {
        let whole = out.with_payload();
        // What is behind the IP packet is padding; a length of 0 says nothing.
        let mut cap = hook.frame().len as u32;
        let end = if whole {
            pkt.l3 as u32 + pkt.ip_len
        } else {
            pkt.data as u32
        };
        if end < cap && (!whole || pkt.ip_len != 0) {
            cap = end;
        }
        if whole && policy!(snaplen) != 0 && policy!(snaplen) < cap {
            cap = policy!(snaplen);
        }
        let fill = |head: *mut RecordHeader| {
            // SAFETY: a reservation of that size, and a live map value that others may be adding
            // to, which a record's totals may show or not.
            unsafe {
                (*head).fill(pkt, &*flow, out);
                if policy!(bits) & RECORDS != 0 && out.why & (why::RECORDS | why::UNSHED) != 0 {
                    (*head).fill_marks(marks);
                }
            }
        };
        // SAFETY: this CPU's scratch.
        sent = unsafe {
            Scratch::sending(w, ring(), cap);
            if policy!(bits) & RECORDS != 0 && out.why & why::RECORDS != 0 {
                emit::marks(hook, stats, w, fill)
            } else {
                emit::record(hook, stats, w, fill)
            }
        };
        if sent {
            // SAFETY: a live map value.
            unsafe { half::told(flow) };
        }
    }
    let w = Scratch::forget(w);
    // SAFETY: as above, and a live map value.
    unsafe {
        let why = (*w).out.why;
        if policy!(bits) & DECAP_UDP != 0 && sent && why & why::TAKEN != 0 {
            (*flow).taken = 1;
        }
        let has_payload = why & why::HAS_PAYLOAD != 0;
        if has_payload && (*w).out.with_payload() {
            let counter = if sent { Counter::Forwarded } else { Counter::Lost };
            stats.add_reason(counter as Reason, segs);
            return;
        }
        if has_payload {
            let counter = if (*w).tight != 0 {
                Counter::Lost
            } else {
                Counter::Shed
            };
            stats.add_reason(counter as Reason, segs);
        }
        if (*w).out.goes_up() {
            let counter = if sent {
                Counter::HeaderRecords
            } else {
                Counter::HeaderLost
            };
            stats.add_reason(counter as Reason, 1);
        }
    }
}

/// The packet's flow entry, made if need be. None, and [`Scratch::reason`] says why: the table is full, or the flow is to
/// be ignored.
#[inline(always)]
fn find<H: Hook>(hook: &H, stats: Stats, w: *mut Scratch) -> Option<*mut FlowState> {
    // SAFETY: this CPU's scratch.
    let (pkt, new) = unsafe { (&(*w).pkt, &mut (*w).new) };
    if let Some(flow) = FLOWS.get_ptr_mut(&pkt.key) {
        return Some(flow);
    }
    new.shed = 0;
    if policy!(bits) & FILTER != 0 {
        // SAFETY: this CPU's scratch.
        unsafe { (*w).iface = hook.ifindex() };
        match filter::sensor_filter(hook.slot()) {
            IGNORE => return refuse(w, Counter::Filtered),
            LEAVE_OUT => return refuse(w, Counter::Unsampled),
            COUNT => new.shed = COUNT_ONLY | 3,
            _ => {}
        }
    }
    // As `FlowState::starting` has it, and what userspace has no use for: nothing else in it is ever written.
    new.start = pkt.ts;
    new.half = half::starting(pkt);
    let half = new.half;
    new.ring = emit::ring_of(hook, &pkt.key);
    new.carries = decap::starting(pkt, policy!(bits));
    // Of two CPUs that come here at once, one makes the entry and both use it.
    if FLOWS.insert(&pkt.key, &mut *new, BPF_NOEXIST as u64).is_ok() {
        stats.add(Counter::FlowsCreated, 1);
        // SAFETY: this CPU's scratch.
        unsafe { (*w).begun = half };
    }
    match FLOWS.get_ptr_mut(&pkt.key) {
        None => refuse(w, Counter::TableFull),
        flow => flow,
    }
}

/// Says why there is no entry.
#[inline(always)]
fn refuse(w: *mut Scratch, why: Counter) -> Option<*mut FlowState> {
    // SAFETY: this CPU's scratch.
    unsafe { Scratch::because(w, why as Reason) };
    None
}

/// Counts a frame that is not tracked, for [`Scratch::reason`], and forwards it if userspace can make something of it.
///
/// # Safety
/// `w` is this CPU's scratch.
#[inline(always)]
unsafe fn untracked<H: Hook>(hook: &H, stats: Stats, w: *mut Scratch) {
    let w = Scratch::forget(w);
    // SAFETY: the caller's word.
    let (pkt, reason) = unsafe { (&(*w).pkt, Scratch::reason(w)) };
    stats.add_reason(reason, pkt.segs as u64);
    // A full table is a state of ours, and what is to be ignored is ignored: the frame would teach userspace nothing.
    let forward = reason != Counter::TableFull as Reason
        && reason != Counter::Filtered as Reason
        && reason != Counter::Unsampled as Reason
        && (reason != Counter::NotIp as Reason || policy!(bits) & ALL_FRAMES != 0);
    if !forward {
        return;
    }
    // SAFETY: the caller's word.
    let sent = unsafe {
        Scratch::sending(w, emit::ring_of(hook, &pkt.key), hook.frame().len as u32);
        if emit::is_tight(w, Scratch::to(w)) {
            stats.ring_lost(Scratch::to(w));
            false
        } else {
            emit::record(hook, stats, w, |head| {
                emit::frame_header(head, pkt.ts, pkt.l3, Scratch::reason(w));
            })
        }
    };
    stats.add_reason(
        if sent {
            Counter::FrameRecords
        } else {
            Counter::FrameLost
        } as Reason,
        1,
    );
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel's name for the licences that let a program use all helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
