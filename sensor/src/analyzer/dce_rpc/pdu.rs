//! DCE/RPC's connection-oriented PDUs (C706, chapter 12; MS-RPCE): where one ends, and whether its body is one.

use crate::analyzer::fields::Fields;

/// Bytes of the common header.
pub const HEADER_LEN: usize = 16;

/// PDU types that are read (C706, section 12.6.4).
mod ptype {
    pub(super) const REQUEST: u8 = 0;
    pub(super) const RESPONSE: u8 = 2;
    pub(super) const BIND: u8 = 11;
    pub(super) const BIND_ACK: u8 = 12;
    pub(super) const ALTER_CONTEXT: u8 = 14;
    pub(super) const ALTER_CONTEXT_RESP: u8 = 15;
}

/// The common header (C706, section 12.6.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Header {
    ptype: u8,
    flags: u8,
    is_little: bool,
    /// Bytes of all of the PDU.
    pub frag_len: u16,
    /// Bytes of the authentication token at its end.
    pub auth_len: u16,
    /// Which call it is of.
    pub call: u32,
}

/// Numbers in the sender's byte order.
fn n16(f: &mut Fields<'_>, is_little: bool) -> Option<u16> {
    if is_little { f.le16() } else { f.be16() }
}

impl Header {
    /// Reads it. Anything but version 5 is none.
    pub fn read(f: &mut Fields<'_>) -> Option<Header> {
        if f.u8()? != 5 {
            return None;
        }
        f.u8()?;
        let (ptype, flags) = (f.u8()?, f.u8()?);
        let is_little = f.u8()? >> 4 != 0;
        f.skip(3)?;
        let (frag_len, auth_len) = (n16(f, is_little)?, n16(f, is_little)?);
        let call = if is_little { f.le32() } else { f.be32() }?;
        Some(Header {
            ptype,
            flags,
            is_little,
            frag_len,
            auth_len,
            call,
        })
    }

    /// The first fragment of its call.
    pub fn is_first(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The last one.
    pub fn is_last(&self) -> bool {
        self.flags & 2 != 0
    }

    fn has_object(&self) -> bool {
        self.flags & 0x80 != 0
    }

    /// Whether the body that came in several fragments is one, as far as its length tells.
    pub fn takes_fragments(&self, len: usize) -> bool {
        match self.ptype {
            ptype::REQUEST if self.has_object() => len >= 24,
            ptype::REQUEST | ptype::RESPONSE | ptype::BIND | ptype::BIND_ACK => len >= 8,
            ptype::ALTER_CONTEXT | ptype::ALTER_CONTEXT_RESP => len >= 8,
            _ => true,
        }
    }

    /// Whether the body is one.
    pub fn takes(&self, body: &[u8]) -> bool {
        self.body(&mut Fields::new(body)).is_some()
    }

    fn body(&self, f: &mut Fields<'_>) -> Option<()> {
        match self.ptype {
            ptype::REQUEST => f.skip(if self.has_object() { 24 } else { 8 }),
            ptype::RESPONSE => f.skip(8),
            ptype::BIND | ptype::ALTER_CONTEXT => {
                f.skip(8)?;
                let contexts = f.u8()?;
                f.skip(3)?;
                for _ in 0..contexts {
                    f.skip(2)?;
                    let transfer_syntaxes = f.u8()?;
                    f.skip(1 + 20 + 20 * u64::from(transfer_syntaxes))?;
                }
                Some(())
            }
            ptype::BIND_ACK | ptype::ALTER_CONTEXT_RESP => {
                f.skip(8)?;
                let address = n16(f, self.is_little)?;
                f.skip(address.into())?;
                f.align(4)?;
                let contexts = f.u8()?;
                f.skip(3 + 24 * u64::from(contexts))
            }
            _ => Some(()),
        }
    }
}

/// How long the PDU is that begins so; 0 if that is not known yet.
pub fn len(begun: &[u8]) -> u64 {
    match begun.len() {
        0..HEADER_LEN => 0,
        // What is no header ends with it.
        _ => Header::read(&mut Fields::new(begun)).map_or(HEADER_LEN as u64, |h| {
            u64::from(h.frag_len).max(HEADER_LEN as u64)
        }),
    }
}
