//! Packets that came twice: a sensor that gets the same traffic from several taps or mirror ports has twice the counts, and
//! retransmissions that never were. What comes up is looked at, and that is enough to notice.

use sensor_common::key::{IPPROTO_TCP, IPPROTO_UDP};
use sensor_common::packet::tcp_flags as tf;

use super::segment::Segment;
use super::shared::Run;
use super::sink::Sink;
use crate::base::bytes::be16;
use crate::packet::duplicate::Recent;

/// How soon a packet must come again to be no retransmission, ns: nothing is sent again so soon.
const WINDOW: u64 = 1_000_000;
/// Log2 of the packets that are remembered, 16 bytes each.
const BITS: u32 = 10;

/// Packets that came up in the last moments.
pub fn recent() -> Recent {
    Recent::new(BITS, WINDOW)
}

impl<S: Sink> Run<'_, S> {
    /// Counts a packet that is there for a second time. Its headers are looked at: payload may not be at hand. Where IP has no
    /// id, as in IPv6, segments may look alike, but no host sends two SYNs or FINs in a moment.
    pub(super) fn note_twice(&mut self, seg: &Segment<'_>) {
        let p = &seg.rec.pkt;
        let Some(headers) = seg.frame.get(p.l3 as usize..p.data as usize) else {
            return;
        };
        let has_id = headers.first().is_some_and(|b| b >> 4 == 4) && be16(headers, 4) != Some(0);
        let is_told = match p.key.proto {
            IPPROTO_TCP => seg.flags & (tf::SYN | tf::FIN) != 0 || has_id && seg.len > 0,
            IPPROTO_UDP => has_id,
            _ => false,
        };
        if !is_told {
            return;
        }
        self.sh.sight.looked += 1;
        let again = self.core.sh.recent.is_again(headers, self.core.ts);
        self.sh.sight.twice += u64::from(again);
    }
}
