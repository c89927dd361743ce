//! A machine at work on streams: sets of states become numbers, and what a byte makes of one is looked up once it is known.
//!
//! A stream's place is a number, so nothing of its bytes is kept, and it may be fed in any pieces. Memory is bounded: when it
//! is used up, all goes that no stream stands on. If that is too little, no new set finds room, and who needs one is told.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::nfa::{Marks, Nfa, Set};

/// A place from which nothing can match any more.
pub const DEAD: u32 = TO_DEAD;

/// Not looked up yet.
const UNKNOWN: u32 = u32::MAX;
const TO_DEAD: u32 = u32::MAX - 1;
/// Expressions are complete there.
const ACCEPTS: u32 = 1 << 31;
/// What a set takes beside its states and its row, bytes.
const OVERHEAD: usize = 96;

/// There is no room for another set of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

#[derive(Debug, Default)]
struct State {
    set: Set,
    accepts: Set,
    /// Streams that stand on it.
    streams: u32,
    used: bool,
}

/// What is known of one machine.
#[derive(Debug)]
pub struct Dfa {
    states: Vec<State>,
    /// A row for each state, by class.
    rows: Vec<u32>,
    /// Binary logarithm of a row's length.
    shift: u32,
    index: HashTable<u32>,
    free: Vec<u32>,
    memory: usize,
    limit: usize,
    start: u32,
    /// Where nothing has begun yet that may begin anywhere; [`UNKNOWN`] if it is not known.
    base: u32,
    marks: Marks,
}

fn hash(set: &[u32]) -> u64 {
    FixedState::with_seed(0).hash_one(set)
}

impl Dfa {
    /// Of a machine, with so many bytes of memory, of which the first set needs some whatever the bound is.
    pub fn new(nfa: &Nfa, limit: usize) -> Dfa {
        let mut dfa = Dfa {
            states: Vec::new(),
            rows: Vec::new(),
            shift: nfa.class_count.next_power_of_two().trailing_zeros(),
            index: HashTable::new(),
            free: Vec::new(),
            memory: 0,
            limit,
            start: 0,
            base: UNKNOWN,
            marks: Marks::default(),
        };
        dfa.start = dfa.insert(nfa, nfa.start.clone());
        // It stays.
        dfa.hold(dfa.start);
        dfa
    }

    /// Where a stream begins; and what is complete there already.
    pub fn start(&self) -> (u32, &[u32]) {
        (self.start, self.accepts(self.start))
    }

    /// A stream stands here.
    pub fn hold(&mut self, place: u32) {
        if let Some(state) = self.states.get_mut(place as usize) {
            state.streams += 1;
        }
    }

    /// It does no more.
    pub fn release(&mut self, place: u32) {
        if let Some(state) = self.states.get_mut(place as usize) {
            state.streams = state.streams.saturating_sub(1);
        }
    }

    /// Takes a stream that stands on `from` through `bytes`, and says where it stands then; `complete` is given the
    /// expressions that are complete, and after how many bytes. Holds nothing.
    pub fn run(
        &mut self,
        nfa: &Nfa,
        from: u32,
        bytes: &[u8],
        mut complete: impl FnMut(&[u32], usize),
    ) -> Result<u32, NoRoom> {
        let mut at = from;
        // Some expressions stay complete for long.
        let mut told = UNKNOWN;
        let mut i = 0;
        if at == DEAD {
            return Ok(DEAD);
        }
        while let Some(byte) = bytes.get(i) {
            let class = usize::from(nfa.classes[usize::from(*byte)]);
            let to = self.rows.get(((at as usize) << self.shift) + class).copied();
            let mut to = to.unwrap_or(TO_DEAD);
            if to < ACCEPTS {
                at = to;
                i += 1;
                if at == self.base {
                    i += nfa.exits.before(bytes.get(i..).unwrap_or_default());
                }
                continue;
            }
            if to == UNKNOWN {
                to = self.look_up(nfa, at, class)?;
                // A number may be another set's now.
                told = UNKNOWN;
            }
            if to == TO_DEAD {
                return Ok(DEAD);
            }
            i += 1;
            at = to & !ACCEPTS;
            if to & ACCEPTS != 0 && told != at {
                complete(self.accepts(at), i);
                told = at;
            }
        }
        Ok(at)
    }

    /// The expressions that the end completes for a stream that stands there.
    pub fn at_end(&mut self, nfa: &Nfa, place: u32) -> Set {
        match self.states.get(place as usize).filter(|_| nfa.has_end) {
            Some(state) => nfa.accepted_at_end(&state.set, &mut self.marks),
            None => Set::default(),
        }
    }

    fn accepts(&self, place: u32) -> &[u32] {
        self.states.get(place as usize).map_or(&[], |s| &s.accepts)
    }

