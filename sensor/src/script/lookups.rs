//! What scripts look up: the questions go to the resolver, which nobody waits for; the answers are fetched when the interpreter has
//! time for them.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use mlua::{Function, Lua};

use crate::output::now_and_then::Growing;
use crate::resolver::{Answer, Asker, Change, Found, Got, Query, Question};

/// Most lookups that wait for an answer.
const MAX_WAITING: usize = 4096;

/// What a script is to be told of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The answer.
    Found(Found),
    /// There is none, for this reason.
    None(&'static str),
}

/// A lookup whose function is to be called.
pub struct Done {
    pub f: Function,
    pub looked: Looked,
    /// What the answer changed of what was known.
    pub change: Option<Change>,
}

/// The lookups; copies are the same ones.
#[derive(Clone)]
pub struct Lookups(Rc<Shared>);

struct Shared {
    /// None: there is nobody to ask.
    asker: Option<Asker>,
    to: Sender<Answer>,
    answers: Receiver<Answer>,
    /// Who waits, by tickets.
    waiting: RefCell<HashMap<u64, Function>>,
    /// What came of those who need not wait.
    at_once: RefCell<VecDeque<Done>>,
    next: Cell<u64>,
    is_over: Cell<bool>,
    refused: Cell<u64>,
    said: RefCell<Growing>,
}

impl Lookups {
    /// None of them so far.
    pub fn new(asker: Option<Asker>) -> Lookups {
        let (to, answers) = channel();
        Lookups(Rc::new(Shared {
            asker,
            to,
            answers,
            waiting: RefCell::default(),
            at_once: RefCell::default(),
            next: Cell::new(0),
            is_over: Cell::new(false),
            refused: Cell::new(0),
            said: RefCell::default(),
        }))
    }

    /// Those of an interpreter.
    pub fn of(lua: &Lua) -> mlua::Result<Lookups> {
        let lookups = lua.app_data_ref::<Lookups>().map(|l| l.clone());
        lookups.ok_or_else(|| mlua::Error::runtime("no lookups"))
    }

    /// Looks a name or an address up. False: there are too many already, and `f` will not be called.
    pub fn ask(&self, text: &[u8], f: Function) -> bool {
        let waits = self.0.waiting.borrow().len() + self.0.at_once.borrow().len();
        if self.0.is_over.get() || waits >= MAX_WAITING {
            return self.refuse();
        }
        let query = std::str::from_utf8(text).ok().and_then(Query::of);
        let (query, asker) = match (query, &self.0.asker) {
            (Some(query), Some(asker)) => (query, asker),
            // Texts come out of traffic: what is no name is no fault of the script's.
            (None, _) => return self.at_once(f, "none"),
            (_, None) => return self.at_once(f, "unanswered"),
        };
        let ticket = self.0.next.get();
        self.0.next.set(ticket + 1);
        let to = self.0.to.clone();
        if !asker.ask(Question { query, ticket, to }) {
            return self.refuse();
        }
        self.0.waiting.borrow_mut().insert(ticket, f);
        true
    }

    fn at_once(&self, f: Function, why: &'static str) -> bool {
        self.0.at_once.borrow_mut().push_back(Done {
            f,
            looked: Looked::None(why),
            change: None,
        });
        true
    }

    fn refuse(&self) -> bool {
        self.0.refused.set(self.0.refused.get() + 1);
        if self.0.said.borrow_mut().is_due(self.0.refused.get()) && !self.0.is_over.get() {
            tracing::warn!(
                "{} lookups of scripts were not made so far: {MAX_WAITING} wait already",
                self.0.refused.get()
            );
        }
        false
    }

    /// Whether functions are still to be called.
    pub fn is_waiting(&self) -> bool {
        !self.0.waiting.borrow().is_empty() || !self.0.at_once.borrow().is_empty()
    }

    /// The next one whose function is to be called, if there is one by now.
    pub fn next(&self) -> Option<Done> {
        let at_once = self.0.at_once.borrow_mut().pop_front();
        at_once.or_else(|| self.done(self.0.answers.try_recv().ok()?))
    }

    /// The same; waits for it, so long at most.
    pub fn next_within(&self, time: Duration) -> Option<Done> {
        match self.next() {
            None if !time.is_zero() && self.is_waiting() => {
                self.done(self.0.answers.recv_timeout(time).ok()?)
            }
            done => done,
        }
    }

    fn done(&self, answer: Answer) -> Option<Done> {
        let f = self.0.waiting.borrow_mut().remove(&answer.ticket)?;
        Some(Done {
            f,
            looked: match answer.got {
                Got::Found(found) => Looked::Found(found),
                Got::Empty => Looked::None("none"),
                Got::Unanswered(_) => Looked::None("unanswered"),
                Got::NotAsked => Looked::None("busy"),
            },
            change: answer.change,
        })
    }

    /// Nothing is looked up any more. Those that still waited, which get no answer.
    pub fn end(&self) -> Vec<Done> {
        self.0.is_over.set(true);
        let mut left: Vec<_> = self.0.waiting.take().into_iter().collect();
        left.sort_unstable_by_key(|(ticket, _)| *ticket);
        let done = |(_, f)| Done {
            f,
            looked: Looked::None("unanswered"),
            change: None,
        };
        let at_once = self.0.at_once.take().into_iter();
        at_once.chain(left.into_iter().map(done)).collect()
    }
}
