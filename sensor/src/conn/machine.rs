//! What each TCP packet does to a connection, step by step (Zeek: TCPSessionAdapter).
//!
//! The order of the steps is Zeek's, because events, letters and states depend on it. The steps
//! themselves: [`super::syn`], [`super::numbers`], [`super::states`].

use sensor_common::packet::tcp_flags as tf;

use super::entry::{Tcp, letter};
use super::history::History;
use super::numbers::note_replica;
use super::segment::{Segment, flag_letters};
use super::shared::{Run, raise};
use super::sink::Sink;
use super::syn::parse_options;
use crate::base::time::SECOND;
use crate::event;
use crate::tcp::endpoint::{State, seq_delta};

/// As many FINs or RSTs, each within a second of the last packet, are a storm (Zeek: tcp_storm_*).
const STORM: u32 = 1000;

impl<S: Sink> Run<'_, S> {
    /// One packet of side `s`.
    pub fn tcp_packet(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>) {
        // A flip on the way changes the sides' places, and the sender's is found again; what the packet was sent as stays
        // (as in Zeek).
        let is_orig = s == 0;
        let dir = seg.rec.pkt.dir as usize;
        if is_orig {
            if tcp.first_packet_seen & 1 == 0 {
                tcp.is_partial = !seg.has(tf::SYN) || seg.has(tf::ACK);
            }
        } else if tcp.first_packet_seen & 2 == 0 && !tcp.is_partial {
            tcp.is_partial = !seg.has(tf::SYN);
        }
        let space = seg.space();
        let end = seg.seq.wrapping_add(space);
        let dropped = is_dropped(tcp, s, seg);
        if !dropped {
            self.init_endpoint(tcp, s, seg, end);
        }
        let (rel_seq, underflow) = tcp.ep[s].relative_seq(seg.seq);
        self.before(tcp, s, seg, rel_seq);
        if dropped {
            return self.dropped(tcp, s, seg, rel_seq);
        }
        if underflow && !seg.has(tf::RST) {
            self.weird("TCP_seq_underflow_or_misorder", "");
        }
        self.update_history(tcp, s, seg, rel_seq);
        let s = self.conn.dir(dir);
        self.update_window(tcp, s, seg);
        if !(tcp.ep[0].did_close && tcp.ep[1].did_close) {
            // A clock may step back.
            self.conn.last = self.conn.last.max(self.ts);
        }
        if seg.has(tf::SYN) {
            self.syn(tcp, s, is_orig, seg);
        }
        if seg.has(tf::FIN) {
            let ep = tcp.ep[s].rare();
            ep.fin_seq = rel_seq.wrapping_add(space as u64);
            ep.fins.add(ep.fin_seq.wrapping_sub(1));
            ep.fin_cnt = ep.fin_cnt.saturating_add(1);
            if ep.fin_cnt >= STORM && self.ts < ep.last_time + SECOND {
                self.weird("FIN_storm", "");
            }
        }
        if seg.has(tf::RST) {
            let ep = tcp.ep[s].rare();
            ep.rst_cnt = ep.rst_cnt.saturating_add(1);
            if ep.rst_cnt >= STORM && self.ts < ep.last_time + SECOND {
                self.weird("RST_storm", "");
            }
        }
        let rel_ack = self.acknowledge(tcp, s, is_orig, seg);
        if self.sh.subs.wants(event::ConnStats::KIND) {
            note_replica(tcp.ep[s].rare(), seg);
        }
        let delta = self.update_last_seq(tcp, s, seg, end, rel_seq);
        if let Some(r) = &mut tcp.ep[s].rare {
            r.last_time = self.ts;
        }
        let close = self.advance_state(tcp, s, is_orig, seg, delta);
        let s = self.conn.dir(dir);
        if seg.has(tf::ACK) {
            self.ack_received(tcp, s ^ 1, rel_ack);
        }
        // An analyzer may flip, here and with the payload.
        let s = self.conn.dir(dir);
        let ack = if seg.has(tf::ACK) { rel_ack } else { 0 };
        self.segment_events(is_orig, seg, rel_seq, ack);
        let first = if is_orig { 1 } else { 2 };
        if tcp.first_packet_seen & first == 0 {
            self.signatures_begin(tcp, s, seg);
        }
        tcp.first_packet_seen |= first;
        let rel_data = if seg.has(tf::SYN) {
            rel_seq.wrapping_add(1)
        } else {
            rel_seq
        };
        if seg.len > 0 && !seg.has(tf::RST) && !underflow {
            self.data_sent(tcp, s, rel_data, seg);
        }
        let s = self.conn.dir(dir);
        self.check_eof(tcp, s);
        if close.close {
            self.connection_closed(tcp, s, close.event);
        }
        if tcp.ep[0].did_close && tcp.ep[1].did_close {
            self.conn.frozen = true;
        }
    }

    /// Notes a packet that its receiver drops.
    fn dropped(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, rel_seq: u64) {
        self.update_history(tcp, s, seg, rel_seq);
        if !(tcp.ep[0].did_close && tcp.ep[1].did_close) {
            self.conn.last = self.conn.last.max(self.ts);
        }
        if seg.has(tf::SYN) {
            self.weird("SYN_seq_jump", "");
        }
        self.segment_events(s == 0, seg, rel_seq, 0);
    }

    fn segment_events(&mut self, is_orig: bool, seg: &Segment<'_>, seq: u64, ack: u64) {
        if self.sh.subs.wants(event::TcpPacket::KIND) {
            let mut buf = [0u8; 6];
            let flags = flag_letters(seg.flags, &mut buf);
            raise!(self, TcpPacket, is_orig: is_orig, flags: flags, seq: seq, ack: ack,
                len: seg.len as u64, payload: seg.payload);
        }
        if self.sh.subs.wants(event::TcpOption::KIND) {
            for (kind, len) in parse_options(seg.tcp_header()) {
                raise!(self, TcpOption, is_orig: is_orig, opt: kind as u64, optlen: len as u64);
            }
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
                let moved = ep.moved(
                    |r| match control {
                        tf::SYN => &mut r.hist_syn,
                        tf::FIN => &mut r.hist_fin,
                        _ => &mut r.hist_rst,
                    },
                    rel,
                );
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
    fn productive(&mut self, tcp: &mut Tcp, s: usize, bit: u16, code: char) {
        let mut s = s;
        if self.conn.history.is(b'H') {
            self.flip(tcp);
            self.conn.history = History::from("^h");
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
        tcp.eof = (tcp.eof & 1) << 1 | tcp.eof >> 1;
        tcp.is_partial = false;
        self.flip_conn();
    }
}

/// Whether its receiver drops a packet, so that it changes nothing: in a connection that both have opened, a SYN-ACK with
/// another number than the one that was acknowledged (RFC 9293, 3.10.7.4: SYN cookies, or a server that forgot), and a RST
/// beyond the largest window that the receiver can have (RFC 5961, 3.2: somebody guesses). The window begins where all was
/// acknowledged; but of a connection of which one direction is seen, what was sent is all that is known.
fn is_dropped(tcp: &Tcp, s: usize, seg: &Segment<'_>) -> bool {
    let (me, peer) = (&tcp.ep[s], &tcp.ep[s ^ 1]);
    let open = me.state == State::Established && peer.state == State::Established && !tcp.is_partial;
    let ahead = seq_delta(seg.seq, me.ack_seq).min(seq_delta(seg.seq, me.last_seq));
    let answers = seg.ack == peer.start_seq.wrapping_add(1);
    match seg.flags & (tf::SYN | tf::FIN | tf::RST | tf::ACK) {
        _ if !open => false,
        f if f == tf::SYN | tf::ACK => {
            s == 1 && answers && seg.seq != me.start_seq && me.ack_seq != me.start_seq
        }
        f if f & !tf::ACK == tf::RST => ahead > 0 && ahead as i64 > (u16::MAX as i64) << peer.window_scale,
        _ => false,
    }
}
