//! Following TLS's records through a direction whose payload is kept: what each record's header says goes
//! to userspace, the bytes around it do not.
//!
//! Userspace says where the next header begins; from there on each header tells where its successor is
//! (RFC 8446 section 5.1). A packet that reaches that place in order is forwarded as a record header with
//! [`Mark`]s instead of bytes; one that stays before it is kept like all shed payload. When the place cannot be
//! read (it was lost or reordered, or is no record's header), the direction is forwarded in full again: then
//! userspace follows, and may give a new place.
//!
//! DTLS's records begin with their datagram, so there is no place to keep: each datagram is read by itself, and
//! forwarded in full where it has anything but encrypted records with the header of DTLS 1.0 and 1.2 (RFC 6347
//! section 4.1).
#![allow(
    unsafe_code,
    reason = "the BPF program has its flow state and marks by pointer"
)]

use crate::atomic::{and32, or32, or32_after};
use crate::flow::{COUNT_ONLY, FlowState, Outcome, why};
use crate::packet::Packet;
use crate::skip;

/// Bytes of a record's header: type, version, length.
pub const HEADER: u32 = 5;
/// Most headers that are read of one packet. With more, records are so small that the packet may as well be
/// forwarded.
pub const MAX_MARKS: usize = 16;
/// Longest record: 2^14 bytes of plaintext and 2048 that encryption may add (RFC 5246 section 6.2.3).
const MAX_LENGTH: u32 = (1 << 14) + 2048;
/// Bytes of a DTLS record's header: type, version, epoch, sequence number, length.
const DTLS_HEADER: u32 = 13;

/// A direction's position in its sequence of TLS records.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Follow {
    /// Sequence number of the next byte to read of a header.
    pub at: u32,
    /// 0, or [`Follow::ON`] and how many bytes of that header have been read.
    pub state: u32,
    /// The bytes of that header that have been read, in wire order.
    pub part: [u8; 4],
}

impl Follow {
    /// The direction is followed, if it is shed as well.
    pub const ON: u32 = 1 << 8;
    /// Each packet is a datagram of DTLS.
    pub const DATAGRAMS: u32 = 1 << 9;

    /// Following from a header that begins at `at`.
    pub const fn from(at: u32) -> Self {
        Follow {
            at,
            state: Self::ON,
            part: [0; 4],
        }
    }
}

/// A record's header in a packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where it ends: offset of the byte behind it from the start of the packet's payload. Its first bytes may have come
    /// with an earlier packet.
    pub end: u16,
    /// The header's bytes as on the wire; for DTLS without epoch and sequence number.
    pub header: [u8; HEADER as usize],
    /// Always 0.
    pub pad: u8,
}

impl Mark {
    /// As it stands in a record.
    pub fn to_bytes(self) -> [u8; MARK_LEN] {
        let [e0, e1] = self.end.to_ne_bytes();
        let [a, b, c, d, e] = self.header;
        [e0, e1, a, b, c, d, e, self.pad]
    }

    /// The other way.
    pub fn from_bytes(b: [u8; MARK_LEN]) -> Self {
        Mark {
            end: u16::from_ne_bytes([b[0], b[1]]),
            header: [b[2], b[3], b[4], b[5], b[6]],
            pad: b[7],
        }
    }
}

/// What [`follow`] reads of a packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The headers, in the order of the payload; the first `n` are set.
    pub marks: [Mark; MAX_MARKS],
    /// How many are set.
    pub n: u32,
    /// When following ended: how many bytes of a header were read and not told.
    pub part_len: u32,
    /// Those bytes. There is room for as many as any load may write, see [`follow`].
    pub buf: [u8; 16],
}

/// Size of a [`Mark`].
pub const MARK_LEN: usize = core::mem::size_of::<Mark>();

