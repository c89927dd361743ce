//! Banners that are a name, a separator, numbers and what follows them; and what the rules for all banners share.

use super::escapes::unescaped;

/// A version: what is not said of it is None.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Zeek's major, minor, minor2 and minor3.
    pub numbers: [Option<u64>; 4],
    /// What follows them.
    pub addl: Option<Vec<u8>>,
}

/// What a banner says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The software's name, as its bytes are.
    pub name: Vec<u8>,
    /// Its version.
    pub version: Version,
}

impl Described {
    /// Whether both name and version were found.
    pub fn is_complete(&self) -> bool {
        !self.name.is_empty() && self.version.numbers[0].is_some()
    }

    /// Of a name and a version.
    pub(super) fn new(name: &[u8], version: Version) -> Described {
        Described {
            name: name.to_vec(),
            version,
        }
    }
}

/// A banner that is no browser's.
pub fn plain(banner: &[u8]) -> Described {
    let clean = unescaped(banner);
    let Some((from, to)) = numbers(&clean) else {
        return Described::new(&name(&clean), Version::default());
    };
    let part = |range| clean.get::<std::ops::Range<usize>>(range).unwrap_or(&[]);
    let mut numbers = part(from..to).trim_ascii();
    if let [b'/' | b'-' | b'.' | b'_' | b'v' | b'(', rest @ ..] = numbers {
        numbers = rest.trim_ascii();
    }
    let mut version = Version {
        numbers: [None; 4],
        addl: addl(part(to..clean.len())),
    };
    let parts = numbers.splitn(4, |b| b"-._,[({ ".contains(b));
    for (number, part) in version.numbers.iter_mut().zip(parts) {
        *number = (!part.is_empty()).then(|| first_number(part)).flatten();
    }
    Described::new(&name(part(0..from)), version)
}

/// What a version with dots is made of.
pub fn is_dotted(b: &u8) -> bool {
    matches!(b, b'0'..=b'9' | b'.')
}

/// What a version may be made of, beside its separators before it.
fn is_of_version(b: &u8) -> bool {
    matches!(b, b'0'..=b'9' | b'-' | b'.' | b'_' | b',' | b' ')
}

/// How many bytes at the beginning are of a sort.
pub fn run(bytes: &[u8], is: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|b| is(b)).count()
}

/// Without the bytes of a sort at the end.
pub fn without_end(bytes: &[u8], is: impl Fn(&u8) -> bool) -> &[u8] {
    let end = bytes.iter().rposition(|b| !is(b)).map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or(bytes)
}

/// The length of what may separate name and version at the beginning of `bytes`: `/`, `-`, `_`, or a space and then
/// `(` and `v` in any number. 0: nothing does.
fn separator(bytes: &[u8]) -> usize {
    match bytes {
        [b'/' | b'-' | b'_', ..] => 1,
        [b' ', rest @ ..] => match run(rest, |b| matches!(b, b'(' | b'v')) {
            0 => 0,
            n => 1 + n,
        },
        _ => 0,
    }
}

/// Where the version is, its separator included: the first two bytes and more that may be of a version.
fn numbers(text: &[u8]) -> Option<(usize, usize)> {
    let length = |from: usize| {
        let rest = text.get(from..)?;
        let behind = |skip| match run(rest.get(skip..)?, is_of_version) {
            0 | 1 => None,
            n => Some(skip + n),
        };
        behind(0).max(behind(separator(rest)))
    };
    (0..text.len()).find_map(|from| Some((from, from + length(from)?)))
}

/// The name in what stands before the version. From one that ends with a separator the first separator is taken.
fn name(before: &[u8]) -> Vec<u8> {
    let mut name = before.to_vec();
    let ends = match before.last() {
        Some(b'/' | b'-' | b'_') => true,
        Some(b'(' | b'v') => without_end(before, |b| matches!(b, b'(' | b'v')).ends_with(b" "),
        _ => false,
    };
    if ends {
        let first = (0..before.len()).find_map(|at| match separator(before.get(at..)?) {
            0 => None,
            n => Some(at..at + n),
        });
        name.drain(first.unwrap_or(0..0));
    }
    let name = name.trim_ascii();
    let name = name.strip_prefix(b"(").map_or(name, <[u8]>::trim_ascii);
    match name {
        // The same software under another name (Zeek: Software::alternate_names).
        b"Flash Player" => b"Flash".to_vec(),
        name => name.to_vec(),
    }
}

/// What is said behind the version: what stands in parentheses, or a word.
fn addl(rest: &[u8]) -> Option<Vec<u8>> {
    if matches!(rest, b"" | b")") {
        return None;
    }
    let word = in_parentheses(rest).or_else(|| {
        let mut words = rest.splitn(4, |b| b"-._,;[](){} ".contains(b)).take(3);
        words.find(|w| !w.is_empty()).map(<[u8]>::trim_ascii)
    });
    Some(word.unwrap_or(rest.trim_ascii()).to_vec())
}

/// `(Unix)` and the like, behind blanks.
fn in_parentheses(rest: &[u8]) -> Option<&[u8]> {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    let inner = rest.get(run(rest, is_blank)..)?.strip_prefix(b"(")?;
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_') || is_blank(b);
    let (word, behind) = inner.split_at(run(inner, is_plain));
    behind.starts_with(b")").then_some(word)
}

/// The first number in `part`, 0 if there is none. None: it is too large.
pub fn first_number(part: &[u8]) -> Option<u64> {
    let from = part.get(run(part, |b| !b.is_ascii_digit())..)?;
    let digits = from.get(..run(from, u8::is_ascii_digit))?;
    digits
        .iter()
        .try_fold(0u64, |n, d| n.checked_mul(10)?.checked_add(u64::from(d - b'0')))
}
