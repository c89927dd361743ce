//! Fields off the front of a message that may end before them, and what is kept of a stream until a message is whole.

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a>(pub &'a [u8]);

impl<'a> Cut<'a> {
    /// The next `n` bytes, if they are there.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(part)
    }

    /// The bytes before the next 0, which is taken, too.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = self.take(end);
        self.take(1)?;
        text
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*part)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[b]| b)
    }

    /// A big-endian number of 16 bits.
    pub fn be16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A little-endian number of 16 bits.
    pub fn le16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A little-endian number of 24 bits.
    pub fn le24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    /// A little-endian number of 32 bits.
    pub fn le32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian number of 64 bits.
    pub fn le64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Bytes of a direction whose messages are read when they are whole.
#[derive(Debug, Default)]
pub struct Gather {
    kept: Vec<u8>,
    /// So many of them were read.
    at: usize,
}

impl Gather {
    /// More bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.kept.drain(..self.at);
        self.at = 0;
        self.kept.extend_from_slice(bytes);
    }

    /// What was not read yet.
    pub fn rest(&self) -> &[u8] {
        self.kept.get(self.at..).unwrap_or(&[])
    }

    /// The next `n` bytes, if they are there; they are read.
    pub fn take(&mut self, n: usize) -> Option<&[u8]> {
        let message = self.kept.get(self.at..)?.get(..n)?;
        self.at += n;
        Some(message)
    }

    /// Forgets what was not read.
    pub fn clear(&mut self) {
        *self = Gather::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_with_the_message() {
        let mut cut = Cut(b"\x01\x00\x02ab\0\x01\x02\x03");
        assert_eq!((cut.u8(), cut.be16()), (Some(1), Some(2)));
        assert_eq!(cut.text(), Some(&b"ab"[..]));
        assert_eq!((cut.le32(), cut.le24(), cut.u8()), (None, Some(0x03_0201), None));
        assert_eq!(
            (cut.text(), cut.take(1), cut.take(0)),
            (None, None, Some(&b""[..]))
        );
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let mut gather = Gather::default();
        gather.push(b"ab");
        assert_eq!(gather.take(3), None);
        gather.push(b"cd");
        assert_eq!(gather.take(3), Some(&b"abc"[..]));
        gather.push(b"e");
        assert_eq!((gather.rest(), gather.kept.len()), (&b"de"[..], 2));
    }
}
