//! Bytes off the wire as text.

use std::borrow::Cow;

/// UTF-8 as it is, anything else and control characters as `\xNN`, as Zeek writes it.
pub fn wire_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(s) if !s.chars().any(char::is_control) => Cow::Borrowed(s),
        utf8 => {
            let keep_high = utf8.is_ok();
            let mut out = Vec::with_capacity(bytes.len() + 16);
            for &b in bytes {
                if (0x20..0x7f).contains(&b) || (keep_high && b >= 0x80) {
                    out.push(b);
                } else {
                    out.extend_from_slice(format!("\\x{b:02x}").as_bytes());
                }
            }
            Cow::Owned(String::from_utf8_lossy(&out).into_owned())
        }
    }
}
