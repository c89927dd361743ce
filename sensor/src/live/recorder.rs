//! Packets of single connections for who asks: those that are kept of the last moments, and those to come.
//!
//! A worker whose packets nobody keeps or asks for has a recorder that does nothing. Who asks is told through a queue; when
//! it is full the worker goes on, and what is overwritten meanwhile is counted.

use sensor_common::{FlowKey, RecordHeader};
use tokio::sync::mpsc::error::TrySendError;

use super::history::History;
use super::orders::{Ask, Chunk, Told};
use crate::conn::{Engine, Sink, flow_uid};
use crate::event::{Ts, Uid};

/// Bytes of packets that are kept while somebody asks, where none are otherwise.
const WHILE_ASKED: usize = 8 << 20;
/// Packets that are looked at in a turn, and connections.
const PER_TURN: u64 = 8192;
/// Bytes of packets that are told at a time.
const CHUNK: usize = 64 << 10;
/// Most who ask at a time; one more is told nothing.
const MOST: usize = 16;

/// A flow, from some time on.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    key: FlowKey,
    start: Ts,
    from: Ts,
}

impl Wanted {
    fn is(&self, key: &FlowKey, start: Ts, ts: Ts) -> bool {
        self.key == *key && self.start == start && ts >= self.from
    }
}

/// How far an answer is.
enum Stage {
    /// The connection is looked for among the open ones, from this place on.
    Open(u32),
    /// It is looked for among the packets that are kept, from this one on.
    Kept(u64),
    /// It is known; the next packet to look at.
    Tell(Wanted, u64),
}

struct Answer {
    ask: Ask,
    stage: Stage,
    lost: u64,
    bare: u64,
}

/// A worker's recorder.
#[derive(Default)]
pub struct Recorder {
    /// Bytes of packets that are kept whether anybody asks or not.
    always: usize,
    /// None: nothing is kept.
    history: Option<History>,
    answers: Vec<Answer>,
    /// What uids are made of.
    seed: u64,
    shift: i64,
}

impl Recorder {
    /// So many bytes of packets are always kept. `seed`: the engine's; `shift`: what was added to the
    /// datapath's times.
    pub fn new(always: usize, seed: u64, shift: i64) -> Recorder {
        Recorder {
            always,
            history: (always > 0).then(|| History::new(always)),
            answers: Vec::new(),
            seed,
            shift,
        }
    }

    /// Sees a record.
    #[inline]
    pub fn see(&mut self, rec: &RecordHeader, frame: &[u8]) {
        if self.history.is_some() {
            self.keep(rec, frame);
        }
    }

    fn keep(&mut self, rec: &RecordHeader, frame: &[u8]) {
        let (key, start, ts) = (&rec.pkt.key, rec.flow_start, rec.pkt.ts);
        let wanted = |a: &&mut Answer| matches!(&a.stage, Stage::Tell(w, _) if w.is(key, start, ts));
        let mut asked = self.answers.iter_mut().filter(wanted).peekable();
        if self.always == 0 && asked.peek().is_none() {
            return;
        }
        let Some(history) = &mut self.history else { return };
        if !history.keep(rec, frame) {
            asked.for_each(|a| a.bare += 1);
        }
    }

    /// Once a turn: goes on with answers.
    #[inline]
    pub fn turn<S: Sink>(&mut self, engine: &Engine<S>) {
        if !self.answers.is_empty() {
            self.answer(engine);
        }
    }

    /// Somebody asks.
    pub fn begin(&mut self, ask: Ask) {
        if self.answers.len() < MOST {
            self.answers.push(Answer {
                ask,
                stage: Stage::Open(0),
                lost: 0,
                bare: 0,
            });
        }
    }

    #[cold]
    fn answer<S: Sink>(&mut self, engine: &Engine<S>) {
        let (seed, shift) = (self.seed, self.shift);
        let first = |key: &FlowKey, start: Ts| flow_uid(seed, start.wrapping_sub(shift as u64), key, None);
        let none = History::default();
        let history = self.history.as_ref().unwrap_or(&none);
        self.answers.retain_mut(|a| a.go_on(engine, history, &first));
        if self.always > 0 {
            return;
        }
        match self.answers.is_empty() {
            true => self.history = None,
            false if self.history.is_none() => self.history = Some(History::new(WHILE_ASKED)),
            false => {}
        }
    }
}

impl Answer {
    /// Goes on for a turn. False: it is over.
    fn go_on<S: Sink>(
        &mut self,
        engine: &Engine<S>,
        history: &History,
        first: &impl Fn(&FlowKey, Ts) -> Uid,
    ) -> bool {
        match self.stage {
            Stage::Open(at) => {
                let (oldest, _) = history.span();
                let found = engine.open_among(self.ask.uid, at..at + PER_TURN as u32);
                self.stage = match found {
                    Ok(Some(c)) => {
                        let wanted = Wanted {
                            key: c.key,
                            start: c.flow_start,
                            from: c.start,
                        };
                        self.known(wanted, oldest)
                    }
                    Ok(None) => Stage::Kept(oldest),
                    Err(next) => Stage::Open(next),
                };
                true
            }
            Stage::Kept(at) => {
                let (oldest, end) = history.span();
                let from = at.max(oldest);
                let to = end.min(from + PER_TURN);
                let mut all = (from..to).filter_map(|n| Some((n, history.get(n)?)));
                let found = all.find(|(_, k)| first(&k.key, k.start) == self.ask.uid);
                self.stage = match found {
                    Some((n, k)) => {
                        let (key, start) = (k.key, k.start);
                        self.known(Wanted { key, start, from: 0 }, n)
                    }
                    None if to == end => return false,
                    None => Stage::Kept(to),
                };
                true
            }
            Stage::Tell(wanted, at) => {
                let (oldest, end) = history.span();
                self.lost += oldest.saturating_sub(at);
                self.tell(wanted, at.max(oldest), end, engine, history)
            }
        }
    }

    fn known(&self, wanted: Wanted, first: u64) -> Stage {
        // The queue has room for the first thing that is told.
        let _ = self.ask.to.try_send(Told::Known);
        Stage::Tell(wanted, first)
    }

    fn tell<S: Sink>(
        &mut self,
        wanted: Wanted,
        from: u64,
        end: u64,
        engine: &Engine<S>,
        history: &History,
    ) -> bool {
        let permit = match self.ask.to.try_reserve() {
            Ok(permit) => permit,
            // Who asks takes its time.
            Err(TrySendError::Full(())) => return true,
            Err(TrySendError::Closed(())) => return false,
        };
        let mut chunk = Chunk::default();
        let mut at = from;
        while at < end.min(from + PER_TURN) && chunk.bytes.len() < CHUNK {
            if let Some(k) = history.get(at)
                && wanted.is(&k.key, k.start, k.ts)
            {
                history.copy(k, &mut chunk.bytes);
                chunk.packets.push((k.ts, k.wire_len, k.len, k.is_frame));
            }
            at += 1;
        }
        let is_over = at == end && (self.ask.past || !engine.is_open(&wanted.key, self.ask.uid));
        self.stage = Stage::Tell(wanted, at);
        if !chunk.packets.is_empty() {
            permit.send(Told::Packets(chunk));
            return true;
        }
        if is_over {
            let (lost, bare) = (self.lost, self.bare);
            permit.send(Told::End { lost, bare });
            return false;
        }
        true
    }
}
