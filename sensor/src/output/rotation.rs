//! When logs are rotated: at whole hours or other intervals of the wall clock, and when they are large.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAY: u64 = 86_400;
/// The units that an interval may have, seconds, the longest first.
const UNITS: [(char, u64); 4] = [('d', DAY), ('h', 3600), ('m', 60), ('s', 1)];
/// Longest interval, seconds.
const MAX_SECS: u64 = 366 * DAY;

/// An interval of the wall clock, a whole number of seconds: `1h`, `30m`, `90`. Its turns are counted from midnight of
/// 1 January 1970, UTC: those of an hour are the whole hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every(u64);

/// Text or a number that is no interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interval is a number of seconds, or of s, m, h or d as in 30m, from 1s to 366d")]
pub struct NoInterval;

impl Every {
    /// An interval of so many seconds.
    pub fn seconds(secs: u64) -> Result<Every, NoInterval> {
        match secs {
            1..=MAX_SECS => Ok(Every(secs)),
            _ => Err(NoInterval),
        }
    }

    /// As a length of time.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// The first turn after `now`.
    fn after(self, now: SystemTime) -> SystemTime {
        let secs = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        UNIX_EPOCH + Duration::from_secs(secs - secs % self.0 + self.0)
    }
}

impl FromStr for Every {
    type Err = NoInterval;

    fn from_str(s: &str) -> Result<Every, NoInterval> {
        let unit = UNITS.iter().find(|(c, _)| s.ends_with(*c));
        let (number, unit) = match unit {
            Some((c, secs)) => (s.trim_end_matches(*c), *secs),
            None => (s, 1),
        };
        if s.len() > number.len() + 1 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NoInterval);
        }
        let number: u64 = number.parse().map_err(|_| NoInterval)?;
        Every::seconds(number.saturating_mul(unit))
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, secs)| self.0.is_multiple_of(*secs));
        let (unit, secs) = unit.copied().unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / secs)
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Every, D::Error> {
        struct Said;
        impl Visitor<'_> for Said {
            type Value = Every;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an interval such as \"1h\", or seconds")
            }
            fn visit_u64<E: Error>(self, secs: u64) -> Result<Every, E> {
                Every::seconds(secs).map_err(E::custom)
            }
            fn visit_i64<E: Error>(self, secs: i64) -> Result<Every, E> {
                self.visit_u64(secs.try_into().unwrap_or(0))
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Every, E> {
                s.parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Said)
    }
}

/// When logs are rotated without being asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// At each turn of this; None: at none.
    pub every: Option<Every>,
    /// A log that has this many bytes; None: however large it is.
    pub bytes: Option<u64>,
}

impl Rotation {
    /// The turns of its interval, from now on.
    pub fn turns(&self) -> Option<Turns> {
        self.every.map(|every| Turns::new(every, SystemTime::now()))
    }
}

/// The turns of an interval, as the wall clock comes to them.
#[derive(Debug)]
pub struct Turns {
    every: Every,
    next: SystemTime,
}

impl Turns {
    /// From `now` on.
    pub fn new(every: Every, now: SystemTime) -> Turns {
        let next = every.after(now);
        Turns { every, next }
    }

    /// Whether a turn has come, at `now`. A clock that was set back does not make the next one come late.
    pub fn is_due(&mut self, now: SystemTime) -> bool {
        let (next, due) = (self.every.after(now), now >= self.next);
        self.next = next;
        due
    }

    /// How long it is to the next one at `now`.
    pub fn wait(&self, now: SystemTime) -> Duration {
        self.next.duration_since(now).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_said_in_several_ways() {
        for (text, secs, said) in [
            ("1h", 3600, "1h"),
            ("90", 90, "90s"),
            ("60m", 3600, "1h"),
            ("30s", 30, "30s"),
            ("366d", MAX_SECS, "366d"),
        ] {
            let every: Every = text.parse().expect(text);
            assert_eq!((every.0, every.to_string().as_str()), (secs, said));
            let json = serde_json::to_string(&every).expect("JSON");
            assert_eq!(serde_json::from_str::<Every>(&json).expect(&json), every);
        }
        assert_eq!(serde_json::from_str::<Every>("90").expect("seconds"), Every(90));
        for bad in [
            "",
            "h",
            "0",
            "0h",
            "-1",
            "+1",
            "1hh",
            "1.5h",
            "367d",
            "99999999999999999999",
            "1w",
        ] {
            assert_eq!(bad.parse::<Every>(), Err(NoInterval), "{bad}");
        }
        assert!(serde_json::from_str::<Every>("-1").is_err());
    }

    #[test]
    fn turns_are_those_of_the_wall_clock() {
        let at = |secs: u64, ms: u64| UNIX_EPOCH + Duration::from_millis(secs * 1000 + ms);
        let hour = 3600;
        let mut turns = Turns::new(Every(hour), at(10 * hour + 5, 0));
        assert_eq!(
            turns.wait(at(10 * hour + 5, 500)),
            Duration::from_millis(3_594_500)
        );
        assert!(!turns.is_due(at(11 * hour - 1, 999)));
        assert!(turns.is_due(at(11 * hour, 0)));
        assert!(!turns.is_due(at(11 * hour, 1)));
        // Hours in which nobody looked are one turn.
        assert!(turns.is_due(at(14 * hour + 7, 0)));
        assert!(!turns.is_due(at(14 * hour + 8, 0)));
        // The clock was set back.
        assert!(!turns.is_due(at(2 * hour + 1, 0)));
        assert!(turns.is_due(at(3 * hour, 0)));
    }
}
