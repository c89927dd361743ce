//! What one engine hands on to another that takes its place.

use std::collections::HashMap;

use sensor_common::{DirState, FlowKey, FlowState};

use super::entry::Conn;
use crate::datapath::Part;
use crate::event::Ts;

/// A connection and what its flow's state does not say of it.
pub(super) type KeyedPart = (FlowKey, Part);

pub(super) fn part_of(conn: &Conn) -> KeyedPart {
    let part = Part {
        flow_start: conn.flow_start(),
        uid_hi: conn.uid_hi,
        start: conn.start,
        orig: conn.orig_dir,
        base: conn.extra.as_ref().map_or_else(FlowState::default, |e| e.base),
    };
    (conn.key, part)
}

/// What an engine leaves that has failed.
#[derive(Default)]
pub struct Estate {
    /// Connections that are not their flows' first.
    pub parts: HashMap<FlowKey, Part>,
    /// Connections whose flows are out of the table, and whose rows were not written, with their flows' last states.
    pub ended: Vec<(FlowKey, Option<Part>, FlowState)>,
}

/// What an engine that takes over connections knows.
#[derive(Default)]
pub(super) struct Adoption {
    /// Flows that began before this were another engine's.
    pub before: Ts,
    pub parts: HashMap<FlowKey, Part>,
    /// Connections that were taken over.
    pub n: u64,
}

/// The state of a connection in a flow where others were, or are, as if it had been alone: as `bury` takes it.
pub(super) fn own_state(conn: &Conn, flow: &FlowState) -> FlowState {
    let mut own = *flow;
    if let Some(e) = &conn.extra {
        subtract(&mut own, &e.base);
    }
    // Who began it is the one whose first packet came first.
    for (dir, d) in own.dir.iter_mut().enumerate() {
        d.first = conn.start + u64::from(dir != usize::from(conn.orig_dir));
    }
    own
}

/// Takes off what came before.
pub(super) fn subtract(state: &mut FlowState, base: &FlowState) {
    for (d, b) in state.dir.iter_mut().zip(&base.dir) {
        d.pkts -= b.pkts.min(d.pkts);
        d.bytes -= b.bytes.min(d.bytes);
        d.payload -= b.payload.min(d.payload);
    }
}

/// The direction whose first packet came first.
pub fn originator(state: &FlowState) -> usize {
    let first = |d: &DirState| if d.pkts == 0 { u64::MAX } else { d.first };
    usize::from(first(&state.dir[1]) < first(&state.dir[0]))
}
