//! What is kept of a stream until a message is whole.

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
