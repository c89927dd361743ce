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
                Err(IsEarly) => {
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
        match engine.record_unless_early(rec, frame, flows) {
            Ok(inner) => {
                self.go_on(engine, flows);
                inner
            }
            Err(IsEarly) if self.waiting.len() < MOST => {
                self.wait(rec, frame);
                None
            }
            Err(IsEarly) => {
                self.settle(engine, flows);
                engine.record(rec, frame, flows)
            }
        }
    }

    /// Nothing else comes: those that wait are taken as they are.
    pub fn settle<S: Sink>(&mut self, engine: &mut Engine<S>, flows: &mut impl FlowTable) {
        for (rec, frame) in self.waiting.drain(..) {
            engine.record(&rec, &frame, flows);
        }
    }

    /// Takes those that waited for the record that was taken last.
    fn go_on<S: Sink>(&mut self, engine: &mut Engine<S>, flows: &mut impl FlowTable) {
        while let Some((rec, frame)) = self.waiting.front() {
            if engine.record_unless_early(rec, frame, flows).is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn wait(&mut self, rec: &RecordHeader, frame: &[u8]) {
        self.waiting.push_back((*rec, frame.to_vec()));
    }
}
