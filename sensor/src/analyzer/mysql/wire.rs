//! MySQL's fields. All of them are taken off the front of a message; none if it ends before them.

use crate::analyzer::fields::Fields;

/// What a client or a server is able to do.
pub mod flag {
    pub const CONNECT_WITH_DB: u32 = 0x8;
    pub const SSL: u32 = 0x800;
    pub const PLUGIN_AUTH: u32 = 0x8_0000;
    pub const CONNECT_ATTRS: u32 = 0x10_0000;
    pub const DEPRECATE_EOF: u32 = 0x100_0000;
    pub const ZSTD: u32 = 0x400_0000;
    pub const QUERY_ATTRIBUTES: u32 = 0x800_0000;
}

/// A number whose first byte tells how long it is. What stands for NULL or an error is 0, as in Zeek.
pub fn number(rest: &mut Fields<'_>) -> Option<usize> {
    let first = rest.u8()?;
    number_of(first, rest)
}

/// The same, its first byte taken already. Zeek's numbers have 32 bits.
pub fn number_of(first: u8, rest: &mut Fields<'_>) -> Option<usize> {
    let n = match first {
        0xfb | 0xff => 0,
        0xfc => rest.le16()?.into(),
        0xfd => rest.le24()?,
        0xfe => rest.le64()? as u32,
        n => n.into(),
    };
    usize::try_from(n as i32).ok()
}

/// A string behind its length.
pub fn string(rest: &mut Fields<'_>) -> Option<()> {
    let first = rest.u8()?;
    string_of(first, rest)
}

/// The same, its first byte taken already.
pub fn string_of(first: u8, rest: &mut Fields<'_>) -> Option<()> {
    let len = number_of(first, rest)?;
    rest.take(len).map(drop)
}

/// An error's number, state and text.
pub fn error(rest: &mut Fields<'_>) -> Option<()> {
    rest.take(8).map(drop)
}

/// Warnings and status at the end of some rows.
pub fn eof(rest: &mut Fields<'_>) -> Option<()> {
    rest.take(4).map(drop)
}

/// A column's definition, whose first byte was taken already.
pub fn column(first: u8, rest: &mut Fields<'_>) -> Option<()> {
    // The catalog; schema, tables and names.
    string_of(first, rest)?;
    for _ in 0..5 {
        string(rest)?;
    }
    number(rest)?;
    rest.take(12).map(drop)
}

/// A row of so many columns, whose first byte was taken already.
pub fn row(first: u8, columns: u32, rest: &mut Fields<'_>) -> Option<()> {
    string_of(first, rest)?;
    for _ in 0..columns.checked_sub(1)? {
        string(rest)?;
    }
    Some(())
}

/// What a client tells of itself: names and values, behind the length of all of them.
pub fn attributes(rest: &mut Fields<'_>) -> Option<()> {
    let len = rest.u8()?;
    let mut pairs = Fields::new(rest.take(len)?);
    while !pairs.is_empty() {
        string(&mut pairs)?;
        string(&mut pairs)?;
    }
    Some(())
}

/// The attributes of a query.
pub fn query_attributes(rest: &mut Fields<'_>) -> Option<()> {
    let count = number(rest)?;
    number(rest)?;
    if count == 0 {
        return Some(());
    }
    let nulls = rest.take(count.div_ceil(8))?;
    if rest.u8()? != 1 {
        return None;
    }
    // Each takes three bytes, so that there are no more than the message has.
    let mut types = Vec::new();
    for _ in 0..count {
        types.push(rest.u8()?);
        rest.u8()?;
        string(rest)?;
    }
    for (at, kind) in types.into_iter().enumerate() {
        let is_null = nulls.get(at / 8)? >> (at % 8) & 1 != 0;
        if !is_null {
            binary(kind, rest)?;
        }
    }
    Some(())
}

/// A value in binary, by its type.
fn binary(kind: u8, rest: &mut Fields<'_>) -> Option<()> {
    let len = match kind {
        // DECIMAL.
        0x00 => return number(rest).map(drop),
        // TINY; SHORT and YEAR; LONG, FLOAT and INT24; DOUBLE and LONGLONG; NULL.
        0x01 => 1,
        0x02 | 0x0d => 2,
        0x03 | 0x04 | 0x09 => 4,
        0x05 | 0x08 => 8,
        0x06 => 0,
        // TIMESTAMP, DATE, DATETIME.
        0x07 | 0x0a | 0x0c | 0x11 => match rest.u8()? {
            len @ (0 | 4 | 7 | 11) => len,
            _ => return None,
        },
        // TIME, which begins with a sign.
        0x0b => match rest.u8()? {
            0 => 0,
            len @ (8 | 12) if *rest.left().first()? <= 1 => len,
            _ => return None,
        },
        0x0f | 0x10 | 0xf5..=0xff => return string(rest),
        _ => return None,
    };
    rest.take(len).map(drop)
}
