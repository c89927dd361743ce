//! NTLM (MS-NLMP), inside other protocols: sure when a message was read whole. No port and no signature brings it onto a
//! connection by itself.

#[cfg(test)]
mod tests;

use super::api::{Ctx, Interest, Next, Protocol, Seen, Spec, Start};
use super::fields::Fields;
use crate::event::AnalyzerTag;

/// The name under which the list of protocols finds this folder's analyzer.
pub type Analyzer = Ntlm;

/// Nothing is remembered.
#[derive(Debug)]
pub struct Ntlm;

/// Flags of a negotiation (section 2.2.2.5).
mod flag {
    pub(super) const REQUEST_TARGET: u32 = 0x4;
    pub(super) const DOMAIN_SUPPLIED: u32 = 0x1000;
    pub(super) const WORKSTATION_SUPPLIED: u32 = 0x2000;
    pub(super) const TARGET_INFO: u32 = 0x0080_0000;
    pub(super) const VERSION: u32 = 0x0200_0000;
}

impl Protocol for Ntlm {
    const SPEC: Spec = Spec::new(AnalyzerTag::new("Analyzer::ANALYZER_NTLM", "ntlm"));
    type Shared = ();

    fn new(_: &Start, (): &()) -> Ntlm {
        Ntlm
    }

    /// One message.
    fn data(&mut self, _: bool, bytes: &[u8], ctx: &mut Ctx<'_>) -> Next {
        match message(bytes) {
            Some(()) => ctx.confirm(),
            None => ctx.violation_spared("no NTLM message"),
        }
        Next::More
    }

    fn interest(&self, _: bool, _: Seen) -> Interest {
        Interest::Everything
    }
}

/// Where a payload field is (section 2.2.1): length and offset from the message's start.
#[derive(Clone, Copy)]
struct Place {
    len: u16,
    offset: u32,
}

/// What is behind a message's fixed fields, and where that begins in the message.
struct Payload<'a> {
    bytes: &'a [u8],
    at: u32,
}

impl Payload<'_> {
    /// What the fields say is there.
    fn holds(&self, place: Place) -> Option<()> {
        let mut f = Fields::new(self.bytes);
        f.skip(place.offset.checked_sub(self.at)?.into())?;
        f.skip(place.len.into())
    }

    /// The version, if it comes before all of `fields`.
    fn version(&self, flags: u32, fields: &[Place]) -> Option<()> {
        let first = fields.iter().map(|f| f.offset).min().unwrap_or(0);
        match flags & flag::VERSION != 0 && self.at < first {
            true => Fields::new(self.bytes).skip(8),
            false => Some(()),
        }
    }
}

fn place(f: &mut Fields<'_>) -> Option<Place> {
    let len = f.le16()?;
    f.le16()?;
    let offset = f.le32()?;
    Some(Place { len, offset })
}

/// Reads a message (section 2.2.1); of unknown types nothing behind the type.
fn message(bytes: &[u8]) -> Option<()> {
    let mut f = Fields::new(bytes);
    f.skip(8)?;
    match f.le32()? {
        1 => negotiate(&mut f),
        2 => challenge(&mut f),
        3 => authenticate(&mut f),
        _ => Some(()),
    }
}

fn payload<'a>(f: &mut Fields<'a>) -> Payload<'a> {
    Payload {
        at: f.read() as u32,
        bytes: f.rest(),
    }
}

fn negotiate(f: &mut Fields<'_>) -> Option<()> {
    let flags = f.le32()?;
    let (domain, workstation) = (place(f)?, place(f)?);
    let payload = payload(f);
    payload.version(flags, &[domain, workstation])?;
    for (has, what) in [
        (flag::DOMAIN_SUPPLIED, domain),
        (flag::WORKSTATION_SUPPLIED, workstation),
    ] {
        if flags & has != 0 {
            payload.holds(what)?;
        }
    }
    Some(())
}

fn challenge(f: &mut Fields<'_>) -> Option<()> {
    let target = place(f)?;
    let flags = f.le32()?;
    f.skip(16)?;
    let info = place(f)?;
    let payload = payload(f);
    payload.version(flags, &[target, info])?;
    if flags & flag::REQUEST_TARGET != 0 {
        payload.holds(target)?;
    }
    if flags & flag::TARGET_INFO != 0 {
        let mut pairs = Fields::new(payload.bytes);
        // Zeek's offset has 16 bits.
        pairs.skip(u64::from(info.offset.wrapping_sub(payload.at) as u16))?;
        while !pairs.is_empty() && av_pair(&mut pairs)? {}
    }
    Some(())
}

/// AV_PAIR (section 2.2.2.1); false: it was the last one.
fn av_pair(f: &mut Fields<'_>) -> Option<bool> {
    let (id, len) = (f.le16()?, f.le16()?);
    match id {
        0 => return Some(false),
        1..=5 | 9 => f.skip(len.into()),
        6 => f.skip(4),
        7 => f.skip(8),
        8 => {
            f.skip(8)?;
            let has_data = f.le32()? & 1 != 0;
            f.skip(if has_data { 8 } else { 4 })
        }
        10 => f.skip(2),
        _ => None,
    }?;
    Some(true)
}

fn authenticate(f: &mut Fields<'_>) -> Option<()> {
    let (_lm, nt) = (place(f)?, place(f)?);
    let (domain, user, workstation, key) = (place(f)?, place(f)?, place(f)?, place(f)?);
    let flags = f.le32()?;
    let payload = payload(f);
    payload.version(flags, &[domain, user, workstation, key])?;
    for field in [nt, domain, user, workstation, key] {
        if field.len > 0 {
            payload.holds(field)?;
        }
    }
    Some(())
}
