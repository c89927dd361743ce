//! A DNS message's bytes: header, numbers, names.
//!
//! Zeek reads a number that is cut off as 0 and goes on; so does this, because what makes a message sound,
//! and its connection DNS, follows from it.

/// Pointers to pointers that a name may go through (Zeek's `dns_max_compression_chain_depth`).
const MAX_POINTERS: usize = 20;
/// Longest name, dots included.
const MAX_NAME: usize = 512;
const MAX_LABEL: usize = 63;

/// The fixed part of a message (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub id: u16,
    flags: u16,
    pub questions: u16,
    pub answers: u16,
    pub authorities: u16,
    pub additional: u16,
}

pub const HEADER: usize = 12;
pub const OP_QUERY: u16 = 0;
pub const OP_NOTIFY: u16 = 4;
pub const OP_UPDATE: u16 = 5;

impl Header {
    /// The header of a message that has a whole one.
    pub fn parse(msg: &[u8]) -> Option<Header> {
        let mut r = Reader::new(msg.get(..HEADER)?);
        Some(Header {
            id: r.short(),
            flags: r.short(),
            questions: r.short(),
            answers: r.short(),
            authorities: r.short(),
            additional: r.short(),
        })
    }

    pub fn opcode(&self) -> u16 {
        self.flags >> 11 & 15
    }

    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub fn aa(&self) -> bool {
        self.flags & 0x400 != 0
    }

    pub fn tc(&self) -> bool {
        self.flags & 0x200 != 0
    }

    pub fn rd(&self) -> bool {
        self.flags & 0x100 != 0
    }

    pub fn ra(&self) -> bool {
        self.flags & 0x80 != 0
    }

    pub fn z(&self) -> u8 {
        (self.flags >> 4 & 7) as u8
    }

    pub fn rcode(&self) -> u8 {
        (self.flags & 15) as u8
    }
}

/// Why a message cannot be read further: the weird, if it has a name.
pub type Bad = Option<&'static str>;

/// A place in a message.
#[derive(Clone, Debug)]
pub struct Reader<'m> {
    msg: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    pub fn new(msg: &'m [u8]) -> Self {
        Reader { msg, at: 0 }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes left.
    pub fn left(&self) -> usize {
        self.msg.len() - self.at
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.msg.get(self.at..self.at + N)?.try_into().ok()?;
        self.at += N;
        Some(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>().map_or(0, |[b]| b)
    }

    pub fn short(&mut self) -> u16 {
        self.array().map_or(0, u16::from_be_bytes)
    }

    pub fn long(&mut self) -> u32 {
        self.array().map_or(0, u32::from_be_bytes)
    }

    /// The next `n` bytes, fewer if there are fewer.
    pub fn bytes(&mut self, n: usize) -> &'m [u8] {
        let rest = self.msg.get(self.at..).unwrap_or(&[]);
        let bytes = rest.get(..n).unwrap_or(rest);
        self.at += bytes.len();
        bytes
    }

    /// A name as text with dots, without the last one. Lower case where `lower`, and wherever a pointer
    /// led. `long_labels`: NetBIOS has labels of more than 63 bytes.
    pub fn name(&mut self, lower: bool, long_labels: bool) -> Result<Vec<u8>, Bad> {
        let (mut name, mut at, mut end) = (Vec::new(), self.at, self.msg.len());
        let (mut pointers, mut keep) = (0, None);
        loop {
            let Some(&len) = self.msg.get(at).filter(|_| at < end) else {
                return Err(Some("dns_invalid_name"));
            };
            let len = usize::from(len);
            if len == 0 {
                self.at = keep.unwrap_or(at + 1);
                break;
            }
            if len >= 0xc0 {
                let Some(&low) = self.msg.get(at + 1).filter(|_| at + 1 < end) else {
                    return Err(Some("dns_invalid_name"));
                };
                let to = (len & 0x3f) << 8 | usize::from(low);
                let after = *keep.get_or_insert(at + 2);
                if to >= at {
                    return Err(Some("DNS_label_forward_compress_offset"));
                }
                pointers += 1;
                if pointers > MAX_POINTERS {
                    self.at = after;
                    break;
                }
                // What a pointer leads to ends where the pointer stands.
                (at, end) = (to, at);
                continue;
            }
            at += 1;
            if len > end - at {
                self.at = self.msg.len();
                return Err(Some("DNS_label_len_gt_pkt"));
            }
            if len > MAX_LABEL && !long_labels {
                return Err(Some("DNS_label_too_long"));
            }
            if len + name.len() >= MAX_NAME {
                return Err(Some("DNS_label_len_gt_name_len"));
            }
            let label = self.msg.get(at..at + len).unwrap_or(&[]);
            if lower || pointers > 0 {
                name.extend(label.iter().map(u8::to_ascii_lowercase));
            } else {
                name.extend_from_slice(label);
            }
            name.push(b'.');
            at += len;
        }
        name.pop();
        Ok(name)
    }

    /// A string with its length before it (RFC 1035, 3.3), out of the `left` bytes of a record's data.
    pub fn char_string(&mut self, left: &mut usize) -> Result<Option<&'m [u8]>, Bad> {
        let Some(rest) = left.checked_sub(1) else {
            return Ok(None);
        };
        let n = usize::from(self.byte());
        *left = rest;
        if n > rest {
            return Err(Some("DNS_TXT_char_str_past_rdlen"));
        }
        *left -= n;
        Ok(Some(self.bytes(n)))
    }
}

