//! Signatures: how the first bytes of a direction look. The patterns themselves are in the protocols' folders, the same
//! as in Zeek's dpd.sig files.

/// Whether a prefix of a stream matches a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It matches, whatever follows.
    Yes,
    /// It does not match, whatever follows.
    No,
    /// Undecided: a longer prefix could still match.
    More,
}
use Match::{More, No, Yes};

/// A pattern over a direction's first bytes.
pub type Pattern = fn(&[u8]) -> Match;

/// Whether a datagram is one of a protocol's.
pub type UdpRule = fn(&[u8]) -> bool;

/// How a protocol is recognised by the first bytes of both directions.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// The originator's bytes decide alone.
    Orig(Pattern),
    /// The responder's bytes decide alone.
    Resp(Pattern),
    /// Both have to match.
    Both(Pattern, Pattern),
    /// Both have to match. The originator's pattern may match on any line, so it never answers [`Match::No`].
    BothAnywhere(Pattern, Pattern),
}

impl Rule {
    /// Whether the bytes so far match.
    pub fn matches(&self, orig: &[u8], resp: &[u8]) -> Match {
        match self {
            Rule::Orig(o) => o(orig),
            Rule::Resp(r) => r(resp),
            Rule::Both(o, r) => match (o(orig), r(resp)) {
                (No, _) | (_, No) => No,
                (Yes, Yes) => Yes,
                _ => More,
            },
            // The originator's lines are all searched anew each time: only when the responder's bytes match.
            Rule::BothAnywhere(o, r) => match r(resp) {
                Yes => o(orig),
                other => other,
            },
        }
    }
}

impl Rule {
    /// Whether it may still match a connection on which a direction begins with this byte.
    pub fn allows(&self, is_orig: bool, first: u8) -> bool {
        let pattern = match (self, is_orig) {
            (Rule::Orig(p) | Rule::Both(p, _) | Rule::BothAnywhere(p, _), true) => p,
            (Rule::Resp(p) | Rule::Both(_, p) | Rule::BothAnywhere(_, p), false) => p,
            _ => return true,
        };
        pattern(&[first]) != No
    }
}

/// Blanks and line ends.
pub fn is_space(b: &u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Without leading blanks and line ends.
pub fn after_spaces(b: &[u8]) -> &[u8] {
    b.get(b.iter().take_while(|b| is_space(b)).count()..)
        .unwrap_or(&[])
}

/// Whether `b` starts with `lower`, without regard to case; `lower` is in lower case.
pub fn starts(b: &[u8], lower: &[u8]) -> Match {
    let n = b.len().min(lower.len());
    match b.iter().zip(lower).all(|(b, l)| b.to_ascii_lowercase() == *l) {
        false => No,
        true if n < lower.len() => More,
        true => Yes,
    }
}

/// `v`, if the byte at `at` satisfies `ok` too.
pub fn then(v: Match, b: &[u8], at: usize, ok: impl Fn(u8) -> bool) -> Match {
    match (v, b.get(at)) {
        (Yes, None) => More,
        (Yes, Some(&c)) if !ok(c) => No,
        _ => v,
    }
}

/// `Yes` when what follows the start, a CR or an LF somewhere in `b` satisfies `ok`.
pub fn at_line_start(b: &[u8], ok: impl Fn(&[u8]) -> bool) -> Match {
    let mut at = Some(0);
    while let Some(start) = at {
        let rest = b.get(start..).unwrap_or(&[]);
        if ok(rest) {
            return Yes;
        }
        at = rest
            .iter()
            .position(|b| matches!(b, b'\r' | b'\n'))
            .map(|n| start + n + 1);
    }
    More
}
