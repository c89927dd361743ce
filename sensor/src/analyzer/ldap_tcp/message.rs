//! LDAP's messages (RFC 4511, section 4): whether one is LDAP, and what it says of authentication and TLS.

use super::ber::{self, Value, class};
use crate::analyzer::fields::Fields;

/// Filters in each other.
const MAX_FILTERS: u8 = 20;
/// StartTLS (RFC 4511, section 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// SPNEGO (RFC 4178).
const SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];

/// Operations (RFC 4511, appendix B).
mod op {
    pub(super) const BIND_REQUEST: u8 = 0;
    pub(super) const BIND_RESPONSE: u8 = 1;
    pub(super) const UNBIND_REQUEST: u8 = 2;
    pub(super) const SEARCH_REQUEST: u8 = 3;
    pub(super) const SEARCH_ENTRY: u8 = 4;
    pub(super) const SEARCH_DONE: u8 = 5;
    pub(super) const MODIFY_REQUEST: u8 = 6;
    pub(super) const MODIFY_RESPONSE: u8 = 7;
    pub(super) const ADD_REQUEST: u8 = 8;
    pub(super) const ADD_RESPONSE: u8 = 9;
    pub(super) const DELETE_REQUEST: u8 = 10;
    pub(super) const DELETE_RESPONSE: u8 = 11;
    pub(super) const RENAME_REQUEST: u8 = 12;
    pub(super) const RENAME_RESPONSE: u8 = 13;
    pub(super) const COMPARE_REQUEST: u8 = 14;
    pub(super) const COMPARE_RESPONSE: u8 = 15;
    pub(super) const ABANDON_REQUEST: u8 = 16;
    pub(super) const SEARCH_REFERENCE: u8 = 19;
    pub(super) const EXTENDED_REQUEST: u8 = 23;
    pub(super) const EXTENDED_RESPONSE: u8 = 24;
    pub(super) const INTERMEDIATE_RESPONSE: u8 = 25;
}

/// What a message says that matters.
#[derive(Debug, PartialEq, Eq)]
pub enum Says<'a> {
    /// The client authenticates, by SASL's mechanism if it names one.
    Bind {
        /// SASL's mechanism.
        mechanism: Option<&'a [u8]>,
    },
    /// The server's answer.
    Bound {
        /// It worked.
        success: bool,
        /// The server's first token, if there is one.
        token: Option<&'a [u8]>,
    },
    /// The client asks for TLS.
    AsksTls,
    /// The server has done what an extension asks for.
    Done,
    /// Anything else.
    Other,
}

/// How long the message is that begins so; 0 if that is not known yet.
pub fn len(begun: &[u8]) -> u64 {
    let mut f = Fields::new(begun);
    match f.header() {
        Some(header) => (f.read() as u64).saturating_add(header.len),
        None => 0,
    }
}

/// Reads a message. `is_spnego`: the client chose it. `None`: it is none.
pub fn read<'a>(message: &'a [u8]) -> Option<Says<'a>> {
    let mut f = Fields::new(message);
    let head = ber::head(&mut f)?;
    if (head.class, head.kind) != (class::UNIVERSAL, 16) {
        return None;
    }
    let mut f = f.within(head.len)?;
    // The message's number.
    let is_integer = |f: &Fields<'_>| f.ahead().u8().is_some_and(|tag| tag & !0x20 == 2);
    if !is_integer(&f) {
        return None;
    }
    ber::number_of(&mut f)?;
    let head = ber::head(&mut f)?;
    if head.class != class::APPLICATION {
        return None;
    }
    operation(head.kind, &mut f.within(head.len)?)
}

fn operation<'a>(kind: u8, f: &mut Fields<'a>) -> Option<Says<'a>> {
    match kind {
        op::BIND_REQUEST => return bind(f),
        op::BIND_RESPONSE => {
            let success = result(f)? == 0;
            let mut token = None;
            while !f.is_empty() {
                let head = ber::head(f)?;
                if (head.class, head.kind) != (class::CONTEXT, 7) {
                    return None;
                }
                let more = f.take(head.len)?;
                token.get_or_insert(more);
            }
            return Some(Says::Bound { success, token });
        }
        op::SEARCH_REQUEST => search(f)?,
        op::SEARCH_ENTRY => {
            ber::text_of(f)?;
            ber::value(f)?;
        }
        // Changes are not looked at. Zeek takes the content of the second for a value of its own.
        op::MODIFY_REQUEST | op::DELETE_REQUEST => drop(ber::text_of(f)?),
        op::ABANDON_REQUEST => drop(ber::number_of(f)?),
        op::SEARCH_DONE
        | op::MODIFY_RESPONSE
        | op::ADD_RESPONSE
        | op::DELETE_RESPONSE
        | op::RENAME_RESPONSE
        | op::COMPARE_RESPONSE => drop(result(f)?),
        op::EXTENDED_REQUEST => {
            let head = ber::head(f)?;
            if head.class != class::CONTEXT {
                return None;
            }
            let name = f.take(head.len)?;
            if !f.is_empty() && !matches!(ber::value(f)?, Value::Tagged(..)) {
                return None;
            }
            if name == START_TLS {
                return Some(Says::AsksTls);
            }
        }
        op::EXTENDED_RESPONSE => {
            let success = result(f)? == 0;
            for _ in 0..2 {
                if !f.is_empty() && !matches!(ber::value(f)?, Value::Tagged(10 | 11, _)) {
                    return None;
                }
            }
            if success {
                return Some(Says::Done);
            }
        }
        op::UNBIND_REQUEST
        | op::ADD_REQUEST
        | op::RENAME_REQUEST
        | op::COMPARE_REQUEST
        | op::SEARCH_REFERENCE
        | op::INTERMEDIATE_RESPONSE => {}
        _ => return None,
    }
    Some(Says::Other)
}

