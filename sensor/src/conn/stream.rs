//! From segments to streams: reassembly within a connection, gaps, the end of a direction
//! (Zeek: TCP_Reassembler), and what happened in the datapath between two records.

use sensor_common::flow::why;
use sensor_common::packet::tcp_flags;
use sensor_common::{FlowState, RecordHeader};

use super::config::ContentsOf;
use super::entry::{Numbers, Tcp};
use super::segment::{Segment, flag_letters, was_shed};
use super::shared::{Core, Run, raise};
use super::sight::{Standing, standing};
use super::sink::{Piece, Sink};
use super::taps::Heard;
use crate::analyzer::api::Interest;
use crate::event;
use crate::tcp::endpoint::{Endpoint, State};
use crate::tcp::kept::Kept;
use crate::tcp::reassembly::{Reassembler, Step};

/// Zeek: tcp_max_initial_window and tcp_max_above_hole_without_any_acks, bytes.
const WITHOUT_ACKS: u64 = 16384;
/// Zeek: tcp_excessive_data_without_further_acks, bytes.
const EXCESSIVE: u64 = 10 * 1024 * 1024;
/// Most segments that wait for holes, per direction: bounds the work of one segment that overlaps them all.
const MAX_SEGMENTS: usize = 4096;
/// In-order bytes that the datapath may have kept between two records; more is a new flow entry.
pub const PLAUSIBLE: u64 = 1 << 44;

/// Most bytes of a direction that may be on their way in records that others have overtaken. More was lost.
const OVERTAKEN: u64 = 256 << 10;

/// A record overtook another one of its flow. See [`super::early`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsEarly {
    /// Bytes that came before it and are not here, by flow direction.
    pub missing: [u64; 2],
}

fn is_clean(e: &Endpoint) -> bool {
    e.state == State::Established || (e.state == State::Closed && e.prev_state == State::Established)
}

/// Where both directions stood before a record's packet: sequence numbers and acknowledgements sent.
pub fn before_packet(rec: &RecordHeader) -> ([u64; 2], [u64; 2]) {
    let sender = rec.pkt.dir as usize & 1;
    let mut next = [rec.totals[0].next, rec.totals[1].next];
    let mut ack = [rec.totals[0].ack, rec.totals[1].ack];
    next[sender] = rec.prev_next;
    ack[sender] = rec.prev_ack;
    (next, ack)
}

