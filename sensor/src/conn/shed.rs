//! What the datapath is told of a direction's payload: to keep it, to keep it up to a place (see [`sensor_common::skip`]),
//! or to keep it and tell what the headers of its TLS records say (see [`sensor_common::follow`]); and what becomes of
//! those.

use sensor_common::skip::{self, MAX_STRETCH};
use sensor_common::{FlowState, Packet, RecordHeader};

use super::app::Followed;
use super::entry::Tcp;
use super::segment::Segment;
use super::shared::Run;
use super::sink::Sink;
use super::slab::NONE;
use crate::analyzer::api::Interest;
use crate::datapath::FlowTable;

/// Unwanted payload packets of a direction before the datapath is told to keep them. Telling is cheap, as many orders go
/// together, and each packet more is a copy.
const PATIENCE: u8 = 1;
/// Shortest stretch that the datapath is told to keep, bytes. An order takes 1.5 us, about as long as half a dozen full
/// packets, and what is left of a shorter stretch has mostly come before it.
const SHORTEST_STRETCH: u64 = 16 * 1024;

impl<S: Sink> Run<'_, S> {
    /// Tells the datapath when a direction's payload is of no more use, or its records' headers alone.
    pub fn shed_unwanted(&mut self, tcp: Option<&Tcp>, p: &Packet, flows: &mut impl FlowTable) {
        let bit = 1u8 << p.dir;
        let is_orig = self.conn.dir(p.dir as usize) == 0;
        self.end_stretch(is_orig, p);
        let shed = self.conn.shed & bit != 0;
        if shed && !self.is_followed(is_orig) {
            return;
        }
        let interest = self.interest(is_orig);
        match interest {
            Interest::Everything => return,
            Interest::Marks if shed => return,
            // Where marks are read, the analyzer is not where the stream is.
            Interest::Skip(n) if n < SHORTEST_STRETCH || self.is_followed(is_orig) => return,
            Interest::Skip(_) | Interest::Marks | Interest::Nothing => {}
        }
        self.conn.unwanted += 1;
        if !shed && self.conn.unwanted < self.patience(is_orig) {
            return;
        }
        self.conn.unwanted = 0;
        match interest {
            Interest::Marks => return self.follow(tcp, p, is_orig, flows),
            Interest::Skip(n) => return self.skip(tcp, p, is_orig, n, flows),
            Interest::Nothing | Interest::Everything => {}
        }
        self.shed(is_orig, bit, p, flows);
        if self.app_interest(!is_orig) == Interest::Nothing {
            // Nobody would be there to shed it when its stretch ends.
            if self.is_skipped(!is_orig) {
                self.shed(!is_orig, bit ^ 3, p, flows);
            }
            self.app_done();
        }
    }

    /// Has the datapath keep all of a direction's payload.
    fn shed(&mut self, is_orig: bool, bit: u8, p: &Packet, flows: &mut impl FlowTable) {
        self.conn.shed |= bit;
        self.set_followed(is_orig, |f| (f.at, f.skipped_to) = (None, None));
        flows.shed(&p.key, bit.into());
    }

    /// Has the datapath keep the next `n` bytes of a direction, as seen from where its listeners are.
    fn skip(&mut self, tcp: Option<&Tcp>, p: &Packet, is_orig: bool, n: u64, flows: &mut impl FlowTable) {
        let s = usize::from(!is_orig);
        let Some(tcp) = tcp.filter(|t| !t.reasm[s].is_over()) else {
            return;
        };
        // All but the last byte: so the packet that has it comes up, and what ends with it ends in time.
        let end = tcp.reasm[s].next() + n.min(MAX_STRETCH) - 1;
        if tcp.reasm[s].top() >= end {
            return;
        }
        // Relative numbers count from the SYN's on.
        let end = tcp.ep[s].start_seq.wrapping_add(end as u32);
        let done = flows.skip(&p.key, p.dir, end);
        self.sh.stretches += u64::from(done);
        self.set_followed(is_orig, |f| match done {
            true => (f.skipped_to, f.failures) = (Some(end), 0),
            false => f.failed(),
        });
        self.conn.shed |= u8::from(done) << p.dir;
    }

    /// Whether a stretch of either direction is skipped.
    pub fn skips(&self) -> bool {
        self.is_skipped(true) || self.is_skipped(false)
    }

    /// Tells analyzers when the last came of what the datapath kept since its last record, by the flow's state: they hear
    /// of no packet of a stretch before its end, and what they read may be over when it is silent for long.
    pub fn hear_skipped(&mut self, tcp: &Tcp, flow: &FlowState) {
        let now = self.ts;
        for (dir, state) in flow.dir.iter().enumerate() {
            let is_orig = self.conn.dir(dir) == 0;
            let moved = tcp.known_next.to(dir, state.next);
            if moved > 0 && moved <= MAX_STRETCH && self.is_skipped(is_orig) {
                self.core.ts = state.last.min(now);
                self.with_app(|app, _, call| app.tree.coming(is_orig, call));
            }
        }
        self.core.ts = now;
    }

    /// Notes that a packet ended the stretch that was skipped: by the rule of the datapath, whose own word may be lost.
    fn end_stretch(&mut self, is_orig: bool, p: &Packet) {
        let end = self.skipped_to(is_orig);
        if end.is_some_and(|end| skip::is_beyond(end, p)) {
            self.conn.shed &= !(1 << p.dir);
            self.set_followed(is_orig, |f| f.skipped_to = None);
        }
    }

    /// With a SYN the datapath forwards payload again.
    pub fn end_shedding(&mut self) {
        self.conn.shed = 0;
        for is_orig in [true, false] {
            self.set_followed(is_orig, |f| f.skipped_to = None);
        }
    }

    fn is_skipped(&self, is_orig: bool) -> bool {
        self.skipped_to(is_orig).is_some()
    }

    fn skipped_to(&self, is_orig: bool) -> Option<u32> {
        let app = self.app.as_ref()?;
        app.followed[usize::from(!is_orig)].skipped_to
    }

    /// Unwanted packets to wait for.
    fn patience(&self, is_orig: bool) -> u8 {
        let app = self.app.as_ref();
        let failures = app.map_or(0, |a| a.followed[usize::from(!is_orig)].failures);
        PATIENCE << failures
    }

    fn is_followed(&self, is_orig: bool) -> bool {
        let app = self.app.as_ref();
        app.is_some_and(|a| a.followed[usize::from(!is_orig)].at.is_some())
    }

    fn set_followed(&mut self, is_orig: bool, change: impl FnOnce(&mut Followed)) {
        if let Some(app) = self.app {
            change(&mut app.followed[usize::from(!is_orig)]);
        }
    }

    /// Asks the datapath to follow a direction, where it is clear how it goes on.
    fn follow(&mut self, tcp: Option<&Tcp>, p: &Packet, is_orig: bool, flows: &mut impl FlowTable) {
        let s = usize::from(!is_orig);
        let Run { core, app: Some(app) } = self else {
            return;
        };
        let Some(tcp) = tcp else {
            if flows.follow(&p.key, p.dir, 0) {
                app.followed[s].at = Some(0);
                core.conn.shed |= 1 << p.dir;
            }
            return;
        };
        let at = tcp.reasm[s].next();
        // Relative numbers count from the SYN's on.
        let wire = |relative: u64| tcp.ep[s].start_seq.wrapping_add(relative as u32);
        let in_order = wire(at) == p.seq.wrapping_add(p.payload_len) && tcp.reasm[s].segments() == 0;
        if let Some(header) = app.tree.to_header(is_orig).filter(|_| in_order)
            && flows.follow(&p.key, p.dir, wire(at + header))
        {
            app.followed[s].at = Some(at);
            core.conn.shed |= 1 << p.dir;
        } else {
            app.followed[s].failed();
        }
    }

    /// What the datapath read of a packet in a direction that it follows; `seq` is its payload's place, relative.
    pub fn app_marks(&mut self, is_orig: bool, seq: u64, seg: &Segment<'_>) {
        if self.is_followed(is_orig) {
            let is_tcp = self.conn.tcp != NONE;
            let seg = (seq, seg.len.into(), seg.marks);
            self.with_app(|app, _, call| app.marks(is_tcp, is_orig, seg, call));
        }
    }

    /// The datapath no longer follows a direction.
    pub fn app_unfollowed(&mut self, is_orig: bool, rec: &RecordHeader) {
        self.conn.shed &= !(1 << rec.pkt.dir);
        self.set_followed(is_orig, Followed::failed);
        let part = rec.part.get(..rec.part_len as usize).unwrap_or_default();
        if part.is_empty() || !self.is_followed(is_orig) {
            return;
        }
        self.with_app(|app, _, call| {
            if let Some(at) = &mut app.followed[usize::from(!is_orig)].at
                && app.tree.to_header(is_orig) == Some(0)
            {
                app.tree.marked_bytes(is_orig, part, call);
                *at += part.len() as u64;
            }
        });
    }

    /// Bytes that came and are not at hand.
    pub fn app_unseen(&mut self, is_orig: bool, len: u64) {
        // Of a direction that is followed, the datapath says what matters of them.
        if self.app.is_some() && !self.is_followed(is_orig) {
            self.with_app(|app, shared, call| {
                app.late = None;
                app.tree.unseen(is_orig, len, shared, call);
            });
        }
    }
}
