//! Kerberos' messages (RFC 4120, section 5), read as far as Zeek reads them: whether it takes one for Kerberos, and the
//! certificates in it (PKINIT, RFC 4556).

use crate::analyzer::fields::{Fields, number};

/// Message types (RFC 4120, section 7.5.7).
mod kind {
    pub(super) const AS_REQ: u8 = 10;
    pub(super) const AS_REP: u8 = 11;
    pub(super) const TGS_REQ: u8 = 12;
    pub(super) const TGS_REP: u8 = 13;
    pub(super) const AP_REQ: u8 = 14;
    pub(super) const AP_REP: u8 = 15;
    pub(super) const SAFE: u8 = 20;
    pub(super) const PRIV: u8 = 21;
    pub(super) const CRED: u8 = 22;
    pub(super) const ERROR: u8 = 30;
}

/// Kinds of pre-authentication data that are read (RFC 4120, section 7.5.2; RFC 4556).
mod padata {
    pub(super) const TGS_REQ: u64 = 1;
    pub(super) const ENC_TIMESTAMP: u64 = 2;
    pub(super) const PW_SALT: u64 = 3;
    pub(super) const ETYPE_INFO: u64 = 11;
    pub(super) const PK_AS_REQ: u64 = 16;
    pub(super) const PK_AS_REP: u64 = 17;
    pub(super) const ETYPE_INFO2: u64 = 19;
}

/// Error code of which the data is pre-authentication data (RFC 4120, section 7.5.9).
const PREAUTH_REQUIRED: u64 = 25;
/// What a message's tag is its type more than.
const APPLICATION: u8 = 0x60;
/// SEQUENCE.
const SEQUENCE: u8 = 0x30;
/// More certificates than one message can sensibly have.
const MAX_CERTIFICATES: usize = 4;

/// What a message tells.
#[derive(Debug, Default)]
pub struct Told<'a> {
    /// It is Kerberos: a message, or one in it, was read to its end.
    pub sure: bool,
    /// Certificates, each with whether it is of a request.
    pub certificates: Vec<(bool, &'a [u8])>,
}

/// Reads a message. `None`: it is none, or broken; what was told before that holds.
pub fn read<'a>(bytes: &'a [u8], told: &mut Told<'a>) -> Option<()> {
    let mut f = Fields::new(bytes);
    let header = f.header()?;
    // Of the application's class, and constructed.
    match header.tag.checked_sub(APPLICATION)? {
        kind @ (kind::AS_REQ | kind::TGS_REQ) => kdc_request(&mut f, kind, told),
        kind @ (kind::AS_REP | kind::TGS_REP) => kdc_reply(&mut f, kind, told),
        kind::AP_REQ => return ap_request(&mut f, told),
        kind::AP_REP | kind::PRIV => {
            version_and_kind(&mut f)?;
            encrypted_in_sequence(&mut f)
        }
        kind::SAFE => safe(&mut f),
        kind::CRED => {
            version_and_kind(&mut f)?;
            f.header()?;
            f.header()?;
            let len = f.header()?.len;
            let mut tickets = f.within(len)?;
            while !tickets.is_empty() {
                ticket(&mut tickets, false)?;
            }
            encrypted_in_sequence(&mut f)
        }
        kind::ERROR => error(&mut f, told),
        _ => None,
    }?;
    told.sure = true;
    Some(())
}

fn version_and_kind(f: &mut Fields<'_>) -> Option<()> {
    f.element()?;
    f.element().map(drop)
}

/// KDC-REQ (section 5.4.1).
fn kdc_request<'a>(f: &mut Fields<'a>, kind: u8, told: &mut Told<'a>) -> Option<()> {
    f.header()?;
    version_and_kind(f)?;
    // The body's header, if there is no pre-authentication data.
    let first = f.header()?;
    if first.index() == 3 {
        padata_sequence(&mut f.within(first.len)?, kind, told)?;
        f.header()?;
    }
    f.header()?;
    while !f.is_empty() {
        let header = f.header()?;
        let arg = &mut f.within(header.len)?;
        match header.index() {
            0 => {
                arg.header()?;
                arg.skip(5)
            }
            1 | 3 => principal(arg),
            4..=6 => arg.header().map(drop),
            8 => {
                arg.header()?;
                values(arg)
            }
            9 => {
                arg.header()?;
                while !arg.is_empty() {
                    address(arg)?;
                }
                Some(())
            }
            2 | 7 | 10 => arg.value().map(drop),
            11 => {
                let len = arg.header()?.len;
                let mut tickets = arg.within(len)?;
                while !tickets.is_empty() {
                    ticket(&mut tickets, false)?;
                }
                Some(())
            }
            _ => Some(()),
        }?;
    }
    Some(())
}

/// KDC-REP (section 5.4.2).
fn kdc_reply<'a>(f: &mut Fields<'a>, kind: u8, told: &mut Told<'a>) -> Option<()> {
    f.header()?;
    version_and_kind(f)?;
    let mut header = f.header()?;
    if header.index() == 2 {
        padata_sequence(&mut f.within(header.len)?, kind, told)?;
        header = f.header()?;
    }
    f.within(header.len)?.value()?;
    let len = f.header()?.len;
    principal(&mut f.within(len)?)?;
    ticket(f, true)?;
    encrypted_in_sequence(f)
}