/// TCP's framing (RFC 1035, section 4.2.2): a message under way in one direction.
#[derive(Debug, Default)]
pub struct Frames {
    buf: Vec<u8>,
}

impl Frames {
    /// Takes bytes off the front of `bytes`; a message once it is whole. Call `done` after it.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<&[u8]> {
        while self.want() > self.buf.len() && !bytes.is_empty() {
            let n = (self.want() - self.buf.len()).min(bytes.len());
            let (part, rest) = bytes.split_at(n);
            self.buf.extend_from_slice(part);
            *bytes = rest;
        }
        (self.buf.len() >= 2 && self.want() == self.buf.len()).then(|| self.buf.get(2..).unwrap_or(&[]))
    }

    /// What there is of a message that was cut off.
    pub fn rest(&self) -> Option<&[u8]> {
        self.buf.get(2..).filter(|rest| !rest.is_empty())
    }

    pub fn done(&mut self) {
        self.buf.clear();
    }

    fn want(&self) -> usize {
        match self.buf.get(..2) {
            Some(len) => 2 + usize::from(u16::from_be_bytes([len[0], len[1]])),
            None => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_pointers_backwards_only() {
        //              0..12 header   12: 3www0     17: 1a -> 12   21: -> 21
        let mut msg = vec![0; 12];
        msg.extend(b"\x03WWW\x00\x01a\xc0\x0c\xc0\x15");
        let mut r = Reader::new(&msg);
        r.bytes(17);
        assert_eq!(r.name(false, false), Ok(b"a.www".to_vec()));
        assert_eq!(r.at(), 21);
        assert_eq!(
            r.name(false, false),
            Err(Some("DNS_label_forward_compress_offset"))
        );
        let mut r = Reader::new(&msg);
        r.bytes(12);
        assert_eq!(r.name(false, false), Ok(b"WWW".to_vec()));
    }

    #[test]
    fn cut_numbers_are_zero() {
        let mut r = Reader::new(&[1]);
        assert_eq!((r.short(), r.long(), r.byte(), r.byte()), (0, 0, 1, 0));
    }

    #[test]
    fn long_names_and_labels_end() {
        let mut msg = Vec::new();
        for _ in 0..9 {
            msg.push(63);
            msg.extend([b'x'; 63]);
        }
        assert_eq!(
            Reader::new(&msg).name(true, false),
            Err(Some("DNS_label_len_gt_name_len"))
        );
        let mut msg = vec![64];
        msg.extend([b'x'; 65]);
        msg[65] = 0;
        assert_eq!(
            Reader::new(&msg).name(true, false),
            Err(Some("DNS_label_too_long"))
        );
        assert_eq!(Reader::new(&msg).name(true, true).map(|n| n.len()), Ok(64));
    }
}
