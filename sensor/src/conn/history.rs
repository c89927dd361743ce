//! The letters of a connection's history, most of them within the connection itself.

/// Letters that fit; more go elsewhere.
const ROOM: usize = 12;

/// ASCII text of bounded length.
#[derive(Clone, Copy, Default)]
pub struct History {
    len: u8,
    text: [u8; ROOM],
}

impl History {
    /// Appends an ASCII letter; false when it is full.
    pub fn push(&mut self, letter: char) -> bool {
        let Some(place) = self.text.get_mut(self.len as usize) else {
            return false;
        };
        *place = letter as u8;
        self.len += 1;
        true
    }

    /// Whether it is just this letter.
    pub fn is(&self, letter: u8) -> bool {
        self.len == 1 && self.text[0] == letter
    }

    pub fn as_str(&self) -> &str {
        let text = self.text.get(..self.len as usize).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl From<&str> for History {
    /// What fits of it.
    fn from(s: &str) -> Self {
        let mut h = History::default();
        s.chars().all(|c| h.push(c));
        h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_fits() {
        let mut h = History::from("ShADadFf");
        assert_eq!(h.as_str(), "ShADadFf");
        assert!(History::from("S").is(b'S') && !h.is(b'S') && !History::default().is(b'S'));
        assert!((8..ROOM).all(|_| h.push('t')));
        assert!(!h.push('G'));
        assert_eq!(h.as_str(), "ShADadFftttt");
    }
}
