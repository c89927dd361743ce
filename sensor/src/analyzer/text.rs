//! Bytes off the wire in what the sensor says in its own words.

use std::borrow::Cow;

/// UTF-8 as it is, anything else with `\xNN` for what is not printable ASCII. Columns and arguments keep the bytes
/// (`Value::Wire`): this is for a weird's text.
pub fn of_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(s) => s.into(),
        Err(_) => bytes.escape_ascii().to_string().into(),
    }
}
