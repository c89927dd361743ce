//! Takes banners apart into name and version: Zeek's rules (Software::parse), oddities included, without its patterns.
//!
//! A banner is a name, a separator, numbers and what follows them. Browsers claim to be others, and are asked in an order of
//! their own (`browser`). All of it takes time that grows with the banner's length only.

mod browser;
mod escapes;
mod plain;

use std::borrow::Cow;

pub use plain::{Described, Version};
use plain::{first_number, is_dotted, plain, without_end};

/// Bytes of a banner that are taken apart. Those of browsers with many extensions have some 500.
const MOST_PARSED: usize = 1024;

/// Takes a banner apart.
pub fn parse(banner: &[u8]) -> Described {
    let banner = banner.get(..MOST_PARSED).unwrap_or(banner);
    if browser::is_like(banner) {
        browser::parse(banner)
    } else if is_android(banner) {
        android(banner)
    } else {
        plain(banner)
    }
}

/// Bytes as an event's text: UTF-8 as it is. In what is none, every byte that is not ASCII is `\xNN`, as in the logs.
pub fn shown(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::new();
    for b in bytes {
        match b.is_ascii() {
            true => text.push(char::from(*b)),
            false => text.push_str(&format!("\\x{b:02x}")),
        }
    }
    text.into()
}

/// Google's updates: `A/`, Android's version, `/Google/Pixel`.
fn is_android(banner: &[u8]) -> bool {
    const PHONE: &[u8] = b"/Google/Pixel";
    let places = banner.windows(PHONE.len()).enumerate();
    places.filter(|(_, w)| *w == PHONE).any(|(at, _)| {
        let before = banner.get(..at).unwrap_or(&[]);
        without_end(before, is_dotted).ends_with(b"A/")
    })
}

fn android(banner: &[u8]) -> Described {
    let version = banner.split(|b| *b == b'/').nth(1).unwrap_or(&[]);
    let version = match version.contains(&b'.') {
        true => plain(version).version,
        false => Version {
            numbers: [first_number(version), None, None, None],
            addl: None,
        },
    };
    Described::new(b"Android (Google Pixel)", version)
}

#[cfg(test)]
pub(super) mod tests;