    fn look_up(&mut self, nfa: &Nfa, at: u32, class: usize) -> Result<u32, NoRoom> {
        let Some(state) = self.states.get(at as usize) else {
            return Ok(TO_DEAD);
        };
        let set = nfa.step(&state.set, class, &mut self.marks);
        let to = if set.is_empty() && !nfa.floats() {
            TO_DEAD
        } else {
            let known = self.index.find(hash(&set), |i| {
                self.states.get(*i as usize).is_some_and(|s| s.set == set)
            });
            let to = match known {
                Some(i) => *i,
                None => {
                    self.make_room(at, set.len())?;
                    self.insert(nfa, set)
                }
            };
            let accepts = !self.accepts(to).is_empty();
            to | if accepts { ACCEPTS } else { 0 }
        };
        if let Some(place) = self.rows.get_mut(((at as usize) << self.shift) + class) {
            *place = to;
        }
        Ok(to)
    }

    fn size(&self, set: usize) -> usize {
        (4 << self.shift) + 8 * set + OVERHEAD
    }

    /// Sees to it that a set of so many states has room. A stream is on its way at `at`.
    fn make_room(&mut self, at: u32, set: usize) -> Result<(), NoRoom> {
        let size = self.size(set);
        if self.memory + size <= self.limit {
            return Ok(());
        }
        self.hold(at);
        self.sweep();
        self.release(at);
        // With less than half of it free, one sweep would follow another.
        match self.memory + size <= self.limit && self.memory <= self.limit / 2 {
            true => Ok(()),
            false => Err(NoRoom),
        }
    }

    /// Drops all that no stream stands on.
    fn sweep(&mut self) {
        self.rows.fill(UNKNOWN);
        self.base = UNKNOWN;
        self.index.clear();
        self.free.clear();
        for (i, state) in self.states.iter_mut().enumerate() {
            if state.streams > 0 {
                self.index.insert_unique(hash(&state.set), i as u32, |_| 0);
            } else {
                *state = State::default();
            }
        }
        // The index was as large as this before: it was not grown, so nothing was hashed anew.
        while self.states.pop_if(|s| !s.used).is_some() {}
        let kept = self.states.len();
        self.rows.truncate(kept << self.shift);
        self.rows.shrink_to_fit();
        self.memory = 0;
        for i in 0..kept {
            match self.states.get(i).filter(|s| s.used).map(|s| s.set.len()) {
                Some(set) => self.memory += self.size(set),
                // Its row takes memory all the same.
                None => {
                    self.memory += 4 << self.shift;
                    self.free.push(i as u32);
                }
            }
        }
    }

    fn insert(&mut self, nfa: &Nfa, set: Set) -> u32 {
        let is_base = set.is_empty() && nfa.exits.are_few();
        let free = self.free.pop();
        self.memory += self.size(set.len()) - if free.is_some() { 4 << self.shift } else { 0 };
        let accepts = nfa.accepted(&set);
        let hashed = hash(&set);
        let state = State {
            set,
            accepts,
            streams: 0,
            used: true,
        };
        let i = match free {
            Some(i) => {
                if let Some(place) = self.states.get_mut(i as usize) {
                    *place = state;
                }
                i
            }
            None => {
                self.states.push(state);
                self.rows.resize(self.states.len() << self.shift, UNKNOWN);
                self.states.len() as u32 - 1
            }
        };
        let states = &self.states;
        self.index
            .insert_unique(hashed, i, |i| states.get(*i as usize).map_or(0, |s| hash(&s.set)));
        if is_base {
            self.base = i;
        }
        i
    }