/// Takes a packet for which [`crate::flow::update`] said [`why::RECORDS`]. Changes `out` to what is to be done
/// with it: the headers alone with the marks, or, and then the direction is no longer followed, all of it.
///
/// `load(from, to, n)` copies `n` bytes (1 to 5) of the payload, from its byte `from` on.
///
/// # Safety
/// As for [`crate::flow::update`]; `m` is valid and the caller's alone.
#[inline(always)]
pub unsafe fn follow(
    flow: *mut FlowState,
    p: &Packet,
    out: *mut Outcome,
    m: *mut Marks,
    mut load: impl FnMut(u32, *mut u8, u32) -> bool,
) {
    // SAFETY: the contract above; indices are masked or compared.
    unsafe {
        let f = if p.dir == 0 {
            &raw mut (*flow).follow[0]
        } else {
            &raw mut (*flow).follow[1]
        };
        (*m).n = 0;
        (*m).part_len = 0;
        if (*f).state & Follow::DATAGRAMS != 0 {
            if !datagram(p, m, load) {
                (*m).n = 0;
                (*out).why = ((*out).why & !(why::RECORDS | why::SHED)) | why::PAYLOAD;
            }
            return;
        }
        let mut have = (*f).state & 7;
        let part = (&raw const (*f).part).cast::<u32>().read();
        let buf = (&raw mut (*m).buf).cast::<u8>();
        buf.cast::<u32>().write(part);
        let mut at = (*f).at.wrapping_sub(p.seq);
        let mut ok = p.cut == 0 && (*out).why & (why::OUT_OF_ORDER | why::HOLE) == 0 && at <= p.payload_len;
        let mut n = 0;
        while at < p.payload_len && ok {
            let (want, there) = (HEADER - have, p.payload_len - at);
            let some = if there < want { there } else { want };
            ok = n < MAX_MARKS as u32 && load(at, buf.add((have & 7) as usize), some);
            at += some;
            have += some;
            if !ok || have < HEADER {
                break;
            }
            let header = [*buf, *buf.add(1), *buf.add(2), *buf.add(3), *buf.add(4)];
            let length = (header[3] as u32) << 8 | header[4] as u32;
            let known = header[0] >= 20 && header[0] <= 26 && header[1] == 3 && header[2] <= 3;
            ok = known && length <= MAX_LENGTH && at <= u16::MAX as u32;
            (*m).marks[(n & (MAX_MARKS as u32 - 1)) as usize] = Mark {
                end: at as u16,
                header,
                pad: 0,
            };
            n += 1;
            have = 0;
            at += length;
        }
        if ok {
            (*m).n = n;
            (*f).at = p.seq.wrapping_add(at);
            (*f).part = [*buf, *buf.add(1), *buf.add(2), *buf.add(3)];
            (*f).state = Follow::ON | have;
        } else {
            give_up(flow, p, out, m);
        }
    }
}

/// Reads the records of a datagram. False: it is to be seen as it is.
///
/// # Safety
/// As for [`follow`].
#[inline(always)]
unsafe fn datagram(p: &Packet, m: *mut Marks, mut load: impl FnMut(u32, *mut u8, u32) -> bool) -> bool {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        let buf = (&raw mut (*m).buf).cast::<u8>();
        let mut at = 0;
        if p.cut != 0 || p.payload_len > u16::MAX as u32 {
            return false;
        }
        for n in 0..MAX_MARKS {
            // Up to the epoch; then the length.
            if at + DTLS_HEADER > p.payload_len || !load(at, buf, 5) || !load(at + 11, buf.add(5), 2) {
                return false;
            }
            let length = (*buf.add(5) as u32) << 8 | *buf.add(6) as u32;
            let version = *buf.add(1) == 0xfe && (*buf.add(2) == 0xff || *buf.add(2) == 0xfd);
            let in_clear = *buf.add(3) == 0 && *buf.add(4) == 0;
            if *buf < 20 || *buf > 26 || !version || in_clear || length > MAX_LENGTH {
                return false;
            }
            at += DTLS_HEADER;
            (*m).marks[n] = Mark {
                end: at as u16,
                header: [*buf, *buf.add(1), *buf.add(2), *buf.add(5), *buf.add(6)],
                pad: 0,
            };
            (*m).n = n as u32 + 1;
            at += length;
            if at == p.payload_len {
                return true;
            }
        }
        false
    }
}

