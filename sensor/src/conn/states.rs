//! The TCP states: what moves a side from one to the next, and what closing means.

use sensor_common::packet::tcp_flags as tf;

use super::entry::Tcp;
use super::segment::Segment;
use super::shared::{Run, raise};
use super::sink::Sink;
use super::timer::Kind;
use crate::event;
use crate::tcp::endpoint::{State, seq_delta};

/// Ports of interactive services, which may be silent for an hour (Zeek: Conn::port_inactivity_timeouts).
const INTERACTIVE: [u16; 4] = [21, 22, 23, 513];

/// What the state machine decided about closing.
#[derive(Default)]
pub(super) struct Close {
    pub close: bool,
    pub event: bool,
}

fn is_handshake(s: State) -> bool {
    matches!(s, State::Inactive | State::SynSent | State::SynAckSent)
}

impl<S: Sink> Run<'_, S> {
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

    pub(super) fn advance_state(
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
            if self.sh.subs.wants(event::ConnectionReset::KIND) {
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
            // Nothing else is pending.
            self.conn.expires = false;
            if self.conn.inactive_at < at {
                self.arm(Kind::Inactivity, self.conn.inactive_at);
            }
        } else if me.prev_state == State::Inactive {
            if self.sh.subs.wants(event::ConnectionPartialClose::KIND) {
                let at = self.conn.last + timeouts.tcp_partial_close_delay;
                self.arm(Kind::PartialClose, at);
            }
        } else {
            let at = self.conn.last + timeouts.tcp_session_timer;
            self.arm(Kind::Expire, at);
        }
    }
}
