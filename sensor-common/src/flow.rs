//! The state of a flow and the one function that updates it from a packet's header fields.
//!
//! # What is forwarded
//! Userspace reconstructs a TCP connection from what it is sent, so a packet may stay in the kernel
//! only if it is *boring*: it continues its direction exactly where it stood, acknowledges nothing
//! the kernel has not seen, and no hole is open. Whatever was not forwarded can then be replayed as
//! "in order, up to the totals of the next record". Everything else goes up, at least its headers.
//!
//! # Concurrency
//! In the kernel several CPUs may update one entry at once. Counters are added to atomically and are exact. The
//! sequence fields are written plainly: a direction normally arrives on one CPU, and where it does
//! not, a lost update costs an extra forwarded header, never a count.
#![allow(unsafe_code, reason = "the BPF program has its flow state by pointer")]

use crate::atomic::{add32, add64, or32};
use crate::follow::Follow;
use crate::key::IPPROTO_TCP;
use crate::packet::{Packet, tcp_flags as tf};
use crate::policy::{ALL_PACKETS, PAYLOAD, RECORDS};
use crate::skip;

/// Why a packet is forwarded: bits of [`Outcome::why`] and of the record.
pub mod why {
    /// First packet of the flow.
    pub const NEW_FLOW: u32 = 1 << 0;
    /// SYN, FIN or RST.
    pub const CONTROL: u32 = 1 << 1;
    /// First pure ACK or first payload of a direction, or the direction's first packet.
    pub const FIRST: u32 = 1 << 2;
    /// Payload that is wanted.
    pub const PAYLOAD: u32 = 1 << 3;
    /// The packet does not start where the direction stood: retransmission, reordering or loss.
    pub const OUT_OF_ORDER: u32 = 1 << 4;
    /// Acknowledges bytes that were not seen, or less than before.
    pub const UNEXPECTED_ACK: u32 = 1 << 5;
    /// A hole is open in one of the directions.
    pub const HOLE: u32 = 1 << 6;
    /// Announces a window of zero.
    pub const ZERO_WINDOW: u32 = 1 << 7;
    /// The policy wants every packet.
    pub const ALL: u32 = 1 << 8;
    /// Came through other tunnels than the flow's last packet.
    pub const TUNNEL: u32 = 1 << 9;
    /// Acknowledges all that the peer sent, after a FIN: a close may wait for it.
    pub const CLOSING: u32 = 1 << 10;
    /// The capture cut its payload, which userspace could not know otherwise.
    pub const CUT: u32 = 1 << 11;
    /// Reaches the end of a TLS record in a direction that is followed: [`crate::follow::follow`] has the rest.
    pub const RECORDS: u32 = 1 << 12;
    /// Userspace got no record of the flow before this one: see [`crate::flow::half`].
    pub const UNTOLD: u32 = 1 << 13;
    /// The first packet of a tunnel's flow out of which the kernel's program took another ([`OPENED`]), as far as
    /// userspace was told.
    pub const TAKEN: u32 = 1 << 14;
    /// The packet carries payload.
    pub const HAS_PAYLOAD: u32 = 1 << 16;
    /// It carries payload that was shed, or for which a ring had no room: the headers alone are forwarded.
    pub const SHED: u32 = 1 << 17;
    /// The direction was followed and is no longer: its payload is forwarded again.
    pub const UNSHED: u32 = 1 << 18;
    /// The kernel's program took an inner packet out of the packet's payload and counted it in a flow of its own.
    pub const OPENED: u32 = 1 << 19;
    /// The kernel's program took the packet out of another: [`crate::decap::PREFIX_LEN`] bytes stand before it.
    pub const INSIDE: u32 = 1 << 20;
    /// The bits that ask for forwarding.
    pub const FORWARD: u32 = 0xffff;
}

