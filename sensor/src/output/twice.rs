//! Says that packets come twice.

use super::now_and_then::NowAndThen;

/// Fewest packets that came twice to speak of.
const ENOUGH: u64 = 100;
/// They are at least one in so many of those that were looked at.
const SHARE: u64 = 100;

/// Packets that came twice, as far as they were looked at.
#[derive(Debug, Default)]
pub struct Twice {
    /// How many packets were compared, and how many came twice, when it was said last or enough of them told nothing.
    judged: (u64, u64),
    when: NowAndThen,
}

impl Twice {
    /// So many packets were compared so far, and so many of them came for a second time. Warns, once a minute at most, if these
    /// are a hundred, and one in a hundred, of those since it was judged last: a tap that is put in later is noticed as soon.
    pub fn look(&mut self, looked: u64, twice: u64) {
        if let Some((looked, twice)) = self.is_due(looked, twice) {
            tracing::warn!(
                "of {looked} packets that were compared, {twice} came twice within a millisecond: several taps or mirror ports give \
                 the same traffic, and all counts are too high; see --dedup"
            );
        }
    }

    fn is_due(&mut self, looked: u64, twice: u64) -> Option<(u64, u64)> {
        let all = looked.saturating_sub(self.judged.0);
        let again = twice.saturating_sub(self.judged.1);
        let many = again >= ENOUGH && again >= all / SHARE;
        let too_few_to_judge = !many && all < ENOUGH * SHARE;
        if too_few_to_judge || many && !self.when.is_due() {
            return None;
        }
        self.judged = (looked, twice);
        many.then_some((all, again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_is_more_than_chance() {
        let mut t = Twice::default();
        assert_eq!(t.is_due(1000, 99), None);
        assert_eq!(t.is_due(9_999, 99), None, "too few to judge");
        assert_eq!(t.is_due(100_000, 900), None, "less than one in a hundred");
        assert_eq!(t.is_due(109_999, 999), None, "too few since then");
        assert_eq!(t.is_due(110_000, 1000), Some((10_000, 100)));
        assert_eq!(t.is_due(111_000, 1500), None, "not so soon");
        t.when = NowAndThen::default();
        assert_eq!(t.is_due(112_000, 1600), Some((2000, 600)));
    }
}
