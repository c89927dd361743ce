//! The bytes of a capture through a buffer of fixed size.

use std::io::{self, Read};

/// The input and the part of it that is in memory.
pub(super) struct Source {
    pub(super) input: Box<dyn Read + Send>,
    pub(super) buf: Box<[u8]>,
    /// The bytes not yet consumed are `buf[start..end]`.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Offset of `buf[start]` in the (uncompressed) input.
    pub(super) offset: u64,
}

impl Source {
    /// Makes at least `n` (at most the buffer's length) bytes available; false when the input ends before.
    #[inline]
    pub(super) fn fill(&mut self, n: usize) -> io::Result<bool> {
        if self.end - self.start >= n {
            return Ok(true);
        }
        self.fill_slow(n)
    }

    #[cold]
    fn fill_slow(&mut self, n: usize) -> io::Result<bool> {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < n {
            let Some(room) = self.buf.get_mut(self.end..).filter(|r| !r.is_empty()) else {
                return Ok(false);
            };
            match self.input.read(room) {
                Ok(0) => return Ok(false),
                Ok(got) => self.end += got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Drops `n` available bytes.
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Drops `n` bytes of the input that need not fit in the buffer; false when it ends before.
    pub(super) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        loop {
            let have = (self.end - self.start) as u64;
            let now = have.min(n);
            self.consume(now as usize);
            n -= now;
            if n == 0 {
                return Ok(true);
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
    }
}
