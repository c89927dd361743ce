//! Where records come from: the kernel's program or its double in userspace.

pub mod soft;
pub mod tunnels;
pub mod xdp;

use sensor_common::{FlowKey, FlowState};

/// What the engine may ask of the flow table that stands behind the records.
pub trait FlowTable {
    /// The flow's state as it stands now.
    fn get(&mut self, key: &FlowKey) -> Option<FlowState>;
    /// Ends the flow: its final state. A later packet of the same key makes a new entry.
    fn remove(&mut self, key: &FlowKey) -> Option<FlowState>;
    /// Stops copying the payload of these directions (bit 0: `key.a` sends, bit 1: `key.b` sends).
    fn shed(&mut self, key: &FlowKey, dirs: u32);
}
