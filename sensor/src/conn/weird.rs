//! How often an oddity is told: all of the first few, then one in many (Zeek: Weird::sampling_*).

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
}
