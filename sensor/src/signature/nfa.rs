//! Many expressions as one machine that may be in several states at a time. Knows no stream; `dfa` runs it.
//!
//! A state waits for a byte, for the end, or says that an expression is complete. What an expression is matched with begins
//! only once, so `^` costs nothing: it leads on before the first byte. Expressions that may begin anywhere (`.*…`) share
//! one beginning, which is there at every byte and in no set of states: with thousands of them a set is still small.

use std::collections::HashMap;

use super::exits::Exits;
use super::pattern::{ByteSet, Expr};

/// Most states that one expression may take.
pub const MAX_PATTERN: usize = 50_000;
/// Most states of one machine.
pub const MAX_STATES: usize = 4_000_000;

/// A state.
#[derive(Clone, Debug)]
enum Node {
    /// A byte of this set leads on.
    Byte { set: u32, next: u32 },
    /// The end leads on.
    End { next: u32 },
    /// The beginning leads on.
    Begin { next: u32 },
    /// These are all meant.
    Split(Box<[u32]>),
    /// The expression of this number is complete.
    Accept(u32),
}

/// A set of classes of bytes.
type ClassSet = [u64; 4];

/// Sets of states, sorted, without those that only lead on.
pub type Set = Box<[u32]>;

/// A machine.
#[derive(Debug)]
pub struct Nfa {
    nodes: Vec<Node>,
    /// Of bytes, by `Node::Byte`'s number, in classes.
    sets: Vec<ClassSet>,
    /// The class of each byte: bytes that no expression tells apart are in one.
    pub classes: [u8; 256],
    /// How many classes there are.
    pub class_count: usize,
    /// Where all begin that stand at the beginning.
    pub start: Set,
    /// Where those begin that may begin anywhere.
    floating: Set,
    /// By class: what those become with a byte of it.
    floating_next: Vec<Set>,
    /// The bytes with which they begin.
    pub exits: Exits,
    /// Numbers of expressions.
    pub patterns: Box<[u32]>,
    /// One of them ends with `$`.
    pub has_end: bool,
}

/// The machine would be too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Marks for walking.
#[derive(Debug, Default)]
pub struct Marks {
    marked: Vec<u32>,
    turn: u32,
    stack: Vec<u32>,
    found: Vec<u32>,
}

impl Marks {
    fn begin(&mut self, nodes: usize) {
        self.marked.resize(nodes, 0);
        self.turn = self.turn.wrapping_add(1);
        if self.turn == 0 {
            self.marked.fill(0);
            self.turn = 1;
        }
        self.found.clear();
    }

    /// Whether it is new.
    fn mark(&mut self, n: u32) -> bool {
        match self.marked.get_mut(n as usize) {
            Some(m) if *m != self.turn => {
                *m = self.turn;
                true
            }
            _ => false,
        }
    }

    fn taken(&mut self) -> Set {
        self.found.sort_unstable();
        self.found.as_slice().into()
    }
}

/// What leads on where nothing is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    Beginning,
    Middle,
    End,
}

/// Makes a machine.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    sets: Vec<ByteSet>,
    known: HashMap<ByteSet, u32>,
    limit: usize,
}

impl Builder {
    fn push(&mut self, node: Node) -> Result<u32, TooLarge> {
        if self.nodes.len() >= self.limit {
            return Err(TooLarge);
        }
        self.nodes.push(node);
        Ok(self.nodes.len() as u32 - 1)
    }

    fn set(&mut self, set: ByteSet) -> u32 {
        let sets = &mut self.sets;
        *self.known.entry(set).or_insert_with(|| {
            sets.push(set);
            sets.len() as u32 - 1
        })
    }

