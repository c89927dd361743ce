//! Names that come while the process runs and then live as long as it does, where others are known to the compiler. Each is kept once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Some names.
#[derive(Default)]
pub struct Names(Mutex<BTreeSet<&'static str>>);

/// Those of which there are as many as a file of settings or a script has.
static ALL: Names = Names::new();

/// A name, for as long as the process lives. For what traffic says there has to be a bound: [`Names::keep_of`].
pub fn keep(name: &str) -> &'static str {
    ALL.keep_of(name, usize::MAX).unwrap_or_default()
}

impl Names {
    /// None yet.
    pub const fn new() -> Names {
        Names(Mutex::new(BTreeSet::new()))
    }

    /// The name, if it is one of these.
    pub fn get(&self, name: &str) -> Option<&'static str> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .copied()
    }

    /// The name, which is one of these from here on; None: there are `most` others already.
    pub fn keep_of(&self, name: &str, most: usize) -> Option<&'static str> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Some(known);
        }
        if names.len() >= most {
            return None;
        }
        let name: &'static str = name.to_owned().leak();
        names.insert(name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_kept_once_and_no_more_than_there_may_be() {
        assert_eq!(
            keep("a name of a test").as_ptr(),
            keep("a name of a test").as_ptr()
        );
        let names = Names::new();
        assert_eq!(names.get("a"), None);
        assert_eq!((names.keep_of("a", 1), names.keep_of("b", 1)), (Some("a"), None));
        assert_eq!((names.get("a"), names.keep_of("a", 1)), (Some("a"), Some("a")));
    }
}
