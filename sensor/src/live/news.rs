//! What is said of interfaces that come and go by a pattern: one line for many, and no more than a few lines a second, as a
//! node may begin and end containers by the hundred.

use std::time::{Duration, Instant};

/// Least time between two times that something is said.
const PAUSE: Duration = Duration::from_millis(500);
/// Most names in a line.
const NAMES: usize = 16;

/// What is to be said.
#[derive(Default)]
pub struct News {
    came: Heap,
    went: Heap,
    left: Heap,
    said: Option<Instant>,
}

/// Names, the first of them and how many there are.
#[derive(Default)]
struct Heap {
    names: Vec<String>,
    all: usize,
}

impl Heap {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.all += 1;
        if self.names.len() < NAMES {
            self.names.push(name());
        }
    }

    /// All in words, taken out; None: there was nothing.
    fn take(&mut self) -> Option<String> {
        let Heap { names, all } = std::mem::take(self);
        (all > 0).then(|| in_words(&names.join(", "), names.len(), all))
    }
}

fn in_words(names: &str, shown: usize, all: usize) -> String {
    match all - shown {
        0 => names.to_owned(),
        more => format!("{names} and {more} more"),
    }
}

/// Names in words, not too many.
pub fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let all = names.len();
    let shown: Vec<&str> = names.take(NAMES).collect();
    in_words(&shown.join(", "), shown.len(), all)
}

impl News {
    /// One is watched from now on.
    pub fn came(&mut self, name: &str) {
        self.came.add(|| name.to_owned());
    }

    /// One was watched and is gone.
    pub fn went(&mut self, name: &str) {
        self.went.add(|| name.to_owned());
    }

    /// One is not watched although a pattern matches it.
    pub fn left_out(&mut self, name: &str, why: String) {
        self.left.add(|| format!("{name} ({why})"));
    }

    /// Says what there is at the start of a run, which names those that are watched by itself.
    pub fn start(&mut self) {
        self.came.take();
        if let Some(left) = self.left.take() {
            tracing::warn!("not watched: {left}");
        }
    }

    /// Says what there is, unless something was said just now.
    pub fn say(&mut self) {
        if self.said.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        let said = [
            self.went.take().map(|n| format!("no longer there: {n}")),
            self.came.take().map(|n| format!("watched from now on: {n}")),
            self.left.take().map(|n| format!("not watched: {n}")),
        ];
        for line in said.into_iter().flatten() {
            self.said = Some(Instant::now());
            tracing::warn!("interfaces {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_said_in_a_line() {
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let said = listed(names.iter().map(String::as_str));
        assert!(said.ends_with("14, 15 and 4 more"), "{said}");
        let mut heap = Heap::default();
        assert_eq!(heap.take(), None);
        for n in &names {
            heap.add(|| n.clone());
        }
        assert_eq!(heap.take().as_deref(), Some(said.as_str()));
        assert_eq!(heap.take(), None, "taken");
    }
}