    /// The state at which `expr` begins, if what follows begins at `next`.
    fn expr(&mut self, expr: &Expr, next: u32) -> Result<u32, TooLarge> {
        match expr {
            Expr::Empty => Ok(next),
            Expr::Byte(set) => {
                let set = self.set(*set);
                self.push(Node::Byte { set, next })
            }
            Expr::Begin => self.push(Node::Begin { next }),
            Expr::End => self.push(Node::End { next }),
            Expr::Then(all) => all.iter().rev().try_fold(next, |next, e| self.expr(e, next)),
            Expr::Either(all) => {
                let all: Result<Vec<u32>, _> = all.iter().map(|e| self.expr(e, next)).collect();
                self.push(Node::Split(all?.into()))
            }
            Expr::Repeat(inner, least, most) => {
                let mut at = match most {
                    None => {
                        let again = self.push(Node::Split(Box::new([])))?;
                        let begin = self.expr(inner, again)?;
                        if let Some(node) = self.nodes.get_mut(again as usize) {
                            *node = Node::Split(Box::new([begin, next]));
                        }
                        again
                    }
                    Some(most) => {
                        let mut at = next;
                        for _ in *least..*most {
                            let begin = self.expr(inner, at)?;
                            at = self.push(Node::Split(Box::new([begin, next])))?;
                        }
                        at
                    }
                };
                for _ in 0..*least {
                    let begin = self.expr(inner, at)?;
                    if begin == at {
                        // It is empty, and so is any number of it.
                        break;
                    }
                    at = begin;
                }
                Ok(at)
            }
        }
    }
}

/// What is left of an expression behind a leading `.*`.
fn floats(expr: &Expr) -> Option<Expr> {
    let is_any = |e: &Expr| match e {
        Expr::Repeat(inner, 0, None) => **inner == Expr::Byte(ByteSet::ALL),
        _ => false,
    };
    match expr {
        e if is_any(e) => Some(Expr::Empty),
        Expr::Then(all) => match all.split_first() {
            Some((first, rest)) if is_any(first) => {
                // `.*.*` is `.*`.
                let rest = Expr::Then(rest.to_vec());
                Some(floats(&rest).unwrap_or(rest))
            }
            _ => None,
        },
        _ => None,
    }
}

