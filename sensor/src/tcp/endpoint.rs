//! One side of a TCP connection: its state and where it stands in sequence space.
//!
//! Sequence numbers relative to the connection's start are 64 bits wide; the SYN has 0 and the first
//! payload byte 1, also where no SYN was seen.

use sensor_common::flow::extend;

use crate::event::Ts;

/// Zeek's endpoint states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing was seen of it.
    #[default]
    Inactive,
    /// It sent a SYN.
    SynSent,
    /// It sent a SYN that acknowledges the peer's.
    SynAckSent,
    /// Its first packet was no SYN.
    Partial,
    /// Its handshake is complete.
    Established,
    /// It sent a FIN.
    Closed,
    /// It sent a RST.
    Reset,
}

/// One side.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Its state now.
    pub state: State,
    /// The state before this one.
    pub prev_state: State,
    /// It has closed, by FIN or RST.
    pub did_close: bool,
    /// Shift of the window scale option, at most 14.
    pub window_scale: u8,
    /// Initial sequence number.
    pub start_seq: u32,
    /// One past the last byte sent.
    pub last_seq: u32,
    /// How often `last_seq` wrapped.
    pub seq_wraps: u32,
    /// Highest acknowledgement of this side's bytes by its peer.
    pub ack_seq: u32,
    /// How often `ack_seq` wrapped.
    pub ack_wraps: u32,
    /// Advertised window, scaled, bytes.
    pub window: u32,
    /// Acknowledgement number of the packet that announced the window.
    pub window_ack_seq: u32,
    /// Sequence number of that packet.
    pub window_seq: u32,
    /// Fields that most open connections do not need, allocated when one of them is.
    pub rare: Option<Box<Rare>>,
}

/// What a side needs once it closes, once something goes wrong, or for conn_stats.
#[derive(Clone, Debug, Default)]
pub struct Rare {
    /// Relative number one past the last FIN.
    pub fin_seq: u64,
    /// Relative numbers of its FINs.
    pub fins: Fins,
    /// Relative number up to which the peer acknowledged bytes that were not seen yet but may still come; 0 if none.
    pub ahead_ack: u64,
    /// That acknowledgement is one of those that are counted.
    pub ahead_counts: bool,
    /// Initial sequence number of an earlier SYN-ACK, which another one replaced before the peer acknowledged either.
    pub other_start: Option<u32>,
    /// FINs seen.
    pub fin_cnt: u32,
    /// RSTs seen.
    pub rst_cnt: u32,
    /// Relative number of the last SYN that history has seen.
    pub hist_syn: u64,
    /// Relative number of the last FIN that history has seen.
    pub hist_fin: u64,
    /// Relative number of the last RST that history has seen.
    pub hist_rst: u64,
    /// Gaps in its stream, for history.
    pub gaps: Scaled,
    /// Packets with a wrong checksum, for history.
    pub bad_checksums: Scaled,
    /// Retransmissions, for history.
    pub rexmits: Scaled,
    /// Windows of zero, for history.
    pub zero_windows: Scaled,
    /// Time of the side's last packet since this was allocated, ns; 0 if none.
    pub last_time: Ts,
    /// For conn_stats: payload packets beyond a hole or filling one.
    pub out_of_order: u32,
    /// Of these, those that moved the highest sequence number; the others count as retransmissions, too.
    pub ahead: u32,
    /// For conn_stats: packets seen twice, with the same IP id, sequence number and length.
    pub replicas: u32,
    /// (IP id, sequence number, payload length) of the last packet seen.
    pub last_packet: (u16, u32, u32),
}

/// Relative sequence numbers that FINs took: they take sequence space and carry no byte. A regular side sends one; of a side
/// that sends more, the first four are remembered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fins {
    at: [u64; 4],
    n: u8,
}

impl Fins {
    /// A FIN took this number.
    pub fn add(&mut self, at: u64) {
        if !self.all().contains(&at)
            && let Some(free) = self.at.get_mut(self.n as usize)
        {
            *free = at;
            self.n += 1;
        }
    }

    /// In the order in which they came.
    pub fn all(&self) -> &[u64] {
        self.at.get(..self.n as usize).unwrap_or_default()
    }

    /// Splits a missing range at the FINs in it into parts that are bytes: relative number and length of each.
    pub fn without(&self, seq: u64, len: u64) -> impl Iterator<Item = (u64, u64)> {
        let end = seq.saturating_add(len);
        let mut fins = *self;
        fins.at
            .get_mut(..self.n as usize)
            .unwrap_or_default()
            .sort_unstable();
        let mut at = seq;
        let ends = (0..self.n as usize).filter_map(move |i| fins.at.get(i).copied());
        let ends = ends.filter(move |f| (seq..end).contains(f)).chain([end]);
        ends.filter_map(move |f| {
            let part = (at, f - at);
            at = f.saturating_add(1);
            (part.1 > 0).then_some(part)
        })
    }
}