/// Bits of [`FlowState::half`]; set and cleared by the kernel's program alone.
pub mod half {
    /// The flow has seen nothing but SYN and RST and may give way to others.
    pub const OPEN: u32 = 1 << 0;
    /// It began with a SYN, and userspace got no record of it: while a ring is crowded, SYNs and answers to them stay in
    /// the kernel. The flow's first record has [`super::why::UNTOLD`].
    pub const UNTOLD: u32 = 1 << 1;
    /// A RST is among the packets of which userspace was told nothing. The flow's final state says how the connection
    /// ended.
    pub const REFUSED: u32 = 1 << 2;
}

/// Bit of [`FlowState::shed`]: the flow is counted, and its payload stays below for good. Set when the entry is made.
pub const COUNT_ONLY: u32 = 1 << 4;

/// Bits of [`DirState::seen`].
mod seen {
    /// `next` is set.
    pub const SEQ: u32 = 1 << 0;
    pub const DATA: u32 = 1 << 1;
    pub const PURE_ACK: u32 = 1 << 2;
    /// `ack` is set.
    pub const ACK: u32 = 1 << 3;
    pub const PKT: u32 = 1 << 4;
    /// The bits that a new connection in the same flow clears: what each connection does for a first time.
    pub const FIRSTS: u32 = DATA | PURE_ACK;
}

/// Bytes above a hole after which a direction that nobody ever acknowledges is taken for one-sided
/// and its hole for decided. Zeek: tcp_max_above_hole_without_any_acks (16 KiB); four times that, so
/// that userspace has decided before.
const ONE_SIDED_HOLE: i64 = 65_536;
/// Sequence jumps on SYN or RST beyond this are not believed. Zeek: TOO_LARGE_SEQ_DELTA.
const TOO_LARGE_SEQ_DELTA: i32 = 1_048_576;

/// One direction of a flow. What a packet in either direction looks at comes first, then what one in this direction
/// adds to, then what is rare: a busy link's entries are in no near cache, so each line that is not touched counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirState {
    /// Last packet, ns; 0 = none.
    pub last: u64,
    /// TCP: one past the highest sequence number sent (SYN and FIN count one). The low 32 bits are
    /// the wire's number, the high 32 count its wraps.
    pub next: u64,
    /// TCP: highest acknowledgement sent by this direction, same form.
    pub ack: u64,
    /// 0, or [`HOLE`] and a number like `next`: while the peer's `ack` is below it, holes may be open
    /// in this direction.
    pub hole: u64,
    seen: u32,
    /// TCP flags seen, ORed; a SYN after a FIN begins anew.
    pub flags: u32,
    /// Wire packets.
    pub pkts: u64,
    /// IP bytes on the wire.
    pub bytes: u64,
    /// Transport payload bytes.
    pub payload: u64,
    /// Packets with payload.
    pub data_pkts: u64,
    /// Last window, unscaled.
    pub window: u32,
    /// Packets that announced a zero window (RST excepted).
    pub zero_windows: u32,
    /// First packet, ns; 0 = none.
    pub first: u64,
    /// Payload bytes at or below the highest sequence already seen.
    pub rexmit_bytes: u64,
    /// Packets with such payload.
    pub rexmit_pkts: u32,
    /// Initial sequence number: of the SYN, or of the first packet less one.
    pub isn: u32,
}

/// A flow's entry in the flow table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowState {
    /// Bit per direction: userspace wants no more of its payload. Set by userspace, cleared by any SYN and where
    /// following a direction fails, but not with [`COUNT_ONLY`]. With a bit of [`skip::bits`] beside it userspace wants none up to a place, and a packet
    /// that reaches beyond it clears both.
    pub shed: u32,
    /// The last packet's [`Packet::tunnel`].
    pub tunnel: u32,
    /// Bits of [`half`].
    pub half: u32,
    /// The ring of its records: chosen once, or they could overtake each other.
    pub ring: u32,
    /// See [`Packet::carries`]. Set by the kernel's program when the entry is made, cleared when the flow turns out to
    /// be no tunnel.
    pub carries: u32,
    /// 1: userspace was told by [`why::TAKEN`].
    pub taken: u32,
    /// By sender: `key.a`, `key.b`.
    pub dir: [DirState; 2],
    /// Time of the packet that made the entry, ns.
    pub start: u64,
    /// Where the directions stand in TLS's records, if anybody wants to know; or up to where they are skipped.
    pub follow: [Follow; 2],
}

