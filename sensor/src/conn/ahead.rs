//! Acknowledgements that were captured before the bytes that they are of. Captures from several queues have them so, by
//! microseconds. A gap is told once something comes that would be written into the history after it, or that begins
//! beyond it: so wherever the bytes do not come, it stands where Zeek has it.

use sensor_common::packet::tcp_flags as tf;

use super::entry::{Tcp, letter};
use super::segment::Segment;
use super::shared::Run;
use super::sink::Sink;

impl<S: Sink> Run<'_, S> {
    /// What was acknowledged ahead of its bytes will not come.
    pub fn give_up(&mut self, tcp: &mut Tcp, s: usize) {
        if let Some(ack) = tcp.ep[s].ahead_ack() {
            let rare = tcp.ep[s].rare();
            rare.ahead_ack = 0;
            let (counts, holes) = (rare.ahead_counts, self.sh.holes);
            let s = self.acked(tcp, s, ack);
            if counts {
                self.acked_above(holes);
            }
            self.check_eof(tcp, s);
        }
    }

    /// No packet of the connection comes any more.
    pub fn give_up_all(&mut self, tcp: &mut Tcp) {
        (0..2).for_each(|s| self.give_up(tcp, s));
    }

    /// A packet of side `s` is about to be looked at: what it says of bytes that are waited for.
    pub fn before(&mut self, tcp: &mut Tcp, s: usize, seg: &Segment<'_>, rel_seq: u64) {
        for side in [0, 1] {
            if tcp.ep[side].ahead_ack().is_none() {
                continue;
            }
            let beyond = side == s && rel_seq > tcp.reasm[s].next();
            let fills = side == s && seg.len > 0 && !beyond;
            let control = seg.flags & (tf::SYN | tf::FIN | tf::RST);
            let bit = if seg.len > 0 { letter::DATA } else { letter::ACK };
            let nothing_new = control == 0
                && seg.rec.pkt.window != 0
                && self.conn.hist_seen & bit << (8 * s) != 0
                && !beyond;
            let waits = nothing_new || fills && control & !tf::FIN == 0;
            if !waits {
                self.give_up(tcp, side);
            }
        }
    }
}