/// A counter that makes a mark at 1, 10, 100, ... (Zeek: ScaledHistoryEntry).
#[derive(Clone, Copy, Debug, Default)]
pub struct Scaled(u32);

impl Scaled {
    /// Counts one. Returns the threshold if it was just reached.
    pub fn count(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(1);
        let n = self.0;
        (n != 0 && n == 10u32.pow(n.ilog10())).then_some(n as u64)
    }
}

/// `a - b` in sequence space.
pub fn seq_delta(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Endpoint {
    /// The fields that are rarely needed, allocated if they are not there.
    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// See [`Rare::ahead_ack`].
    pub fn ahead_ack(&self) -> Option<u64> {
        let ack = self.rare.as_ref()?.ahead_ack;
        (ack != 0).then_some(ack)
    }

    /// FINs seen.
    pub fn fins(&self) -> u32 {
        self.rare.as_ref().map_or(0, |r| r.fin_cnt)
    }

    /// Remembers the relative number of a SYN, FIN or RST. True if it differs from the last one.
    pub fn moved(&mut self, last: impl FnOnce(&mut Rare) -> &mut u64, rel: u64) -> bool {
        // A connection's first SYN is at 0, where all begin.
        (rel != 0 || self.rare.is_some()) && std::mem::replace(last(self.rare()), rel) != rel
    }

    fn full(seq: u32, wraps: u32) -> u64 {
        ((wraps as u64) << 32) + seq as u64
    }

    /// `seq` after `wraps` wraps, relative to the start.
    pub fn relative(&self, seq: u32, wraps: u32) -> u64 {
        Self::full(seq, wraps).wrapping_sub(self.start_seq as u64)
    }

    /// `seq` relative to the start: the number nearest to `last` after `wraps` wraps. The flag tells that it lies before
    /// the start.
    pub fn relative_near(&self, seq: u32, last: u32, wraps: u32) -> (u64, bool) {
        let rel = extend(Self::full(last, wraps), seq).wrapping_sub(self.start_seq as u64);
        (rel, (rel as i64) < 0)
    }

    /// [`Endpoint::relative_near`] what it sent last.
    pub fn relative_seq(&self, seq: u32) -> (u64, bool) {
        self.relative_near(seq, self.last_seq, self.seq_wraps)
    }

    /// [`Endpoint::relative_near`] what the peer acknowledged last.
    pub fn relative_ack(&self, ack: u32) -> (u64, bool) {
        self.relative_near(ack, self.ack_seq, self.ack_wraps)
    }

    /// The highest acknowledged byte, relative.
    pub fn acked(&self) -> u64 {
        self.relative(self.ack_seq, self.ack_wraps)
    }

    /// One past the last byte sent, relative.
    pub fn sent(&self) -> u64 {
        self.relative(self.last_seq, self.seq_wraps)
    }

    /// The side begins at `start` and has sent up to `last`; the peer has acknowledged nothing.
    pub fn init(&mut self, start: u32, last: u32) {
        self.start_seq = start;
        (self.ack_seq, self.ack_wraps) = (start, 0);
        (self.last_seq, self.seq_wraps) = (last, (last < start) as u32);
    }

    /// The side has sent up to `seq`; a smaller number than `last_seq` has wrapped.
    pub fn update_last_seq(&mut self, seq: u32) {
        if seq < self.last_seq {
            self.seq_wraps = self.seq_wraps.wrapping_add(1);
        }
        self.last_seq = seq;
    }

    /// The peer has acknowledged up to `seq`; a smaller number than `ack_seq` has wrapped.
    pub fn update_ack_seq(&mut self, seq: u32) {
        if seq < self.ack_seq {
            self.ack_wraps = self.ack_wraps.wrapping_add(1);
        }
        self.ack_seq = seq;
    }

    /// Moves on by `bytes`, which the datapath saw in order up to `seq` and did not forward. Returns the relative number at
    /// which they began. `seq` decides, because the datapath may have begun to count elsewhere; `bytes` only tells how often it
    /// wrapped.
    pub fn skip_sent(&mut self, bytes: u64, seq: u32) -> Option<u64> {
        let last = Self::full(self.last_seq, self.seq_wraps);
        let to = Self::skip(last, bytes, seq)?;
        if to > last {
            (self.last_seq, self.seq_wraps) = (to as u32, (to >> 32) as u32);
        }
        to.checked_sub(bytes)?.checked_sub(self.start_seq as u64)
    }

    /// Moves the acknowledgement on likewise.
    pub fn skip_acked(&mut self, bytes: u64, ack: u32) {
        let last = Self::full(self.ack_seq, self.ack_wraps);
        if let Some(to) = Self::skip(last, bytes, ack)
            && to > last
        {
            (self.ack_seq, self.ack_wraps) = (to as u32, (to >> 32) as u32);
        }
    }

    fn skip(last: u64, bytes: u64, seq: u32) -> Option<u64> {
        let to = extend(last.checked_add(bytes)?, seq);
        // Not before the beginning of all numbers.
        (to < u64::MAX / 2).then_some(to)
    }

    /// Whether the peer acknowledged nothing, or the SYN alone.
    pub fn no_data_acked(&self) -> bool {
        let ack = Self::full(self.ack_seq, self.ack_wraps);
        ack == self.start_seq as u64 || ack == self.start_seq as u64 + 1
    }

    /// Active and not closed.
    pub fn is_active(&self) -> bool {
        self.state != State::Inactive && !self.did_close
    }

    /// Payload bytes by sequence numbers (Zeek: TCP_Endpoint::Size).
    pub fn size(&self, peer: &Endpoint) -> u64 {
        if self.prev_state == State::SynSent
            && self.state == State::Reset
            && peer.state == State::Inactive
            && !self.no_data_acked()
        {
            // A half-open connection was discovered and aborted: its numbers mean nothing.
            return 0;
        }
        let last = Self::full(self.last_seq, self.seq_wraps);
        let ack = Self::full(self.ack_seq, self.ack_wraps);
        let mut size = last.max(ack).wrapping_sub(self.start_seq as u64);
        size = size.saturating_sub(1);
        if self.fins() > 0 && size != 0 {
            size -= 1;
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_marks_powers_of_ten() {
        let mut s = Scaled::default();
        let marks: Vec<u64> = (0..1500).filter_map(|_| s.count()).collect();
        assert_eq!(marks, [1, 10, 100, 1000]);
    }

    #[test]
    fn what_a_fin_took_is_not_missing() {
        let mut fins = Fins::default();
        let parts = |fins: &Fins, seq, len| fins.without(seq, len).collect::<Vec<_>>();
        assert_eq!(parts(&fins, 5, 10), [(5, 10)]);
        for at in [20, 7, 20, 5] {
            fins.add(at);
        }
        assert_eq!(fins.all(), [20, 7, 5]);
        assert_eq!(parts(&fins, 5, 16), [(6, 1), (8, 12)]);
        assert_eq!(parts(&fins, 7, 1), []);
        for at in 0..100 {
            fins.add(at);
        }
        assert_eq!(fins.all().len(), 4);
    }

    #[test]
    fn a_number_beyond_two_gibibytes_is_not_before_the_start() {
        let mut e = Endpoint::default();
        e.init(123, 124);
        e.update_last_seq(0x7fff_fff0);
        e.update_last_seq(0x9000_0000);
        assert_eq!(e.relative_seq(0x9000_0010), (0x9000_0010 - 123, false));
        assert_eq!(e.relative_seq(0x7000_0000), (0x7000_0000 - 123, false));
        // The first number may be the last one before a wrap.
        e.init(u32::MAX, 0);
        assert_eq!((e.sent(), e.relative_seq(0)), (1, (1, false)));
        e.init(123, 0x9000_0000);
        // As the last acknowledgement stands where it began, this one is before it.
        assert!(e.relative_ack(0x9000_0000).1);
    }

    #[test]
    fn sequence_space_wraps() {
        let mut e = Endpoint::default();
        e.init(0xffff_fff0, 0xffff_fff1);
        e.update_last_seq(0x10);
        assert_eq!(e.sent(), 0x20);
        assert_eq!(e.relative_seq(0x10), (0x20, false));
        assert_eq!(e.relative_seq(0xffff_fff8), (8, false));
        assert_eq!(e.skip_sent(0x2_0000_0000, 0x10), Some(0x20));
        assert_eq!(e.sent(), 0x2_0000_0020);
    }

    #[test]
    fn the_number_decides_where_a_skip_leads() {
        let mut e = Endpoint::default();
        e.init(1044, 1045);
        // The datapath counted these from 1000.
        e.skip_acked(1002, 2002);
        assert_eq!(e.acked(), 2002 - 1044);
        assert_eq!(e.skip_sent(5, 1050), Some(1));
        assert_eq!(e.skip_sent(10, 1040), None);
        assert_eq!(e.sent(), 6);
    }
}
