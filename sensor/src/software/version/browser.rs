//! What calls itself Mozilla or Opera: the real name stands somewhere behind, and the first that is found counts
//! (Zeek: Software::parse_mozilla).

use super::plain::{Described, Version, is_dotted, plain, run, without_end};

/// The versions of MSIE by their engine's, which they do not disguise.
const TRIDENT: [(&[u8], u64); 4] = [
    (b"Trident/4.0", 8),
    (b"Trident/5.0", 9),
    (b"Trident/6.0", 10),
    (b"Trident/7.0", 11),
];

/// Whether a banner is read by these rules: `Mozilla/5.` and the like.
pub fn is_like(banner: &[u8]) -> bool {
    let behind = [&b"Mozilla/"[..], b"Opera/"]
        .iter()
        .find_map(|claim| banner.strip_prefix(*claim));
    behind.is_some_and(|b| match run(b, u8::is_ascii_digit) {
        0 => false,
        n => b.get(n) == Some(&b'.'),
    })
}

/// Takes it apart.
pub fn parse(banner: &[u8]) -> Described {
    let has = |word: &[u8]| find(banner, word).is_some();
    if let Some(opera) = opera_at_end(banner) {
        return Described::new(b"Opera", plain(opera).version);
    }
    if has(b" MSIE ") || has(b"Trident/") {
        return Described::new(b"MSIE", msie(banner));
    }
    if has(b"Edge/") {
        return by_word(b"Edge", banner, b"Edge/");
    }
    if in_order(banner, b"Version/", b"Safari/") {
        return safari(banner);
    }
    if let Some(own) = by_own_name(banner) {
        return plain(own);
    }
    if in_order(banner, b"Chrome/", b"Safari/") {
        return by_word(b"Chrome", banner, b"Chrome/");
    }
    if banner.starts_with(b"Opera/") {
        return opera(banner);
    }
    if has(b"Flash%20Player") {
        // What it claims to be has a version, too.
        let claimed = banner.split(|b| matches!(b, b'/' | b' ')).nth(1);
        return Described::new(b"Flash", plain(claimed.unwrap_or(&[])).version);
    }
    if has(b"AdobeAIR/") {
        return by_word(b"AdobeAIR", banner, b"AdobeAIR/");
    }
    if has(b"AppleWebKit/") {
        return by_word(b"Unspecified WebKit", banner, b"AppleWebKit/");
    }
    if is_java(banner) {
        let java = word(banner, b"Java/", |b| is_dotted(b) || *b == b'_');
        return Described::new(b"Java", java.map_or_else(Version::default, |w| plain(w).version));
    }
    Described::new(b"<unknown browser>", Version::default())
}

/// Where `word` is first.
fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|w| w == word)
}

/// Whether `second` follows `first`, at whatever distance.
fn in_order(text: &[u8], first: &[u8], second: &[u8]) -> bool {
    let behind = find(text, first).and_then(|at| text.get(at + first.len()..));
    behind.is_some_and(|b| find(b, second).is_some())
}

/// The first `name` with the bytes of its version behind it.
fn word<'a>(text: &'a [u8], name: &[u8], is: impl Fn(&u8) -> bool) -> Option<&'a [u8]> {
    let from = text.get(find(text, name)?..)?;
    let end = name.len() + run(from.get(name.len()..)?, is);
    from.get(..end)
}

/// The version that stands behind a word.
fn version(banner: &[u8], behind: &[u8]) -> Option<Version> {
    word(banner, behind, is_dotted).map(|w| plain(w).version)
}

fn by_word(name: &[u8], banner: &[u8], behind: &[u8]) -> Described {
    Described::new(name, version(banner, behind).unwrap_or_default())
}

/// `Opera 11.00` behind all else.
fn opera_at_end(banner: &[u8]) -> Option<&[u8]> {
    const OPERA: &[u8] = b"Opera ";
    let before = without_end(banner, is_dotted);
    let from = before.len().checked_sub(OPERA.len())?;
    before.ends_with(OPERA).then(|| banner.get(from..))?
}

fn opera(banner: &[u8]) -> Described {
    let small = [&b"Opera Mini"[..], b"Opera Mobi"];
    let has_small = small.iter().any(|name| {
        let mut places = banner.windows(name.len() + 1);
        places.any(|w| w.strip_prefix(*name) == Some(b"/"))
    });
    if !has_small {
        return by_word(b"Opera", banner, b"Version/");
    }
    let first = small.iter().filter_map(|name| Some((find(banner, name)?, name)));
    let name = first.min().map_or(small[0], |(_, name)| name);
    let version = version(banner, b"Version/").or_else(|| version(banner, b"Opera Mini/"));
    Described::new(name, version.unwrap_or_default())
}

fn msie(banner: &[u8]) -> Version {
    let engine = TRIDENT.iter().find(|(name, _)| find(banner, name).is_some());
    if let Some((_, major)) = engine {
        return Version {
            numbers: [Some(*major), Some(0), None, None],
            addl: None,
        };
    }
    const MSIE: &[u8] = b"MSIE ";
    let places = banner.windows(MSIE.len()).enumerate().filter(|(_, w)| *w == MSIE);
    let with_number = places
        .filter_map(|(at, _)| banner.get(at..))
        .find(|w| w.get(MSIE.len()).is_some_and(u8::is_ascii_digit));
    with_number.map_or_else(Version::default, |text| {
        // One or two digits, dots, digits, a `b` perhaps and digits.
        let mut end = MSIE.len();
        let mut take = |is: fn(&u8) -> bool, most: usize| {
            let n = run(text.get(end..).unwrap_or(&[]), is).min(most);
            end += n;
        };
        take(u8::is_ascii_digit, 2);
        take(|b| *b == b'.', usize::MAX);
        take(u8::is_ascii_digit, usize::MAX);
        take(|b| *b == b'b', 1);
        take(u8::is_ascii_digit, usize::MAX);
        plain(text.get(..end).unwrap_or(text)).version
    })
}

fn safari(banner: &[u8]) -> Described {
    let mut version = version(banner, b"Version/").unwrap_or_default();
    if in_order(banner, b" Mobile", b" Safari") {
        version.addl = Some(b"Mobile".to_vec());
    }
    Described::new(b"Safari", version)
}

/// The first of those that name themselves.
fn by_own_name(banner: &[u8]) -> Option<&[u8]> {
    let names = [&b"Firefox/"[..], b"Netscape/", b"Thunderbird/"];
    let first = names.iter().filter_map(|name| Some((find(banner, name)?, name)));
    let (_, name) = first.min()?;
    word(banner, name, is_dotted)
}

/// ` Java/1.` and the like.
fn is_java(banner: &[u8]) -> bool {
    let mut places = banner.windows(b" Java/1.".len());
    places.any(|w| matches!(w, [b' ', b'J', b'a', b'v', b'a', b'/', b'0'..=b'9', b'.']))
}