impl<S: Sink> Run<'_, S> {
    /// Payload that by this record came, that somebody wants and the datapath did not keep, and that is not here.
    pub fn is_early(&self, tcp: &Tcp, rec: &RecordHeader) -> Option<IsEarly> {
        if rec.pkt.flags & tcp_flags::SYN != 0 || rec.why & why::UNTOLD != 0 {
            return None;
        }
        let (next, _) = before_packet(rec);
        let missing = [0, 1].map(|dir| {
            let moved = tcp.known_next.to(dir, next[dir]);
            if moved == 0 || moved > OVERTAKEN || self.conn.shed & (1 << dir) != 0 {
                return 0;
            }
            let s = self.conn.dir(dir);
            let is_known = !matches!(tcp.ep[s].state, State::Reset | State::Inactive);
            let is_missed = is_known && !tcp.reasm[s].is_over();
            if is_missed && self.interest(s == 0) == Interest::Everything {
                moved
            } else {
                0
            }
        });
        (missing != [0; 2]).then_some(IsEarly { missing })
    }

    /// Replays what was not forwarded since the last record: it was in order and acknowledged nothing
    /// new to the datapath, or it would have been forwarded. `next` and `ack` tell where the datapath
    /// stands, by flow direction, and `at` what it has counted so far.
    fn catch_up(&mut self, tcp: &mut Tcp, next: [u64; 2], ack: [u64; 2], at: &Standing) {
        let mut came = [false; 2];
        for (dir, now) in next.into_iter().enumerate() {
            let moved = tcp.known_next.to(dir, now);
            let s = self.conn.dir(dir);
            // A side from which nothing came has no numbers yet: its first record was lost.
            let unknown = matches!(tcp.ep[s].state, State::Reset | State::Inactive);
            if moved == 0 || moved > PLAUSIBLE || unknown {
                continue;
            }
            let Some(from) = tcp.ep[s].skip_sent(moved, now as u32) else {
                continue;
            };
            self.segment(tcp, s, from, moved, None);
            came[dir] = true;
        }
        for (dir, now) in ack.into_iter().enumerate() {
            let moved = tcp.known_ack.to(dir, now);
            let peer = self.conn.dir(dir) ^ 1;
            if moved == 0 || moved > PLAUSIBLE || tcp.ep[peer].state == State::Inactive {
                continue;
            }
            // A direction's first acknowledgement may have come on payload that was not forwarded: then
            // there is no length, and the number nearest to what is known is taken.
            let bytes = if tcp.known_ack.get(dir) == 0 { 0 } else { moved };
            tcp.ep[peer].skip_acked(bytes, now as u32);
            let acked = tcp.ep[peer].acked();
            if acked > tcp.reasm[peer].trim() && self.counts_acks(tcp, peer) {
                self.acked_below(bytes, at, dir);
            }
            self.take_ack(tcp, peer, acked);
        }
        // Not before: most of it had been acknowledged by and by.
        for dir in [0, 1] {
            if came[dir] {
                let s = self.conn.dir(dir);
                self.bound(tcp, s);
            }
        }
        tcp.known_next = Numbers::new(next);
        tcp.known_ack = Numbers::new(ack);
    }

    /// Up to a record's packet.
    pub fn catch_up_record(&mut self, tcp: &mut Tcp, rec: &RecordHeader) {
        if !self.conn.frozen {
            self.conn.last = self.conn.last.max(rec.prev_last);
        }
        let (next, ack) = before_packet(rec);
        self.catch_up(tcp, next, ack, &rec.totals);
        // A deferred close may have waited for an ack that was not forwarded.
        self.conn.frozen |= tcp.ep[0].did_close && tcp.ep[1].did_close;
    }

    /// Up to the flow's final state.
    pub fn catch_up_flow(&mut self, tcp: &mut Tcp, flow: &FlowState) {
        let next = [flow.dir[0].next, flow.dir[1].next];
        let ack = [flow.dir[0].ack, flow.dir[1].ack];
        self.catch_up(tcp, next, ack, &standing(flow));
    }

    /// Remembers where the datapath stood after a record.
    pub fn note(&self, tcp: &mut Tcp, rec: &RecordHeader) {
        tcp.known_next = Numbers::new([rec.totals[0].next, rec.totals[1].next]);
        tcp.known_ack = Numbers::new([rec.totals[0].ack, rec.totals[1].ack]);
    }

    /// Lets the reassembler of side `s` work. Which side that is afterwards: an analyzer may flip the connection.
    fn with_reassembler(
        &mut self,
        tcp: &mut Tcp,
        s: usize,
        work: impl FnOnce(&mut Reassembler, &mut dyn FnMut(Step<'_>)),
    ) -> usize {
        let mut r = std::mem::take(&mut tcp.reasm[s]);
        let dir = self.conn.dir(s);
        let before = r.memory();
        work(&mut r, &mut |step| self.step(tcp, self.conn.dir(dir), step));
        self.sh.account(before, r.memory());
        let s = self.conn.dir(dir);
        tcp.reasm[s] = r;
        s
    }

    /// Payload goes to its stream. Which side that is afterwards: as above.
    fn segment(&mut self, tcp: &mut Tcp, s: usize, seq: u64, len: u64, bytes: Option<&[u8]>) -> usize {
        let fins = tcp.ep[s].rare.as_ref().map(|r| r.fins);
        let s = self.with_reassembler(tcp, s, |r, out| {
            // What follows a FIN's number is in order.
            if let Some(fins) = fins.filter(|_| seq > r.next()) {
                r.pass(fins.all(), out);
            }
            r.segment(seq, len, bytes, out);
        });
        if let Some(ack) = tcp.ep[s].ahead_ack() {
            let to = ack.min(tcp.reasm[s].next());
            if to == ack {
                let rare = tcp.ep[s].rare();
                rare.ahead_ack = 0;
                self.sh.sight.acks += u64::from(rare.ahead_counts);
            }
            return self.acked(tcp, s, to);
        }
        s
    }

    /// The peer acknowledged all before `seq`, and what is missing of it is not waited for.
    pub(super) fn acked(&mut self, tcp: &mut Tcp, s: usize, seq: u64) -> usize {
        let forgive = tcp.is_partial;
        let s = self.with_reassembler(tcp, s, |r, out| r.ack(seq, forgive, out));
        self.forget(s, seq);
        s
    }

    fn step(&mut self, tcp: &mut Tcp, s: usize, step: Step<'_>) {
        match step {
            Step::Data { seq, bytes } => {
                let turned = self.turn_by_hello(tcp, s == 0, bytes);
                let s = s ^ usize::from(turned);
                self.tell(tcp, s, Heard::Bytes { seq, bytes });
            }
            Step::Unseen { len, .. } => self.tell(tcp, s, Heard::Unseen(len)),
            Step::Gap { seq, len } => match tcp.ep[s].rare.as_ref().map(|r| r.fins) {
                Some(fins) => fins
                    .without(seq, len)
                    .for_each(|(seq, len)| self.gap(tcp, s, seq, len)),
                None => self.gap(tcp, s, seq, len),
            },
        }
    }

    /// Bytes of side `s` that never came.
    fn gap(&mut self, tcp: &mut Tcp, s: usize, seq: u64, len: u64) {
        let is_orig = s == 0;
        // Elsewhere numbers may be wrong without anything missing.
        if is_clean(&tcp.ep[0]) && is_clean(&tcp.ep[1]) {
            if let Some(n) = tcp.ep[s].rare().gaps.count() {
                self.conn.add_history(s, 'G');
                if n > 1 {
                    raise!(self, TcpMultipleGap, is_orig: is_orig, threshold: n);
                }
            }
            self.sh.holes += 1;
            let extra = self.conn.extra();
            extra.missed_bytes = extra.missed_bytes.saturating_add(len);
            raise!(self, ContentGap, is_orig: is_orig, seq: seq, length: len);
        }
        self.tell(tcp, s, Heard::Gap(len));
    }

    /// Payload of side `s` at relative `seq`.
    pub fn data_sent(&mut self, tcp: &mut Tcp, s: usize, seq: u64, seg: &Segment<'_>) {
        let len = seg.len as u64;
        let whole = seg.payload.len() as u64 == len;
        if !whole && (!was_shed(seg) || seg.rec.pkt.cut != 0) {
            tcp.truncated = true;
            self.weird("truncated_tcp_payload", "");
            return;
        }
        if tcp.reasm[s].is_over() {
            return;
        }
        let first = seq;
        let (mut seq, mut len) = (seq, len);
        let mut bytes = whole.then_some(seg.payload);
        // Not the endpoint's own: of what is beyond a FIN no acknowledgement is believed until the bytes are there.
        let acked = tcp.reasm[s].trim();
        if seq < acked {
            if seq.saturating_add(len) <= acked {
                return;
            }
            let cut = acked - seq;
            bytes = bytes.and_then(|b| b.get(cut as usize..));
            (seq, len) = (acked, len - cut);
        }
        if self.sh.subs.wants(event::ConnStats::KIND) || self.sh.cfg.columns.tcp_stats {
            let r = &tcp.reasm[s];
            let (beyond, fills) = (seq > r.next(), seq + len > r.next() && r.segments() > 0);
            if beyond || fills {
                let ahead = seq + len > r.top();
                let rare = tcp.ep[s].rare();
                rare.out_of_order = rare.out_of_order.saturating_add(1);
                rare.ahead = rare.ahead.saturating_add(ahead as u32);
            }
        }
        if let Some(bytes) = bytes {
            self.compare(tcp, s, seq, bytes, seg.flags);
        }
        let s = self.segment(tcp, s, seq, len, bytes);
        if seg.rec.why & why::RECORDS != 0 {
            self.app_marks(s == 0, first, seg);
        }
        self.bound(tcp, s);
    }

    /// Remembers what was delivered until it is acknowledged, for comparison.
    pub(super) fn keep(&mut self, s: usize, seq: u64, bytes: &[u8]) {
        if self.sh.subs.wants(event::RexmitInconsistency::KIND) {
            let dir = self.conn.dir(s);
            let limit = self.sh.cfg.reassembly_limit;
            let kept = &mut self.conn.extra().kept.get_or_insert_default()[dir];
            let before = kept.memory();
            kept.add(seq, bytes, limit);
            let after = kept.memory();
            self.sh.account(before, after);
            if self.sh.held > self.sh.cfg.reassembly_total {
                // Streams come first.
                self.forget(s, u64::MAX);
            }
        }
    }

    /// Compares a segment with what is known of the same place, delivered or waiting.
    fn compare(&mut self, tcp: &Tcp, s: usize, seq: u64, bytes: &[u8], flags: u8) {
        if !self.sh.subs.wants(event::RexmitInconsistency::KIND) {
            return;
        }
        let dir = self.conn.dir(s);
        // What has been acknowledged is settled.
        let settled = tcp.reasm[s].trim().saturating_sub(seq);
        let Some(bytes) = bytes.get(settled as usize..) else {
            return;
        };
        let seq = seq + settled;
        // A side that alone was heard so far may be sending keep-alives, whose byte means nothing.
        let heard = tcp.first_packet_seen & 1 << (s ^ 1) != 0;
        let mut buf = [0u8; 6];
        let tcp_flags = flag_letters(flags, &mut buf);
        let id = self.id();
        let Core { ts, conn, sh, .. } = &mut self.core;
        let mut told = |t1: &[u8], t2: &[u8]| {
            if t2.len() > 1 || heard {
                let c = &id;
                sh.emit(*ts, &event::RexmitInconsistency { c, t1, t2, tcp_flags });
            }
        };
        if let Some(kept) = conn.extra.as_ref().and_then(|e| e.kept.as_ref()) {
            kept[dir].compare(seq, bytes, &mut told);
        }
        tcp.reasm[s].compare(seq, bytes, &mut told);
    }

    /// Keeps what waits for holes and acknowledgements within limits.
    fn bound(&mut self, tcp: &mut Tcp, mut s: usize) {
        let no_acks = tcp.ep[s].no_data_acked();
        if no_acks && tcp.ep[s].size(&tcp.ep[s ^ 1]) > WITHOUT_ACKS {
            // The peer's acknowledgements do not come by here.
            tcp.reasm[s].trim_delivered();
            let trim = tcp.reasm[s].trim();
            self.forget(s, trim);
        }
        if tcp.reasm[s].is_over() {
            return;
        }
        if no_acks && tcp.reasm[s].undelivered() > WITHOUT_ACKS && tcp.reasm[s].undelivered() < u64::MAX / 2 {
            self.weird("above_hole_data_without_any_acks", "");
            self.stop(tcp, s);
        } else if tcp.reasm[s].unacked() > EXCESSIVE {
            self.weird("excessive_data_without_further_acks", "");
            self.stop(tcp, s);
        }
        while self.has_no_room(&tcp.reasm[s]) {
            let mut gave = false;
            s = self.with_reassembler(tcp, s, |r, out| gave = r.give_up_first(out));
            if !gave {
                break;
            }
            self.sh.no_room += 1;
        }
    }

    /// Ends a direction's deliveries.
    fn stop(&mut self, tcp: &mut Tcp, s: usize) {
        self.sh.account(tcp.reasm[s].memory(), 0);
        tcp.reasm[s].stop();
        self.forget(s, u64::MAX);
    }

    /// Whether a direction has to give up its first hole: it holds too much, or all together do.
    fn has_no_room(&self, r: &Reassembler) -> bool {
        let cfg = &self.sh.cfg;
        r.memory() > cfg.reassembly_limit
            || r.segments() > MAX_SEGMENTS
            || self.sh.held > cfg.reassembly_total && r.segments() > 0
    }

    /// The connection ends: what it held counts no more.
    pub fn release(&mut self, tcp: Option<&Tcp>) {
        let kept = self.conn.extra.as_ref().and_then(|e| e.kept.as_ref());
        let kept: u64 = kept.map_or(0, |k| k.iter().map(Kept::memory).sum());
        let held: u64 = tcp.map_or(0, |t| t.reasm.iter().map(Reassembler::memory).sum());
        self.sh.held = self.sh.held.saturating_sub(kept + held);
    }

    /// Ends the contents files, with what still waits for holes.
    pub fn end_files(&mut self, tcp: Option<&Tcp>) {
        if self.sh.cfg.contents_files == ContentsOf::None {
            return;
        }
        let Some(tcp) = tcp else { return };
        for s in 0..2 {
            let mut at = tcp.reasm[s].next();
            for (seq, len, bytes) in tcp.reasm[s].waiting() {
                if seq > at {
                    self.write_file(s == 0, Piece::Missing(seq - at));
                }
                self.write_file(s == 0, bytes.map_or(Piece::Missing(len), Piece::Data));
                at = seq + len;
            }
            self.write_file(s == 0, Piece::End);
        }
    }

    /// What was kept for comparison before `seq` is settled.
    fn forget(&mut self, s: usize, seq: u64) {
        let dir = self.conn.dir(s);
        if let Some(kept) = self.core.conn.extra.as_mut().and_then(|e| e.kept.as_mut()) {
            let before = kept[dir].memory();
            kept[dir].trim(seq);
            self.core.sh.account(before, kept[dir].memory());
        }
    }

    /// An acknowledgement has come of side `s`'s bytes before `seq` (relative).
    pub fn ack_received(&mut self, tcp: &mut Tcp, s: usize, seq: u64) {
        let (counts, holes) = (self.counts_acks(tcp, s), self.sh.holes);
        if self.take_ack(tcp, s, seq) && counts {
            self.acked_above(holes);
        }
    }

    /// Side `s`'s bytes before `seq` (relative) were acknowledged. False: that is nothing new, or what it is of may still come.
    fn take_ack(&mut self, tcp: &mut Tcp, s: usize, seq: u64) -> bool {
        let counts = self.counts_acks(tcp, s);
        let ep = &tcp.ep[s];
        let seq = match &ep.rare {
            Some(r) if r.fin_cnt > 0 && seq >= r.fin_seq => r.fin_seq.wrapping_sub(1),
            _ => seq,
        };
        if seq <= tcp.reasm[s].trim() {
            return false;
        }
        if seq > tcp.reasm[s].next() {
            // Each is a gap of its own, as if none had been waited for.
            self.give_up(tcp, s);
            let r = &tcp.reasm[s];
            let clean = is_clean(&tcp.ep[0]) && is_clean(&tcp.ep[1]) && !tcp.is_partial;
            // What a FIN comes after is missing when it is acknowledged: nothing else may follow.
            let open = tcp.ep[s].fins() == 0 && !r.is_over();
            if clean && open && r.segments() == 0 && seq > r.next() {
                let next = r.next();
                let rare = tcp.ep[s].rare();
                (rare.ahead_ack, rare.ahead_counts) = (seq, counts);
                self.acked(tcp, s, next);
                return false;
            }
        }
        let s = self.acked(tcp, s, seq);
        self.check_eof(tcp, s);
        true
    }

    /// Whether data of side `s` is still to be delivered or acknowledged.
    pub fn data_pending(&self, tcp: &Tcp, s: usize) -> bool {
        let (ep, r) = (&tcp.ep[s], &tcp.reasm[s]);
        if r.is_over() {
            return false;
        }
        let start = ep.start_seq as u64;
        let delivered = start.wrapping_add(r.next());
        let last = ((ep.seq_wraps as u64) << 32) + ep.last_seq as u64;
        if last < delivered {
            return false;
        }
        if delivered != last.wrapping_sub(1) && delivered != last {
            return true;
        }
        ep.state != State::Reset && tcp.reasm[s ^ 1].has_blocks()
    }

    pub fn check_eof(&mut self, tcp: &mut Tcp, s: usize) {
        let ep = &tcp.ep[s];
        let over = ep.fins() > 0 || matches!(ep.state, State::Closed | State::Reset);
        if tcp.eof & 1 << s != 0 || !over || self.data_pending(tcp, s) {
            return;
        }
        tcp.eof |= 1 << s;
        raise!(self, ConnectionEof, is_orig: s == 0);
        self.tell(tcp, s, Heard::End);
        if tcp.close_deferred {
            if self.data_pending(tcp, s) && tcp.ep[0].did_close && tcp.ep[1].did_close {
                self.weird("pending_data_when_closed", "");
            }
            let event = tcp.deferred_gen_event;
            self.connection_closed(tcp, s, event);
            tcp.close_deferred = false;
        }
    }
}