/// What an update found: the sender's state before it, and what to do with the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bits of [`why`].
    pub why: u32,
    /// [`DirState::next`] of the sender, before the packet.
    pub prev_next: u64,
    /// [`DirState::ack`] of the sender, before the packet.
    pub prev_ack: u64,
    /// Time of the flow's last packet before it, in either direction, ns; 0 = none.
    pub prev_last: u64,
}

impl Outcome {
    /// Whether the packet goes to userspace at all.
    #[inline(always)]
    pub fn forward(&self) -> bool {
        self.why & why::FORWARD != 0
    }
    /// As [`Outcome::forward`], when a ring has no room for payload: that a direction is followed no longer is said all
    /// the same.
    #[inline(always)]
    pub fn goes_up(&self) -> bool {
        self.why & (why::FORWARD | why::UNSHED) != 0
    }
    /// Whether its payload goes along.
    #[inline(always)]
    pub fn with_payload(&self) -> bool {
        self.why & (why::PAYLOAD | why::ALL) != 0
    }
}

impl FlowState {
    /// The state that a new entry starts from.
    #[inline(always)]
    pub fn starting(ts: u64) -> Self {
        FlowState {
            start: ts,
            ..Default::default()
        }
    }

    /// Time of the flow's last packet in either direction, ns.
    #[inline(always)]
    pub fn last(&self) -> u64 {
        if self.dir[0].last > self.dir[1].last {
            self.dir[0].last
        } else {
            self.dir[1].last
        }
    }
}

impl DirState {
    /// Whether an acknowledgement without payload, SYN, FIN or RST was sent.
    pub fn has_acknowledged(&self) -> bool {
        self.seen & seen::PURE_ACK != 0
    }
}

/// `seq` in the 64-bit space that `near` lies in: the value closest to `near` with these low bits.
#[inline(always)]
pub fn extend(near: u64, seq: u32) -> u64 {
    near.wrapping_add((seq.wrapping_sub(near as u32) as i32) as i64 as u64)
}

