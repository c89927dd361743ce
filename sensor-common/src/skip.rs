//! Skipping a stretch of a direction: its payload is kept up to a place that userspace names, and forwarded again from
//! the packet on that reaches beyond it, all of that packet included.
//!
//! Userspace knows from what it reads how far the stretch goes (a message's body, a large frame). A packet belongs to
//! it by its sequence numbers alone, so it makes no difference in which order the packets come, and no byte beyond the
//! place is ever kept. The place stands where following has its own ([`crate::follow`]), as no direction is in both;
//! that it counts is a bit beside the one that sheds the direction, so other flows pay nothing.
#![allow(unsafe_code, reason = "the BPF program has its flow state by pointer")]

use crate::atomic::{and32, or32_after};
use crate::flow::{COUNT_ONLY, FlowState};
use crate::follow::Follow;
use crate::packet::{Packet, tcp_flags as tf};

/// Longest stretch of one order, bytes: what comes late is then told from what is ahead in 32 bits.
pub const MAX_STRETCH: u64 = 1 << 30;

/// The bits of [`FlowState::shed`] that say of these directions that they are shed up to a place.
pub const fn bits(dirs: u32) -> u32 {
    dirs << 2
}

/// Whether a packet has bytes beyond a stretch that ends before sequence number `end`. A RST's are no part of the
/// stream, and a SYN begins another one.
#[inline(always)]
pub fn is_beyond(end: u32, p: &Packet) -> bool {
    let after = p.seq.wrapping_add(p.payload_len);
    p.flags & (tf::SYN | tf::RST) == 0 && after.wrapping_sub(end) as i32 > 0
}

/// Takes a packet of a direction that is shed. True: it ends the stretch that was to be skipped, and is to be forwarded
/// as those after it.
///
/// # Safety
/// As for [`crate::flow::update`].
#[inline(always)]
pub unsafe fn ends(flow: *mut FlowState, p: &Packet) -> bool {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        let (f, bit) = if p.dir == 0 {
            (&raw const (*flow).follow[0], 1)
        } else {
            (&raw const (*flow).follow[1], 2)
        };
        let over = (*flow).shed & bits(bit) != 0 && is_beyond((*f).at, p);
        if over {
            and32(&raw mut (*flow).shed, !(bit | bits(bit)));
        }
        over
    }
}