/// AP-REQ (section 5.5.1).
fn ap_request(f: &mut Fields<'_>, told: &mut Told<'_>) -> Option<()> {
    f.header()?;
    version_and_kind(f)?;
    f.header()?;
    f.header()?;
    f.skip(5)?;
    ticket(f, true)?;
    encrypted_in_sequence(f)?;
    told.sure = true;
    Some(())
}

/// KRB-ERROR (section 5.9.1).
fn error<'a>(f: &mut Fields<'a>, told: &mut Told<'a>) -> Option<()> {
    f.header()?;
    let mut code = None;
    // Zeek's parser goes to the error code, whatever comes.
    loop {
        if f.is_empty() {
            break;
        }
        let header = f.header()?;
        if header.index() == 6 && code.is_none() {
            code = Some(number(f.value()?));
            continue;
        }
        if header.index() == 6 {
            continue;
        }
        let arg = &mut f.within(header.len)?;
        match header.index() {
            0 | 1 | 3 | 5 | 7 | 9 | 11 => arg.value().map(drop),
            2 | 4 => arg.header().map(drop),
            8 | 10 => principal(arg),
            12 if code == Some(PREAUTH_REQUIRED) => padata_sequence(arg, kind::ERROR, told),
            12 => Some(()),
            _ => None,
        }?;
    }
    code.map(drop)
}

/// KRB-SAFE (section 5.6.1).
fn safe(f: &mut Fields<'_>) -> Option<()> {
    version_and_kind(f)?;
    f.header()?;
    while !f.is_empty() {
        let header = f.header()?;
        let arg = &mut f.within(header.len)?;
        match header.index() {
            0 | 2 | 3 => arg.value().map(drop),
            1 => arg.header().map(drop),
            4 | 5 => address(arg),
            _ => None,
        }?;
    }
    // The arguments take all there is, and nothing is left for the checksum.
    None
}

/// What comes before authentication (section 5.2.7).
fn padata_sequence<'a>(f: &mut Fields<'a>, kind: u8, told: &mut Told<'a>) -> Option<()> {
    let header = f.header()?;
    if header.tag != SEQUENCE {
        return f.skip(header.len);
    }
    while !f.is_empty() {
        f.header()?;
        let of = number(f.element()?);
        let len = f.header()?.len;
        if kind == kind::ERROR {
            f.skip(len)?;
            continue;
        }
        match of {
            padata::TGS_REQ => {
                // Its fields alone say where it ends.
                f.header()?;
                f.header()?;
                ap_request(f, told)
            }
            padata::PW_SALT => f.value().map(drop),
            padata::ENC_TIMESTAMP => encrypted(&mut f.within(len)?),
            padata::PK_AS_REQ => certificate(&mut f.within(len)?, true, told),
            padata::PK_AS_REP => certificate(&mut f.within(len)?, false, told),
            padata::ETYPE_INFO | padata::ETYPE_INFO2 => etype_info(&mut f.within(len)?),
            _ => f.within(len)?.value().map(drop),
        }?;
    }
    Some(())
}

/// The certificate of PKINIT: behind so many headers and values.
fn certificate<'a>(f: &mut Fields<'a>, is_request: bool, told: &mut Told<'a>) -> Option<()> {
    let headers = if is_request { 4 } else { 5 };
    for _ in 0..headers {
        f.header()?;
    }
    f.value()?;
    f.header()?;
    f.header()?;
    for _ in 0..3 {
        f.value()?;
    }
    let cert = f.value()?;
    if told.certificates.len() < MAX_CERTIFICATES {
        told.certificates.push((is_request, cert));
    }
    Some(())
}

/// ETYPE-INFO and ETYPE-INFO2 (sections 5.2.7.4 and 5.2.7.5), the first entry.
fn etype_info(f: &mut Fields<'_>) -> Option<()> {
    f.header()?;
    let has_salt = f.header()?.len > 7;
    f.header()?;
    f.value()?;
    if has_salt {
        f.header()?;
        f.value()?;
    }
    Some(())
}

/// PrincipalName (section 5.2.2).
fn principal(f: &mut Fields<'_>) -> Option<()> {
    f.header()?;
    f.element()?;
    f.header()?;
    f.header()?;
    values(f)
}

/// HostAddress (section 5.2.5).
fn address(f: &mut Fields<'_>) -> Option<()> {
    f.header()?;
    f.header()?;
    f.value()?;
    f.element().map(drop)
}

/// Ticket (section 5.3).
fn ticket(f: &mut Fields<'_>, in_sequence: bool) -> Option<()> {
    if in_sequence {
        f.header()?;
    }
    f.header()?;
    f.header()?;
    f.element()?;
    f.element()?;
    let len = f.header()?.len;
    principal(&mut f.within(len)?)?;
    encrypted_in_sequence(f)
}

fn encrypted_in_sequence(f: &mut Fields<'_>) -> Option<()> {
    let len = f.header()?.len;
    encrypted(&mut f.within(len)?)
}

/// EncryptedData (section 5.2.9).
fn encrypted(f: &mut Fields<'_>) -> Option<()> {
    f.header()?;
    f.element()?;
    let mut header = f.header()?;
    if header.index() == 1 {
        f.value()?;
        header = f.header()?;
    }
    f.within(header.len)?.value().map(drop)
}

fn values(f: &mut Fields<'_>) -> Option<()> {
    while !f.is_empty() {
        f.value()?;
    }
    Some(())
}