/// Counts `p` in `flow` and says what to do with it.
///
/// `policy` are the bits of [`crate::policy`].
///
/// # Safety
/// `flow` must point to a live, aligned entry to which nobody holds a reference. Compiled for BPF, others
/// may be in this function on the same entry at the same time, as the kernel's map values are shared; on
/// the host nobody may.
#[inline(always)]
pub unsafe fn update(flow: *mut FlowState, p: &Packet, policy: u32) -> Outcome {
    // SAFETY: by the contract above, for all dereferences here.
    unsafe {
        let (me, peer) = if p.dir == 0 {
            (&raw mut (*flow).dir[0], &raw mut (*flow).dir[1])
        } else {
            (&raw mut (*flow).dir[1], &raw mut (*flow).dir[0])
        };
        let (my_last, peer_last) = ((*me).last, (*peer).last);
        let all = policy & ALL_PACKETS != 0 && (*flow).shed & COUNT_ONLY == 0;
        let mut out = Outcome {
            why: 0,
            prev_next: (*me).next,
            prev_ack: (*me).ack,
            prev_last: if my_last > peer_last { my_last } else { peer_last },
        };
        let had_seen = (*me).seen;
        let mut was_seen = had_seen;
        if p.key.proto == IPPROTO_TCP && p.flags & tf::SYN != 0 {
            // Another connection may begin here on the same ports: its firsts are to be seen again, and of
            // its payload nobody said anything.
            was_seen &= !seen::FIRSTS;
            if ((*me).flags | (*peer).flags) & tf::FIN as u32 != 0 {
                ((*me).flags, (*peer).flags) = (0, 0);
            }
            let peer_seen = (*peer).seen;
            if peer_seen & seen::FIRSTS != 0 {
                (*peer).seen = peer_seen & !seen::FIRSTS;
            }
            let shed = (*flow).shed;
            if shed != 0 && shed & COUNT_ONLY == 0 {
                (*flow).shed = 0;
            }
        }
        let mut now_seen = was_seen | seen::PKT;

        add64(&raw mut (*me).pkts, p.segs as u64);
        add64(&raw mut (*me).bytes, p.ip_len as u64);
        if p.payload_len > 0 {
            add64(&raw mut (*me).payload, p.payload_len as u64);
            add64(&raw mut (*me).data_pkts, p.segs as u64);
        }
        if was_seen & seen::PKT == 0 {
            (*me).first = p.ts;
            out.why |= why::FIRST;
            if (*peer).seen & seen::PKT == 0 {
                out.why |= why::NEW_FLOW;
            }
        }
        if p.ts > my_last {
            (*me).last = p.ts;
        }
        if (*flow).tunnel != p.tunnel {
            (*flow).tunnel = p.tunnel;
            out.why |= why::TUNNEL;
        }

        if p.key.proto == IPPROTO_TCP {
            now_seen |= tcp(me, peer, p, was_seen, &mut out);
        }
        if p.payload_len > 0 {
            out.why |= why::HAS_PAYLOAD;
            if p.cut != 0 {
                out.why |= why::CUT;
            }
            if was_seen & seen::DATA == 0 {
                out.why |= why::FIRST;
                now_seen |= seen::DATA;
            }
            if policy & PAYLOAD != 0 && ((*flow).shed & (1 << p.dir) == 0 || skip::ends(flow, p)) {
                out.why |= why::PAYLOAD;
            } else if !all {
                out.why |= why::SHED;
                if policy & RECORDS != 0 && reaches_record(&(*flow).follow[p.dir as usize & 1], p) {
                    out.why |= why::RECORDS;
                }
            }
        }
        if all {
            out.why |= why::ALL;
        }
        if now_seen != had_seen {
            (*me).seen = now_seen;
        }
        out
    }
}

/// Whether a packet's payload reaches the place where a record's header is to be read.
#[inline(always)]
fn reaches_record(f: &Follow, p: &Packet) -> bool {
    let end = p.seq.wrapping_add(p.payload_len);
    f.state != 0 && p.flags & (tf::SYN | tf::RST) == 0 && end.wrapping_sub(f.at) as i32 >= 0
}

