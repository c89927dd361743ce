//! Where a side stands in sequence space: its start, window, acknowledgements and retransmissions.

use sensor_common::packet::tcp_flags as tf;

use super::asked;
use super::entry::Tcp;
use super::segment::Segment;
use super::shared::{Run, raise};
use super::sink::Sink;
use crate::tcp::endpoint::{Rare, State, seq_delta};

/// Jumps beyond this are not believed of a SYN or RST (Zeek: TOO_LARGE_SEQ_DELTA).
const TOO_LARGE_SEQ_DELTA: i32 = 1_048_576;

impl<S: Sink> Run<'_, S> {
    pub(super) fn init_endpoint(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, end: u32) {
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
                if jump && size == 0 && seg.has(tf::ACK) {
                    // Which of the two holds is for the peer to say.
                    let start = tcp.ep[s].start_seq;
                    tcp.ep[s].rare().other_start = Some(start);
                }
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

    pub(super) fn update_window(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>) {
        let peer_closed = tcp.ep[s ^ 1].state == State::Closed;
        let ep = &mut tcp.ep[s];
        let window = (seg.rec.pkt.window as u32) << ep.window_scale;
        if window == 0
            && !seg.has(tf::RST)
            && !peer_closed
            && ep.state != State::Reset
            && let Some(n) = ep.rare().zero_windows.count()
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

    /// The packet's acknowledgement, relative to the peer's start; 0 without one that makes sense.
    pub(super) fn acknowledge(&mut self, tcp: &mut Tcp, s: usize, is_orig: bool, seg: &Segment<'_>) -> u64 {
        if !seg.has(tf::ACK) {
            return 0;
        }
        let state = tcp.ep[s].state;
        if is_orig && !tcp.seen_first_ack && matches!(state, State::Established | State::SynSent) {
            tcp.seen_first_ack = true;
            raise!(self, ConnectionFirstAck);
            let (n, ts) = (self.conn.n, self.ts);
            let columns = self.sh.cfg.columns;
            asked::note_ack(&mut self.sh.notes, columns, n, ts);
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
        let peer = &mut tcp.ep[s ^ 1];
        if let Some(start) = peer.rare.as_ref().and_then(|r| r.other_start) {
            let other = start.wrapping_add(1);
            if seg.ack == other && peer.last_seq == peer.start_seq.wrapping_add(1) {
                peer.init(start, other);
            }
            peer.rare().other_start = None;
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

    pub(super) fn update_last_seq(
        &mut self,
        tcp: &mut Tcp,
        s: usize,
        seg: &Segment<'_>,
        end: u32,
        rel_seq: u64,
    ) -> i32 {
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
            let mark = ep.rare().rexmits.count();
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
}

/// Counts a packet that was captured twice: IPv4 tells by its id.
pub(super) fn note_replica(ep: &mut Rare, seg: &Segment<'_>) {
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
