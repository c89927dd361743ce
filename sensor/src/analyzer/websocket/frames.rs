//! WebSocket's frames (RFC 6455, section 5.2): the data of text and binary messages out of them.

/// Both directions' frames. They are of use only together: what is wrong with one ends both.
#[derive(Debug, Default)]
pub struct Frames {
    sides: [Side; 2],
    broken: bool,
}

#[derive(Debug, Default)]
struct Side {
    /// The frame's header as far as it is there: two bytes, length, masking key.
    header: [u8; 14],
    have: usize,
    /// Payload bytes still to come.
    left: u64,
    /// Payload bytes so far, of which the mask's place follows.
    at: usize,
    /// A message has begun and not ended.
    continues: bool,
    /// Its frames are text or binary.
    is_data: bool,
}

impl Frames {
    /// Takes bytes of one direction; gives back the payload in them.
    pub fn unframe(&mut self, is_orig: bool, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let side = &mut self.sides[usize::from(!is_orig)];
        while !self.broken && !bytes.is_empty() {
            if side.left > 0 {
                side.payload(&mut bytes, &mut out);
                continue;
            }
            side.header[side.have] = bytes[0];
            side.have += 1;
            bytes = &bytes[1..];
            if side.have == side.header_len() {
                self.broken = !side.begin();
            }
        }
        out
    }

    /// Bytes are missing: where the next frame begins is not known.
    pub fn gap(&mut self) {
        self.broken = true;
    }
}

impl Side {
    /// Bytes of the length field that follows the first two.
    fn length_len(&self) -> usize {
        match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn is_masked(&self) -> bool {
        self.header[1] & 0x80 != 0
    }

    /// Known once two bytes are there; one byte alone is never a header.
    fn header_len(&self) -> usize {
        2 + self.length_len() + if self.is_masked() { 4 } else { 0 }
    }

    /// The header is whole. False when it can be none: only what continues a message has no opcode.
    fn begin(&mut self) -> bool {
        let (first, opcode) = (self.header[0], self.header[0] & 15);
        if self.continues == (opcode != 0) {
            return false;
        }
        if !self.continues {
            self.is_data = matches!(opcode, 1 | 2);
        }
        self.continues = first & 0x80 == 0;
        self.left = match self.length_len() {
            0 => u64::from(self.header[1] & 0x7f),
            n => self.header[2..2 + n]
                .iter()
                .fold(0, |v, b| v << 8 | u64::from(*b)),
        };
        (self.have, self.at) = (0, 0);
        true
    }

    fn payload(&mut self, bytes: &mut &[u8], out: &mut Vec<u8>) {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (part, rest) = bytes.split_at(n);
        *bytes = rest;
        self.left -= n as u64;
        if !self.is_data {
            return;
        }
        let mut key = [0; 4];
        if self.is_masked() {
            let from = 2 + self.length_len();
            key.copy_from_slice(&self.header[from..from + 4]);
        }
        let at = self.at;
        out.extend(part.iter().enumerate().map(|(i, b)| b ^ key[(at + i) % 4]));
        self.at = (at + n) % 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_comes_out_of_its_frames_however_they_are_cut() {
        // A masked text in two frames with a ping between messages, and a binary of 200 bytes.
        let mut wire = b"\x01\x83\x01\x02\x03\x04bpq\x80\x02de\x89\x01!\x82\x7e\x00\xc8".to_vec();
        wire.extend([b'x'; 200]);
        let want = [&b"crrde"[..], &[b'x'; 200]].concat();
        for size in [1, 2, 3, 50, 1000] {
            let mut ws = Frames::default();
            let got: Vec<u8> = wire
                .chunks(size)
                .flat_map(|part| ws.unframe(true, part))
                .collect();
            assert_eq!(got, want);
            assert_eq!(ws.unframe(false, b"\x81\x01a"), b"a", "the other direction");
        }
    }

    #[test]
    fn a_message_begins_with_an_opcode() {
        let mut ws = Frames::default();
        assert_eq!(ws.unframe(true, b"\x80\x01a\x81\x01b"), b"");
        assert_eq!(ws.unframe(false, b"\x81\x01a"), b"");
    }
}
