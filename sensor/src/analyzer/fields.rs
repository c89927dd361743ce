//! Fields of a message that may end before them, in either byte order, and BER's headers. `None` is a message that is too
//! short.

/// The fields that are left of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    left: &'a [u8],
    /// Bytes read so far.
    read: usize,
}

/// A BER identifier and length (X.690, 8.1), as far as Zeek reads them: one octet of identifier, and of a length that is
/// longer than eight octets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The identifier's octet.
    pub tag: u8,
    /// The content's length, bytes.
    pub len: u64,
}

impl Header {
    /// The number of a context-specific, constructed tag; of others something that is none.
    pub fn index(self) -> u8 {
        self.tag.wrapping_sub(0xa0)
    }
}

impl<'a> Fields<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { left: bytes, read: 0 }
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Bytes left.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Bytes read.
    pub fn read(&self) -> usize {
        self.read
    }

    /// What is left, without reading it.
    pub fn left(&self) -> &'a [u8] {
        self.left
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: impl TryInto<usize>) -> Option<&'a [u8]> {
        let n = n.try_into().ok()?;
        let (taken, left) = self.left.split_at_checked(n)?;
        self.left = left;
        self.read += n;
        Some(taken)
    }

    /// Passes over `n` bytes.
    pub fn skip(&mut self, n: u64) -> Option<()> {
        self.take(n).map(drop)
    }

    /// Passes over what is before `offset`, counted from where these fields began; not back.
    pub fn skip_to(&mut self, offset: i64) -> Option<()> {
        let read = i64::try_from(self.read).ok()?;
        self.skip(u64::try_from(offset.saturating_sub(read)).unwrap_or(0))
    }

    /// Passes over what is missing to a multiple of `n` bytes from where these fields began.
    pub fn align(&mut self, n: usize) -> Option<()> {
        self.skip((self.read.next_multiple_of(n) - self.read) as u64)
    }

    /// The next `n` bytes as fields of their own.
    pub fn within(&mut self, n: u64) -> Option<Fields<'a>> {
        self.take(n).map(Fields::new)
    }

    /// All that is left as fields of their own, without reading them.
    pub fn ahead(&self) -> Fields<'a> {
        Fields::new(self.left)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = std::mem::take(&mut self.left);
        self.read += rest.len();
        rest
    }

    /// The bytes before the next 0, which is read, too.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.left.iter().position(|b| *b == 0)?;
        let text = self.take(end);
        self.take(1usize)?;
        text
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Little-endian, 16 bits.
    pub fn le16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Little-endian, 24 bits.
    pub fn le24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    /// Little-endian, 32 bits.
    pub fn le32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Little-endian, 64 bits.
    pub fn le64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Big-endian, 16 bits.
    pub fn be16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Big-endian, 32 bits.
    pub fn be32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A BER header.
    pub fn header(&mut self) -> Option<Header> {
        let tag = self.u8()?;
        let len = match self.u8()? {
            short @ 0..=0x7f => short.into(),
            long => {
                let octets = self.take(long & 0x7f)?;
                match octets.len() {
                    0..=8 => octets.iter().fold(0u64, |len, b| len << 8 | u64::from(*b)),
                    _ => 0,
                }
            }
        };
        Some(Header { tag, len })
    }

    /// The content of a BER value, whatever its tag.
    pub fn value(&mut self) -> Option<&'a [u8]> {
        let header = self.header()?;
        self.take(header.len)
    }

    /// The same of one inside another one, as elements of a SEQUENCE with explicit tags are.
    pub fn element(&mut self) -> Option<&'a [u8]> {
        self.header()?;
        self.value()
    }
}

/// A number of up to eight octets (X.690, 8.3), taken as unsigned; of a longer one 0.
pub fn number(octets: &[u8]) -> u64 {
    match octets.len() {
        0..=8 => octets.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_or_long() {
        let mut f = Fields::new(&[0x30, 3, 2, 1, 5, 0x04, 0x82, 0, 1, 9]);
        assert_eq!(f.header(), Some(Header { tag: 0x30, len: 3 }));
        assert_eq!(f.value(), Some(&[5u8][..]));
        assert_eq!(f.value(), Some(&[9u8][..]));
        assert!(f.is_empty());
        assert_eq!(Fields::new(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).value(), None);
        let nine = [0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        assert_eq!(Fields::new(&nine).value(), Some(&[][..]));
    }

    #[test]
    fn fields_end_with_the_message() {
        let mut f = Fields::new(b"\x01\x00\x02ab\0\x01\x02\x03");
        assert_eq!((f.u8(), f.be16()), (Some(1), Some(2)));
        assert_eq!(f.text(), Some(&b"ab"[..]));
        assert_eq!((f.le32(), f.le24(), f.u8()), (None, Some(0x03_0201), None));
        assert_eq!((f.text(), f.take(1), f.take(0)), (None, None, Some(&b""[..])));
    }

    #[test]
    fn padding_goes_on_and_not_back() {
        let mut f = Fields::new(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(f.u8(), Some(1));
        assert_eq!(f.skip_to(-7), Some(()));
        assert_eq!(f.align(4), Some(()));
        assert_eq!(f.u8(), Some(5));
        assert_eq!(f.skip_to(9), None);
        assert_eq!((f.read(), f.len()), (5, 3));
    }
}
