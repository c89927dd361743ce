//! Which events somebody wants.

use super::model::{Kind, MOST_PAGES};

/// A set of events: a 64-bit word for each page, a bit for each event on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions([u64; MOST_PAGES]);

impl Subscriptions {
    /// The empty set.
    pub const NONE: Subscriptions = Subscriptions([0; MOST_PAGES]);

    /// Whether somebody wants `kind`.
    #[inline]
    pub const fn wants(&self, kind: Kind) -> bool {
        self.0[kind.page()] >> kind.index() & 1 != 0
    }

    /// Whether somebody wants anything.
    #[inline]
    pub const fn any(&self) -> bool {
        self.any_of(Subscriptions([u64::MAX; MOST_PAGES]))
    }

    /// Whether somebody wants any of `other`.
    #[inline]
    pub const fn any_of(&self, other: Subscriptions) -> bool {
        let mut page = 0;
        while page < MOST_PAGES {
            if self.0[page] & other.0[page] != 0 {
                return true;
            }
            page += 1;
        }
        false
    }

    /// This and `kind`.
    #[must_use]
    pub const fn with(mut self, kind: Kind) -> Subscriptions {
        self.0[kind.page()] |= 1 << kind.index();
        self
    }

    /// This and `other`.
    #[must_use]
    pub const fn union(mut self, other: Subscriptions) -> Subscriptions {
        let mut page = 0;
        while page < MOST_PAGES {
            self.0[page] |= other.0[page];
            page += 1;
        }
        self
    }

    /// This without `kind`.
    #[must_use]
    pub const fn without(mut self, kind: Kind) -> Subscriptions {
        self.0[kind.page()] &= !(1 << kind.index());
        self
    }
}

impl FromIterator<Kind> for Subscriptions {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Subscriptions {
        kinds.into_iter().fold(Subscriptions::NONE, Subscriptions::with)
    }
}