/// Userspace's order to follow a direction of DTLS.
///
/// # Safety
/// As for [`crate::flow::update`].
#[inline(always)]
pub unsafe fn order_datagrams(flow: *mut FlowState, dir: u8) {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        if (*flow).shed & COUNT_ONLY != 0 {
            return;
        }
        let (f, bit) = if dir == 0 {
            (&raw mut (*flow).follow[0], 1)
        } else {
            (&raw mut (*flow).follow[1], 2)
        };
        // Datagrams have no sequence numbers, which is the number 0.
        *f = Follow {
            state: Follow::DATAGRAMS,
            ..Follow::from(0)
        };
        and32(&raw mut (*flow).shed, !skip::bits(bit));
        or32(&raw mut (*flow).shed, bit);
    }
}

/// Userspace's order to follow a direction from the header that begins at `at`. False, and nothing is changed, when
/// the direction has gone past it already, or is counted alone.
///
/// # Safety
/// As for [`crate::flow::update`].
#[inline(always)]
pub unsafe fn order(flow: *mut FlowState, dir: u8, at: u32) -> bool {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        let (d, f, bit) = if dir == 0 {
            (&raw const (*flow).dir[0], &raw mut (*flow).follow[0], 1)
        } else {
            (&raw const (*flow).dir[1], &raw mut (*flow).follow[1], 2)
        };
        // A packet that goes past it at this very moment finds that out, and gives up.
        if (*flow).shed & COUNT_ONLY == 0 && at.wrapping_sub((*d).next as u32) as i32 >= 0 {
            and32(&raw mut (*flow).shed, !skip::bits(bit));
            *f = Follow::from(at);
            // A CPU that sees the bit and not yet the place takes a packet or two for shed and not followed. If the place
            // was in them, the next one is beyond it, and following is given up: nothing is lost unsaid.
            or32_after(&raw mut (*flow).shed, bit);
            true
        } else {
            false
        }
    }
}

/// Userspace's order to keep a direction's payload and not to follow it.
///
/// # Safety
/// As for [`crate::flow::update`].
#[inline(always)]
pub unsafe fn shed(flow: *mut FlowState, dirs: u32) {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        if dirs & 1 != 0 {
            (*flow).follow[0].state = 0;
        }
        if dirs & 2 != 0 {
            (*flow).follow[1].state = 0;
        }
        and32(&raw mut (*flow).shed, !skip::bits(dirs & 3));
        or32(&raw mut (*flow).shed, dirs & 3);
    }
}

/// Userspace's order to forward a direction's payload again, unless the flow is counted alone.
///
/// # Safety
/// As for [`crate::flow::update`].
#[inline(always)]
pub unsafe fn unshed(flow: *mut FlowState, dirs: u32) {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        if (*flow).shed & COUNT_ONLY == 0 {
            and32(&raw mut (*flow).shed, !(dirs | skip::bits(dirs)));
        }
    }
}

/// Ends following: this packet and those after it are forwarded in full.
///
/// # Safety
/// As for [`follow`].
#[inline(always)]
unsafe fn give_up(flow: *mut FlowState, p: &Packet, out: *mut Outcome, m: *mut Marks) {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        let f = if p.dir == 0 {
            &raw mut (*flow).follow[0]
        } else {
            &raw mut (*flow).follow[1]
        };
        // What was read of a header is in no packet that userspace has seen.
        (*m).part_len = (*f).state & 7;
        let part = (&raw const (*f).part).cast::<u32>().read();
        (&raw mut (*m).buf).cast::<u32>().write(part);
        (*f).state = 0;
        and32(&raw mut (*flow).shed, if p.dir == 0 { !1 } else { !2 });
        (*out).why = ((*out).why & !(why::RECORDS | why::SHED)) | why::PAYLOAD | why::UNSHED;
    }
}
