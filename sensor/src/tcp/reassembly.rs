//! Reassembly of one direction: segments in any order in, the stream in order out.
//!
//! In-order bytes pass through as slices of the record; only bytes beyond a hole are kept. A
//! segment may come without its bytes (shed, or cut by the capture's snap length): its place in the
//! stream is known all the same. What is decided to be a gap follows the peer's acknowledgements, as in
//! Zeek's `TCP_Reassembler`. Numbers are relative: the first payload byte is 1.

use std::collections::BTreeMap;

use super::kept;

/// What a reassembler hands out, in stream order.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Bytes of the stream.
    Data {
        /// Relative number of the first one.
        seq: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Bytes that were seen, but not forwarded or not captured.
    Unseen {
        /// Relative number of the first one.
        seq: u64,
        /// How many.
        len: u64,
    },
    /// Bytes that never came and were acknowledged.
    Gap {
        /// Relative number of the first one.
        seq: u64,
        /// How many.
        len: u64,
    },
}

/// Memory that a held segment takes beside its bytes, roughly.
const SEGMENT_COST_BYTES: u64 = 64;

/// Counts steps of work, for the test that there are not too many.
#[cfg(test)]
mod work {
    use std::cell::Cell;

    thread_local! {
        pub static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    pub fn step() {
        STEPS.set(STEPS.get() + 1);
    }
}

#[cfg(not(test))]
mod work {
    #[inline(always)]
    pub fn step() {}
}

#[derive(Debug)]
struct Held {
    len: u64,
    bytes: Option<Box<[u8]>>,
}

impl Held {
    fn step(&self, seq: u64, from: u64) -> Step<'_> {
        match &self.bytes {
            Some(b) => Step::Data {
                seq: from,
                bytes: &b[(from - seq) as usize..],
            },
            None => Step::Unseen {
                seq: from,
                len: seq + self.len - from,
            },
        }
    }
}

/// The reassembler of one direction.
#[derive(Debug)]
pub struct Reassembler {
    /// All before this has been handed out or given up (Zeek: last_reassem_seq).
    next: u64,
    /// All before this has been acknowledged (Zeek: trim_seq).
    trim: u64,
    /// Set while segments beyond `next` are known, and once deliveries are over. Most directions never have it.
    beyond: Option<Box<Beyond>>,
}

/// Segments that came beyond a hole.
#[derive(Debug, Default)]
struct Beyond {
    held: BTreeMap<u64, Held>,
    /// Sequence space that is held, with bytes or without.
    len: u64,
    /// Bytes kept in memory.
    bytes: u64,
    /// End of the highest segment, also of one that was not kept.
    top: u64,
    /// Deliveries are over; then all other fields are empty.
    over: bool,
}

impl Default for Reassembler {
    fn default() -> Self {
        Reassembler {
            next: 1,
            trim: 1,
            beyond: None,
        }
    }
}

impl Reassembler {
    /// Next byte to be handed out.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// All before this has been acknowledged.
    pub fn trim(&self) -> u64 {
        self.trim
    }

    /// Whether deliveries are over (Zeek: skip_deliveries).
    pub fn is_over(&self) -> bool {
        self.beyond.as_ref().is_some_and(|b| b.over)
    }

    /// Whether segments are waiting for an acknowledgement (Zeek: HasUndeliveredData).
    pub fn has_blocks(&self) -> bool {
        match &self.beyond {
            Some(b) => b.top > self.trim,
            None => self.next > self.trim,
        }
    }

    /// Bytes from the first undelivered to the highest seen.
    pub fn undelivered(&self) -> u64 {
        match &self.beyond {
            Some(b) if b.top > self.trim => b.top.wrapping_sub(self.next),
            _ => 0,
        }
    }

    /// Bytes seen and not acknowledged.
    pub fn unacked(&self) -> u64 {
        let (top, held) = match &self.beyond {
            Some(b) => (b.top, b.len),
            None => (self.next, 0),
        };
        top.min(self.next).saturating_sub(self.trim) + held
    }