/// LDAPResult's code (section 4.1.9).
fn result(f: &mut Fields<'_>) -> Option<u8> {
    let code = u8::try_from(ber::number_of(f)?).ok()?;
    ber::text_of(f)?;
    ber::text_of(f)?;
    Some(code)
}

/// BindRequest (section 4.2).
fn bind<'a>(f: &mut Fields<'a>) -> Option<Says<'a>> {
    ber::number_of(f)?;
    ber::text_of(f)?;
    let Value::Tagged(kind, data) = ber::value(f)? else {
        return None;
    };
    let mut mechanism = None;
    match kind {
        3 if !data.is_empty() => {
            let f = &mut Fields::new(data);
            let name = ber::text_of(f)?;
            if name == b"GSS-SPNEGO" {
                spnego(f)?;
            }
            mechanism = Some(name).filter(|name| !name.is_empty());
        }
        // Sicily (MS-ADTS, section 5.1.1.1.3).
        10 | 11 if !data.is_empty() && !data.starts_with(b"NTLMSSP") => return None,
        _ => {}
    }
    Some(Says::Bind { mechanism })
}

/// What the client may begin SPNEGO with, or go on with. There has to be something.
fn spnego(f: &mut Fields<'_>) -> Option<()> {
    if ber::head(f)?.kind != 4 {
        return None;
    }
    match f.ahead().u8()? {
        0x60 => {
            ber::head(f)?;
            match ber::value(f)? {
                Value::Oid(SPNEGO) => Some(()),
                _ => None,
            }
        }
        0xa1 => ber::head(f).map(drop),
        _ => f.rest().starts_with(b"NTLMSSP").then_some(()),
    }
}

/// SearchRequest (section 4.5.1).
fn search(f: &mut Fields<'_>) -> Option<()> {
    ber::text_of(f)?;
    for _ in 0..2 {
        u8::try_from(ber::number_of(f)?).ok()?;
    }
    ber::number_of(f)?;
    ber::number_of(f)?;
    if ber::value(f)? != Value::Bool {
        return None;
    }
    filter(f, 0)?;
    ber::value(f).map(drop)
}

/// Filter (section 4.5.1.7).
fn filter(f: &mut Fields<'_>, depth: u8) -> Option<()> {
    if depth > MAX_FILTERS {
        return None;
    }
    let Value::Tagged(kind, data) = ber::value(f)? else {
        return None;
    };
    let f = &mut Fields::new(data);
    match kind {
        0 | 1 => {
            while !f.is_empty() {
                filter(f, depth + 1)?;
            }
        }
        2 => filter(f, depth + 1)?,
        3 | 5 | 6 | 8 => {
            short(f)?;
            short(f)?;
        }
        9 => {
            short(f)?;
            short(f)?;
            short(f)?;
        }
        4 => {
            short(f)?;
            let head = ber::head(f)?;
            let parts = &mut f.within(head.len)?;
            while !parts.is_empty() {
                if !matches!(ber::value(parts)?, Value::Tagged(0..=2, _)) {
                    return None;
                }
            }
        }
        7 => {}
        _ => return None,
    }
    Some(())
}

/// A value whose length is one octet.
fn short(f: &mut Fields<'_>) -> Option<()> {
    f.u8()?;
    let len = f.u8()?;
    f.skip(len.into())
}

/// Whether the server's token of SPNEGO (NegTokenResp, RFC 4178, section 4.2.2) says that all is Microsoft's Kerberos
/// from now on. `None`: it is no token.
pub fn spnego_ends(token: &[u8]) -> Option<bool> {
    if token.starts_with(b"NTLMSSP") {
        return Some(false);
    }
    if token.first() != Some(&0xa1) {
        return None;
    }
    let mut f = Fields::new(token);
    ber::head(&mut f)?;
    let Value::Sequence(parts) = ber::value(&mut f)? else {
        return None;
    };
    let mut parts = Fields::new(parts);
    let (mut accepted, mut is_krb, mut answers) = (false, false, false);
    while !parts.is_empty() {
        match ber::value(&mut parts)? {
            Value::Tagged(0, state) => accepted = state == [0x0a, 1, 0],
            Value::Tagged(1, mechanism) => {
                let ms_krb5 = [6, 9, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];
                is_krb = mechanism == ms_krb5;
            }
            Value::Tagged(2, _) => answers = true,
            Value::Tagged(3, _) => {}
            _ => return None,
        }
    }
    Some(accepted && is_krb && answers)
}
