//! The bytes of a capture through a buffer of bounded size.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// First size of the buffer, bytes. It grows with what is read, never with what a length field says.
const FIRST_SIZE: usize = 16 * 1024;
/// Last size: any block that must be looked at as a whole fits, and reads are large.
pub(super) const LAST_SIZE: usize = 512 * 1024;

/// Counts what is read, for who does not read it.
pub(super) struct Counted<R> {
    pub(super) input: R,
    pub(super) read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(into)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The input and the part of it that is in memory.
pub(super) struct Source {
    input: Box<dyn Read + Send>,
    pub(super) buf: Vec<u8>,
    /// The bytes not yet consumed are `buf[start..end]`.
    pub(super) start: usize,
    end: usize,
    /// Offset of `buf[start]` in the (uncompressed) input.
    pub(super) offset: u64,
    /// Size up to which the buffer grows for speed alone.
    pub(super) most: usize,
    /// Bytes of the input that are still to be dropped.
    skipping: u64,
}

impl Source {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Source {
            input,
            buf: vec![0; FIRST_SIZE],
            start: 0,
            end: 0,
            offset: 0,
            most: LAST_SIZE,
            skipping: 0,
        }
    }

    /// Makes at least `n` (at most 512 KiB) bytes available; false when the input ends before.
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
            if self.end == self.buf.len() {
                if self.end >= LAST_SIZE {
                    return Ok(false);
                }
                self.buf.resize(self.end * 2, 0);
            }
            match self.input.read(&mut self.buf[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(got) => self.end += got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.end == self.buf.len() && self.end < self.most.min(LAST_SIZE) {
            // A long input: read more at a time.
            self.buf.resize(self.end * 2, 0);
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

    /// Drops `n` bytes of the input that need not fit in the buffer; false when it ends before. Where there is nothing at
    /// hand, [`Source::skip_rest`] goes on.
    pub(super) fn skip(&mut self, n: u64) -> io::Result<bool> {
        self.skipping = n;
        self.skip_rest()
    }

    /// Drops what is still to be dropped.
    #[inline]
    pub(super) fn skip_rest(&mut self) -> io::Result<bool> {
        while self.skipping > 0 {
            let now = self.skipping.min((self.end - self.start) as u64);
            self.consume(now as usize);
            self.skipping -= now;
            if self.skipping == 0 {
                break;
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
