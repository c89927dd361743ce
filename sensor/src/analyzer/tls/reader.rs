//! A bounded view over a structure: every read says what it was after, so that a short message explains itself.

use std::fmt;

/// What does not fit into the structure that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    /// The structure, or structure and field.
    pub(super) at: &'static str,
    /// What it takes: bytes from the structure's start on, or a list's elements.
    pub(super) need: usize,
    /// Bytes there are.
    pub(super) have: usize,
}

/// As Zeek words it, since reasons are compared.
impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Binpac exception: binpac exception: out_of_bound: {}: {} > {}",
            self.at, self.need, self.have
        )
    }
}

pub(super) type Parsed<T> = Result<T, Short>;

/// Big-endian reads from the front of a structure. Structures within it have readers of their own, since what is
/// said of a field that does not fit counts from the start of the structure it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct TlsReader<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> TlsReader<'a> {
    pub(super) fn new(whole: &'a [u8]) -> TlsReader<'a> {
        TlsReader { whole, at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes left.
    pub(super) fn len(&self) -> usize {
        self.whole.len() - self.at
    }

    fn left(&self) -> &'a [u8] {
        &self.whole[self.at..]
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.left();
        self.at = self.whole.len();
        rest
    }

    /// Whether `n` bytes more are there; for fields that only come together.
    pub(super) fn check(&self, at: &'static str, n: usize) -> Parsed<()> {
        if n <= self.len() {
            return Ok(());
        }
        Err(Short {
            at,
            need: self.at + n,
            have: self.whole.len(),
        })
    }

    /// The structure ends `n` bytes from here.
    pub(super) fn end_after(&mut self, at: &'static str, n: usize) -> Parsed<()> {
        self.check(at, n)?;
        self.whole = &self.whole[..self.at + n];
        Ok(())
    }

    pub(super) fn take(&mut self, at: &'static str, n: usize) -> Parsed<&'a [u8]> {
        self.check(at, n)?;
        let taken = &self.left()[..n];
        self.at += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, at: &'static str) -> Parsed<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(at, N)?);
        Ok(out)
    }

    pub(super) fn u8(&mut self, at: &'static str) -> Parsed<u8> {
        self.array::<1>(at).map(|b| b[0])
    }

    pub(super) fn u16(&mut self, at: &'static str) -> Parsed<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self, at: &'static str) -> Parsed<u32> {
        let [a, b, c] = self.array(at)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self, at: &'static str) -> Parsed<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub(super) fn u48(&mut self, at: &'static str) -> Parsed<u64> {
        let [a, b, c, d, e, f] = self.array(at)?;
        Ok(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// A vector with a one-byte length before it: the names of the length and of what it counts.
    pub(super) fn vec8(&mut self, length: &'static str, at: &'static str) -> Parsed<TlsReader<'a>> {
        let n = self.u8(length)?;
        self.take(at, n.into()).map(TlsReader::new)
    }

    /// A vector with a two-byte length before it.
    pub(super) fn vec16(&mut self, length: &'static str, at: &'static str) -> Parsed<TlsReader<'a>> {
        let n = self.u16(length)?;
        self.take(at, n.into()).map(TlsReader::new)
    }

    /// A vector with a three-byte length before it.
    pub(super) fn vec24(&mut self, length: &'static str, at: &'static str) -> Parsed<TlsReader<'a>> {
        let n = self.u24(length)?;
        self.take(at, n as usize).map(TlsReader::new)
    }

    /// A list of `count` elements of `size` bytes each. Zeek counts elements when there are too few bytes.
    pub(super) fn list(&mut self, at: &'static str, count: usize, size: usize) -> Parsed<&'a [u8]> {
        let have = self.len();
        let short = Short {
            at,
            need: count,
            have,
        };
        self.take(at, count * size).map_err(|_| short)
    }

    /// A structure within this one, to be read to where `read` stops.
    pub(super) fn part<T>(&mut self, read: impl FnOnce(&mut TlsReader<'a>) -> Parsed<T>) -> Parsed<T> {
        let mut inner = TlsReader::new(self.left());
        let out = read(&mut inner)?;
        self.at += inner.at;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_big_endian_and_says_what_was_short() {
        let mut r = TlsReader::new(&[1, 2, 3, 4, 5, 6, 0, 3, 9]);
        assert_eq!(r.u8("a").unwrap(), 1);
        assert_eq!(r.u16("b").unwrap(), 0x0203);
        assert_eq!(r.u24("c").unwrap(), 0x040506);
        let e = r.vec16("Thing:length", "Thing").unwrap_err();
        assert_eq!(
            e.to_string(),
            "Binpac exception: binpac exception: out_of_bound: Thing: 11 > 9"
        );
    }

    #[test]
    fn structures_within_count_from_their_own_start_and_lists_count_elements() {
        let mut r = TlsReader::new(&[1, 2, 3, 4, 5]);
        r.u16("a").unwrap();
        let e = r.part(|r| {
            r.u8("b")?;
            r.take("c", 3)
        });
        assert_eq!(
            e.unwrap_err(),
            Short {
                at: "c",
                need: 4,
                have: 3
            }
        );
        assert_eq!(r.part(|r| r.u16("d")).unwrap(), 0x0304);
        let e = r.list("e", 1, 2).unwrap_err();
        assert_eq!(
            e,
            Short {
                at: "e",
                need: 1,
                have: 1
            }
        );
    }
}
