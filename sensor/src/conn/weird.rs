//! How often an oddity is told: all of the first few, then one in many (Zeek: Weird::sampling_*).

use std::collections::HashMap;

use crate::event::Ts;

const THRESHOLD: u64 = 25;
const RATE: u64 = 1000;
const DURATION: Ts = 600 * 1_000_000_000;
/// Names kept per connection; what is beyond is told like the last one.
const MAX_NAMES: usize = 32;

/// Counts of oddities by name.
#[derive(Default)]
pub struct Sampler(Vec<(&'static str, u64, Ts)>);

impl Sampler {
    /// Whether this one is to be told.
    pub fn permit(&mut self, name: &'static str, now: Ts) -> bool {
        let i = match self.0.iter().position(|e| e.0 == name) {
            Some(i) => i,
            None if self.0.len() < MAX_NAMES => {
                self.0.push((name, 0, 0));
                self.0.len() - 1
            }
            None => MAX_NAMES - 1,
        };
        let (_, count, since) = &mut self.0[i];
        *count += 1;
        if *count <= THRESHOLD {
            return true;
        }
        if *count == THRESHOLD + 1 {
            *since = now;
        } else if now > *since + DURATION {
            (*since, *count) = (0, 1);
            return true;
        }
        (*count - THRESHOLD).is_multiple_of(RATE)
    }
}

/// Pairs of hosts whose oddities are counted; with more, counting starts over. Whoever forges addresses gets
/// each oddity told, as with Zeek, but no memory.
const MAX_PAIRS: usize = 1 << 16;

/// Sender and receiver.
type Pair = ([u8; 16], [u8; 16]);

/// Counts of the oddities that belong to no connection: by name, or by name and pair of hosts. Unlike a
/// connection's, they are forgotten a while after the first one.
#[derive(Default)]
pub struct StraySampler {
    net: Counts,
    flows: HashMap<Pair, Counts>,
}

impl StraySampler {
    /// Whether this one is to be told.
    pub fn permit(&mut self, name: &'static str, ends: Option<(&[u8; 16], &[u8; 16])>, now: Ts) -> bool {
        let Some((src, dst)) = ends else {
            return self.net.permit(name, now);
        };
        let pair = (*src, *dst);
        if self.flows.len() >= MAX_PAIRS && !self.flows.contains_key(&pair) {
            self.flows.clear();
        }
        self.flows.entry(pair).or_default().permit(name, now)
    }
}

/// By name. There are some hundred names at most, and few that one pair of hosts makes.
#[derive(Default)]
struct Counts {
    since: Ts,
    names: Vec<(&'static str, u64)>,
}

impl Counts {
    fn permit(&mut self, name: &'static str, now: Ts) -> bool {
        if self.names.is_empty() || now >= self.since.saturating_add(DURATION) {
            self.since = now;
            self.names.clear();
        }
        let count = match self.names.iter_mut().find(|e| e.0 == name) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.names.push((name, 1));
                1
            }
        };
        count <= THRESHOLD || (count - THRESHOLD).is_multiple_of(RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_first_then_samples() {
        let mut s = Sampler::default();
        let told = (0..2100).filter(|_| s.permit("x", 5)).count();
        assert_eq!(told, 25 + 2);
        assert!(s.permit("y", 5));
        assert!(s.permit("x", 6 + DURATION));
    }

    #[test]
    fn strays_are_sampled_by_name_and_pair() {
        let mut s = StraySampler::default();
        let ends = |n: u32| {
            let mut a = [0; 16];
            a[..4].copy_from_slice(&n.to_le_bytes());
            (a, [1; 16])
        };
        let told = |s: &mut StraySampler, n, times| {
            let (a, b) = ends(n);
            (0..times).filter(|_| s.permit("x", Some((&a, &b)), 5)).count()
        };
        assert_eq!(told(&mut s, 0, 2100), 25 + 2);
        assert_eq!(told(&mut s, 1, 30), 25);
        assert_eq!((0..30).filter(|_| s.permit("x", None, 5)).count(), 25);
        assert!(s.permit("y", None, 5) && !s.permit("x", None, 4 + DURATION));
        assert!(s.permit("x", None, 5 + DURATION));
        // Forged addresses do not fill memory.
        for n in 0..2 * MAX_PAIRS as u32 {
            told(&mut s, n, 1);
        }
        assert!(s.flows.len() <= MAX_PAIRS);
    }
}
