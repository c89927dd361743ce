//! Escapes in banners.

use std::borrow::Cow;

/// Without `%NN`, `\xNN` and `%uNNNN`.
pub fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') && !text.windows(2).any(|w| w == b"\\x") {
        return text.into();
    }
    // Both ways to begin an escape are one from here on.
    let mut percent = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let (b, behind) = match rest {
            [b'\\', b'x', behind @ ..] => (b'%', behind),
            _ => (*first, behind),
        };
        percent.push(b);
        rest = behind;
    }
    let mut out = Vec::with_capacity(percent.len());
    let mut rest = percent.as_slice();
    while let [b, behind @ ..] = rest {
        rest = match (b, behind) {
            // Of two, the second one counts.
            (b'%', [b'%', _, ..]) => behind,
            (b'%', behind) => match escape(behind) {
                Some((bytes, len)) => {
                    // The upper half of 16 bits is left out where it is 0.
                    out.extend(bytes.into_iter().flatten());
                    behind.get(len..).unwrap_or(&[])
                }
                None => {
                    out.extend(std::iter::once(b'%').chain(behind.first().copied()));
                    behind.get(1..).unwrap_or(&[])
                }
            },
            _ => {
                out.push(*b);
                behind
            }
        };
    }
    out.into()
}

/// The bytes that an escape stands for, and its own length behind the `%`.
fn escape(behind: &[u8]) -> Option<([Option<u8>; 2], usize)> {
    let byte = |at: usize| {
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok()
    };
    if let Some(b) = byte(0) {
        return Some(([Some(b), None], 2));
    }
    let (high, low) = behind.starts_with(b"u").then(|| byte(1).zip(byte(3))).flatten()?;
    Some(([Some(high).filter(|b| *b != 0), Some(low)], 5))
}
