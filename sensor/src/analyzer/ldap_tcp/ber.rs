//! BER (X.690) as Zeek's LDAP reads it: values with their contents, checked to a depth.

use crate::analyzer::fields::Fields;

/// Levels of constructed values in each other.
const MAX_DEPTH: u8 = 32;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// INTEGER and ENUMERATED.
    Number(i64),
    /// Strings of all kinds, of characters or octets.
    Text(&'a [u8]),
    /// OBJECT IDENTIFIER, encoded.
    Oid(&'a [u8]),
    /// BOOLEAN.
    Bool,
    /// SEQUENCE and SET, whose values were read already.
    Sequence(&'a [u8]),
    /// Of another class than universal: its number and content.
    Tagged(u8, &'a [u8]),
    /// Anything else.
    Other,
}

/// Classes of tags.
pub mod class {
    pub const UNIVERSAL: u8 = 0;
    pub const APPLICATION: u8 = 1;
    pub const CONTEXT: u8 = 2;
}

/// An identifier and a length.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// See [`class`].
    pub class: u8,
    /// The tag's number.
    pub kind: u8,
    /// The content's length.
    pub len: u64,
}

/// Reads an identifier and a length.
pub fn head(f: &mut Fields<'_>) -> Option<Head> {
    let begins = f.ahead().rest().get(1).copied().unwrap_or(0);
    // Lengths of more than eight octets are none.
    if begins > 0x88 {
        return None;
    }
    let header = f.header()?;
    Some(Head {
        class: header.tag >> 6,
        kind: header.tag & 0x1f,
        len: header.len,
    })
}

/// Reads a value and all that is in it.
pub fn value<'a>(f: &mut Fields<'a>) -> Option<Value<'a>> {
    value_at(f, 0)
}

fn value_at<'a>(f: &mut Fields<'a>, depth: u8) -> Option<Value<'a>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let head = head(f)?;
    if head.class != class::UNIVERSAL {
        return Some(Value::Tagged(head.kind, f.take(head.len)?));
    }
    Some(match head.kind {
        1 if head.len == 1 => {
            f.u8()?;
            Value::Bool
        }
        1 => return None,
        2 | 10 => Value::Number(number(f.take(head.len)?)?),
        3 => {
            f.skip(head.len.checked_sub(1)? + 1)?;
            Value::Other
        }
        5 if head.len == 0 => Value::Other,
        5 => return None,
        6 => {
            head.len.checked_sub(1)?;
            Value::Oid(f.take(head.len)?)
        }
        4 | 12 | 18..=30 => Value::Text(f.take(head.len)?),
        16 | 17 => {
            let content = f.take(head.len)?;
            let mut inside = Fields::new(content);
            while !inside.is_empty() {
                value_at(&mut inside, depth + 1)?;
            }
            Value::Sequence(content)
        }
        _ => {
            f.skip(head.len)?;
            Value::Other
        }
    })
}

fn number(octets: &[u8]) -> Option<i64> {
    if octets.len() > 8 {
        return None;
    }
    let start = if octets.first().is_some_and(|b| b & 0x80 != 0) {
        -1
    } else {
        0
    };
    Some(octets.iter().fold(start, |n: i64, b| n << 8 | i64::from(*b)))
}

/// A value that is a number.
pub fn number_of(f: &mut Fields<'_>) -> Option<i64> {
    match value(f)? {
        Value::Number(n) => Some(n),
        _ => None,
    }
}

/// A value that is a text, or an object identifier.
pub fn text_of<'a>(f: &mut Fields<'a>) -> Option<&'a [u8]> {
    match value(f)? {
        Value::Text(text) | Value::Oid(text) => Some(text),
        _ => None,
    }
}
