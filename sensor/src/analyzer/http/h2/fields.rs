//! The headers of a block, decoded, in one piece of memory.

/// Memory that is kept for the next block, bytes.
const MAX_SPARE: usize = 16 << 10;

/// Names and values, in order.
#[derive(Debug, Default)]
pub struct Fields {
    text: Vec<u8>,
    /// Where each name and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Fields {
    /// Appends one.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.ends.push((middle, self.text.len()));
    }

    /// Makes room for another block's.
    pub fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(MAX_SPARE);
        self.ends.clear();
    }

    fn all(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut from = 0;
        self.ends.iter().map(move |&(middle, end)| {
            let name = self.text.get(from..middle).unwrap_or(&[]);
            from = end;
            (name, self.text.get(middle..end).unwrap_or(&[]))
        })
    }

    /// Those that are no pseudo-headers (RFC 9113, section 8.3).
    pub fn regular(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.all().filter(|(name, _)| !name.starts_with(b":"))
    }

    /// The first one's value of that name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.all().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}
