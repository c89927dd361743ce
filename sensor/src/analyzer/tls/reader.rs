//! A bounded view over a message: every read says what it was after, so that a short message explains itself.

use std::fmt;

/// A field that reaches past the end of what holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    /// The structure, or structure and field.
    at: &'static str,
    /// Bytes it takes.
    need: usize,
    /// Bytes there are.
    have: usize,
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

/// Big-endian reads from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Reader<'a> {
        Reader(data)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn take(&mut self, at: &'static str, n: usize) -> Parsed<&'a [u8]> {
        let short = Short {
            at,
            need: n,
            have: self.0.len(),
        };
        let (head, tail) = self.0.split_at_checked(n).ok_or(short)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, at: &'static str) -> Parsed<[u8; N]> {
        let short = Short {
            at,
            need: N,
            have: self.0.len(),
        };
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(short)?;
        self.0 = tail;
        Ok(*head)
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

    /// A vector with a one-byte length before it.
    pub(super) fn vec8(&mut self, at: &'static str) -> Parsed<Reader<'a>> {
        let n = self.u8(at)?;
        self.take(at, n.into()).map(Reader)
    }

    /// A vector with a two-byte length before it.
    pub(super) fn vec16(&mut self, at: &'static str) -> Parsed<Reader<'a>> {
        let n = self.u16(at)?;
        self.take(at, n.into()).map(Reader)
    }

    /// A certificate list; in Zeek's structure of that name the length field counts as well.
    pub(super) fn certificate_list(&mut self) -> Parsed<Reader<'a>> {
        let have = self.0.len();
        let n = self.u24("Certificate")? as usize;
        self.take("Certificate", n).map(Reader).map_err(|_| Short {
            at: "Certificate",
            need: n + 3,
            have,
        })
    }

    /// A vector with a three-byte length before it.
    pub(super) fn vec24(&mut self, at: &'static str) -> Parsed<Reader<'a>> {
        let n = self.u24(at)?;
        self.take(at, n as usize).map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_big_endian_and_says_what_was_short() {
        let mut r = Reader::new(&[1, 2, 3, 4, 5, 6, 0, 3, 9]);
        assert_eq!(r.u8("a").unwrap(), 1);
        assert_eq!(r.u16("b").unwrap(), 0x0203);
        assert_eq!(r.u24("c").unwrap(), 0x040506);
        let e = r.vec16("Thing").unwrap_err();
        assert_eq!(
            e.to_string(),
            "Binpac exception: binpac exception: out_of_bound: Thing: 3 > 1"
        );
    }
}
