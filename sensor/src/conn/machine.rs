//! The TCP state machine: what each packet does to a connection (Zeek: TCPSessionAdapter).
//!
//! The order of the steps is Zeek's, because events, letters and states depend on it.

use sensor_common::RecordHeader;
use sensor_common::flow::why;
use sensor_common::packet::tcp_flags as tf;

use super::Sink;
use super::entry::{Tcp, letter};
use super::shared::{Run, raise};
use super::syn::{parse_options, syn_packet};
use super::timer::Kind;
use crate::event::EventKind;
use crate::tcp::endpoint::{Endpoint, State, seq_delta};

/// Jumps beyond this are not believed of a SYN or RST (Zeek: TOO_LARGE_SEQ_DELTA).
const TOO_LARGE_SEQ_DELTA: i32 = 1_048_576;
const SECOND: u64 = 1_000_000_000;
/// As many FINs or RSTs, each within a second of the last packet, are a storm (Zeek: tcp_storm_*).
const STORM: u32 = 1000;
/// Ports of interactive services, which may be silent for an hour (Zeek: Conn::port_inactivity_timeouts).
const INTERACTIVE: [u16; 4] = [21, 22, 23, 513];

/// One packet's view for the machine.
pub struct Segment<'r> {
    pub rec: &'r RecordHeader,
    pub frame: &'r [u8],
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    /// Payload bytes by the headers.
    pub len: u32,
    /// The payload as far as it is at hand.
    pub payload: &'r [u8],
}

impl<'r> Segment<'r> {
    pub fn new(rec: &'r RecordHeader, frame: &'r [u8]) -> Self {
        let p = &rec.pkt;
        let payload = frame.get(p.data as usize..).unwrap_or_default();
        let n = payload.len().min(p.payload_len as usize);
        Segment {
            rec,
            frame,
            flags: p.flags,
            seq: p.seq,
            ack: p.ack,
            len: p.payload_len,
            payload: &payload[..n],
        }
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn tcp_header(&self) -> &'r [u8] {
        self.frame
            .get(self.rec.pkt.l4 as usize..self.rec.pkt.data as usize)
            .unwrap_or_default()
    }

    /// Sequence space it takes; a RST's payload takes none.
    fn space(&self) -> u32 {
        let data = if self.has(tf::RST) { 0 } else { self.len };
        data + self.has(tf::SYN) as u32 + self.has(tf::FIN) as u32
    }
}

/// What the state machine decided about closing.
#[derive(Default)]
struct Close {
    close: bool,
    event: bool,
}

fn is_handshake(s: State) -> bool {
    matches!(s, State::Inactive | State::SynSent | State::SynAckSent)
}