impl Nfa {
    /// A machine of expressions with their numbers. The number that was too much is returned if it would be too large.
    pub fn new<'e>(patterns: impl Iterator<Item = (u32, &'e Expr)>) -> Result<Nfa, u32> {
        let mut b = Builder::default();
        let (mut anchored, mut floating, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for (number, expr) in patterns {
            b.limit = MAX_STATES.min(b.nodes.len() + MAX_PATTERN);
            numbers.push(number);
            let parts = match expr {
                Expr::Either(all) => all.as_slice(),
                one => std::slice::from_ref(one),
            };
            let mut add = || -> Result<(), TooLarge> {
                let accept = b.push(Node::Accept(number))?;
                for part in parts {
                    match floats(part) {
                        Some(rest) => floating.push(b.expr(&rest, accept)?),
                        None => anchored.push(b.expr(part, accept)?),
                    }
                }
                Ok(())
            };
            add().map_err(|TooLarge| number)?;
        }
        Ok(Nfa::of(b, &anchored, &floating, numbers))
    }

    fn of(b: Builder, anchored: &[u32], floating: &[u32], numbers: Vec<u32>) -> Nfa {
        let (classes, class_count) = classes(&b.sets);
        let in_classes = |set: &ByteSet| {
            let mut bits = [0u64; 4];
            for byte in (0..=u8::MAX).filter(|byte| set.has(*byte)) {
                let class = classes[usize::from(byte)];
                bits[usize::from(class >> 6)] |= 1 << (class & 63);
            }
            bits
        };
        let has_end = b.nodes.iter().any(|n| matches!(n, Node::End { .. }));
        let mut nfa = Nfa {
            sets: b.sets.iter().map(in_classes).collect(),
            nodes: b.nodes,
            classes,
            class_count,
            start: Set::default(),
            floating: Set::default(),
            floating_next: Vec::new(),
            exits: Exits::default(),
            patterns: numbers.into(),
            has_end,
        };
        let mut m = Marks::default();
        m.begin(nfa.nodes.len());
        for s in anchored.iter().chain(floating) {
            nfa.reach(*s, Here::Beginning, &mut m);
        }
        nfa.start = m.taken();
        m.begin(nfa.nodes.len());
        for s in floating {
            nfa.reach(*s, Here::Middle, &mut m);
        }
        nfa.floating = m.taken();
        let floating = std::mem::take(&mut nfa.floating);
        nfa.floating_next = (0..class_count)
            .map(|class| nfa.after(&floating, class, &mut m))
            .collect();
        nfa.floating = floating;
        nfa.exits = Exits::new(|b| {
            let begun = nfa.floating_next.get(usize::from(nfa.classes[usize::from(b)]));
            begun.is_some_and(|set| !set.is_empty())
        });
        nfa
    }

    /// States.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether an expression may begin anywhere, so that no bytes rule all of them out.
    pub fn floats(&self) -> bool {
        !self.floating.is_empty()
    }

    /// Adds what a state is, and what it leads to without a byte.
    fn reach(&self, from: u32, here: Here, m: &mut Marks) {
        m.stack.push(from);
        while let Some(n) = m.stack.pop() {
            if !m.mark(n) {
                continue;
            }
            match self.nodes.get(n as usize) {
                Some(Node::Split(all)) => m.stack.extend(all.iter().rev()),
                Some(Node::Begin { next }) if here == Here::Beginning => m.stack.push(*next),
                Some(Node::End { next }) if here == Here::End => m.stack.push(*next),
                // It has passed.
                Some(Node::Begin { .. }) | None => {}
                Some(Node::Byte { .. } | Node::End { .. } | Node::Accept(_)) => m.found.push(n),
            }
        }
    }

    fn after(&self, set: &[u32], class: usize, m: &mut Marks) -> Set {
        m.begin(self.nodes.len());
        self.add_after(set, class, m);
        m.taken()
    }

    fn add_after(&self, set: &[u32], class: usize, m: &mut Marks) {
        for n in set {
            if let Some(Node::Byte { set, next }) = self.nodes.get(*n as usize)
                && let Some(bits) = self.sets.get(*set as usize)
                && bits[class >> 6] >> (class & 63) & 1 != 0
            {
                self.reach(*next, Here::Middle, m);
            }
        }
    }

    /// What a set of states becomes with a byte of this class.
    pub fn step(&self, set: &[u32], class: usize, m: &mut Marks) -> Set {
        m.begin(self.nodes.len());
        self.add_after(set, class, m);
        if let Some(floating) = self.floating_next.get(class) {
            for n in floating {
                if m.mark(*n) {
                    m.found.push(*n);
                }
            }
        }
        m.taken()
    }

    /// The expressions that are complete in a set of states.
    pub fn accepted(&self, set: &[u32]) -> Set {
        let accept = |n: &u32| match self.nodes.get(*n as usize) {
            Some(Node::Accept(p)) => Some(*p),
            _ => None,
        };
        let mut all: Vec<u32> = set.iter().filter_map(accept).collect();
        all.sort_unstable();
        all.into()
    }

    /// The expressions that the end completes.
    pub fn accepted_at_end(&self, set: &[u32], m: &mut Marks) -> Set {
        m.begin(self.nodes.len());
        for n in set.iter().chain(&self.floating) {
            if let Some(Node::End { next }) = self.nodes.get(*n as usize) {
                self.reach(*next, Here::End, m);
            }
        }
        let found = m.taken();
        self.accepted(&found)
    }
}

/// The class of each byte, and how many there are.
fn classes(sets: &[ByteSet]) -> ([u8; 256], usize) {
    let mut classes = [0u8; 256];
    let mut count = 1;
    for set in sets {
        // Each class is split into what is in the set and what is not.
        let mut split: HashMap<(u8, bool), u8> = HashMap::new();
        let mut used = vec![false; 256];
        for byte in 0..=u8::MAX {
            let old = classes[usize::from(byte)];
            let key = (old, set.has(byte));
            let class = match split.get(&key) {
                Some(class) => *class,
                None if !used[usize::from(old)] => {
                    used[usize::from(old)] = true;
                    split.insert(key, old);
                    old
                }
                None => {
                    let new = count as u8;
                    count += 1;
                    split.insert(key, new);
                    new
                }
            };
            classes[usize::from(byte)] = class;
        }
    }
    (classes, count)
}
