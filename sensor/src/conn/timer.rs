//! One wheel for all deadlines. Arming costs a push; cancelling nothing: a stale entry is recognised
//! when it comes up. Time jumps of any length cost no more than the entries they fire. A million entries that are
//! due at once, or come to another level at once, are gone through in as many steps as the caller likes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::Ts;

/// What a timer is for; the delays are in [`super::Timeouts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Looks whether a TCP connection is over that did not say so (Zeek: ExpireTimer).
    Expire,
    /// Looks whether a SYN was answered.
    Attempt,
    /// Looks whether the connection has been silent for too long.
    Inactivity,
    /// Looks whether the other side of a half-closed connection has closed as well.
    PartialClose,
    /// Ends a connection that was reset.
    Reset,
    /// A closed connection has lingered long enough.
    Delete,
    /// Looks whether a DNS exchange is over (Zeek: dns_session_timeout).
    Session,
    /// connection_status_update is due.
    Status,
    /// The connection has been open so long that it has a row of conn_long.log.
    Long,
}

/// The slot of the timer that belongs to no connection: it looks for tunnels that have expired.
pub const TUNNELS: u32 = u32::MAX;
/// The same for files of which nothing was heard for long.
pub const FILES: u32 = u32::MAX - 1;

/// All kinds, in the order of their numbers.
const KINDS: [Kind; 9] = [
    Kind::Expire,
    Kind::Attempt,
    Kind::Inactivity,
    Kind::PartialClose,
    Kind::Reset,
    Kind::Delete,
    Kind::Session,
    Kind::Status,
    Kind::Long,
];

/// A deadline of one connection. There are a few for every open connection, so it is kept small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due.
    pub at: Ts,
    /// The connection's place among all, or [`TUNNELS`] or [`FILES`].
    pub slot: u32,
    /// From the lowest bit: epoch (8), kind (4), generation (20).
    tag: u32,
}

impl Kind {
    /// Whether what happens depends on the flow's state.
    pub fn asks(self) -> bool {
        matches!(self, Kind::Inactivity | Kind::Session | Kind::Expire | Kind::Long)
    }
}

impl Timer {
    /// `generation` tells a connection from one that was in the slot before, by its lower 20 bits: a timer
    /// of a connection that is gone is void. `epoch` is the connection's for timers of this kind:
    /// cancelling increments it.
    pub fn new(at: Ts, slot: u32, generation: u32, kind: Kind, epoch: u8) -> Timer {
        Timer {
            at,
            slot,
            tag: generation << 12 | (kind as u32) << 8 | epoch as u32,
        }
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        KINDS[(self.tag >> 8 & 15) as usize % KINDS.len()]
    }
}

/// A tick is 2^23 ns (8.4 ms); the first level spans 2.1 s, each further one 256 times as much.
const TICK_SHIFT: u32 = 23;
const LEVELS: usize = 4;
const SLOTS: usize = 256;

/// Timers in no order, in blocks: there may be a million, of which none is moved for another.
#[derive(Clone, Default)]
struct Bag {
    blocks: Vec<Vec<Timer>>,
}

/// Most timers in a block.
const BLOCK: usize = 64;

impl Bag {
    fn push(&mut self, t: Timer) {
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(t),
            last => {
                let full = last.is_some();
                // Most slots have few.
                let mut block = Vec::with_capacity(if full { BLOCK } else { 4 });
                block.push(t);
                self.blocks.push(block);
            }
        }
    }

    fn pop(&mut self) -> Option<Timer> {
        let block = self.blocks.last_mut()?;
        let t = block.pop();
        if block.is_empty() {
            self.blocks.pop();
        }
        t
    }

    fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn empty_into(&mut self, all: &mut Vec<Timer>) {
        all.extend(std::mem::take(&mut self.blocks).into_iter().flatten());
    }
}

/// The timer wheel.
pub struct Wheel {
    /// Tick up to which entries have been moved to `due`.
    tick: u64,
    levels: Vec<Vec<Bag>>,
    /// What was in the slot that `tick` is the beginning of, and is still to be put elsewhere.
    moving: Bag,
    /// One bit per slot that is not empty.
    used: [[u64; SLOTS / 64]; LEVELS],
    /// Entries of ticks that have begun, earliest first.
    due: BinaryHeap<Reverse<Timer>>,
    /// Beyond the last level.
    far: Bag,
    /// The earliest of `far`; asked for with every packet, so it is kept.
    far_first: Ts,
    /// Nothing can be due before; asked for with every packet.
    next: Ts,
    len: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            tick: 0,
            levels: vec![vec![Bag::default(); SLOTS]; LEVELS],
            moving: Bag::default(),
            used: [[0; SLOTS / 64]; LEVELS],
            due: BinaryHeap::new(),
            far: Bag::default(),
            far_first: Ts::MAX,
            next: Ts::MAX,
            len: 0,
        }
    }
}

