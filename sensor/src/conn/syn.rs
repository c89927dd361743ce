//! SYNs: TCP options, what a SYN says, and whether it starts another connection
//! (Zeek: build_syn_packet_val, ParseTCPOptions, IsReuse).

use sensor_common::packet::tcp_flags as tf;

use super::entry::Tcp;
use super::segment::Segment;
use super::shared::{Run, Shared, raise};
use super::sink::Sink;
use crate::base::bytes::be32;
use crate::event::{OsVersionFound, SynPacket};
use crate::os::Sight;
use crate::tcp::endpoint::State;

const EOL: u8 = 0;
const NOP: u8 = 1;

/// The options of a TCP header: (kind, length) each, in order, up to the first that does not fit.
pub fn parse_options(header: &[u8]) -> impl Iterator<Item = (u8, u8)> + '_ {
    options(header).map(|(kind, whole)| (kind, whole.len() as u8))
}

/// Each option with all its bytes.
fn options(header: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = header.get(20..).unwrap_or_default();
    std::iter::from_fn(move || {
        let kind = *rest.first()?;
        let len = if kind <= NOP { 1 } else { *rest.get(1)? as usize };
        if len == 0 {
            return None;
        }
        let (whole, after) = rest.split_at_checked(len)?;
        rest = if kind == EOL { &[] } else { after };
        Some((kind, whole))
    })
}

/// The fields of `connection_SYN_packet`.
fn syn_packet(is_orig: bool, seg: &Segment<'_>) -> SynPacket {
    let ip = seg.frame.get(seg.rec.pkt.l3 as usize..).unwrap_or_default();
    let v4 = ip.first().is_some_and(|b| b >> 4 == 4);
    let byte = |i: usize| ip.get(i).copied().unwrap_or(0);
    let mut pkt = SynPacket {
        is_orig,
        df: v4 && byte(6) & 0x40 != 0,
        ttl: if v4 { byte(8) } else { byte(7) } as u64,
        size: seg.rec.pkt.ip_len as u64,
        win_size: seg.rec.pkt.window as u64,
        win_scale: -1,
        mss: 0,
        sack_ok: false,
        tsval: None,
        tsecr: None,
    };
    for (kind, o) in options(seg.tcp_header()) {
        match (kind, o.len()) {
            (2, 4..) => pkt.mss = (o[2] as u64) << 8 | o[3] as u64,
            (3, 3..) => pkt.win_scale = o[2] as i64,
            (4, _) => pkt.sack_ok = true,
            (8, 10..) => {
                pkt.tsval = be32(o, 2).map(u64::from);
                pkt.tsecr = be32(o, 6).map(u64::from);
            }
            _ => {}
        }
    }
    pkt
}

impl<S: Sink> Run<'_, S> {
    pub(super) fn syn(&mut self, tcp: &mut Tcp, s: usize, is_orig: bool, seg: &Segment<'_>) {
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
        if self.sh.os.is_some() {
            self.see_os(is_orig, seg);
        }
    }

    /// Tells the sender's operating system, if that is new.
    fn see_os(&mut self, is_orig: bool, seg: &Segment<'_>) {
        let p = &seg.rec.pkt;
        let ip = seg.frame.get(p.l3 as usize..).unwrap_or_default();
        let l4 = usize::from(p.l4.saturating_sub(p.l3));
        let (id, now) = (self.id(), self.ts);
        let (host, peer) = match is_orig {
            true => (id.orig_h, id.resp_h),
            false => (id.resp_h, id.orig_h),
        };
        let Shared { os, outlet, subs, .. } = &mut *self.core.sh;
        let sight = Sight::of(ip, l4, seg.len > 0);
        let found = os.as_mut().zip(sight.as_ref());
        let Some(found) = found.and_then(|(os, sight)| os.see(host, peer, sight, now)) else {
            return;
        };
        if found.is_new
            && subs.wants(OsVersionFound::KIND)
            && let Some(os) = found.version()
        {
            outlet.emit(now, &OsVersionFound { c: &id, host, os });
        }
        if let Some(row) = found.row(&id, host, is_orig, now) {
            outlet.sink.log(&row);
        }
    }

    /// Whether a second packet with a SYN starts another connection on the same addresses and ports.
    pub fn is_reuse(&mut self, tcp: &Tcp, seg: &Segment<'_>, linger: u64) -> bool {
        if !seg.has(tf::SYN) {
            return false;
        }
        let (orig, resp) = (&tcp.ep[0], &tcp.ep[1]);
        // Both open it before either has the other's SYN (RFC 9293, 3.5).
        let by_orig = seg.rec.pkt.dir == self.conn.orig_dir;
        if !by_orig && !seg.has(tf::ACK) && orig.state == State::SynSent && resp.state == State::Inactive {
            return false;
        }
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
            // Unlike the jumps of numbers.rs, its TCP analyzer tells these in Zeek.
            self.weird_from(name, "", "TCP");
        } else if (orig.is_active() || resp.is_active()) && no_reset {
            self.weird("active_connection_reuse", "");
        } else if self.ts.saturating_sub(self.conn.last) < linger && no_reset {
            self.weird("premature_connection_reuse", "");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stop_at_the_first_that_does_not_fit() {
        let mut h = vec![0u8; 20];
        h.extend([2, 4, 5, 0xb4, 1, 3, 3, 7, 8, 10, 1]);
        assert_eq!(parse_options(&h).collect::<Vec<_>>(), [(2, 4), (1, 1), (3, 3)]);
        h.truncate(20);
        h.extend([0, 2, 4, 0, 0]);
        assert_eq!(parse_options(&h).collect::<Vec<_>>(), [(0, 1)]);
        assert_eq!(parse_options(&[0; 3]).count(), 0);
    }
}
