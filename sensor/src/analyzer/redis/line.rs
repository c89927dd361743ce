//! A line that ends with CR LF, of which only the beginning matters.

/// As many bytes of it as a number may have.
const MOST: usize = 24;

/// A line as far as it is there.
#[derive(Debug, Default)]
pub struct Line {
    kept: Vec<u8>,
    /// Bytes so far.
    len: usize,
    after_cr: bool,
    /// Something in it is no blank.
    has_word: bool,
}

impl Line {
    /// Takes bytes off the front of `bytes` up to the line's end. Whether that is there.
    pub fn read(&mut self, bytes: &mut &[u8]) -> bool {
        while let Some((&b, rest)) = bytes.split_first() {
            *bytes = rest;
            if self.after_cr && b == b'\n' {
                return true;
            }
            self.after_cr = b == b'\r';
            self.len += 1;
            self.has_word |= !matches!(b, 0 | b'\t' | b'\n' | b'\r' | b' ');
            if self.kept.len() < MOST {
                self.kept.push(b);
            }
        }
        false
    }

    /// How long it is so far, bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is more than blanks.
    pub fn has_word(&self) -> bool {
        self.has_word
    }

    /// The number that it is, once it is whole, if it is one.
    pub fn number(&self) -> Option<i64> {
        let text = self.kept.strip_suffix(b"\r").filter(|_| self.len <= MOST)?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }
}