impl Wheel {
    /// Arms a timer.
    pub fn arm(&mut self, t: Timer) {
        if self.len == 0 {
            // Nothing is pending: the wheel may stand anywhere.
            self.tick = self.tick.max((t.at >> TICK_SHIFT).saturating_sub(1));
        }
        self.len += 1;
        self.next = self.next.min(t.at);
        self.place(t);
    }

    fn place(&mut self, t: Timer) {
        let tick = t.at >> TICK_SHIFT;
        if tick <= self.tick {
            self.due.push(Reverse(t));
            return;
        }
        for level in 0..LEVELS {
            let shift = 8 * level as u32;
            // Same block of the level above: it fits here.
            if tick >> (shift + 8) == self.tick >> (shift + 8) {
                let slot = (tick >> shift) as usize % SLOTS;
                self.levels[level][slot].push(t);
                self.used[level][slot / 64] |= 1 << (slot % 64);
                return;
            }
        }
        self.far_first = self.far_first.min(t.at);
        self.far.push(t);
    }

    /// A time before which nothing can be due; `Ts::MAX` with nothing pending.
    #[inline]
    pub fn next(&self) -> Ts {
        self.next
    }

    /// Timers that are armed, void ones as well.
    pub fn pending(&self) -> usize {
        self.len
    }

    fn earliest(&self) -> Ts {
        if !self.moving.is_empty() {
            return self.tick << TICK_SHIFT;
        }
        if let Some(Reverse(t)) = self.due.peek() {
            return t.at;
        }
        match self.next_block() {
            Some((_, tick)) => tick << TICK_SHIFT,
            None => Ts::MAX,
        }
    }

    /// The next entry that is due at `now`, in order of time. Each entry that is touched costs one of `steps`; without
    /// any left nothing comes, and there may be more.
    pub fn pop(&mut self, now: Ts, steps: &mut u64) -> Option<Timer> {
        let found = self.take(now, steps);
        if found.is_none() && *steps > 0 {
            self.next = self.earliest();
        }
        found
    }

    fn take(&mut self, now: Ts, steps: &mut u64) -> Option<Timer> {
        loop {
            while !self.moving.is_empty() {
                *steps = steps.checked_sub(1)?;
                if let Some(t) = self.moving.pop() {
                    self.place(t);
                }
            }
            match self.due.peek() {
                Some(Reverse(t)) if t.at <= now => {
                    *steps = steps.checked_sub(1)?;
                    self.len -= 1;
                    return self.due.pop().map(|Reverse(t)| t);
                }
                _ => {}
            }
            let (level, tick) = self.next_block()?;
            if tick > now >> TICK_SHIFT {
                return None;
            }
            self.tick = tick;
            self.moving = if level < LEVELS {
                let slot = (tick >> (8 * level as u32)) as usize % SLOTS;
                self.used[level][slot / 64] &= !(1 << (slot % 64));
                std::mem::take(&mut self.levels[level][slot])
            } else {
                self.far_first = Ts::MAX;
                std::mem::take(&mut self.far)
            };
        }
    }

    /// Those of some kinds that are due at `now`, in order of time; all stay.
    pub fn due_of(&self, kinds: &[Kind], now: Ts) -> Vec<Timer> {
        let mut found = Vec::new();
        if now < self.next {
            return found;
        }
        let mut look = |t: &Timer| {
            if t.at <= now && kinds.contains(&t.kind()) {
                found.push(*t);
            }
        };
        self.due.iter().for_each(|Reverse(t)| look(t));
        let bags = self.levels.iter().flatten().chain([&self.moving, &self.far]);
        bags.flat_map(|bag| bag.blocks.iter().flatten()).for_each(look);
        found.sort_unstable();
        found
    }

    /// Removes all that is pending, in order of time.
    pub fn drain(&mut self) -> Vec<Timer> {
        let mut all: Vec<Timer> = self.due.drain().map(|Reverse(t)| t).collect();
        let slots = self.levels.iter_mut().flatten();
        slots.for_each(|slot| slot.empty_into(&mut all));
        self.moving.empty_into(&mut all);
        self.far.empty_into(&mut all);
        self.far_first = Ts::MAX;
        self.used = Default::default();
        self.next = Ts::MAX;
        self.len = 0;
        all.sort_unstable();
        all
    }

    /// The level and first tick of the next slot that is not empty.
    fn next_block(&self) -> Option<(usize, u64)> {
        for level in 0..LEVELS {
            let shift = 8 * level as u32;
            let here = (self.tick >> shift) as usize % SLOTS;
            if let Some(slot) = self.next_used(level, here + 1) {
                let base = self.tick >> (shift + 8) << (shift + 8);
                return Some((level, base + ((slot as u64) << shift)));
            }
        }
        (!self.far.is_empty()).then_some((LEVELS, self.far_first >> TICK_SHIFT))
    }

