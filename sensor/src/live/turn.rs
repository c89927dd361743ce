//! What a worker has at hand while it takes records: its ring, the flow table, the way back into the kernel, its engine.

use sensor_common::RecordHeader;
use sensor_common::record::KIND_PACKET;

use super::shifted;
use crate::conn::{Engine, Sink};
use crate::datapath::FlowTable;
use crate::datapath::soft::InnerPacket;
use crate::datapath::xdp::{self, Injector, Ring};

/// A worker's connections to the kernel and to its engine.
pub struct Turn<'w, T, S> {
    /// Where records come from.
    pub ring: &'w mut Ring,
    /// The flow table behind them.
    pub table: &'w mut T,
    /// Hands packets found in userspace to the kernel's program.
    pub injector: &'w mut Injector,
    /// Where records go.
    pub engine: &'w mut Engine<S>,
    /// Added to the kernel's times, ns.
    pub shift: i64,
    /// Nothing but this worker causes records (offline). It waits for the record of each packet that it injects, so that all
    /// happens in the order of the soft datapath.
    pub alone: bool,
}

impl<T: FlowTable, S: Sink> Turn<'_, T, S> {
    /// Takes the records that are in the ring after a packet in `frame` was injected.
    pub fn answer(&mut self, frame: &[u8]) -> Option<InnerPacket> {
        let mut inner = None;
        while let Some((h, bytes)) = self.ring.next() {
            let mut h = shifted::record(h, self.shift);
            if h.kind == KIND_PACKET {
                let whole = whole(&mut h, bytes, frame);
                let bytes = whole.as_deref().unwrap_or(bytes);
                inner = self.engine.record(&h, bytes, self.table).or(inner);
            }
        }
        // The soft datapath's frame does not begin with the packet's fields.
        if let Some(i) = &mut inner {
            i.at = i.at.saturating_sub(xdp::PACKET_LEN);
            i.end = i.end.saturating_sub(xdp::PACKET_LEN);
        }
        inner
    }
}

/// The bytes of `frame` for a record that had no room for them: segmentation offload makes packets longer than any record.
fn whole(h: &mut RecordHeader, bytes: &[u8], frame: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < xdp::MAX_CAP as usize {
        return None;
    }
    let end = h.pkt.l3 as usize + h.pkt.ip_len as usize;
    let end = end.saturating_sub(xdp::PACKET_LEN).min(frame.len());
    let head = bytes.get(..xdp::PACKET_LEN)?;
    let whole = [head, frame.get(..end)?].concat();
    h.cap_len = whole.len() as u32;
    Some(whole)
}
