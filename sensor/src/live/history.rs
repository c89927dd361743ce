//! Packets of the last moments, in memory of a fixed size: the newest take the place of the oldest.

use std::collections::VecDeque;

use sensor_common::{FlowKey, RecordHeader, flow::why};

use crate::event::Ts;
use crate::packet::link::ethertype;

/// Bytes of an Ethernet header, and most that VLAN tags add to it.
const ETHERNET: usize = 14;
const TAGS: usize = 8;

/// A packet that is kept, but for its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its flow.
    pub key: FlowKey,
    /// When the flow began, by the engine's clock.
    pub start: Ts,
    /// When it was seen, by the same.
    pub ts: Ts,
    /// Bytes on the wire, of the frame or of the packet, as `is_frame` says.
    pub wire_len: u32,
    /// Bytes that are kept.
    pub len: u32,
    /// They begin with an Ethernet header, and not with the IP header.
    pub is_frame: bool,
    /// Where they are.
    at: usize,
}

/// The packets.
#[derive(Debug, Default)]
pub struct History {
    packets: VecDeque<Kept>,
    bytes: Box<[u8]>,
    /// Where the next one's bytes begin.
    next: usize,
    /// Bytes that are taken.
    used: usize,
    /// How many there were before the first one that is kept.
    gone: u64,
}

impl History {
    /// Of so many bytes, half of which are for what is known of the packets beside their bytes.
    pub fn new(bytes: usize) -> History {
        let most = bytes / 2 / size_of::<Kept>();
        History {
            packets: VecDeque::with_capacity(most),
            // Untouched memory is none.
            bytes: vec![0; bytes / 2].into(),
            ..History::default()
        }
    }

    /// Keeps a record's packet; `frame` is what came with it. False: there is no packet in it, or it is larger than all there is.
    pub fn keep(&mut self, rec: &RecordHeader, frame: &[u8]) -> bool {
        let Some((bytes, is_frame)) = packet_of(rec, frame) else {
            return false;
        };
        let most = self.bytes.len() / size_of::<Kept>();
        if bytes.len() > self.bytes.len() || most == 0 {
            return false;
        }
        while self.packets.len() >= most || self.used + bytes.len() > self.bytes.len() {
            let Some(oldest) = self.packets.pop_front() else {
                break;
            };
            self.used -= oldest.len as usize;
            self.gone += 1;
        }
        let missing = rec.missing(frame);
        self.packets.push_back(Kept {
            key: rec.pkt.key,
            start: rec.flow_start,
            ts: rec.pkt.ts,
            wire_len: bytes.len() as u32 + missing,
            len: bytes.len() as u32,
            is_frame,
            at: self.next,
        });
        let (first, second) = bytes.split_at(bytes.len().min(self.bytes.len() - self.next));
        self.bytes[self.next..][..first.len()].copy_from_slice(first);
        self.bytes[..second.len()].copy_from_slice(second);
        self.next = (self.next + bytes.len()) % self.bytes.len();
        self.used += bytes.len();
        true
    }

    /// The number of the oldest that is kept, and that which the next one will have.
    pub fn span(&self) -> (u64, u64) {
        (self.gone, self.gone + self.packets.len() as u64)
    }

    /// A packet by its number.
    pub fn get(&self, n: u64) -> Option<&Kept> {
        let i = n.checked_sub(self.gone)?;
        self.packets.get(usize::try_from(i).ok()?)
    }

    /// Adds a packet's bytes.
    pub fn copy(&self, packet: &Kept, to: &mut Vec<u8>) {
        let len = packet.len as usize;
        let first = len.min(self.bytes.len() - packet.at);
        to.extend_from_slice(&self.bytes[packet.at..][..first]);
        to.extend_from_slice(&self.bytes[..len - first]);
    }
}

/// The packet that came with a record: with its Ethernet header where that is its own, else from its IP header on, as out of a
/// tunnel, or where it was put together from fragments.
fn packet_of<'f>(rec: &RecordHeader, frame: &'f [u8]) -> Option<(&'f [u8], bool)> {
    if rec.marks > 0 {
        return None;
    }
    let l3 = rec.pkt.l3 as usize;
    let ip = frame.get(l3..).filter(|ip| !ip.is_empty())?;
    let is_inside = rec.pkt.tunnel != 0 || rec.why & why::INSIDE != 0;
    let is_ethernet = (ETHERNET..=ETHERNET + TAGS).contains(&l3)
        && frame.get(l3 - 2..l3) == Some(&ethertype::of(ip).to_be_bytes()[..]);
    match is_ethernet && !is_inside {
        true => Some((frame, true)),
        false => Some((ip, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(l3: u16, ip_len: u32, port: u16, ts: Ts) -> RecordHeader {
        let mut rec = RecordHeader::default();
        (rec.pkt.key, _) = FlowKey::new(&[1; 16], &[2; 16], port, 80, 6, false);
        (rec.pkt.l3, rec.pkt.ip_len, rec.pkt.ts) = (l3, ip_len, ts);
        rec
    }

    #[test]
    fn frames_keep_their_ethernet_headers_and_packets_out_of_others_have_none() {
        let mut frame = [0_u8; 60];
        (frame[12], frame[13], frame[14]) = (0x08, 0, 0x45);
        let mut rec = record(14, 100, 1, 0);
        assert_eq!(packet_of(&rec, &frame), Some((&frame[..], true)));
        rec.pkt.tunnel = 1;
        assert_eq!(packet_of(&rec, &frame), Some((&frame[14..], false)));
        let rec = record(0, 100, 1, 0);
        assert_eq!(packet_of(&rec, &frame[14..]), Some((&frame[14..], false)));
        assert_eq!(packet_of(&record(60, 0, 1, 0), &frame), None);
        let mut history = History::new(4096);
        assert!(history.keep(&record(14, 100, 1, 0), &frame));
        let kept = *history.get(0).expect("kept");
        assert_eq!(
            (kept.wire_len, kept.len),
            (114, 60),
            "54 bytes of it did not come"
        );
    }

    proptest! {
        /// What is kept is the newest, whole, in order, and no more than there is room for.
        #[test]
        fn the_newest_are_kept_whole(lens in proptest::collection::vec(1_usize..300, 1..200)) {
            let mut history = History::new(8192);
            for (n, len) in lens.iter().enumerate() {
                let bytes = vec![n as u8; *len];
                prop_assert!(history.keep(&record(0, *len as u32, n as u16, n as u64), &bytes));
            }
            let (from, to) = history.span();
            prop_assert_eq!(to, lens.len() as u64);
            prop_assert!(from < to);
            let kept: usize = (from..to).map(|n| lens[n as usize]).sum();
            prop_assert_eq!(kept, history.used);
            prop_assert!(kept <= 4096);
            for n in from..to {
                let mut bytes = Vec::new();
                let packet = *history.get(n).expect("kept");
                history.copy(&packet, &mut bytes);
                prop_assert_eq!(packet.ts, n);
                prop_assert_eq!(bytes, vec![n as u8; lens[n as usize]]);
            }
            prop_assert!(history.get(from.wrapping_sub(1)).is_none() && history.get(to).is_none());
        }
    }
}