impl<S: Sink> Run<'_, S> {
    /// One packet of side `s`.
    pub fn tcp_packet(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>) {
        // A flip on the way changes the sides' places; what the packet was sent as stays (as in Zeek).
        let is_orig = s == 0;
        let orig_dir = self.conn.orig_dir;
        let mut s = s;
        if is_orig {
            if tcp.first_packet_seen & 1 == 0 {
                tcp.is_partial = !seg.has(tf::SYN) || seg.has(tf::ACK);
            }
        } else if tcp.first_packet_seen & 2 == 0 && !tcp.is_partial {
            tcp.is_partial = !seg.has(tf::SYN);
        }
        let space = seg.space();
        let end = seg.seq.wrapping_add(space);
        self.init_endpoint(tcp, s, seg, end);
        let (rel_seq, underflow) = tcp.ep[s].relative_seq(seg.seq);
        if underflow && !seg.has(tf::RST) {
            self.weird("TCP_seq_underflow_or_misorder", "");
        }
        self.update_history(tcp, s, seg, rel_seq);
        if self.conn.orig_dir != orig_dir {
            s ^= 1;
        }
        self.update_window(tcp, s, seg);
        if !(tcp.ep[0].did_close && tcp.ep[1].did_close) {
            self.conn.last = self.ts;
        }
        if seg.has(tf::SYN) {
            self.syn(tcp, s, is_orig, seg);
        }
        if seg.has(tf::FIN) {
            tcp.ep[s].fin_cnt += 1;
            if tcp.ep[s].fin_cnt >= STORM && self.ts < tcp.ep[s].last_time + SECOND {
                self.weird("FIN_storm", "");
            }
            tcp.ep[s].fin_seq = rel_seq.wrapping_add(space as u64);
        }
        if seg.has(tf::RST) {
            tcp.ep[s].rst_cnt += 1;
            if tcp.ep[s].rst_cnt >= STORM && self.ts < tcp.ep[s].last_time + SECOND {
                self.weird("RST_storm", "");
            }
        }
        let rel_ack = self.acknowledge(tcp, s, is_orig, seg);
        note_replica(&mut tcp.ep[s], seg);
        let delta = self.update_last_seq(tcp, s, seg, end, rel_seq);
        tcp.ep[s].last_time = self.ts;
        let close = self.advance_state(tcp, s, is_orig, seg, delta);
        // `advance_state` may flip, too.
        if (self.conn.orig_dir != orig_dir) != (s != !is_orig as usize) {
            s ^= 1;
        }
        if seg.has(tf::ACK) {
            self.ack_received(tcp, s ^ 1, rel_ack);
        }
        if self.sh.subs.wants(EventKind::TcpPacket) {
            let mut buf = [0u8; 8];
            let flags = flag_letters(seg.flags, &mut buf);
            let ack = if seg.has(tf::ACK) { rel_ack } else { 0 };
            raise!(self, TcpPacket, is_orig: is_orig, flags: flags, seq: rel_seq, ack: ack,
                len: seg.len as u64, payload: seg.payload);
        }
        if self.sh.subs.wants(EventKind::TcpOption) {
            for (kind, len) in parse_options(seg.tcp_header()) {
                raise!(self, TcpOption, is_orig: is_orig, opt: kind as u64, optlen: len as u64);
            }
        }
        tcp.first_packet_seen |= if is_orig { 1 } else { 2 };
        let rel_data = if seg.has(tf::SYN) {
            rel_seq.wrapping_add(1)
        } else {
            rel_seq
        };
        if seg.len > 0 && !seg.has(tf::RST) && !underflow {
            self.data_sent(tcp, s, rel_data, seg);
        }
        self.check_eof(tcp, s);
        if close.close {
            self.connection_closed(tcp, s, close.event);
        }
        if tcp.ep[0].did_close && tcp.ep[1].did_close {
            self.conn.frozen = true;
        }
    }

    fn init_endpoint(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, end: u32) {
        let syn = seg.has(tf::SYN);
        let ep = &mut tcp.ep[s];
        match ep.state {
            State::Inactive if syn => ep.init(seg.seq, end),
            // As though a SYN had been seen, so that numbering is the same.
            State::Inactive => ep.init(seg.seq.wrapping_sub(1), seg.seq),
            State::SynSent | State::SynAckSent if syn && seg.seq != ep.start_seq => {
                ep.init(seg.seq, end);
                self.weird("SYN_seq_jump", "");
            }
            State::Established | State::Partial if syn => {
                let size = tcp.ep[s].size(&tcp.ep[s ^ 1]);
                let jump = seg.seq != tcp.ep[s].start_seq;
                tcp.ep[s].init(seg.seq, end);
                if size > 0 {
                    self.weird("SYN_inside_connection", "");
                }
                if jump {
                    self.weird("SYN_seq_jump", "");
                }
            }
            // The numbers came from a RST that may have been forged.
            State::Reset if syn && ep.prev_state == State::Inactive => ep.init(seg.seq, end),
            _ => {}
        }
    }

    fn update_history(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, rel_seq: u64) {
        let control = seg.flags & (tf::SYN | tf::FIN | tf::RST);
        match control.count_ones() {
            0 if seg.len > 0 => self.productive(tcp, s, letter::DATA, 'D'),
            0 if seg.has(tf::ACK) => self.productive(tcp, s, letter::ACK, 'A'),
            0 => {}
            1 => {
                let (bit, code, rel) = match control {
                    tf::SYN => (letter::SYN, if seg.has(tf::ACK) { 'H' } else { 'S' }, rel_seq),
                    tf::FIN => (letter::FIN, 'F', rel_seq.wrapping_add(seg.len as u64)),
                    _ => (letter::RST, 'R', rel_seq),
                };
                let ep = &mut tcp.ep[s];
                let last = match control {
                    tf::SYN => &mut ep.hist_syn,
                    tf::FIN => &mut ep.hist_fin,
                    _ => &mut ep.hist_rst,
                };
                let moved = std::mem::replace(last, rel) != rel;
                if self.conn.check_history(s, bit, code) && moved {
                    self.conn.add_history(s, code);
                }
            }
            _ => {
                let both = tf::FIN | tf::RST;
                let (bit, code) = if control & both == both {
                    (letter::FIN_RST, 'I')
                } else {
                    (letter::MULTI, 'Q')
                };
                self.conn.check_history(s, bit, code);
            }
        }
    }

    /// A pure ACK or payload. If all that was seen before is a SYN-ACK, its sender is the responder
    /// after all: scans elicit a RST and no more.
    fn productive(&mut self, tcp: &mut Tcp, s: usize, bit: u32, code: char) {
        let mut s = s;
        if self.conn.history == "H" {
            self.flip(tcp);
            self.conn.history = "^h".into();
            tcp.first_packet_seen |= 1;
            s ^= 1;
        }
        self.conn.check_history(s, bit, code);
    }

    /// Originator and responder change places.
    pub fn flip(&mut self, tcp: &mut Tcp) {
        tcp.ep.swap(0, 1);
        tcp.reasm.swap(0, 1);
        let seen = tcp.first_packet_seen;
        tcp.first_packet_seen = (seen & 1) << 1 | seen >> 1;
        tcp.is_partial = false;
        self.flip_conn();
    }

    fn update_window(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>) {
        let peer_closed = tcp.ep[s ^ 1].state == State::Closed;
        let ep = &mut tcp.ep[s];
        let window = (seg.rec.pkt.window as u32) << ep.window_scale;
        if window == 0
            && !seg.has(tf::RST)
            && !peer_closed
            && ep.state != State::Reset
            && let Some(n) = ep.zero_windows.count()
        {
            self.conn.add_history(s, 'W');
            if n > 1 {
                raise!(self, TcpMultipleZeroWindows, is_orig: s == 0, threshold: n);
            }
        }
        let ep = &mut tcp.ep[s];
        if seg.flags & (tf::SYN | tf::FIN | tf::RST) != 0 || matches!(ep.state, State::Closed | State::Reset)
        {
            return;
        }
        if seq_delta(seg.seq, ep.window_seq) >= 0 && seq_delta(seg.ack, ep.window_ack_seq) >= 0 {
            let edge = seg.ack.wrapping_add(window);
            let old = ep.window_ack_seq.wrapping_add(ep.window);
            let advance = seq_delta(edge, old);
            // Some slop for the scale's granularity.
            let recision = advance < 0 && advance.unsigned_abs() >= 1 << ep.window_scale;
            ep.window = window;
            ep.window_ack_seq = seg.ack;
            ep.window_seq = seg.seq;
            if recision {
                self.weird("window_recision", "");
            }
        }
    }

    fn syn(&mut self, tcp: &mut Tcp, s: usize, is_orig: bool, seg: &Segment<'_>) {
        if seg.has(tf::RST) {
            self.weird_from("TCP_christmas", "", "TCP");
        }
        if seg.has(tf::URG) {
            self.weird_from("baroque_SYN", "", "TCP");
        }
        if seg.len > 0 {
            self.weird_from("SYN_with_data", "", "TCP");
        }
        let pkt = syn_packet(is_orig, seg);
        let scale = pkt.win_scale;
        if scale < 0 {
            tcp.ep[s].window_scale = 0;
            if seg.has(tf::ACK) {
                tcp.ep[s ^ 1].window_scale = 0;
            }
        } else {
            if scale > 14 && !self.conn.weird {
                self.weird_from("TCP_scale_range", &scale.to_string(), "TCP");
            }
            let ep = &mut tcp.ep[s];
            ep.window_scale = scale.min(14) as u8;
            ep.window_seq = seg.seq;
            ep.window_ack_seq = seg.ack;
            tcp.ep[s ^ 1].window_seq = seg.ack;
            tcp.ep[s ^ 1].window_ack_seq = seg.seq;
        }
        raise!(self, ConnectionSynPacket, pkt: pkt);
    }

    /// The packet's acknowledgement, relative to the peer's start; 0 without one that makes sense.
    fn acknowledge(&mut self, tcp: &mut Tcp, s: usize, is_orig: bool, seg: &Segment<'_>) -> u64 {
        if !seg.has(tf::ACK) {
            return 0;
        }
        let state = tcp.ep[s].state;
        if is_orig && !tcp.seen_first_ack && matches!(state, State::Established | State::SynSent) {
            tcp.seen_first_ack = true;
            raise!(self, ConnectionFirstAck);
        }
        if tcp.ep[s ^ 1].state == State::Inactive {
            let plain = seg.flags & (tf::SYN | tf::FIN | tf::RST) == 0;
            if plain
                && matches!(state, State::SynSent | State::SynAckSent | State::Established)
                && !self.conn.weird
            {
                // We saw one side's SYN and never the other's answer.
                self.weird("possible_split_routing", "");
            }
            let start = seg.ack.wrapping_sub(1);
            tcp.ep[s ^ 1].init(start, start);
            return 1;
        }
        let (rel, underflow) = tcp.ep[s ^ 1].relative_ack(seg.ack);
        if underflow {
            self.weird("TCP_ack_underflow_or_misorder", "");
            return 0;
        }
        if !seg.has(tf::RST) {
            let peer = &mut tcp.ep[s ^ 1];
            let delta = seq_delta(seg.ack, peer.ack_seq);
            let broken = seg.ack == 0 && delta > TOO_LARGE_SEQ_DELTA;
            if delta > 0 && !broken {
                peer.update_ack_seq(seg.ack);
            }
        }
        rel
    }

    fn update_last_seq(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, end: u32, rel_seq: u64) -> i32 {
        let peer_window = tcp.ep[s ^ 1].window;
        let ep = &mut tcp.ep[s];
        let delta = seq_delta(end, ep.last_seq);
        if seg.flags & (tf::SYN | tf::RST) != 0
            && !(-TOO_LARGE_SEQ_DELTA..=TOO_LARGE_SEQ_DELTA).contains(&delta)
        {
            return delta;
        }
        if seg.has(tf::FIN) && ep.last_seq == ep.start_seq.wrapping_add(1) {
            // All that was seen of a long connection may be its SYN and its FIN.
            ep.update_last_seq(end);
        } else if ep.state == State::Reset {
            // Its numbers are not trusted any more.
        } else if delta > 0 {
            ep.update_last_seq(end);
        } else if seg.len > 0 {
            let flight = ep.sent().saturating_sub(ep.acked());
            let mark = ep.rexmits.count();
            if let Some(n) = mark {
                self.conn.add_history(s, 'T');
                if n > 1 {
                    raise!(self, TcpMultipleRetransmissions, is_orig: s == 0, threshold: n);
                }
            }
            raise!(self, TcpRexmit, is_orig: s == 0, seq: rel_seq, len: seg.len as u64,
                data_in_flight: flight, window: peer_window as u64);
        }
        delta
    }

    fn set_state(&mut self, tcp: &mut Tcp, s: usize, to: State) {
        let from = tcp.ep[s].state;
        if from == to {
            return;
        }
        if !is_handshake(to) && is_handshake(from) && is_handshake(tcp.ep[s ^ 1].state) {
            self.set_inactivity(self.sh.cfg.timeouts.tcp_inactivity);
        }
        tcp.ep[s].prev_state = from;
        tcp.ep[s].state = to;
    }

    fn advance_state(
        &mut self,
        tcp: &mut Tcp,
        s: usize,
        is_orig: bool,
        seg: &Segment<'_>,
        delta: i32,
    ) -> Close {
        let mut close = Close::default();
        match tcp.ep[s].state {
            State::Inactive => self.in_inactive(tcp, s, is_orig, seg, &mut close),
            State::SynSent | State::SynAckSent => self.in_syn_sent(tcp, s, is_orig, seg, &mut close),
            State::Established | State::Partial => self.in_established(tcp, s, seg, &mut close),
            State::Closed => self.in_closed(tcp, s, seg, delta, &mut close),
            State::Reset => {
                if seg.has(tf::SYN) {
                    self.weird("SYN_after_reset", "");
                }
                if seg.has(tf::FIN) {
                    self.weird("FIN_after_reset", "");
                }
                if seg.len > 0 && !seg.has(tf::RST) {
                    self.weird("data_after_reset", "");
                }
            }
        }
        close
    }

    fn in_inactive(&mut self, tcp: &mut Tcp, s: usize, is_orig: bool, seg: &Segment<'_>, close: &mut Close) {
        let mut s = s;
        if seg.has(tf::SYN) {
            if is_orig {
                if seg.has(tf::ACK) {
                    self.weird("connection_originator_SYN_ack", "");
                    self.set_state(tcp, s, State::SynAckSent);
                } else {
                    self.set_state(tcp, s, State::SynSent);
                }
                let at = self.ts + self.sh.cfg.timeouts.tcp_attempt_delay;
                self.arm(Kind::Attempt, at);
            } else {
                self.syn_reply(tcp, &mut s, seg);
            }
        }
        let p = s ^ 1;
        if seg.has(tf::FIN) {
            self.set_state(tcp, s, State::Closed);
            *close = Close {
                close: true,
                event: true,
            };
            if tcp.ep[p].state != State::Partial && !seg.has(tf::SYN) {
                self.weird("spontaneous_FIN", "");
            }
        }
        if seg.has(tf::RST) {
            self.set_state(tcp, s, State::Reset);
            let peer = tcp.ep[p].state;
            let reject = if is_orig {
                // We saw a SYN-ACK and no SYN: a reverse scan.
                peer == State::Established
            } else {
                matches!(peer, State::SynSent | State::SynAckSent)
            };
            *close = Close {
                close: true,
                event: !reject,
            };
            if reject {
                raise!(self, ConnectionRejected);
            } else if peer == State::Inactive {
                self.weird("spontaneous_RST", "");
            }
        }
        if tcp.ep[s].state != State::Inactive {
            return;
        }
        let peer = tcp.ep[p].state;
        if !is_orig && seg.len == 0 && tcp.ep[0].state == State::SynSent {
            // Some stacks acknowledge a SYN before they answer it.
        } else if seg.has(tf::ACK) && peer == State::Established {
            // The originator's SYN was missed; no partial connection.
            self.set_state(tcp, s, State::Established);
            tcp.is_partial = false;
            tcp.first_packet_seen |= if is_orig { 1 } else { 2 };
        } else {
            self.set_state(tcp, s, State::Partial);
            if peer == State::Partial {
                raise!(self, PartialConnection);
            }
        }
    }

    /// The responder's first SYN.
    fn syn_reply(&mut self, tcp: &mut Tcp, s: &mut usize, seg: &Segment<'_>) {
        let p = *s ^ 1;
        let peer = tcp.ep[p].state;
        if seg.has(tf::ACK) {
            let (lo, hi) = (tcp.ep[p].start_seq, tcp.ep[p].last_seq);
            let between = seq_delta(seg.ack, lo) >= 0 && seq_delta(hi, seg.ack) >= 0;
            if !matches!(peer, State::Inactive | State::Partial) && !between {
                self.weird("bad_SYN_ack", "");
            }
        } else if peer == State::SynAckSent && seg.seq == tcp.ep[*s].start_seq {
            // SYN and SYN-ACK were captured the wrong way round.
            tcp.is_partial = false;
            self.flip(tcp);
            *s ^= 1;
            self.set_state(tcp, *s ^ 1, State::Established);
            tcp.first_packet_seen |= 1;
        } else {
            self.weird("simultaneous_open", "");
        }
        let p = *s ^ 1;
        match tcp.ep[p].state {
            State::SynSent => self.set_state(tcp, p, State::Established),
            State::Inactive => self.weird("unsolicited_SYN_response", ""),
            _ => {}
        }
        self.set_state(tcp, *s, State::Established);
        if tcp.ep[p].state != State::Partial {
            raise!(self, ConnectionEstablished);
            if INTERACTIVE.contains(&self.conn.resp_port()) {
                self.set_inactivity(self.sh.cfg.timeouts.interactive_inactivity);
            }
        }
    }

    fn in_syn_sent(&mut self, tcp: &mut Tcp, s: usize, is_orig: bool, seg: &Segment<'_>, close: &mut Close) {
        if seg.has(tf::SYN) {
            let state = tcp.ep[s].state;
            let plain = seg.flags & (tf::FIN | tf::RST) == 0;
            if is_orig && seg.has(tf::ACK) && plain && state != State::SynAckSent {
                self.weird("repeated_SYN_with_ack", "");
            } else if !is_orig && !seg.has(tf::ACK) && state != State::SynSent {
                self.weird("repeated_SYN_reply_wo_ack", "");
            }
        }
        if seg.has(tf::FIN) {
            if matches!(tcp.ep[s ^ 1].state, State::Inactive | State::SynSent) {
                self.weird("inappropriate_FIN", "");
            }
            self.set_state(tcp, s, State::Closed);
            *close = Close {
                close: true,
                event: true,
            };
        }
        if seg.has(tf::RST) {
            self.set_state(tcp, s, State::Reset);
            self.connection_reset(tcp);
            close.close = true;
        } else if seg.len > 0 {
            self.weird("data_before_established", "");
        }
    }

    fn in_established(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, close: &mut Close) {
        let p = s ^ 1;
        if seg.has(tf::SYN)
            && tcp.ep[s].state == State::Partial
            && tcp.ep[p].state == State::Inactive
            && !seg.has(tf::ACK)
        {
            self.weird("SYN_after_partial", "");
            self.set_state(tcp, s, State::SynSent);
        }
        if seg.has(tf::FIN) && !seg.has(tf::RST) {
            self.set_state(tcp, s, State::Closed);
            if tcp.ep[p].state == State::Reset && tcp.ep[p].prev_state == State::Closed {
                // FIN, then RST: normal termination after all.
                self.set_state(tcp, p, State::Closed);
            }
            *close = Close {
                close: true,
                event: true,
            };
        }
        if seg.has(tf::RST) {
            self.set_state(tcp, s, State::Reset);
            close.close = true;
            if tcp.ep[p].state != State::Reset || tcp.ep[p].prev_state != State::Established {
                self.connection_reset(tcp);
            }
        }
    }

    fn in_closed(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, delta: i32, close: &mut Close) {
        if seg.has(tf::SYN) {
            self.weird("SYN_after_close", "");
        }
        if seg.has(tf::FIN) && delta > 0 {
            self.weird("FIN_advanced_last_seq", "");
        }
        if seg.has(tf::RST) && tcp.ep[s ^ 1].state != State::Closed {
            self.set_state(tcp, s, State::Reset);
            if !tcp.ep[s].did_close {
                close.close = true;
            }
            if self.sh.subs.wants(EventKind::ConnectionReset) {
                let at = self.ts + self.sh.cfg.timeouts.tcp_reset_delay;
                self.arm(Kind::Reset, at);
            }
        }
    }

    pub fn connection_reset(&mut self, tcp: &mut Tcp) {
        raise!(self, ConnectionReset);
        tcp.inactive = true;
    }

    /// A side has closed; unless data is still to come, that is told and timed.
    pub fn connection_closed(&mut self, tcp: &mut Tcp, s: usize, event: bool) {
        if self.data_pending(tcp, s) {
            tcp.close_deferred = true;
            tcp.deferred_gen_event |= event;
            return;
        }
        tcp.close_deferred = false;
        if tcp.ep[s].did_close {
            return;
        }
        tcp.ep[s].did_close = true;
        let (me, peer) = (&tcp.ep[s], &tcp.ep[s ^ 1]);
        let complete = me.state == State::Reset || peer.did_close || peer.state == State::Inactive;
        let timeouts = &self.sh.cfg.timeouts;
        if complete {
            if me.prev_state != State::Inactive || peer.state != State::Inactive {
                let event = event | std::mem::take(&mut tcp.deferred_gen_event);
                if event {
                    if tcp.ep[s ^ 1].state == State::Inactive {
                        raise!(self, ConnectionHalfFinished);
                    } else {
                        raise!(self, ConnectionFinished);
                    }
                    tcp.inactive = true;
                }
            }
            self.conn.analyzer_epoch = self.conn.analyzer_epoch.wrapping_add(1);
            let at = self.conn.last + self.sh.cfg.timeouts.tcp_close_delay;
            self.arm(Kind::Delete, at);
        } else if me.prev_state == State::Inactive {
            if self.sh.subs.wants(EventKind::ConnectionPartialClose) {
                let at = self.conn.last + timeouts.tcp_partial_close_delay;
                self.arm(Kind::PartialClose, at);
            }
        } else {
            let at = self.conn.last + timeouts.tcp_session_timer;
            self.arm(Kind::Expire, at);
        }
    }

    /// Whether a second packet with a SYN starts another connection on the same addresses and ports.
    pub fn is_reuse(&mut self, tcp: &Tcp, seg: &Segment<'_>, linger: u64) -> bool {
        if !seg.has(tf::SYN) {
            return false;
        }
        let (orig, resp) = (&tcp.ep[0], &tcp.ep[1]);
        let mut first = orig;
        if seg.has(tf::ACK) {
            if orig.state != State::Inactive {
                return false;
            }
            first = resp;
        }
        let no_reset = orig.state != State::Reset && resp.state != State::Reset;
        if !(orig.did_close || resp.did_close) {
            if seg.seq == first.start_seq {
                return false;
            }
            if !seg.has(tf::ACK)
                && first.state == State::SynAckSent
                && resp.state == State::Inactive
                && seg.seq == resp.start_seq
            {
                return false;
            }
            let name = if first.state == State::SynSent {
                "SYN_seq_jump"
            } else {
                "active_connection_reuse"
            };
            self.weird(name, "");
        } else if (orig.is_active() || resp.is_active()) && no_reset {
            self.weird("active_connection_reuse", "");
        } else if self.ts.saturating_sub(self.conn.last) < linger && no_reset {
            self.weird("premature_connection_reuse", "");
        }
        true
    }
}