    fn next_used(&self, level: usize, from: usize) -> Option<usize> {
        (from / 64..SLOTS / 64).find_map(|w| {
            let mut bits = self.used[level][w];
            if w == from / 64 {
                bits &= u64::MAX << (from % 64);
            }
            (bits != 0).then(|| w * 64 + bits.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timer(at: Ts, slot: u32) -> Timer {
        Timer::new(at, slot, 0, Kind::Expire, 0)
    }

    #[test]
    fn a_timer_keeps_what_it_is_for() {
        for (n, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, n);
            assert_eq!(Timer::new(7, 3, u32::MAX, kind, 255).kind(), kind);
        }
        assert_ne!(
            Timer::new(7, 3, 1, Kind::Delete, 0),
            Timer::new(7, 3, 2, Kind::Delete, 0)
        );
        assert_ne!(
            Timer::new(7, 3, 1, Kind::Delete, 0),
            Timer::new(7, 3, 1, Kind::Delete, 1)
        );
    }

    proptest! {
        #[test]
        fn fires_all_in_order_and_none_early(
            steps in prop::collection::vec((0u64..40_000_000_000, prop::collection::vec(0u64..4_000_000_000_000, 0..4)), 1..40),
        ) {
            let mut wheel = Wheel::default();
            let mut model: Vec<Ts> = Vec::new();
            let mut now = 1_700_000_000_000_000_000;
            let mut n = 0;
            for (step, delays) in steps {
                now += step;
                let mut want: Vec<Ts> = model.iter().copied().filter(|t| *t <= now).collect();
                want.sort_unstable();
                model.retain(|t| *t > now);
                prop_assert!(want.first().is_none_or(|t| wheel.next() <= *t));
                let mut got = Vec::new();
                // In as small steps as may be.
                loop {
                    let mut steps = 2;
                    match wheel.pop(now, &mut steps) {
                        Some(t) => got.push(t.at),
                        None if steps == 0 => prop_assert!(wheel.next() <= now),
                        None => break,
                    }
                }
                prop_assert!(wheel.next() > now);
                prop_assert_eq!(got, want);
                for d in delays {
                    model.push(now + d);
                    wheel.arm(timer(now + d, n));
                    n += 1;
                }
            }
            model.sort_unstable();
            let rest: Vec<Ts> = wheel.drain().iter().map(|t| t.at).collect();
            prop_assert_eq!(rest, model);
        }
    }

    #[test]
    fn a_million_due_at_once_are_gone_through_in_steps() {
        let mut wheel = Wheel::default();
        let (at, n) = (1_000_000_000_000, 20_000);
        wheel.arm(timer(1_000_000_000, 0));
        (1..n).for_each(|slot| wheel.arm(timer(at, slot)));
        let mut fired = Vec::new();
        let mut calls = 0;
        while fired.len() < n as usize {
            let (before, waiting) = (fired.len(), wheel.due.len());
            let mut steps = 100;
            while let Some(t) = wheel.pop(at, &mut steps) {
                fired.push(t.slot);
            }
            let moved = (wheel.due.len() + fired.len() - before).saturating_sub(waiting);
            assert!(fired.len() - before <= 100 && moved <= 100, "{moved}");
            calls += 1;
        }
        // They came down from the third level.
        assert!((400..1000).contains(&calls), "{calls}");
        assert!(fired.is_sorted() && fired.len() == n as usize);
    }

    #[test]
    fn what_lies_beyond_the_last_level_is_not_lost() {
        let mut wheel = Wheel::default();
        // All levels end here.
        let end = 1u64 << (TICK_SHIFT + 8 * LEVELS as u32);
        wheel.arm(timer(end - 1_000_000_000, 0));
        for n in 1..4 {
            wheel.arm(timer(end + n * 1_000_000_000, n as u32));
        }
        let pop = |wheel: &mut Wheel, now| wheel.pop(now, &mut { u64::MAX });
        assert_eq!(pop(&mut wheel, end - 1).map(|t| t.slot), Some(0));
        assert!(pop(&mut wheel, end - 1).is_none() && wheel.next() <= end + 1_000_000_000);
        assert!(wheel.next() > end - 1_000_000_000);
        let slots: Vec<u32> = std::iter::from_fn(|| pop(&mut wheel, Ts::MAX))
            .map(|t| t.slot)
            .collect();
        assert_eq!(slots, [1, 2, 3]);
        assert_eq!(wheel.next(), Ts::MAX);
    }
}