    /// The segments that wait beyond holes, in order: relative number of the first byte, length, and the bytes if they are at
    /// hand.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, u64, Option<&[u8]>)> {
        let held = self.beyond.iter().flat_map(|b| &b.held);
        held.map(|(seq, h)| (*seq, h.len, h.bytes.as_deref()))
    }

    /// Compares `bytes` at `seq` with the bytes that wait beyond holes. Where they differ, hands out both, a piece at a time.
    pub fn compare(&self, seq: u64, bytes: &[u8], out: &mut dyn FnMut(&[u8], &[u8])) {
        let Some(b) = &self.beyond else { return };
        let first = b.held.range(..=seq).next_back().map_or(seq, |h| *h.0);
        for (start, held) in b.held.range(first..) {
            work::step();
            if *start >= seq.saturating_add(bytes.len() as u64) {
                break;
            }
            if let Some(old) = &held.bytes {
                kept::compare(*start, old, seq, bytes, out);
            }
        }
    }

    /// Memory that waiting segments take, bytes, roughly.
    pub fn memory(&self) -> u64 {
        self.beyond
            .as_ref()
            .map_or(0, |b| b.bytes + SEGMENT_COST_BYTES * b.held.len() as u64)
    }

    /// Segments that wait.
    pub fn segments(&self) -> usize {
        self.beyond.as_ref().map_or(0, |b| b.held.len())
    }

    /// End of the highest segment.
    pub fn top(&self) -> u64 {
        self.beyond.as_ref().map_or(self.next, |b| b.top.max(self.next))
    }

    /// Drops what is kept and ends deliveries.
    pub fn stop(&mut self) {
        self.beyond = Some(Box::new(Beyond {
            over: true,
            ..Beyond::default()
        }));
    }

    /// Forgets what has been delivered, acknowledged or not.
    pub fn trim_delivered(&mut self) {
        self.trim = self.trim.max(self.next);
    }

    /// Steps over the sequence numbers of FINs, which carry no bytes, when the stream has come to one of them.
    pub fn pass(&mut self, without: &[u64], out: &mut dyn FnMut(Step<'_>)) {
        while !self.is_over() && without.contains(&self.next) {
            self.next += 1;
            self.deliver_held(out);
        }
    }

    /// A segment of `len` bytes at `seq`; `bytes` if they are at hand (then `bytes.len() == len`).
    pub fn segment(&mut self, seq: u64, len: u64, bytes: Option<&[u8]>, out: &mut dyn FnMut(Step<'_>)) {
        let Some(end) = seq.checked_add(len) else { return };
        if end <= self.trim || len == 0 || self.is_over() {
            return;
        }
        let mut at = seq.max(self.next);
        let part = |from: u64, to: u64| bytes.map(|b| &b[(from - seq) as usize..(to - seq) as usize]);
        if at == self.next {
            // Continues the stream. What is held was seen first and wins where both have bytes.
            if let Some(b) = &mut self.beyond {
                b.top = b.top.max(end);
            }
            while at < end {
                work::step();
                let to = self.first_held().map_or(end, |h| end.min(h));
                if to > at {
                    self.next = to;
                    match part(at, to) {
                        Some(bytes) => out(Step::Data { seq: at, bytes }),
                        None => out(Step::Unseen {
                            seq: at,
                            len: to - at,
                        }),
                    }
                }
                self.deliver_held(out);
                at = self.next;
            }
            self.deliver_held(out);
            return;
        }
        // Beyond a hole: keep what is not held yet.
        let b = self.beyond.get_or_insert_default();
        b.top = b.top.max(end);
        if let Some((s, h)) = b.held.range(..=at).next_back() {
            at = at.max(s + h.len);
        }
        while at < end {
            work::step();
            let following = b.held.range(at..).next().map(|(s, h)| (*s, s + h.len));
            let to = following.map_or(end, |(s, _)| s.min(end));
            if to > at {
                let bytes: Option<Box<[u8]>> = part(at, to).map(Into::into);
                b.bytes += bytes.as_ref().map_or(0, |b| b.len() as u64);
                b.len += to - at;
                b.held.insert(at, Held { len: to - at, bytes });
            }
            at = following.map_or(end, |(_, e)| e.max(to));
        }
    }

    /// Where the first held segment begins.
    fn first_held(&self) -> Option<u64> {
        let (seq, _) = self.beyond.as_ref()?.held.first_key_value()?;
        Some(*seq)
    }

    /// Hands out what is held and continues the stream.
    fn deliver_held(&mut self, out: &mut dyn FnMut(Step<'_>)) {
        let Some(b) = &mut self.beyond else { return };
        while let Some(first) = b.held.first_entry() {
            work::step();
            let seq = *first.key();
            if seq > self.next {
                break;
            }
            let h = first.remove();
            b.bytes -= h.bytes.as_ref().map_or(0, |b| b.len() as u64);
            b.len -= h.len;
            let end = seq + h.len;
            if end > self.next {
                let from = self.next;
                self.next = end;
                out(h.step(seq, from));
            }
        }
        if b.held.is_empty() && b.top <= self.next && !b.over {
            self.beyond = None;
        }
    }

    /// The peer acknowledged all before `seq`. `forgive`: the connection's start was not seen, so its first two numbers are
    /// made up and do not count as missing.
    pub fn ack(&mut self, seq: u64, forgive: bool, out: &mut dyn FnMut(Step<'_>)) {
        if seq <= self.trim {
            return;
        }
        if seq > self.next && !(forgive && seq <= 2) {
            self.give_up(seq, out);
        }
        self.trim = seq;
        self.deliver_held(out);
    }

    /// Gives up on the bytes that are missing before `to`: they become a gap.
    pub fn give_up(&mut self, to: u64, out: &mut dyn FnMut(Step<'_>)) {
        if !self.is_over() {
            while let Some(seq) = self.first_held().filter(|seq| *seq < to) {
                work::step();
                self.gap(seq, out);
                self.deliver_held(out);
            }
            self.gap(to, out);
        }
        self.next = self.next.max(to);
    }

    /// Gives up on the bytes that are missing before the first held segment.
    pub fn give_up_first(&mut self, out: &mut dyn FnMut(Step<'_>)) -> bool {
        let Some(seq) = self.first_held() else {
            return false;
        };
        self.give_up(seq, out);
        self.deliver_held(out);
        true
    }

    fn gap(&mut self, to: u64, out: &mut dyn FnMut(Step<'_>)) {
        if to > self.next {
            let (seq, len) = (self.next, to - self.next);
            self.next = to;
            out(Step::Gap { seq, len });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The byte at a place of the test's stream.
    fn byte(seq: u64) -> u8 {
        (seq.wrapping_mul(2_654_435_761) >> 7) as u8
    }

    #[derive(Default)]
    struct Stream {
        at: u64,
        gaps: Vec<(u64, u64)>,
    }

    impl Stream {
        fn take(&mut self, step: Step<'_>) {
            let (seq, len) = match step {
                Step::Data { seq, bytes } => {
                    for (i, b) in bytes.iter().enumerate() {
                        assert_eq!(*b, byte(seq + i as u64));
                    }
                    (seq, bytes.len() as u64)
                }
                Step::Gap { seq, len } => {
                    self.gaps.push((seq, len));
                    (seq, len)
                }
                Step::Unseen { .. } => panic!("all bytes were given"),
            };
            assert_eq!(seq, self.at + 1, "in order, nothing twice");
            self.at += len;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        /// Random segments, reordered, doubled, overlapping and lost, with acks in between, against
        /// a bitmap of what arrived before it was acknowledged.
        #[test]
        fn agrees_with_the_model(
            ops in prop::collection::vec((0u64..200, 1u64..40, prop::bool::weighted(0.25)), 1..60),
        ) {
            let mut r = Reassembler::default();
            let mut stream = Stream::default();
            let mut have = [false; 512];
            let mut next = 1usize;
            let mut acked = 1u64;
            let mut lost = 0u64;
            for (seq, len, ack) in ops {
                let seq = seq + 1;
                if ack {
                    acked = acked.max(seq + len);
                    r.ack(seq + len, false, &mut |s| stream.take(s));
                    while next < (seq + len) as usize {
                        lost += !have[next] as u64;
                        next += 1;
                    }
                } else if seq + len > acked {
                    let bytes: Vec<u8> = (seq..seq + len).map(byte).collect();
                    r.segment(seq, len, Some(&bytes), &mut |s| stream.take(s));
                    for i in seq.max(next as u64)..seq + len {
                        have[i as usize] = true;
                    }
                }
                while have[next] {
                    next += 1;
                }
                prop_assert_eq!(stream.at + 1, next as u64);
                prop_assert_eq!(r.next(), next as u64);
            }
            prop_assert_eq!(stream.gaps.iter().map(|g| g.1).sum::<u64>(), lost);
        }
    }

    /// Work done for these segments of ten bytes each, with the stream's end.
    fn work_for(order: impl Iterator<Item = u64>) -> u64 {
        let mut r = Reassembler::default();
        let mut delivered = 0;
        work::STEPS.set(0);
        for i in order {
            let seq = 1 + 10 * i;
            let bytes: Vec<u8> = (seq..seq + 10).map(byte).collect();
            r.compare(seq, &bytes, &mut |_, _| panic!("nothing differs"));
            r.segment(seq, 10, Some(&bytes), &mut |s| {
                let Step::Data { bytes, .. } = s else {
                    panic!("data")
                };
                delivered += bytes.len() as u64;
            });
        }
        assert_eq!(delivered + 1, r.next());
        assert_eq!((r.memory(), r.segments()), (0, 0));
        work::STEPS.get()
    }

    #[test]
    fn work_grows_with_the_segments_and_not_with_their_square() {
        for k in [500, 4000u64] {
            let backwards = work_for((0..k).rev());
            let combed = work_for((0..k).filter(|i| i % 2 == 1).chain((0..k).filter(|i| i % 2 == 0)));
            // Scattered, each twice.
            let scattered = work_for((0..2 * k).map(|i| i * 7919 % k));
            for steps in [backwards, combed, scattered] {
                assert!(steps <= 6 * k, "{steps} steps for {k} segments");
            }
        }
    }
}