/// Userspace's order to keep a direction's payload before sequence number `end`, at most [`MAX_STRETCH`] from where it
/// stands. False, and nothing is changed, when the direction has come that far already, or is counted alone.
///
/// # Safety
/// As for [`crate::flow::update`].
#[inline(always)]
pub unsafe fn order(flow: *mut FlowState, dir: u8, end: u32) -> bool {
    // SAFETY: the contract above, which the caller keeps.
    unsafe {
        let (d, f, bit) = if dir == 0 {
            (&raw const (*flow).dir[0], &raw mut (*flow).follow[0], 1)
        } else {
            (&raw const (*flow).dir[1], &raw mut (*flow).follow[1], 2)
        };
        // A packet that goes past it at this very moment is forwarded, and the one after it ends the stretch.
        if (*flow).shed & COUNT_ONLY == 0 && end.wrapping_sub((*d).next as u32) as i32 > 0 {
            *f = Follow {
                state: 0,
                ..Follow::from(end)
            };
            // Where loads may overtake each other (not on x86), a CPU may see the bits and not yet the place. If a packet that
            // reaches beyond it comes there at that very moment, its payload may be kept: userspace then misses it as what a
            // full ring had no room for.
            or32_after(&raw mut (*flow).shed, bit | bits(bit));
            true
        } else {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{update, why};
    use crate::follow;
    use crate::key::{FlowKey, IPPROTO_TCP};
    use crate::policy::{ALL_PACKETS, PAYLOAD, RECORDS};

    /// Where the stretch begins; its numbers wrap.
    const START: u32 = 0xffff_f000;
    const END: u32 = START.wrapping_add(100_000);

    struct Direction(FlowState);

    impl Direction {
        /// One of which `START` is the next byte, and what was said to the order to skip from there to `END`.
        fn new() -> Direction {
            let mut d = Direction(FlowState::starting(1));
            d.comes(START - 1, 1);
            assert!(d.order(END));
            d
        }

        fn order(&mut self, end: u32) -> bool {
            // SAFETY: an exclusive reference.
            unsafe { order(&mut self.0, 1, end) }
        }

        /// A segment at `seq`; why it is forwarded.
        fn comes(&mut self, seq: u32, len: u32) -> u32 {
            self.takes(seq, len, tf::ACK, PAYLOAD | RECORDS)
        }

        fn takes(&mut self, seq: u32, len: u32, flags: u8, policy: u32) -> u32 {
            let p = Packet {
                key: FlowKey {
                    proto: IPPROTO_TCP,
                    ..FlowKey::default()
                },
                payload_len: len,
                ip_len: 40 + len,
                seq,
                flags,
                window: 100,
                segs: 1,
                dir: 1,
                ..Packet::default()
            };
            // SAFETY: an exclusive reference.
            unsafe { update(&mut self.0, &p, policy).why }
        }
    }

    fn has_payload(why: u32) -> bool {
        why & why::PAYLOAD != 0
    }

    #[test]
    fn from_the_packet_that_reaches_beyond_the_stretch_on_payload_comes_up() {
        let mut d = Direction::new();
        assert!(!has_payload(d.comes(START, 60_000)));
        assert!(!has_payload(d.comes(START.wrapping_add(60_000), 39_999)));
        assert!(has_payload(d.comes(END.wrapping_sub(1), 2)));
        assert!(has_payload(d.comes(END.wrapping_add(1), 10)));
        assert_eq!(d.0.shed, 0);
    }

    #[test]
    fn a_packet_that_ends_with_the_stretch_is_of_it() {
        let mut d = Direction::new();
        let why = d.comes(START, 100_000);
        assert_eq!(why & (why::PAYLOAD | why::SHED), why::SHED);
        assert!(has_payload(d.comes(END, 1)));
    }

    #[test]
    fn what_comes_late_is_of_the_stretch_by_its_place() {
        let mut d = Direction::new();
        // Out of order: the header goes up.
        let why = d.comes(START.wrapping_add(1000), 1000);
        assert_eq!(why & (why::OUT_OF_ORDER | why::PAYLOAD), why::OUT_OF_ORDER);
        assert!(!has_payload(d.comes(START, 1000)));
        // From before the stretch.
        assert!(!has_payload(d.comes(START.wrapping_sub(5000), 5000)));
        // Something that is missing reaches beyond it.
        assert!(has_payload(d.comes(END.wrapping_add(1000), 1000)));
        assert!(has_payload(d.comes(END.wrapping_sub(1000), 2000)));
    }

    #[test]
    fn a_direction_that_has_come_as_far_is_not_skipped() {
        let mut d = Direction::new();
        d.comes(START, 100_010);
        for end in [END, END.wrapping_add(9), END.wrapping_add(10)] {
            assert!(!d.order(end));
        }
        assert_eq!(d.0.shed, 0);
        assert!(has_payload(d.comes(END.wrapping_add(10), 10)));
        assert!(d.order(END.wrapping_add(21)));
        assert!(!has_payload(d.comes(END.wrapping_add(20), 1)));
    }

    #[test]
    fn what_is_no_byte_of_the_stream_does_not_end_it() {
        let mut d = Direction::new();
        assert!(!has_payload(d.takes(END, 10, tf::RST, PAYLOAD)));
        assert_ne!(d.0.shed, 0);
        d.takes(END, 0, tf::SYN, PAYLOAD);
        assert_eq!(d.0.shed, 0, "another connection");
    }

    #[test]
    fn other_orders_take_its_place() {
        for order in ["shed", "follow", "datagrams"] {
            let mut d = Direction::new();
            // SAFETY: an exclusive reference.
            unsafe {
                match order {
                    "shed" => follow::shed(&mut d.0, 2),
                    "follow" => assert!(follow::order(&mut d.0, 1, END)),
                    _ => follow::order_datagrams(&mut d.0, 1),
                }
            }
            assert_eq!(d.0.shed, 2);
            assert!(!has_payload(d.comes(END, 10)));
        }
        let mut d = Direction::new();
        // SAFETY: an exclusive reference.
        unsafe { follow::unshed(&mut d.0, 2) };
        assert_eq!(d.0.shed, 0);
    }

    #[test]
    fn who_wants_no_payload_at_all_or_every_packet_gets_that() {
        let mut d = Direction::new();
        let why = d.takes(END, 10, tf::ACK, 0);
        assert!(!has_payload(why));
        let mut d = Direction::new();
        let why = d.takes(START, 10, tf::ACK, PAYLOAD | ALL_PACKETS);
        assert_eq!(why & (why::ALL | why::SHED), why::ALL);
        assert!(has_payload(d.takes(END, 10, tf::ACK, PAYLOAD | ALL_PACKETS)));
    }
}
