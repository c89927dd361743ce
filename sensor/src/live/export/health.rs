//! Whether the workers work: each takes a turn at least every 50 ms, also without traffic.

use std::time::{Duration, Instant};

/// Time without a turn after which a worker is said to hang. A turn takes milliseconds, and does not wait for outputs.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// What was last seen of each worker: its turns, and since when there are that many.
#[derive(Default)]
pub struct Turns(Vec<(u64, Instant)>);

impl Turns {
    /// The workers have taken so many turns by `now`. Returns what is wrong with one of them.
    pub fn see(&mut self, turns: impl IntoIterator<Item = u64>, now: Instant) -> Result<(), String> {
        let mut hangs = Ok(());
        for (i, n) in turns.into_iter().enumerate() {
            match self.0.get_mut(i) {
                None => self.0.push((n, now)),
                Some(last) if last.0 != n => *last = (n, now),
                Some((_, since)) => {
                    let silent = now.saturating_duration_since(*since);
                    if silent >= HANGS_AFTER && hangs.is_ok() {
                        hangs = Err(format!("worker {i} has taken no turn for {} s", silent.as_secs()));
                    }
                }
            }
        }
        hangs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_takes_no_turn_hangs() {
        let begin = Instant::now();
        let at = |s| begin + Duration::from_secs(s);
        let mut turns = Turns::default();
        assert_eq!(turns.see([5, 5], at(0)), Ok(()));
        assert_eq!(turns.see([6, 5], at(9)), Ok(()));
        assert_eq!(
            turns.see([7, 5], at(11)),
            Err("worker 1 has taken no turn for 11 s".to_owned())
        );
        assert_eq!(turns.see([7, 6], at(12)), Ok(()), "it goes on");
        assert_eq!(turns.see([7, 7], at(20)), Ok(()));
    }
}
