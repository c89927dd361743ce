//! Markup: XML, HTML and what is like it, by its first tag. Before that may stand blanks and comments, a declaration of
//! XML, and blanks and comments again.
//!
//! Zeek's signatures let a comment end at any `-->` behind its beginning, and the declaration at any `?>`, so that the
//! first tag may stand behind each of them. All these places are found in one pass, whatever there is of them.

use super::guess::Guess;
use super::look::Part::{Is, Maybe, Run, Skip, Word};
use super::look::{self, MANY, Part, after_blanks, after_bom, is_blank, word};

/// The best type of markup that fits `head`.
pub(super) fn of(head: &[u8]) -> Option<Guess> {
    let text = after_bom(head);
    let first = after_blanks(text).first()?;
    matches!(first, b'<' | 0).then(|| Pass::new(text, text.len() < head.len()).run())?
}

/// One pass over the bytes behind a byte order mark.
struct Pass<'a> {
    text: &'a [u8],
    /// Whether there was a byte order mark. Some types are only known without one.
    marked: bool,
    /// Whether the first tag may come next: before a declaration, and behind one.
    open: [bool; 2],
    /// Where the content of the first comment begins: before the declaration, and behind it.
    comment: [Option<usize>; 2],
    /// Where the content of the declaration begins.
    declaration: Option<usize>,
    /// Whether a tag `rss`, or `feed`, began and did not end.
    rss: bool,
    feed: bool,
    best: Option<Guess>,
}

impl<'a> Pass<'a> {
    fn new(text: &'a [u8], marked: bool) -> Self {
        Self {
            text,
            marked,
            open: [true, false],
            comment: [None; 2],
            declaration: None,
            rss: false,
            feed: false,
            best: None,
        }
    }

    fn run(mut self) -> Option<Guess> {
        let mut next = Some(0);
        while let Some((at, rest)) = next.and_then(|at| Some((at, self.text.get(at..)?))) {
            self.end(at);
            self.take(at, rest);
            self.attribute(rest);
            next = self.next(at, rest);
        }
        self.best
    }

    /// The next place that may tell something, if there is one.
    fn next(&self, at: usize, rest: &[u8]) -> Option<usize> {
        if self.open != [false; 2] || self.rss || self.feed {
            return at.checked_add(1);
        }
        let waits = self.comment[0].is_some() || self.comment[1].is_some() || self.declaration.is_some();
        // What is waited for ends with this.
        let end = waits.then(|| memchr::memchr(b'>', rest))??;
        at.checked_add(end)?.checked_add(1)
    }

    /// Sees what ends before `at`.
    fn end(&mut self, at: usize) {
        let ends = |from: Option<usize>, end: &[u8]| {
            let content = from.and_then(|from| self.text.get(from..at));
            content.is_some_and(|b| b.ends_with(end))
        };
        self.open[0] |= ends(self.comment[0], b"-->");
        self.open[1] |= ends(self.declaration, b"?>") || ends(self.comment[1], b"-->");
    }

    /// Takes what comes at `at`, if it may be a tag.
    fn take(&mut self, at: usize, rest: &[u8]) {
        if self.open == [false; 2] || rest.first().is_none_or(is_blank) {
            return;
        }
        let [before, behind] = std::mem::take(&mut self.open);
        if before {
            self.take_first(at, rest);
        }
        if rest.starts_with(b"<!--") {
            let content = at.saturating_add(4);
            for (comment, open) in self.comment.iter_mut().zip([before, behind]) {
                *comment = comment.or(open.then_some(content));
            }
        }
        if let Some(tag) = rest.strip_prefix(b"<") {
            self.take_tag(tag);
        }
    }

