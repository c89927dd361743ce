//! Says that most connections are seen from one side only: what an operator can do something about, and may not notice, as all
//! works but says little.

use super::now_and_then::NowAndThen;

/// Fewest connections to judge by.
const ENOUGH: u64 = 100;

/// TCP connections that have ended, as far as they were looked at.
#[derive(Debug, Default)]
pub struct OneSided {
    /// How many there were, and how many of one side only, when they were looked at last.
    looked: (u64, u64),
    when: NowAndThen,
}

impl OneSided {
    /// So many connections with data have ended so far, and of so many only one side was seen. Warns, once a minute at most, if
    /// these are most of the last hundred or more.
    pub fn look(&mut self, conns: u64, one_sided: u64) {
        if let Some((conns, one_sided)) = self.is_due(conns, one_sided) {
            tracing::warn!(
                "of the last {conns} TCP connections with data, {one_sided} had one side only: either packets go and come on \
                 different ways, or the tap or mirror port gives one direction; rows are half of what they could be"
            );
        }
    }

    fn is_due(&mut self, conns: u64, one_sided: u64) -> Option<(u64, u64)> {
        let (all, half) = (
            conns.saturating_sub(self.looked.0),
            one_sided.saturating_sub(self.looked.1),
        );
        if all < ENOUGH {
            return None;
        }
        let most = half > all / 2;
        if most && !self.when.is_due() {
            return None;
        }
        self.looked = (conns, one_sided);
        most.then_some((all, half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_of_most_of_many() {
        let mut s = OneSided::default();
        assert_eq!(s.is_due(99, 99), None, "too few");
        assert_eq!(s.is_due(120, 60), None, "half of them");
        assert_eq!(s.is_due(200, 140), None, "too few since then");
        assert_eq!(s.is_due(320, 161), Some((200, 101)));
        assert_eq!(s.is_due(1000, 800), None, "not so soon");
        s.when = NowAndThen::default();
        assert_eq!(s.is_due(1100, 900), Some((780, 739)));
    }
}
