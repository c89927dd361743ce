//! The fast path of userspace: records off a ring to the engine, and what the kernel did not parse to the slow path.

use sensor_common::flow::why;
use sensor_common::record::{KIND_FRAME, KIND_GONE, KIND_PACKET};

use super::recorder::Recorder;
use super::shifted;
use super::slow::SlowPath;
use super::turn::Turn;
use crate::base::time::MILLISECOND;
use crate::conn::{Early, Sink};
use crate::datapath::FlowTable;
use crate::datapath::xdp;
use crate::packet::capture::Frame;
use crate::packet::link::LinkType;

/// Most records that a worker takes before it sees to its outbox and to orders that were put off.
const MAX_RECORDS_PER_TURN: u32 = 4096;
/// Most that a timer may be late, live, ns: timers that fall due within it ask the flow table in one system call.
const TIMER_GRAIN_NS: u64 = MILLISECOND;

/// Most timers that fire for each [`TIMER_GRAIN_NS`] of records' time while more records wait: a million timers that
/// fall due together must not hold up the ring, yet must all fire in the end.
const MAX_TIMERS_PER_GRAIN: u32 = 128;

/// How often an empty ring is looked at for a record that was overtaken: some 20 us, far longer than a packet is at work.
const LOOKS: u32 = 1000;

/// Takes records off a ring.
pub struct Drain {
    slow: SlowPath,
    /// A copy of the frame at work, so that the ring may go on.
    frame: Vec<u8>,
    /// Engine's time up to which timers have fired, ns.
    advanced: u64,
    early: Early,
    recorder: Recorder,
    /// Records of the last turn.
    records: u32,
}

impl Drain {
    /// `slow`: takes whole frames apart; `recorder`: sees all packets.
    pub fn new(slow: SlowPath, recorder: Recorder) -> Self {
        Drain {
            slow,
            frame: Vec::new(),
            advanced: 0,
            early: Early::default(),
            recorder,
            records: 0,
        }
    }

    /// The slow path behind it.
    pub fn slow(&mut self) -> &mut SlowPath {
        &mut self.slow
    }

    /// Who sees all packets.
    pub fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Records that the last turn took off the ring.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Takes the records off the ring, [`MAX_RECORDS_PER_TURN`] at a time, to the engine or, if they are whole frames, to the slow path.
    /// True: there are more.
    pub fn drain<T: FlowTable, S: Sink>(
        &mut self,
        turn: &mut Turn<'_, T, S>,
    ) -> Result<bool, xdp::KernelError> {
        let mut left = MAX_RECORDS_PER_TURN;
        let mut looks = LOOKS;
        while left > 0 {
            let Some((header, bytes)) = turn.ring.next() else {
                if looks == 0 || !self.early.is_waiting() {
                    break;
                }
                looks -= 1;
                std::hint::spin_loop();
                continue;
            };
            left -= 1;
            let h = shifted::record(header, turn.shift);
            let inner = match h.kind {
                KIND_PACKET => {
                    if turn.shift != 0 && h.pkt.ts >= self.advanced + TIMER_GRAIN_NS {
                        self.advanced = h.pkt.ts;
                        turn.engine
                            .advance_some(h.pkt.ts, MAX_TIMERS_PER_GRAIN, turn.table);
                        // What relieves a ring must not wait for the ring to be empty.
                        turn.table.settle();
                    }
                    self.recorder.see(&h, bytes);
                    match self.early.take(turn.engine, &h, bytes, turn.table) {
                        Some(inner) => Some(inner),
                        None => continue,
                    }
                }
                KIND_GONE => {
                    let state = shifted::state(header.last_state(), turn.shift);
                    let untold = h.why & why::UNTOLD != 0;
                    turn.engine.gone(&h.pkt.key, &state, untold, turn.table);
                    continue;
                }
                KIND_FRAME => None,
                _ => continue,
            };
            self.frame.clear();
            self.frame.extend_from_slice(bytes);
            let bytes = std::mem::take(&mut self.frame);
            let done = match inner {
                Some(inner) => self.slow.inner(&h, inner, &bytes, turn),
                None => {
                    let f = Frame {
                        ts: h.pkt.ts,
                        link: LinkType::ETHERNET,
                        data: &bytes,
                        wire_len: h.wire_len,
                        iface: 0,
                    };
                    self.slow.frame(&f, turn)
                }
            };
            self.frame = bytes;
            done?;
        }
        self.early.settle(turn.engine, turn.table);
        self.records = MAX_RECORDS_PER_TURN - left;
        Ok(left == 0)
    }
}
