//! Records that overtook others of their flow on the way from the kernel.
//!
//! Two packets of a flow may be at work on two CPUs at once: those of its two directions, or of one whose sender changes
//! its CPU. The second may then see the first counted already and be the sooner with its record. By that record the first
//! packet's payload came and was not forwarded, so it would be passed over, and nothing would say so. But its record is
//! about to come: so the other one waits for some records, or until there are none.

use std::collections::VecDeque;

use sensor_common::RecordHeader;

use super::engine::Engine;
use super::sink::Sink;
use super::stream::IsEarly;
use crate::datapath::FlowTable;
use crate::datapath::soft::InnerPacket;

/// Most records of a flow that wait.
const MOST: usize = 8;
/// Most records of other flows that are taken meanwhile.
const PATIENCE: u32 = 64;

/// Records of one flow that wait for one that was first.
#[derive(Debug, Default)]
pub struct Early {
    /// By the packets' times.
    waiting: VecDeque<(RecordHeader, Vec<u8>)>,
    /// Records taken since the first of them came.
    age: u32,
}

impl Early {
    /// Whether records wait.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives a record to the engine, as [`Engine::record`], or lets it wait.
    #[inline]
    pub fn take<S: Sink>(
        &mut self,
        engine: &mut Engine<S>,
        rec: &RecordHeader,
        frame: &[u8],
        flows: &mut impl FlowTable,
    ) -> Option<InnerPacket> {
        if self.waiting.is_empty() {
            return match engine.record_unless_early(rec, frame, flows) {
                Ok(inner) => inner,
                Err(_) => {
                    self.age = 0;
                    self.wait(rec, frame);
                    None
                }
            };
        }
        self.take_beside(engine, rec, frame, flows)
    }

    #[cold]
    fn take_beside<S: Sink>(
        &mut self,
        engine: &mut Engine<S>,
        rec: &RecordHeader,
        frame: &[u8],
        flows: &mut impl FlowTable,
    ) -> Option<InnerPacket> {
        self.age += 1;
        let same = self
            .waiting
            .front()
            .is_some_and(|(h, _)| h.pkt.key == rec.pkt.key);
        if !same {
            let inner = engine.record(rec, frame, flows);
            if self.age >= PATIENCE {
                self.settle(engine, flows);
            }
            return inner;
        }
        self.wait(rec, frame);
        self.go_on(engine, flows);
        if self.waiting.len() > MOST || self.age >= PATIENCE {
            self.settle(engine, flows);
        }
        None
    }

    /// Nothing else comes: those that wait are taken as they are.
    pub fn settle<S: Sink>(&mut self, engine: &mut Engine<S>, flows: &mut impl FlowTable) {
        for (rec, frame) in self.waiting.drain(..) {
            engine.record(&rec, &frame, flows);
        }
    }

    /// Takes those that need not wait any more.
    fn go_on<S: Sink>(&mut self, engine: &mut Engine<S>, flows: &mut impl FlowTable) {
        while let Some(n) = (0..self.waiting.len()).find(|n| self.is_taken(*n, engine, flows)) {
            self.waiting.remove(n);
        }
    }

    /// Gives the engine the `n`th of those that wait, if it misses nothing but what others have that wait. Two packets may
    /// each have found the other one counted; then the earlier of them is taken as if it had come first.
    fn is_taken<S: Sink>(&self, n: usize, engine: &mut Engine<S>, flows: &mut impl FlowTable) -> bool {
        let Some((rec, frame)) = self.waiting.get(n) else {
            return false;
        };
        let Err(IsEarly { missing }) = engine.record_unless_early(rec, frame, flows) else {
            return true;
        };
        let mut rec = *rec;
        for (dir, bytes) in missing.into_iter().enumerate().filter(|(_, bytes)| *bytes > 0) {
            let from = rec.totals[dir].next.wrapping_sub(bytes);
            let has_it = |w: &RecordHeader| usize::from(w.pkt.dir) == dir && w.prev_next == from;
            if usize::from(rec.pkt.dir) == dir || !self.waiting.iter().any(|(w, _)| has_it(w)) {
                return false;
            }
            rec.totals[dir].next = from;
        }
        engine.record(&rec, frame, flows);
        true
    }

    fn wait(&mut self, rec: &RecordHeader, frame: &[u8]) {
        let at = self.waiting.partition_point(|(w, _)| w.pkt.ts <= rec.pkt.ts);
        self.waiting.insert(at, (*rec, frame.to_vec()));
    }
}