/// The TCP part of [`update`]; returns bits for `seen`.
#[inline(always)]
unsafe fn tcp(me: *mut DirState, peer: *mut DirState, p: &Packet, was_seen: u32, out: &mut Outcome) -> u32 {
    // SAFETY: the contract of `update`, which the caller keeps.
    unsafe {
        let mut bits = 0;
        let flags = p.flags as u32;
        let control = p.flags & (tf::SYN | tf::FIN | tf::RST) != 0;
        if (*me).flags & flags != flags {
            or32(&raw mut (*me).flags, flags);
        }
        (*me).window = p.window as u32;

        // A RST's payload is no part of the stream (Zeek: get_segment_len).
        let mut seg_len = if p.flags & tf::RST != 0 { 0 } else { p.payload_len };
        seg_len += (p.flags & tf::SYN != 0) as u32 + (p.flags & tf::FIN != 0) as u32;
        let end = p.seq.wrapping_add(seg_len);

        if control {
            out.why |= why::CONTROL;
        } else if p.payload_len == 0 && p.flags & tf::ACK != 0 && was_seen & seen::PURE_ACK == 0 {
            out.why |= why::FIRST;
            bits |= seen::PURE_ACK;
        }
        if p.window == 0 && p.flags & tf::RST == 0 {
            add32(&raw mut (*me).zero_windows, 1);
            out.why |= why::ZERO_WINDOW;
        }

        // Sequence numbers.
        let next = (*me).next;
        if was_seen & seen::SEQ == 0 || (p.flags & tf::SYN != 0 && p.seq != (*me).isn) {
            let isn = if p.flags & tf::SYN != 0 {
                p.seq
            } else {
                p.seq.wrapping_sub(1)
            };
            (*me).isn = isn;
            (*me).next = end as u64;
            (*me).hole = 0;
            bits |= seen::SEQ;
        } else {
            if p.seq != next as u32 {
                out.why |= why::OUT_OF_ORDER;
            }
            let delta = end.wrapping_sub(next as u32) as i32;
            if delta > 0 {
                let believed = p.flags & (tf::SYN | tf::RST) == 0 || delta <= TOO_LARGE_SEQ_DELTA;
                if believed {
                    (*me).next = next.wrapping_add(delta as u64);
                    if p.seq.wrapping_sub(next as u32) as i32 > 0 {
                        // Something is missing before this segment.
                        (*me).hole = next.wrapping_add(delta as u64) | HOLE;
                    }
                }
            } else if p.payload_len > 0 && p.flags & tf::RST == 0 {
                add32(&raw mut (*me).rexmit_pkts, 1);
                add64(&raw mut (*me).rexmit_bytes, p.payload_len as u64);
            }
        }

        // Acknowledgements.
        if p.flags & tf::ACK != 0 {
            if was_seen & seen::ACK == 0 {
                (*me).ack = p.ack as u64;
                bits |= seen::ACK;
            } else {
                let delta = p.ack.wrapping_sub((*me).ack as u32) as i32;
                if delta > 0 {
                    (*me).ack = (*me).ack.wrapping_add(delta as u64);
                    // The peer's own FIN need not be among what is acknowledged.
                    let closing = ((*me).flags | (*peer).flags) & tf::FIN as u32 != 0;
                    if closing && ((*peer).next as u32).wrapping_sub(p.ack) <= 1 {
                        out.why |= why::CLOSING;
                    }
                } else if delta < 0 {
                    out.why |= why::UNEXPECTED_ACK;
                }
            }
            // Half the number space away is ahead as well as behind: unexpected, too.
            let behind = ((*peer).next as u32).wrapping_sub(p.ack);
            if (*peer).seen & seen::SEQ == 0 || behind > i32::MAX as u32 {
                out.why |= why::UNEXPECTED_ACK;
            }
        }

        // Holes, in either direction. `prev_ack` decides, so that the ack that closes one is seen.
        let peer_acked = if (*peer).seen & seen::ACK != 0 {
            Some((*peer).ack as u32)
        } else {
            None
        };
        let my_acked = if was_seen & seen::ACK != 0 {
            Some(out.prev_ack as u32)
        } else {
            None
        };
        if hole_open(me, peer_acked) || hole_open(peer, my_acked) {
            out.why |= why::HOLE;
        }
        bits
    }
}

/// Whether a hole may be open in `d`; `acked` is the peer's highest acknowledgement, if it sent any.
#[inline(always)]
unsafe fn hole_open(d: *const DirState, acked: Option<u32>) -> bool {
    // SAFETY: the contract of `update`, which the caller keeps.
    let (hole, next) = unsafe { ((*d).hole, (*d).next) };
    if hole == 0 {
        return false;
    }
    match acked {
        Some(a) => ((hole as u32).wrapping_sub(a) as i32) > 0,
        None => (next.wrapping_sub(hole & !HOLE) as i64) < ONE_SIDED_HOLE,
    }
}

/// Set in [`DirState::hole`] when it holds a value (0 would be a valid sequence number).
pub const HOLE: u64 = 1 << 63;