    /// Streams that stand somewhere.
    #[cfg(test)]
    pub fn streams(&self) -> u32 {
        self.states.iter().map(|s| s.streams).sum()
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.memory
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern::parse;
    use super::*;

    fn machine(patterns: &[&str]) -> Nfa {
        let exprs: Vec<_> = patterns
            .iter()
            .map(|p| parse(p.as_bytes(), false).expect(p))
            .collect();
        Nfa::new((0..).zip(&exprs)).expect("a machine")
    }

    /// Which expressions were complete, and after how many bytes first.
    fn matches(nfa: &Nfa, dfa: &mut Dfa, pieces: &[&[u8]]) -> Vec<(u32, usize)> {
        let mut all: Vec<(u32, usize)> = dfa.start().1.iter().map(|p| (*p, 0)).collect();
        let (mut at, mut passed) = (dfa.start().0, 0);
        for piece in pieces {
            at = dfa
                .run(nfa, at, piece, |complete, n| {
                    for p in complete {
                        if !all.iter().any(|(q, _)| q == p) {
                            all.push((*p, passed + n));
                        }
                    }
                })
                .expect("room");
            passed += piece.len();
        }
        for p in dfa.at_end(nfa, at) {
            if !all.iter().any(|(q, _)| *q == p) {
                all.push((p, passed));
            }
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn expressions_match_from_the_beginning_on() {
        for (pattern, text, expected) in [
            ("ab", &b"abc"[..], Some(2)),
            ("ab", b"xab", None),
            (".*ab", b"xxab", Some(4)),
            (".*a.*b", b"a\nb", Some(3)),
            ("^ab", b"ab", Some(2)),
            ("x^ab", b"xab", None),
            ("ab$", b"ab", Some(2)),
            ("ab$", b"abc", None),
            (".*b$", b"abb", Some(3)),
            ("a|.*b", b"xb", Some(2)),
            ("", b"", Some(0)),
            (".*", b"", Some(0)),
            ("a{2,3}b", b"aaab", Some(4)),
            ("a{2,3}b", b"ab", None),
            (r"(^|.*\n)x", b"x", Some(1)),
            (r"(^|.*\n)x", b"ab\nx", Some(4)),
            (r"(^|.*\n)x", b"abx", None),
            ("[^a]", b"\n", Some(1)),
            ("(a*)*b", b"aab", Some(3)),
            ("a{0}b", b"b", Some(1)),
            ("((){9}){9}", b"", Some(0)),
        ] {
            let nfa = machine(&[pattern]);
            let mut dfa = Dfa::new(&nfa, 1 << 20);
            let got = matches(&nfa, &mut dfa, &[text]);
            assert_eq!(got.first().map(|(_, n)| *n), expected, "{pattern} in {text:?}");
        }
    }

    #[test]
    fn what_cannot_match_any_more_is_over() {
        let nfa = machine(&["GET", "POST"]);
        let mut dfa = Dfa::new(&nfa, 1 << 20);
        let start = dfa.start().0;
        assert_eq!(dfa.run(&nfa, start, b"HEAD", |_, _| {}), Ok(DEAD));
        let at = dfa.run(&nfa, start, b"PO", |_, _| {}).expect("room");
        assert_ne!(at, DEAD);
        let nfa = machine(&["GET", ".*x"]);
        let mut dfa = Dfa::new(&nfa, 1 << 20);
        let start = dfa.start().0;
        assert_ne!(dfa.run(&nfa, start, b"HEAD", |_, _| {}), Ok(DEAD));
    }

    /// Streams stand where the memory was swept, and go on from there.
    #[test]
    fn memory_is_bounded_and_streams_survive_that() {
        let nfa = machine(&[".*a.{8}b", ".*start.*end"]);
        let limit = 64 << 10;
        let mut dfa = Dfa::new(&nfa, limit);
        let mut found = false;
        let start = dfa.start().0;
        let waiting = dfa.run(&nfa, start, b"..start..", |_, _| {}).expect("room");
        dfa.hold(waiting);
        let mut at = start;
        let mut seed = 1u32;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = b"ab."[(seed >> 16) as usize % 3];
            at = dfa.run(&nfa, at, &[byte], |_, _| {}).expect("room");
            assert!(dfa.memory() <= limit);
        }
        let complete = |p: &[u32], _| found |= p.contains(&1);
        dfa.run(&nfa, waiting, b"..end", complete).expect("room");
        assert!(found);
    }

    #[test]
    fn without_room_that_is_said() {
        let nfa = machine(&[".*a.{12}b"]);
        let mut dfa = Dfa::new(&nfa, 16 << 10);
        let mut refused = false;
        let (mut at, mut seed) = (dfa.start().0, 1u32);
        for _ in 0..2000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match dfa.run(&nfa, at, &[b"a."[(seed >> 16) as usize % 2]], |_, _| {}) {
                Ok(to) => at = to,
                Err(NoRoom) => refused = true,
            }
            dfa.hold(at);
        }
        assert!(refused);
    }

    proptest! {
        /// However a stream is cut, the same expressions are complete after the same bytes, and a small memory finds
        /// what a large one does.
        #[test]
        fn pieces_do_not_matter(text in "[abcx\n]{0,60}", cuts in proptest::collection::vec(0usize..61, 0..5)) {
            let nfa = machine(&["ab", ".*bc", "a.{3}b", ".*x.{0,4}a", "a|.*cc", ".*a$", "[^a]+x", "(a|b)*c"]);
            let text = text.as_bytes();
            let whole = matches(&nfa, &mut Dfa::new(&nfa, 1 << 20), &[text]);
            let mut at: Vec<usize> = cuts.iter().map(|c| *c.min(&text.len())).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert_eq!(&matches(&nfa, &mut Dfa::new(&nfa, 1 << 20), &pieces), &whole);
            prop_assert_eq!(&matches(&nfa, &mut Dfa::new(&nfa, 6 << 10), &[text]), &whole);
        }
    }
}
