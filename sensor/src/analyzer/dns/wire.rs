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
/// The type of the record that extends a message's header.
const OPT: u16 = super::rr::OPT;

impl Header {
    /// The header of a message that has a whole one.
    pub fn parse(msg: &[u8]) -> Option<Header> {
        let mut r = DnsReader::new(msg.get(..HEADER)?);
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

/// A message cannot be read further; with the weird to raise, if there is one.
pub type Bad = Option<&'static str>;

/// A place in a message.
#[derive(Clone, Debug)]
pub struct DnsReader<'m> {
    msg: &'m [u8],
    at: usize,
}

impl<'m> DnsReader<'m> {
    pub fn new(msg: &'m [u8]) -> Self {
        DnsReader { msg, at: 0 }
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
    ///
    /// There is always a name, empty if need be: an error ends it, and reading goes on behind the bytes looked at so far, as
    /// in Zeek.
    pub fn name(
        &mut self,
        lower: bool,
        long_labels: bool,
        weird: &mut dyn FnMut(&'static str, String),
    ) -> Vec<u8> {
        let (mut name, mut at, mut end) = (Vec::new(), self.at, self.msg.len());
        let (mut pointers, mut after) = (0, None);
        while let Some(&len) = self.msg.get(at).filter(|_| at < end) {
            let (start, len) = (at, usize::from(len));
            at += 1;
            if at >= end || len == 0 {
                break;
            }
            if len >= 0xc0 {
                let low = self.msg.get(at).copied().unwrap_or(0);
                let to = (len & 0x3f) << 8 | usize::from(low);
                at += 1;
                after.get_or_insert(at);
                pointers += 1;
                if to >= start {
                    weird("DNS_label_forward_compress_offset", String::new());
                    break;
                }
                if pointers > MAX_POINTERS {
                    weird("DNS_max_compression_chain_depth_exceeded", String::new());
                    break;
                }
                // What a pointer leads to ends where the pointer stands.
                (at, end) = (to, start);
                continue;
            }
            if len > end - at {
                weird("DNS_label_len_gt_pkt", String::new());
                at = end;
                break;
            }
            if len > MAX_LABEL && !long_labels {
                weird("DNS_label_too_long", String::new());
                break;
            }
            if len + name.len() >= MAX_NAME {
                weird("DNS_label_len_gt_name_len", String::new());
                break;
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
        self.at = after.unwrap_or(at).min(self.msg.len());
        if name.len() >= 255 {
            weird("DNS_NAME_too_long", String::new());
        }
        name.pop();
        name
    }

    /// Goes past a name. `None`: it does not end in the message.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.array::<1>()? {
                [0] => return Some(()),
                [0xc0..=0xff] => return self.array::<1>().map(|_| ()),
                [n] => self.skip(n.into())?,
            }
        }
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        (n <= self.left()).then(|| self.at += n)
    }

    /// The upper eight bits of the response code, out of the OPT record among the next `records` (RFC 6891, 6.1.3).
    /// `None`: there is none, or what stands before it is not sound.
    pub fn extended_rcode(mut self, records: u32) -> Option<u8> {
        for _ in 0..records {
            self.skip_name()?;
            let rtype = u16::from_be_bytes(self.array()?);
            let [_, _, upper, ..] = self.array::<6>()?;
            if rtype == OPT {
                return Some(upper);
            }
            let len = u16::from_be_bytes(self.array()?);
            self.skip(len.into())?;
        }
        None
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

    /// Drops the message that [`Frames::next`] gave, for the one after it.
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

    /// A name, where reading goes on behind it, and its weirds.
    fn name_at(msg: &[u8], at: usize, long_labels: bool) -> (Vec<u8>, usize, Vec<&'static str>) {
        let mut r = DnsReader::new(msg);
        r.bytes(at);
        let mut weirds = vec![];
        let name = r.name(false, long_labels, &mut |w, _| weirds.push(w));
        (name, r.at(), weirds)
    }

    #[test]
    fn names_follow_pointers_backwards_only() {
        //              0..12 header   12: 3www0     17: 1a -> 12   21: -> 21
        let mut msg = vec![0; 12];
        msg.extend(b"\x03WWW\x00\x01a\xc0\x0c\xc0\x15\x00");
        assert_eq!(name_at(&msg, 17, false), (b"a.www".to_vec(), 21, vec![]));
        assert_eq!(
            name_at(&msg, 21, false),
            (b"".to_vec(), 23, vec!["DNS_label_forward_compress_offset"])
        );
        assert_eq!(name_at(&msg, 12, false), (b"WWW".to_vec(), 17, vec![]));
    }

    #[test]
    fn a_bad_label_ends_a_name_and_no_more() {
        let cut = b"\x01a\x05bc";
        assert_eq!(
            name_at(cut, 0, false),
            (b"a".to_vec(), 5, vec!["DNS_label_len_gt_pkt"])
        );
        assert_eq!(name_at(b"", 0, false), (vec![], 0, vec![]));
        assert_eq!(name_at(b"\xc0", 0, false), (vec![], 1, vec![]));
        // A chain of pointers, each to the one before it.
        let mut msg = vec![0, 0];
        for at in 0..30u8 {
            msg.extend([0xc0, at * 2]);
        }
        assert_eq!(
            name_at(&msg, 60, false),
            (vec![], 62, vec!["DNS_max_compression_chain_depth_exceeded"])
        );
    }

    #[test]
    fn cut_numbers_are_zero() {
        let mut r = DnsReader::new(&[1]);
        assert_eq!((r.short(), r.long(), r.byte(), r.byte()), (0, 0, 1, 0));
    }

    #[test]
    fn long_names_and_labels_end() {
        let mut msg = Vec::new();
        for _ in 0..9 {
            msg.push(63);
            msg.extend([b'x'; 63]);
        }
        let (name, _, weirds) = name_at(&msg, 0, false);
        assert_eq!(
            (name.len(), weirds),
            (511, vec!["DNS_label_len_gt_name_len", "DNS_NAME_too_long"])
        );
        let mut msg = vec![64];
        msg.extend([b'x'; 65]);
        msg[65] = 0;
        assert_eq!(name_at(&msg, 0, false), (vec![], 1, vec!["DNS_label_too_long"]));
        assert_eq!(name_at(&msg, 0, true).0.len(), 64);
    }
}
