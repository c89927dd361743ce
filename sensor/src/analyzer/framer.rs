//! Messages that say their own length, put together from the pieces of a stream, in bounds.

/// One direction's stream of such messages.
#[derive(Debug)]
pub struct Framer {
    /// The beginning of the message under way.
    kept: Vec<u8>,
    /// Bytes of it still to come that are not kept.
    over: u64,
    /// The message in `kept` was given out.
    told: bool,
    /// Bytes kept of a message.
    most: usize,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'b> {
    /// Its bytes, from the first on.
    pub bytes: &'b [u8],
    /// Its end is missing: it is longer than what is kept, or nobody wanted all of it.
    pub is_cut: bool,
}

impl Framer {
    /// Keeps `most` bytes of a message.
    pub const fn new(most: usize) -> Framer {
        Framer {
            kept: Vec::new(),
            over: 0,
            told: false,
            most,
        }
    }

    /// Takes bytes off the front of `bytes` up to the end of a message, and gives that. `len` says of a message's beginning how
    /// long it is in all, 0 if that is not known yet; it is asked again when more has come.
    pub fn next<'s, 'b: 's>(
        &'s mut self,
        bytes: &mut &'b [u8],
        len: impl Fn(&[u8]) -> u64,
    ) -> Option<Message<'s>> {
        if std::mem::take(&mut self.told) {
            self.kept.clear();
        }
        if self.over > 0 {
            let n = usize::try_from(self.over).unwrap_or(usize::MAX).min(bytes.len());
            *bytes = &bytes[n..];
            self.over -= n as u64;
            return (self.over == 0).then(|| self.tell(true));
        }
        // Whole, as most are.
        if self.kept.is_empty() {
            let whole = usize::try_from(len(bytes)).unwrap_or(usize::MAX);
            if let Some((message, rest)) = bytes.split_at_checked(whole).filter(|_| whole > 0) {
                *bytes = rest;
                return Some(Message {
                    bytes: message,
                    is_cut: false,
                });
            }
        }
        while !bytes.is_empty() {
            let whole = len(&self.kept);
            // Until the length is known byte by byte: it stands in the first few.
            let missing = match whole {
                0 => 1,
                whole => whole.saturating_sub(self.kept.len() as u64),
            };
            if missing == 0 {
                return Some(self.tell(false));
            }
            let room = self.most.saturating_sub(self.kept.len());
            let n = usize::try_from(missing)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
                .min(room);
            if n == 0 {
                self.over = if whole == 0 { u64::MAX } else { missing };
                return self.next_over(bytes);
            }
            let (part, rest) = bytes.split_at(n);
            self.kept.extend_from_slice(part);
            *bytes = rest;
            if whole > 0 && n as u64 == missing {
                return Some(self.tell(false));
            }
        }
        let whole = len(&self.kept);
        (whole > 0 && whole <= self.kept.len() as u64).then(|| self.tell(false))
    }

    /// The rest of the message is not kept.
    fn next_over<'s>(&'s mut self, bytes: &mut &[u8]) -> Option<Message<'s>> {
        let n = usize::try_from(self.over).unwrap_or(usize::MAX).min(bytes.len());
        *bytes = &bytes[n..];
        self.over -= n as u64;
        (self.over == 0).then(|| self.tell(true))
    }

    fn tell(&mut self, is_cut: bool) -> Message<'_> {
        self.told = true;
        Message {
            bytes: &self.kept,
            is_cut,
        }
    }

    /// The beginning of the message under way, as far as it came.
    pub fn begun(&self) -> &[u8] {
        match self.told {
            true => &[],
            false => &self.kept,
        }
    }

    /// Nobody wants the rest of the message under way, of which `missing` bytes are to come.
    pub fn pass_over(&mut self, missing: u64) {
        self.over = missing;
    }

    /// Bytes still to come that nobody wants.
    pub fn unwanted(&self) -> u64 {
        self.over
    }

    /// So many of those came.
    pub fn came(&mut self, n: u64) {
        self.over = self.over.saturating_sub(n);
        if self.over == 0 {
            self.told = true;
        }
    }

    /// Forgets what it has.
    pub fn clear(&mut self) {
        self.kept = Vec::new();
        self.over = 0;
        self.told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte of length, of all of it.
    fn len(b: &[u8]) -> u64 {
        b.get(1).map_or(0, |n| u64::from(*n))
    }

    fn told(framer: &mut Framer, mut bytes: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let mut out = Vec::new();
        while let Some(m) = framer.next(&mut bytes, len) {
            out.push((m.bytes.to_vec(), m.is_cut));
        }
        assert!(bytes.is_empty());
        out
    }

    #[test]
    fn pieces_make_the_same_messages_however_they_are_cut() {
        let stream = [7, 3, 1, 7, 2, 7, 5, 1, 2, 3];
        let want = [vec![7, 3, 1], vec![7, 2], vec![7, 5, 1, 2, 3]];
        for cut in 0..=stream.len() {
            let mut framer = Framer::new(100);
            let mut all = told(&mut framer, &stream[..cut]);
            all.extend(told(&mut framer, &stream[cut..]));
            assert_eq!(all, want.clone().map(|m| (m, false)), "{cut}");
        }
        let mut framer = Framer::new(100);
        let all: Vec<_> = stream.iter().flat_map(|b| told(&mut framer, &[*b])).collect();
        assert_eq!(all, want.map(|m| (m, false)));
    }

    #[test]
    fn a_long_message_is_kept_in_part() {
        let mut framer = Framer::new(4);
        assert!(told(&mut framer, &[7, 6, 1, 2]).is_empty());
        assert_eq!(
            told(&mut framer, &[3, 4, 7, 2]),
            [(vec![7, 6, 1, 2], true), (vec![7, 2], false)]
        );
        assert!(told(&mut framer, &[7, 200]).is_empty());
        assert_eq!(framer.begun(), [7, 200]);
        framer.pass_over(198);
        framer.came(197);
        assert_eq!(framer.unwanted(), 1);
        assert_eq!(
            told(&mut framer, &[9, 7, 2]),
            [(vec![7, 200], true), (vec![7, 2], false)]
        );
    }
}