    /// Takes what has no declaration before it.
    fn take_first(&mut self, at: usize, rest: &[u8]) {
        if is_declaration(rest) {
            self.found(Guess::new("application/xml", 10));
        }
        if rest.starts_with(b"<?xml ") {
            self.declaration = self.declaration.or(Some(at.saturating_add(6)));
        }
        let fusion = [&b"<CFPARAM"[..], b"<CFSET", b"<CFIF"];
        if !self.marked && fusion.iter().any(|tag| rest.starts_with(tag)) {
            self.found(Guess::new("magnus-internal/cold-fusion", 20));
        }
    }

    /// Takes a tag.
    fn take_tag(&mut self, tag: &[u8]) {
        self.rss |= word(tag, b"rss").is_some();
        self.feed |= word(tag, b"feed").is_some();
        let unmarked = if self.marked { &[] } else { UNMARKED_TAGS };
        for (parts, guess) in TAGS.iter().chain(unmarked) {
            if Some(*guess) > self.best && look::fits(parts, tag) {
                self.found(*guess);
            }
        }
    }

    /// Takes what tells Atom, in the tag of a feed.
    fn attribute(&mut self, rest: &[u8]) {
        let atom = self.rss && rest.starts_with(b"xmlns:atom") || self.feed && look::fits(ATOM, rest);
        if atom {
            self.found(Guess::new("text/atom", 100));
        }
        let inside = rest.first() != Some(&b'>');
        self.rss &= inside;
        self.feed &= inside;
    }

    fn found(&mut self, guess: Guess) {
        self.best = self.best.max(Some(guess));
    }
}

/// Spaces, at least one.
const SPACES: Part = Run(1, MANY, |b| *b == b' ');

/// How tags go on behind `<`.
static TAGS: &[(&[Part], Guess)] = &[
    (
        &[Word(b"!doctype"), SPACES, Word(b"html")],
        Guess::new("text/html", 100),
    ),
    (&[Word(b"html")], Guess::new("text/html", 100)),
    (
        &[Word(b"meta"), SPACES, Word(b"http-equiv")],
        Guess::new("text/html", 100),
    ),
    (&[Word(b"rss")], Guess::new("text/rss", 90)),
    (
        &[
            Word(b"manifest"),
            Run(1, MANY, is_blank),
            Is(b"xmlns=\"http://ns.adobe.com/f4m/"),
        ],
        Guess::new("application/f4m", 49),
    ),
    (&[Word(b"soap:envelope")], Guess::new("application/soap+xml", 49)),
    (
        &[Word(b"soap-env:envelope")],
        Guess::new("application/soap+xml", 49),
    ),
    (&[Word(b"methodresponse>")], Guess::new("application/xml-rpc", 49)),
    (&[Word(b"head")], Guess::new("text/html", 20)),
    (&[Word(b"title")], Guess::new("text/html", 20)),
    (&[Word(b"body")], Guess::new("text/html", 20)),
];

/// How tags go on that are only known without a byte order mark.
static UNMARKED_TAGS: &[(&[Part], Guess)] = &[
    (
        &[Word(b"!doctype"), SPACES, Word(b"cross-domain-policy")],
        Guess::new("text/x-cross-domain-policy", 49),
    ),
    (
        &[Word(b"cross-domain-policy")],
        Guess::new("text/x-cross-domain-policy", 49),
    ),
];

/// The namespace of Atom. Where the address has its dots, Zeek takes any byte.
const ATOM: &[Part] = &[
    Is(b"xmlns="),
    Maybe(b"'\""),
    Is(b"http://www"),
    Skip(1),
    Is(b"w3"),
    Skip(1),
    Is(b"org/2005/Atom"),
];

/// Whether `b` begins with a declaration of XML, in one byte or two for each character.
fn is_declaration(b: &[u8]) -> bool {
    let mut rest = b;
    for byte in b"<?xml " {
        rest = rest.strip_prefix(b"\0").unwrap_or(rest);
        match rest.split_first() {
            Some((b, behind)) if b == byte => rest = behind,
            _ => return false,
        }
    }
    true
}
