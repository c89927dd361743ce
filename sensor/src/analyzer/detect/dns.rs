//! DNS as far as being sure takes: header, questions and answers have to be sound.

use super::Said;

/// Messages that claim more questions are not DNS (Zeek's `dns_max_queries`).
const MAX_QUERIES: u16 = 25;
/// Pointers to pointers that a name may go through.
const MAX_POINTERS: usize = 20;
const MAX_NAME: usize = 512;
pub const NETBIOS_PORT: u16 = 137;

const OP_QUERY: u16 = 0;
const OP_NOTIFY: u16 = 4;
const OP_UPDATE: u16 = 5;
const TYPE_A: u16 = 1;
const TYPE_SOA: u16 = 6;
const TYPE_AAAA: u16 = 28;
const TYPE_A6: u16 = 38;

/// What is known of a connection besides its messages.
#[derive(Debug)]
pub struct Dns {
    netbios: bool,
    first_seen: bool,
    /// The first message came from the originator and is a response.
    pub backwards: bool,
}

impl Dns {
    /// `netbios`: one of the ports is 137, whose messages bend some rules.
    pub fn new(netbios: bool) -> Self {
        Dns {
            netbios,
            first_seen: false,
            backwards: false,
        }
    }

    /// One message, without TCP's length.
    pub fn message(&mut self, is_orig: bool, msg: &[u8], said: &mut Said<'_, '_>) {
        let Some(header) = Header::parse(msg) else { return };
        if !(matches!(header.opcode(), OP_QUERY | OP_NOTIFY | OP_UPDATE) || self.netbios) {
            return;
        }
        if !std::mem::replace(&mut self.first_seen, true) {
            self.backwards = header.is_response() && is_orig;
        }
        if header.questions > MAX_QUERIES {
            said.violation("DNS_Conn_count_too_large");
            return;
        }
        if self.is_sound(&header, msg).is_some() {
            said.confirm();
        }
    }

    fn is_sound(&self, header: &Header, msg: &[u8]) -> Option<()> {
        let mut at = Cursor { msg, at: 12 };
        if header.opcode() == OP_UPDATE && !self.netbios {
            if header.questions != 1 {
                return None;
            }
            at.name(self.netbios)?;
            if at.short()? != TYPE_SOA {
                return None;
            }
            at.short()?;
            for _ in 0..u32::from(header.answers) + u32::from(header.authorities) {
                at.name(self.netbios)?;
                at.skip(8)?;
                let n = at.short()?;
                at.skip(usize::from(n))?;
            }
            return Some(());
        }
        for _ in 0..header.questions {
            at.name(self.netbios)?;
            at.skip(4)?;
        }
        for _ in 0..header.answers {
            at.record(self.netbios)?;
        }
        Some(())
    }
}

struct Header {
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
}

impl Header {
    fn parse(msg: &[u8]) -> Option<Header> {
        let mut at = Cursor {
            msg: msg.get(..12)?,
            at: 2,
        };
        Some(Header {
            flags: at.short()?,
            questions: at.short()?,
            answers: at.short()?,
            authorities: at.short()?,
        })
    }

    fn opcode(&self) -> u16 {
        self.flags >> 11 & 15
    }

    fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }
}

struct Cursor<'a> {
    msg: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn short(&mut self) -> Option<u16> {
        let b = self.msg.get(self.at..self.at + 2)?;
        self.at += 2;
        Some(u16::from_be_bytes([b[0], b[1]]))
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.at = self.at.checked_add(n).filter(|end| *end <= self.msg.len())?;
        Some(())
    }

    /// Steps over a name, having looked at where its pointers lead.
    fn name(&mut self, netbios: bool) -> Option<()> {
        let (mut at, mut end, mut pointers, mut room) = (self.at, None, 0, MAX_NAME);
        loop {
            let len = usize::from(*self.msg.get(at)?);
            if len == 0 {
                self.at = end.unwrap_or(at + 1);
                return Some(());
            }
            if len >= 0xc0 {
                let to = (len & 0x3f) << 8 | usize::from(*self.msg.get(at + 1)?);
                end.get_or_insert(at + 2);
                if to >= at {
                    return None;
                }
                pointers += 1;
                if pointers > MAX_POINTERS {
                    self.at = end?;
                    return Some(());
                }
                at = to;
                continue;
            }
            if (len > 63 && !netbios) || len >= room {
                return None;
            }
            self.msg.get(at + 1..at + 1 + len)?;
            at += 1 + len;
            room -= len + 1;
        }
    }

    fn record(&mut self, netbios: bool) -> Option<()> {
        self.name(netbios)?;
        let typ = self.short()?;
        self.skip(6)?;
        let len = usize::from(self.short()?);
        let left = self.msg.len().checked_sub(self.at)?;
        let size_ok = match typ {
            TYPE_A => len == 4,
            TYPE_AAAA | TYPE_A6 => len == 16,
            _ => true,
        };
        if len > left || (len == 0 && left > 0) || !size_ok {
            return None;
        }
        self.skip(len)
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
