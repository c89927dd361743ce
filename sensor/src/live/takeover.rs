//! A worker takes over the connections of another one: of an earlier run whose flows are still counted, or of itself when
//! it has failed.
//!
//! What is in the ring comes first, so that no flow's state is newer than records that are still to come. Then the flow
//! table is walked, some entries at a time between turns, for flows of which no record came.

use sensor_common::{FlowKey, FlowState};

use super::shifted::{self, Shifted};
use crate::conn::{Engine, Estate, Sink};
use crate::event::Ts;

/// Entries of the flow table that are looked at between two turns.
const AT_A_TIME: usize = 1024;
/// Turns after which more of them are looked at although the ring is not empty.
const PATIENCE: u32 = 16;

/// What a worker has to take over, and how far it has come.
pub struct Takeover {
    /// Flows that began before this are another one's, by the engine's clock.
    before: Ts,
    ring: u32,
    cursor: Option<u32>,
    is_walked: bool,
    turns: u32,
    /// Met, and to be taken over if no record has come of them by the next time.
    met: Vec<(FlowKey, FlowState)>,
}

impl Takeover {
    /// Has `engine` take over what began before `before`, in the flows whose records come through ring `ring`.
    pub fn begin<S: Sink>(
        before: Ts,
        ring: u32,
        left: Estate,
        engine: &mut Engine<S>,
        table: &mut Shifted,
    ) -> Takeover {
        for (key, part, state) in &left.ended {
            engine.bury(key, state, part.as_ref(), table);
        }
        engine.take_over(before, left.parts);
        Takeover {
            before,
            ring,
            cursor: None,
            is_walked: false,
            turns: 0,
            met: Vec::new(),
        }
    }

    /// A turn is over; `more`: the ring has more records. False: there is nothing more to take over.
    pub fn go_on<S: Sink>(
        &mut self,
        more: bool,
        engine: &mut Engine<S>,
        table: &mut Shifted,
    ) -> std::io::Result<bool> {
        self.turns += 1;
        if more && self.turns < PATIENCE {
            return Ok(true);
        }
        self.turns = 0;
        for (key, state) in self.met.drain(..) {
            engine.adopt(&key, &state, table);
        }
        if self.is_walked {
            return Ok(false);
        }
        let (met, by) = (&mut self.met, table.by);
        let (before, ring) = (self.before, self.ring);
        table.table.walk(&mut self.cursor, AT_A_TIME, |key, flow| {
            let flow = shifted::state(*flow, by);
            if flow.ring == ring && flow.start < before {
                met.push((*key, flow));
            }
        })?;
        self.is_walked = self.cursor.is_none();
        Ok(true)
    }
}
