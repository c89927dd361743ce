//! RDP's connection sequence (MS-RDPBCGR, section 1.3.1.1) as Zeek reads it: X.224 in TPKT, then GCC in MCS.

use crate::analyzer::fields::Fields;

/// Longest key or certificate, bytes.
const MAX_DATA: u32 = 262_144;
/// Most channels, and most certificates.
const MOST: u32 = 1000;

/// What a message tells.
#[derive(Debug, Default)]
pub struct Told<'a> {
    /// It is RDP.
    pub sure: bool,
    /// What follows is RDP's own encryption.
    pub encrypted: bool,
    /// What follows is TLS.
    pub tls: bool,
    /// The server's certificates.
    pub certificates: Vec<&'a [u8]>,
}

/// How long the message is that begins so; 0 if that is not known yet.
pub fn len(begun: &[u8]) -> u64 {
    let mut f = Fields::new(begun);
    f.skip(2)
        .and_then(|()| f.be16())
        .map_or(0, |n| u64::from(n).max(4))
}

/// Reads a message. `None`: it is none, or broken; what was told before that holds.
pub fn read<'a>(message: &'a [u8], told: &mut Told<'a>) -> Option<()> {
    let mut f = Fields::new(message);
    f.skip(4)?;
    let length = f.u8()?;
    match f.u8()? {
        0xd0 => {
            f.skip(5)?;
            match length == 6 {
                true => Some(()),
                false => negotiated(&mut f, told),
            }
        }
        0xe0 => connect_request(&mut f, length),
        0xf0 => {
            f.skip(2)?;
            match f.u8()? {
                0x65 => from_client(&mut f, told),
                0x66 => from_server(&mut f, told),
                _ => Some(()),
            }
        }
        _ => Some(()),
    }
}

/// Connection Request (section 2.2.1.1).
fn connect_request(f: &mut Fields<'_>, length: u8) -> Option<()> {
    f.skip(5)?;
    let cookie = b"Cookie: mstshash=";
    if f.ahead().rest().starts_with(cookie) {
        let line = f.ahead().rest();
        let end = line.iter().position(|b| *b == b'\r')?;
        f.skip(end as u64)?;
        if f.take(2)? != b"\r\n" {
            return None;
        }
    }
    // All that the length counts has come.
    if f.read() == usize::from(length) + 5 {
        return Some(());
    }
    f.skip(2)?;
    let is_request = f.le16()? == 8;
    f.le32()?;
    is_request.then_some(())
}

/// What a Connection Confirm says of the negotiation (sections 2.2.1.2.1 and 2.2.1.2.2).
fn negotiated(f: &mut Fields<'_>, told: &mut Told<'_>) -> Option<()> {
    match f.u8()? {
        2 => {
            f.skip(1)?;
            if f.le16()? != 8 {
                return None;
            }
            told.tls = f.le32()? > 0;
            Some(())
        }
        3 => f.skip(7),
        _ => None,
    }
}

/// MCS Connect Initial (section 2.2.1.3).
fn from_client<'a>(f: &mut Fields<'a>, told: &mut Told<'a>) -> Option<()> {
    for _ in 0..7 {
        f.value()?;
    }
    f.skip(4)?;
    let key = f.be16()?;
    f.skip(u64::from(key) + 2 + 8)?;
    if f.take(4)? != b"Duca" {
        return None;
    }
    f.skip(2)?;
    blocks(f, told)
}

/// MCS Connect Response (section 2.2.1.4).
fn from_server<'a>(f: &mut Fields<'a>, told: &mut Told<'a>) -> Option<()> {
    f.skip(3)?;
    for _ in 0..3 {
        f.value()?;
    }
    f.skip(4)?;
    let key = f.be16()?;
    f.skip(u64::from(key) + 1 + 9)?;
    if f.take(4)? != b"McDn" {
        return None;
    }
    f.skip(2)?;
    told.sure = true;
    blocks(f, told)
}

/// The blocks of settings (section 2.2.1.3.1).
fn blocks<'a>(f: &mut Fields<'a>, told: &mut Told<'a>) -> Option<()> {
    while !f.is_empty() {
        let kind = f.le16()?;
        let length = f.le16()?;
        let block = &mut f.within(u64::from(length.checked_sub(4)?))?;
        match kind {
            // Core data of the client, with what the standard calls optional.
            0xc001 => {
                block.skip(206)?;
                told.sure = true;
            }
            0xc002 | 0xc004 => block.skip(8)?,
            0xc003 => {
                let channels = block.le32().filter(|n| *n <= MOST)?;
                block.skip(12 * u64::from(channels))?;
            }
            0x0c01 => block.skip(if length == 8 { 4 } else { 8 })?,
            0x0c02 => security(block, told)?,
            0x0c03 => block.skip(4)?,
            _ => {}
        }
    }
    Some(())
}

/// The server's security data (section 2.2.1.4.3).
fn security<'a>(f: &mut Fields<'a>, told: &mut Told<'a>) -> Option<()> {
    let (method, level) = (f.le32()?, f.le32()?);
    let random = f.le32()?;
    if random != 0x20 && (method, level, random) != (0, 0, 0) {
        return None;
    }
    let certificate = f.le32()?;
    f.skip(random.into())?;
    let f = &mut f.within(certificate.into())?;
    match f.le32()? & 0x7fff_ffff {
        1 => proprietary(f)?,
        2 => {
            for _ in 0..f.le32().filter(|n| *n <= MOST)? {
                let len = f.le32().filter(|n| *n <= MAX_DATA)?;
                told.certificates.push(f.take(len)?);
            }
        }
        _ => return None,
    }
    told.encrypted = method > 0 && level > 0;
    told.sure = true;
    Some(())
}

/// A certificate of RDP's own (section 2.2.1.4.3.1.1).
fn proprietary(f: &mut Fields<'_>) -> Option<()> {
    f.skip(10)?;
    let len = f.le16()?;
    let key = &mut f.within(len.into())?;
    key.skip(4)?;
    let modulus = key.le32().filter(|n| *n <= MAX_DATA)?;
    key.skip(8 + u64::from(modulus))?;
    f.skip(2)?;
    let len = f.le16()?;
    f.skip(len.into())
}
