//! Who an event is about: connection identity, unique ids and the time they are stamped with.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub use crate::base::time::Ts;

/// A connection's unique id in Zeek's form: `C` and 96 random-looking bits in base 62.
///
/// Sixteen bytes, no heap: the text is made when it is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid {
    hi: u64,
    lo: u32,
}

/// Longest text of a [`Uid`], bytes: `C`, 11 digits for 64 bits, at most 6 for 32.
const UID_MAX: usize = 18;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// SplitMix64's finalizer (Steele, Lea and Flood 2014): a bijection, so different inputs stay different.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Uid {
    /// The id whose upper half is `hi`, of a connection between these ends, in any order (an address and a port in host
    /// byte order each). The lower half follows from both: two connections get the same id only if they are between the
    /// same ends and have the same upper half.
    pub fn between(hi: u64, a: (&[u8; 16], u16), b: (&[u8; 16], u16), proto: u8) -> Uid {
        let end = |(host, port): (&[u8; 16], u16)| {
            let n = u128::from_be_bytes(*host);
            mix(mix(n as u64 ^ u64::from(port) << 48) ^ (n >> 64) as u64)
        };
        let ends = end(a).wrapping_add(end(b));
        Uid {
            hi,
            lo: (mix(hi ^ ends ^ u64::from(proto)) >> 32) as u32,
        }
    }

    /// The `n`th id of a run seeded with `seed`: the same pair always gives the same id, and within a
    /// run no two `n` share one.
    pub fn new(seed: u64, n: u64) -> Uid {
        let key = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let hi = mix(n ^ key);
        Uid {
            hi,
            lo: (mix(hi.wrapping_add(key)) >> 32) as u32,
        }
    }

    /// The upper half.
    pub fn upper_half(&self) -> u64 {
        self.hi
    }

    /// Both parts.
    pub(crate) fn halves(&self) -> (u64, u32) {
        (self.hi, self.lo)
    }

    /// The id of these parts.
    pub(crate) fn of_halves(hi: u64, lo: u32) -> Uid {
        Uid { hi, lo }
    }

    /// Appends the text to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut buf = [0; UID_MAX];
        let n = self.render(&mut buf);
        out.extend_from_slice(&buf[..n]);
    }

    /// The upper half is always written with eleven digits, so that two ids never have the same text.
    fn render(&self, buf: &mut [u8; UID_MAX]) -> usize {
        buf[0] = b'C';
        let mut v = self.hi;
        for slot in &mut buf[1..12] {
            *slot = BASE62[(v % 62) as usize];
            v /= 62;
        }
        let mut v = self.lo;
        let mut n = 12;
        while n < UID_MAX {
            buf[n] = BASE62[(v % 62) as usize];
            n += 1;
            v /= 62;
            if v == 0 {
                break;
            }
        }
        n
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buf = [0; UID_MAX];
        let n = self.render(&mut buf);
        f.pad(std::str::from_utf8(&buf[..n]).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no [`Uid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection's id is C and 12 to 17 letters and digits, as in the column uid")]
pub struct NoUid;

impl FromStr for Uid {
    type Err = NoUid;

    fn from_str(text: &str) -> Result<Uid, NoUid> {
        // The lowest digit comes first.
        let number = |digits: &[u8]| {
            digits.iter().rev().try_fold(0_u64, |n, d| {
                let digit = BASE62.iter().position(|b| b == d).ok_or(NoUid)?;
                n.checked_mul(62)
                    .and_then(|n| n.checked_add(digit as u64))
                    .ok_or(NoUid)
            })
        };
        let digits = text.strip_prefix('C').ok_or(NoUid)?.as_bytes();
        let (hi, lo) = digits.split_at_checked(11).ok_or(NoUid)?;
        let uid = Uid {
            hi: number(hi)?,
            lo: number(lo)?.try_into().map_err(|_| NoUid)?,
        };
        // Nothing else has the same text.
        match uid.to_string() == text {
            true => Ok(uid),
            false => Err(NoUid),
        }
    }
}

/// A file's unique id in Zeek's form: `F`, and then as a [`Uid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fuid(Uid);

impl Fuid {
    /// The id of what `handle` names (see [`crate::file::Handle`]) in a run seeded with `seed`: always the same.
    pub fn of(seed: u64, handle: [u8; 16]) -> Fuid {
        let n = u128::from_be_bytes(handle);
        let hi = mix((n >> 64) as u64 ^ mix(seed));
        Fuid(Uid {
            hi,
            lo: (mix(hi ^ n as u64) >> 32) as u32,
        })
    }
}

impl fmt::Display for Fuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buf = [0; UID_MAX];
        let n = self.0.render(&mut buf);
        buf[0] = b'F';
        f.pad(std::str::from_utf8(&buf[..n]).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Fuid {
    type Err = NoUid;

    fn from_str(text: &str) -> Result<Fuid, NoUid> {
        let digits = text.strip_prefix('F').ok_or(NoUid)?;
        format!("C{digits}").parse().map(Fuid)
    }
}

/// The transport a connection runs over, as conn.log's `proto` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proto {
    /// TCP, IP protocol 6.
    Tcp,
    /// UDP, IP protocol 17.
    Udp,
    /// ICMP (1) or ICMPv6 (58); ports are type and code, or request and reply type.
    Icmp,
    /// Any other IP protocol.
    Unknown,
}

impl Proto {
    /// Zeek's name: `tcp`, `udp`, `icmp`, `unknown_transport`.
    pub fn as_str(self) -> &'static str {
        match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Icmp => "icmp",
            Proto::Unknown => "unknown_transport",
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The connection that an event or a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnId {
    /// Unique id, the same in every log and event of the connection.
    pub uid: Uid,
    /// Originator's address.
    pub orig_h: IpAddr,
    /// Responder's address.
    pub resp_h: IpAddr,
    /// Originator's port, host byte order; for ICMP the message type.
    pub orig_p: u16,
    /// Responder's port, host byte order; for ICMP the message code or the reply's type.
    pub resp_p: u16,
    /// Transport.
    pub proto: Proto,
    /// Time of the first packet.
    pub start: Ts,
}

#[cfg(test)]
impl ConnId {
    /// A TCP connection to this port, for tests.
    pub fn sample(resp_p: u16) -> ConnId {
        ConnId {
            uid: Uid::new(0, 1),
            orig_h: [192, 0, 2, 1].into(),
            resp_h: [192, 0, 2, 2].into(),
            orig_p: 40000,
            resp_p,
            proto: Proto::Tcp,
            start: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn uid_has_zeeks_form_and_follows_its_seed() {
        for n in 0..2000 {
            let s = Uid::new(7, n).to_string();
            assert!(s.starts_with('C') && (13..=18).contains(&s.len()), "{s}");
            assert!(s.bytes().all(|b| b.is_ascii_alphanumeric()), "{s}");
            let mut out = Vec::new();
            Uid::new(7, n).write(&mut out);
            assert_eq!(out, s.as_bytes());
            assert_eq!(s.parse(), Ok(Uid::new(7, n)));
        }
        for other in [
            "",
            "C",
            "Fabcdefghijklm",
            "Cabcdefghijk",
            "Cabcdefghijk-",
            "Czzzzzzzzzzzz",
            "C000000000000000000",
        ] {
            assert_eq!(other.parse::<Uid>(), Err(NoUid), "{other}");
        }
        assert_eq!(Uid::new(1, 2), Uid::new(1, 2));
        assert_ne!(Uid::new(1, 2), Uid::new(2, 2));
    }

    #[test]
    fn the_ends_are_half_of_a_uid() {
        let (a, b, c) = ([1; 16], [2; 16], [3; 16]);
        let uid = Uid::between(7, (&a, 1), (&b, 2), 6);
        assert_eq!(uid, Uid::between(7, (&b, 2), (&a, 1), 6));
        for other in [
            Uid::between(8, (&a, 1), (&b, 2), 6),
            Uid::between(7, (&a, 2), (&b, 1), 6),
            Uid::between(7, (&a, 1), (&c, 2), 6),
            Uid::between(7, (&a, 1), (&b, 2), 17),
        ] {
            assert_ne!(uid, other);
        }
    }

    #[test]
    fn uids_of_a_run_do_not_repeat() {
        let mut seen = HashSet::new();
        assert!((0..100_000).all(|n| seen.insert(Uid::new(0, n).to_string())));
    }
}
