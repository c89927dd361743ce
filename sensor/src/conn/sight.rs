//! How well the engine sees: whether both sides of connections, and how much of what was acknowledged.
//!
//! Zeek (get_gap_stats) counts each acknowledgement of new bytes between two sides whose handshakes are complete, and those of
//! them that cover bytes that never came. Those that stay in the datapath cover none: it says how many there were
//! ([`crate::datapath::soft::Soft::acks`]), or they follow, about, from the flow's totals.

use sensor_common::FlowState;
use sensor_common::record::Totals;

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Acknowledgements of new bytes that came with records (Zeek: ack_events).
    pub acks: u64,
    /// About how many more the datapath kept.
    pub acks_below: u64,
    /// Of all, those of bytes that never came (Zeek: gap_events).
    pub gaps: u64,
    /// TCP connections over which data went and that have ended.
    pub data_conns: u64,
    /// Of these, those of which packets of one side only were seen.
    pub one_sided: u64,
    /// Packets that were compared with others, to find those that came twice.
    pub looked: u64,
    /// Of these, those that had come a moment before.
    pub twice: u64,
}

impl Sight {
    /// A TCP connection has ended, with these totals of its sides.
    pub fn ended(&mut self, sides: &[Totals; 2]) {
        if sides.iter().any(|s| s.payload > 0) {
            self.data_conns += 1;
            self.one_sided += u64::from(sides.iter().any(|s| s.pkts == 0));
        }
    }
}

/// Where a flow's directions stand: the datapath's totals, by flow direction.
pub type Standing = [Totals; 2];

/// A flow's standing by its state.
pub fn standing(flow: &FlowState) -> Standing {
    [Totals::of(&flow.dir[0]), Totals::of(&flow.dir[1])]
}

/// About how many acknowledgements of direction `dir` cover `bytes` of the other one's: such a part of them all as `bytes` are
/// of all bytes, where no side sends more acknowledgements than packets, nor more than there are packets to acknowledge.
pub fn acks_of(bytes: u64, at: &Standing, dir: usize) -> u64 {
    let [by, of] = [&at[dir & 1], &at[dir & 1 ^ 1]];
    let all = by.pkts.min(of.pkts);
    let part = (bytes as u128 * all as u128)
        .checked_div(of.payload.into())
        .unwrap_or(0);
    (part as u64).clamp(1, all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(pkts: u64, payload: u64) -> Totals {
        Totals {
            pkts,
            payload,
            ..Totals::default()
        }
    }

    #[test]
    fn kept_acknowledgements_follow_from_totals() {
        // A download: 500 acknowledgements of 1000 segments.
        let at = [totals(500, 100), totals(1000, 1_000_000)];
        assert_eq!(acks_of(1_000_000, &at, 0), 500);
        assert_eq!(acks_of(10_000, &at, 0), 5);
        assert_eq!(acks_of(100, &at, 1), 500, "no more than packets");
        assert_eq!(acks_of(1, &at, 0), 1);
        assert_eq!(acks_of(u64::MAX, &at, 0), 500);
        assert_eq!(acks_of(5, &[totals(0, 0); 2], 0), 1);
    }
}