/// Counts a packet that was captured twice: IPv4 tells by its id.
fn note_replica(ep: &mut Endpoint, seg: &Segment<'_>) {
    let ip = seg.frame.get(seg.rec.pkt.l3 as usize..).unwrap_or_default();
    let Some([v, _, _, _, hi, lo]) = ip.first_chunk::<6>() else {
        return;
    };
    if v >> 4 != 4 {
        return;
    }
    let this = (u16::from_be_bytes([*hi, *lo]), seg.seq, seg.len);
    // An id of 0 says nothing: hosts write it on packets that may not be fragmented.
    ep.replicas += (this.0 != 0 && this == ep.last_packet) as u32;
    ep.last_packet = this;
}

/// Zeek's letters for the flags: S F R A P U E C.
fn flag_letters(flags: u8, buf: &mut [u8; 8]) -> &str {
    let mut n = 0;
    for (bit, letter) in [
        (tf::SYN, b'S'),
        (tf::FIN, b'F'),
        (tf::RST, b'R'),
        (tf::ACK, b'A'),
        (tf::PSH, b'P'),
        (tf::URG, b'U'),
        (0x40, b'E'),
        (0x80, b'C'),
    ] {
        if flags & bit != 0 {
            buf[n] = letter;
            n += 1;
        }
    }
    std::str::from_utf8(&buf[..n]).unwrap_or_default()
}

/// Whether the payload stayed in the datapath because nobody wanted it.
pub fn was_shed(seg: &Segment<'_>) -> bool {
    seg.rec.why & why::SHED != 0
}
