//! Where records come from: the kernel's program or its double in userspace; and where frames come from that the double takes
//! apart live.

#[cfg(feature = "live")]
pub mod packet;
pub mod soft;
pub mod tunnels;
#[cfg(feature = "live")]
pub mod xdp;

use std::hash::{BuildHasher, Hasher};

use sensor_common::{FlowKey, FlowState};

/// A key's hash. It is computed for every packet, so it takes the key in a few large words.
#[inline(always)]
pub fn hash_key(with: &impl BuildHasher, k: &FlowKey) -> u64 {
    let mut h = with.build_hasher();
    h.write_u128(u128::from_ne_bytes(k.a));
    h.write_u128(u128::from_ne_bytes(k.b));
    let ports = (k.a_port as u64) << 48 | (k.b_port as u64) << 32;
    h.write_u64(ports | (k.proto as u64) << 24 | k.realm.number() as u64);
    h.finish()
}

/// A connection that is not its flow's first, or not alone in it: what the flow's entry does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// [`FlowState::start`] of its flow.
    pub flow_start: u64,
    /// The upper half of its uid.
    pub uid_hi: u64,
    /// When it began, by the clock of the flow's times.
    pub start: u64,
    /// The direction that is its originator's.
    pub orig: u8,
    /// The flow's totals before it.
    pub base: FlowState,
}

/// What the engine may ask of the flow table that stands behind the records.
pub trait FlowTable {
    /// The flow's state as it stands now.
    fn get(&mut self, key: &FlowKey) -> Option<FlowState>;
    /// Ends the flow and gives its final state. A later packet of the same key makes a new entry.
    fn remove(&mut self, key: &FlowKey) -> Option<FlowState>;
    /// Stops copying the payload of these directions (bit 0: `key.a` sends, bit 1: `key.b` sends).
    fn shed(&mut self, key: &FlowKey, dirs: u32);
    /// Stops copying one direction's payload (0: `key.a` sends), but goes on forwarding the headers of its TLS records. The
    /// next header begins at sequence number `at`; false if the direction is already beyond it. Over UDP `at` is not used:
    /// each datagram begins with a record.
    fn follow(&mut self, key: &FlowKey, dir: u8, at: u32) -> bool;
    /// Stops copying one direction's payload (0: `key.a` sends; TCP) before sequence number `end`, at most
    /// [`sensor_common::skip::MAX_STRETCH`] from where it stands. What reaches beyond is copied again, whole packets. False
    /// if the direction has come that far already.
    fn skip(&mut self, key: &FlowKey, dir: u8, end: u32) -> bool;
    /// Number of flows that [`FlowTable::ask`] is best given at a time.
    fn at_once(&self) -> usize {
        1
    }
    /// Appends the states of several flows, in the order of `keys`, None for one that is unknown. `end`: ends these flows.
    fn ask(&mut self, keys: &[FlowKey], end: bool, states: &mut Vec<Option<FlowState>>) {
        for key in keys {
            states.push(if end { self.remove(key) } else { self.get(key) });
        }
    }
    /// A connection has begun in the middle of a flow.
    fn part_begins(&mut self, _key: &FlowKey, _part: &Part) {}
    /// A connection has ended in the middle of a flow; `state` is its own, and its row is about to be written.
    fn part_ends(&mut self, _key: &FlowKey, _uid_hi: u64, _state: &FlowState) {}
    /// The row of a flow that left the table by itself was written, or is about to be.
    fn told(&mut self, _key: &FlowKey, _start: u64) {}
    /// Drops the orders about a flow that were put off, because another connection begins in it.
    fn forget(&mut self, _key: &FlowKey) {}
    /// Carries out the orders that were put off to be carried out for many flows at once.
    fn settle(&mut self) {}
}
