//! Questions to the resolver, and its answers.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::mapping::{Change, Found};
use super::query::Query;

/// A question.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub query: Query,
    /// Who asks knows by this what the answer is to.
    pub ticket: u64,
    /// Where the answer goes.
    pub to: Sender<Answer>,
}

/// The answer to a question. Each that was taken gets one, within some seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The question's.
    pub ticket: u64,
    /// What came of it.
    pub got: Got,
    /// What that changed. Where several ask the same at a time, the first is told.
    pub change: Option<Change>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// This is the answer.
    Found(Found),
    /// There is nothing of this name or address.
    Empty,
    /// Nobody answered, or with a failure. What was known before, if anything.
    Unanswered(Option<Found>),
    /// There was too much to ask.
    NotAsked,
}

/// Takes questions. Copies ask the same resolver.
#[derive(Clone)]
pub struct Asker(Arc<dyn Fn(Question) -> bool + Send + Sync>);

impl Asker {
    /// Who hands questions over, without waiting; false: there are too many.
    pub fn new(ask: impl Fn(Question) -> bool + Send + Sync + 'static) -> Asker {
        Asker(Arc::new(ask))
    }

    /// Asks. False: there is too much to ask, or nobody to ask, and no answer will come.
    pub fn ask(&self, question: Question) -> bool {
        (self.0)(question)
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asker")
    }
}
