//! What the datapath is told of a direction's payload: to keep it, or to keep it and tell what the headers of its TLS
//! records say (see [`sensor_common::follow`]); and what becomes of those.

use sensor_common::{Packet, RecordHeader};

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
impl<S: Sink> Run<'_, S> {
    /// Tells the datapath when a direction's payload is of no more use, or its records' headers alone.
    pub fn shed_unwanted(&mut self, tcp: Option<&Tcp>, p: &Packet, flows: &mut impl FlowTable) {
        let bit = 1u8 << p.dir;
        let is_orig = self.conn.dir(p.dir as usize) == 0;
        let shed = self.conn.shed & bit != 0;
        if shed && !self.is_followed(is_orig) {
            return;
        }
        let interest = self.interest(is_orig);
        if interest == Interest::Everything || shed && interest == Interest::Marks {
            return;
        }
        self.conn.unwanted += 1;
        if !shed && self.conn.unwanted < self.patience(is_orig) {
            return;
        }
        self.conn.unwanted = 0;
        if interest == Interest::Marks {
            return self.follow(tcp, p, is_orig, flows);
        }
        self.conn.shed |= bit;
        self.set_followed(is_orig, |f| f.at = None);
        flows.shed(&p.key, bit.into());
        if self.app_interest(!is_orig) == Interest::Nothing {
            self.app_done();
        }
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
        if !self.is_followed(is_orig) {
            self.app_gap(is_orig, len);
        }
    }
}
