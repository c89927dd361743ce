//! Where nothing has begun yet: the search for a byte with which something may begin.

/// Most bytes of which there may be such that it pays to search for them.
const MOST: usize = 64;

/// The bytes with which something may begin.
#[derive(Debug, Default)]
pub enum Exits {
    /// They are too many to search for.
    #[default]
    Any,
    /// This one, which is rare.
    One(u8),
    /// These two.
    Two(u8, u8),
    /// These three.
    Three(u8, u8, u8),
    /// Those that are true. A search with wide registers pays only for what is rare.
    Some(Box<[bool; 256]>),
}

/// Whether a byte is rare in text and in anything else.
fn is_rare(b: u8) -> bool {
    !matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'\r' | b'\n' | 0 | 0xff)
}

impl Exits {
    /// Of the bytes for which `begins` is true.
    pub fn new(begins: impl Fn(u8) -> bool) -> Exits {
        let all: Vec<u8> = (0..=u8::MAX).filter(|b| begins(*b)).collect();
        let rare = all.iter().all(|b| is_rare(*b));
        match *all.as_slice() {
            [] => Exits::Any,
            [a] if rare => Exits::One(a),
            [a, b] if rare => Exits::Two(a, b),
            [a, b, c] if rare => Exits::Three(a, b, c),
            _ if all.len() > MOST => Exits::Any,
            _ => {
                let mut set = Box::new([false; 256]);
                all.iter().for_each(|b| set[usize::from(*b)] = true);
                Exits::Some(set)
            }
        }
    }

    /// Whether they are searched for.
    pub fn are_few(&self) -> bool {
        !matches!(self, Exits::Any)
    }

    /// How many bytes come before the first of them.
    #[inline]
    pub fn before(&self, bytes: &[u8]) -> usize {
        let found = match self {
            Exits::Any => return 0,
            Exits::One(a) => memchr::memchr(*a, bytes),
            Exits::Two(a, b) => memchr::memchr2(*a, *b, bytes),
            Exits::Three(a, b, c) => memchr::memchr3(*a, *b, *c, bytes),
            Exits::Some(set) => bytes.iter().position(|b| set[usize::from(*b)]),
        };
        found.unwrap_or(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_them_is_found() {
        // Rare ones begin at `{`, and others among letters.
        for (least, count) in [
            (b'{', 0),
            (b'{', 1),
            (b'{', 2),
            (b'{', 3),
            (b'z', 1),
            (b'z', 4),
            (0x80, 64),
            (0x80, 65),
        ] {
            let most = usize::from(least) + count;
            let exits = Exits::new(|b| (usize::from(least)..most).contains(&usize::from(b)));
            assert_eq!(exits.are_few(), (1..=64).contains(&count), "{count}");
            if !exits.are_few() {
                continue;
            }
            for at in 0..40 {
                for byte in [least, (most - 1) as u8] {
                    let mut bytes = [least - 1; 40];
                    assert_eq!(exits.before(&bytes), 40);
                    (bytes[at], bytes[39]) = (byte, least);
                    assert_eq!(exits.before(&bytes), at, "{count} {at}");
                }
            }
            assert_eq!(exits.before(b""), 0);
        }
    }
}
