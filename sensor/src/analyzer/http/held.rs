//! What both sides of a connection send before it is known which version of HTTP they speak, in the order in which it comes.

/// Bytes that wait. Who keeps them sees to it that they are few: a side that sends little bounds how often the sides take turns.
#[derive(Debug, Default)]
pub struct Held {
    sides: [Vec<u8>; 2],
    /// Whose bytes came, by turns, and how many.
    turns: Vec<(usize, usize)>,
}

impl Held {
    /// More bytes of a direction.
    pub fn push(&mut self, dir: usize, bytes: &[u8]) {
        let Some(side) = self.sides.get_mut(dir).filter(|_| !bytes.is_empty()) else {
            return;
        };
        side.extend_from_slice(bytes);
        match self.turns.last_mut() {
            Some((last, len)) if *last == dir => *len += bytes.len(),
            _ => self.turns.push((dir, bytes.len())),
        }
    }

    /// All bytes of a direction.
    pub fn of(&self, dir: usize) -> &[u8] {
        self.sides.get(dir).map_or(&[], Vec::as_slice)
    }

    /// Nothing came.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Direction and bytes, as they came.
    pub fn turns(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut rest = [self.of(0), self.of(1)];
        self.turns.iter().filter_map(move |&(dir, len)| {
            let rest = rest.get_mut(dir)?;
            let (bytes, more) = rest.split_at_checked(len)?;
            *rest = more;
            Some((dir, bytes))
        })
    }

    /// The sides change places.
    pub fn flip(&mut self) {
        self.sides.swap(0, 1);
        self.turns.iter_mut().for_each(|(dir, _)| *dir ^= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_came() {
        let mut held = Held::default();
        assert!(held.is_empty());
        for (dir, bytes) in [(1, "a"), (1, "b"), (0, ""), (0, "c"), (1, "d"), (2, "x")] {
            held.push(dir, bytes.as_bytes());
        }
        assert!(held.turns().eq([(1, &b"ab"[..]), (0, b"c"), (1, b"d")]));
        assert_eq!((held.of(0), held.of(1)), (&b"c"[..], &b"abd"[..]));
        held.flip();
        assert!(held.turns().eq([(0, &b"ab"[..]), (1, b"c"), (0, b"d")]));
        assert!(!held.is_empty());
    }
}
