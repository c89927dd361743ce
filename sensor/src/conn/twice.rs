//! Packets that came twice: a sensor that gets the same traffic from several taps or mirror ports has twice the counts, and
//! retransmissions that never were. What comes up is looked at, for a part of the time, and that is enough to notice.

use sensor_common::key::{IPPROTO_TCP, IPPROTO_UDP};
use sensor_common::packet::tcp_flags as tf;

use super::segment::Segment;
use super::shared::Run;
use super::sink::Sink;
use crate::base::bytes::be16;
use crate::base::time::Ts;
use crate::packet::duplicate::Recent;

/// How soon a packet must come again to be no retransmission, ns: nothing is sent again so soon.
const WINDOW: u64 = 1_000_000;
/// Sets of packets that are remembered, a cache line each.
const SETS: u32 = 256;

/// So many packets are compared first, whenever they come: a short capture has no more.
const FIRST: u64 = 10_000;
/// Log2 of a stretch of time, ns: 4 ms. It is longer than [`WINDOW`], so that both copies of a packet are mostly in the same one.
const STRETCH_BITS: u32 = 22;
/// Later packets are compared in one of so many stretches: to compare all took 1.5 % of the instructions of `sensor read`.
const STRETCHES: u64 = 16;

/// Packets that came up in the last moments.
pub fn recent() -> Recent {
    Recent::new(SETS, WINDOW)
}

impl<S: Sink> Run<'_, S> {
    /// Counts a packet that is there for a second time. Its headers are looked at: payload may not be at hand. Where IP has no
    /// id, as in IPv6, segments may look alike, but no host sends two SYNs or FINs in a moment.
    pub(super) fn note_twice(&mut self, seg: &Segment<'_>) {
        if !is_due(self.sh.sight.looked, self.core.ts) {
            return;
        }
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

/// Whether a packet of this time is compared, when so many were before.
fn is_due(looked: u64, ts: Ts) -> bool {
    looked < FIRST || (ts >> STRETCH_BITS).is_multiple_of(STRETCHES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_packets_are_mostly_compared_with_them() {
        assert!((0..1000).all(|ms| is_due(FIRST - 1, ms * 1_000_000)));
        let times = || (0..1_000_000).map(|us| us * 1000);
        let due = times().filter(|ts| is_due(FIRST, *ts)).count();
        let both = times().filter(|ts| is_due(FIRST, *ts) && is_due(FIRST, ts + 100_000));
        assert!((50_000..80_000).contains(&due), "{due}");
        assert!(both.count() > due / 100 * 95);
    }
}
